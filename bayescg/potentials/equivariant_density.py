"""Densities of the equivariant potential: what a bead gathers from its neighbours, by channel.

    first layer    A^v_i,k,lm = sum_j R^v_{k,l,t_i,t_j}(r_ij) Y_lm(u_ij)
    later layers   A^v_i,k,lm = sum_j sum_{l1 l2} w^v_{k,l1 l2 l}(r_ij) [Y_l1(u_ij) ⊗ h_j,k,l2]_lm

The radial functions R and w are learned combinations of a few given ones, so that sums over neighbours are
taken of the given ones first, by one matrix product for every bead, and channels are made of the sums. There
is one density for every factor v of the products that follow.
"""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.potentials.equivariant_couplings import couplings, degrees_of_orders
from bayescg.potentials.equivariant_edges import Edges


class AbstractDensity(eqx.Module):
    """Sums over the neighbours of every bead."""

    @abc.abstractmethod
    def gather(
        self, edges: Edges, features: Float[Array, "bead channel order"] | None
    ) -> Float[Array, "factor channel bead order"]:
        """A of every factor.

        Args:
            edges: of the frame.
            features: of all beads from the layer before; None in the first.
        """


class TypeDensity(AbstractDensity):
    """The first layer's: neighbours are known by their types.

    Attributes:
        type_weights: makes channels of radial functions; a function is a neighbour's type and an n.
            Weights of order one give densities of order one.
        neighbors: typical number of neighbours.
    """

    type_weights: Float[Array, "factor type degree function channel"]
    neighbors: float = eqx.field(static=True)

    def gather(
        self, edges: Edges, features: Float[Array, "bead channel order"] | None
    ) -> Float[Array, "factor channel bead order"]:
        """Channels of the moments of every type of neighbour."""
        weights = self.type_weights
        functions = edges.kinds[..., None] * edges.radial[:, :, None]
        functions = functions.reshape(*edges.other.shape, -1)
        moments = jnp.einsum("ijf,ijm->imf", functions, edges.angular)
        of_orders = weights[:, :, degrees_of_orders(weights.shape[2] - 1)]
        for_types = jnp.einsum("imf,vtmfk->tvkim", moments, of_orders)
        norm = 1 / math.sqrt(self.neighbors * edges.radial.shape[-1])
        return norm * jnp.einsum("tvkim,it->vkim", for_types, edges.own)


class MessageDensity(AbstractDensity):
    """A later layer's: neighbours are known by their features.

    Attributes:
        mixtures: makes fewer radial functions of the given ones, for all channels.
        path_weights: makes the radial function of every path and channel of those.
        neighbors: typical number of neighbours.
        degree: largest l of the density.
        messages: largest l of the features.
        parity: whether mirrors are symmetries.
    """

    mixtures: Float[Array, "radial mixture"]
    path_weights: Float[Array, "factor path mixture channel"]
    neighbors: float = eqx.field(static=True)
    degree: int = eqx.field(static=True)
    messages: int = eqx.field(static=True)
    parity: bool = eqx.field(static=True)

    def gather(
        self, edges: Edges, features: Float[Array, "bead channel order"] | None
    ) -> Float[Array, "factor channel bead order"]:
        """Products of directions and features, summed before channels and paths are weighted."""
        assert features is not None  # only the first layer has none before it
        beads, channels, _ = features.shape
        count = self.mixtures.shape[1]
        radial = edges.radial @ self.mixtures / math.sqrt(self.mixtures.shape[0])
        own = (radial[..., None] * edges.angular[:, :, None]).reshape(*edges.other.shape, -1)
        sent = features.reshape(beads, -1)[edges.other]
        pairs = jnp.einsum("ijf,ijg->ifg", own, sent).reshape(beads, count, -1, channels, features.shape[-1])
        C = jnp.asarray(
            couplings(self.degree, self.messages, self.degree, parity=self.parity), self.mixtures.dtype
        )
        weights = jnp.einsum("vpqk,pabc->kvqabc", self.path_weights, C)
        return jnp.einsum("iqakb,kvqabc->vkic", pairs, weights) / math.sqrt(self.neighbors * count)


def draw(key: Array, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    """Weights to start from: independent standard normals."""
    return jax.random.normal(key, shape, dtype)
