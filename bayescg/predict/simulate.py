"""simulate: a posterior through dynamics, with the uncertainty of the draws and of the sampling apart."""

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, positive, require, whole
from bayescg._typing import Array, NumpyArray
from bayescg.data import topology
from bayescg.dynamics import simulate_ensemble
from bayescg.inference import Problem, check_same_problem
from bayescg.interfaces import AbstractObservable, AbstractPotential, AbstractTimeObservable
from bayescg.model import Model
from bayescg.numerics.host_loop import HostLoop
from bayescg.observables import RDF, Density
from bayescg.potentials.thermodynamic import depends_on_temperature
from bayescg.predict.summary import diagnostics, predictive, summary

ENGINES = ("jax-md",)
"""Programs that can run the dynamics."""

EQUILIBRATION = 0.2
"""Steps before measuring, as a part of the steps that are measured, where none are given."""


FRICTION = 1.0
"""1/ps; of the thermostat of models without a memory, where none is given."""

MEASURE_EVERY = 20
"""Steps between measurements, where none are given and the data do not set an interval."""

Observables = Sequence[AbstractObservable | AbstractTimeObservable]


class Selection(NamedTuple):
    """Draws of a posterior, evenly thinned over all chains.

    Attributes:
        chain: index of the chain of every draw.
        draw: index within its chain.
        values: path -> (draw, ...) values.
    """

    chain: NumpyArray
    draw: NumpyArray
    values: dict[str, NumpyArray]


def simulate(
    problem: Problem,
    posterior: xr.DataTree,
    *,
    key: Array | None = None,
    draws: int = 32,
    steps: int = 20_000,
    timestep: float = 0.005,
    observables: Observables | None = None,
    engine: str = "jax-md",
    temperature: float | None = None,
    friction: float | None = None,
    equilibration: int | None = None,
    measure_every: int | None = None,
    replicas: int = 1,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    group: str | None = None,
) -> xr.DataTree:
    """Simulate draws of a posterior and say how far they agree.

    Every draw starts from a frame of the data of its own and runs at constant temperature: the generalized
    Langevin equation where the model has a memory, else Langevin dynamics.

    Args:
        problem: that the posterior belongs to.
        posterior: from `bayescg.sample`.
        key: source of all randomness; the same key gives the same bits. None for one derived from the key
            that the posterior was sampled with.
        draws: number of draws, evenly thinned over chains.
        steps: per draw, after equilibration.
        timestep: ps; a tenth of the period of the stiffest bond or less.
        observables: measured on the fly, names all different; None for `RDF()`, or for the `Density` of a
            collective variable over its sampled range.
        engine: program that runs the dynamics.
        temperature: K; None for that of the data. Must be given where the potential is a `Thermodynamic`,
            which stands at this temperature in the simulation.
        friction: of the thermostat, 1/ps; None for 1, or for the memory where the model has one.
        equilibration: steps before measuring; None for a fifth of `steps`.
        measure_every: steps between measurements. None for the interval of the data where an observable over
            time is measured and the interval is a whole number of steps, else 20.
        replicas: independent simulations of every draw.
        checkpoint: folder for the state of a long run; the same call resumes it, bit for bit.
        progress: whether to show a bar.
        group: of the posterior; None for `posterior_sandwich` where there is one, else `posterior`.

    Returns:
        DataTree with the groups `posterior_predictive` (mean and `<name>_error` of every draw), `summary`
        (one node per observable: mean, between_draw_sd, within_draw_sd, band), `diagnostics` (explosions,
        kinetic temperature, neighbour lists); settings in the attributes of the root, and what went wrong
        in `attrs["warnings"]`, a JSON list.

    Raises:
        BayescgError: an unknown engine or group, more draws than there are, a posterior of another problem,
            a bad setting, a `Thermodynamic` without a temperature, a timestep at which bonds explode.
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
    _check_engine(engine)
    replicas, steps = whole("replicas", replicas), whole("steps", steps)
    check_same_problem(problem, posterior)
    key = _key_after(posterior) if key is None else key
    chosen = select_draws(posterior, draws=draws, group=group)
    models = _models(problem, chosen)
    temperature = _temperature(problem, models[0].potential, temperature)
    observables = _observables(problem.beads) if observables is None else tuple(observables)
    frames, start, box = _start(problem.beads, len(models) * replicas)
    settings = {
        "steps": steps,
        "timestep": timestep,
        "temperature": temperature,
        "friction": FRICTION if friction is None and models[0].memory is None else friction,
        "equilibration": round(EQUILIBRATION * steps) if equilibration is None else equilibration,
        "measure_every": _stride(measure_every, observables, problem.beads, timestep),
    }
    identity = [problem.fingerprint, settings, replicas, list(observables), jax.random.key_data(key).tolist()]
    started = time.perf_counter()
    run = simulate_ensemble(
        [model for model in models for _ in range(replicas)],
        start,
        box=box,
        topology=topology(problem.beads),
        observables=observables,
        key=key,
        loop=HostLoop(checkpoint, progress, _fingerprint(identity, chosen, frames)),
        **settings,
    )
    seconds = time.perf_counter() - started
    run = run.assign_coords(draw=np.repeat(np.arange(len(models)), replicas), frame=("draw", frames))
    result = _tree(run, [observable.name for observable in observables], chosen, temperature)
    taken = run.sizes["draw"] * (run.sizes["record"] * run.attrs["record_steps"] + run.attrs["equilibration"])
    result.attrs = settings | {
        "equilibration": run.attrs["equilibration"],
        "engine": engine,
        "friction": run.attrs["friction"],
        "dynamics": run.attrs["dynamics"],
        "group": _group(posterior, group),
        "replicas": replicas,
        "key": json.dumps(jax.random.key_data(key).tolist()),
        "fingerprint": problem.fingerprint,
        "seconds": seconds,
        "bead_steps_per_second": taken * run.sizes["bead"] / seconds,
        "warnings": json.dumps(_named_warnings(result["diagnostics"].to_dataset(), temperature)),
    }
    return result


def select_draws(posterior: xr.DataTree, *, draws: int, group: str | None = None) -> Selection:
    """Evenly thinned draws of a posterior.

    Args:
        posterior: with a group of variables (chain, draw, ...).
        draws: how many.
        group: its name; None for `posterior_sandwich` where there is one, else `posterior`.

    Raises:
        BayescgError: no such group, or fewer draws than wanted.

    Example:
        >>> import numpy as np
        >>> tree = xr.DataTree.from_dict(
        ...     {"posterior": xr.Dataset({"a": (("chain", "draw"), np.arange(8.0).reshape(2, 4))})}
        ... )
        >>> select_draws(tree, draws=4).values["a"].tolist()
        [1.0, 3.0, 5.0, 7.0]
    """
    dataset = posterior[_group(posterior, group)].to_dataset()
    chains, length = dataset.sizes["chain"], dataset.sizes["draw"]
    wanted = whole("draws", draws)
    require(
        wanted <= chains * length,
        f"draws must be at most the {chains * length} of the posterior, got {wanted}. "
        "Sample more, or ask for fewer.",
    )
    flat = ((np.arange(wanted) + 0.5) * chains * length / wanted).astype(int)
    chain, draw = np.divmod(flat, length)
    values = {
        str(name): variable.transpose("chain", "draw", ...).to_numpy()[chain, draw]
        for name, variable in dataset.data_vars.items()
    }
    return Selection(chain, draw, values)


def _tree(run: xr.Dataset, names: list[str], chosen: Selection, temperature: float) -> xr.DataTree:
    """The groups of the result."""
    origin = {"posterior_chain": ("draw", chosen.chain), "posterior_draw": ("draw", chosen.draw)}
    per_draw = predictive(run, names).assign_coords(origin)
    tree = {"posterior_predictive": per_draw, "diagnostics": diagnostics(run, temperature=temperature)}
    return xr.DataTree.from_dict(tree | {f"summary/{name}": summary(per_draw, name) for name in names})


def _key_after(posterior: xr.DataTree) -> Array:
    """A key of its own for the simulation of a posterior."""
    if "key" not in posterior.attrs:
        raise BayescgError(
            "key must be given where the posterior does not hold the key it was sampled with, got None. "
            "Pass key=jax.random.key(1)."
        )
    data = jnp.asarray(json.loads(posterior.attrs["key"]), dtype=jnp.uint32)
    return jax.random.fold_in(jax.random.wrap_key_data(data), 1)


def _check_engine(engine: str) -> None:
    if engine not in ENGINES:
        raise BayescgError(
            f"engine must be one of {', '.join(map(repr, ENGINES))}, got {engine!r}. "
            "For other programs export the draws."
        )


def _group(posterior: xr.DataTree, group: str | None) -> str:
    if group is None:
        return "posterior_sandwich" if "posterior_sandwich" in posterior.children else "posterior"
    if group not in posterior.children:
        raise BayescgError(
            f"group must be one of {', '.join(map(repr, posterior.children))}, got {group!r}. "
            "Leave it out for the default."
        )
    return group


def _observables(beads: xr.Dataset) -> Observables:
    """What can be measured on any data of the kind."""
    if "box" in beads:
        return (RDF(),)
    x = beads["position"]
    lowest, highest = float(x.min()), float(x.max())
    unit = x.attrs.get("units", "nm")
    if "period" in beads and float(beads["period"].max()) > 0:
        period = float(beads["period"].max())
        return (Density(lowest, lowest + period, period=period, unit=unit),)
    margin = 0.1 * (highest - lowest)
    return (Density(lowest - margin, highest + margin, unit=unit),)


def _stride(wanted: int | None, observables: Observables, beads: xr.Dataset, timestep: float) -> int:
    """Steps between measurements: as in the data, where curves over time are to be compared with them."""
    if wanted is not None:
        return wanted
    if not any(isinstance(o, AbstractTimeObservable) for o in observables) or "time" not in beads:
        return MEASURE_EVERY
    steps = np.diff(beads["time"].to_numpy().astype(float))
    forward = steps[steps > 0]
    ratio = float(np.median(forward)) / timestep if forward.size else 0.0
    return round(ratio) if ratio > 0.5 and abs(ratio - round(ratio)) < 1e-3 * ratio else MEASURE_EVERY


def _temperature(problem: Problem, potential: AbstractPotential | None, wanted: float | None) -> float:
    """That of the data where none is wanted; data of a `Thermodynamic` may have several."""
    if wanted is None and potential is not None and depends_on_temperature(potential):
        raise BayescgError(
            "temperature must be given where the potential is a Thermodynamic, got None. Give one in kelvin, "
            "as in temperature=320.0."
        )
    return positive("temperature", problem.temperature if wanted is None else wanted, unit="K")


def _models(problem: Problem, chosen: Selection) -> list[Model]:
    return [
        problem.model({path: values[index] for path, values in chosen.values.items()})
        for index in range(len(chosen.chain))
    ]


def _start(beads: xr.Dataset, count: int) -> tuple[NumpyArray, NumpyArray, NumpyArray | None]:
    """Evenly spaced frames, their positions (run, bead, dim), and one box for all.

    Where the box fluctuates, all frames are scaled to its mean.
    """
    total = beads.sizes["frame"]
    frames = ((np.arange(count) + 0.5) * total / count).astype(int)
    positions = (
        beads["position"].transpose("frame", "bead", "dim").isel(frame=frames).to_numpy().astype(float)
    )
    if "box" not in beads:
        return frames, positions, None
    boxes = beads["box"].transpose("frame", "dim").to_numpy().astype(float)
    mean = boxes.mean(axis=0)
    return frames, positions * (mean / boxes[frames])[:, None], mean


def _fingerprint(identity: list[Any], chosen: Selection, frames: NumpyArray) -> str:
    digest = hashlib.sha256(repr(identity).encode())
    for path in sorted(chosen.values):
        digest.update(path.encode())
        digest.update(np.ascontiguousarray(chosen.values[path]).tobytes())
    digest.update(frames.tobytes())
    return digest.hexdigest()


def _named_warnings(checks: xr.Dataset, temperature: float) -> list[str]:
    """What went wrong and what to do about it."""
    found = []
    exploded = np.flatnonzero(checks["exploded"].to_numpy())
    if exploded.size:
        first = exploded[0]
        found.append(
            f"{exploded.size} of {checks.sizes['run']} simulations exploded and are left out: "
            + ", ".join(
                f"draw {int(checks['draw'][i])} at step {int(checks['exploded_step'][i])}" for i in exploded
            )
            + f". Take a shorter timestep, or look at the potential of draw {int(checks['draw'][first])}."
        )
    mean = float(checks["kinetic_temperature"].mean())
    error = float(np.sqrt((checks["kinetic_temperature_error"] ** 2).mean() / checks.sizes["run"]))
    if abs(mean - temperature) > max(5 * error, 0.02 * temperature):
        found.append(
            f"kinetic temperature is {mean:.1f} ± {error:.1f} K against a target of {temperature:.1f} K. "
            "Take a shorter timestep, or a longer equilibration."
        )
    return found
