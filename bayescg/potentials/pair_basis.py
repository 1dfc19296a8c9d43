"""Forces of pair functions, from their slopes.

F_ik = sum_j B_k'(r_ij) (x_j - x_i)/r_ij,        one column of features for every pair of types.
"""

from collections.abc import Callable

import jax.numpy as jnp

from bayescg._typing import Array, Float, Int
from bayescg.interfaces import Configuration, type_pair_index, type_pairs
from bayescg.potentials.neighborhood import neighborhood


def pair_basis_forces(
    configuration: Configuration,
    slopes: Callable[[Float[Array, "bead neighbor"], Int[Array, "bead neighbor"]], Array],
    *,
    cutoff: float,
    type_count: int,
) -> Float[Array, "bead dim feature"]:
    """Forces of functions of distance, pairs of types side by side.

    Args:
        configuration: one frame.
        slopes: from distances, nm, and places of the type pairs to B_k', 1/nm, features last.
        cutoff: nm; pairs beyond add nothing.
        type_count: number of bead types.

    Example:
        >>> from bayescg.configuration import Topology
        >>> two = jnp.array([0, 0])
        >>> beads = Topology(two, jnp.ones(2), two, jnp.zeros((0, 2), int), ("A",))
        >>> x = jnp.array([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
        >>> frame = Configuration(x, None, jnp.array([[1], [0]]), beads)
        >>> pair_basis_forces(frame, lambda r, pair: 2 * r[..., None], cutoff=1.0, type_count=1)[0, 0, 0]
        Array(1., dtype=float64)
    """
    types = configuration.topology.types
    around = neighborhood(configuration, cutoff, type_count)
    pair = type_pair_index(types[:, None], types[around.other], type_count)
    unit = jnp.sum(around.kinds, axis=-1, keepdims=True) * around.unit  # zero where there is no neighbour
    rows = slopes(around.distance, pair)
    per_pair = [
        jnp.einsum("ijd,ijk->idk", jnp.where((pair == index)[..., None], unit, 0.0), rows)
        for index in range(len(type_pairs(type_count)))
    ]
    return jnp.concatenate(per_pair, axis=-1)
