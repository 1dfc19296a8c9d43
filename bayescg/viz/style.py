"""The one look of every figure: size, type, colours that colour-blind eyes can tell apart, and bands.

Nothing global is changed: figures are made of `matplotlib.figure.Figure` inside `styled()`, which
gives matplotlib's settings back. A band is a pair of nested intervals, 50 % dark and 95 % light, and
its legend entry says of what.
"""

import contextlib
import re
from collections.abc import Iterator

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayescg._typing import NumpyArray

WIDTH = 7.6
"""Inches: the width of a page's text."""

BLUE, ORANGE, GREEN, PURPLE, BLACK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#1a1a1a", "#767676"
"""From the palette of M. Okabe and K. Ito, made for colour-blind eyes; with black and grey."""

SHADE = "#e9e9e6"
"""Where there are no data."""

INTERVALS = (0.95, 0.50)
"""Central probability of the bands, the wider first."""

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

SETTINGS = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 160,
    "figure.dpi": 110,
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's settings of this package, for the time of a `with`.

    Example:
        >>> import matplotlib
        >>> before = dict(matplotlib.rcParams)
        >>> with styled():
        ...     inside = matplotlib.rcParams["axes.spines.top"]
        >>> inside, dict(matplotlib.rcParams) == before
        (False, True)
    """
    with matplotlib.rc_context(SETTINGS):
        yield


def new_figure(height: float) -> Figure:
    """An empty figure as wide as a page's text.

    Args:
        height: inches.

    Example:
        >>> new_figure(2.0).get_size_inches().tolist()
        [7.6, 2.0]
    """
    return Figure(figsize=(WIDTH, height), layout="constrained")


def quantile_band(draws: NumpyArray, probability: float) -> tuple[NumpyArray, NumpyArray]:
    """The central interval over the leading axis.

    Args:
        draws: (draw, ...).
        probability: inside the interval.

    Example:
        >>> low, high = quantile_band(np.arange(101.0)[:, None], 0.5)
        >>> float(low[0]), float(high[0])
        (25.0, 75.0)
    """
    tail = (1.0 - probability) / 2.0
    low, high = np.quantile(draws, (tail, 1.0 - tail), axis=0)
    return low, high


def draw_band(axes: Axes, x: NumpyArray, draws: NumpyArray, *, color: str, of: str) -> None:
    """The median over draws inside its 50 % and 95 % intervals.

    Args:
        axes: to draw on.
        x: (point,).
        draws: (draw, point).
        color: of line and bands.
        of: what the intervals are of, for the legend.

    Example:
        >>> axes = new_figure(2.0).add_subplot()
        >>> draw_band(axes, np.arange(3.0), np.random.default_rng(0).normal(size=(50, 3)), color=BLUE, of="u")
        >>> [str(band.get_label()) for band in axes.collections]
        ['95 % of u', '50 % of u']
    """
    for probability, alpha in zip(INTERVALS, (0.25, 0.45), strict=True):
        low, high = quantile_band(draws, probability)
        axes.fill_between(
            x, low, high, color=color, alpha=alpha, linewidth=0, label=f"{probability * 100:.0f} % of {of}"
        )
    axes.plot(x, np.median(draws, axis=0), color=color, label=f"median of {of}")


def panel_title(axes: Axes, text: str) -> None:
    """A title at the left, in normal weight.

    Example:
        >>> axes = new_figure(1.0).add_subplot()
        >>> panel_title(axes, "water")
        >>> axes.get_title(loc="left")
        'water'
    """
    axes.set_title(text, loc="left")


def printed_unit(unit: str) -> str:
    """A unit as a label prints it, with raised exponents.

    Example:
        >>> printed_unit("nm^2/ps^2")
        'nm²/ps²'
    """
    return re.sub(r"\^(-?\d+)(?![\d.])", lambda found: found[1].translate(RAISED), unit)
