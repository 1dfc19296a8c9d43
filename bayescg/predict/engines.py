"""Which program runs the draws: jax-md in this process, or another one in processes of its own."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import one_of, positive, require, whole
from bayescg._typing import Array, Float, NumpyArray
from bayescg.dynamics import Trajectory, open_recorder
from bayescg.dynamics.blocks import DYNAMICS
from bayescg.dynamics.ensembles import THERMOSTATS, choose_method
from bayescg.dynamics.timestep import check_timestep
from bayescg.interfaces import Observable, Topology
from bayescg.model import Model
from bayescg.numerics.host_loop import HostLoop
from bayescg.potentials import at_temperature
from bayescg.predict.draw_records import pieces
from bayescg.predict.external import AbstractExternalEngine, Plan
from bayescg.predict.external_runs import simulate_externally

ENGINES = ("jax-md", "lammps", "openmm")
"""Programs that can run the dynamics."""

RECORDS = 100
"""Into how many block means the steps are divided, at most."""


def external_engine(name: str) -> AbstractExternalEngine:
    """The program of this name.

    Args:
        name: one of `ENGINES` but "jax-md".

    Raises:
        BayescgError: another name.

    Example:
        >>> external_engine("lammps").name
        'lammps'
    """
    match one_of("engine", name, ENGINES[1:]):
        case "lammps":
            from bayescg.predict.lammps_engine import Lammps

            return Lammps()
        case _:
            from bayescg.predict.openmm_engine import OpenMM

            return OpenMM()


def simulate_in_program(
    engine: AbstractExternalEngine,
    models: Sequence[Model],
    start: Float[NumpyArray, "draw bead dim"],
    *,
    box: Float[NumpyArray, " dim"] | None,
    topology: Topology,
    temperature: float,
    timestep: float,
    steps: int,
    equilibration: int,
    observables: Sequence[Observable],
    measure_every: int,
    key: Array,
    loop: HostLoop,
    friction: float | None = None,
    ensemble: str = "NVT",
    thermostat: str | None = None,
    pressure: float | None = None,
    records: int = RECORDS,
    trajectory: Trajectory | None = None,
    beads: xr.Dataset | None = None,
) -> xr.Dataset:
    """What `bayescg.dynamics.simulate_ensemble` does, in another program.

    Args:
        engine: from `external_engine`.
        models: one per draw, alike but for the values of their parameters.
        start: positions, nm.
        box: edge lengths, nm, the same for all draws; None for an open system.
        topology: types, masses, chains, exclusions.
        temperature: K.
        timestep: ps.
        steps: after equilibration; rounded down to whole records.
        equilibration: steps before anything is measured; rounded up to whole records.
        observables: measured on the frames.
        measure_every: steps between frames.
        key: source of the seeds.
        loop: checkpoint folder, progress and fingerprint.
        friction: of Langevin dynamics, or one over the relaxation time of another thermostat, 1/ps; None
            where the models have a memory or the energy is constant.
        ensemble: "NVT", "NVE" or "NPT".
        thermostat: "langevin", "nose-hoover" or "csvr"; None for Langevin's where one is needed.
        pressure: bar, of NPT.
        records: into how many block means the steps are divided, at most.
        trajectory: where measured frames are written; None for nowhere.
        beads: what the files say of the beads, where there is a trajectory.

    Returns:
        Block means (draw, record, ...), and `failure` per draw.

    Raises:
        BayescgError: settings that do not go together, a program that is missing or cannot run this, a
            timestep at which bonds explode, or no draw that finished.
        Interrupted: Ctrl-C.
    """
    method = choose_method(
        models,
        ensemble=ensemble,
        thermostat=thermostat,
        friction=friction,
        pressure=pressure,
        compressibility=None,
        timestep=positive("timestep", timestep, unit="ps"),
        box=box,
    )
    per_record = _measurements(steps, measure_every, records)
    length = per_record * measure_every
    plan = Plan(
        topology,
        None if box is None else np.asarray(box, float),
        positive("temperature", temperature, unit="K"),
        timestep,
        measure_every,
        per_record,
        -(-whole("equilibration", equilibration, minimum=0) // length),
        steps // length,
        method.friction,
        ensemble,
        method.name if method.name in THERMOSTATS else None,
        pressure,
    )
    fixed = [Model(at_temperature(model.potential, temperature), model.memory) for model in models]
    check_timestep(fixed, jnp.asarray(start), box=box, topology=topology, timestep=timestep)
    run = _measured(
        engine,
        fixed,
        np.asarray(start, float),
        plan,
        observables=observables,
        key=key,
        loop=loop,
        trajectory=trajectory,
        beads=beads,
    )
    return run.assign_attrs(
        record_steps=plan.record_steps,
        equilibration=plan.warmup_steps,
        capacity=0,
        dynamics=DYNAMICS.get(method.name, "generalized Langevin"),
        thermostat=method.name,
        friction=plan.friction or 0.0,
    )


def _measured(
    engine: AbstractExternalEngine,
    models: Sequence[Model],
    start: NumpyArray,
    plan: Plan,
    *,
    observables: Sequence[Observable],
    key: Array,
    loop: HostLoop,
    trajectory: Trajectory | None,
    beads: xr.Dataset | None,
) -> xr.Dataset:
    """The run itself, its frames on their way to a trajectory where one is wanted."""
    recorder = open_recorder(
        trajectory,
        beads,
        loop,
        draws=len(models),
        interval=plan.interval,
        together=len(pieces(plan, *start.shape[1:])[0]),
        temperature=plan.temperature,
    )
    run = simulate_externally(
        models,
        start,
        plan,
        engine,
        observables=observables,
        key=key,
        loop=loop,
        trajectory=recorder,
    )
    if recorder is not None:
        sound = (run["failure"] == "") & (run["exploded_step"] < 0)
        recorder.check(len(plan.measured_steps), np.flatnonzero(sound).tolist())
        run = run.assign_attrs(trajectory_failure=recorder.failure)
    return run


def _measurements(steps: int, every: int, records: int) -> int:
    """Frames of one record."""
    steps, every = whole("steps", steps), whole("measure_every", every)
    require(
        steps >= 2 * every,
        f"steps must be at least twice measure_every, got {steps} against {every}. Take more steps.",
    )
    return max(1, -(-steps // (every * whole("records", records))))


def failures(checks: xr.Dataset) -> list[str]:
    """Draws that another program did not finish, and draws that could not be kept, in words.

    Args:
        checks: `diagnostics` of a simulation.

    Example:
        >>> checks = xr.Dataset({"failure": ("run", ["", "ERROR: Lost atoms"])}, {"draw": ("run", [0, 1])})
        >>> failures(checks)[0][:79]
        '1 of 2 simulations did not finish and are left out: draw 1 (ERROR: Lost atoms).'
    """
    found = []
    named = {kind: _named(checks, kind) for kind in ("failure", "unsaved") if kind in checks}
    if named.get("failure"):
        found.append(
            f"{len(named['failure'])} of {checks.sizes['run']} simulations did not finish and are left out: "
            f"{', '.join(named['failure'])}. The same call with a checkpoint folder runs them again."
        )
    if named.get("unsaved"):
        found.append(f"not kept in the checkpoint folder: {', '.join(named['unsaved'])}. Free some space.")
    return found


def _named(checks: xr.Dataset, kind: str) -> list[str]:
    texts = checks[kind].to_numpy()
    return [f"draw {int(checks['draw'][i])} ({text})" for i, text in enumerate(texts) if text]
