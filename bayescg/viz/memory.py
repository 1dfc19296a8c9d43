"""The memory with its uncertainty: kernel, spectrum, friction.

- K(t): median over draws with its 50 % and 95 % bands. Time is logarithmic where the modes span
  decades; below half a frame interval the data see nothing and nothing is drawn.
- its spectrum up to the Nyquist frequency of the frames, which is never negative and at low frequencies
  becomes the friction;
- the friction at long times, the integral of K, as a histogram of draws with its 95 % interval.

Friction without memory is a delta function in K: it is in spectrum and friction, and not in K(t).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray
from bayescg.interfaces import AbstractMemory
from bayescg.memory.volterra import VolterraKernel
from bayescg.viz.style import (
    BLACK,
    BLUE,
    GREY,
    INTERVALS,
    ORANGE,
    draw_band,
    new_figure,
    panel_title,
    quantile_band,
    styled,
)

HEIGHT = 5.6
"""Inches."""

DECADES = 1.5
"""The time axis is logarithmic where the lags span more."""

BINS = 40
"""Of the histogram."""

MARGIN = 0.15
"""Of the height of the bands, above and below: a baseline without error bars may leave them."""

REACH = 1.5
"""The histogram's axis shows truth and baseline if they lie within so many of its widths beside it."""


class _Line(NamedTuple):
    """A known or estimated memory beside the posterior; None where nothing is known."""

    label: str
    color: str
    style: str
    kernel: tuple[NumpyArray, NumpyArray]
    spectrum: tuple[NumpyArray, NumpyArray] | None
    friction: float | None


def plot_memory(posterior: xr.DataTree, truth: Any = None, baseline: Any = None) -> Figure:
    """Kernel, spectrum and friction of the posterior draws.

    Args:
        posterior: what `bayescg.sample` returned for a model with memory, or was read back from its file.
        truth: the memory behind the data where it is known: a memory of `bayescg.memory` with values, or a
            Dataset with `kernel` over `lag` (and `spectrum` over `frequency`, and `friction`).
        baseline: another estimate, drawn dashed: in the same forms, or from `bayescg.memory`'s Volterra
            inversion.

    Returns:
        A matplotlib Figure; `figure.savefig("memory.png")` writes it.

    Raises:
        BayescgError: the result holds no curves of a memory, or truth or baseline is of another kind.

    Example:
        >>> lag, frequency = np.geomspace(0.01, 5, 30), np.geomspace(0.1, 50, 30)
        >>> scale = np.exp(0.1 * np.random.default_rng(0).normal(size=(2, 50, 1)))
        >>> curves = xr.Dataset(
        ...     {
        ...         "kernel": (("chain", "draw", "lag"), scale * np.exp(-lag)),
        ...         "spectrum": (("chain", "draw", "frequency"), scale / (1 + (2 * np.pi * frequency) ** 2)),
        ...         "friction": (("chain", "draw"), scale[..., 0]),
        ...     },
        ...     {"lag": lag, "frequency": frequency},
        ... )
        >>> figure = plot_memory(xr.DataTree.from_dict({"memory_curves": curves}))
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['kernel K(t) (amu/ps²)', 'spectrum (amu/ps)', 'draws per amu/ps']
    """
    curves = memory_curves_of(posterior)
    lag, frequency = curves["lag"].values, curves["frequency"].values
    lines = [
        _line(given, label, color, style, lag, frequency)
        for given, label, color, style in (
            (truth, "truth", BLACK, "-"),
            (baseline, "baseline", ORANGE, "--"),
        )
        if given is not None
    ]
    with styled():
        figure = new_figure(HEIGHT)
        panels = figure.subplot_mosaic([["kernel", "kernel"], ["spectrum", "friction"]], height_ratios=(5, 4))
        _kernel(panels["kernel"], lag, _draws(curves, "kernel", "lag"), lines)
        _spectrum(panels["spectrum"], frequency, _draws(curves, "spectrum", "frequency"), lines)
        _friction(panels["friction"], curves["friction"].values.ravel(), lines)
    return figure


def memory_curves_of(posterior: xr.DataTree) -> xr.Dataset:
    """The curves of the memory in a result.

    Raises:
        BayescgError: there are none.

    Example:
        >>> memory_curves_of(xr.DataTree())
        Traceback (most recent call last):
        ...
        bayescg._checks.BayescgError: posterior must hold the group memory_curves, got none. ...
    """
    if "memory_curves" not in posterior.children:
        groups = ", ".join(map(str, posterior.children)) or "none"
        raise BayescgError(
            f"posterior must hold the group memory_curves, got {groups}. bayescg.sample writes it for models "
            "with a memory; bayescg.inference.memory_curves(problem, draws, interval=) makes it."
        )
    return posterior["memory_curves"].to_dataset()


def _draws(curves: xr.Dataset, name: str, axis: str) -> NumpyArray:
    """All draws, (draw, point)."""
    values = curves[name].transpose("chain", "draw", axis).values
    return values.reshape(-1, values.shape[-1])


def _line(given: Any, label: str, color: str, style: str, lag: NumpyArray, frequency: NumpyArray) -> _Line:
    """Truth or baseline: a memory on the grids of the curves, an estimate on its own."""
    look = (label, color, style)
    if isinstance(given, AbstractMemory):
        kernel, spectrum = given.kernel(jnp.asarray(lag)), given.spectrum(jnp.asarray(frequency))
        return _Line(
            *look, (lag, np.asarray(kernel)), (frequency, np.asarray(spectrum)), float(given.integral())
        )
    if isinstance(given, VolterraKernel):
        return _Line(*look, (given.times, given.kernel), None, float(given.integral[-1]))
    if isinstance(given, xr.Dataset) and "kernel" in given and "lag" in given.coords:
        spectrum = None
        if "spectrum" in given and "frequency" in given.coords:
            spectrum = (given["frequency"].values, given["spectrum"].values)
        friction = float(given["friction"]) if "friction" in given else None
        return _Line(*look, (given["lag"].values, given["kernel"].values), spectrum, friction)
    raise BayescgError(
        f"{label} must be a memory with values, a Volterra kernel or a Dataset with kernel over lag, got "
        f"{type(given).__name__}. Give for example bayescg.memory.Prony(modes, times, frictions)."
    )


def _kernel(axes: Axes, lag: NumpyArray, draws: NumpyArray, lines: list[_Line]) -> None:
    axes.axhline(0.0, color=GREY, linewidth=0.6, zorder=0)
    draw_band(axes, lag, draws, color=BLUE, of="posterior draws")
    for line in lines:
        t, kernel = line.kernel
        axes.plot(t, kernel, line.style, color=line.color, label=line.label)
    logarithmic = np.log10(lag[-1] / lag[0]) > DECADES
    axes.set_xscale("log" if logarithmic else "linear")
    axes.set_xlim(float(lag[0]), float(lag[-1]))
    axes.set_xlabel(f"time t (ps){', logarithmic' if logarithmic else ''}")
    axes.set_ylabel("kernel K(t) (amu/ps²)")
    low, high = quantile_band(draws, INTERVALS[0])
    bottom, top = min(float(low.min()), 0.0), float(high.max())
    margin = MARGIN * (top - bottom or 1.0)
    axes.set_ylim(bottom - margin, top + margin)
    panel_title(axes, "memory kernel")
    axes.legend(loc="upper right")


def _spectrum(axes: Axes, frequency: NumpyArray, draws: NumpyArray, lines: list[_Line]) -> None:
    draw_band(axes, frequency, draws, color=BLUE, of="posterior draws")
    for line in lines:
        if line.spectrum is not None:
            axes.plot(*line.spectrum, line.style, color=line.color, label=line.label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(float(frequency[0]), float(frequency[-1]))
    axes.set_xlabel("frequency (1/ps), up to Nyquist's")
    axes.set_ylabel("spectrum (amu/ps)")
    panel_title(axes, "spectrum of the kernel")


def _friction(axes: Axes, draws: NumpyArray, lines: list[_Line]) -> None:
    """Histogram with the central 95 % shaded and the median marked."""
    low, high = (float(edge) for edge in quantile_band(draws, INTERVALS[0]))
    axes.hist(draws, bins=BINS, density=True, color=BLUE, alpha=0.45, linewidth=0)
    shade = axes.axvspan(low, high, color=BLUE, alpha=0.12, linewidth=0, zorder=0, label="95 % of draws")
    median = axes.axvline(float(np.median(draws)), color=BLUE, label="median")
    begin, end = float(draws.min()), float(draws.max())
    width = max(end - begin, 1e-9 * abs(end))
    far = []
    for line in lines:
        if line.friction is None:
            continue
        if begin - REACH * width <= line.friction <= end + REACH * width:
            axes.axvline(line.friction, linestyle=line.style, color=line.color, label=line.label)
        else:
            far.append(f"{line.label}: {line.friction:.3g}")
    if far:
        axes.text(0.98, 0.6, "not shown, " + ", ".join(far), transform=axes.transAxes, ha="right", color=GREY)
    axes.set_xlabel("friction, integral of K (amu/ps)")
    axes.set_ylabel("draws per amu/ps")
    axes.set_ylim(top=1.25 * axes.get_ylim()[1])
    panel_title(axes, f"friction {np.median(draws):.3g} ({low:.3g} to {high:.3g}) amu/ps")
    axes.legend(handles=[shade, median], loc="upper right", fontsize=7.0)
