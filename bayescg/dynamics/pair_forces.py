"""Forces of one draw's potential, split into what a table can do and what it cannot.

    F_i = sum_j u'(r_ij) (x_j - x_i)/r_ij     over the neighbours j of bead i,

from tables of u'. Each pair is visited from both sides: that doubles the arithmetic and saves the
scatter, which costs more. On a CPU this is a loop in machine code (`pair_loops`). Elsewhere, and beyond three
dimensions, it is written in arrays: components are gathered one by one, so that every array of the step
loop is (bead, neighbor) and contiguous.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.dynamics.neighbors import Neighbors
from bayescg.dynamics.pair_tables import PairTable, pair_table
from bayescg.interfaces import (
    AbstractPairPotential,
    AbstractPotential,
    Configuration,
    LinearSum,
    Sum,
    Topology,
)


class ForceField(eqx.Module):
    """A potential as the step loop wants it.

    Attributes:
        tables: one per pair potential of the sum.
        others: potentials that give their own forces.
        cutoff: the largest of all, nm.
    """

    tables: tuple[PairTable, ...]
    others: tuple[AbstractPotential, ...]
    cutoff: float = eqx.field(static=True)


def force_field(potential: AbstractPotential, kinds: int) -> ForceField:
    """Turn every pair term into a table, once, outside the step loop.

    Args:
        potential: one term or a sum.
        kinds: number of bead types.

    Example:
        >>> import bayescg as bcg
        >>> field = force_field(bcg.potentials.LennardJones([0.997], [0.34], 1.2, ("Ar",)), 1)
        >>> len(field.tables), len(field.others)
        (1, 0)
    """
    terms = potential.terms if isinstance(potential, Sum | LinearSum) else (potential,)
    tables = tuple(pair_table(term, kinds) for term in terms if isinstance(term, AbstractPairPotential))
    others = tuple(term for term in terms if not isinstance(term, AbstractPairPotential))
    return ForceField(tables, others, potential.cutoff)


def forces(
    field: ForceField,
    positions: Float[Array, "bead dim"],
    *,
    box: Float[Array, " dim"] | None,
    neighbors: Neighbors,
    topology: Topology,
) -> Float[Array, "bead dim"]:
    """Force on every bead, kJ/mol/nm, in the precision of the positions.

    Args:
        field: from `force_field`.
        positions: nm.
        box: edge lengths, nm; None for an open system.
        neighbors: a list that is valid at these positions.
        topology: for potentials that give their own forces.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.dynamics.neighbors import find_neighbors
        >>> field = force_field(bcg.potentials.LennardJones([0.997], [0.34], 1.2, ("Ar",)), 1)
        >>> pair = Topology(jnp.zeros(2, int), jnp.ones(2), jnp.arange(2), jnp.zeros((0, 2), int), ("Ar",))
        >>> x = jnp.array([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0]])
        >>> near = find_neighbors(x, box=None, topology=pair, reach=1.2, capacity=1)
        >>> forces(field, x, box=None, neighbors=near, topology=pair)[:, 0].round(0).tolist()
        [-547.0, 547.0]
    """
    arguments = field.tables, positions, box, neighbors
    if not field.tables:
        total = jnp.zeros_like(positions)
    elif _loops_served(field.tables, positions):
        total = jax.lax.platform_dependent(*arguments, cpu=_in_loops, default=_in_arrays)
    else:
        total = _in_arrays(*arguments)
    for potential in field.others:
        configuration = Configuration(positions, box, neighbors.indices, topology)
        total += potential.forces(configuration).astype(positions.dtype)
    return total


def _loops_served(tables: tuple[PairTable, ...], positions: Array) -> bool:
    # numba is imported here, by the first force of a process
    from bayescg.dynamics.pair_loops import loop_serves

    usual = positions.dtype in (jnp.float32, jnp.float64) and positions.shape[1] <= 3
    return usual and positions.size > 0 and all(loop_serves(table, positions.dtype) for table in tables)


def _in_loops(
    tables: tuple[PairTable, ...], positions: Array, box: Array | None, neighbors: Neighbors
) -> Array:
    from bayescg.dynamics.pair_loops import loop_forces

    edges = jnp.zeros(positions.shape[1], positions.dtype) if box is None else box.astype(positions.dtype)
    lists = neighbors.rows, neighbors.pairs, neighbors.order
    first, *rest = (loop_forces(table, positions, edges, *lists) for table in tables)
    return sum(rest, start=first)


def _in_arrays(
    tables: tuple[PairTable, ...], positions: Array, box: Array | None, neighbors: Neighbors
) -> Array:
    beads = positions.shape[0]
    other = jnp.minimum(neighbors.rows, beads - 1)
    displacements, squared = [], jnp.zeros(other.shape, positions.dtype)
    for axis in range(positions.shape[1]):
        column = positions[:, axis].at[neighbors.order].get(mode="promise_in_bounds")
        step = column.at[other].get(mode="promise_in_bounds") - column[:, None]
        if box is not None:
            step -= box[axis] * jnp.round(step / box[axis])
        displacements.append(step)
        squared += step * step
    present = (neighbors.rows < beads) & (squared > 0)
    distance = jnp.sqrt(jnp.where(present, squared, 1.0))
    slope = jnp.zeros_like(squared)
    for table in tables:
        within = present & (distance < table.cutoff)
        slope += jnp.where(within, table.slope(distance, neighbors.pairs), 0.0)
    pull = slope / distance
    found = jnp.stack([jnp.sum(pull * step, axis=1) for step in displacements], axis=1)
    return jnp.zeros_like(found).at[neighbors.order].set(found, mode="promise_in_bounds", unique_indices=True)
