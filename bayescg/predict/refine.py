"""refine: the posterior of a memory from the velocity correlations of simulations.

In a liquid the fast forces on neighbours are correlated, so a path likelihood with one independent memory per
bead is misspecified: its posterior, simulated, misses the atomistic velocity correlation function. Here the
memory is judged by what the whole simulated model does. With c_sim simulated at parameters eta_i, the answer
to other parameters is the linear response of bayescg.memory.response,

    c(t; eta) = response of c_sim to rho [K(t; eta) - K(t; eta_i)],

rho being how strongly the simulations answered so far; the mode of

    c_data ~ N(c(eta), S_data + S_sim + s² R),

is simulated next, until it stays. Around the last simulation the same density is sampled: s, the size of what
no memory of this form can reproduce, is a parameter, and R (bayescg.predict.matching) allows it no
part in the integral, so that the diffusion coefficient is matched. S are Bartlett's covariances of estimates
from independent beads. The potential is not touched: its draws are those of the posterior given.

References:
    G. Jung, M. Hanke, F. Schmid, J. Chem. Theory Comput. 13, 2481 (2017), doi:10.1021/acs.jctc.7b00274.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, positive, require, require_x64, whole
from bayescg._typing import Array, NumpyArray, PRNGKeyArray
from bayescg.data import topology, validate
from bayescg.dynamics import simulate_ensemble
from bayescg.inference import NUTS, Problem, select_draws
from bayescg.inference.diagnostics import convergence, named_warnings
from bayescg.inference.kernel_curves import memory_curves
from bayescg.inference.result import check_same_problem
from bayescg.likelihoods.correlation_data import normalized_covariance
from bayescg.model import Model, parameters
from bayescg.numerics.host_loop import HostLoop
from bayescg.observables import VACF
from bayescg.predict.matching import Curve, Matched, kernel_of
from bayescg.predict.maximum import likeliest

RESPONSE_RANGE = (0.3, 3.0)
"""Of rho: what the answer of a simulation may differ from the response of a free bead."""

EQUILIBRATION = 0.2
"""Fraction of the steps left out before correlations are taken."""


def refine(
    problem: Problem,
    posterior: xr.DataTree,
    reference: xr.Dataset,
    *,
    key: PRNGKeyArray,
    maximum: float = 1.0,
    iterations: int = 5,
    draws: int = 4,
    steps: int = 6_000,
    timestep: float = 0.005,
    sampler: NUTS | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> xr.DataTree:
    """Draw memories whose simulated velocity correlation function is that of the data.

    Args:
        problem: with a memory and many beads.
        posterior: of its potential and memory, from `sample`; where it has no memory, refinement starts from
            the model's own.
        reference: beads with velocities at equal intervals, a multiple of the timestep.
        key: source of all randomness.
        maximum: longest lag matched, ps.
        iterations: simulations, each at the mode that the one before suggests.
        draws: draws of the potential simulated side by side.
        steps: of every simulation.
        timestep: ps.
        sampler: of the memory around the last simulation; None for NUTS with 4 chains of 100 draws.
        checkpoint: folder for the states of the simulations.
        progress: whether to show bars.

    Returns:
        A posterior like the one given, its memory replaced: `bcg.simulate(problem, refined)` works on it.
        Group `refinement` has the correlation functions and root mean square differences of every iteration;
        `discrepancy` in `posterior` is s.

    Raises:
        BayescgError: no memory, no velocities, frames that are no multiple of the timestep apart.
        Interrupted: Ctrl-C; the checkpoint keeps what was simulated.
    """
    require_x64("refine")
    check_same_problem(problem, posterior)
    if problem.joint.memory is None:
        raise BayescgError("problem must have a memory to refine, got None. Build the model with memory=...")
    key_simulate, key_sample, key_starts = jax.random.split(key, 3)
    beads = validate(reference, needs=("velocity", "temperature", "time"))
    interval = float(np.median(np.diff(beads["time"].to_numpy())))
    every = _whole_steps(interval, timestep)
    observable = VACF(maximum=positive("maximum", maximum, unit="ps"))
    data = _of_data(observable, beads)
    memory = problem.part((), problem.prior.only(lambda path: path.startswith("memory.")))
    chosen = select_draws(posterior, draws=draws)
    eta = _start(memory, posterior)
    target, history = None, []
    for index in range(whole("iterations", iterations)):
        loop = HostLoop(
            None if checkpoint is None else Path(checkpoint) / f"simulation_{index}",
            progress,
            f"{problem.fingerprint} {maximum} {draws} {steps} {timestep} {index} {np.asarray(eta).tolist()}",
        )
        run = simulate_ensemble(
            [
                _with_memory(problem, {p: v[i] for p, v in chosen.values.items()}, memory, eta)
                for i in range(draws)
            ],
            _frames(beads, draws),
            box=beads["box"].to_numpy()[0] if "box" in beads else None,
            topology=problem.topology,
            temperature=float(beads.attrs["temperature"]),
            timestep=timestep,
            steps=steps,
            equilibration=round(EQUILIBRATION * steps),
            observables=[observable],
            measure_every=every,
            key=jax.random.fold_in(key_simulate, index),
            loop=loop,
        )
        simulated = _of_run(run, observable, data)
        target = _matched(memory, data, simulated, eta, mass=problem.topology.masses.mean(), before=target)
        history.append((simulated, eta))
        if index + 1 < iterations:
            eta = likeliest(target, eta, key=jax.random.fold_in(key_starts, index))
    assert target is not None
    best = NUTS(chains=4, warmup=300, draws=100) if sampler is None else sampler
    drawn = best.draw(target, key=key_sample, loop=HostLoop(None, progress, ""))
    return _tree(problem, posterior, target, drawn, history)


def _whole_steps(interval: float, timestep: float) -> int:
    every = round(interval / positive("timestep", timestep, unit="ps"))
    require(
        every >= 1 and abs(every * timestep - interval) < 1e-6 * interval,
        f"timestep must divide the {interval:g} ps between frames of the reference, got {timestep:g} ps. "
        f"Take {interval / max(every, 1):g} ps.",
    )
    return every


def _of_data(observable: VACF, beads: xr.Dataset) -> Curve:
    """The data's correlation function."""
    shared = topology(beads)
    ready = observable.prepare(shared, float(np.median(np.diff(beads["time"].to_numpy()))))
    lags = ready.coordinates(shared)["lag_time"].to_numpy()
    velocities = beads["velocity"].to_numpy().astype(float)
    frames = len(velocities)
    require(
        frames > len(lags),
        f"reference must hold more than {len(lags)} frames for lags up to {observable.maximum} ps, got "
        f"{frames} frames. Give a longer trajectory, or a smaller maximum.",
    )
    curve = np.array([_product(velocities, lag) for lag in range(len(lags))])
    return _curve(lags, curve, velocities.size)


def _product(velocities: NumpyArray, lag: int) -> float:
    """<v(s) . v(s + t)> over beads and times."""
    now, later = velocities[: len(velocities) - lag], velocities[lag:]
    return float(np.einsum("fbd,fbd->", now, later) / (now.shape[0] * now.shape[1]))


def _of_run(run: xr.Dataset, observable: VACF, data: Curve) -> Curve:
    """The correlation function of all draws together."""
    name = observable.name
    total = run[f"{name}_sum"].stack(block=("draw", "record")).transpose("block", "lag_time").to_numpy()
    weight = run[f"{name}_weight"].stack(block=("draw", "record")).transpose("block", "lag_time").to_numpy()
    sound = np.isfinite(total).all(axis=1) & (weight > 0).all(axis=1)
    require(
        sound.sum() >= 2,
        "the simulations must outlast the longest lag without exploding, got too few sound blocks. Take more "
        "steps, a shorter timestep or a smaller maximum.",
    )
    moments = weight[sound].sum(axis=0)
    dims = run.sizes["dim"]
    return _curve(np.asarray(data.times), total[sound].sum(axis=0) / moments, dims * float(moments[0]))


def _curve(lags: NumpyArray, values: NumpyArray, samples: float) -> Curve:
    """A correlation function, of so many components of velocities at so many times."""
    c = values / values[0]
    covariance = normalized_covariance(c, np.arange(len(lags))) / samples
    diffusion = float(np.trapezoid(values, lags)) / 3
    return Curve(jnp.asarray(lags), jnp.asarray(c), jnp.asarray(covariance), diffusion)


def _start(memory: Problem, posterior: xr.DataTree) -> Array:
    """Unconstrained parameters of the memory at the posterior's median, or as the model has them."""
    draws = posterior["posterior"].dataset
    if not all(site in draws for site in memory.sites):
        return memory.unconstrain(parameters(memory.joint))
    medians = {
        site: draws[site].transpose("chain", "draw", ...).median(dim=("chain", "draw")).to_numpy()
        for site in memory.sites
    }
    return memory.unconstrain(medians)


def _with_memory(problem: Problem, values: dict[str, Any], memory: Problem, eta: Array) -> Model:
    return Model(
        problem.model({p: v for p, v in values.items() if p.startswith("potential.")}).potential,
        memory.with_values(memory.constrain(eta)).memory,
    )


def _frames(beads: xr.Dataset, count: int) -> NumpyArray:
    """Evenly spaced frames to start from."""
    total = beads.sizes["frame"]
    chosen = ((np.arange(count) + 0.5) * total / count).astype(int)
    return beads["position"].transpose("frame", "bead", "dim").isel(frame=chosen).to_numpy().astype(float)


def _matched(
    memory: Problem, data: Curve, simulated: Curve, eta: Array, *, mass: Array, before: Matched | None
) -> Matched:
    """The target around a simulation; its response is how the simulations answered last."""
    kernel, friction = kernel_of(memory, eta, data.times)
    below = np.flatnonzero(np.asarray(data.values) < np.exp(-1))
    width = data.times[int(below[0])] if below.size else data.times[-1]
    response = 1.0
    if before is not None:
        expected = before.predicted(eta) - before.simulated.values
        answered = simulated.values - before.simulated.values
        measured = float(before.response) * float(expected @ answered / (expected @ expected))
        response = float(np.clip(measured, *RESPONSE_RANGE))
    return Matched(
        memory=memory,
        data=data,
        simulated=simulated,
        center=eta,
        kernel=kernel,
        friction=friction,
        response=jnp.asarray(response),
        mass=jnp.asarray(mass),
        width=jnp.asarray(width),
    )


def _tree(
    problem: Problem,
    posterior: xr.DataTree,
    target: Matched,
    drawn: Any,
    history: Sequence[tuple[Curve, Array]],
) -> xr.DataTree:
    """The posterior given with its memory replaced."""
    chains, count, _ = drawn.positions.shape
    available = posterior["posterior"].sizes["chain"] * posterior["posterior"].sizes["draw"]
    chosen = select_draws(posterior, draws=min(chains * count, available))
    again = np.resize(np.arange(chosen.chain.size), chains * count)  # a short posterior's draws serve again
    etas = jnp.asarray(drawn.positions.reshape(chains * count, -1))
    values = eqx.filter_jit(lambda memory, u: jax.lax.map(memory.constrain, u))(target.memory, etas[:, :-1])
    source = posterior["posterior"].dataset
    variables: dict[str, Any] = {
        path: (("chain", "draw", *source[path].dims[2:]), old[again].reshape(chains, count, *old.shape[1:]))
        for path, old in chosen.values.items()
        if not path.startswith("memory.")
    }
    labels = problem.coordinates()
    for path, new in values.items():
        dims = tuple(labels.get(path, {})) or tuple(f"{path}_dim_{i}" for i in range(new.ndim - 1))
        variables[path] = (("chain", "draw", *dims), np.asarray(new).reshape(chains, count, *new.shape[1:]))
    variables["discrepancy"] = (("chain", "draw"), np.exp(drawn.positions[..., -1]))
    known = {name: source[name] for name in source.coords if name not in ("chain", "draw")}
    draws = xr.Dataset(variables, coords={"chain": np.arange(chains), "draw": np.arange(count)} | known)
    stats = xr.Dataset({name: (("chain", "draw"), array) for name, array in drawn.statistics.items()})
    table = convergence(draws[["discrepancy", *(path for path in values if path in draws)]])
    kept = ("prior", "observed_data", "constant_data", "explained_force", "potential_curves")
    groups: dict[str, Any] = {
        name: posterior[name].to_dataset() for name in kept if name in posterior.children
    }
    groups |= {"posterior": draws, "sample_stats": stats, "convergence": table}
    groups["refinement"] = _history(target, history)
    groups["memory_curves"] = memory_curves(
        problem,
        {str(name): draws[name].to_numpy() for name in draws.data_vars if name != "discrepancy"},
        interval=float(target.data.times[1]),
    )
    tree = xr.DataTree.from_dict(groups)
    warnings = json.loads(posterior.attrs.get("warnings", "[]")) + named_warnings(table, stats)
    tree.attrs = {**posterior.attrs, "inference": "refined", "warnings": json.dumps(warnings)}
    return tree


def _history(target: Matched, history: Sequence[tuple[Curve, Array]]) -> xr.Dataset:
    data = target.data
    curves = np.array([np.asarray(curve.values) for curve, _ in history])
    difference = np.sqrt(np.square(curves - np.asarray(data.values)).mean(axis=1))
    lag = ("lag_time", np.asarray(data.times), {"units": "ps"})
    return xr.Dataset(
        {
            "velocity_correlation": (("iteration", "lag_time"), curves, {"units": "1"}),
            "velocity_correlation_data": ("lag_time", np.asarray(data.values), {"units": "1"}),
            "rms_difference": ("iteration", difference, {"units": "1"}),
            "diffusion": ("iteration", np.array([c.diffusion for c, _ in history]), {"units": "nm^2/ps"}),
            "diffusion_data": ((), data.diffusion, {"units": "nm^2/ps"}),
            "response": ((), float(target.response), {"units": "1"}),
        },
        coords={"iteration": np.arange(len(history)), "lag_time": lag},
    )
