"""Innovations: are the one-step errors of a filter white and Gaussian; and the score of held-out blocks.

If a model is right, its standardised innovations e_t are independent N(0, 1). With r_l the autocorrelation
over all pairs of a lag, n_l in number, none across a gap, of N innovations in all,

    var r_l = n_l / (N (N + 2)),        Q = Σ_l r_l² / var r_l ~ χ²,

the statistic of Ljung and Box for one series. The shape is tested by Anderson and Darling's A² with mean and
variance estimated. A long record rejects any model in the end: look at the sizes beside the p-values.

References:
    G. M. Ljung, G. E. P. Box, Biometrika 65, 297 (1978), doi:10.1093/biomet/65.2.297.
    T. W. Anderson, D. A. Darling, Ann. Math. Stat. 23, 193 (1952), doi:10.1214/aoms/1177729437.
    R. B. D'Agostino, M. A. Stephens, Goodness-of-Fit Techniques, Marcel Dekker (1986), table 4.9: p of A².
"""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
import xarray as xr
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import log_ndtr, logsumexp
from scipy.stats import chi2, norm

from bayescg._checks import BayescgError, finite, require, whole
from bayescg._typing import NumpyArray

FALSE_ALARM = 0.05
"""Rate at which each verdict rejects a right model."""

DEFAULT_LAGS = 20
"""Lags tested together where none are given; fewer for short records."""

LEAST_INNOVATIONS = 50
"""Fewer say little about shape or whiteness."""

LEAST_BLOCKS = 4
"""Fewer give a standard error that is itself off by 40% and more."""


def innovation_tests(
    innovations: Any, *, lags: int | None = None, fitted: int = 0, false_alarm: float = FALSE_ALARM
) -> xr.Dataset:
    """Test standardised innovations for whiteness, shape and scale.

    Args:
        innovations: an array (step, ...) or several, one per stretch without a gap; further axes (beads,
            components) are series of their own, pooled.
        lags: number of lags tested together; 20, or a quarter of the longest stretch where that is less.
        fitted: dynamic parameters that were fitted to the same innovations; they cost degrees of freedom.
        false_alarm: rate at which every verdict rejects a right model.

    Returns:
        Dataset with dim `lag`: `autocorrelation` and its `band` (half-width that holds 1 - false_alarm);
        scalars `ljung_box` and `anderson_darling`, each with its p-value as `_p`; `mean`, `variance`,
        `skewness` and `excess_kurtosis`, each with the standard error of a right model as `_error`.
        Attributes: `white`, `gaussian`, `scaled` (verdicts as sentences), `passed` (1 where none rejects),
        `count`.

    Raises:
        BayescgError: too few innovations, NaN, or more lags than a stretch is long.

    Example:
        >>> tests = innovation_tests(np.random.default_rng(0).normal(size=2000))
        >>> tests.attrs["white"]
        'White: Ljung-Box p = 0.63 over 20 lags; the largest autocorrelation is 0.042, at lag 17.'
    """
    series = _series(innovations)
    count = sum(one.size for one in series)
    require(
        count >= LEAST_INNOVATIONS,
        f"innovations must number at least {LEAST_INNOVATIONS}, got {count}. Give more steps.",
    )
    longest = max(len(one) for one in series)
    lags = min(DEFAULT_LAGS, longest // 4) if lags is None else whole("lags", lags)
    require(
        fitted < lags < longest,
        f"lags must be above the {fitted} fitted parameters and below the {longest} steps of the longest "
        f"stretch, got {lags}.",
    )
    values = np.concatenate([one.ravel() for one in series])
    correlation, variance = _autocorrelation(series, values.mean(), lags)
    statistic = float(np.sum(correlation**2 / variance))
    white_p = float(chi2.sf(statistic, lags - fitted))
    square, shape_p = _anderson_darling(values)
    variables = {
        "autocorrelation": ("lag", correlation),
        "band": ("lag", norm.isf(false_alarm / 2) * np.sqrt(variance)),
        "ljung_box": statistic,
        "ljung_box_p": white_p,
        "anderson_darling": square,
        "anderson_darling_p": shape_p,
        **_moments(values),
    }
    tests = xr.Dataset(variables, coords={"lag": np.arange(1, lags + 1)})
    verdicts = _verdicts(tests, false_alarm)
    passed = all(text.split(":")[0] in PASSING for text in verdicts.values())
    return tests.assign_attrs(verdicts | {"passed": int(passed), "count": count, "false_alarm": false_alarm})


PASSING = ("White", "Gaussian", "Scaled")
"""How a verdict begins that does not reject."""


def held_out_score(log_densities: Any, *, gap: int = 0) -> xr.Dataset:
    """Mean log density of held-out blocks with a standard error.

    A block's score is the log of its density averaged over draws, log (1/S) Σ_s p(block | draw s). Blocks
    that touch are not independent: `gap` blocks are left out between two that count, and what correlation of
    neighbours is left is reported.

    Args:
        log_densities: (..., block) log density of every held-out block in order of time, leading axes draws;
            an array, or a DataArray whose last dimension is the block.
        gap: blocks left out between two that count.

    Returns:
        Dataset: `score` (mean per block), `error` (of the mean, blocks taken for independent), `total`,
        `neighbor_correlation` of successive blocks that count, and their `block_score` over `block`.

    Raises:
        BayescgError: fewer than four blocks count, or a log density is not finite.

    Example:
        >>> score = held_out_score(np.array([1.0, 9.0, 3.0, 9.0, 2.0, 9.0, 2.0]), gap=1)
        >>> float(score["score"]), round(float(score["error"]), 3)
        (2.0, 0.408)
    """
    require(isinstance(gap, int) and gap >= 0, f"gap must be a whole number of at least 0, got {gap!r}.")
    densities = np.asarray(log_densities, dtype=float)
    require(densities.ndim > 0, "log_densities must have a value per block, got a single number.")
    finite("log_densities", np.moveaxis(densities, -1, 0), axis_name="block")
    flat = densities.reshape(-1, densities.shape[-1])
    of_block = logsumexp(flat, axis=0) - np.log(flat.shape[0])
    kept = np.arange(0, of_block.size, gap + 1)
    require(
        kept.size >= LEAST_BLOCKS,
        f"at least {LEAST_BLOCKS} blocks must count, got {kept.size} of {of_block.size} with a gap of {gap}. "
        "Use more, shorter blocks.",
    )
    scores = of_block[kept]
    centered = scores - scores.mean()
    power = float(centered @ centered)
    return xr.Dataset(
        {
            "block_score": ("block", scores),
            "score": scores.mean(),
            "error": scores.std(ddof=1) / np.sqrt(scores.size),
            "total": scores.sum(),
            "neighbor_correlation": float(centered[:-1] @ centered[1:]) / power if power > 0 else 0.0,
        },
        coords={"block": kept},
    )


def _series(innovations: Any) -> list[NumpyArray]:
    """Stretches as (step, series)."""
    if isinstance(innovations, np.ndarray | xr.DataArray | jax.Array):
        innovations = [innovations]
    if not isinstance(innovations, Iterable):
        raise BayescgError(
            f"innovations must be an array or several, got {type(innovations).__name__}. "
            "Give one array per stretch without a gap."
        )
    stretches = [np.asarray(one, dtype=float) for one in innovations]
    stretches = [one.reshape(len(one), -1) for one in stretches if one.size]
    require(bool(stretches), "innovations must hold at least one stretch, got none.")
    for one in stretches:
        finite("innovations", one, axis_name="step")
    return stretches


def _autocorrelation(series: list[NumpyArray], mean: float, lags: int) -> tuple[NumpyArray, NumpyArray]:
    """Pooled r_l for l = 1, ..., and its variance under whiteness."""
    products, pairs = np.zeros(lags + 1), np.zeros(lags + 1)
    for one in series:
        steps = len(one)
        size = next_fast_len(steps + lags + 1, real=True)
        power = np.sum(np.abs(np.asarray(rfft(one - mean, size, axis=0))) ** 2, axis=1)
        reach = min(lags, steps - 1)
        products[: reach + 1] += np.asarray(irfft(power, size))[: reach + 1]
        pairs[: reach + 1] += (steps - np.arange(reach + 1)) * one.shape[1]
    total = pairs[0]
    return products[1:] / products[0], pairs[1:] / (total * (total + 2))


def _anderson_darling(values: NumpyArray) -> tuple[float, float]:
    """A² for a normal law of unknown mean and variance, and its p-value."""
    n = values.size
    z = np.sort((values - values.mean()) / values.std(ddof=1))
    odd = 2 * np.arange(1, n + 1) - 1
    square = -n - float(np.sum(odd * (log_ndtr(z) + log_ndtr(-z[::-1])))) / n
    a = square * (1 + 0.75 / n + 2.25 / n**2)
    if a > 0.6:
        a = min(a, 150.0)  # the fit turns upwards beyond, where p is zero anyway
        return square, float(np.exp(1.2937 - 5.709 * a + 0.0186 * a**2))
    if a > 0.34:
        return square, float(np.exp(0.9177 - 4.279 * a - 1.38 * a**2))
    if a > 0.2:
        return square, float(1 - np.exp(-8.318 + 42.796 * a - 59.938 * a**2))
    return square, float(1 - np.exp(-13.436 + 101.14 * a - 223.73 * a**2))


def _moments(values: NumpyArray) -> dict[str, float]:
    """Mean, variance, skewness and excess kurtosis with the standard errors of white standard normals."""
    n, centered = values.size, values - values.mean()
    second = np.mean(centered**2)
    return {
        "mean": float(values.mean()),
        "mean_error": 1 / np.sqrt(n),
        "variance": float(np.mean(values**2)),
        "variance_error": np.sqrt(2 / n),
        "skewness": float(np.mean(centered**3) / second**1.5),
        "skewness_error": np.sqrt(6 / n),
        "excess_kurtosis": float(np.mean(centered**4) / second**2 - 3),
        "excess_kurtosis_error": np.sqrt(24 / n),
    }


def _verdicts(tests: xr.Dataset, false_alarm: float) -> dict[str, str]:
    """One sentence each on whiteness, shape and scale."""
    number = {str(name): float(v) for name, v in tests.data_vars.items() if v.ndim == 0}
    worst = int(np.abs(tests["autocorrelation"].values).argmax())
    # two tests share one verdict: each gets half of the rate
    far = norm.isf(false_alarm / 4)
    mean_off = abs(number["mean"]) > far * number["mean_error"]
    variance_off = abs(number["variance"] - 1) > far * number["variance_error"]
    return {
        "white": f"{'White' if number['ljung_box_p'] >= false_alarm else 'Not white'}: Ljung-Box p = "
        f"{number['ljung_box_p']:.2g} over {tests.sizes['lag']} lags; the largest autocorrelation is "
        f"{float(tests['autocorrelation'][worst]):.2g}, at lag {worst + 1}.",
        "gaussian": f"{'Gaussian' if number['anderson_darling_p'] >= false_alarm else 'Not Gaussian'}: "
        f"Anderson-Darling p = {number['anderson_darling_p']:.2g}; skewness {number['skewness']:.2g} ± "
        f"{number['skewness_error']:.1g}, excess kurtosis {number['excess_kurtosis']:.2g} ± "
        f"{number['excess_kurtosis_error']:.1g}.",
        "scaled": f"{'Not scaled' if mean_off or variance_off else 'Scaled'}: mean {number['mean']:.2g} ± "
        f"{number['mean_error']:.1g} (0 expected), variance {number['variance']:.4g} ± "
        f"{number['variance_error']:.1g} (1 expected).",
    }
