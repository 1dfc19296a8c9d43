"""What is measured of a walker at one moment: observables, energy, and the moment itself for a trajectory.

Everything here is under a flag, `wanted`: moments of the equilibration, and those that an exploded draw never
reached, cost nothing and give zeros.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bayescg._typing import Array, Bool
from bayescg.dynamics.neighbors import Neighbors
from bayescg.dynamics.thermostats import kinetic_energy
from bayescg.dynamics.walker import Motion, System, Thermostat, Walker, box_like
from bayescg.interfaces import (
    AbstractEnergyObservable,
    AbstractObservable,
    AbstractTimeObservable,
    Configuration,
    Snapshot,
)
from bayescg.units import BOLTZMANN

Momentary = AbstractObservable | AbstractEnergyObservable


class Recorded(NamedTuple):
    """The measured moments themselves, for a trajectory.

    Attributes:
        whole: whether the moment was reached: not where the draw exploded before.
        arrays: "position" (nm, wrapped into the box), "velocity" (nm/ps), "box" (nm), as far as wanted.
    """

    whole: Bool[Array, " frame"]
    arrays: dict[str, Array]


def followed(
    accumulators: tuple[Any, ...],
    walker: Walker,
    wanted: Array,
    system: System,
    observables: tuple[AbstractTimeObservable, ...],
) -> tuple[Any, ...]:
    """One moment more for every observable over time."""
    positions = walker.position.astype(float)
    if walker.cell is not None:
        positions += walker.cell.carried
    elif system.box is not None:
        positions += walker.image * system.box.astype(float)
    velocities = walker.momentum.astype(float) / system.topology.masses.astype(float)[:, None]

    def update(accumulators: tuple[Any, ...]) -> tuple[Any, ...]:
        snapshot = Snapshot(positions, velocities)
        return tuple(o.update(a, snapshot) for o, a in zip(observables, accumulators, strict=True))

    return jax.lax.cond(wanted, update, lambda unchanged: unchanged, accumulators)


def measured(
    walker: Walker,
    neighbors: Neighbors,
    wanted: Array,
    motion: Motion,
    system: System,
    thermostat: Thermostat,
    observables: tuple[Momentary, ...],
) -> tuple[Array, ...]:
    """Every observable of one moment; zero where it is not wanted."""
    positions = walker.position
    temperature: Any = thermostat.temperature
    if thermostat.method == "none":  # the energy is given, and the temperature what it is now
        masses = system.topology.masses.astype(float)
        kinetic = kinetic_energy(walker.momentum.astype(float), masses)
        temperature = 2 * kinetic / (positions.size * BOLTZMANN)
    # a record whose list was outrun does not count, so these neighbours are valid
    configuration = Configuration(
        positions, box_like(system, positions), neighbors.indices, system.topology, temperature
    )

    def value(observable: Momentary, configuration: Configuration) -> Array:
        if isinstance(observable, AbstractObservable):
            return observable.measure(configuration)
        assert motion.potential is not None  # the ensemble keeps it where an observable needs it
        return observable.measure(_doubled(configuration), motion.potential)

    def values(configuration: Configuration) -> tuple[Array, ...]:
        return tuple(jnp.asarray(value(o, configuration), float) for o in observables)

    nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(values, configuration))
    return jax.lax.cond(wanted, values, lambda _: nothing, configuration)


def total_energy(
    walker: Walker,
    neighbors: Neighbors,
    wanted: Array,
    motion: Motion,
    system: System,
    thermostat: Thermostat,
) -> Array | None:
    """Kinetic and potential energy of one moment, where Newton's equations conserve it."""
    if thermostat.method != "none" or motion.potential is None:
        return None
    potential, topology = motion.potential, system.topology
    box = box_like(system, walker.position)
    configuration = Configuration(walker.position, box, neighbors.indices, topology, thermostat.temperature)

    def total(configuration: Configuration) -> Array:
        kinetic = kinetic_energy(walker.momentum.astype(float), topology.masses.astype(float))
        return kinetic + jnp.asarray(potential.energy(_doubled(configuration)), float)

    return jax.lax.cond(wanted, total, lambda _: jnp.zeros((), float), configuration)


def _doubled(configuration: Configuration) -> Configuration:
    """In float64: an energy is the small difference of many large terms."""
    box = configuration.box
    return dataclasses.replace(
        configuration,
        positions=configuration.positions.astype(float),
        box=None if box is None else box.astype(float),
    )


def recorded_moment(walker: Walker, wanted: Array, system: System, thermostat: Thermostat) -> Recorded | None:
    """The moment itself, in float32, where a trajectory is wanted."""
    if not thermostat.recorded:
        return None
    box = box_like(system, walker.position)
    mass = system.topology.masses.astype(walker.position.dtype)[:, None]
    known = {"position": walker.position, "velocity": walker.momentum / mass, "box": box}
    arrays = {name: known[name] for name in thermostat.recorded} | ({} if box is None else {"box": box})
    return Recorded(wanted, {name: array.astype(jnp.float32) for name, array in arrays.items()})
