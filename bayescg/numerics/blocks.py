"""Block statistics of correlated series: long-run covariance from contiguous blocks.

For block sums s_b of a stationary series the covariance of their total is estimated by

    K = B [Γ_0 + Σ_l (1 - l/(L+1)) (Γ_l + Γ_l')],     Γ_l = (1/B) Σ_b (s_b - s̄)(s_{b+l} - s̄)',

with Bartlett weights, which keep K positive semidefinite, and L = floor(4 (B/100)^(2/9)).

References:
    W. Newey, K. West, Econometrica 55, 703 (1987), doi:10.2307/1913610.
    H. Flyvbjerg, H. Petersen, J. Chem. Phys. 91, 461 (1989), doi:10.1063/1.457480.
"""

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray

MINIMUM_BLOCKS = 8
"""Fewer blocks say nothing useful of a covariance."""


def long_run_covariance(sums: NumpyArray) -> NumpyArray:
    """Covariance of the total of correlated block sums.

    Args:
        sums: (block, parameter) one row per contiguous block, in time order.

    Returns:
        (parameter, parameter) covariance of the sum over all blocks; rank at most blocks - 1.

    Raises:
        BayescgError: fewer than `MINIMUM_BLOCKS` blocks.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(4000, 1))
        >>> bool(abs(long_run_covariance(x)[0, 0] / 4000 - 1) < 0.2)
        True
    """
    blocks = sums.shape[0]
    if blocks < MINIMUM_BLOCKS:
        raise BayescgError(
            f"the number of blocks must be at least {MINIMUM_BLOCKS}, got {blocks}. "
            "Give more frames, or shorter blocks."
        )
    centered = sums - sums.mean(axis=0)
    covariance = centered.T @ centered
    lags = int(4 * (blocks / 100) ** (2 / 9))
    for lag in range(1, lags + 1):
        gamma = centered[:-lag].T @ centered[lag:]
        covariance += (1 - lag / (lags + 1)) * (gamma + gamma.T)
    return covariance * blocks / (blocks - 1)
