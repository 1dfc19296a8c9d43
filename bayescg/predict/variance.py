"""Where the spread of a prediction comes from: the posterior, or too short simulations.

Draw d gives a mean y_d over its trajectory with Monte Carlo variance s_d². Over draws

    Var(y_d)  =  between  +  within,       within = <s_d²>,      between = max(Var(y_d) - within, 0).

`between` is what the data left open; `within` is what longer simulations would remove, and does not
belong into a band of the posterior. The band keeps the shape of the draws' distribution and has its
spread shrunk to `between`:

    band_q = mean + (quantile_q(y_d) - mean) sqrt(between / Var(y_d)).
"""

from typing import NamedTuple

import numpy as np

from bayescg._checks import require
from bayescg._typing import NumpyArray

BLOCKS = 20
"""Blocks of a standard error: it is then itself known to 16%, and blocks are as long as they can be."""

QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
"""Ends of the 95% and the 50% band, and the median."""


class Variance(NamedTuple):
    """A prediction's variance, decomposed; every array has the shape of one draw's prediction.

    Attributes:
        mean: over draws.
        between: variance of the prediction under the posterior.
        within: mean Monte Carlo variance of one draw.
        bands: (quantile, ...) with the Monte Carlo part taken out.
    """

    mean: NumpyArray
    between: NumpyArray
    within: NumpyArray
    bands: NumpyArray


def block_standard_error(values: NumpyArray, *, blocks: int = BLOCKS) -> NumpyArray:
    """Standard error of the mean of a correlated series, from contiguous blocks.

        s² = sum_b (y_b - y)² / (B (B - 1)),      y_b the mean of block b.

    It is right where blocks are much longer than the correlation time, and too small elsewhere.

    Args:
        values: (time, ...) equally spaced.
        blocks: number of blocks B; fewer where there are fewer values. Values at the beginning that do
            not fill a block are left out.

    Returns:
        Without the leading axis; NaN where a value is NaN.

    Raises:
        BayescgError: fewer than two values or blocks.

    References:
        H. Flyvbjerg, H. Petersen, J. Chem. Phys. 91, 461 (1989), doi:10.1063/1.457480.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=10_000)
        >>> bool(abs(block_standard_error(x) / 0.01 - 1) < 0.5)
        True
    """
    values = np.asarray(values, dtype=np.float64)
    count = min(blocks, values.shape[0])
    require(
        count >= 2, f"blocks must number at least two, got {count}. Take more steps, or measure more often."
    )
    length = values.shape[0] // count
    means = values[-count * length :].reshape(count, length, *values.shape[1:]).mean(axis=1)
    return means.std(axis=0, ddof=1) / np.sqrt(count)


def decompose(means: NumpyArray, errors: NumpyArray) -> Variance:
    """Split the variance over draws into posterior and Monte Carlo parts.

    Args:
        means: (draw, ...) mean of every draw.
        errors: (draw, ...) its standard error.

    Returns:
        The decomposition over the draws that are finite; NaN where fewer than two are.

    Raises:
        BayescgError: means and errors differ in shape.

    Example:
        >>> import numpy as np
        >>> y = np.random.default_rng(0).normal(3.0, 0.2, size=(200, 4))
        >>> parts = decompose(y, np.zeros_like(y))
        >>> bool((abs(np.sqrt(parts.between) - 0.2) < 0.05).all())
        True
    """
    means, errors = np.asarray(means, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    require(
        means.shape == errors.shape,
        f"errors must have the shape of means, got {errors.shape} and {means.shape}.",
    )
    sound = np.isfinite(means.reshape(means.shape[0], -1)).all(axis=1)
    means, errors = means[sound], errors[sound]
    if means.shape[0] < 2:
        nothing = np.full(means.shape[1:], np.nan)
        mean = means[0] if means.shape[0] else nothing
        return Variance(mean, nothing, nothing, np.full((len(QUANTILES), *nothing.shape), np.nan))
    mean, total, within = means.mean(axis=0), means.var(axis=0, ddof=1), np.mean(errors**2, axis=0)
    between = np.maximum(total - within, 0.0)
    shrink = np.sqrt(np.divide(between, total, out=np.zeros_like(total), where=total > 0))
    bands = mean + (np.quantile(means, QUANTILES, axis=0) - mean) * shrink
    return Variance(mean, between, within, bands)
