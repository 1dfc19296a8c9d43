"""Tabulated time-correlation functions with their covariance: published or measured, without a trajectory."""

from typing import Any

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, one_of, positive, require
from bayescg._typing import NumpyArray

ROUNDING = 1e-10
"""Of the largest eigenvalue: a covariance may be negative by so much."""


def correlation_table(
    times: Any,
    values: Any,
    covariance: Any,
    *,
    temperature: float,
    of: str = "position",
    normalized: bool = True,
    mass: float | None = None,
) -> xr.Dataset:
    """A correlation function at some lags as data for `bayescg.likelihoods.Correlation`.

    Args:
        times: lags, ps, rising; shape (lag,). A normalized function is one at lag zero, which is left out.
        values: of the function at the lags, 1 where normalized, else squares of the variable's unit.
        covariance: of the values' errors, (lag, lag), or their standard errors, (lag,), where the errors are
            independent. Estimates from one trajectory are not: neighbouring lags share their noise.
        temperature: K.
        of: "position" (fluctuations about the mean) or "velocity".
        normalized: whether the value at zero is divided out.
        mass: amu, of the variable where it is known.

    Returns:
        A Dataset of one bead with `correlation` (lag_time) and `covariance` (lag_time, other_lag_time).

    Raises:
        BayescgError: lags that do not rise, numbers that are not finite, or a covariance of another shape,
            not symmetric or not positive.

    Example:
        >>> t = np.array([0.5, 1.0, 2.0])
        >>> table = correlation_table(t, np.exp(-t), 0.01 * np.ones(3), temperature=300.0)
        >>> dict(table.sizes)["lag_time"], float(table["covariance"][0, 0])
        (3, 0.0001)
    """
    lags, found = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
    require(
        lags.ndim == 1 and lags.size > 0 and lags.shape == found.shape,
        f"times and values must be of one shape (lag,), got {lags.shape} and {found.shape}. "
        "Give one value a lag.",
    )
    require(
        bool(np.isfinite(lags).all() and np.isfinite(found).all()),
        "times and values must be finite, got NaN or infinity. Leave those lags out.",
    )
    lowest = "above" if normalized else "at least"
    require(
        bool(np.all(np.diff(lags) > 0)) and (lags[0] > 0 if normalized else lags[0] >= 0),
        f"times must rise and be {lowest} zero ps, got {lags.tolist()}. Sort them; a normalized function is "
        "one at zero and says nothing there.",
    )
    variables: dict[str, Any] = {
        "correlation": ("lag_time", found, {"units": "1" if normalized else f"square of the unit of {of}"}),
        "covariance": (("lag_time", "other_lag_time"), _covariance(covariance, lags.size)),
    }
    number = np.nan if mass is None else positive("mass", mass, unit="amu")
    variables["mass"] = ("bead", np.array([number]), {"units": "amu"})
    return xr.Dataset(
        variables,
        coords={"lag_time": ("lag_time", lags, {"units": "ps"})},
        attrs={
            "temperature": positive("temperature", temperature, unit="K"),
            "of": one_of("of", of, ("position", "velocity")),
            "normalized": int(normalized),
        },
    )


def _covariance(given: Any, lags: int) -> NumpyArray:
    matrix = np.asarray(given, dtype=float)
    if matrix.shape == (lags,):
        require(
            bool(np.all(matrix > 0)), f"standard errors must be above zero, got {matrix.min():g}. Check them."
        )
        matrix = np.diag(matrix**2)
    if matrix.shape != (lags, lags) or not np.isfinite(matrix).all():
        raise BayescgError(
            f"covariance must be finite and of shape ({lags}, {lags}), or ({lags},) for standard errors, got "
            f"{matrix.shape}. Give one row and column a lag."
        )
    require(
        bool(np.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-12 * np.abs(matrix).max())),
        "covariance must be symmetric, got one that is not. Check rows and columns.",
    )
    lowest, *_, highest = np.linalg.eigvalsh(matrix) if lags > 1 else (matrix[0, 0],) * 2
    require(
        lowest > -ROUNDING * highest and highest > 0,
        f"covariance must have no negative eigenvalue, got {lowest:.3g} beside {highest:.3g}. It was "
        "estimated from fewer samples than lags, or is no covariance: give fewer lags.",
    )
    return matrix
