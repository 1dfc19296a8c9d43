"""How a draw begins, and how it takes a step.

Without a memory, jax-md's Langevin integrator,

    dx = v dt,     m dv = (F - m gamma v) dt + sqrt(2 m gamma k_B T) dW,

or one of `bayescg.dynamics.thermostats`; with one, the generalized Langevin equation of
`bayescg.dynamics.gle` or `bayescg.dynamics.pairwise`. Langevin's are BAOAB splittings.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float, Int
from bayescg.dynamics.cell import new_cell
from bayescg.dynamics.gle import Bath, GLEState, gle
from bayescg.dynamics.neighbors import Neighbors
from bayescg.dynamics.pair_forces import forces
from bayescg.dynamics.pairwise import PairBath, no_pairs, pairwise_gle
from bayescg.dynamics.thermostats import (
    constant_energy,
    nose_hoover,
    rescaled_momentum,
    velocity_rescaling,
)
from bayescg.dynamics.walker import (
    Motion,
    Observables,
    System,
    Thermostat,
    Walker,
    box_like,
    neighbors_of,
)
from bayescg.interfaces import AbstractTimeObservable
from bayescg.units import thermal_energy

EQUILIBRATION_TIME = 1.0
"""ps; relaxation time of the velocity rescaling that brings constant energy to its temperature first."""


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
        new_cell(system.box, positions) if thermostat.barostat and system.box is not None else None,
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

    if isinstance(motion.bath, Bath):
        init, apply = gle(force, shift, timestep=thermostat.timestep, bath=motion.bath)
        return init, _of_walker(apply, system)
    if motion.bath is None and thermostat.method != "langevin":
        init, apply = _of_newton(force, shift, thermostat)
        return init, _of_walker(apply, system)

    init, apply = simulate.nvt_langevin(
        force,
        shift,
        dt=thermostat.timestep,
        kT=thermal_energy(thermostat.temperature),
        gamma=thermostat.friction or 0.0,
    )

    if isinstance(motion.bath, PairBath):
        # momenta begin as Langevin's do
        return init, _of_walker(partial(_pairwise, motion.bath, force, shift, system, thermostat), system)

    def langevin(walker: Walker, neighbors: Neighbors) -> Walker:
        make = cast(Any, simulate.NVTLangevinState)
        mass = system.topology.masses.astype(walker.position.dtype)[:, None]
        old = make(walker.position, walker.momentum, walker.force, mass, walker.rng)
        new = cast(Any, apply)(old, neighbors=neighbors)
        return walker._replace(position=new.position, momentum=new.momentum, force=new.force, rng=new.rng)

    return init, langevin


def _of_newton(
    force: Callable[..., Array], shift: Callable[..., Array], thermostat: Thermostat
) -> tuple[Callable[..., GLEState], Callable[..., GLEState]]:
    """Newton's equations, alone or around what scales all momenta alike."""
    same = {"timestep": thermostat.timestep, "thermal_energy": thermal_energy(thermostat.temperature)}
    verlet = constant_energy(force, shift, **same)
    if thermostat.method == "none":
        return verlet
    scaled = {"nose-hoover": nose_hoover, "csvr": velocity_rescaling}[thermostat.method]
    relaxation = 1 / (thermostat.friction or 1.0)
    return scaled(verlet, relaxation=relaxation, conserved=thermostat.conserved, **same)


def _pairwise(
    bath: PairBath,
    force: Callable[..., Array],
    shift: Callable[..., Array],
    system: System,
    thermostat: Thermostat,
    state: GLEState,
    *,
    mass: Array,
    neighbors: Neighbors,
) -> GLEState:
    box = box_like(system, state.position)
    apply = pairwise_gle(force, shift, timestep=thermostat.timestep, bath=bath, box=box)
    return apply(state, mass=mass, neighbors=neighbors)


def _of_walker(apply: Callable[..., GLEState], system: System) -> Callable[[Walker, Neighbors], Walker]:
    """A step of walkers from one of states."""

    def step(walker: Walker, neighbors: Neighbors) -> Walker:
        old = GLEState(walker.position, walker.momentum, walker.force, walker.auxiliary, walker.rng)
        mass = system.topology.masses.astype(walker.position.dtype)
        return walker._replace(**apply(old, mass=mass, neighbors=neighbors)._asdict())

    return step


def thermalized(walker: Walker, *, system: System, thermostat: Thermostat) -> Walker:
    """The walker after velocity rescaling, by which constant energy is equilibrated.

    Args:
        walker: state after a step.
        system: beads.
        thermostat: settings.
    """
    rng, key = jax.random.split(walker.rng)
    momentum = rescaled_momentum(
        walker.momentum,
        system.topology.masses.astype(walker.momentum.dtype),
        key=key,
        conserved=thermostat.conserved,
        thermal_energy=thermal_energy(thermostat.temperature),
        elapsed=thermostat.timestep / EQUILIBRATION_TIME,
    )
    return walker._replace(momentum=momentum, rng=rng)


def _wrapped(positions: Array, box: Array | None) -> Array:
    """Into [0, box): float32 keeps its precision however far a bead diffuses."""
    return positions if box is None else positions - box * jnp.floor(positions / box)
