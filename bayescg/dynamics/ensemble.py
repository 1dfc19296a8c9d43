"""Many draws of a model simulated at once: one trajectory per draw, observables on the fly."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, positive, require, require_x64, whole
from bayescg._typing import Array, NumpyArray
from bayescg.dynamics.blocks import SHRINKAGE, blocks_of, status
from bayescg.dynamics.engine import Engine, Ensemble, stack, widest_of
from bayescg.dynamics.ensembles import choose_method, conserved_components
from bayescg.dynamics.gle import bath
from bayescg.dynamics.neighbors import roomy_capacity
from bayescg.dynamics.pair_forces import force_field
from bayescg.dynamics.pairwise import pair_bath
from bayescg.dynamics.recorder import TOGETHER_BYTES, TrajectoryRecorder, open_recorder
from bayescg.dynamics.timestep import check_timestep
from bayescg.dynamics.trajectory_files import Trajectory
from bayescg.dynamics.walker import Motion, Observables, System, Thermostat
from bayescg.interfaces import AbstractEnergyObservable, AbstractTimeObservable, Observable, Topology
from bayescg.memory.pairwise import Pairwise
from bayescg.model import Model
from bayescg.numerics.host_loop import HostLoop
from bayescg.numerics.pairs import check_cutoff
from bayescg.observables.together import check_together
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
    ensemble: str = "NVT",
    thermostat: str | None = None,
    pressure: float | None = None,
    compressibility: float | None = None,
    records: int = 100,
    skin: float | None = None,
    capacity: int | None = None,
    precision: Any = None,
    trajectory: Trajectory | None = None,
    beads: xr.Dataset | None = None,
    enough: Callable[[xr.Dataset], bool] | None = None,
) -> xr.Dataset:
    """Dynamics of every model at constant temperature, pressure or energy, with observables on the fly.

    Models with a memory follow their generalized Langevin equation, others Langevin's, another thermostat's
    or Newton's.

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
        friction: of Langevin dynamics, or one over the relaxation time of another thermostat, 1/ps; None
            where the models have a memory or the energy is constant.
        ensemble: "NVT"; "NVE", constant energy, equilibrated at the temperature by velocity rescaling; or
            "NPT", constant pressure by stochastic cell rescaling.
        thermostat: "langevin", "nose-hoover" or "csvr" (stochastic velocity rescaling); None for "langevin"
            where one is needed.
        pressure: bar, of NPT.
        compressibility: 1/bar, of NPT: the volume relaxes in 1 ps times the true one over this one. None for
            4.5e-5, water's.
        records: into how many block means the steps are divided, at most; more where a trajectory is written,
            so that the frames of one take no more than 256 MB.
        skin: what the neighbour list reaches beyond the cutoff, nm; a bead that jumps by more than half of
            it in one step counts as an explosion. None for 0.12, or 20 thermal steps if that is more.
        capacity: first width of the neighbour matrix; None for what the start needs and some room.
        precision: of positions and forces; averages are float64. None for float32 in a box, float64 in an
            open system, where positions have no bound.
        trajectory: where measured moments are written while the run goes on; None for nowhere.
        beads: what the files say of the beads, where there is a trajectory.
        enough: whether the run may end before its steps, from the block means so far, laid out as in the
            result; asked after every record, and must depend on nothing else. None for never.

    Returns:
        Block means (draw, record, ...) of every observable and of `kinetic_temperature` (K); of observables
        over time also `<name>_sum` and `<name>_weight`, whose ratio the mean is; and per draw
        `exploded_step` (-1 for never), `stale_redone`, `overflow_redone`, `table_error` (kJ/mol/nm) and the
        final `position`. Blocks of a draw that exploded are NaN from the explosion on.
        NPT adds `volume` (nm^3), the final `box` and `collapsed`, a box that fell below twice the cutoff,
        which counts as an explosion; NVE adds `total_energy` (kJ/mol) and, per draw, its slope
        `energy_drift` (kJ/mol per bead and ns).

    Raises:
        BayescgError: no draw, a setting that is not positive, too few steps, a cutoff beyond half the box,
            friction and memory together or neither of them, an ensemble, a thermostat and a pressure that
            do not go together, a timestep at which bonds explode.
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
    _check_masses(topology)
    steps, every = whole("steps", steps), whole("measure_every", measure_every)
    per_record = _measurements(steps, every, whole("records", records), trajectory, np.shape(start))
    temperature = positive("temperature", temperature, unit="K")
    models = [Model(at_temperature(model.potential, temperature), model.memory) for model in models]
    timestep = positive("timestep", timestep, unit="ps")
    method = choose_method(
        models,
        ensemble=ensemble,
        thermostat=thermostat,
        friction=friction,
        pressure=pressure,
        compressibility=compressibility,
        timestep=timestep,
        box=box,
    )
    setting = Thermostat(
        temperature,
        timestep,
        method.friction,
        _thermal_skin(topology, temperature, timestep) if skin is None else positive("skin", skin, unit="nm"),
        every,
        per_record,
        method="langevin" if method.name == "memory" else method.name,
        barostat=method.barostat,
        recorded=() if trajectory is None else trajectory.fields,
    )
    warmup = -(-whole("equilibration", equilibration, minimum=0) // setting.record_steps)
    total = warmup + steps // setting.record_steps
    system = _system(topology, box, models[0].potential.cutoff, precision)
    positions = _start(start, len(models), topology, _precision(precision, box))
    check_timestep(models, positions, box=box, topology=topology, timestep=timestep)
    keep = any(isinstance(observable, AbstractEnergyObservable) for observable in observables)
    motions = _motions(models, topology, setting, positions, system, keep=keep or ensemble == "NVE")
    conserved = conserved_components(motions, system, setting, positions)
    setting = dataclasses.replace(setting, conserved=conserved)
    ready = _prepared(observables, topology, setting, box)
    check_together(ready, topology)
    recorder = _recorder(trajectory, beads, loop, len(models), setting)
    engine = Engine(motions, system, setting, ready, draws=len(models), warmup=warmup, recorder=recorder)
    with engine.pool:
        return _run(engine, loop, engine.begin(positions, key, capacity), total, enough)


def _run(
    engine: Engine, loop: HostLoop, begun: Ensemble, total: int, enough: Callable[[xr.Dataset], bool] | None
) -> xr.Dataset:
    """All records, or as many as are enough."""

    def suffice(records: dict[str, NumpyArray]) -> bool:
        measured = len(records["exploded"]) - engine.warmup
        return (
            measured > 1
            and enough is not None
            and enough(blocks_of(begun, records, engine.observables, engine))
        )

    stage = loop.run(
        "simulate",
        engine.step,
        begun,
        total=total,
        chunk=1,
        describe=status,
        enough=None if enough is None else suffice,
    )
    exploded = stage.records["exploded"]
    if engine.recorder is not None:
        sound = np.flatnonzero(exploded[-1] < 0)
        measured = (len(exploded) - engine.warmup) * engine.thermostat.measurements
        engine.recorder.check(measured, sound.tolist())
    return blocks_of(stage.carry, stage.records, engine.observables, engine)


def _measurements(
    steps: int, every: int, records: int, trajectory: Trajectory | None, shape: tuple[int, ...]
) -> int:
    """Measurements of one record; fewer where the moments of a record would fill the memory."""
    require(
        steps >= 2 * every,
        f"steps must be at least twice measure_every, got {steps} against {every}. Take more steps.",
    )
    per_record = max(1, -(-steps // (every * records)))
    if trajectory is None or not trajectory.fields:
        return per_record
    moment = 4 * len(trajectory.fields) * int(np.prod(shape))
    return min(per_record, max(1, TOGETHER_BYTES // moment))


def _recorder(
    trajectory: Trajectory | None,
    beads: xr.Dataset | None,
    loop: HostLoop,
    draws: int,
    setting: Thermostat,
) -> TrajectoryRecorder | None:
    return open_recorder(
        trajectory,
        beads,
        loop,
        draws=draws,
        interval=setting.interval,
        together=setting.measurements,
        temperature=setting.temperature,
    )


def _check_masses(topology: Topology) -> None:
    masses = np.asarray(topology.masses)
    require(
        bool((np.isfinite(masses) & (masses > 0)).all()),
        f"mass must be positive and finite for every bead, got {masses.min()} amu. "
        "Map the beads from a topology with masses, or set beads['mass'].",
    )


def _prepared(
    observables: Observables, topology: Topology, setting: Thermostat, box: Any
) -> list[Observable]:
    """Observables with what they take from the system; at constant pressure from a smaller box."""
    smallest = box if setting.barostat is None else SHRINKAGE * np.asarray(box)
    return [
        observable.prepare(topology, setting.interval)
        if isinstance(observable, AbstractTimeObservable)
        else observable.prepare(topology, smallest)
        for observable in observables
    ]


def _motions(
    models: Sequence[Model],
    topology: Topology,
    thermostat: Thermostat,
    start: Array,
    system: System,
    *,
    keep: bool,
) -> Motion:
    """The equations of motion of all draws, every array with a leading draw axis."""
    masses, kind = np.unique(np.asarray(topology.masses), return_inverse=True)
    kinds, beads = len(topology.type_names), (jnp.asarray(masses), jnp.asarray(kind))
    room = _pair_room(models[0].memory, start, system, thermostat)
    motions = [_motion(model, kinds, *beads, thermostat, room) for model in models]
    if keep:
        parts = zip(motions, models, strict=True)
        motions = [Motion(motion.field, motion.bath, model.potential) for motion, model in parts]
    return stack(motions)


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
    margin = PAIR_ROOM if thermostat.barostat is None else PAIR_ROOM / SHRINKAGE**3
    return min(roomy_capacity(most, 1 << 30, margin=margin), max(1, start.shape[1] // 2))


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
