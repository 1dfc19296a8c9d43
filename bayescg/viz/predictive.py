"""A simulated observable with the posterior's band, beside the same observable of the data.

Three panels per curve, of a pair of bead types, a kind of bond, angle or dihedral:

- the curve: 50 % and 95 % of the spread between draws, freed from the Monte Carlo error of the finite
  simulations, and the reference with its 95 % error;
- the difference from the reference, with the same bands: where zero lies outside, the model is wrong
  there, not only uncertain;
- the three standard deviations: between draws (what the data leave open), of the mean over draws from
  finite simulations, and of the reference.

An observable that is a number, or one per pair of types, is drawn as such (`bayescg.viz.numbers`).
"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray
from bayescg.viz.numbers import NORMAL_95, draw_numbers
from bayescg.viz.observable_layout import (
    MOST_CURVES,
    aligned_reference,
    axis_unit,
    curve_axis,
    observable_label,
    separate,
)
from bayescg.viz.style import BLACK, BLUE, GREY, ORANGE, new_figure, panel_title, printed_unit, styled

ROW_HEIGHT = 3.7
"""Inches per pair of types."""


def plot_observable(
    simulated: xr.DataTree,
    observable_name: str = "radial_distribution",
    *,
    reference: xr.Dataset | None = None,
) -> Figure:
    """An observable of simulations with posterior draws, beside that of the data.

    Args:
        simulated: from `bayescg.simulate`.
        observable_name: an observable that was measured; of more than 12 curves the first are drawn.
        reference: of the data, from `bayescg.predict.evaluate`: the observable and `<name>_error`.

    Returns:
        A matplotlib Figure.

    Raises:
        BayescgError: the observable was not measured; the reference's points or labels differ.

    Example:
        >>> r, draws = np.linspace(0.1, 1, 10), np.random.default_rng(0).normal(size=(5, 10))
        >>> parts = {
        ...     "band": (("quantile", "distance"), np.sort(draws, axis=0)),
        ...     "mean": ("distance", draws.mean(0)),
        ... }
        >>> parts |= {n: ("distance", draws.std(0)) for n in ("between_draw_sd", "within_draw_sd")}
        >>> node = xr.Dataset(parts, {"distance": r, "quantile": [0.025, 0.25, 0.5, 0.75, 0.975]})
        >>> figure = plot_observable(xr.DataTree.from_dict({"summary/radial_distribution": node}))
        >>> figure.subfigs[0].axes[0].get_ylabel()
        'g(r) (1)'
    """
    found = observable_summary(simulated, observable_name)
    axis = curve_axis(found)
    if reference is not None:
        reference = aligned_reference(found, reference, observable_name)
    with styled():
        if axis is None:
            return draw_numbers(found, reference, observable_name)
        curves = separate(found, axis)[:MOST_CURVES]
        figure = new_figure(ROW_HEIGHT * len(curves))
        parts = np.atleast_1d(np.asarray(figure.subfigures(len(curves), 1), dtype=object))
        for (name, at), part in zip(curves, parts, strict=True):
            held = None if reference is None else reference.isel(at)
            _row(part, found.isel(at), held, observable_name, axis, name)
    return figure


def observable_summary(simulated: xr.DataTree, name: str) -> xr.Dataset:
    """What all draws say together about one observable.

    Raises:
        BayescgError: it was not measured.

    Example:
        >>> tree = xr.DataTree.from_dict({"summary/a": xr.Dataset({"mean": 1.0})})
        >>> float(observable_summary(tree, "a")["mean"])
        1.0
    """
    known = list(simulated["summary"].children) if "summary" in simulated.children else []
    if name not in known:
        raise BayescgError(
            f"observable_name must be one of {', '.join(map(repr, known)) or 'none'}, got {name!r}. "
            "Give the observable to bayescg.simulate."
        )
    return simulated[f"summary/{name}"].to_dataset()


def _row(
    part: object, found: xr.Dataset, reference: xr.Dataset | None, name: str, axis: str, pair: str
) -> None:
    """The panels of one pair of types."""
    x, band = found[axis].values, found["band"].transpose("quantile", axis).values
    unit = printed_unit(found["mean"].attrs.get("units", "1"))
    label = observable_label(name)
    x_label = f"{observable_label(axis)} ({printed_unit(axis_unit(found, axis) or '1')})"
    panels = part.subplot_mosaic(  # type: ignore[attr-defined]
        [["curve", "difference"], ["curve", "spread"]], width_ratios=(4, 3)
    )
    curve, difference, spread = panels["curve"], panels["difference"], panels["spread"]
    _bands(curve, x, band)
    if reference is not None:
        value, error = reference["reference"].values, NORMAL_95 * reference["reference_error"].values
        curve.fill_between(x, value - error, value + error, color=GREY, alpha=0.35, linewidth=0)
        curve.plot(x, value, color=BLACK, linestyle="--", label="data (95 % error in grey)")
        _bands(difference, x, band - value)
        difference.fill_between(
            x, -error, error, color=GREY, alpha=0.35, linewidth=0, label="95 % error of data"
        )
    else:
        _bands(difference, x, band - found["mean"].values)
    difference.axhline(0.0, color=BLACK, linestyle="--", linewidth=0.7)
    difference.set_ylabel(f"simulated −\n{'data' if reference is not None else 'mean'} ({unit})")
    _spread(spread, x, found, reference)
    spread.set_ylabel(f"standard\ndeviation ({unit})")
    curve.set_ylabel(f"{label} ({unit})")
    panel_title(curve, pair)
    for axes in (curve, spread):
        axes.set_xlabel(x_label)
    difference.sharex(spread)
    difference.tick_params(labelbottom=False)
    begin = _first_nonzero(band, None if reference is None else reference["reference"].values)
    for axes in (curve, spread):
        axes.set_xlim(float(x[max(begin - 3, 0)]), float(x[-1]))
    curve.legend(loc="upper right")
    spread.legend(loc="upper right", fontsize=7.0)


def _bands(axes: Axes, x: NumpyArray, band: NumpyArray) -> None:
    """Median and nested intervals from five quantiles."""
    names = ("95 % of posterior draws", "50 % of posterior draws")
    for (low, high), alpha, name in zip(((0, 4), (1, 3)), (0.25, 0.45), names, strict=True):
        axes.fill_between(x, band[low], band[high], color=BLUE, alpha=alpha, linewidth=0, label=name)
    axes.plot(x, band[2], color=BLUE, label="median of posterior draws")


def _spread(axes: Axes, x: NumpyArray, found: xr.Dataset, reference: xr.Dataset | None) -> None:
    lines = [
        (found["between_draw_sd"].values, BLUE, "-", "between draws (0: below Monte Carlo error)"),
        (found["within_draw_sd"].values, ORANGE, ":", "Monte Carlo error of one draw"),
    ]
    if reference is not None:
        lines.append((reference["reference_error"].values, BLACK, "--", "data"))
    largest = 0.0
    for values, color, line, label in lines:
        axes.plot(x, values, line, color=color, label=label)
        largest = max(largest, float(np.nanmax(values, initial=0.0)))
    axes.set_ylim(0.0, 1.9 * largest if largest > 0 else 1.0)


def _first_nonzero(band: NumpyArray, reference: NumpyArray | None) -> int:
    """Where a curve that begins with zeros begins."""
    filled = np.abs(band).max(axis=0) > 0
    if reference is not None:
        filled |= reference != 0
    return int(np.argmax(filled))
