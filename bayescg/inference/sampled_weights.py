"""Whether frames that a few models sampled serve the draws of a posterior that was inferred from them.

An `Observable` likelihood compares reweighted averages. Where a draw's weights lie on few frames, its average
is theirs, whatever the draw would sample: effective samples and the shape k of the tail of the weights say so
for every draw that is looked at. Where they hold, the misfit is the model's own.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.stats import chi2

from bayescg._typing import Array, NumpyArray
from bayescg.inference.pareto import LARGEST_K, pareto_k
from bayescg.inference.problem import Problem
from bayescg.inference.thinning import evenly
from bayescg.likelihoods.observable import Observable

DRAWS_LOOKED_AT = 128
"""Of all chains, spread evenly."""

LEAST_EFFECTIVE = 20.0
"""Effective samples below which an average is known to a fifth of its spread at best."""

FEW = 0.05
"""Part of the draws that may fail unnamed: so many lie in the tails."""

IMPLAUSIBLE = 1e-3
"""Probability of a larger misfit of the best draw, below which the model cannot give the data."""


def sampled_weights(problem: Problem, values: Mapping[str, Any]) -> tuple[xr.Dataset | None, list[str]]:
    """Effective samples, Pareto k and misfit of draws, and sentences where they are bad.

    Args:
        problem: the posterior.
        values: path -> values, (chain, draw, ...).

    Returns:
        A Dataset (looked_at) with `chain`, `draw` and, for every `Observable` term, `<name>_effective`,
        `<name>_k` and `<name>_chi_squared`; None without such a term. Sentences.

    Example:
        >>> import bayescg as bcg
        >>> frames = bcg.data.water(frames=30)
        >>> argon = bcg.potentials.LennardJones([0.65], [0.3], 0.9, ("SOL",))
        >>> near = bcg.observables.Coordination(cutoff=0.35)
        >>> term = bcg.likelihoods.Observable(near, sampled=[(bcg.Model(argon), frames)]).on(frames)
        >>> problem = bcg.Problem(bcg.Model(argon), bcg.priors.default(bcg.Model(argon)), term)
        >>> same = {"potential.epsilon": [[[0.65]]], "potential.sigma": [[[0.3]]]}
        >>> table, doubts = sampled_weights(problem, same)
        >>> float(table["coordination_number_effective"][0]) > 10, doubts
        (True, [])
    """
    places = [i for i in problem.terms if isinstance(problem.joint.likelihoods[i], Observable)]
    if not places:
        return None, []
    arrays = {path: np.asarray(v) for path, v in values.items()}
    chains, draws = next(iter(arrays.values())).shape[:2]
    kept = evenly(chains * draws, DRAWS_LOOKED_AT)
    chosen = {path: jnp.asarray(v.reshape(-1, *v.shape[2:])[kept]) for path, v in arrays.items()}
    chain, draw = np.divmod(kept, draws)
    table: dict[str, Any] = {"chain": ("looked_at", chain), "draw": ("looked_at", draw)}
    sentences: list[str] = []
    for place, found in zip(places, _compared(problem, chosen, tuple(places)), strict=True):
        logs, effective, square, elements = (np.asarray(part) for part in found)
        name = problem.observations[place].observable.name
        settled = np.asarray(problem.observations[place].frames.settled)
        k = np.array([pareto_k(row[settled]) for row in logs])
        table |= {
            f"{name}_effective": ("looked_at", effective),
            f"{name}_k": ("looked_at", k),
            f"{name}_chi_squared": ("looked_at", square),
        }
        sentences += _sentences(name, effective, k, square, int(elements[0]))
    return xr.Dataset(table), sentences


def _sentences(
    name: str, effective: NumpyArray, k: NumpyArray, square: NumpyArray, elements: int
) -> list[str]:
    bad = (effective < LEAST_EFFECTIVE) | (k > LARGEST_K)
    if bad.mean() > FEW:
        return [
            f"The sampled frames of {name} do not serve {int(bad.sum())} of {bad.size} draws (effective "
            f"samples down to {effective.min():.1f}, k up to {k.max():.2f}): what the posterior says of it "
            "holds near the sampled models only. Simulate draws of this posterior, and sample again with "
            "their frames."
        ]
    if chi2.sf(square.min(), elements) < IMPLAUSIBLE:
        return [
            f"No draw gives the measured {name}: the best is off by {np.sqrt(square.min() / elements):.1f} "
            "standard errors in the root mean square. Let the model be richer, or give the data an error "
            "that includes what it leaves out."
        ]
    return []


@eqx.filter_jit
def _compared(problem: Problem, values: dict[str, Array], places: tuple[int, ...]) -> Any:
    def of_draw(draw: dict[str, Array]) -> Any:
        joint, found = problem.with_values(draw), []
        for place in places:
            likelihood = joint.likelihoods[place]
            assert isinstance(likelihood, Observable)
            one = likelihood.compared(joint.model, problem.observations[place])
            square = jnp.sum(one.misfit**2)
            found.append((one.log_weights, one.effective, square, jnp.asarray(one.misfit.size)))
        return found

    return jax.lax.map(of_draw, values)
