"""From frames and weights to means, errors, bands and what to be told about them."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from bayescg._typing import NumpyArray
from bayescg.data import topology
from bayescg.interfaces import AbstractObservable
from bayescg.numerics.mixture import log_weights
from bayescg.predict.equilibrium import named_draws, statistics_warnings
from bayescg.predict.reweight_mixture import Guards, guards, reweighted, shared_covariance
from bayescg.predict.reweight_plan import Plan, References
from bayescg.predict.reweight_pool import Pool
from bayescg.predict.run_warnings import run_warnings
from bayescg.predict.summary import correlation_attributes, diagnostics, summary
from bayescg.predict.variance import block_correlation


class Weighed(NamedTuple):
    """Reduced energies, and whether they can carry the frames to the draws.

    Attributes:
        draws: (draw, frame) energies over kT under the draws.
        references: (reference, frame) under the references.
        guards: of the weights.
        passed: draws that are reweighted.
    """

    draws: NumpyArray
    references: NumpyArray
    guards: Guards
    passed: NumpyArray


def weigh(plan: Plan, pool: Pool, references: References, least: float) -> Weighed:
    """Reduced energies of all frames, and what the weights are worth.

    Args:
        plan: models and settings.
        pool: frames.
        references: their places.
        least: effective samples that a draw must have.
    """
    reduced = pool.energies.T / plan.thermal_energy
    draws, of_references = reduced[: plan.draws], reduced[references.places]
    if not pool.runs:  # all of them exploded
        nothing = np.zeros(plan.draws)
        found = Guards(nothing, nothing, nothing + np.inf)
    else:
        counts = np.bincount(pool.origin, minlength=len(references.places))
        found = guards(log_weights(draws, of_references, counts), pool.runs, pool.curves)
    return Weighed(draws, of_references, found, found.passed(least))


def result_tree(
    plan: Plan, pool: Pool, references: References, weighed: Weighed, own: xr.DataTree | None
) -> xr.DataTree:
    """The groups of the result.

    Args:
        plan: models and settings.
        pool: frames.
        references: their places.
        weighed: energies and guards.
        own: simulations of the draws that did not pass.
    """
    passed = weighed.passed
    beads_topology = topology(plan.problem.beads)
    origin = {"posterior_chain": ("draw", plan.chosen.chain), "posterior_draw": ("draw", plan.chosen.draw)}
    variables: dict[str, Any] = {}
    coordinates: dict[str, Any] = {"draw": np.arange(plan.draws)}
    for index, observable in enumerate(plan.observables):
        labels = references.frames.observables[index].coordinates(beads_topology)
        coordinates |= labels
        variables |= _of_observable(observable, tuple(labels), index, pool, weighed, own)
    per_draw = xr.Dataset(variables, coords=coordinates).assign_coords(origin)
    shown = per_draw.drop_vars([f"{name}_shared" for name in plan.names])
    checks = diagnostics(pool.run, temperature=plan.settings["temperature"], settled=pool.settled)
    found = {
        "reweighted": ("draw", passed),
        "effective_samples": ("draw", weighed.guards.effective),
        "kish": ("draw", weighed.guards.kish),
        "pareto_k": ("draw", weighed.guards.k),
    }
    groups = {
        "posterior_predictive": shown,
        "reweighting": xr.Dataset(found, coords={"draw": np.arange(plan.draws)}).assign_coords(origin),
        "diagnostics": _with_own(checks, own, np.flatnonzero(~passed)),
    }
    return xr.DataTree.from_dict(groups | {f"summary/{name}": summary(per_draw, name) for name in plan.names})


def result_warnings(result: xr.DataTree, plan: Plan, own: xr.DataTree | None) -> list[str]:
    """What to be told.

    Args:
        result: with all its groups.
        plan: models and settings.
        own: simulations of the draws that did not pass.
    """
    checks = result["diagnostics"].to_dataset()
    found = run_warnings(checks, plan.settings["temperature"])
    found += statistics_warnings(checks, result["posterior_predictive"].to_dataset(), plan.names)
    if own is not None:
        guarded = result["reweighting"].to_dataset()
        failed = np.flatnonzero(~guarded["reweighted"].to_numpy())
        found.append(
            f"{failed.size} of {plan.draws} draws could not be reweighted and were simulated: "
            f"{named_draws(failed)} (Pareto k up to {float(guarded['pareto_k'].max()):.2f}, "
            f"effective samples down to {float(guarded['effective_samples'].min()):.0f}). "
            "Take more steps or references, or simulate."
        )
    return found


def _of_observable(
    observable: AbstractObservable,
    labels: tuple[str, ...],
    index: int,
    pool: Pool,
    weighed: Weighed,
    own: xr.DataTree | None,
) -> dict[str, Any]:
    """Mean, error and shared covariance of one observable over all draws."""
    name, units = observable.name, {"units": observable.units}
    passed, shape = weighed.passed, pool.curves[index].shape[1:]
    mean, error = np.full((2, passed.size, *shape), np.nan)
    shared, about = np.zeros(shape), {}
    if passed.any():
        values = pool.curves[index]
        found = reweighted(
            values, weighed.draws[passed], weighed.references, origin=pool.origin, blocks=pool.blocks
        )
        mean[passed], error[passed] = found.mean, found.error
        shared = shared_covariance(found.changes, passed.size)
        each = (int(pool.blocks.max()) + 1) // len(pool.runs)
        about = correlation_attributes(
            np.array([block_correlation(values[run], blocks=each) for run in pool.runs])
        )
    if own is not None:
        simulated = own["posterior_predictive"]
        mean[~passed], error[~passed] = simulated[name].to_numpy(), simulated[f"{name}_error"].to_numpy()
    return {
        name: (("draw", *labels), mean, units),
        f"{name}_error": (("draw", *labels), error, units | about),
        f"{name}_shared": (labels, shared),
    }


def _with_own(checks: xr.Dataset, own: xr.DataTree | None, failed: NumpyArray) -> xr.Dataset:
    """Diagnostics of the references, and below them of the draws that were simulated."""
    checks = checks.assign_coords(reference=("run", np.ones(checks.sizes["run"], bool)))
    if own is None:
        return checks
    others = own["diagnostics"].to_dataset()
    others = others.assign_coords(
        draw=("run", failed[others["draw"].to_numpy()]),
        reference=("run", np.zeros(others.sizes["run"], bool)),
    )
    both = [name for name in checks.data_vars if name in others]
    return xr.concat([checks[both], others[both]], dim="run", combine_attrs="override")
