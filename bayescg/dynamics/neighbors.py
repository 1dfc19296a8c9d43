"""Neighbour lists inside jit: a padded matrix of all beads within reach, and when it stops being valid.

A list made with reach = cutoff + skin holds every pair within the cutoff as long as no bead has moved
by more than skin/2 since. On a CPU beads are searched by cells (`bayescg.numerics.cell_loops`), at a cost
nearly linear in beads: 0.7 us a bead for 510 waters within 1 nm, 1.2 for 14,000, 1.6 for 51,000, whose list
is 36 MB. Such a list numbers beads along the cells, which keeps in the cache what a loop over it reads.
Elsewhere, and beyond three dimensions, one bead after another is compared with all and appended to the rows
of those it is near to: O(N^2) tests, 1.3 us a bead for 510. Beads that the topology excludes from each other
are no neighbours.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float, Int, NumpyArray
from bayescg.interfaces import Topology, type_pair_index

LANES = 16
"""Capacities are multiples of this: whole vector registers of float32."""


class Neighbors(eqx.Module):
    """Who is near whom.

    Attributes:
        rows: for every place the places within reach, in whatever order they were found, and then the number
            of beads as padding.
        pairs: index of the pair of types; zero where there is one type.
        order: the bead at every place. Where beads are searched by cells, those that are near each other have
            near places: a loop over the rows then finds their coordinates in the cache.
        origin: positions the list was made at, nm.
        widest: neighbours of the bead that has most; beyond the width of `rows` the list is incomplete.
    """

    rows: Int[Array, "place neighbor"]
    pairs: Int[Array, "place neighbor"]
    order: Int[Array, " place"]
    origin: Float[Array, "bead dim"]
    widest: Int[Array, ""]

    @property
    def indices(self) -> Int[Array, "bead neighbor"]:
        """For every bead the beads within reach, and then the number of beads."""
        beads = self.order.shape[0]
        numbers = jnp.append(self.order, beads)[self.rows]
        return jnp.zeros_like(numbers).at[self.order].set(numbers, unique_indices=True)


def find_neighbors(
    positions: Float[Array, "bead dim"],
    *,
    box: Float[Array, " dim"] | None,
    topology: Topology,
    reach: float,
    capacity: int,
) -> Neighbors:
    """Every bead's neighbours within `reach`, without those that the topology excludes.

    Args:
        positions: nm.
        box: edge lengths, nm; None for an open system.
        topology: bead types, and which pairs are excluded.
        reach: cutoff plus skin, nm.
        capacity: width of the matrix.

    Returns:
        A list that is complete where `widest` is at most `capacity`.

    Example:
        >>> topology = Topology(jnp.zeros(3, int), jnp.ones(3), jnp.arange(3), jnp.zeros((0, 2), int), ("A",))
        >>> line = jnp.array([[0.0], [0.1], [0.9]])
        >>> find_neighbors(line, box=None, topology=topology, reach=0.3, capacity=2).indices.tolist()
        [[1, 3], [0, 3], [3, 3]]
    """
    excluded = jnp.asarray(topology.excluded, jnp.int32)
    arguments = positions, box, excluded
    if _by_cells_served(positions):
        found = jax.lax.platform_dependent(
            *arguments,
            cpu=functools.partial(_by_cells, reach=reach, capacity=capacity),
            default=functools.partial(_all_with_all, reach=reach, capacity=capacity),
        )
    else:
        found = _all_with_all(*arguments, reach=reach, capacity=capacity)
    rows, widest, order = found
    return Neighbors(rows, _pairs(rows, order, topology), order, positions, widest)


def squared_distance(
    positions: Float[Array, "bead dim"], point: Float[Array, "*shape dim"], box: Float[Array, " dim"] | None
) -> Float[Array, " bead"]:
    """Squared length of the shortest displacement, nm^2, one component after another.

    Example:
        >>> line = jnp.array([[0.0], [1.75]])
        >>> squared_distance(line, jnp.zeros(1), jnp.full(1, 2.0)).tolist()
        [0.0, 0.0625]
    """
    total = jnp.zeros(positions.shape[0], positions.dtype)
    for axis in range(positions.shape[1]):
        step = positions[:, axis] - point[..., axis]
        if box is not None:
            step -= box[axis] * jnp.round(step / box[axis])
        total += step * step
    return total


def roomy_capacity(widest: int, beads: int, *, margin: float = 1.15) -> int:
    """Width of a neighbour matrix with room for density fluctuations.

    Args:
        widest: neighbours of the bead that has most.
        beads: number of beads.
        margin: room, as a factor.

    Example:
        >>> roomy_capacity(140, 510)
        176
    """
    wanted = int(np.ceil((widest * margin + 4) / LANES)) * LANES
    return max(1, min(wanted, beads - 1))


def empty_neighbors(positions: NumpyArray | Array, capacity: int) -> Neighbors:
    """A list without neighbours, to be replaced before its first use.

    Example:
        >>> empty_neighbors(jnp.zeros((2, 3)), 1).indices.tolist()
        [[2], [2]]
    """
    positions = jnp.asarray(positions)
    shape = (positions.shape[0], capacity)
    nobody = jnp.full(shape, positions.shape[0], jnp.int32)
    order = jnp.arange(positions.shape[0], dtype=jnp.int32)
    return Neighbors(nobody, jnp.zeros(shape, jnp.int32), order, positions, jnp.zeros((), jnp.int32))


def _by_cells_served(positions: Array) -> bool:
    # numba is imported here, by the first search of a process
    from bayescg.numerics.cell_loops import search_served

    usual = positions.dtype in (jnp.float32, jnp.float64) and positions.shape[1] <= 3
    return usual and positions.size > 0 and search_served(positions.dtype)


def _by_cells(
    positions: Array, box: Array | None, excluded: Array, *, reach: float, capacity: int
) -> tuple[Array, Array, Array]:
    from bayescg.numerics.cell_loops import neighbors_in_cells

    edges = jnp.zeros(positions.shape[1], positions.dtype) if box is None else box.astype(positions.dtype)
    return neighbors_in_cells(positions, edges, excluded, reach=reach, capacity=capacity)


def _all_with_all(
    positions: Array, box: Array | None, excluded: Array, *, reach: float, capacity: int
) -> tuple[Array, Array, Array]:
    beads = positions.shape[0]
    rows = jnp.arange(beads, dtype=jnp.int32)

    def append(bead: Array, lists: tuple[Array, Array]) -> tuple[Array, Array]:
        indices, counts = lists
        near = (squared_distance(positions, positions[bead], box) < reach**2) & (rows != bead)
        if excluded.shape[1]:
            near = near.at[excluded[bead]].set(False, mode="drop")  # padding lies out of bounds
        # written whether near or not; the count goes on only where near, so the next one overwrites
        place = jnp.minimum(counts, capacity)
        indices = indices.at[rows, place].set(bead, mode="promise_in_bounds", unique_indices=True)
        return indices, counts + near

    # one column more than asked for takes what does not fit
    lists = jnp.zeros((beads, capacity + 1), jnp.int32), jnp.zeros(beads, jnp.int32)
    indices, counts = jax.lax.fori_loop(0, beads, append, lists)
    filled = jnp.arange(capacity) < counts[:, None]
    indices = indices[:, :capacity] * filled + beads * ~filled
    return indices.astype(jnp.int32), jnp.max(counts, initial=0).astype(jnp.int32), rows


def _pairs(rows: Array, order: Array, topology: Topology) -> Array:
    kinds = len(topology.type_names)
    if kinds == 1:
        return jnp.zeros_like(rows)
    types = topology.types.astype(jnp.int32)
    types = types[order]
    others = types[jnp.minimum(rows, types.shape[0] - 1)]
    return type_pair_index(types[:, None], others, kinds).astype(jnp.int32)
