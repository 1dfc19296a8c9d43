"""What the data determine: contraction and loadings of directions, profiles, ellipses over draws."""

import re
import textwrap

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import chi2

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray
from bayescg.identifiability import Identified
from bayescg.identifiability.marginals import Marginals
from bayescg.identifiability.profile import Profile
from bayescg.viz.stored import pair_curves
from bayescg.viz.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, new_figure, panel_title, styled

HEIGHT = 3.8
"""Inches."""

NAMED = 24
"""Parameters or directions that are named on an axis; of more, every other."""

WRITTEN = 8
"""Parameters up to which loadings are written into their cells."""

SOFT = 1.3
"""End of the colour scale of loadings, beyond the largest, so that no cell is nearly black."""

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
        _contractions(panels["spectrum"], spectrum, identified.effective_dimension)
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


def plot_directions(identified: Identified, *, directions: int = 8) -> Figure:
    """Loadings of the best and the worst directions on every parameter, in units of prior deviations.

    Args:
        identified: from `bayescg.identify`.
        directions: how many to show, half from either end.

    Returns:
        A matplotlib Figure.

    Example:
        >>> import bayescg as bcg
        >>> figure = plot_directions(bcg.identify.from_jacobian([[1.0, -1.0]], names=["k", "gamma"]))
        >>> figure.axes[0].get_xticklabels()[1].get_text()
        'gamma'
    """
    spectrum = identified.spectrum
    count = spectrum.sizes["direction"]
    half = directions // 2
    shown = np.arange(count) if count <= directions else np.r_[0:half, count - half : count]
    loadings = spectrum["loadings"].values[shown]
    if identified.experiment is not None:
        loadings = loadings / identified.experiment.widths
    loadings = loadings / np.abs(loadings).max(axis=1, keepdims=True)
    with styled():
        figure = new_figure(1.5 + 0.32 * max(len(shown), 3))
        axes = figure.add_subplot()
        image = axes.imshow(
            loadings, cmap="RdBu_r", vmin=-SOFT, vmax=SOFT, aspect="auto", interpolation="nearest"
        )
        bar = figure.colorbar(image, ax=axes, pad=0.01)
        bar.set_label("loading, largest = 1\n(prior deviations)")
        bar.ax.set_ylim(-1, 1)
        step = max(1, -(-loadings.shape[1] // NAMED))
        places = np.arange(0, loadings.shape[1], step)
        names = [_axis(identified, int(i)) for i in places]
        tilted = sum(map(len, names)) > LINE_LENGTH
        axes.set_xticks(places, names, rotation=35 if tilted else 0, ha="right" if tilted else "center")
        contraction = spectrum["contraction"].values[shown]
        labels = [f"{n + 1}  ({c:.2g})" for n, c in zip(shown, contraction, strict=True)]
        axes.set_yticks(np.arange(len(shown)), labels)
        axes.set_ylabel("direction")
        if loadings.shape[1] <= WRITTEN:
            for (row, column), value in np.ndenumerate(loadings):
                color = "white" if abs(value) > 0.6 else BLACK
                axes.text(column, row, f"{value:+.2f}", ha="center", va="center", color=color)
        if len(shown) < count:
            axes.axhline(half - 0.5, color=BLACK, linewidth=1.2)
        panel_title(axes, "Directions, best determined first (posterior sd / prior sd), and their parameters")
    return figure


def plot_profile(profile: Profile, *, label: str) -> Figure:
    """A profile likelihood with its interval.

    Args:
        profile: from `Identified.profile`.
        label: of the axis: the function and its unit.

    Returns:
        A matplotlib Figure.

    Example:
        >>> import bayescg as bcg
        >>> found = bcg.identify.from_log_density(lambda t: -t[0] ** 2 / 2, [0.0], names=["a"])
        >>> figure = plot_profile(found.profile(0, low=-4.0, high=4.0, points=8), label="a (1)")
        >>> figure.axes[0].get_xlabel()
        'a (1)'
    """
    data, (low, high) = profile.dataset, profile.interval
    with styled():
        figure = new_figure(2.8)
        axes = figure.add_subplot()
        threshold = -0.5 * float(chi2.ppf(data.attrs["level"], 1))
        axes.axhline(
            threshold, color=GREY, linestyle="--", linewidth=0.8, label=f"{data.attrs['level']:.0%} level"
        )
        drawn = [end for end in (low, high) if np.isfinite(end)]
        for end in drawn:
            named = f"ends of the {data.attrs['level']:.0%} interval" if end == drawn[0] else None
            axes.axvline(end, color=GREEN, linewidth=0.9, label=named)
        values, heights = data["value"].values, data["log_likelihood"].values
        axes.plot(values, heights, "o-", markersize=2.5, color=BLUE, label="profile")
        axes.set_ylim(min(max(heights.min(), 3 * threshold) - 0.3, 1.3 * threshold), 0.4)
        near = values[heights > 4 * threshold]
        axes.set_xlim(near[0] - 0.05 * np.ptp(near), near[-1] + 0.05 * np.ptp(near))
        axes.set_xlabel(label)
        axes.set_ylabel("log likelihood\nless its maximum (nats)")
        panel_title(axes, profile.sentence)
        axes.legend(loc="lower center", ncols=3)
    return figure


def plot_marginals(marginals: Marginals) -> Figure:
    """Posterior, Laplace and Cramér-Rao standard deviation per direction.

    Args:
        marginals: from `bayescg.identifiability.marginals.marginals`.

    Returns:
        A matplotlib Figure.

    Example:
        >>> widths = {name: ("direction", [0.1, 0.9]) for name in ("posterior", "laplace", "cramer_rao")}
        >>> plot_marginals(Marginals(xr.Dataset(widths), ())).axes[0].get_ylabel()
        'standard deviation / prior sd (1)'
    """
    data = marginals.dataset
    order = np.arange(1, data.sizes["direction"] + 1)
    with styled():
        figure = new_figure(3.0)
        axes = figure.add_subplot()
        axes.axhline(1.0, color=GREY, linewidth=0.8, linestyle="--", label="prior")
        bound = np.where(np.isfinite(data["cramer_rao"]), data["cramer_rao"], np.nan)
        axes.semilogy(order, bound, "_", markersize=14, color=ORANGE, label="Cramér-Rao (no prior)")
        axes.plot(order, data["laplace"], "s", markersize=6, fillstyle="none", color=BLACK, label="Laplace")
        axes.plot(order, data["posterior"], "o", markersize=3.5, color=BLUE, label="posterior draws")
        widths = np.concatenate([data["posterior"].values, data["laplace"].values])
        axes.set_ylim(0.5 * widths.min(), 5.0)
        axes.set_xticks(order if order.size <= NAMED else order[:: -(-order.size // NAMED)])
        axes.set_xlabel("direction, best determined first (1)")
        axes.set_ylabel("standard deviation / prior sd (1)")
        axes.legend(loc="upper left", ncols=4)
    return figure


def plot_ellipses(
    identified: Identified, draws: NumpyArray, pair: tuple[int, int], *, labels: tuple[str, str] | None = None
) -> Figure:
    """Draws of two parameters with the ellipse of data and prior, and that of the data alone.

    Args:
        identified: from `bayescg.identify`.
        draws: (draw, parameter), unconstrained, in the order of `identified.experiment.names`.
        pair: numbers of the two parameters.
        labels: of the axes, with units; None for the parameters' names.

    Returns:
        A matplotlib Figure. Ellipses hold 95% of a Gaussian; directions that the data leave open are lines.

    Example:
        >>> import bayescg as bcg
        >>> found = bcg.identify.from_jacobian([[3.0, -3.0]], names=["k", "gamma"])
        >>> figure = plot_ellipses(found, np.random.default_rng(0).normal(size=(50, 2)), (0, 1))
        >>> [line.get_label() for line in figure.axes[0].lines[:2]]
        ['draws', 'data and prior, 95 %']
    """
    experiment = identified.experiment
    if experiment is None:
        raise BayescgError(
            "ellipses need the information behind a spectrum. Take the result of bayescg.identify."
        )
    information = np.sum([one.matrix for one in identified.informations], axis=0)
    pick = np.ix_(pair, pair)
    both = np.linalg.inv(information + experiment.precision)[pick]
    # the data alone: the same with a prior a thousand times as wide
    data = np.linalg.inv(information + 1e-6 * experiment.precision)[pick]
    center = experiment.point[list(pair)]
    first, second = labels or (_axis(identified, pair[0]), _axis(identified, pair[1]))
    with styled():
        figure = new_figure(3.6)
        axes = figure.add_subplot()
        axes.plot(*draws[:, list(pair)].T, ".", markersize=2, color=GREY, alpha=0.6, label="draws")
        axes.plot(*_ellipse(center, both), color=BLUE, linewidth=1.2, label="data and prior, 95 %")
        axes.plot(
            *_ellipse(center, data), color=ORANGE, linewidth=0.9, linestyle="--", label="data alone, 95 %"
        )
        reach = 1.3 * np.maximum(
            np.abs(draws[:, list(pair)] - center).max(axis=0), 2.5 * np.sqrt(np.diag(both))
        )
        axes.set_xlim(center[0] - reach[0], center[0] + reach[0])
        axes.set_ylim(center[1] - reach[1], center[1] + reach[1])
        axes.set_xlabel(first)
        axes.set_ylabel(second)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _axis(identified: Identified, index: int) -> str:
    name = identified.places[index]
    if identified.experiment is None or identified.experiment.scales[index] != "logarithm":
        return name
    return f"log {name}"


def _ellipse(center: NumpyArray, covariance: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    angle = np.linspace(0, 2 * np.pi, 361)
    circle = np.stack([np.cos(angle), np.sin(angle)]) * np.sqrt(chi2.ppf(0.95, 2))
    values, vectors = np.linalg.eigh(covariance)
    x, y = center[:, None] + vectors @ (np.sqrt(np.maximum(values, 0.0))[:, None] * circle)
    return x, y


def _contractions(axes: Axes, spectrum: xr.Dataset, effective_dimension: float) -> None:
    contraction = spectrum["contraction"].values
    order = np.arange(1, contraction.size + 1)
    if "information_error" in spectrum:
        information, error = spectrum["information"].values, 2 * spectrum["information_error"].values
        low, high = (1 / np.sqrt(1 + np.maximum(information + side * error, 0)) for side in (1, -1))
        axes.vlines(order, low, high, color=BLUE, linewidth=1.0, alpha=0.6, label="± 2 s.e. over blocks")
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
