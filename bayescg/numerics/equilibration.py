"""From when on a series is stationary, and how many independent values it then holds.

    g(t0) = 1 + 2 Σ_l (1 - l/n) ρ_l,        N(t0) = n / g(t0),        n = T - t0,

the statistical inefficiency of what is left after t0 values, its sum ending where the autocorrelation ρ first
falls to zero, and the number of effective samples. A transient looks like a long correlation: while much of
it is kept, N is small, and N is largest about where it has decayed.

Over many candidates the largest of noisy numbers lies anywhere, so taking the largest itself throws
stationary values away. We take the smallest t0 whose N is at least `ENOUGH` of the largest: where little is
gained by waiting, nothing is left out. A criterion with the variance in it (White 1997) was tried: it loses
three times as many stationary values and leaves as much of an exponential transient.

A curve of many elements enters through its leading principal components over time, each element divided by
its own deviation: a transient of many elements together is a component, and the noise of each alone is not.

References:
    K. P. White, Simulation 69, 323 (1997), doi:10.1177/003754979706900601.
    J. D. Chodera, J. Chem. Theory Comput. 12, 1799 (2016), doi:10.1021/acs.jctc.5b00784.
    W. Janke, in Quantum Simulations of Complex Many-Body Systems, NIC Series 10, 423 (2002).
"""

from typing import NamedTuple

import numpy as np

from bayescg._checks import require
from bayescg._typing import Float, NumpyArray

ENOUGH = 0.7
"""Part of the largest number of effective samples that is as good: of a stationary series it costs a few
percent of the values (tests/numerics/test_equilibration.py), of a transient it leaves what noise hides."""

LATEST = 0.75
"""Part of a series that may be left out at most: the number of samples of a few values is no estimate."""

CANDIDATES = 76
"""Starts that are tried: every one of the first 75 of 100 values, every fourth of 300 of 400."""

LEAST_VALUES = 20
"""A shorter series tells nothing of its correlation; it is taken as it is."""

COMPONENTS = 2
"""Principal components of a curve that are looked at: the transient and the slowest of the noise."""


class Equilibrated(NamedTuple):
    """Where a series begins to be stationary.

    Attributes:
        start: number of values before that.
        effective: independent values after it; NaN for fewer than `LEAST_VALUES`.
    """

    start: int
    effective: float


def statistical_inefficiency(values: Float[np.ndarray, "time ..."]) -> NumpyArray:
    """Correlated values that are worth one independent value, g, at least 1.

    Args:
        values: equally spaced in time.

    Returns:
        Without the leading axis; 1 where a series is constant.

    Raises:
        BayescgError: fewer than two values.

    Example:
        >>> x = np.repeat(np.random.default_rng(0).normal(size=2000), 5)  # five equal values each time
        >>> bool(abs(statistical_inefficiency(x) - 5) < 1)
        True
    """
    values = np.asarray(values, dtype=np.float64)
    count = values.shape[0]
    require(count >= 2, f"values must number at least two, got {count}. Take more.")
    centered = values - values.mean(axis=0)
    spectrum = np.fft.rfft(centered, n=2 * count, axis=0)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, n=2 * count, axis=0)[:count]
    # the weights (1 - l/n) stand in the sums already, which have n - l terms
    scale = np.where(
        covariance[:1] > 1e-12 * np.maximum(np.sum(values**2, axis=0), 1e-300), covariance[:1], 1
    )
    rho = covariance / scale
    positive = np.cumprod(rho > 0, axis=0)
    return np.maximum(1.0, 1.0 + 2.0 * np.sum((rho * positive)[1:], axis=0))


def equilibrated(series: Float[np.ndarray, "time series"]) -> Equilibrated:
    """From when on all series are stationary.

    Args:
        series: equally spaced in time; one column per quantity.

    Returns:
        The latest start of all series, and the fewest effective samples after it. Not finite: all is kept.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(100, 1)) + 8 * np.exp(-np.arange(100) / 6)[:, None]
        >>> 2 < equilibrated(x).start < 30
        True
    """
    series = np.asarray(series, dtype=np.float64)
    count = series.shape[0]
    if count < LEAST_VALUES or series.shape[1] == 0 or not np.isfinite(series).all():
        return Equilibrated(0, float("nan"))
    starts = np.unique(np.linspace(0, LATEST * count, CANDIDATES).astype(int))
    effective = np.array([(count - t0) / statistical_inefficiency(series[t0:]) for t0 in starts])
    first = np.argmax(effective >= ENOUGH * effective.max(axis=0), axis=0)
    place = int(first.max())
    return Equilibrated(int(starts[place]), float(effective[place].min()))


def principal_series(
    values: Float[np.ndarray, "time element"], *, components: int = COMPONENTS
) -> Float[np.ndarray, "time series"]:
    """The leading components of a curve over time, elements in units of their deviation.

    Args:
        values: a curve at every time; elements that never vary, or are not finite somewhere, do not count.
        components: how many, at most as many as there are elements.

    Example:
        >>> drift = np.linspace(0.0, 1.0, 50)[:, None] * np.ones((1, 8))
        >>> principal_series(drift).shape
        (50, 2)
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[:, np.isfinite(values).all(axis=0)]
    deviation = values.std(axis=0)
    varies = deviation > 1e-12 * np.maximum(np.abs(values).max(axis=0, initial=0.0), 1e-300)
    if not varies.any():
        return np.zeros((values.shape[0], 0))
    scaled = (values - values.mean(axis=0))[:, varies] / deviation[varies]
    left, sizes, _ = np.linalg.svd(scaled, full_matrices=False)
    return (left * sizes)[:, :components]
