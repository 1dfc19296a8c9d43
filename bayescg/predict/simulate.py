"""simulate: a posterior through dynamics, with the uncertainty of the draws and of the sampling apart."""

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, one_of, whole
from bayescg._typing import Array, NumpyArray
from bayescg.data import topology
from bayescg.dynamics import Trajectory, simulate_ensemble
from bayescg.inference import (
    Problem,
    Selection,
    check_same_problem,
    group_of,
    models_of,
    select_draws,
    spread_frames,
)
from bayescg.model import Model
from bayescg.numerics.host_loop import HostLoop
from bayescg.predict.defaults import (
    Observables,
    default_observables,
    default_stride,
    default_temperature,
    key_after,
    run_fingerprint,
)
from bayescg.predict.engines import ENGINES, external_engine, simulate_in_program
from bayescg.predict.equilibrium import equilibrium, statistics_warnings
from bayescg.predict.run_warnings import run_warnings
from bayescg.predict.stopping import FIRST, RECORDS, StoppingRule
from bayescg.predict.summary import diagnostics, predictive, summary

EQUILIBRATION = 0.2
"""Steps before measuring, as a part of the steps that are measured, where none are given."""


FRICTION = 1.0
"""1/ps; of the thermostat of models without a memory, where none is given."""


def simulate(
    problem: Problem,
    posterior: xr.DataTree,
    *,
    key: Array | None = None,
    draws: int = 32,
    steps: int = 20_000,
    until: float | None = None,
    timestep: float = 0.005,
    observables: Observables | None = None,
    engine: str = "jax-md",
    ensemble: str = "NVT",
    thermostat: str | None = None,
    pressure: float | None = None,
    temperature: float | None = None,
    friction: float | None = None,
    equilibration: int | None = None,
    measure_every: int | None = None,
    replicas: int = 1,
    trajectory: str | Path | Trajectory | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    group: str | None = None,
) -> xr.DataTree:
    """Simulate draws of a posterior and say how far they agree.

    Every draw starts from a frame of the data of its own and runs at constant temperature (and pressure), or
    at constant energy: the generalized Langevin equation where the model has a memory, else Langevin's,
    another thermostat's or Newton's.

    Args:
        problem: that the posterior belongs to.
        posterior: from `bayescg.sample`.
        key: source of all randomness; the same key gives the same bits. None for one derived from the key
            that the posterior was sampled with.
        draws: number of draws, evenly thinned over chains.
        steps: per draw, after equilibration; with `until`, at most.
        until: part of the band that may be Monte Carlo error, 0.1 say: the run ends once this holds for every
            observable, sqrt(<within / (between + within)>) <= until with the mean over its curve. Looked at
            whenever the length has grown by a quarter. None to run all steps. For engine="jax-md".
        timestep: ps; a tenth of the period of the stiffest bond or less.
        observables: measured on the fly, names all different; None for `RDF()`, or for the `Density` of a
            collective variable over its sampled range.
        engine: program that runs the dynamics: "jax-md"; or "lammps" or "openmm", one process per draw and as
            many at once as there are cores, whose frames are measured while they run. Those take pair and
            bonded potentials, in a periodic box.
        ensemble: "NVT"; "NPT", constant pressure; or "NVE", constant energy, for models without a memory.
        thermostat: "langevin", "nose-hoover" or "csvr" (stochastic velocity rescaling), of models without a
            memory; None for "langevin".
        pressure: bar; of NPT, where it must be given.
        temperature: K; None for that of the data. Must be given where the potential is a `Thermodynamic`,
            which stands at this temperature in the simulation.
        friction: of Langevin's thermostat, or one over the relaxation time of the others, 1/ps; None for 1,
            or where a memory is the thermostat or there is none.
        equilibration: steps before measuring; None for a fifth of `steps`, or of the shortest run where
            `until` is given. Records before equilibrium are left out afterwards as well.
        measure_every: steps between measurements. None for the interval of the data where an observable over
            time is measured and the interval is a whole number of steps, else 20.
        replicas: independent simulations of every draw.
        trajectory: file for the measured moments of all draws, written while the run goes on: `run.zarr`, or
            `run.xtc`, `run.trr`, `run.h5md` for one file per draw and `run.psf`; or a
            `bayescg.dynamics.Trajectory`, which says how much of them. A file that exists is refused, unless
            the checkpoint is of the run that wrote it.
        checkpoint: folder for the state of a long run; the same call resumes it, bit for bit; of another
            program finished draws are kept, and the same call runs the others.
        progress: whether to show a bar.
        group: of the posterior; None for `posterior_sandwich` where there is one, else `posterior`.

    Returns:
        DataTree with the groups `posterior_predictive` (mean and `<name>_error` of every draw), `summary`
        (one node per observable: mean, between_draw_sd, within_draw_sd, band), `diagnostics` (explosions,
        kinetic temperature, neighbour lists, `equilibrated_record`, the records that were left out at the
        beginning, and `effective_samples`, independent samples of the slowest quantity); in the attributes of
        the root settings, `measured_steps`, `monte_carlo_part` (JSON, of every observable), and what went
        wrong in `warnings`, a JSON list.

    Raises:
        BayescgError: an unknown engine or group, a program that is missing or of which no draw finished,
            more draws than there are, a posterior of another problem,
            a bad setting, an ensemble, thermostat and pressure that do not go together, a `Thermodynamic`
            without a temperature, a timestep at which bonds explode.
        Interrupted: Ctrl-C; the checkpoint keeps what was done.

    Example:
        >>> import bayescg as bcg, jax
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> posterior = bcg.sample(problem, bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
        >>> simulated = bcg.simulate(
        ...     problem, posterior, draws=2, steps=40, key=jax.random.key(1), progress=False
        ... )
        >>> simulated["posterior_predictive"].radial_distribution.dims
        ('draw', 'type_pair', 'distance')
    """
    replicas, steps = whole("replicas", replicas), whole("steps", steps)
    check_same_problem(problem, posterior)
    key = key_after(posterior) if key is None else key
    chosen = select_draws(posterior, draws=draws, group=group)
    models = models_of(problem, chosen)
    temperature = default_temperature(problem, models[0].potential, temperature)
    observables = default_observables(problem.beads) if observables is None else tuple(observables)
    frames, start, box = spread_frames(problem.beads, len(models) * replicas)
    settings = {
        "steps": steps,
        "timestep": timestep,
        "temperature": temperature,
        "friction": _friction(friction, models[0], ensemble),
        "ensemble": ensemble,
        "thermostat": thermostat,
        "pressure": pressure,
        "equilibration": _equilibration(equilibration, steps, until),
        "measure_every": default_stride(measure_every, observables, problem.beads, timestep),
    }
    names = [observable.name for observable in observables]
    which = np.repeat(np.arange(len(models)), replicas)
    rule = None if until is None else _rule(until, names, which, engine)
    extras = _extras(trajectory, problem.beads, rule)
    identity = [problem.fingerprint, engine, settings, replicas, list(observables), *extras.identity]
    identity.append(jax.random.key_data(key).tolist())
    started = time.perf_counter()
    run = _runner(engine)(
        [model for model in models for _ in range(replicas)],
        start,
        box=box,
        topology=topology(problem.beads),
        observables=observables,
        key=key,
        loop=HostLoop(checkpoint, progress, run_fingerprint(identity, chosen, frames)),
        **settings,
        **extras.arguments,
    )
    seconds = time.perf_counter() - started
    run = run.assign_coords(draw=which, frame=("draw", frames))
    result = _tree(run, names, chosen, temperature)
    about = {"engine": engine, "group": group_of(posterior, group), "replicas": replicas}
    about |= {"key": json.dumps(jax.random.key_data(key).tolist()), "fingerprint": problem.fingerprint}
    about |= {name: value for name, value in settings.items() if value is not None}
    about |= _of_run(run, seconds) | _reached(result, run, rule)
    result.attrs = about | {"warnings": json.dumps(_all_warnings(result, run, names, rule))}
    return result


def _runner(engine: str) -> Callable[..., xr.Dataset]:
    """What runs the draws."""
    if one_of("engine", engine, ENGINES) == "jax-md":
        return simulate_ensemble
    return functools.partial(simulate_in_program, external_engine(engine))


def _friction(wanted: float | None, model: Model, ensemble: str) -> float | None:
    """The default, where there is a thermostat to have one."""
    return FRICTION if wanted is None and model.memory is None and ensemble != "NVE" else wanted


class _Extras(NamedTuple):
    """What only some runs have.

    Attributes:
        arguments: of the function that runs the draws.
        identity: what of them a checkpoint must agree with.
    """

    arguments: dict[str, Any]
    identity: list[Any]


def _extras(
    trajectory: str | Path | Trajectory | None, beads: xr.Dataset, rule: StoppingRule | None
) -> _Extras:
    extras = _Extras({}, [])
    if trajectory is not None:
        frames = trajectory if isinstance(trajectory, Trajectory) else Trajectory(trajectory)
        extras.arguments.update(trajectory=frames, beads=beads)
        extras.identity.extend([frames.every, frames.fields])
    if rule is not None:  # how small the part is to be is left out: a finished run goes on for a smaller one
        extras.arguments.update(enough=rule, records=RECORDS)
        extras.identity.append("until")
    return extras


def _lacking(run: xr.Dataset, names: list[str]) -> list[str]:
    """Observables that are no numbers in draws that ran to their end, and a trajectory that did not."""
    found = [run.attrs["trajectory_failure"]] if run.attrs.get("trajectory_failure") else []
    sound = run["exploded_step"].to_numpy() < 0
    if "failure" in run:
        sound &= run["failure"].to_numpy() == ""
    for name in names:
        if f"{name}_weight" in run:  # a lag without samples is no failure
            continue
        values = run[name].to_numpy()
        bad = sound & ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if bad.any():
            found.append(
                f"{name} is not a number in {int(bad.sum())} of {bad.size} simulations, which are left out "
                "of it. For an ADF give more neighbors; for a Custom look at its function."
            )
    return found


def _of_run(run: xr.Dataset, seconds: float) -> dict[str, Any]:
    """What the run says of itself."""
    taken = run.sizes["draw"] * (run.sizes["record"] * run.attrs["record_steps"] + run.attrs["equilibration"])
    known = {name: run.attrs[name] for name in ("equilibration", "thermostat", "friction", "dynamics")}
    return known | {"seconds": seconds, "bead_steps_per_second": taken * run.sizes["bead"] / seconds}


def _equilibration(wanted: int | None, steps: int, until: float | None) -> int:
    if wanted is not None:
        return wanted
    return round(EQUILIBRATION * (steps if until is None else steps * FIRST / RECORDS))


def _rule(until: float, names: list[str], which: NumpyArray, engine: str) -> StoppingRule:
    if engine != "jax-md":
        raise BayescgError(
            f"until needs engine='jax-md', got {engine!r}: other programs run all their steps. Leave it out, "
            "and choose steps by the monte_carlo_part that the result names."
        )
    return StoppingRule(until, tuple(names), tuple(which.tolist()))


def _reached(result: xr.DataTree, run: xr.Dataset, rule: StoppingRule | None) -> dict[str, Any]:
    """Steps that were measured, and the Monte Carlo part of every observable."""
    parts = {name: result[f"summary/{name}"].attrs["monte_carlo_part"] for name in result["summary"].children}
    found = {
        "measured_steps": run.sizes["record"] * run.attrs["record_steps"],
        "monte_carlo_part": json.dumps({name: None if np.isnan(p) else p for name, p in parts.items()}),
    }
    return found | ({} if rule is None else {"until": rule.until})


def _all_warnings(
    result: xr.DataTree, run: xr.Dataset, names: list[str], rule: StoppingRule | None
) -> list[str]:
    checks = result["diagnostics"].to_dataset()
    found = run_warnings(checks, checks.attrs["temperature"])
    found += statistics_warnings(checks, result["posterior_predictive"].to_dataset(), names)
    parts = {name: float(result[f"summary/{name}"].attrs["monte_carlo_part"]) for name in names}
    missed = {} if rule is None else {name: part for name, part in parts.items() if part > rule.until}
    if rule is not None and missed:
        named = ", ".join(f"{part:.2f} of {name}" for name, part in missed.items())
        found.append(
            f"The Monte Carlo part of the band was to be {rule.until:g} at most, but is still {named} after "
            "all steps. Take more steps."
        )
    return found + _lacking(run, names)


def _tree(run: xr.Dataset, names: list[str], chosen: Selection, temperature: float) -> xr.DataTree:
    """The groups of the result."""
    origin = {"posterior_chain": ("draw", chosen.chain), "posterior_draw": ("draw", chosen.draw)}
    settled = equilibrium(run, names)
    start = settled["equilibrated_record"].to_numpy()
    per_draw = predictive(run, names, start=start).assign_coords(origin)
    checks = diagnostics(run, temperature=temperature, settled=settled)
    tree = {"posterior_predictive": per_draw, "diagnostics": checks}
    return xr.DataTree.from_dict(tree | {f"summary/{name}": summary(per_draw, name) for name in names})
