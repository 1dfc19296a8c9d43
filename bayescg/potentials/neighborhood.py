"""Who stands around every bead, and where: what many-body potentials and bases of forces start from."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float, Int
from bayescg.interfaces import Configuration, minimum_image


class Neighborhood(NamedTuple):
    """The neighbours of every bead within a cutoff, padded.

    Attributes:
        other: the neighbour; any bead where there is none.
        displacement: from the bead to its neighbour, nm; as long as the cutoff where there is none, so
            that functions that vanish at the cutoff, and their derivatives, need no mask.
        distance: nm.
        kinds: 1 for the type of the neighbour, 0 for other types; all 0 where there is none.
    """

    other: Int[Array, "bead neighbor"]
    displacement: Float[Array, "bead neighbor dim"]
    distance: Float[Array, "bead neighbor"]
    kinds: Float[Array, "bead neighbor type"]

    @property
    def unit(self) -> Float[Array, "bead neighbor dim"]:
        """Directions towards the neighbours."""
        return self.displacement / self.distance[..., None]


def neighborhood(configuration: Configuration, cutoff: float, type_count: int) -> Neighborhood:
    """The neighbours of every bead; differentiable in the positions.

    Args:
        configuration: one frame.
        cutoff: nm.
        type_count: number of bead types.

    Example:
        >>> from bayescg.configuration import Topology
        >>> two = jnp.array([0, 0])
        >>> beads = Topology(two, jnp.ones(2), two, jnp.zeros((0, 2), int), ("A",))
        >>> x = jnp.array([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
        >>> found = neighborhood(Configuration(x, None, jnp.array([[1, 2], [0, 2]]), beads), 0.9, 1)
        >>> found.distance.tolist(), found.kinds[..., 0].tolist()
        ([[0.5, 0.9], [0.5, 0.9]], [[1.0, 0.0], [1.0, 0.0]])
    """
    positions, neighbors = configuration.positions, configuration.neighbors
    beads, dims = positions.shape
    other = jnp.minimum(neighbors, beads - 1)
    displacement = minimum_image(positions[other] - positions[:, None], configuration.box)
    present = (neighbors < beads) & (jnp.sum(displacement**2, axis=-1) < cutoff**2)
    away = jnp.zeros(dims, positions.dtype).at[0].set(cutoff)
    displacement = jnp.where(present[..., None], displacement, away)
    kinds = jax.nn.one_hot(configuration.topology.types[other], type_count, dtype=positions.dtype)
    return Neighborhood(
        other,
        displacement,
        jnp.sqrt(jnp.sum(displacement**2, axis=-1)),
        jnp.where(present[..., None], kinds, 0.0),
    )
