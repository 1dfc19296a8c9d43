"""Where a simulated curve, or number, and that of the data differ by more than both are uncertain."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from bayescg._typing import NumpyArray
from bayescg.viz.numbers import NORMAL_95
from bayescg.viz.observable_layout import aligned_reference, curve_axis, separate
from bayescg.viz.predictive import observable_summary


class Peak(NamedTuple):
    """The highest point of a curve.

    Attributes:
        place: on the axis; NaN of a number.
        low: lower end of the 95 % interval.
        value: median, or the value of the data.
        high: upper end.
    """

    place: float
    low: float
    value: float
    high: float


class Deviation(NamedTuple):
    """How a simulated curve, or number, differs from that of the data, for one pair of types.

    Attributes:
        pair: name of the pair of types; empty where the curve has none.
        regions: (begin, end) of every stretch where the data lie outside the band.
        fraction: part of the compared points that lie in them.
        largest: simulated minus data where that is largest in size.
        place: where; NaN of a number, which is its own highest point.
        simulated: highest point of the median over draws; its interval is the 95 % band widened by the
            95 % error of the mean over draws, so that few or short simulations show.
        data: highest point of the data, with its 95 % error.
    """

    pair: str
    regions: list[tuple[float, float]]
    fraction: float
    largest: float
    place: float
    simulated: Peak
    data: Peak


def deviations(simulated: xr.DataTree, name: str, reference: xr.Dataset) -> list[Deviation]:
    """Compare every curve, or number, of an observable with the data.

    A point deviates if the data lie outside the 95 % band of the posterior widened by the 95 % errors of
    the data and of the mean over draws. Points where both curves are zero are not compared.

    Args:
        simulated: from `bayescg.simulate`.
        name: of the observable.
        reference: from `bayescg.predict.evaluate`.

    Returns:
        One entry per curve or number.

    Raises:
        BayescgError: the observable is not there, or the reference has other points.

    Example:
        >>> x = np.arange(5.0)
        >>> flat = {n: ("distance", np.full(5, 0.01)) for n in ("between_draw_sd", "mean_error")}
        >>> band = np.add.outer([-0.02, -0.01, 0.0, 0.01, 0.02], np.ones(5))
        >>> node = xr.Dataset(
        ...     {"mean": ("distance", np.ones(5)), "band": (("quantile", "distance"), band), **flat},
        ...     {"distance": x},
        ... )
        >>> data = xr.Dataset({"g": ("distance", [1.0, 1.0, 2.0, 2.0, 1.0])}, {"distance": x})
        >>> found = deviations(xr.DataTree.from_dict({"summary/g": node}), "g", data)
        >>> found[0].regions, found[0].fraction
        ([(2.0, 3.0)], 0.4)
    """
    found = observable_summary(simulated, name)
    axis, data = curve_axis(found), aligned_reference(found, reference, name)
    if axis is None:  # a number is a curve of one point, which is nowhere
        axis = "nowhere"
        found, data = (part.expand_dims({axis: [np.nan]}) for part in (found, data))
    return [_of_curve(label, found.isel(at), data.isel(at), axis) for label, at in separate(found, axis)]


def _of_curve(pair: str, found: xr.Dataset, data: xr.Dataset, axis: str) -> Deviation:
    x, band = found[axis].values, found["band"].transpose("quantile", axis).values
    value, error = data["reference"].values, data["reference_error"].values
    tolerance = NORMAL_95 * np.hypot(error, np.nan_to_num(found["mean_error"].values))
    compared = (value != 0) | (np.abs(band).max(axis=0) > 0)
    outside = compared & ((value < band[0] - tolerance) | (value > band[-1] + tolerance))
    difference = np.where(compared, band[2] - value, 0.0)
    worst = int(np.argmax(np.abs(difference)))
    top, data_top = int(np.argmax(band[2])), int(np.argmax(value))
    width, extra = NORMAL_95 * float(error[data_top]), NORMAL_95 * float(found["mean_error"].values[top])
    return Deviation(
        pair,
        _stretches(x, outside),
        float(outside.sum() / max(int(compared.sum()), 1)),
        float(difference[worst]),
        float(x[worst]),
        Peak(float(x[top]), float(band[0, top]) - extra, float(band[2, top]), float(band[-1, top]) + extra),
        Peak(
            float(x[data_top]),
            float(value[data_top]) - width,
            float(value[data_top]),
            float(value[data_top]) + width,
        ),
    )


def _stretches(x: NumpyArray, outside: NumpyArray) -> list[tuple[float, float]]:
    """First and last point of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], outside, [False]]).astype(int)))
    return [(float(x[a]), float(x[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True)]
