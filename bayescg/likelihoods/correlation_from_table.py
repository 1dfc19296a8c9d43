"""Correlation functions that come as a table with a covariance: what the likelihood needs of them."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import require
from bayescg.interfaces import Support, Timescales
from bayescg.likelihoods.correlation_data import CorrelationData, whitening
from bayescg.units import thermal_energy

DEVIATIONS = 3.0
"""Standard deviations on either side to which the variable is taken to reach."""


def is_table(data: Any) -> bool:
    """Whether data are a table of `bayescg.data.correlation_table`, not a trajectory.

    Example:
        >>> import bayescg as bcg
        >>> is_table(bcg.data.water(frames=1))
        False
    """
    return isinstance(data, xr.Dataset) and "correlation" in data and "position" not in data


def check_kind(table: xr.Dataset, *, of: str, normalized: bool) -> None:
    """Raise where a table holds another function than the likelihood is told.

    Args:
        table: of `bayescg.data.correlation_table`.
        of: what the likelihood compares.
        normalized: whether its value at zero is divided out.

    Raises:
        BayescgError: they differ.

    Example:
        >>> import bayescg as bcg
        >>> table = bcg.data.correlation_table([1.0], [0.5], [0.1], temperature=300.0)
        >>> check_kind(table, of="position", normalized=True)
    """
    there = (table.attrs["of"], bool(table.attrs["normalized"]))
    require(
        there == (of, normalized),
        f"of and normalized must be those of the table, {there[0]!r} and {there[1]}, got {of!r} and "
        f"{normalized}. Set them alike.",
    )


def table_scales(table: xr.Dataset) -> tuple[Timescales, Support]:
    """Rough scales for the start of memory and potential: relaxation time, friction, range.

    A normalized function does not know the variable's variance; it is taken to be one square unit, so the
    default priors of such a model want a look.

    Args:
        table: of `bayescg.data.correlation_table`.

    Example:
        >>> import bayescg as bcg
        >>> t = 0.1 * np.arange(1, 80)
        >>> scales, support = table_scales(
        ...     bcg.data.correlation_table(t, np.exp(-t), np.full(79, 0.1), temperature=300.0)
        ... )
        >>> round(scales.friction, 1), support.highest
        (2.5, (3.0,))
    """
    lags, values = table["lag_time"].values, table["correlation"].values
    kT = float(thermal_energy(table.attrs["temperature"]))
    at_zero = 1.0 if table.attrs["normalized"] else float(values[np.argmin(lags)])
    begin = np.concatenate([[0.0], lags]), np.concatenate([[at_zero], values])
    relaxation = max(float(np.trapezoid(begin[1], begin[0])) / at_zero, float(lags[-1]) / 100) or 1.0
    at_velocity, mass = table.attrs["of"] == "velocity", float(np.nan_to_num(table["mass"][0], nan=1.0))
    friction = mass / relaxation if at_velocity else kT * relaxation / at_zero
    spacing = np.diff(begin[0])
    interval = float(spacing[spacing > 0].min(initial=relaxation))
    width = DEVIATIONS * float(np.sqrt(1.0 if at_velocity else at_zero))
    support = Support(("bead",), (), (-width,), (width,), None, kT)
    return Timescales(interval, max(float(lags[-1]), 2 * interval), friction), support


def table_data(table: xr.Dataset) -> CorrelationData:
    """The table as one block.

    Args:
        table: of `bayescg.data.correlation_table`.

    Example:
        >>> import bayescg as bcg
        >>> table = bcg.data.correlation_table([1.0], [0.5], [0.1], temperature=300.0)
        >>> float(table_data(table).whitening[0, 0])
        10.0
    """
    return CorrelationData(
        values=jnp.asarray(table["correlation"].values)[None],
        frames=jnp.ones(1),
        whitening=jnp.asarray(whitening(table["covariance"].values)),
        times=jnp.asarray(table["lag_time"].values),
        scale=jnp.ones(()),
        temperature=float(table.attrs["temperature"]),
    )
