"""Energy and entropy of a pair, and the potential they make at every temperature.

For every pair of bead types, left a(r) and -T b(r) at the middle temperature with their sum, right u(r; T) at
several temperatures, below it how far u at the highest differs from u at the lowest. Energy and entropy are
far less sharp than their sum: their bands show it.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayescg._checks import BayescgError, positive, require
from bayescg._typing import NumpyArray
from bayescg.units import thermal_energy
from bayescg.viz.stored import distance_counts, draws_of, first_sampled
from bayescg.viz.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    draw_band,
    new_figure,
    panel_title,
    styled,
)

GROUP = "thermodynamic_curves"

WELL = 4.0
"""The energy axes reach this many k_B T: the steep core would flatten the rest."""

ROW_HEIGHT = 4.2
"""Inches per pair of types."""


def plot_thermodynamic(posterior: xr.DataTree, *, temperatures: Sequence[float]) -> Figure:
    """Energy, entropy and potential of every pair of bead types, with 50 % and 95 % bands.

    Args:
        posterior: of a model whose potential is a `Thermodynamic` of pair potentials.
        temperatures: at which u is drawn, K; two to four.

    Returns:
        A matplotlib Figure; `figure.savefig("thermodynamic.png")` writes it.

    Raises:
        BayescgError: the result has no such curves, or temperatures that are not positive or not 2 to 4.

    Example:
        >>> rng, r = np.random.default_rng(0), np.linspace(0.2, 0.9, 50)
        >>> dims = ("chain", "curve_draw", "type_pair", "distance")
        >>> parts = {name: (dims, rng.normal(size=(4, 9, 1, 50))) for name in ("energy", "entropy")}
        >>> curves = xr.Dataset(parts, coords={"type_pair": ["A-A"], "distance": r})
        >>> tree = xr.DataTree.from_dict({"thermodynamic_curves": curves})
        >>> figure = plot_thermodynamic(tree, temperatures=(280.0, 340.0))
        >>> figure.subfigs[0].axes[0].get_ylabel()
        'pair energy (kJ/mol)'
    """
    if GROUP not in posterior.children:
        groups = ", ".join(map(str, posterior.children)) or "none"
        raise BayescgError(
            f"posterior must hold the group {GROUP}, got {groups}. bayescg.sample writes it where the "
            "potential is a Thermodynamic of pair potentials."
        )
    kelvins = sorted(positive("temperatures", kelvin, unit="K") for kelvin in temperatures)
    require(2 <= len(kelvins) <= 4, f"temperatures must be two to four, got {len(kelvins)}. Choose the ends.")
    curves, counts = posterior[GROUP].to_dataset(), distance_counts(posterior)
    pairs = [str(name) for name in curves["type_pair"].values]
    with styled():
        figure = new_figure(ROW_HEIGHT * len(pairs))
        parts = np.atleast_1d(np.asarray(figure.subfigures(len(pairs), 1), dtype=object))
        for name, part in zip(pairs, parts, strict=True):
            first = None if counts is None else first_sampled(counts.sel(type_pair=name))
            _row(part, curves, name, kelvins, first)
    return figure


def _row(part: object, curves: xr.Dataset, pair: str, kelvins: list[float], first: float | None) -> None:
    """The panels of one pair of types, from the first sampled distance on."""
    panels = part.subplot_mosaic([["parts", "whole"], ["parts", "change"]], height_ratios=(3, 2))  # type: ignore[attr-defined]
    r = curves["distance"].values
    seen = r >= (r[0] if first is None else first)
    r = r[seen]
    energy, entropy = (_draws(curves, name, pair)[:, seen] for name in ("energy", "entropy"))
    middle = float(np.mean(kelvins))
    reach = WELL * thermal_energy(middle)

    def at(kelvin: float) -> NumpyArray:
        return energy - kelvin * entropy

    shown = (("energy a", energy, ORANGE), (f"−T b at {middle:g} K", -middle * entropy, GREEN))
    for name, draws, color in (*shown, (f"u = a − T b at {middle:g} K", at(middle), BLUE)):
        draw_band(panels["parts"], r, draws, color=color, of=name)
    for kelvin, color in zip(kelvins, (BLUE, GREEN, ORANGE, PURPLE), strict=False):
        draw_band(panels["whole"], r, at(kelvin), color=color, of=f"u at {kelvin:g} K")
    label = f"u({kelvins[-1]:g} K) − u({kelvins[0]:g} K)"
    draw_band(panels["change"], r, at(kelvins[-1]) - at(kelvins[0]), color=BLACK, of=label)
    _limits(panels, r, at(middle), reach)
    panel_title(panels["parts"], f"{pair}: energy and entropy")
    panel_title(panels["whole"], f"{pair}: potential")
    for axes in panels.values():
        axes.axhline(0.0, color=GREY, linewidth=0.7)
        _legend(axes)
    for name in ("parts", "change"):
        panels[name].set_xlabel("distance r (nm)")
    panels["parts"].set_ylabel("pair energy (kJ/mol)")
    panels["whole"].set_ylabel("u (kJ/mol)")
    panels["change"].set_ylabel("change of u\n(kJ/mol)")
    panels["whole"].tick_params(labelbottom=False)


def _limits(panels: dict[str, Axes], r: NumpyArray, u: NumpyArray, reach: float) -> None:
    """Distances from where the median energy enters the axis; energies up to a few k_B T."""
    median = np.median(u, axis=0)
    begin = float(r[np.flatnonzero(median < reach)[0]]) if (median < reach).any() else float(r[0])
    for axes in panels.values():
        axes.set_xlim(begin, float(r[-1]))
    panels["whole"].set_ylim(1.3 * min(float(median.min()), -0.1), reach)
    inside = r >= begin
    for name in ("parts", "change"):
        lines = [np.asarray(line.get_ydata(), dtype=float)[inside] for line in panels[name].get_lines()]
        low, high = min(line.min() for line in lines), max(line.max() for line in lines)
        panels[name].set_ylim(low - 0.15 * (high - low), high + 0.15 * (high - low))


def _legend(axes: Axes) -> None:
    """One entry a curve: the bands are named in the caption of their lines."""
    lines = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    names = [str(line.get_label()).removeprefix("median of ") + ", 50 and 95 %" for line in lines]
    axes.legend(lines, names, loc="best", fontsize=7.0)


def _draws(curves: xr.Dataset, quantity: str, pair: str) -> NumpyArray:
    found = draws_of(curves, quantity, pair)
    assert found is not None  # the group holds both
    return found
