"""Prony modes of a kernel on a grid: where an inference may start.

    min over tau of  min over c >= 0 of  sum_n ( K(t_n) - sum_k c_k exp(-t_n/tau_k) )²,

the inner minimum by non-negative least squares, the outer one over log tau with bounds.
"""

import numpy as np
from scipy.optimize import least_squares, nnls

from bayescg._checks import BayescgError, finite, positive, require, whole
from bayescg._typing import Float, NumpyArray
from bayescg.memory.prony import Prony

FASTEST, SLOWEST = 0.5, 10.0
"""Bounds of decay times: in intervals of the grid, and in lengths of the grid."""

STARTS = 4
"""Log-spaced starts, each twice as long a range as the one before: the outer problem has local minima."""

SMALLEST = 1e-6
"""Least friction of a mode against the largest: frictions are sampled as logarithms."""

DISTINCT = 1e-3
"""Least difference of successive log times: two modes that fall together keep an order."""


def fit_prony(kernel: Float[NumpyArray, " lag"], *, interval: float, modes: int) -> Prony:
    """Exponentials fitted to a kernel on a grid.

    Args:
        kernel: K from t = 0, amu/ps², for example of `volterra_kernel`.
        interval: of the grid, ps.
        modes: number of exponentials.

    Returns:
        `Prony` with these values, which `prepare` keeps as the start.

    Raises:
        BayescgError: fewer than twice as many values as modes, values that are not finite, or a kernel
            that no sum of positive exponentials follows.

    Example:
        >>> import numpy as np
        >>> t = 0.01 * np.arange(300)
        >>> fit_prony(30 * np.exp(-t / 0.1) + 5 * np.exp(-t), interval=0.01, modes=2).times.round(4).tolist()
        [0.1, 1.0]
    """
    K, count = np.asarray(kernel, dtype=float), whole("modes", modes)
    h = positive("interval", interval, unit="ps")
    require(
        K.ndim == 1 and len(K) >= 2 * count + 1,
        f"kernel must have more than {2 * count} values for {count} modes, got shape {K.shape}. "
        "Give more lags or fewer modes.",
    )
    finite("kernel", K, axis_name="lag")
    t = h * np.arange(len(K))
    bounds = np.log(FASTEST * h), np.log(SLOWEST * t[-1])
    fits = [
        least_squares(_residual, start, bounds=bounds, args=(t, K), x_scale=1.0)
        for start in _starts(h, t[-1], count)
    ]
    best = np.sort(min(fits, key=lambda fit: fit.cost).x)
    # equal times would have no order: push later ones up
    best = np.maximum.accumulate(best - DISTINCT * np.arange(count)) + DISTINCT * np.arange(count)
    tau, c = np.exp(best), _amplitudes(best, t, K)
    if not c.max() > 0:
        raise BayescgError(
            "kernel must be positive on the whole to be a sum of decaying exponentials, got one that none "
            "follows. Take OscillatoryProny, or check the sign of the correlation functions."
        )
    frictions = c * tau
    return Prony(count, tau, np.maximum(frictions, SMALLEST * frictions.max()))


def _starts(interval: float, duration: float, count: int) -> list[NumpyArray]:
    """Log times spread from two intervals to ever longer parts of the grid."""
    longest = duration / 2.0 ** np.arange(1, STARTS + 1)
    ends = [(2 * interval, max(end, 4 * interval)) for end in longest]
    return [np.log(np.geomspace(first, last, count + 2)[1:-1]) for first, last in ends]


def _amplitudes(log_times: NumpyArray, t: NumpyArray, K: NumpyArray) -> NumpyArray:
    return nnls(np.exp(-t[:, None] / np.exp(log_times)), K)[0]


def _residual(log_times: NumpyArray, t: NumpyArray, K: NumpyArray) -> NumpyArray:
    return np.exp(-t[:, None] / np.exp(log_times)) @ _amplitudes(log_times, t, K) - K
