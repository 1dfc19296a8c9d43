"""Which beads are within a distance of each other: for observables, whose cutoff is their own."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, positive
from bayescg._typing import Array, Float, Int
from bayescg.interfaces import Configuration


def check_reach(name: str, reach: float, box: Any) -> float:
    """The distance, if it is positive and every pair has one image within it.

    Args:
        name: of the argument.
        reach: nm.
        box: edge lengths, nm, (dim,) or (frame, dim); None for an open system.

    Raises:
        BayescgError: it is not positive, or beyond half the shortest edge.

    Example:
        >>> check_reach("cutoff", 0.5, np.ones(3))
        0.5
    """
    reach = positive(name, reach, unit="nm")
    half = np.inf if box is None else 0.5 * float(np.min(np.asarray(box)))
    if reach > half * (1 + 1e-6):
        raise BayescgError(
            f"{name} must be at most half the shortest box edge, got {reach} nm against {half:.4f} nm. "
            "Take a shorter one."
        )
    return reach


def displacements_to(
    configuration: Configuration, others: Int[Array, "bead *slot"]
) -> Float[Array, "bead *slot dim"]:
    """From every bead to others, by the nearest image, nm.

    Args:
        configuration: of the beads.
        others: indices of beads, in range.

    Example:
        >>> from bayescg.interfaces import Topology
        >>> beads = Topology(jnp.zeros(2, int), jnp.ones(2), jnp.arange(2), jnp.zeros((0, 2), int), ("A",))
        >>> nobody = jnp.zeros((2, 0), int)
        >>> line = Configuration(jnp.array([[0.0], [1.75]]), jnp.array([2.0]), nobody, beads)
        >>> displacements_to(line, jnp.array([1, 0])).ravel().tolist()
        [-0.25, 0.25]
    """
    x, box = configuration.positions, configuration.box
    columns = []
    # one component after another: arrays stay contiguous, and gathers are fast
    for axis in range(x.shape[1]):
        column = x[:, axis]
        here = column.reshape(-1, *[1] * (others.ndim - 1))
        step = column.at[others].get(mode="promise_in_bounds") - here
        columns.append(step if box is None else step - box[axis] * jnp.round(step / box[axis]))
    return jnp.stack(columns, axis=-1)


def neighbor_rows(
    configuration: Configuration, *, cutoff: float, capacity: int
) -> tuple[Int[Array, "bead slot"], Int[Array, " bead"]]:
    """For every bead the beads within a distance, ascending, and how many there are.

    Slots beyond that number hold zero. Where it exceeds the capacity the row is incomplete.

    Args:
        configuration: of the beads; excluded pairs are neighbours too.
        cutoff: nm.
        capacity: slots of every bead.

    Example:
        >>> from bayescg.interfaces import Topology
        >>> beads = Topology(jnp.zeros(3, int), jnp.ones(3), jnp.arange(3), jnp.zeros((0, 2), int), ("A",))
        >>> line = Configuration(jnp.array([[0.0], [0.1], [0.9]]), None, jnp.zeros((3, 0), int), beads)
        >>> rows, counts = neighbor_rows(line, cutoff=0.3, capacity=1)
        >>> rows.tolist(), counts.tolist()
        ([[1], [0], [0]], [1, 1, 0])
    """
    beads = configuration.positions.shape[0]
    here = jnp.arange(beads, dtype=jnp.int32)

    def append(bead: Array, found: tuple[Array, Array]) -> tuple[Array, Array]:
        rows, counts = found
        step = displacements_to(configuration, jnp.full(beads, bead, jnp.int32))
        near = (jnp.sum(step**2, axis=-1) < cutoff**2) & (here != bead)
        # written whether near or not; the count goes on only where near, so the next one overwrites
        rows = rows.at[here, jnp.minimum(counts, capacity)].set(
            bead.astype(jnp.int32), mode="promise_in_bounds", unique_indices=True
        )
        return rows, counts + near

    # one column more than asked for takes what does not fit
    begin = jnp.zeros((beads, capacity + 1), jnp.int32), jnp.zeros(beads, jnp.int32)
    rows, counts = jax.lax.fori_loop(0, beads, append, begin)
    filled = jnp.arange(capacity) < counts[:, None]
    return rows[:, :capacity] * filled, counts
