"""Trajectories as moments one after another: stretches without gaps, positions unwrapped."""

import itertools
from typing import Any

import jax
import numpy as np
import xarray as xr

from bayescg._checks import require
from bayescg._typing import Array, NumpyArray
from bayescg.interfaces import AbstractTimeObservable, Snapshot, Topology

FRAMES_AT_ONCE = 256
"""Frames read and followed together."""

JITTER = 1e-3
"""Relative difference from the usual interval that counts as equal: times in files are rounded."""


DIGITS = 7
"""Significant digits of the interval: labels of data and simulations are then the same numbers."""


def totals_of(
    observable: AbstractTimeObservable, beads: xr.Dataset, topology: Topology, blocks: int
) -> tuple[AbstractTimeObservable, NumpyArray, NumpyArray]:
    """Sums and weights of contiguous blocks of a trajectory.

    Args:
        observable: not yet prepared.
        beads: valid, with times.
        topology: of the beads.
        blocks: wanted number of blocks.

    Returns:
        The observable as prepared, sums (block, ...) and weights (block, ...).

    Raises:
        BayescgError: no two frames follow each other.

    Example:
        >>> import bayescg as bcg, numpy as np
        >>> x = np.arange(8.0).reshape(8, 1, 1)
        >>> beads = bcg.data.validate(
        ...     xr.Dataset(
        ...         {"position": (("frame", "bead", "dim"), x, {"units": "nm"})},
        ...         {"time": ("frame", 0.5 * np.arange(8), {"units": "ps"}), "dim": ["q"]},
        ...     ),
        ...     needs=("time",),
        ... )
        >>> _, sums, weights = totals_of(
        ...     bcg.observables.MSD(maximum=0.5), beads, bcg.data.topology(beads), 2
        ... )
        >>> (sums.sum(0) / weights.sum(0)).tolist()
        [0.0, 1.0]
    """
    stretches, interval = contiguous(beads)
    ready = observable.prepare(topology, interval)
    beads_count, dims = beads.sizes["bead"], beads.sizes["dim"]
    length = max(1, -(-beads.sizes["frame"] // blocks))

    @jax.jit
    def follow(accumulator: Any, positions: Array, velocities: Array) -> Any:
        def one(carry: Any, moment: tuple[Array, Array]) -> tuple[Any, None]:
            return ready.update(carry, Snapshot(*moment)), None

        return jax.lax.scan(one, accumulator, (positions, velocities))[0]

    sums, weights, seen, offset = [], [], 0, None
    for stretch in stretches:
        accumulator, offset = ready.begin(beads_count, dims), None
        for first, last in _pieces(stretch, seen, length):
            positions, offset = unwrapped(beads, slice(first, last), offset)
            accumulator = follow(accumulator, positions, _velocities(beads, slice(first, last)))
            seen += last - first
            if seen % length == 0 or last == stretch.stop:
                totals = ready.totals(accumulator)
                sums.append(np.asarray(totals.sum))
                weights.append(np.asarray(totals.weight))
                accumulator = ready.restart(accumulator)
    return ready, np.stack(sums), np.stack(weights)


def contiguous(beads: xr.Dataset) -> tuple[list[slice], float]:
    """Stretches of frames that follow each other at one interval, and the interval in ps.

    Args:
        beads: valid, with times.

    Raises:
        BayescgError: no two frames follow each other.

    Example:
        >>> time = ("frame", [0.0, 1.0, 2.0, 5.0, 6.0], {"units": "ps"})
        >>> beads = xr.Dataset(coords={"time": time}).assign(trajectory=("frame", [0] * 5))
        >>> contiguous(beads)
        ([slice(0, 3, None), slice(3, 5, None)], 1.0)
    """
    time, run = beads["time"].to_numpy().astype(float), beads["trajectory"].to_numpy()
    steps, together = np.diff(time), np.diff(run) == 0
    forward = steps[together & (steps > 0)]
    require(
        forward.size > 0,
        "frames must follow each other in time for an observable over time, got no two that do. "
        "Give a trajectory, not a set of frames, with its times.",
    )
    usual = float(np.median(forward))
    breaks = np.flatnonzero(~together | (np.abs(steps - usual) > JITTER * usual)) + 1
    edges = [0, *breaks.tolist(), time.size]
    stretches = [slice(a, b) for a, b in itertools.pairwise(edges)]
    longest = max(stretches, key=lambda stretch: stretch.stop - stretch.start)
    # end to end, so that the rounding of single times averages out
    mean = (time[longest.stop - 1] - time[longest.start]) / (longest.stop - 1 - longest.start)
    return stretches, float(f"{mean:.{DIGITS}g}")


def unwrapped(
    beads: xr.Dataset, frames: slice, before: tuple[NumpyArray, NumpyArray] | None
) -> tuple[NumpyArray, tuple[NumpyArray, NumpyArray]]:
    """Positions that go on where a bead leaves the box, nm, and what the next piece needs to go on.

    A bead is taken to move by less than half the box, or half the period, between two frames.

    Args:
        beads: valid.
        frames: piece of a stretch without gaps.
        before: of the piece before; None at the beginning.

    Example:
        >>> x = np.array([0.1, 0.9, 0.8]).reshape(3, 1, 1)
        >>> box = ("frame", "dim"), np.ones((3, 1))
        >>> beads = xr.Dataset({"position": (("frame", "bead", "dim"), x), "box": box})
        >>> unwrapped(beads, slice(0, 3), None)[0].ravel().round(6).tolist()
        [0.1, -0.1, -0.2]
    """
    wrapped = beads["position"].isel(frame=frames).to_numpy().astype(float)
    last, reached = (wrapped[0], wrapped[0]) if before is None else before
    steps = np.diff(wrapped, axis=0, prepend=last[None])
    edges = _edges(beads, frames, steps.shape)
    crossed = np.round(np.divide(steps, edges, out=np.zeros_like(steps), where=edges > 0))
    path = reached + np.cumsum(steps - edges * crossed, axis=0)
    return path, (wrapped[-1], path[-1])


def _edges(beads: xr.Dataset, frames: slice, shape: tuple[int, ...]) -> NumpyArray:
    """Edge of the box or period of every component; zero where there is none."""
    if "box" in beads:
        return np.broadcast_to(beads["box"].isel(frame=frames).to_numpy().astype(float)[:, None], shape)
    if "period" in beads:
        return np.broadcast_to(np.nan_to_num(beads["period"].to_numpy().astype(float), posinf=0.0), shape)
    return np.zeros(shape)


def _velocities(beads: xr.Dataset, frames: slice) -> NumpyArray:
    """Zeros where there are none: the observable does not look at them."""
    if "velocity" in beads:
        return beads["velocity"].isel(frame=frames).to_numpy().astype(float)
    return np.zeros(beads["position"].isel(frame=frames).shape)


def _pieces(stretch: slice, seen: int, length: int) -> list[tuple[int, int]]:
    """The stretch cut where a block ends, and into pieces that fit in memory."""
    pieces, first = [], stretch.start
    while first < stretch.stop:
        to_block = length - (seen + first - stretch.start) % length
        last = min(first + to_block, first + FRAMES_AT_ONCE, stretch.stop)
        pieces.append((first, last))
        first = last
    return pieces
