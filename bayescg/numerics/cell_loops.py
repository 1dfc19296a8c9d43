"""Which beads are near which, by cells, in machine code called from jitted programs: cost linear in beads.

Space is divided into cells of half the reach or a little more, so that whatever is near a bead lies at most
two cells away along every axis. The beads around a cell are collected once for all beads of that cell, into
columns that are compared with vector instructions. A box of less than five cells along an axis is one in
which all of them are near: no box is too small. Along an axis with an edge of zero the system is open, and
the cells cover the beads there are.

Nothing here depends on the box at compile time: it may change from call to call.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float, Int
from bayescg.numerics.foreign_calls import answered, argument, machine_code, matrix, register, result, vector

ROUNDING = 1.00001
"""Factor on the size of a cell, so that rounding in float32 never puts near beads three cells apart."""


def search_served(dtype: Any) -> bool:
    """Whether jaxlib takes the search for neighbours.

    Args:
        dtype: of the positions.

    Example:
        >>> search_served(jnp.float32)
        True
    """
    return register(_name("neighbors", dtype), _neighbors_handler(np.dtype(dtype).type))


def counting_served(dtype: Any) -> bool:
    """Whether jaxlib takes the count of pairs.

    Args:
        dtype: of the positions.

    Example:
        >>> counting_served(jnp.float32)
        True
    """
    return register(_name("pair_counts", dtype), _counts_handler(np.dtype(dtype).type))


def neighbors_in_cells(
    positions: Float[Array, "bead dim"],
    edges: Float[Array, " dim"],
    excluded: Int[Array, "bead partner"],
    *,
    reach: float,
    capacity: int,
) -> tuple[Int[Array, "bead neighbor"], Int[Array, ""], Int[Array, " bead"]]:
    """Neighbours of every bead, all beads numbered in the order of cells; rows end with the number of beads.

    Also the length of the longest row, and the bead of every number. Beads that are near each other have near
    numbers, so a loop over the rows finds coordinates that it took in that order in the cache.

    Args:
        positions: nm; at most three components.
        edges: of the box, nm; zero where the system is open.
        excluded: beads that are no neighbours of a bead, padded with the number of beads.
        reach: nm.
        capacity: width of the rows.

    Example:
        >>> line = jnp.array([[0.0], [0.1], [0.9]])
        >>> nobody = jnp.zeros((3, 0), jnp.int32)
        >>> rows, widest, beads = neighbors_in_cells(line[::-1], jnp.zeros(1), nobody, reach=0.3, capacity=2)
        >>> rows.tolist(), int(widest), beads.tolist()
        ([[1, 3], [0, 3], [3, 3]], 1, [1, 2, 0])
    """
    beads, dtype = positions.shape[0], positions.dtype
    search_served(dtype)
    shapes = [jax.ShapeDtypeStruct(shape, jnp.int32) for shape in ((beads, capacity), (1,), (beads,))]
    call = jax.ffi.ffi_call(_name("neighbors", dtype), shapes, vmap_method="sequential")
    rows, widest, numbered = call(
        _spatial(positions), _spatial(edges), jnp.full(1, reach, dtype), excluded.astype(jnp.int32)
    )
    return rows, widest[0], numbered


def pair_counts_in_cells(
    positions: Float[Array, "bead dim"],
    edges: Float[Array, " dim"],
    types: Int[Array, " bead"],
    kinds: Int[Array, "type type"],
    molecules: Int[Array, " bead"],
    *,
    maximum: float,
    bins: int,
) -> Int[Array, "kind bin"]:
    """How many pairs of every kind lie in every bin of distance.

    Args:
        positions: nm; at most three components.
        edges: of the box, nm; zero where the system is open.
        types: of the beads.
        kinds: number of the pair of types, for both orders.
        molecules: pairs within one are not counted.
        maximum: distance at which the last bin ends, nm.
        bins: number of equal bins from zero.

    Example:
        >>> line, zeros = jnp.array([[0.0], [0.15], [0.62]]), jnp.zeros(3, jnp.int32)
        >>> one = jnp.zeros((1, 1), jnp.int32)
        >>> pair_counts_in_cells(line, jnp.ones(1), zeros, one, jnp.arange(3), maximum=0.5, bins=5).tolist()
        [[0, 1, 0, 1, 1]]
    """
    dtype = positions.dtype
    counting_served(dtype)
    number = kinds.shape[0] * (kinds.shape[0] + 1) // 2
    shape = jax.ShapeDtypeStruct((number, bins), jnp.int32)
    call = jax.ffi.ffi_call(_name("pair_counts", dtype), shape, vmap_method="sequential")
    scale = jnp.asarray([maximum, bins / maximum], dtype)
    indices = (values.astype(jnp.int32) for values in (types, kinds, molecules))
    return call(_spatial(positions), _spatial(edges), scale, *indices)


def _name(what: str, dtype: Any) -> str:
    return f"bayescg_{what}_{np.dtype(dtype).name}"


def _spatial(values: Array) -> Array:
    """With three components; those that were missing are zero."""
    missing = 3 - values.shape[-1]
    return jnp.pad(values, ((0, 0),) * (values.ndim - 1) + ((0, missing),)) if missing else values


@machine_code
def _extents(x: Any, edges: Any, reach: Any) -> Any:
    """Along every axis: where cells begin, how far they extend, and how many there are."""
    beads = x.shape[0]
    origin, length, numbers = np.zeros(3, x.dtype), np.ones(3, x.dtype), np.ones(3, np.int64)
    for a in range(3):
        length[a] = edges[a]
        if edges[a] == 0 and beads > 0:
            origin[a] = x[:, a].min()
            length[a] = x[:, a].max() - origin[a]
        ratio = length[a] / (0.5 * reach * ROUNDING)
        if np.isfinite(ratio):
            numbers[a] = max(1, int(min(ratio, 1e6)))
    while numbers[0] * numbers[1] * numbers[2] > 2 * beads + 64:  # few beads in much space
        a = np.argmax(numbers)
        numbers[a] = (numbers[a] + 1) // 2
    return origin, length, numbers


@machine_code
def _fill_cells(x: Any, edges: Any, origin: Any, length: Any, numbers: Any) -> Any:
    """Where every cell begins among beads in the order of cells, that order, and positions in it."""
    beads = x.shape[0]
    starts = np.zeros(numbers[0] * numbers[1] * numbers[2] + 2, np.int32)
    cell_of, order = np.empty(beads, np.int32), np.empty(beads, np.int32)
    for i in range(beads):
        cell = 0
        for a in range(3):
            fraction = (x[i, a] - origin[a]) / length[a] if length[a] > 0 else x[i, a] * 0
            if edges[a] != 0:
                fraction -= np.floor(fraction)
            cell = cell * numbers[a] + min(max(int(fraction * numbers[a]), 0), numbers[a] - 1)
        cell_of[i] = cell
        starts[cell + 2] += 1
    for cell in range(starts.size - 1):
        starts[cell + 1] += starts[cell]
    for i in range(beads):
        place = starts[cell_of[i] + 1]
        order[place] = i
        starts[cell_of[i] + 1] += 1
    return starts, order, x[order]


@machine_code
def _window(centre: Any, number: Any, periodic: Any) -> Any:
    """The first of the cells around one, along an axis, and how many there are."""
    if periodic:
        return centre - 2, min(5, number)
    first = max(centre - 2, 0)
    return first, min(centre + 3, number) - first


@machine_code
def _collect(
    x: Any, edges: Any, numbers: Any, cell: Any, lowest: Any, starts: Any, columns: Any, places: Any
) -> Any:
    """Beads of the cells around one, from the lowest number on; where its own begin, and how many."""
    c2, rest = cell % numbers[2], cell // numbers[2]
    c1, c0 = rest % numbers[1], rest // numbers[1]
    f0, w0 = _window(c0, numbers[0], edges[0] != 0)
    f1, w1 = _window(c1, numbers[1], edges[1] != 0)
    f2, w2 = _window(c2, numbers[2], edges[2] != 0)
    found, own = 0, 0
    for a in range(f0, f0 + w0):
        for b in range(f1, f1 + w1):
            row = ((a % numbers[0]) * numbers[1] + b % numbers[1]) * numbers[2]
            for c in range(f2, f2 + w2):
                other = row + c % numbers[2]
                if other < lowest:
                    continue
                if other == cell:
                    own = found
                for place in range(starts[other], starts[other + 1]):
                    places[found] = place
                    for k in range(3):
                        columns[k, found] = x[place, k]
                    found += 1
    return own, found


@machine_code
def _squares(point: Any, columns: Any, number: Any, edges: Any, inverse: Any, squared: Any) -> None:
    """Squared distances of a point from the first beads of the columns."""
    x, y, z = point[0], point[1], point[2]
    e0, e1, e2 = edges[0], edges[1], edges[2]
    i0, i1, i2 = inverse[0], inverse[1], inverse[2]
    for q in range(number):
        s0, s1, s2 = columns[0, q] - x, columns[1, q] - y, columns[2, q] - z
        s0 -= e0 * np.rint(s0 * i0)
        s1 -= e1 * np.rint(s1 * i1)
        s2 -= e2 * np.rint(s2 * i2)
        squared[q] = s0 * s0 + s1 * s1 + s2 * s2


@machine_code
def _inverse(edges: Any) -> Any:
    inverse = np.zeros(3, edges.dtype)
    for a in range(3):
        if edges[a] != 0:
            inverse[a] = 1 / edges[a]
    return inverse


@machine_code
def _without(near: Any, number: Any, excluded: Any) -> Any:
    """Takes excluded beads out of the first of a list, and returns how many are left."""
    for bead in excluded:
        for q in range(number):
            if near[q] == bead:
                number -= 1
                near[q:number] = near[q + 1 : number + 1]
                break
    return number


@machine_code
def _neighbors(x: Any, edges: Any, reach: Any, excluded: Any, rows: Any, order: Any) -> Any:
    """Fills the rows and the order of beads, and returns the length of the longest row."""
    beads, capacity = rows.shape
    origin, length, numbers = _extents(x, edges, reach)
    starts, order[:], x = _fill_cells(x, edges, origin, length, numbers)
    place_of = np.full(beads + 1, beads, np.int32)
    place_of[order] = np.arange(beads)
    columns, places = np.empty((3, beads), x.dtype), np.empty(beads, np.int32)
    squared, near = np.empty(beads, x.dtype), np.empty(beads + 1, np.int32)
    inverse, limit, widest = _inverse(edges), reach * reach, 0
    for cell in range(starts.size - 2):
        if starts[cell] == starts[cell + 1]:
            continue
        own, number = _collect(x, edges, numbers, cell, 0, starts, columns, places)
        for i in range(starts[cell], starts[cell + 1]):
            _squares(x[i], columns, number, edges, inverse, squared)
            squared[own + i - starts[cell]] = np.inf
            found = np.uintp(0)
            for q in range(number):  # every place is written, the next one overwrites a miss
                near[found] = places[q]
                found += np.uintp(squared[q] < limit)
            kept = _without(near, np.int64(found), place_of[excluded[order[i]]])
            widest = max(widest, kept)
            rows[i] = beads
            rows[i, : min(kept, capacity)] = near[: min(kept, capacity)]
    return widest


@machine_code
def _counts(x: Any, edges: Any, scale: Any, types: Any, kinds: Any, molecules: Any, counts: Any) -> None:
    """Adds one for every pair of beads, not of one molecule, that lies in a bin."""
    beads, bins = x.shape[0], counts.shape[1]
    origin, length, numbers = _extents(x, edges, scale[0])
    starts, order, x = _fill_cells(x, edges, origin, length, numbers)
    types, molecules = types[order], molecules[order]
    columns, places = np.empty((3, beads), x.dtype), np.empty(beads, np.int32)
    squared, near, inverse = np.empty(beads, x.dtype), np.empty(beads + 1, np.int32), _inverse(edges)
    for cell in range(starts.size - 2):
        if starts[cell] == starts[cell + 1]:
            continue
        # a pair of cells is visited from the one of lower number
        own, number = _collect(x, edges, numbers, cell, cell, starts, columns, places)
        for i in range(starts[cell], starts[cell + 1]):
            found = np.uintp(0)
            _squares(x[i], columns, number, edges, inverse, squared)
            squared[own : own + i - starts[cell] + 1] = np.inf
            for q in range(number):
                squared[q] = np.sqrt(squared[q]) * scale[1]
            for q in range(number):
                near[found] = q
                found += np.uintp(squared[q] < bins)
            for q in near[:found]:
                j = places[q]
                if molecules[j] != molecules[i]:
                    counts[kinds[types[i], types[j]], int(squared[q])] += 1


@functools.cache
def _neighbors_handler(dtype: Any) -> Any:
    def handler(frame: Any) -> Any:
        if answered(frame):
            return 0
        x, edges = matrix(argument(frame, 0), dtype), vector(argument(frame, 1), dtype)
        reach, excluded = vector(argument(frame, 2), dtype)[0], matrix(argument(frame, 3), np.int32)
        rows, order = matrix(result(frame, 0), np.int32), vector(result(frame, 2), np.int32)
        vector(result(frame, 1), np.int32)[0] = _neighbors(x, edges, reach, excluded, rows, order)
        return 0

    return handler


@functools.cache
def _counts_handler(dtype: Any) -> Any:
    def handler(frame: Any) -> Any:
        if answered(frame):
            return 0
        x, edges = matrix(argument(frame, 0), dtype), vector(argument(frame, 1), dtype)
        scale, types = vector(argument(frame, 2), dtype), vector(argument(frame, 3), np.int32)
        kinds, molecules = matrix(argument(frame, 4), np.int32), vector(argument(frame, 5), np.int32)
        counts = matrix(result(frame, 0), np.int32)
        counts[:] = 0
        _counts(x, edges, scale, types, kinds, molecules, counts)
        return 0

    return handler
