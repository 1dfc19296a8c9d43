"""The state of one simulated draw, and what its steps are made with: beads, box, forces, settings.

The box is periodic, of fixed size or the walker's own (`bayescg.dynamics.barostat`), or the system is open.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float, Int
from bayescg.dynamics.cell import Barostat, Cell
from bayescg.dynamics.gle import Bath
from bayescg.dynamics.neighbors import Neighbors, empty_neighbors, find_neighbors
from bayescg.dynamics.pair_forces import ForceField
from bayescg.dynamics.pairwise import PairBath, PairVariables, relist
from bayescg.interfaces import AbstractPotential, Observable, Topology


class Thermostat(eqx.Module):
    """What is the same for every draw of an ensemble.

    Attributes:
        temperature: K.
        timestep: ps.
        friction: gamma, or one over the relaxation time of another method, 1/ps; None where models have a
            memory or the energy is constant.
        skin: what the neighbour list reaches beyond the cutoff, nm.
        measure_every: steps between measurements.
        measurements: per record.
        recorded: what of every measured moment is handed out: nothing, "position", "velocity".
        method: "langevin", "nose-hoover", "csvr", or "none" for constant energy; a memory goes before it.
        conserved: components of the total momentum that stay zero.
        barostat: what the box is kept at; None for a box of fixed size.
    """

    temperature: float = eqx.field(static=True)
    timestep: float = eqx.field(static=True)
    friction: float | None = eqx.field(static=True)
    skin: float = eqx.field(static=True)
    measure_every: int = eqx.field(static=True)
    measurements: int = eqx.field(static=True)
    recorded: tuple[str, ...] = eqx.field(static=True, default=())
    method: str = eqx.field(static=True, default="langevin")
    conserved: int = eqx.field(static=True, default=0)
    barostat: Barostat | None = eqx.field(static=True, default=None)

    @property
    def record_steps(self) -> int:
        """Steps of one record."""
        return self.measure_every * self.measurements

    @property
    def interval(self) -> float:
        """Time between measurements, ps, without the rounding of a product of floats."""
        return float(f"{self.measure_every * self.timestep:.12g}")


class System(eqx.Module):
    """What the draws share of the beads.

    Attributes:
        topology: types, masses in amu, bonds.
        box: edge lengths, nm; None for an open system.
    """

    topology: Topology
    box: Float[Array, " dim"] | None


class Motion(eqx.Module):
    """What differs between draws: the terms of their equation of motion.

    Attributes:
        field: forces.
        bath: friction and noise with memory, of beads or of pairs; None for Langevin dynamics.
        potential: what `field` was made of, for observables that need it; None where there are none.
    """

    field: ForceField
    bath: Bath | PairBath | None = None
    potential: AbstractPotential | None = None

    @property
    def cutoff(self) -> float:
        """The largest distance at which beads act on each other, nm."""
        of_pairs = self.bath.cutoff if isinstance(self.bath, PairBath) else 0.0
        return max(self.field.cutoff, of_pairs)


class Walker(NamedTuple):
    """State of one draw between records; arrays and a key only, so that it can be checkpointed.

    Attributes:
        position: nm.
        momentum: amu nm/ps.
        force: kJ/mol/nm.
        auxiliary: variables of the memory: an array (bead, dim, mode), or `PairVariables`; or of a
            Nosé-Hoover chain (2, link).
        image: box in which the bead is, counted from the one it began in.
        rng: random key.
        step: steps taken.
        exploded: step at which the draw exploded, -1 for never.
        accumulators: one per observable over time.
        cell: box of its own; None where the size of the box is fixed or the system is open.
    """

    position: Float[Array, "bead dim"]
    momentum: Float[Array, "bead dim"]
    force: Float[Array, "bead dim"]
    auxiliary: Any
    image: Int[Array, "bead dim"]
    rng: Array
    step: Int[Array, ""]
    exploded: Int[Array, ""]
    accumulators: tuple[Any, ...]
    cell: Cell | None = None


Observables = Sequence[Observable]


def relisted(walker: Walker, motion: Motion, *, system: System, thermostat: Thermostat) -> Walker:
    """The walker with its pairs listed anew, where the memory is pairwise.

    Args:
        walker: state before.
        motion: the draw's forces and memory.
        system: beads and box.
        thermostat: settings.
    """
    if not isinstance(motion.bath, PairBath):
        return walker
    pairs = relist(
        motion.bath,
        walker.position,
        walker.auxiliary,
        box=box_like(system, walker.position),
        reach=motion.bath.cutoff + thermostat.skin,
        key=jax.random.fold_in(walker.rng, 1),
    )
    return walker._replace(auxiliary=pairs)


def crowded(walker: Walker) -> Array:
    """Whether there are more pairs at a bead than the lists of a pairwise memory hold.

    Args:
        walker: state.
    """
    pairs = walker.auxiliary
    if isinstance(pairs, PairVariables):
        return pairs.widest > pairs.partners.shape[1]
    return jnp.zeros((), bool)


def neighbors_of(
    positions: Float[Array, "bead dim"],
    field: ForceField,
    *,
    system: System,
    thermostat: Thermostat,
    capacity: int,
) -> Neighbors:
    """Neighbours within the cutoff and the skin; nobody where the cutoff is zero."""
    if field.cutoff == 0:
        return empty_neighbors(positions, capacity)
    return find_neighbors(
        positions,
        box=box_like(system, positions),
        topology=system.topology,
        reach=field.cutoff + thermostat.skin,
        capacity=capacity,
    )


def located(system: System, walker: Walker) -> System:
    """The system in the walker's own box, where it has one.

    Args:
        system: beads, and the box at the start.
        walker: state.
    """
    return system if walker.cell is None else System(system.topology, walker.cell.box)


def box_like(system: System, positions: Float[Array, "bead dim"]) -> Float[Array, " dim"] | None:
    """The box in the precision of the positions.

    Example:
        >>> nothing = jnp.zeros((0, 2), int)
        >>> beads = Topology(jnp.zeros(1, int), jnp.ones(1), jnp.zeros(1, int), nothing, ("A",))
        >>> box_like(System(beads, jnp.ones(3)), jnp.zeros((1, 3), jnp.float32)).dtype
        dtype('float32')
    """
    return None if system.box is None else system.box.astype(positions.dtype)
