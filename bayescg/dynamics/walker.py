"""The state of one simulated draw, and the step that moves it.

Without a memory, jax-md's Langevin integrator,

    dx = v dt,     m dv = (F - m gamma v) dt + sqrt(2 m gamma k_B T) dW;

with one, the generalized Langevin equation of `gle`. Both are BAOAB splittings, in a periodic box or
an open system.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float, Int
from bayescg.dynamics.gle import Bath, GLEState, gle
from bayescg.dynamics.neighbors import Neighbors, empty_neighbors, find_neighbors
from bayescg.dynamics.pair_forces import ForceField, forces
from bayescg.dynamics.pairwise import PairBath, PairVariables, no_pairs, pairwise_gle, relist
from bayescg.interfaces import AbstractObservable, AbstractTimeObservable, Topology
from bayescg.units import thermal_energy


class Thermostat(eqx.Module):
    """What is the same for every draw of an ensemble.

    Attributes:
        temperature: K.
        timestep: ps.
        friction: gamma, 1/ps; None where models have a memory.
        skin: what the neighbour list reaches beyond the cutoff, nm.
        measure_every: steps between measurements.
        measurements: per record.
    """

    temperature: float = eqx.field(static=True)
    timestep: float = eqx.field(static=True)
    friction: float | None = eqx.field(static=True)
    skin: float = eqx.field(static=True)
    measure_every: int = eqx.field(static=True)
    measurements: int = eqx.field(static=True)

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
    """

    field: ForceField
    bath: Bath | PairBath | None = None

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
        auxiliary: variables of the memory: an array (bead, dim, mode), or `PairVariables`.
        image: box in which the bead is, counted from the one it began in.
        rng: random key.
        step: steps taken.
        exploded: step at which the draw exploded, -1 for never.
        accumulators: one per observable over time.
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


Observables = Sequence[AbstractObservable | AbstractTimeObservable]


def begin(
    positions: Float[Array, "bead dim"],
    key: Array,
    motion: Motion,
    *,
    system: System,
    thermostat: Thermostat,
    observables: Observables,
    capacity: int,
) -> tuple[Walker, Int[Array, ""]]:
    """Walker at these positions, all else at equilibrium, and the widest row of its neighbour list.

    Args:
        positions: nm.
        key: random key.
        motion: the draw's forces and memory.
        system: beads and box.
        thermostat: settings.
        observables: those over time get their accumulators.
        capacity: width of the neighbour matrix.
    """
    neighbors = neighbors_of(positions, motion.field, system=system, thermostat=thermostat, capacity=capacity)
    init, _ = integrator(motion, system, thermostat)
    mass = system.topology.masses.astype(positions.dtype)
    state = init(key, _wrapped(positions, box_like(system, positions)), mass=mass, neighbors=neighbors)
    auxiliary = jnp.zeros((*positions.shape, 0), positions.dtype)
    if isinstance(motion.bath, PairBath):
        auxiliary = no_pairs(motion.bath, positions)
    walker = Walker(
        state.position,
        state.momentum,
        state.force,
        state.auxiliary if isinstance(state, GLEState) else auxiliary,
        jnp.zeros(positions.shape, jnp.int32),
        state.rng,
        jnp.zeros((), jnp.int32),
        jnp.full((), -1, jnp.int32),
        tuple(o.begin(*positions.shape) for o in observables if isinstance(o, AbstractTimeObservable)),
    )
    return walker, neighbors.widest


def integrator(
    motion: Motion, system: System, thermostat: Thermostat
) -> tuple[Callable[..., Any], Callable[[Walker, Neighbors], Walker]]:
    """How a draw begins, and how it takes one step with a neighbour list.

    References:
        B. Leimkuhler, C. Matthews, Appl. Math. Res. Express 2013, 34 (2013), doi:10.1093/amrx/abs010.
    """
    from jax_md import simulate

    def force(positions: Array, *, neighbors: Neighbors) -> Array:
        box = box_like(system, positions)
        return forces(motion.field, positions, box=box, neighbors=neighbors, topology=system.topology)

    def shift(positions: Array, step: Array, **_: Any) -> Array:
        return _wrapped(positions + step, box_like(system, positions))

    def mass(walker: Walker) -> Array:
        return system.topology.masses.astype(walker.position.dtype)

    if isinstance(motion.bath, Bath):
        init, apply = gle(force, shift, timestep=thermostat.timestep, bath=motion.bath)

        def with_memory(walker: Walker, neighbors: Neighbors) -> Walker:
            old = GLEState(walker.position, walker.momentum, walker.force, walker.auxiliary, walker.rng)
            new = apply(old, mass=mass(walker), neighbors=neighbors)
            return walker._replace(**new._asdict())

        return init, with_memory

    init, apply = simulate.nvt_langevin(
        force,
        shift,
        dt=thermostat.timestep,
        kT=thermal_energy(thermostat.temperature),
        gamma=thermostat.friction or 0.0,
    )

    if isinstance(motion.bath, PairBath):
        # momenta begin as Langevin's do
        return init, _with_pairs(motion.bath, force, shift, system, thermostat)

    def langevin(walker: Walker, neighbors: Neighbors) -> Walker:
        make = cast(Any, simulate.NVTLangevinState)
        old = make(walker.position, walker.momentum, walker.force, mass(walker)[:, None], walker.rng)
        new = cast(Any, apply)(old, neighbors=neighbors)
        return walker._replace(position=new.position, momentum=new.momentum, force=new.force, rng=new.rng)

    return init, langevin


def _with_pairs(
    bath: PairBath,
    force: Callable[..., Array],
    shift: Callable[[Array, Array], Array],
    system: System,
    thermostat: Thermostat,
) -> Callable[[Walker, Neighbors], Walker]:
    def step(walker: Walker, neighbors: Neighbors) -> Walker:
        box = box_like(system, walker.position)
        apply = pairwise_gle(force, shift, timestep=thermostat.timestep, bath=bath, box=box)
        old = GLEState(walker.position, walker.momentum, walker.force, walker.auxiliary, walker.rng)
        mass = system.topology.masses.astype(walker.position.dtype)
        return walker._replace(**apply(old, mass=mass, neighbors=neighbors)._asdict())

    return step


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


def box_like(system: System, positions: Float[Array, "bead dim"]) -> Float[Array, " dim"] | None:
    """The box in the precision of the positions.

    Example:
        >>> nothing = jnp.zeros((0, 2), int)
        >>> beads = Topology(jnp.zeros(1, int), jnp.ones(1), jnp.zeros(1, int), nothing, ("A",))
        >>> box_like(System(beads, jnp.ones(3)), jnp.zeros((1, 3), jnp.float32)).dtype
        dtype('float32')
    """
    return None if system.box is None else system.box.astype(positions.dtype)


def _wrapped(positions: Array, box: Array | None) -> Array:
    """Into [0, box): float32 keeps its precision however far a bead diffuses."""
    return positions if box is None else positions - box * jnp.floor(positions / box)
