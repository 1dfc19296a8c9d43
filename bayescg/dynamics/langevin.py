"""One record of one draw: many steps in one program, watched while they run.

A record is a few stretches of `measure_every` steps, each ended by one measurement. The neighbour
list is rebuilt when the bead that moved most nears half the skin. A record is a pure function of the
state before it, so one that turns out to have used a stale or an overfull list is thrown away and run
again from there with other settings; the random numbers stay the same.

A step in which a bead jumps by more than half the skin, or after which the temperature is absurd or
not finite, is an explosion: the state before it is kept, and the draw stands still from there on.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float, Int
from bayescg.dynamics.neighbors import Neighbors, empty_neighbors, squared_distance
from bayescg.dynamics.walker import (
    Motion,
    Observables,
    System,
    Thermostat,
    Walker,
    box_like,
    crowded,
    integrator,
    neighbors_of,
    relisted,
)
from bayescg.interfaces import (
    AbstractObservable,
    AbstractTimeObservable,
    Configuration,
    Snapshot,
    Totals,
)
from bayescg.units import BOLTZMANN

ABSURD_TEMPERATURE = 10.0
"""Times the target; widened where few degrees of freedom make the temperature fluctuate."""


class Record(NamedTuple):
    """What one record gave.

    Attributes:
        temperature: mean kinetic temperature, K.
        means: one array per observable of moments.
        totals: one pair of sums per observable over time.
        stale: whether a bead outran the neighbour list: the record does not count.
        widest: neighbours of the bead that had most; beyond the capacity the record does not count.
        crowded: whether a pairwise memory had more pairs than places.
    """

    temperature: Float[Array, ""]
    means: tuple[Array, ...]
    totals: tuple[Totals, ...]
    stale: Array
    widest: Int[Array, ""]
    crowded: Array


class _Walk(NamedTuple):
    """Inside a record."""

    walker: Walker
    neighbors: Neighbors
    moved: Array
    left: Array
    stale: Array
    widest: Array
    crowded: Array
    temperature: Array


def advance(
    walker: Walker,
    motion: Motion,
    *,
    system: System,
    thermostat: Thermostat,
    observables: Observables,
    capacity: int,
    reach: Float[Array, ""],
    measure: Array,
) -> tuple[Walker, Record]:
    """One record of one draw.

    Args:
        walker: state before.
        motion: the draw's forces and memory.
        system: beads and box.
        thermostat: settings.
        observables: measured after every stretch.
        capacity: width of the neighbour matrix.
        reach: fraction of half the skin after which the list is rebuilt, below 1.
        measure: False while equilibrating: the means are zero then.

    Returns:
        State after, and the record; NaN where the draw has exploded.
    """
    _, apply = integrator(motion, system, thermostat)
    step = _guarded_step(apply, system, thermostat, listed=motion.cutoff > 0)
    half_skin = 0.5 * thermostat.skin

    def ok(walk: _Walk) -> Array:
        return (walk.left > 0) & ~walk.stale & (walk.widest <= capacity) & (walk.walker.exploded < 0)

    def rebuild(walk: _Walk) -> _Walk:
        neighbors = neighbors_of(
            walk.walker.position, motion.field, system=system, thermostat=thermostat, capacity=capacity
        )
        widest = jnp.maximum(walk.widest, neighbors.widest)
        walker = relisted(walk.walker, motion, system=system, thermostat=thermostat)
        return walk._replace(
            walker=walker,
            neighbors=neighbors,
            moved=jnp.zeros_like(walk.moved),
            widest=widest,
            crowded=walk.crowded | crowded(walker),
        )

    def until_rebuild(walk: _Walk) -> _Walk:
        walk = jax.lax.cond(walk.moved > reach * half_skin, rebuild, lambda walk: walk, walk)
        return jax.lax.while_loop(lambda w: ok(w) & ~(w.moved > reach * half_skin), step, walk)

    def stretch(state: tuple[_Walk, tuple[Any, ...]], _: None) -> tuple[Any, tuple[Array, ...]]:
        walk, accumulators = state
        walk = walk._replace(left=jnp.full((), thermostat.measure_every, jnp.int32))
        walk = jax.lax.while_loop(ok, until_rebuild, walk)
        wanted = measure & (walk.left == 0)
        accumulators = _follow(accumulators, walk.walker, wanted, system, series)
        return (walk, accumulators), _measure(walk.walker.position, wanted, system, moments)

    moments = tuple(o for o in observables if isinstance(o, AbstractObservable))
    series = tuple(o for o in observables if isinstance(o, AbstractTimeObservable))
    # outside of the steps, which would copy them
    begun = _start(walker._replace(accumulators=()), capacity), walker.accumulators
    (walk, accumulators), curves = jax.lax.scan(stretch, begun, length=thermostat.measurements)
    alive = walk.walker.exploded < 0
    means = tuple(jnp.where(alive, jnp.mean(curve, axis=0), jnp.nan) for curve in curves)
    temperature = jnp.asarray(jnp.where(alive, walk.temperature / thermostat.record_steps, jnp.nan))
    totals = tuple(o.totals(a) for o, a in zip(series, accumulators, strict=True))
    totals = jax.tree.map(lambda values: jnp.where(alive, values, jnp.nan), totals)
    restarted = tuple(o.restart(a) for o, a in zip(series, accumulators, strict=True))
    after = walk.walker._replace(accumulators=restarted)
    return after, Record(temperature, means, totals, walk.stale, walk.widest, walk.crowded)


def hottest(temperature: float, freedom: int) -> float:
    """Kinetic temperature, K, that only an explosion reaches.

    Ten times the target, plus 40 standard deviations of the kinetic temperature, T sqrt(2/f).

    Args:
        temperature: target, K.
        freedom: number of momentum components.

    Example:
        >>> round(hottest(300.0, 1530))
        3434
    """
    return ABSURD_TEMPERATURE * temperature * (1 + 4 * (2 / freedom) ** 0.5)


def _guarded_step(
    apply: Callable[[Walker, Neighbors], Walker], system: System, thermostat: Thermostat, *, listed: bool
) -> Callable[[_Walk], _Walk]:
    """One step that notices an explosion or, where forces need a list, that it was outrun."""
    half_skin = 0.5 * thermostat.skin

    def step(walk: _Walk) -> _Walk:
        before = walk.walker
        mass = system.topology.masses.astype(before.position.dtype)
        after = apply(before, walk.neighbors)
        box = box_like(system, before.position)
        jump = jnp.sqrt(jnp.max(squared_distance(after.position, before.position, box)))
        far = jnp.sqrt(jnp.max(squared_distance(after.position, walk.neighbors.origin, box)))
        moved = far if listed else jnp.zeros_like(far)
        temperature = jnp.mean(jnp.sum(after.momentum**2, axis=1) / mass) / (
            BOLTZMANN * before.position.shape[1]
        )
        bound = hottest(thermostat.temperature, before.position.size)
        # written so that NaN counts as an explosion
        sound = (jump <= half_skin) & (temperature <= bound) & jnp.all(jnp.isfinite(after.force))
        after = after._replace(step=before.step + 1)
        if box is not None:
            crossed = jnp.round((before.position - after.position) / box).astype(jnp.int32)
            after = after._replace(image=before.image + crossed)
        still = before._replace(exploded=before.step + 1)
        return walk._replace(
            walker=jax.tree.map(lambda a, b: jnp.where(sound, a, b), after, still),
            moved=moved,
            left=walk.left - 1,
            stale=sound & (moved > half_skin),
            temperature=walk.temperature + jnp.where(sound, temperature, 0.0),
        )

    return step


def _start(walker: Walker, capacity: int) -> _Walk:
    """Before the first stretch, with a list that is rebuilt at once."""
    return _Walk(
        walker=walker,
        neighbors=empty_neighbors(walker.position, capacity),
        moved=jnp.full((), jnp.inf, walker.position.dtype),
        left=jnp.zeros((), jnp.int32),
        stale=jnp.zeros((), bool),
        widest=jnp.zeros((), jnp.int32),
        crowded=jnp.zeros((), bool),
        temperature=jnp.zeros((), float),
    )


def _follow(
    accumulators: tuple[Any, ...],
    walker: Walker,
    wanted: Array,
    system: System,
    observables: tuple[AbstractTimeObservable, ...],
) -> tuple[Any, ...]:
    """One moment more for every observable over time."""
    positions = walker.position.astype(float)
    if system.box is not None:
        positions += walker.image * system.box.astype(float)
    velocities = walker.momentum.astype(float) / system.topology.masses.astype(float)[:, None]

    def update(accumulators: tuple[Any, ...]) -> tuple[Any, ...]:
        snapshot = Snapshot(positions, velocities)
        return tuple(o.update(a, snapshot) for o, a in zip(observables, accumulators, strict=True))

    return jax.lax.cond(wanted, update, lambda unchanged: unchanged, accumulators)


def _measure(
    positions: Array, wanted: Array, system: System, observables: tuple[AbstractObservable, ...]
) -> tuple[Array, ...]:
    nobody = jnp.zeros((positions.shape[0], 0), jnp.int32)
    configuration = Configuration(positions, box_like(system, positions), nobody, system.topology)

    def values(configuration: Configuration) -> tuple[Array, ...]:
        return tuple(jnp.asarray(o.measure(configuration), float) for o in observables)

    nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(values, configuration))
    return jax.lax.cond(wanted, values, lambda _: nothing, configuration)
