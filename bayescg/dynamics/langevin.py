"""One record of one draw: many Langevin steps in one program, watched while they run.

A record is a few stretches of `measure_every` steps, each ended by one measurement. The neighbour
list is rebuilt when the bead that moved most nears half the skin. A record is a pure function of the
state before it, so one that turns out to have used a stale or an overfull list is thrown away and run
again from there with other settings; the random numbers stay the same.

A step in which a bead jumps by more than half the skin, or after which the temperature is absurd or
not finite, is an explosion: the state before it is kept, and the draw stands still from there on.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float, Int
from bayescg.dynamics.neighbors import Neighbors, empty_neighbors, squared_distance
from bayescg.dynamics.pair_forces import ForceField
from bayescg.dynamics.walker import System, Thermostat, Walker, box_like, langevin, neighbors_of
from bayescg.interfaces import AbstractObservable, Configuration
from bayescg.units import BOLTZMANN

ABSURD_TEMPERATURE = 10.0
"""Times the target; widened where few degrees of freedom make the temperature fluctuate."""


class Record(NamedTuple):
    """What one record gave.

    Attributes:
        temperature: mean kinetic temperature, K.
        means: one array per observable.
        stale: whether a bead outran the neighbour list: the record does not count.
        widest: neighbours of the bead that had most; beyond the capacity the record does not count.
    """

    temperature: Float[Array, ""]
    means: tuple[Array, ...]
    stale: Array
    widest: Int[Array, ""]


class _Walk(NamedTuple):
    """Inside a record."""

    walker: Walker
    neighbors: Neighbors
    moved: Array
    left: Array
    stale: Array
    widest: Array
    temperature: Array


def advance(
    walker: Walker,
    field: ForceField,
    *,
    system: System,
    thermostat: Thermostat,
    observables: Sequence[AbstractObservable],
    capacity: int,
    reach: Float[Array, ""],
    measure: Array,
) -> tuple[Walker, Record]:
    """One record of one draw.

    Args:
        walker: state before.
        field: the draw's forces.
        system: beads and box.
        thermostat: settings.
        observables: measured after every stretch.
        capacity: width of the neighbour matrix.
        reach: fraction of half the skin after which the list is rebuilt, below 1.
        measure: False while equilibrating: the means are zero then.

    Returns:
        State after, and the record; NaN where the draw has exploded.
    """
    _, apply = langevin(field, system, thermostat)
    step = _guarded_step(apply, system, thermostat)
    half_skin = 0.5 * thermostat.skin

    def ok(walk: _Walk) -> Array:
        return (walk.left > 0) & ~walk.stale & (walk.widest <= capacity) & (walk.walker.exploded < 0)

    def rebuild(walk: _Walk) -> _Walk:
        neighbors = neighbors_of(
            walk.walker.position, field, system=system, thermostat=thermostat, capacity=capacity
        )
        widest = jnp.maximum(walk.widest, neighbors.widest)
        return walk._replace(neighbors=neighbors, moved=jnp.zeros_like(walk.moved), widest=widest)

    def until_rebuild(walk: _Walk) -> _Walk:
        walk = jax.lax.cond(walk.moved > reach * half_skin, rebuild, lambda walk: walk, walk)
        return jax.lax.while_loop(lambda w: ok(w) & ~(w.moved > reach * half_skin), step, walk)

    def stretch(walk: _Walk, _: None) -> tuple[_Walk, tuple[Array, ...]]:
        walk = walk._replace(left=jnp.full((), thermostat.measure_every, jnp.int32))
        walk = jax.lax.while_loop(ok, until_rebuild, walk)
        return walk, _measure(walk.walker.position, measure & (walk.left == 0), system, observables)

    walk, curves = jax.lax.scan(stretch, _start(walker, capacity), length=thermostat.measurements)
    alive = walk.walker.exploded < 0
    means = tuple(jnp.where(alive, jnp.mean(curve, axis=0), jnp.nan) for curve in curves)
    temperature = jnp.where(alive, walk.temperature / thermostat.record_steps, jnp.nan)
    return walk.walker, Record(temperature, means, walk.stale, walk.widest)


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
    apply: Callable[..., Any], system: System, thermostat: Thermostat
) -> Callable[[_Walk], _Walk]:
    """One step that notices an explosion or an outrun list."""
    from jax_md import simulate

    half_skin = 0.5 * thermostat.skin
    masses = system.topology.masses

    def step(walk: _Walk) -> _Walk:
        before = walk.walker
        position, momentum = before.position, before.momentum
        mass = masses.astype(position.dtype)[:, None]
        make = cast(Any, simulate.NVTLangevinState)
        state = make(position, momentum, before.force, mass, before.rng)
        state = apply(state, neighbors=walk.neighbors)
        box = box_like(system, position)
        jump = jnp.sqrt(jnp.max(squared_distance(state.position, position, box)))
        moved = jnp.sqrt(jnp.max(squared_distance(state.position, walk.neighbors.origin, box)))
        temperature = jnp.mean(jnp.sum(state.momentum**2, axis=1) / mass[:, 0]) / (
            BOLTZMANN * position.shape[1]
        )
        bound = hottest(thermostat.temperature, position.size)
        # written so that NaN counts as an explosion
        sound = (jump <= half_skin) & (temperature <= bound) & jnp.all(jnp.isfinite(state.force))
        after = Walker(
            state.position, state.momentum, state.force, state.rng, before.step + 1, before.exploded
        )
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
        temperature=jnp.zeros((), float),
    )


def _measure(
    positions: Array, wanted: Array, system: System, observables: Sequence[AbstractObservable]
) -> tuple[Array, ...]:
    nobody = jnp.zeros((positions.shape[0], 0), jnp.int32)
    configuration = Configuration(positions, box_like(system, positions), nobody, system.topology)

    def values(configuration: Configuration) -> tuple[Array, ...]:
        return tuple(jnp.asarray(o.measure(configuration), float) for o in observables)

    nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(values, configuration))
    return jax.lax.cond(wanted, values, lambda _: nothing, configuration)
