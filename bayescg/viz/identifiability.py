"""What the data determine: the contraction of every direction, and what the best and worst one are."""

import re
import textwrap

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayescg._typing import NumpyArray
from bayescg.identifiability import Identified
from bayescg.viz.stored import pair_curves
from bayescg.viz.style import BLUE, GREEN, GREY, ORANGE, PURPLE, new_figure, panel_title, styled

HEIGHT = 3.8
"""Inches."""

LINE_LENGTH = 62
"""Letters per line of a panel's title."""

ELEMENT = re.compile(r"(?P<path>.+)\[(?P<pair>\d+), (?P<coefficient>\d+)\]")
"""Label of a spline's coefficient."""


def plot_spectrum(identified: Identified, posterior: xr.DataTree | None = None) -> Figure:
    """Posterior over prior standard deviation per direction, and the loadings of the best and the worst.

    Args:
        identified: from `bayescg.identify`.
        posterior: from `bayescg.sample`; it says at which distance a spline's coefficient acts. None
            draws the loadings over the number of the parameter.

    Returns:
        A matplotlib Figure.

    Example:
        >>> spectrum = xr.Dataset(
        ...     {
        ...         "information": ("direction", [99.0, 0.0]),
        ...         "contraction": ("direction", [0.1, 1.0]),
        ...         "loadings": (("direction", "parameter"), np.eye(2)),
        ...     },
        ...     coords={"parameter": ["a", "b"]},
        ... )
        >>> figure = plot_spectrum(Identified(spectrum, ("a", "b")))
        >>> figure.axes[0].get_ylabel()
        'posterior sd / prior sd (1)'
    """
    spectrum = identified.spectrum
    with styled():
        figure = new_figure(HEIGHT)
        panels = figure.subplot_mosaic([["spectrum", "best"], ["spectrum", "worst"]], width_ratios=(2, 3))
        _contractions(panels["spectrum"], spectrum["contraction"].values, identified.effective_dimension)
        distances = {} if posterior is None else coefficient_distances(posterior)
        for place, direction, sentence, color in (
            ("best", 0, identified.best, GREEN),
            ("worst", -1, identified.worst, ORANGE),
        ):
            _loadings(panels[place], spectrum.isel(direction=direction)["loadings"], distances, color)
            lines = textwrap.wrap(f"{place} determined: {sentence}", LINE_LENGTH, break_on_hyphens=False)
            panels[place].set_title("\n".join(lines), fontsize=7.5)
    return figure


def coefficient_distances(posterior: xr.DataTree) -> dict[str, NumpyArray]:
    """Distance, nm, about which every coefficient of a pair spline acts: path -> (type_pair, coefficient).

    Example:
        >>> places = xr.DataArray([[0.3, 0.4]], dims=("type_pair", "coefficient"), attrs={"path": "a.b"})
        >>> curve = xr.DataArray(np.zeros((1, 1)), dims=("type_pair", "distance"))
        >>> group = {"pair_energy": curve, "pair_force": curve, "coefficient_distance": places}
        >>> tree = xr.DataTree.from_dict({"potential_curves": xr.Dataset(group)})
        >>> {path: array.tolist() for path, array in coefficient_distances(tree).items()}
        {'a.b': [[0.3, 0.4]]}
    """
    return {
        str(array.attrs["path"]): array.values
        for name, array in pair_curves(posterior).data_vars.items()
        if str(name).startswith("coefficient_distance")
    }


def _contractions(axes: Axes, contraction: NumpyArray, effective_dimension: float) -> None:
    order = np.arange(1, contraction.size + 1)
    axes.axhline(1.0, color=GREY, linewidth=0.8, linestyle="--", label="prior: nothing learned")
    axes.semilogy(order, contraction, "o", markersize=3.5, color=BLUE, label="direction")
    axes.plot(order[:1], contraction[:1], "o", markersize=6, color=GREEN, label="best")
    axes.plot(order[-1:], contraction[-1:], "o", markersize=6, color=ORANGE, label="worst")
    axes.set_ylim(0.5 * float(contraction.min()), 2.5)
    axes.set_xlabel("direction, best determined first (1)")
    axes.set_ylabel("posterior sd / prior sd (1)")
    panel_title(axes, f"{effective_dimension:.1f} of {contraction.size} determined by the data")
    axes.legend(loc="best")


def _loadings(axes: Axes, loadings: xr.DataArray, distances: dict[str, NumpyArray], color: str) -> None:
    """Loadings of one direction over distance, one line per spline and pair of types."""
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    axes.set_ylim(-1.15, 1.15)
    axes.set_ylabel("loading\n(largest = 1)")
    labels, values = [str(label) for label in loadings["parameter"].values], loadings.values
    curves = _curves(labels, values, distances)
    if not curves:
        axes.vlines(np.arange(values.size), 0.0, values, color=color)
        axes.set_xlabel("number of the parameter (1)")
        return
    for (name, (r, loading)), other in zip(curves.items(), _colors(color, len(curves)), strict=True):
        axes.plot(r, loading, "o-", markersize=2.5, linewidth=1.0, color=other, label=name)
    axes.set_xlabel("distance r at which the coefficient acts (nm)")
    if len(curves) > 1:
        axes.legend(loc="lower right", ncols=2, fontsize=7.0)


def _curves(
    labels: list[str], values: NumpyArray, distances: dict[str, NumpyArray]
) -> dict[str, tuple[NumpyArray, NumpyArray]]:
    """Distances and loadings of every spline and pair of types."""
    points: dict[str, list[tuple[float, float]]] = {}
    for label, value in zip(labels, values, strict=True):
        element = ELEMENT.fullmatch(label)
        if element is None or element["path"] not in distances:
            continue
        r = distances[element["path"]][int(element["pair"]), int(element["coefficient"])]
        points.setdefault(f"{element['path']}[{element['pair']}]", []).append((float(r), float(value)))
    arrays = {name: np.array(sorted(found)).T for name, found in points.items()}
    return {name: (array[0], array[1]) for name, array in arrays.items()}


def _colors(first: str, count: int) -> list[str]:
    palette = [first, BLUE, PURPLE, GREY]
    return [palette[index % len(palette)] for index in range(count)]
