"""Layer: one round of gathering from neighbours, multiplying and reading out an energy."""

import equinox as eqx
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.potentials.equivariant_density import AbstractDensity
from bayescg.potentials.equivariant_edges import Edges
from bayescg.potentials.equivariant_products import Features, Products
from bayescg.potentials.equivariant_readout import Readout


class Layer(eqx.Module):
    """One layer of an `Equivariant` potential.

    Attributes:
        density: sums over neighbours.
        products: many-body products of them.
        readout: energy of a bead.
        features: what neighbours see in the next layer; None in the last.
    """

    density: AbstractDensity
    products: Products
    readout: Readout
    features: Features | None

    def apply(
        self, edges: Edges, features: Float[Array, "bead channel order"] | None
    ) -> tuple[Float[Array, " bead"], Float[Array, "bead feature order"] | None]:
        """Energies of the beads, in the potential's scale, and their features for the next layer.

        Args:
            edges: of the frame.
            features: from the layer before; None in the first.
        """
        products = self.products.multiply(self.density.gather(edges, features))
        scalars = jnp.concatenate([product[..., 0] for product in products])
        energies = self.readout.energies(scalars.T, edges.own)
        return energies, None if self.features is None else self.features.mix(products)
