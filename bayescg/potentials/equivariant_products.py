"""Products of the equivariant potential: from two-body sums to many-body features.

    P^1 = A^1,        P^v = P^(v-1) ⊗ A^v,        h = sum_v U^v P^v

P^v is a sum over v neighbours, an energy of v + 1 beads; its degree zero does not change in a rotation. Since
every factor mixes channels in its own way, the products span what products of all channels would, if the
channels suffice.

References:
    J. P. Darby et al., Phys. Rev. Lett. 131, 028001 (2023), doi:10.1103/PhysRevLett.131.028001.
"""

import math

import equinox as eqx
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.potentials.equivariant_couplings import couplings, degrees_of_orders


class Products(eqx.Module):
    """Products of one, two, ... densities of a bead, channel by channel.

    Attributes:
        couplings: weight of every path, one array for every factor after the first.
        degree: largest l of densities and inner products.
        outgoing: largest l of the last product.
        parity: whether mirrors are symmetries.
    """

    couplings: tuple[Float[Array, "path channel"], ...]
    degree: int = eqx.field(static=True)
    outgoing: int = eqx.field(static=True)
    parity: bool = eqx.field(static=True)

    def multiply(
        self, densities: Float[Array, "factor channel bead order"]
    ) -> tuple[Float[Array, "channel bead order"], ...]:
        """P^1, P^2, ..."""
        products = [densities[0]]
        for place, weights in enumerate(self.couplings):
            last = place + 1 == len(self.couplings)
            degree = self.outgoing if last else self.degree
            C = couplings(self.degree, self.degree, degree, parity=self.parity)
            tensor = jnp.einsum("pk,pabc->kabc", weights, jnp.asarray(C, weights.dtype))
            channels, beads, _ = densities[0].shape
            pairs = products[-1][..., None] * densities[place + 1][..., None, :]
            products.append(
                jnp.einsum(
                    "kiq,kqc->kic",
                    pairs.reshape(channels, beads, -1),
                    tensor.reshape(channels, -1, tensor.shape[-1]),
                )
            )
        return tuple(products)


class Features(eqx.Module):
    """What a bead sends to its neighbours in the next layer: channels of the products, mixed.

    Attributes:
        channel_weights: U, for every degree that is sent.
    """

    channel_weights: Float[Array, "factor degree channel feature"]

    def mix(self, products: tuple[Float[Array, "channel bead _"], ...]) -> Float[Array, "bead feature order"]:
        """The features h."""
        factors, degrees, channels, _ = self.channel_weights.shape
        weights = self.channel_weights[:, degrees_of_orders(degrees - 1)]
        sums = sum(
            jnp.einsum("kim,mkc->icm", product[..., : degrees**2], of_factor)
            for product, of_factor in zip(products, weights, strict=True)
        )
        return jnp.asarray(sums) / math.sqrt(factors * channels)
