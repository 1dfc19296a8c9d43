"""Observables that are numbers (a pressure, a diffusion coefficient, coordination numbers): one line each.

Left the band of the posterior and the data with their 95 % error; right the standard deviations: between
draws, of the finite simulations, and of the data.
"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayescg.viz.observable_layout import observable_label, separate
from bayescg.viz.style import BLACK, BLUE, ORANGE, new_figure, printed_unit

NORMAL_95 = 1.959964
"""Standard deviations that hold 95 % of a normal distribution on either side together."""

BESIDE = 0.16
"""How far the data stand from the simulation, in lines."""


def draw_numbers(found: xr.Dataset, reference: xr.Dataset | None, name: str) -> Figure:
    """A figure of numbers.

    Args:
        found: summary of the observable.
        reference: aligned with it, as `reference` and `reference_error`; None for none.
        name: of the observable.

    Example:
        >>> names = ("mean", "between_draw_sd", "within_draw_sd")
        >>> numbers = xr.Dataset({name: ((), 1.0, {"units": "bar"}) for name in names})
        >>> numbers["band"] = ("quantile", [0.0, 0.5, 1.0, 1.5, 2.0])
        >>> draw_numbers(numbers, None, "pressure").axes[0].get_xlabel()
        'pressure (bar)'
    """
    rows = separate(found, None)
    figure = new_figure(1.7 + 0.45 * len(rows))
    unit = printed_unit(found["mean"].attrs.get("units", "1"))
    values, spread = figure.subplots(1, 2, sharey=True, width_ratios=(4, 3))
    for place, (_, at) in enumerate(rows):
        first = place == 0
        _band(values, place, found["band"].isel(at).values, named=first)
        _spread(spread, place, found.isel(at), None if reference is None else reference.isel(at), named=first)
        if reference is not None:
            data = reference.isel(at)
            values.errorbar(
                float(data["reference"]),
                place + BESIDE,
                xerr=NORMAL_95 * float(data["reference_error"]),
                fmt="o",
                color=BLACK,
                markersize=3.5,
                capsize=2.5,
                label="data (95 % error)" if first else None,
            )
    values.set_yticks(range(len(rows)), [label for label, _ in rows])
    values.set_ylim(len(rows) - 0.5, -0.5)
    values.set_xlabel(f"{observable_label(name)} ({unit})")
    spread.set_xlabel(f"standard deviation ({unit})")
    spread.set_xlim(left=0.0)
    figure.legend(*values.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    figure.legend(*spread.get_legend_handles_labels(), loc="outside lower right", ncols=3)
    return figure


def _band(axes: Axes, place: int, band: np.ndarray, *, named: bool) -> None:
    names = ("95 % of posterior draws", "50 % of posterior draws")
    for (low, high), width, name in zip(((0, 4), (1, 3)), (2.0, 5.0), names, strict=True):
        label = name if named else None
        axes.plot([band[low], band[high]], [place, place], color=BLUE, linewidth=width, label=label)
    axes.plot(band[2], place, "|", color="white", markersize=7)


def _spread(axes: Axes, place: int, found: xr.Dataset, reference: xr.Dataset | None, *, named: bool) -> None:
    marks = [
        (found["between_draw_sd"], BLUE, "o", "between draws"),
        (found["within_draw_sd"], ORANGE, "s", "Monte Carlo error of one draw"),
    ]
    if reference is not None:
        marks.append((reference["reference_error"], BLACK, "d", "data"))
    for value, color, mark, label in marks:
        axes.plot(float(value), place, mark, color=color, markersize=4.5, label=label if named else None)
