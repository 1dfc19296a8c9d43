"""Ratios of sums over a correlated series, with their standard error.

    y = sum_b S_b / sum_b W_b,      s² = sum_b (S_b - y W_b)² B / (B - 1) / (sum_b W_b)²,

over B contiguous blocks: what observables over time give, whose number of samples differs between
blocks and lags. With equal weights it is the block standard error of a mean.

References:
    W. G. Cochran, Sampling Techniques, 3rd ed., Wiley (1977), chapter 6.
"""

from typing import NamedTuple

import numpy as np

from bayescg._checks import require
from bayescg._typing import NumpyArray
from bayescg.predict.variance import BLOCKS


class Ratio(NamedTuple):
    """A ratio and how well it is known.

    Attributes:
        value: NaN where nothing was sampled.
        error: standard error; NaN where fewer than two blocks have samples.
        weight: of all blocks.
    """

    value: NumpyArray
    error: NumpyArray
    weight: NumpyArray


def ratio_of_sums(sums: NumpyArray, weights: NumpyArray, *, blocks: int = BLOCKS) -> Ratio:
    """Ratio of the totals of a series of sums and weights.

    Args:
        sums: (time, ...) of contiguous stretches.
        weights: (time, ...) likewise.
        blocks: number of blocks B; fewer where there are fewer stretches. Stretches join to blocks; those at
            the beginning that do not fill one count for the value alone.

    Raises:
        BayescgError: fewer than two stretches or blocks.

    Example:
        >>> import numpy as np
        >>> found = ratio_of_sums(np.array([2.0, 6.0]), np.array([1.0, 2.0]))
        >>> round(float(found.value), 3), float(found.weight)
        (2.667, 3.0)
    """
    sums, weights = np.asarray(sums, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    count = min(blocks, sums.shape[0])
    require(
        count >= 2, f"blocks must number at least two, got {count}. Take more steps, or measure more often."
    )
    length = sums.shape[0] // count

    def in_blocks(values: NumpyArray) -> NumpyArray:
        return values[-count * length :].reshape(count, length, *values.shape[1:]).sum(axis=1)

    weight = weights.sum(axis=0)
    value = _divided(sums.sum(axis=0), weight)
    S, W = in_blocks(sums), in_blocks(weights)
    square = np.sum((S - np.where(np.isnan(value), 0.0, value) * W) ** 2, axis=0) * count / (count - 1)
    error = _divided(np.sqrt(square), W.sum(axis=0))
    return Ratio(value, np.where(np.sum(W > 0, axis=0) >= 2, error, np.nan), weight)


def _divided(sums: NumpyArray, weights: NumpyArray) -> NumpyArray:
    # a weight that is not a number is that of a simulation that exploded
    return np.divide(sums, weights, out=np.full(np.shape(sums), np.nan), where=weights > 0)
