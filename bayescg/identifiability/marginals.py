"""Marginals per direction: draws of a posterior against Laplace's approximation and the Cramér-Rao bound.

Along a direction v of the pencil, in units in which the prior's standard deviation is one,

    Laplace        1/sqrt(1 + lambda)
    Cramér-Rao     1/sqrt(lambda),  the least of any unbiased estimate without a prior.

Draws that are wider than Laplace's say that the posterior is no Gaussian there; chains that do not lie on
top of each other, that one is stuck; divergent draws that gather at one end, where the sampler fails.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.stats import ks_2samp

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray
from bayescg.inference.result import check_same_problem, draw_values

WIDER = 1.5
"""Posterior over Laplace standard deviation from which a direction is called no Gaussian."""

STUCK = 4.0
"""Standard deviations of a chain between its mean and that of the others at which it is called stuck."""

GATHERED = 1e-4
"""Probability, over all directions, of as large a gap between divergent draws and others by chance."""

FEWEST_DIVERGENT = 5
"""Divergent draws, fewer of which say nothing of where they gather."""


class Marginals(NamedTuple):
    """Posterior, Laplace and Cramér-Rao per direction.

    Attributes:
        dataset: over `direction`: standard deviations `posterior`, `within_chains`, `laplace`, `cramer_rao`
            in units of the prior's; `chain_shift` (chain, direction), of a chain's mean from the others', in
            standard deviations within chains; `draws` (chain, draw, direction), less their mean, and
            `divergent_draws` (divergent, direction), the divergent draws
            themselves, projected; `divergent_shift` and `divergent_spread`, their mean and their standard
            deviation in those of all draws, and `divergent_chance`, the probability of such a gap between
            them and the others (Kolmogorov-Smirnov), all NaN without.
        findings: sentences on what is wrong; empty where nothing is.
    """

    dataset: xr.Dataset
    findings: tuple[str, ...]


def marginals(problem: Any, identified: Any, posterior: xr.DataTree) -> Marginals:
    """Compare the draws of a posterior with the spectrum at its mean.

    Args:
        problem: the posterior.
        identified: of `bayescg.identify(problem, posterior)`.
        posterior: from `bayescg.sample`.

    Raises:
        BayescgError: the result is of another problem, or the directions are not known.

    Example:
        >>> import bayescg as bcg, numpyro.distributions as dist
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=8))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, {"potential.coefficients": dist.Normal(0.0, 50.0)}, term)
        >>> draws = bcg.sample(problem, bcg.Conjugate(draws=200), key=jax.random.key(0), progress=False)
        >>> marginals(problem, bcg.identify(problem, draws), draws).findings
        ()
    """
    check_same_problem(problem, posterior)
    if identified.directions is None or identified.experiment is None:
        raise BayescgError(
            "directions must be known, got a spectrum alone. Take the result of bayescg.identify."
        )
    experiment = identified.experiment
    u = _draws(problem, posterior)[..., [problem.labels.index(name) for name in experiment.names]]
    # v'P v = 1: coordinates along the directions, in units of the prior's standard deviation
    z = (u - u.mean(axis=(0, 1))) @ experiment.precision @ identified.directions.T
    information = identified.spectrum["information"].values
    within = z.std(axis=1, ddof=1).mean(axis=0)
    variables: dict[str, Any] = {
        "posterior": ("direction", z.reshape(-1, z.shape[-1]).std(axis=0, ddof=1)),
        "within_chains": ("direction", within),
        "laplace": ("direction", 1 / np.sqrt(1 + information)),
        "cramer_rao": (
            "direction",
            np.where(information > 0, 1 / np.sqrt(np.maximum(information, 1e-300)), np.inf),
        ),
        "chain_shift": (("chain", "direction"), _chain_shift(z) / within),
        "draws": (("chain", "draw", "direction"), z),
        **_divergent_variables(posterior, z),
    }
    dataset = xr.Dataset(
        variables, attrs={"units": "prior standard deviations", "divergent": _count(posterior)}
    )
    return Marginals(dataset, tuple(_findings(dataset, identified)))


def _draws(problem: Any, posterior: xr.DataTree) -> NumpyArray:
    """Unconstrained draws, (chain, draw, parameter)."""
    values = draw_values(posterior, group="posterior")
    chains, draws = next(iter(values.values())).shape[:2]
    flat = {path: jnp.asarray(v).reshape(-1, *v.shape[2:]) for path, v in values.items()}
    return np.asarray(jax.lax.map(problem.unconstrain, flat)).reshape(chains, draws, -1)


def _chain_shift(z: NumpyArray) -> NumpyArray:
    """Mean of every chain less the mean of the others, (chain, direction)."""
    means = z.mean(axis=1)
    if len(means) == 1:
        return np.zeros_like(means)
    return (means - means.mean(axis=0)) * len(means) / (len(means) - 1)


def _divergent(posterior: xr.DataTree) -> NumpyArray | None:
    if "sample_stats" not in posterior.children or "diverging" not in posterior["sample_stats"].data_vars:
        return None
    return np.asarray(posterior["sample_stats"].dataset["diverging"], dtype=bool)


def _count(posterior: xr.DataTree) -> int:
    flags = _divergent(posterior)
    return 0 if flags is None else int(flags.sum())


def _divergent_variables(posterior: xr.DataTree, z: NumpyArray) -> dict[str, Any]:
    """Where divergent draws lie along every direction."""
    flags = _divergent(posterior)
    unknown = np.full(z.shape[-1], np.nan)
    names = ("divergent_shift", "divergent_spread", "divergent_chance")
    if flags is None or not flags.any() or flags.all():
        draws = z[:0].reshape(0, z.shape[-1]) if flags is None or not flags.any() else z[flags]
        columns = dict.fromkeys(names, ("direction", unknown))
        return {"divergent_draws": (("divergent", "direction"), draws), **columns}
    inside, outside = z[flags], z[~flags]
    scale = z.reshape(-1, z.shape[-1]).std(axis=0, ddof=1)
    spread = inside.std(axis=0, ddof=1) / scale if len(inside) > 1 else unknown
    # statistic and probability
    chance = np.array([ks_2samp(a, b)[1] for a, b in zip(inside.T, outside.T, strict=True)])
    found = zip(names, (inside.mean(axis=0) / scale, spread, chance), strict=True)
    columns = {name: ("direction", values) for name, values in found}
    return {"divergent_draws": (("divergent", "direction"), inside), **columns}


def _findings(dataset: xr.Dataset, identified: Any) -> list[str]:
    found = []
    shifts = dataset["chain_shift"].values
    for chain, direction in zip(*np.nonzero(np.abs(shifts) > STUCK), strict=True):
        # with two chains both lie apart; with more the one that is far from all others is named
        if np.abs(shifts[chain, direction]) < np.abs(shifts[:, direction]).max():
            continue
        found.append(
            f"Chain {chain} lies {abs(shifts[chain, direction]):.1f} standard deviations from the others "
            f"along direction {direction + 1}, {identified.made_of(int(direction))}: it is stuck in another "
            "mode, or has not converged. Run longer from other starts."
        )
    ratio = dataset["within_chains"].values / dataset["laplace"].values
    for direction in np.flatnonzero(ratio > WIDER):
        found.append(
            f"Along direction {direction + 1}, {identified.made_of(int(direction))}, the posterior is "
            f"{ratio[direction]:.2g} times as wide as Laplace's approximation: it is no Gaussian there."
        )
    return [*found, *_gathered(dataset, identified)]


def _gathered(dataset: xr.Dataset, identified: Any) -> list[str]:
    """Directions along which divergent draws lie elsewhere than the others, the worst determined first."""
    found = []
    count, chance = dataset.attrs["divergent"], dataset["divergent_chance"].values
    if count < FEWEST_DIVERGENT:
        return found
    for direction in np.flatnonzero(chance * chance.size < GATHERED)[::-1]:
        shift, spread = (float(dataset[f"divergent_{name}"][direction]) for name in ("shift", "spread"))
        found.append(
            f"The {count} divergent draws gather along direction {direction + 1}, "
            f"{identified.made_of(int(direction))}: their mean lies {shift:+.1f} standard deviations from "
            f"that of all draws, their spread is {spread:.2g} of theirs. The sampler fails there: change the "
            "parameters, or tighten the prior."
        )
    return found
