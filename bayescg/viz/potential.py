"""The pair potential with its uncertainty, where the data are and where they are not.

For every pair of bead types two columns, energy u(r) and force -u'(r), each with

- the curve: median over draws with its 50 % and 95 % bands,
- the half-width of the 95 % band on a logarithmic axis, because the band of a well-determined potential
  is thinner than its line; the naive one, which takes frames and beads for independent, is dashed,
- the number of sampled pairs per bin of distance. Below the first of them the curve is extrapolation
  and the ground is shaded.
"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayescg._typing import NumpyArray
from bayescg.units import thermal_energy
from bayescg.viz.stored import (
    distance_counts,
    draws_of,
    first_sampled,
    pair_curves,
    posterior_name,
    temperature,
)
from bayescg.viz.style import (
    BLUE,
    GREY,
    INTERVALS,
    ORANGE,
    SHADE,
    draw_band,
    new_figure,
    panel_title,
    quantile_band,
    styled,
)

LABELS = {
    "pair_energy": ("pair energy u(r)", "kJ/mol"),
    "pair_force": ("pair force −u′(r)", "kJ/mol/nm"),
}
"""Name and unit of what is drawn."""

ENERGY_RANGE = (-5.0, 5.0)
"""The energy axis never reaches beyond, in k_B T: the steep core would flatten the rest."""

CORE = 2.0
"""The force axis reaches the force where the median energy is this many k_B T, for the same reason."""

ROOM_TEMPERATURE = 300.0
"""K; sets the ranges of the axes where the result does not say its temperature."""

BEFORE_DATA = 0.06
"""Part of the distance axis that lies below the first sampled distance."""

END = 0.93
"""Up to this fraction of the cutoff widths set their axis; beyond, they go to zero by construction."""

ROW_HEIGHT = 5.0
"""Inches per pair of types."""


def plot_potential(posterior: xr.DataTree, *, naive: bool = True) -> Figure:
    """Energy and force of every pair of bead types with bands, their width, and the sampled distances.

    Args:
        posterior: what `bayescg.sample` returned, or was read back from its file.
        naive: whether to show the width of the naive band where the result has one.

    Returns:
        A matplotlib Figure; `figure.savefig("potential.png")` writes it.

    Raises:
        BayescgError: the result has no curves, because its model has no pair potential.

    Example:
        >>> rng, r = np.random.default_rng(0), np.linspace(0.2, 0.9, 50)
        >>> dims = ("chain", "curve_draw", "type_pair", "distance")
        >>> curves = xr.Dataset(
        ...     {q: (dims, rng.normal(size=(4, 9, 1, 50))) for q in ("pair_energy", "pair_force")},
        ...     coords={"type_pair": ["A-A"], "distance": r},
        ... )
        >>> figure = plot_potential(xr.DataTree.from_dict({"potential_curves": curves}))
        >>> [axes.get_ylabel() for axes in figure.subfigs[0].axes[:2]]
        ['pair energy u(r) (kJ/mol)', 'pair force −u′(r) (kJ/mol/nm)']
    """
    curves = pair_curves(posterior)
    counts = distance_counts(posterior)
    kT = thermal_energy(temperature(posterior) or ROOM_TEMPERATURE)
    pairs = [str(name) for name in curves["type_pair"].values]
    with styled():
        figure = new_figure(ROW_HEIGHT * len(pairs))
        parts = np.atleast_1d(np.asarray(figure.subfigures(len(pairs), 1), dtype=object))
        for name, part in zip(pairs, parts, strict=True):
            count = None if counts is None else counts.sel(type_pair=name)
            grid = part.subplots(3, 2, sharex=True, height_ratios=(10, 5, 3))
            _column(grid[:, 0], curves, name, count, "pair_energy", naive)
            _column(grid[:, 1], curves, name, count, "pair_force", naive)
            panel_title(grid[0, 0], f"{name}: energy")
            panel_title(grid[0, 1], f"{name}: force")
            _limit_curves(grid[0], curves, name, count, kT)
            _shade_unsampled(grid, curves, count)
            grid[0, 1].legend(loc="upper right")
            grid[1, 0].legend(loc="lower left")
    return figure


def _column(
    column: NumpyArray,
    curves: xr.Dataset,
    pair: str,
    count: xr.DataArray | None,
    quantity: str,
    naive: bool,
) -> None:
    """Curve, width and samples of one quantity, from top to bottom."""
    label, unit = LABELS[quantity]
    distance, draws = curves["distance"].values, _present(curves, quantity, pair)
    column[0].axhline(0.0, color=GREY, linewidth=0.6, zorder=0)
    draw_band(column[0], distance, draws, color=BLUE, of=posterior_name(curves))
    column[0].set_ylabel(f"{label} ({unit})")
    plain = draws_of(curves, f"{quantity}_naive", pair) if naive else None
    _width(column[1], distance, draws, plain, posterior_name(curves))
    column[1].set_ylabel(f"95 % half-width\n({unit})")
    _samples(column[2], count)
    column[2].set_xlabel("distance r (nm)")


def _present(curves: xr.Dataset, quantity: str, pair: str) -> NumpyArray:
    draws = draws_of(curves, quantity, pair)
    assert draws is not None  # pair_curves has looked
    return draws


def _width(axes: Axes, distance: NumpyArray, draws: NumpyArray, naive: NumpyArray | None, name: str) -> None:
    inside = distance < END * distance[-1]
    extremes = []
    for values, line, color, label in (
        (draws, "-", BLUE, f"95 % of {name}"),
        (naive, "--", ORANGE, "95 % of naive posterior"),
    ):
        if values is None:
            continue
        low, high = quantile_band(values, INTERVALS[0])
        width = 0.5 * (high - low)
        axes.semilogy(distance[width > 0], width[width > 0], line, color=color, label=label)
        extremes += [float(width[inside].min()), float(width[inside].max())]
    if min(extremes) > 0:
        axes.set_ylim(0.2 * min(extremes), 3.0 * max(extremes))


def _samples(axes: Axes, count: xr.DataArray | None) -> None:
    """The number of pairs per bin as steps on a logarithmic axis."""
    axes.set_ylabel("pairs\nper bin")
    if count is None:
        axes.set_yticks([])
        axes.text(
            0.5, 0.4, "sampled distances not recorded", transform=axes.transAxes, ha="center", color=GREY
        )
        return
    centers, counts = count["distance"].values, count.values
    half = 0.5 * (centers[1] - centers[0])
    # empty bins stand on the baseline, half a pair, so that they stay empty on a logarithmic axis
    steps = np.where(counts > 0, counts, 0.5)
    axes.stairs(
        steps, np.append(centers - half, centers[-1] + half), baseline=0.5, fill=True, color=GREY
    ).set_label("sampled pairs")
    axes.set_yscale("log")
    axes.set_ylim(0.5, max(2.0, 4.0 * float(counts.max())))


def _limit_curves(
    row: NumpyArray, curves: xr.Dataset, pair: str, count: xr.DataArray | None, kT: float
) -> None:
    """Axes that show the sampled region and leave the steep core out, saying so."""
    distance = curves["distance"].values
    sampled = _sampled_from(distance, count)
    inside = distance >= sampled
    energies = _present(curves, "pair_energy", pair)
    low, high = (edge[inside] for edge in quantile_band(energies, INTERVALS[0]))
    _limit(row[0], low, high, ENERGY_RANGE[0] * kT, ENERGY_RANGE[1] * kT)
    outside_core = np.median(energies, axis=0)[inside] < CORE * kT
    low, high = (edge[inside] for edge in quantile_band(_present(curves, "pair_force", pair), INTERVALS[0]))
    core = outside_core if outside_core.any() else np.ones_like(outside_core)
    _limit(row[1], low, high, float(low[core].min()), float(high[core].max()))
    span = float(distance[-1]) - sampled
    row[0].set_xlim(max(float(distance[0]), sampled - BEFORE_DATA * span), float(distance[-1]))


def _limit(axes: Axes, low: NumpyArray, high: NumpyArray, lowest: float, highest: float) -> None:
    bottom, top = max(float(low.min()), lowest), min(float(high.max()), highest)
    margin = 0.06 * max(top - bottom, 1e-12)
    cut = [
        f"{word} {value:.3g}"
        for word, value, is_cut in (
            ("above", top, float(high.max()) > top),
            ("below", bottom, float(low.min()) < bottom),
        )
        if is_cut
    ]
    axes.set_ylim(bottom - margin, top + margin)
    if cut:
        axes.text(
            0.995,
            0.02,
            f"not shown: values {' and '.join(cut)}",
            transform=axes.transAxes,
            ha="right",
            va="bottom",
            color=GREY,
            fontsize=7.5,
        )


def _shade_unsampled(grid: NumpyArray, curves: xr.Dataset, count: xr.DataArray | None) -> None:
    distance = curves["distance"].values
    sampled = _sampled_from(distance, count)
    if count is None or sampled <= distance[0]:
        return
    for axes in grid.flat:
        shade = axes.axvspan(float(distance[0]), sampled, color=SHADE, linewidth=0, zorder=-1)
        if axes in grid[0]:
            shade.set_label(f"no pair below {sampled:.3f} nm")


def _sampled_from(distance: NumpyArray, count: xr.DataArray | None) -> float:
    """First sampled distance, within the grid."""
    found = float(distance[0]) if count is None else first_sampled(count)
    return min(max(found, float(distance[0])), float(distance[-2]))
