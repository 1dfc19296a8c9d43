"""Where the spread of a prediction comes from: the posterior, or too short simulations.

Draw d gives a mean y_d over its trajectory with Monte Carlo variance s_d². Over draws

    Var(y_d)  =  between  +  within,       within = <s_d²>,      between = max(Var(y_d) - within, 0).

`between` is what the data left open; `within` is what longer simulations would remove, and does not
belong into a band of the posterior. The band keeps the shape of the draws' distribution and has its
spread shrunk to `between`:

    band_q = mean + (quantile_q(y_d) - mean) sqrt(between / Var(y_d)).

Draws that were reweighted from the same simulation share its errors. What they share moves all of them
together and is in no difference between them, so that with c the mean covariance of the errors of two draws

    between = max(Var(y_d) - (within - c), 0),        Var(mean) = between/D + (within + (D - 1) c)/D.

Independent simulations have c = 0.
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
        shared: mean Monte Carlo covariance of two draws; zero for independent simulations.
        mean_variance: of the mean over draws.
    """

    mean: NumpyArray
    between: NumpyArray
    within: NumpyArray
    bands: NumpyArray
    shared: NumpyArray
    mean_variance: NumpyArray


def block_standard_error(values: NumpyArray, *, blocks: int = BLOCKS) -> NumpyArray:
    """Standard error of the mean of a correlated series, from contiguous blocks.

        s² = sum_b (y_b - y)² / (B (B - 1)),      y_b the mean of block b.

    It is right where blocks are much longer than the correlation time, and too small elsewhere:
    `block_correlation` tells.

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
    means = _block_means(values, blocks)
    return means.std(axis=0, ddof=1) / np.sqrt(means.shape[0])


def block_correlation(values: NumpyArray, *, blocks: int = BLOCKS) -> float:
    """Correlation of neighbouring blocks, mean over all elements: about zero where blocks are long enough.

        r = <Σ_b (y_b - y)(y_{b+1} - y) / Σ_b (y_b - y)²> + 1/B,

    the last term being what the mean of B blocks takes away. For a correlation time tau and blocks of length
    L >> tau, r = tau/2L, and the block standard error is too small by the factor sqrt(1 + 2 r).

    Args:
        values: (time, ...) equally spaced.
        blocks: number of blocks B, as in `block_standard_error`.

    Returns:
        r; NaN where nothing varies.

    Raises:
        BayescgError: fewer than two values or blocks.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(10_000, 50))
        >>> abs(block_correlation(x)) < 0.1
        True
    """
    means = _block_means(values, blocks)
    count = means.shape[0]
    flat = means.reshape(count, -1)
    scale = np.abs(flat).max(axis=0)
    centered = flat - flat.mean(axis=0)
    square = np.sum(centered**2, axis=0)
    varies = np.isfinite(square) & (square > count * (1e-12 * scale) ** 2)
    if not varies.any():
        return float("nan")
    product = np.sum(centered[1:] * centered[:-1], axis=0)
    return float(np.mean(product[varies] / square[varies]) + 1 / count)


def _block_means(values: NumpyArray, blocks: int) -> NumpyArray:
    """(block, ...); values at the beginning that do not fill a block are left out."""
    values = np.asarray(values, dtype=np.float64)
    count = min(blocks, values.shape[0])
    require(
        count >= 2, f"blocks must number at least two, got {count}. Take more steps, or measure more often."
    )
    length = values.shape[0] // count
    return values[-count * length :].reshape(count, length, *values.shape[1:]).mean(axis=1)


def decompose(means: NumpyArray, errors: NumpyArray, *, shared: NumpyArray | None = None) -> Variance:
    """Split the variance over draws into posterior and Monte Carlo parts.

    Args:
        means: (draw, ...) mean of every draw.
        errors: (draw, ...) its standard error.
        shared: mean covariance of the errors of two draws; None for independent simulations.

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
    common = np.zeros(means.shape[1:]) if shared is None else np.asarray(shared, dtype=np.float64)
    if means.shape[0] < 2:
        nothing = np.full(means.shape[1:], np.nan)
        mean = means[0] if means.shape[0] else nothing
        bands = np.full((len(QUANTILES), *nothing.shape), np.nan)
        return Variance(mean, nothing, nothing, bands, nothing, nothing)
    mean, total, within = means.mean(axis=0), means.var(axis=0, ddof=1), np.mean(errors**2, axis=0)
    between = np.maximum(total - np.maximum(within - common, 0.0), 0.0)
    shrink = np.sqrt(np.divide(between, total, out=np.zeros_like(total), where=total > 0))
    bands = mean + (np.quantile(means, QUANTILES, axis=0) - mean) * shrink
    count = means.shape[0]
    mean_variance = (between + within + (count - 1) * np.maximum(common, 0.0)) / count
    return Variance(mean, between, within, bands, common, mean_variance)
