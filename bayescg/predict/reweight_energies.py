"""Energies of one frame under many draws at the cost of one, and frames kept as they are measured.

Of pair potentials one histogram of distances (`potentials.distance_histogram`) serves all draws: one pass
over the pairs, then one product with a table of every draw. Other terms are evaluated draw after draw.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float, NumpyArray
from bayescg.dynamics.engine import stack
from bayescg.dynamics.neighbors import find_neighbors
from bayescg.interfaces import (
    AbstractObservable,
    AbstractPairPotential,
    AbstractPotential,
    AbstractTimeObservable,
    Configuration,
    Snapshot,
    Topology,
    Totals,
)
from bayescg.potentials.distance_histogram import (
    distance_histogram,
    histogram_nodes,
    pair_table,
    terms_of,
)


class DrawEnergies(eqx.Module):
    """Potential energy of a frame under every draw.

    Attributes:
        tables: u of every draw and pair of types at the nodes, kJ/mol; None without pair potentials.
        others: terms that are no pair potentials, every array with a leading draw axis.
        cutoff: the largest of all terms, nm.
    """

    tables: Float[Array, "draw type_pair node"] | None
    others: tuple[AbstractPotential, ...]
    cutoff: float = eqx.field(static=True)

    def __call__(self, configuration: Configuration) -> Float[Array, " draw"]:
        """Energies, kJ/mol, of a configuration with neighbours valid for the cutoff."""
        total = jnp.zeros(())
        if self.tables is not None:
            histogram = distance_histogram(configuration, self.cutoff)
            total += self.tables.reshape(self.tables.shape[0], -1) @ histogram
        for terms in self.others:
            total += jax.lax.map(lambda term: term.energy(configuration), terms)
        return total


def draw_energies(potentials: Sequence[AbstractPotential], kinds: int) -> DrawEnergies:
    """What gives the energies of all draws.

    Args:
        potentials: one per draw, alike but for their numbers.
        kinds: number of bead types.

    Example:
        >>> import bayescg as bcg
        >>> argon = [bcg.potentials.LennardJones([e], [0.34], 1.2, ("Ar",)) for e in (0.9, 1.1)]
        >>> draw_energies(argon, 1).tables.shape
        (2, 1, 4097)
    """
    terms = [terms_of(potential) for potential in potentials]
    cutoff = float(potentials[0].cutoff)
    columns = [list(column) for column in zip(*terms, strict=True)]
    pairwise = [column for column in columns if isinstance(column[0], AbstractPairPotential)]
    others = tuple(stack(column) for column in columns if not isinstance(column[0], AbstractPairPotential))
    tables = None
    for column in pairwise:
        found = _tabulated(stack(column), cutoff, kinds)
        tables = found if tables is None else tables + found
    return DrawEnergies(tables, others, cutoff)


class Frames(AbstractTimeObservable):
    """Every measured frame by itself: observables of single moments and the energies of all draws.

    Attributes:
        observables: prepared.
        energies: of all draws.
        topology: of the beads.
        box: edge lengths, nm; None for an open system.
        kept: frames of a record.
        capacity: neighbours of one bead, at most.
        dims: components of a position.
        name: "frames".
        units: mixed.
        quantity: positions are all it needs.
    """

    observables: tuple[AbstractObservable, ...]
    energies: DrawEnergies
    topology: Topology
    box: Float[Array, " dim"] | None
    kept: int = eqx.field(static=True)
    capacity: int = eqx.field(static=True)
    dims: int = eqx.field(static=True)
    name: str = eqx.field(static=True, default="frames", init=False)
    units: str = eqx.field(static=True, default="mixed", init=False)
    quantity: str = eqx.field(static=True, default="position", init=False)

    def prepare(self, topology: Topology, interval: float) -> "Frames":
        """Nothing is left to fix."""
        return self

    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """Moments of a record, and the numbers of one frame."""
        return {"moment": np.arange(self.kept), "number": np.arange(self.size)}

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the observables."""
        configuration = self._configuration(jnp.zeros(self._places))
        return [jax.eval_shape(o.measure, configuration).shape for o in self.observables]

    @property
    def size(self) -> int:
        """Numbers of one frame: observables one after another, energies, widest row of neighbours."""
        draws = jax.eval_shape(self.energies, self._configuration(jnp.zeros(self._places))).shape[0]
        return sum(int(np.prod(shape)) for shape in self.shapes) + draws + 1

    def begin(self, beads: int, dims: int) -> tuple[Array, Array]:
        """No frame yet."""
        return jnp.zeros((self.kept, self.size)), jnp.zeros((), jnp.int32)

    def update(self, accumulator: tuple[Array, Array], snapshot: Snapshot) -> tuple[Array, Array]:
        """One frame more."""
        rows, count = accumulator
        return rows.at[count].set(self.measure(snapshot.positions)), count + 1

    def totals(self, accumulator: tuple[Array, Array]) -> Totals:
        """The frames, each with weight one."""
        rows, count = accumulator
        there = jnp.arange(self.kept) < count
        return Totals(rows, jnp.broadcast_to(there[:, None], rows.shape).astype(float))

    def restart(self, accumulator: tuple[Array, Array]) -> tuple[Array, Array]:
        """No frame again."""
        rows, count = accumulator
        return jnp.zeros_like(rows), jnp.zeros_like(count)

    def measure(self, positions: Float[Array, "bead dim"]) -> Float[Array, " number"]:
        """The numbers of one frame; pure.

        Args:
            positions: nm.
        """
        configuration = self._configuration(positions)
        widest = jnp.zeros((), jnp.int32)
        if self.energies.cutoff > 0:
            near = find_neighbors(
                positions,
                box=self.box,
                topology=self.topology,
                reach=self.energies.cutoff,
                capacity=self.capacity,
            )
            widest = near.widest
            configuration = eqx.tree_at(lambda c: c.neighbors, configuration, near.indices)
        parts = [jnp.ravel(jnp.asarray(o.measure(configuration), float)) for o in self.observables]
        return jnp.concatenate([*parts, self.energies(configuration), widest[None].astype(float)])

    @property
    def _places(self) -> tuple[int, int]:
        return self.topology.masses.shape[0], self.dims

    def _configuration(self, positions: Array) -> Configuration:
        nobody = jnp.zeros((positions.shape[0], 0), jnp.int32)
        return Configuration(positions, self.box, nobody, self.topology)


def split_frames(
    numbers: NumpyArray, shapes: Sequence[tuple[int, ...]]
) -> tuple[list[NumpyArray], NumpyArray]:
    """Observables (each (frame, ...)) and energies (frame, draw), of frames as `Frames.measure` gives them.

    Args:
        numbers: (frame, number).
        shapes: `Frames.shapes`.

    Example:
        >>> curves, energies = split_frames(np.arange(12.0).reshape(2, 6), [(2,)])
        >>> curves[0].tolist(), energies.shape
        ([[0.0, 1.0], [6.0, 7.0]], (2, 3))
    """
    observables, place = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        observables.append(numbers[:, place : place + size].reshape(-1, *shape))
        place += size
    return observables, numbers[:, place:-1]


@eqx.filter_jit
def _tabulated(potentials: Any, cutoff: float, kinds: int) -> Array:
    """Pair energies of every draw at the nodes, (draw, type_pair, node)."""
    nodes = histogram_nodes(cutoff)
    return jax.lax.map(lambda potential: pair_table(potential, nodes, kinds), potentials)
