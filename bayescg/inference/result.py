"""sample: a problem and a sampler give an xarray.DataTree in ArviZ's schema.

Groups: `posterior`, `posterior_sandwich` (the same draws with the sandwich covariance), `sample_stats`,
`convergence`, `prior`, `log_likelihood` (per block of frames), `observed_data`, `constant_data`,
`explained_force`, `potential_curves`, `memory_curves`, `reweighting` (of an `Observable` likelihood, whether
sampled frames serve the draws), and provenance in the attributes of the root; from
`SMC` also `log_evidence` and `log_evidence_error`, from approximations (`SVI`, `Laplace`) `pareto_k`.
"""

import hashlib
import importlib.metadata
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError
from bayescg._typing import Array, NumpyArray, PRNGKeyArray
from bayescg.inference.cut import Cut, modular
from bayescg.inference.diagnostics import convergence, named_warnings
from bayescg.inference.evidence import evidence_attributes
from bayescg.inference.kernel_curves import frame_interval, memory_curves, memory_warnings
from bayescg.inference.lag_warnings import lag_warnings
from bayescg.inference.laplace_subset import held_names, held_sentence
from bayescg.inference.modules import modules_of
from bayescg.inference.pareto import approximation_attributes
from bayescg.inference.problem import Problem
from bayescg.inference.sampled_weights import sampled_weights
from bayescg.inference.sampler import AbstractSampler, Draws
from bayescg.inference.sandwich import Sandwich, repaired, sandwich
from bayescg.inference.thermodynamic_curves import curves_of
from bayescg.inference.warm_start import warm_start
from bayescg.likelihoods.explained import explained_force
from bayescg.likelihoods.statistics import ForceStatistics
from bayescg.memory.timescales import known_timescales
from bayescg.numerics.batches import map_in_batches
from bayescg.numerics.blocks import MINIMUM_BLOCKS
from bayescg.numerics.host_loop import HostLoop
from bayescg.units import UNITS

PRIOR_DRAWS = 500
"""Draws of the prior kept beside the posterior."""

DRAWS_AT_ONCE = 64
"""Draws whose values are computed together; bounds memory."""

PACKAGES = ("bayescg", "jax", "numpyro", "blackjax", "equinox", "jax-md", "numpy", "scipy")


def sample(
    problem: Problem,
    sampler: AbstractSampler,
    *,
    key: PRNGKeyArray,
    cut: bool | None = None,
    start: xr.DataTree | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> xr.DataTree:
    """Draw from the posterior of a problem.

    Args:
        problem: model, prior and data.
        sampler: `Conjugate()`, `NUTS()`, ...
        key: source of all randomness; the same key gives the same bits.
        cut: whether the potential is drawn from the other terms alone and the memory given its draws
            (`Cut`); None for yes where many beads have a path likelihood beside another term.
        start: an earlier result, of less data or a smaller model, from whose draws the sampler begins
            where names and shapes agree; None for draws from the prior. The posterior is the same.
        checkpoint: folder for the state of a long run; calling again with the same arguments resumes
            it, bit for bit.
        progress: whether to show a bar.

    Returns:
        DataTree as described at the top of this module; `to_netcdf` writes it, ArviZ reads it. Warnings
        stand as a JSON list in `attrs["warnings"]`.

    Raises:
        BayescgError: the sampler does not fit the problem, the checkpoint belongs to another run, or the
            earlier result has no parameter of this problem.
        Interrupted: Ctrl-C; the checkpoint keeps what was drawn.

    Example:
        >>> import bayescg as bcg, jax
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> posterior = bcg.sample(problem, bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
        >>> dict(posterior["posterior"].sizes)["draw"]
        50
    """
    started = time.perf_counter()
    sampler = modular(problem, sampler, cut=cut)
    begun = problem if start is None else problem.started(warm_start(problem, start))
    loop = HostLoop(checkpoint, progress, _fingerprint(begun, sampler, key))
    sampler_key, prior_key = jax.random.split(key)
    draws = sampler.draw(begun, key=sampler_key, loop=loop)
    drawing_seconds = time.perf_counter() - started
    values = _values(problem, draws.positions)
    posterior = _dataset(problem, values)
    stats = xr.Dataset({name: (("chain", "draw"), array) for name, array in draws.statistics.items()})
    stats = stats.assign_coords(chain=posterior["chain"], draw=posterior["draw"])
    table = convergence(posterior)
    evidence, doubts = evidence_attributes(stats)
    approximation, misfits = approximation_attributes(stats)
    held = held_names(problem, draws.positions)
    warnings = named_warnings(table, stats) + doubts + misfits
    if held:
        warnings.append(held_sentence(held))
        approximation["held_at_mode"] = json.dumps(held)
    center = jnp.asarray(draws.positions.reshape(-1, problem.dimension).mean(axis=0))
    groups = {
        "posterior": posterior,
        "sample_stats": stats,
        "convergence": table,
        "prior": _dataset(problem, _prior_values(problem, prior_key)),
        "log_likelihood": _log_likelihood(problem, values),
        **_data_groups(problem),
    }
    robust, note = _robust(problem, sampler, center, draws)
    warnings += note + memory_warnings(problem, values) + lag_warnings(problem, values)
    naive = None
    if robust is not None:
        spread, positions = robust
        naive, values = values, _values(problem, positions)
        groups["posterior_sandwich"] = _dataset(problem, values).assign_attrs(temper=spread.temper)
    weights, doubts = sampled_weights(problem, values)
    warnings += doubts
    if weights is not None:
        groups["reweighting"] = weights
    groups |= curves_of(problem, values, naive=naive)
    if problem.joint.memory is not None:
        scales = known_timescales(problem.joint.memory)
        interval = frame_interval(problem.beads) if scales is None else float(scales.interval)
        if (kernels := memory_curves(problem, values, interval=interval)) is not None:
            groups["memory_curves"] = kernels
    tree = xr.DataTree.from_dict(groups)
    tree.attrs.update(_provenance(problem, sampler, key, warnings) | evidence | approximation)
    tree.attrs["drawing_seconds"] = drawing_seconds
    tree.attrs["sampling_seconds"] = time.perf_counter() - started
    return tree


def draw_values(tree: xr.DataTree, *, group: str | None = None) -> dict[str, NumpyArray]:
    """Draws of a result as path -> array (chain, draw, ...), ready for `problem.model`.

    Args:
        tree: from `sample`.
        group: `posterior` or `posterior_sandwich`; None for the sandwich where it is present.

    Raises:
        BayescgError: the group is not in the tree.

    Example:
        >>> import numpy as np, xarray as xr
        >>> draws = xr.Dataset({"a": (("chain", "draw"), np.ones((1, 2)))})
        >>> draw_values(xr.DataTree.from_dict({"posterior": draws}))["a"].shape
        (1, 2)
    """
    chosen = group or ("posterior_sandwich" if "posterior_sandwich" in tree.children else "posterior")
    if chosen not in tree.children:
        raise BayescgError(f"group must be one of {', '.join(sorted(tree.children))}, got {chosen!r}.")
    return {str(name): variable.values for name, variable in tree[chosen].dataset.data_vars.items()}


def check_same_problem(problem: Problem, tree: xr.DataTree) -> None:
    """Raise unless a result was sampled from this problem (a tree without a fingerprint passes).

    Args:
        problem: the posterior.
        tree: from `sample`.

    Raises:
        BayescgError: the fingerprints differ.

    Example:
        >>> import xarray as xr
        >>> from types import SimpleNamespace
        >>> check_same_problem(SimpleNamespace(fingerprint="1f"), xr.DataTree())
    """
    found = tree.attrs.get("problem", problem.fingerprint)
    if found != problem.fingerprint:
        raise BayescgError(
            f"the posterior must be of problem {problem.fingerprint}, got one of problem {found}. "
            "Give the problem that it was sampled from."
        )


def _values(problem: Problem, positions: NumpyArray) -> dict[str, NumpyArray]:
    """Values of all draws, (chain, draw, ...)."""
    flat = jnp.asarray(positions).reshape(-1, problem.dimension)
    values = _over_draws(problem.constrain, flat)
    return {
        path: np.asarray(value).reshape(*positions.shape[:2], *value.shape[1:])
        for path, value in values.items()
    }


def _prior_values(problem: Problem, key: PRNGKeyArray) -> dict[str, NumpyArray]:
    values = _of_prior(problem, jax.random.split(key, PRIOR_DRAWS))
    return {path: np.asarray(value)[None] for path, value in values.items()}


def _dataset(problem: Problem, values: Mapping[str, NumpyArray]) -> xr.Dataset:
    """Name the axes; where two parameters disagree on the labels of a dimension, it carries the path."""
    labels, known, variables = problem.coordinates(), {}, {}
    for path in sorted(values):
        shape = values[path].shape[2:]
        of_path = labels.get(path) or labels.get(path.rsplit(".", 1)[0]) or {}
        dims = []
        for axis, size in enumerate(shape):
            name = list(of_path)[axis] if axis < len(of_path) else f"{path}_dim_{axis}"
            axis_labels = list(of_path[name]) if axis < len(of_path) else list(range(size))
            if known.get(name, axis_labels) != axis_labels or len(axis_labels) != size:
                name, axis_labels = f"{path}.{name}", list(range(size))
            known[name] = axis_labels
            dims.append(name)
        variables[path] = (("chain", "draw", *dims), values[path])
    chains, draws = next(iter(values.values())).shape[:2]
    return xr.Dataset(variables, coords={**known, "chain": np.arange(chains), "draw": np.arange(draws)})


def _log_likelihood(problem: Problem, values: Mapping[str, NumpyArray]) -> xr.Dataset:
    """Log likelihood of every block for every draw."""
    first = next(iter(values.values()))
    flat = {path: jnp.asarray(v.reshape(-1, *v.shape[2:])) for path, v in values.items()}
    terms = _over_draws(problem.blocks, flat)
    chains, draws = first.shape[:2]
    return xr.Dataset(
        {
            _term_name(problem, index): (
                ("chain", "draw", f"block.{index}" if index else "block"),
                np.asarray(term).reshape(chains, draws, -1),
            )
            for index, term in enumerate(terms)
        },
        coords={"chain": np.arange(chains), "draw": np.arange(draws)},
    )


def _term_name(problem: Problem, index: int) -> str:
    likelihoods = problem.joint.likelihoods
    name = type(likelihoods[index]).__name__
    return name if len(likelihoods) == 1 else f"{name}.{index}"


def _data_groups(problem: Problem) -> dict[str, xr.Dataset]:
    """What is kept of the data; several terms are told apart by the name of their group's variables."""
    groups: dict[str, xr.Dataset] = {}
    for index, (likelihood, seen) in enumerate(
        zip(problem.joint.likelihoods, problem.observations, strict=True)
    ):
        for group, dataset in likelihood.datasets(seen).items():
            if index:
                names = {name: f"{name}.{index}" for name in (*dataset.data_vars, *dataset.dims)}
                dataset = dataset.rename(names)
            groups[group] = groups.get(group, xr.Dataset()).merge(dataset)
        if index == 0 and isinstance(seen, ForceStatistics) and seen.frames.shape[0] >= MINIMUM_BLOCKS:
            groups["explained_force"] = explained_force(problem.joint.potential, seen, problem.beads)
    return groups


def _robust(
    problem: Problem, sampler: AbstractSampler, center: Array, draws: Draws
) -> tuple[tuple[Sandwich, NumpyArray] | None, list[str]]:
    """Sandwich and repaired draws, or the sentence why there are none.

    Of a cut posterior the potential's module is repaired; the memory's draws stay.
    """
    if held_names(problem, draws.positions):
        return None, ["No sandwich intervals: not all parameters are uncertain."]
    modules = modules_of(problem) if isinstance(sampler, Cut) else None
    try:
        if modules is None:
            spread = sandwich(problem, center)
            return (spread, repaired(spread, draws.positions)), []
        places = modules.structure_places
        spread = sandwich(modules.structure, center[places])
    except BayescgError as error:
        return None, [f"No sandwich intervals: {error}"]
    positions = draws.positions.copy()
    positions[..., places] = repaired(spread, draws.positions[..., places])
    return (spread, positions), []


@eqx.filter_jit
def _over_draws(function: Callable[[Any], Any], draws: Any) -> Any:
    """A function of every draw, in one program that problems of the same shapes share."""
    return map_in_batches(function, draws, DRAWS_AT_ONCE)


@eqx.filter_jit
def _of_prior(problem: Problem, keys: PRNGKeyArray) -> dict[str, Array]:
    """Values at one draw from the prior for every key."""
    return map_in_batches(lambda key: problem.constrain(problem.initial(key)), keys, DRAWS_AT_ONCE)


def _fingerprint(problem: Problem, sampler: AbstractSampler, key: PRNGKeyArray) -> str:
    settings = json.dumps(sampler.settings(), sort_keys=True)
    text = f"{problem.fingerprint}{settings}{np.asarray(jax.random.key_data(key)).tolist()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _provenance(
    problem: Problem, sampler: AbstractSampler, key: PRNGKeyArray, warnings: list[str]
) -> dict[str, Any]:
    beads = problem.beads
    return {
        "created_by": "bayescg",
        "versions": json.dumps({name: importlib.metadata.version(name) for name in PACKAGES}),
        "sampler": json.dumps(sampler.settings()),
        "inference": "cut" if isinstance(sampler, Cut) else "joint",
        "key": json.dumps(np.asarray(jax.random.key_data(key)).tolist()),
        "problem": problem.fingerprint,
        "potential": repr(type(problem.joint.potential).__name__),
        "cutoff": float(problem.joint.potential.cutoff),
        "units": json.dumps(UNITS),
        "temperature": float(beads.attrs.get("temperature", np.nan)),
        "source": str(beads.attrs.get("source", "")),
        "source_hash": str(beads.attrs.get("source_hash", "")),
        "mapping": str(beads.attrs.get("mapping", "")),
        "frames": int(beads.sizes["frame"]),
        "beads": int(beads.sizes["bead"]),
        "warnings": json.dumps(warnings),
    }
