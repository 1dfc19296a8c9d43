"""Curves of the memory over posterior draws: what figures and reports show of a kernel.

For every draw the kernel K(t) on a grid of lags, its spectrum Re ∫_0^∞ K(t) e^(-iwt) dt on a grid of
frequencies, the friction ∫_0^∞ K dt and K(0). Friction without memory, a delta function in K, is in the
spectrum and the friction but not in K(t). The curves are kept in the result, so that a figure needs the
file only, not the model or the data.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import positive, require
from bayescg._typing import Array, NumpyArray
from bayescg.inference.thinning import evenly, thinned
from bayescg.interfaces import AbstractMemory
from bayescg.memory.timescales import known_timescales, timescale_warnings
from bayescg.model import Model
from bayescg.numerics.batches import map_in_batches

POINTS = 160
"""Of either grid, spaced evenly in the logarithm."""

DRAWS_KEPT = 1000
"""Of all chains together, spread evenly: enough for 95% bands; all parameters are kept anyway."""

LONGEST_TIMES = 5.0
"""Lags reach this many of the slowest decay times, where e^-5 of that mode is left."""

QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
"""Median and the ends of the central 50% and 95%."""

AT_ONCE = 64
"""Draws evaluated together."""


ModelOf = Callable[[Mapping[str, Any]], Model]


class Modelled(Protocol):
    """What is needed of a problem."""

    def model(self, values: Mapping[str, Any]) -> Model:
        """The model of one draw."""
        ...


def memory_curves(problem: Modelled, values: Mapping[str, Any], *, interval: float) -> xr.Dataset | None:
    """Kernel, spectrum and friction of posterior draws.

    Args:
        problem: whose `model` is evaluated.
        values: path -> values, (chain, draw, ...).
        interval: time between frames of the data, ps; the grids resolve half of it.

    Returns:
        `kernel` (chain, draw, lag) and `initial_value`, amu/ps²; `spectrum` (chain, draw, frequency) and
        `friction`, amu/ps; each with its `_band` over `quantile`; coordinates `lag` (ps) and `frequency`
        (1/ps). Lags go from half an interval to five of the slowest decay times, frequencies to the Nyquist
        frequency. At most 1000 draws in all. None where the model has no memory.

    Raises:
        BayescgError: there are no values, or the interval is not positive.

    Example:
        >>> import bayescg as bcg
        >>> from types import SimpleNamespace
        >>> prony = bcg.memory.Prony(modes=1, times=[0.5], frictions=[20.0])
        >>> problem = SimpleNamespace(model=lambda values: bcg.Model(None, prony))
        >>> curves = memory_curves(problem, {"unused": np.zeros((2, 3))}, interval=0.01)
        >>> dict(curves.sizes)["lag"], round(float(curves["friction"][0, 0]), 9), float(curves["lag"][-1])
        (160, 20.0, 2.5)
    """
    positive("interval", interval, unit="ps", remedy="Check the frame times.")
    require(bool(values), "values must hold the draws of at least one parameter, got none.")
    chains, draws = np.shape(next(iter(values.values())))[:2]
    per_chain = max(min(draws, DRAWS_KEPT // chains), 1)
    kept = evenly(draws, per_chain)
    flat = {path: jnp.asarray(array) for path, array in thinned(values, kept).items()}
    if problem.model({path: a[0] for path, a in flat.items()}).memory is None:
        return None
    longest = max(LONGEST_TIMES * _slowest(problem, flat), 2 * interval)
    lags = jnp.geomspace(interval / 2, longest, POINTS)
    frequencies = jnp.geomspace(1 / (2 * jnp.pi * longest), 0.5 / interval, POINTS)
    curves = _evaluate(problem.model, flat, lags, frequencies)
    found = {name: np.asarray(array) for name, array in curves.items()}
    return _dataset(found, chains, kept, np.asarray(lags), np.asarray(frequencies))


def memory_warnings(problem: Modelled, values: Mapping[str, Any]) -> list[str]:
    """Sentences on modes of the median memory that the data cannot resolve.

    Args:
        problem: whose `model` is evaluated.
        values: path -> values, (chain, draw, ...).

    Example:
        >>> import bayescg as bcg, numpy as np
        >>> from types import SimpleNamespace
        >>> scales = bcg.interfaces.Timescales(0.01, 10.0, 50.0)
        >>> fast = bcg.memory.Prony(1, times=[0.001], frictions=[50.0]).prepare(scales)
        >>> problem = SimpleNamespace(model=lambda values: bcg.Model(None, fast))
        >>> len(memory_warnings(problem, {"unused": np.zeros((2, 3))}))
        1
    """
    median = {path: jnp.asarray(np.median(np.asarray(value), axis=(0, 1))) for path, value in values.items()}
    memory = problem.model(median).memory
    scales = None if memory is None else known_timescales(memory)
    return [] if memory is None or scales is None else timescale_warnings(memory, scales)


def frame_interval(beads: xr.Dataset) -> float:
    """The shortest time between successive frames of a trajectory, ps.

    Args:
        beads: with the coordinate `time`.

    Raises:
        BayescgError: no time, or no two frames that follow each other.

    Example:
        >>> frame_interval(xr.Dataset(coords={"time": ("frame", [0.0, 0.5, 1.0, 0.0, 0.5])}))
        0.5
    """
    require(
        "time" in beads.coords,
        "data of a memory must have the coordinate time, in ps, got none. Set it, or read it with the data.",
    )
    steps = np.diff(np.asarray(beads["time"].values, dtype=float))
    require(
        bool(np.any(steps > 0)),
        f"time must rise between frames, got {beads.sizes['frame']} frame(s) that do not. Check the times.",
    )
    return float(steps[steps > 0].min())


def _memory(model_of: ModelOf, values: Mapping[str, Any]) -> AbstractMemory:
    memory = model_of(values).memory
    assert memory is not None  # memory_curves has looked
    return memory


def _slowest(problem: Modelled, flat: Mapping[str, Any]) -> float:
    """Median over draws of the slowest decay time, ps; zero without modes."""
    if _memory(problem.model, {path: a[0] for path, a in flat.items()}).drift().coupling.size == 0:
        return 0.0  # a map over draws in batches refuses arrays without elements
    rates = np.linalg.eigvals(np.asarray(_matrices(problem.model, dict(flat)))).real.min(axis=-1)
    return float(np.median(1 / np.maximum(rates, np.finfo(float).tiny)))


@eqx.filter_jit
def _matrices(model_of: ModelOf, flat: dict[str, Array]) -> Array:
    """Drift matrices of all draws, (draw, mode, mode)."""
    return map_in_batches(lambda values: _memory(model_of, values).drift().matrix, flat, AT_ONCE)


@eqx.filter_jit
def _evaluate(model_of: ModelOf, flat: dict[str, Array], lags: Array, frequencies: Array) -> dict[str, Array]:
    """Everything of all draws, leading axis draw."""

    def of_draw(values: dict[str, Array]) -> dict[str, Array]:
        memory = _memory(model_of, values)
        return {
            "kernel": memory.kernel(lags),
            "spectrum": memory.spectrum(frequencies),
            "friction": memory.integral(),
            "initial_value": memory.initial_value(),
        }

    return map_in_batches(of_draw, flat, AT_ONCE)


def _dataset(
    found: Mapping[str, NumpyArray], chains: int, kept: NumpyArray, lags: NumpyArray, frequencies: NumpyArray
) -> xr.Dataset:
    axes = {
        "kernel": (("lag",), "amu/ps^2"),
        "spectrum": (("frequency",), "amu/ps"),
        "friction": ((), "amu/ps"),
        "initial_value": ((), "amu/ps^2"),
    }
    variables = {}
    for name, (dims, unit) in axes.items():
        array, attributes = found[name], {"units": unit}
        shaped = array.reshape(chains, kept.size, *array.shape[1:])
        variables[name] = (("chain", "draw", *dims), shaped, attributes)
        variables[f"{name}_band"] = (("quantile", *dims), np.quantile(array, QUANTILES, axis=0), attributes)
    return xr.Dataset(
        variables,
        coords={
            "chain": np.arange(chains),
            "draw": kept,
            "lag": ("lag", lags, {"units": "ps"}),
            "frequency": ("frequency", frequencies, {"units": "1/ps"}),
            "quantile": list(QUANTILES),
        },
    )
