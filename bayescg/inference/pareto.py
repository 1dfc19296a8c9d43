"""Pareto k: can draws of an approximation q stand for the posterior p?

    w(u) = p(u)/q(u),        P(w > x) ~ x^(-1/k) for large x.

The shape k of the largest weights says how many of their moments exist. Below 0.7 the mean of w is reached
with a practical number of draws and q covers p; above it, q misses a part of p that its own draws hardly
show. Constants of p and q do not matter. Small misfits of many parameters add up, so that in hundreds of
dimensions k is large even where every marginal is good: it judges the joint density.

References:
    A. Vehtari, D. Simpson, A. Gelman, Y. Yao, J. Gabry, J. Mach. Learn. Res. 25 (2024) 72, arXiv:1507.02646.
    Y. Yao, A. Vehtari, D. Simpson, A. Gelman, Proc. Mach. Learn. Res. 80 (2018) 5581, arXiv:1802.02538.
"""

from typing import Any

import numpy as np
import xarray as xr
from arviz_stats.base.array import array_stats

from bayescg._typing import Float, NumpyArray

LARGEST_K = 0.7
"""Above, an approximation is not to be trusted (both references)."""

LEAST_DRAWS = 25
"""Fewer have no tail to fit: it takes a fifth of them, and five at least."""

EXACT = 1e-3
"""Log weights that differ by less are equal: the approximation is the posterior, but for rounding."""

UNDERFLOW = 600.0
"""Log weights that lie further below the largest are zero beside it; a tail needs numbers."""

STILL_RISING = 0.5
"""Rise of the evidence lower bound over the last quarter of the steps, nats, above which it is named."""

SIGNIFICANT = 3.0
"""Standard errors that the rise must exceed too."""

MODE_MISSED = 0.01
"""Log density that one more Newton step should gain, above which the mode is not reached: 0.14 deviations."""

DRAW_ERROR = 0.3
"""Relative error of a draw by Lanczos' method, above which it is named: variances are then off by 5%."""


def pareto_k(log_weights: Float[np.ndarray, " draw"]) -> float:
    """Shape of the tail of importance weights.

    Args:
        log_weights: log p - log q of independent draws from q, up to a constant; -inf where p is zero.

    Returns:
        k; 0 where all weights are equal, infinity where few have any, NaN for fewer than `LEAST_DRAWS` draws.

    Example:
        >>> z = np.random.default_rng(0).normal(size=4000)  # log weights of N(0, 3²) and of N(0, 0.8²)
        >>> pareto_k(4 / 9 * z**2) > LARGEST_K, pareto_k(-0.28 * z**2) < LARGEST_K
        (True, True)
    """
    weights = np.asarray(log_weights, dtype=float).ravel()
    if weights.size < LEAST_DRAWS:
        return float("nan")
    weights = np.where(np.isnan(weights), -np.inf, weights)
    if not np.isfinite(weights.max()):
        return float("inf")
    if np.sum(weights > weights.max() - UNDERFLOW) < min(weights.size / 5, 3 * weights.size**0.5):
        return float("inf")
    if weights.max() - weights.min() < EXACT:
        return 0.0
    # smoothing for cross-validation takes log likelihoods, the weights' negative; `pareto_khat` would fit the
    # tail of the numbers themselves, whatever it is told of logarithms
    return float(array_stats.psislw(-weights)[1])


def approximation_attributes(sample_stats: xr.Dataset) -> tuple[dict[str, Any], list[str]]:
    """What a result keeps of an approximation, and what to be told about it.

    Args:
        sample_stats: of a sampler; without `pareto_k` there is nothing to keep.

    Returns:
        `pareto_k`, the largest over the chains, and `elbo`, their mean, where it is known; named warnings.

    Example:
        >>> stats = xr.Dataset({"pareto_k": (("chain", "draw"), np.full((1, 100), 0.9))})
        >>> attributes, sentences = approximation_attributes(stats)
        >>> attributes, sentences[0][:37]
        ({'pareto_k': 0.9}, 'Pareto k of the importance weights is')
    """
    if "pareto_k" not in sample_stats:
        return {}, []
    k = np.asarray(sample_stats["pareto_k"])[:, 0]
    largest = float("nan") if np.isnan(k).any() else float(k.max())
    attributes = {"pareto_k": largest}
    if "elbo" in sample_stats:
        attributes["elbo"] = float(sample_stats["elbo"].mean())
    return attributes, [*_weight_sentences(largest), *_search_sentences(sample_stats)]


def _weight_sentences(k: float) -> list[str]:
    if np.isnan(k):
        return [f"Fewer than {LEAST_DRAWS} draws cannot tell whether the approximation holds. Draw more."]
    if k <= LARGEST_K:
        return []
    return [
        f"Pareto k of the importance weights is {k:.2f}, above {LARGEST_K}: the approximation misses part of "
        "the posterior. Use a richer one, or sample with bayescg.NUTS(); check intervals on held-out frames."
    ]


def _search_sentences(stats: xr.Dataset) -> list[str]:
    """Whether the search for the approximation had come to its end."""
    sentences = []
    if "elbo_rise" in stats:
        rise, error = (np.asarray(stats[name])[:, 0] for name in ("elbo_rise", "elbo_rise_error"))
        if ((rise > STILL_RISING) & (rise > SIGNIFICANT * error)).any():
            sentences.append(
                f"The evidence lower bound still rose by {float(rise.max()):.1f} over the last quarter of "
                "the steps. Raise steps."
            )
    if "mode_gain" in stats and (gain := float(stats["mode_gain"].max())) > MODE_MISSED:
        sentences.append(
            f"The mode was not reached: one more Newton step should raise the log density by {gain:.2g}. "
            "Raise steps."
        )
    if "draw_error" in stats and (error := float(stats["draw_error"].mean())) > DRAW_ERROR:
        sentences.append(
            f"Draws by Lanczos' method are off by {error:.0%} on average. Raise rank or products."
        )
    return sentences


def broadcast(of_chains: dict[str, Any], shape: tuple[int, int]) -> dict[str, NumpyArray]:
    """Numbers of a chain, or of all, as statistics of every draw.

    Args:
        of_chains: name -> one number, or one per chain.
        shape: (chain, draw).

    Example:
        >>> broadcast({"pareto_k": np.array([0.1, 0.2])}, (2, 3))["pareto_k"].tolist()
        [[0.1, 0.1, 0.1], [0.2, 0.2, 0.2]]
    """
    return {
        name: np.broadcast_to(np.reshape(values, (-1, 1)), shape).copy() for name, values in of_chains.items()
    }
