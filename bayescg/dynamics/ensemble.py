"""Many draws of a model simulated at once: one trajectory per draw, observables on the fly."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, positive, require, require_x64, whole
from bayescg._typing import Array, NumpyArray
from bayescg.dynamics.engine import Engine, Ensemble, stack, widest_of
from bayescg.dynamics.gle import bath
from bayescg.dynamics.neighbors import roomy_capacity
from bayescg.dynamics.pair_forces import force_field
from bayescg.dynamics.pairwise import pair_bath
from bayescg.dynamics.timestep import check_timestep
from bayescg.dynamics.walker import Motion, Observables, System, Thermostat
from bayescg.interfaces import AbstractObservable, AbstractTimeObservable, Topology
from bayescg.memory.pairwise import Pairwise
from bayescg.model import Model
from bayescg.numerics.host_loop import HostLoop
from bayescg.numerics.pairs import check_cutoff
from bayescg.potentials import at_temperature
from bayescg.units import thermal_energy

SKIN = 0.12
"""nm; for 510 waters anything from 0.1 to 0.15 costs the same."""

PAIR_ROOM = 0.8
"""Places for pairs of one bead, per neighbour at the start: half would be the average."""

THERMAL_STEPS = 20
"""Half the skin is ten standard deviations of a bead's step: only an explosion goes further."""


def simulate_ensemble(
    models: Sequence[Model],
    start: Any,
    *,
    box: Any,
    topology: Topology,
    temperature: float,
    timestep: float,
    steps: int,
    equilibration: int,
    observables: Observables,
    measure_every: int,
    key: Array,
    loop: HostLoop,
    friction: float | None = None,
    records: int = 100,
    skin: float | None = None,
    capacity: int | None = None,
    precision: Any = None,
) -> xr.Dataset:
    """NVT dynamics of every model, with observables averaged on the fly.

    Models with a memory follow their generalized Langevin equation, others Langevin's.

    Args:
        models: one per draw, alike but for the values of their parameters.
        start: (draw, bead, dim) positions, nm.
        box: (dim,) edge lengths, nm, the same for all draws; None for an open system.
        topology: types and masses.
        temperature: K.
        timestep: ps; a tenth of the period of the stiffest bond or less.
        steps: after equilibration; rounded down to whole records.
        equilibration: steps before anything is measured; rounded up to whole records.
        observables: measured on the fly; those that must know the box, or the interval, are prepared for it.
        measure_every: steps between measurements.
        key: random key.
        loop: progress, checkpoint and interruption.
        friction: of Langevin dynamics, 1/ps; None where the models have a memory.
        records: into how many block means the steps are divided, at most.
        skin: what the neighbour list reaches beyond the cutoff, nm; a bead that jumps by more than half of
            it in one step counts as an explosion. None for 0.12, or 20 thermal steps if that is more.
        capacity: first width of the neighbour matrix; None for what the start needs and some room.
        precision: of positions and forces; averages are float64. None for float32 in a box, float64 in an
            open system, where positions have no bound.

    Returns:
        Block means (draw, record, ...) of every observable and of `kinetic_temperature` (K); of observables
        over time also `<name>_sum` and `<name>_weight`, whose ratio the mean is; and per draw
        `exploded_step` (-1 for never), `stale_redone`, `overflow_redone`, `table_error` (kJ/mol/nm) and the
        final `position`. Blocks of a draw that exploded are NaN from the explosion on.

    Raises:
        BayescgError: no draw, a setting that is not positive, too few steps, a cutoff beyond half the box,
            friction and memory together or neither of them, a timestep at which bonds explode.
        Interrupted: Ctrl-C, from the loop.

    Example:
        >>> import bayescg as bcg, jax, jax.numpy as jnp, numpy as np
        >>> argon = bcg.potentials.LennardJones([0.997], [0.34], cutoff=1.0, type_names=("Ar",))
        >>> nothing = jnp.zeros((0, 2), int)
        >>> beads = Topology(jnp.zeros(8, int), jnp.full(8, 39.9), jnp.arange(8), nothing, ("Ar",))
        >>> cube = np.stack(np.meshgrid(*[[0.5, 1.5]] * 3), -1).reshape(1, 8, 3)
        >>> run = simulate_ensemble(
        ...     [bcg.Model(argon)], cube, box=[2.0, 2.0, 2.0], topology=beads, temperature=300.0,
        ...     timestep=0.005, steps=40, equilibration=0, friction=1.0, observables=[], measure_every=10,
        ...     key=jax.random.key(0), loop=HostLoop(progress=False), records=2,
        ... )
        >>> run.kinetic_temperature.shape
        (1, 2)
    """
    require_x64("simulate_ensemble")
    masses = np.asarray(topology.masses)
    require(
        bool((np.isfinite(masses) & (masses > 0)).all()),
        f"mass must be positive and finite for every bead, got {masses.min()} amu. "
        "Map the beads from a topology with masses, or set beads['mass'].",
    )
    steps, every = whole("steps", steps), whole("measure_every", measure_every)
    require(
        steps >= 2 * every,
        f"steps must be at least twice measure_every, got {steps} against {every}. Take more steps.",
    )
    per_record = max(1, -(-steps // (every * whole("records", records))))
    temperature = positive("temperature", temperature, unit="K")
    models = [Model(at_temperature(model.potential, temperature), model.memory) for model in models]
    thermostat = Thermostat(
        temperature,
        positive("timestep", timestep, unit="ps"),
        _friction(models, friction),
        _thermal_skin(topology, temperature, timestep) if skin is None else positive("skin", skin, unit="nm"),
        every,
        per_record,
    )
    warmup = -(-whole("equilibration", equilibration, minimum=0) // thermostat.record_steps)
    total = warmup + steps // thermostat.record_steps
    system = _system(topology, box, models[0].potential.cutoff, precision)
    positions = _start(start, len(models), topology, _precision(precision, box))
    check_timestep(models, positions, box=box, topology=topology, timestep=thermostat.timestep)
    motions = _motions(models, topology, thermostat, positions, system)
    ready = [
        observable.prepare(topology, thermostat.interval)
        if isinstance(observable, AbstractTimeObservable)
        else observable.prepare(topology, box)
        for observable in observables
    ]
    engine = Engine(motions, system, thermostat, ready, draws=len(models), warmup=warmup)
    with engine.pool:
        carry = engine.begin(positions, key, capacity)
        stage = loop.run("simulate", engine.step, carry, total=total, chunk=1, describe=_describe)
    return _dataset(stage.carry, stage.records, ready, engine)


def _motions(
    models: Sequence[Model], topology: Topology, thermostat: Thermostat, start: Array, system: System
) -> Motion:
    """The equations of motion of all draws, every array with a leading draw axis."""
    masses, kind = np.unique(np.asarray(topology.masses), return_inverse=True)
    kinds, beads = len(topology.type_names), (jnp.asarray(masses), jnp.asarray(kind))
    room = _pair_room(models[0].memory, start, system, thermostat)
    return stack([_motion(model, kinds, *beads, thermostat, room) for model in models])


@eqx.filter_jit
def _motion(
    model: Model, kinds: int, masses: Array, kind: Array, thermostat: Thermostat, room: int
) -> Motion:
    field = force_field(model.potential, kinds)
    settings = {"temperature": thermostat.temperature, "timestep": thermostat.timestep}
    match model.memory:
        case None:
            return Motion(field)
        case Pairwise():
            return Motion(field, pair_bath(model.memory, capacity=room, **settings))
        case _:
            return Motion(field, bath(model.memory, masses, kind, **settings))


def _pair_room(memory: Any, start: Array, system: System, thermostat: Thermostat) -> int:
    """Pairs that may belong to one bead: about half of its neighbours, and room for fluctuations."""
    if not isinstance(memory, Pairwise):
        return 0
    friction = float(memory.drift().friction)
    require(
        friction == 0,
        f"a pairwise memory must have no instantaneous friction, got {friction} amu/ps. "
        "Take a Prony mode with a time of a few steps in place of Markovian.",
    )
    check_cutoff(memory.cutoff, None if system.box is None else np.asarray(system.box))
    reach = memory.cutoff + thermostat.skin
    most = max(int(widest_of(positions, system, reach)) for positions in start)
    return min(roomy_capacity(most, 1 << 30, margin=PAIR_ROOM), max(1, start.shape[1] // 2))


def _friction(models: Sequence[Model], friction: float | None) -> float | None:
    """Langevin friction; None where the memory gives friction and noise."""
    require(len(models) > 0, "models must hold at least one draw, got none. Give one model per draw.")
    with_memory = {model.memory is not None for model in models}
    require(
        len(with_memory) == 1,
        "models must all have a memory or none of them, got some of each. Simulate them apart.",
    )
    if with_memory == {False}:
        remedy = "Give a friction, as in friction=1.0, or a model with a memory."
        return positive("friction", friction, unit="1/ps", remedy=remedy)
    require(
        friction is None,
        f"friction must not be given where the model has a memory, got {friction} 1/ps. Leave it out: the "
        "memory is friction and noise; add bayescg.memory.Markovian to it for more.",
    )
    return None


def _precision(precision: Any, box: Any) -> Any:
    return precision or (jnp.float64 if box is None else jnp.float32)


def _thermal_skin(topology: Topology, temperature: float, timestep: float) -> float:
    speed = math.sqrt(thermal_energy(temperature) / float(np.min(np.asarray(topology.masses))))
    return max(SKIN, THERMAL_STEPS * speed * timestep)


def _system(topology: Topology, box: Any, cutoff: float, precision: Any) -> System:
    if cutoff > 0:
        check_cutoff(cutoff, None if box is None else np.asarray(box))
    edges = None if box is None else jnp.asarray(np.asarray(box), _precision(precision, box))
    return System(eqx.tree_at(lambda t: t.types, topology, jnp.asarray(topology.types, jnp.int32)), edges)


def _start(start: Any, draws: int, topology: Topology, precision: Any) -> Array:
    positions = np.asarray(start)
    beads = topology.masses.shape[0]
    if positions.ndim != 3 or positions.shape[:2] != (draws, beads):
        raise BayescgError(
            f"start must have shape (draw, bead, dim) with {draws} draws and {beads} beads, "
            f"got {positions.shape}. Give one frame per draw."
        )
    require(
        bool(np.isfinite(positions).all()), "start must be finite, got NaN or infinity. Give whole frames."
    )
    return jnp.asarray(positions, precision)


def _describe(records: dict[str, NumpyArray]) -> str:
    exploded = int((records["exploded"][-1] >= 0).sum())
    mean = np.nanmean(records["temperature"][-1]) if exploded < records["exploded"].shape[1] else np.nan
    return f"{mean:.0f} K" + (f", {exploded} draws exploded" if exploded else "")


def _dataset(
    ensemble: Ensemble,
    records: dict[str, NumpyArray],
    observables: Observables,
    engine: Engine,
) -> xr.Dataset:
    """Block means after equilibration, with names, labels and units."""
    topology, kept = engine.system.topology, slice(engine.warmup, None)
    variables: dict[str, Any] = {
        "kinetic_temperature": (("draw", "record"), records["temperature"][kept].T, {"units": "K"}),
        "exploded_step": ("draw", np.asarray(ensemble.walkers.exploded)),
        "stale_redone": ("draw", np.asarray(ensemble.stale)),
        "overflow_redone": ("draw", np.asarray(ensemble.overflows)),
        "position": (("draw", "bead", "dim"), np.asarray(ensemble.walkers.position), {"units": "nm"}),
    }
    if engine.motions.field.tables:
        errors = np.sum([np.asarray(table.error) for table in engine.motions.field.tables], axis=0)
        variables["table_error"] = ("draw", errors, {"units": "kJ/mol/nm"})
    coordinates: dict[str, Any] = {}
    moments = [o for o in observables if isinstance(o, AbstractObservable)]
    series = [o for o in observables if isinstance(o, AbstractTimeObservable)]
    measured = {o.name: {"": records[f"mean_{index}"]} for index, o in enumerate(moments)}
    for index, observable in enumerate(series):
        total, weight = records[f"sum_{index}"], records[f"weight_{index}"]
        ratio = np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0)
        measured[observable.name] = {"": ratio, "_sum": total, "_weight": weight}
    for observable in (*moments, *series):
        labels = observable.coordinates(topology)
        coordinates |= labels
        for suffix, values in measured[observable.name].items():
            units = {} if suffix else {"units": observable.units}
            moved = np.moveaxis(values[kept], 0, 1)
            variables[observable.name + suffix] = (("draw", "record", *labels), moved, units)
    settings = {
        "record_steps": engine.thermostat.record_steps,
        "equilibration": engine.warmup * engine.thermostat.record_steps,
        "capacity": int(ensemble.capacity),
        "dynamics": "Langevin" if engine.motions.bath is None else "generalized Langevin",
        # of the thermostat; with a memory there is no friction beside it
        "friction": engine.thermostat.friction or 0.0,
    }
    return xr.Dataset(variables, coords=coordinates, attrs=settings)
