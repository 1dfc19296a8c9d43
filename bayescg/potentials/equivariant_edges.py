"""Edges: what the equivariant potential knows of every pair of neighbours, once for all its layers."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float, Int
from bayescg.interfaces import Configuration
from bayescg.potentials.equivariant_couplings import degrees_of_orders
from bayescg.potentials.equivariant_radial import bessel_functions
from bayescg.potentials.harmonics import harmonics
from bayescg.potentials.neighborhood import neighborhood


class Edges(NamedTuple):
    """Functions of the displacements from every bead to its neighbours.

    Attributes:
        other: the neighbour; any bead where there is none.
        radial: R_n of the distance; zero where there is no neighbour.
        angular: (2 l + 1)^1/2 Y_lm of the direction, squares of mean one over the sphere.
        kinds: 1 for the type of the neighbour, 0 for other types; all 0 where there is none.
        own: the same of the beads themselves.
    """

    other: Int[Array, "bead neighbor"]
    radial: Float[Array, "bead neighbor radial"]
    angular: Float[Array, "bead neighbor order"]
    kinds: Float[Array, "bead neighbor type"]
    own: Float[Array, "bead type"]


def edges_of(
    configuration: Configuration, cutoff: float, *, radial: int, degree: int, type_count: int, dtype: Any
) -> Edges:
    """The edges of one frame; displacements are found in the positions' precision, then rounded.

    Args:
        configuration: one frame, in three dimensions.
        cutoff: nm.
        radial: number of radial functions.
        degree: largest l.
        type_count: number of bead types.
        dtype: of what is returned.

    Example:
        >>> from bayescg.configuration import Topology
        >>> two = jnp.array([0, 0])
        >>> beads = Topology(two, jnp.ones(2), two, jnp.zeros((0, 2), int), ("A",))
        >>> x = jnp.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.3]])
        >>> frame = Configuration(x, None, jnp.array([[1], [0]]), beads)
        >>> found = edges_of(frame, 0.6, radial=1, degree=1, type_count=1, dtype=float)
        >>> found.angular[:, 0].round(3).tolist()
        [[1.0, 0.0, 1.732, 0.0], [1.0, 0.0, -1.732, 0.0]]
    """
    around = neighborhood(configuration, cutoff, type_count)
    over_neighbors = jax.vmap(jax.vmap(lambda unit: jnp.concatenate(harmonics(unit, degree))))
    scale = jnp.asarray(np.sqrt(2 * degrees_of_orders(degree) + 1), dtype)
    return Edges(
        around.other,
        bessel_functions(around.distance.astype(dtype), cutoff, count=radial),
        over_neighbors(around.unit.astype(dtype)) * scale,
        around.kinds.astype(dtype),
        jax.nn.one_hot(configuration.topology.types, type_count, dtype=dtype),
    )
