"""Tabulated pair forces in machine code, called from jitted programs on a CPU.

    F_i = sum_j u'(r_ij) (x_j - x_i)/r_ij,

one bead after another over its row of neighbours: distance, place in the table, slope and sum in one pass of
vector instructions, without an array over all pairs. On one core 510 waters at 0.9 nm take 0.5 us a bead
where XLA's passes over (bead, neighbor) take 0.9, and 51,000 take 0.6 where XLA takes 3, being out of cache.
The list has its own numbers for beads (`bayescg.dynamics.neighbors`): were they the caller's, and those in no
order in space, 51,000 would take 0.7.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float, Int
from bayescg.dynamics.pair_tables import PairTable
from bayescg.numerics.foreign_calls import answered, argument, machine_code, matrix, register, result, vector

REORDERED = {"reassoc", "contract", "nsz", "arcp"}
"""What the compiler may do to sums and quotients; NaN and infinity keep their meaning."""


def loop_serves(table: PairTable, dtype: Any) -> bool:
    """Whether jaxlib takes the loop for tables of this kind.

    Args:
        table: its number of powers and of pairs of types matter.
        dtype: of the positions.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.dynamics.pair_tables import pair_table
        >>> loop_serves(pair_table(bcg.potentials.LennardJones([1.0], [0.3], 1.0, ("A",)), 1), jnp.float32)
        True
    """
    powers, one_kind = _kind(table)
    return register(_name(table, dtype), _handler(np.dtype(dtype).type, powers, one_kind), fastmath=REORDERED)


def loop_forces(
    table: PairTable,
    positions: Float[Array, "bead dim"],
    edges: Float[Array, " dim"],
    rows: Int[Array, "place neighbor"],
    pairs: Int[Array, "place neighbor"],
    order: Int[Array, " place"],
) -> Float[Array, "bead dim"]:
    """Force on every bead, kJ/mol/nm, in the precision of the positions.

    Args:
        table: of one pair potential.
        positions: nm; at most three components.
        edges: of the box, nm; zero where the system is open.
        rows: for every place the places of its neighbours, all padding at the end of a row.
        pairs: of types.
        order: the bead at every place.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.dynamics.pair_tables import pair_table
        >>> table = pair_table(bcg.potentials.LennardJones([0.997], [0.34], 1.2, ("Ar",)), 1)
        >>> x, other = jnp.array([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0]]), jnp.array([[1], [0]])
        >>> loop_forces(table, x, jnp.zeros(3), other, 0 * other, jnp.arange(2))[:, 0].round(0).tolist()
        [-547.0, 547.0]
    """
    dtype, (_, one_kind) = positions.dtype, _kind(table)
    beads, dims = positions.shape
    loop_serves(table, dtype)
    missing = ((0, 0), (0, 3 - dims))
    call = jax.ffi.ffi_call(
        _name(table, dtype), jax.ShapeDtypeStruct((beads, 3), dtype), vmap_method="sequential"
    )
    found = call(
        jnp.pad(positions, missing),
        jnp.pad(edges, missing[1]),
        rows.astype(jnp.int32),
        (pairs[:0] if one_kind else pairs).astype(jnp.int32),
        # a row of the table is contiguous
        table.slopes.T.astype(dtype),
        table.starts.astype(dtype),
        (1 / table.widths).astype(dtype),
        jnp.full(1, table.cutoff, dtype),
        order.astype(jnp.int32),
    )
    return found[:, :dims]


def _kind(table: PairTable) -> tuple[int, bool]:
    return table.slopes.shape[0], table.starts.size == 1


def _name(table: PairTable, dtype: Any) -> str:
    powers, one_kind = _kind(table)
    return f"bayescg_pair_forces_{np.dtype(dtype).name}_{powers}_{'one' if one_kind else 'many'}"


@machine_code
def _row_length(row: Any, beads: Any) -> Any:
    """Neighbours before the padding, by bisection."""
    low, high = 0, row.size
    while low < high:
        middle = (low + high) // 2
        if row[middle] < beads:
            low = middle + 1
        else:
            high = middle
    return low


@machine_code
def _setting_out(x: Any, edges: Any, order: Any) -> Any:
    """The columns of positions in order, and the inverse edges."""
    inverse = np.zeros(3, x.dtype)
    for a in range(3):
        if edges[a] != 0:
            inverse[a] = 1 / edges[a]
    xs, ys, zs = np.empty(order.size, x.dtype), np.empty(order.size, x.dtype), np.empty(order.size, x.dtype)
    for place in range(order.size):
        bead = order[place]
        xs[place], ys[place], zs[place] = x[bead, 0], x[bead, 1], x[bead, 2]
    return xs, ys, zs, inverse


@functools.cache
def _handler(dtype: Any, powers: int, one_kind: bool) -> Any:
    zero, one, half = dtype(0), dtype(1), dtype(0.5)

    def handler(frame: Any) -> Any:
        if answered(frame):
            return 0
        x, edges = matrix(argument(frame, 0), dtype), vector(argument(frame, 1), dtype)
        rows, pairs = matrix(argument(frame, 2), np.int32), matrix(argument(frame, 3), np.int32)
        table, starts = matrix(argument(frame, 4), dtype), vector(argument(frame, 5), dtype)
        finer, cutoff = vector(argument(frame, 6), dtype), vector(argument(frame, 7), dtype)[0]
        order = vector(argument(frame, 8), np.int32)
        forces, beads = matrix(result(frame, 0), dtype), x.shape[0]
        xs, ys, zs, inverse = _setting_out(x, edges, order)
        e0, e1, e2, i0, i1, i2 = edges[0], edges[1], edges[2], inverse[0], inverse[1], inverse[2]
        intervals = table.shape[0] // starts.size
        start, per_width, top = starts[0], finer[0], dtype(intervals) - half
        for i in range(beads):
            row, kinds = rows[i], rows[i] if one_kind else pairs[i]
            f0, f1, f2 = zero, zero, zero
            for q in range(_row_length(row, beads)):
                j, place = np.uint32(row[q]), np.uint32(0)
                s0, s1, s2 = xs[j] - xs[i], ys[j] - ys[i], zs[j] - zs[i]
                s0 -= e0 * np.rint(s0 * i0)
                s1 -= e1 * np.rint(s1 * i1)
                s2 -= e2 * np.rint(s2 * i2)
                squared = s0 * s0 + s1 * s1 + s2 * s2
                distance = np.sqrt(squared)
                if not one_kind:
                    start, per_width = starts[kinds[q]], finer[kinds[q]]
                    place = np.uint32(kinds[q] * intervals)
                s = (distance - start) * per_width
                above = s + one if s + one > zero else zero  # NaN: row 0, inside the table
                number = np.int32(above if above < top else top)
                place += np.uint32(number)
                t = s - dtype(max(number - 1, 0))
                slope = table[place, powers - 1]
                for power in range(powers - 2, -1, -1):
                    slope = table[place, power] + t * slope
                pull = slope / distance if (distance < cutoff) & (squared > zero) else zero
                f0 += pull * s0
                f1 += pull * s1
                f2 += pull * s2
            bead = order[i]
            forces[bead, 0], forces[bead, 1], forces[bead, 2] = f0, f1, f2
        return 0

    return handler
