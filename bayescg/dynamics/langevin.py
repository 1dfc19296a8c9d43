"""One record of one draw: many steps in one program, watched while they run.

A record is a few stretches of `measure_every` steps, each ended by one measurement. The neighbour
list is rebuilt when the bead that moved most nears half the skin. A record is a pure function of the
state before it, so one that turns out to have used a stale or an overfull list is thrown away and run
again from there with other settings; the random numbers stay the same.

A step in which a bead jumps by more than half the skin, or after which the temperature is absurd or
not finite, is an explosion: the state before it is kept, and the draw stands still from there on.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float, Int
from bayescg.dynamics.barostat import rescaled, settled
from bayescg.dynamics.integrators import integrator, thermalized
from bayescg.dynamics.measuring import (
    Momentary,
    Recorded,
    followed,
    measured,
    recorded_moment,
    total_energy,
)
from bayescg.dynamics.neighbors import Neighbors, empty_neighbors, squared_distance
from bayescg.dynamics.walker import (
    Motion,
    Observables,
    System,
    Thermostat,
    Walker,
    box_like,
    crowded,
    located,
    neighbors_of,
    relisted,
)
from bayescg.interfaces import (
    AbstractTimeObservable,
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
        recorded: the measured moments; None where they are not wanted.
        volume: mean over the steps, nm^3; None where the box is fixed.
        energy: kinetic and potential, mean over the measurements, kJ/mol; None where it is not conserved.
    """

    temperature: Float[Array, ""]
    means: tuple[Array, ...]
    totals: tuple[Totals, ...]
    stale: Array
    widest: Int[Array, ""]
    crowded: Array
    recorded: Recorded | None
    volume: Float[Array, ""] | None
    energy: Float[Array, ""] | None


class _Walk(NamedTuple):
    """Inside a record; `edges` is the box of the list, `due` whether the volume is to change now."""

    walker: Walker
    neighbors: Neighbors
    moved: Array
    left: Array
    stale: Array
    widest: Array
    crowded: Array
    temperature: Array
    edges: Array | None
    due: Array | None
    volume: Array | None


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
    step = _guarded_step(motion, system, thermostat, measure)
    half_skin = 0.5 * thermostat.skin

    def ok(walk: _Walk) -> Array:
        return (walk.left > 0) & ~walk.stale & (walk.widest <= capacity) & (walk.walker.exploded < 0)

    def going(walk: _Walk) -> Array:
        listed = ok(walk) & ~(walk.moved > reach * half_skin)
        return listed if walk.due is None else listed & jnp.logical_not(walk.due)

    def rebuild(walk: _Walk) -> _Walk:
        here = located(system, walk.walker)
        neighbors = neighbors_of(
            walk.walker.position, motion.field, system=here, thermostat=thermostat, capacity=capacity
        )
        widest = jnp.maximum(walk.widest, neighbors.widest)
        walker = relisted(walk.walker, motion, system=here, thermostat=thermostat)
        return walk._replace(
            walker=walker,
            neighbors=neighbors,
            moved=jnp.zeros_like(walk.moved),
            widest=widest,
            crowded=walk.crowded | crowded(walker),
            edges=None if walk.edges is None else here.box,
        )

    def until_rebuild(walk: _Walk) -> _Walk:
        walk = jax.lax.cond(walk.moved > reach * half_skin, rebuild, lambda walk: walk, walk)
        walk = jax.lax.while_loop(going, step, walk)
        return walk if walk.due is None else jax.lax.cond(walk.due, breath, lambda walk: walk, walk)

    def breath(walk: _Walk) -> _Walk:
        before = walk.walker
        after = rescaled(before, walk.neighbors, motion, system=system, thermostat=thermostat)
        box = box_like(located(system, after), after.position)
        walk = walk._replace(walker=after, moved=_moved(walk, after.position, box, motion, thermostat))
        walk = jax.lax.cond(walk.moved > half_skin, rebuild, lambda walk: walk, walk)
        walker = settled(walk.walker, before, walk.neighbors, motion, system=system)
        return walk._replace(walker=walker, due=jnp.zeros((), bool))

    def stretch(state: tuple[_Walk, tuple[Any, ...]], _: None) -> tuple[Any, Any]:
        walk, accumulators = state
        walk = walk._replace(left=jnp.full((), thermostat.measure_every, jnp.int32))
        walk = jax.lax.while_loop(ok, until_rebuild, walk)
        wanted = measure & (walk.left == 0)
        accumulators = followed(accumulators, walk.walker, wanted, system, series)
        here = located(system, walk.walker)
        at = walk.walker, walk.neighbors, wanted, motion, here, thermostat
        recorded = recorded_moment(walk.walker, wanted, here, thermostat)
        return (walk, accumulators), (measured(*at, moments), recorded, total_energy(*at))

    moments = tuple(o for o in observables if isinstance(o, Momentary))
    series = tuple(o for o in observables if isinstance(o, AbstractTimeObservable))
    # outside of the steps, which would copy them
    begun = _start(walker._replace(accumulators=()), capacity), walker.accumulators
    (walk, accumulators), found = jax.lax.scan(stretch, begun, length=thermostat.measurements)
    followed_by = list(zip(series, accumulators, strict=True))
    after = walk.walker._replace(accumulators=tuple(o.restart(a) for o, a in followed_by))
    return after, _record(walk, tuple(o.totals(a) for o, a in followed_by), found, thermostat)


def _record(walk: _Walk, totals: tuple[Totals, ...], found: Any, thermostat: Thermostat) -> Record:
    """Means over a record; NaN where the draw has exploded."""
    curves, recorded, energies = found

    def alive(values: Array) -> Array:
        return jnp.asarray(jnp.where(walk.walker.exploded < 0, values, jnp.nan))

    return Record(
        alive(walk.temperature / thermostat.record_steps),
        tuple(alive(jnp.mean(curve, axis=0)) for curve in curves),
        jax.tree.map(alive, totals),
        walk.stale,
        walk.widest,
        walk.crowded,
        recorded,
        None if walk.volume is None else alive(walk.volume / thermostat.record_steps),
        None if energies is None else alive(jnp.mean(energies)),
    )


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
    motion: Motion, system: System, thermostat: Thermostat, measure: Array
) -> Callable[[_Walk], _Walk]:
    """One step that notices an explosion or, where forces need a list, that it was outrun."""
    half_skin = 0.5 * thermostat.skin

    def step(walk: _Walk) -> _Walk:
        before = walk.walker
        here = located(system, before)
        mass = system.topology.masses.astype(before.position.dtype)
        _, apply = integrator(motion, here, thermostat)
        after = apply(before, walk.neighbors)
        if motion.bath is None and thermostat.method == "none":
            heat = partial(thermalized, system=here, thermostat=thermostat)
            after = jax.lax.cond(measure, lambda walker: walker, heat, after)
        box = box_like(here, before.position)
        jump = jnp.sqrt(jnp.max(squared_distance(after.position, before.position, box)))
        moved = _moved(walk, after.position, box, motion, thermostat)
        temperature = jnp.mean(jnp.sum(after.momentum**2, axis=1) / mass) / (
            BOLTZMANN * before.position.shape[1]
        )
        size = before.position.size
        if thermostat.conserved:
            temperature *= size / (size - thermostat.conserved)
        bound = hottest(thermostat.temperature, size)
        # written so that NaN counts as an explosion
        sound = (jump <= half_skin) & (temperature <= bound) & jnp.all(jnp.isfinite(after.force))
        after = after._replace(step=before.step + 1)
        if box is not None:
            crossed = jnp.round((before.position - after.position) / box).astype(jnp.int32)
            after = after._replace(image=before.image + crossed)
            if after.cell is not None:
                carried = after.cell.carried + crossed * box.astype(float)
                after = after._replace(cell=after.cell._replace(carried=carried))
        still = before._replace(exploded=before.step + 1)
        return walk._replace(
            walker=jax.tree.map(lambda a, b: jnp.where(sound, a, b), after, still),
            moved=moved,
            left=walk.left - 1,
            stale=sound & (moved > half_skin),
            temperature=walk.temperature + jnp.where(sound, temperature, 0.0),
            due=None
            if thermostat.barostat is None
            else sound & (after.step % thermostat.barostat.stride == 0),
            volume=None if walk.volume is None or box is None else walk.volume + jnp.prod(box.astype(float)),
        )

    return step


def _moved(walk: _Walk, position: Array, box: Array | None, motion: Motion, thermostat: Thermostat) -> Array:
    """How far the bead that moved most is from where the list knows it, nm; zero where there is no list.

    A list knows scaled coordinates: where the box has become smaller by a factor s since, beads that it left
    out are nearer by its reach times 1 - s, half of which counts as the motion of each.
    """
    edges = walk.edges
    if edges is None or box is None:
        far = jnp.sqrt(jnp.max(squared_distance(position, walk.neighbors.origin, box)))
    else:
        origin = walk.neighbors.origin * (box / edges)
        far = jnp.sqrt(jnp.max(squared_distance(position, origin, box)))
        far += 0.5 * (motion.cutoff + thermostat.skin) * jnp.max(1 - box / edges)
    return far if motion.cutoff > 0 else jnp.zeros_like(far)


def _start(walker: Walker, capacity: int) -> _Walk:
    """Before the first stretch, with a list that is rebuilt at once."""
    cell = walker.cell
    return _Walk(
        walker=walker,
        neighbors=empty_neighbors(walker.position, capacity),
        moved=jnp.full((), jnp.inf, walker.position.dtype),
        left=jnp.zeros((), jnp.int32),
        stale=jnp.zeros((), bool),
        widest=jnp.zeros((), jnp.int32),
        crowded=jnp.zeros((), bool),
        temperature=jnp.zeros((), float),
        edges=None if cell is None else cell.box,
        due=None if cell is None else jnp.zeros((), bool),
        volume=None if cell is None else jnp.zeros((), float),
    )
