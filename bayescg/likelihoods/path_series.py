"""Trajectories as stretches without a gap: what a path likelihood reads, checked.

A stretch is a run of frames at equal intervals. A new one begins where the variable `trajectory` changes
and where time jumps by more than one interval. Displacements are taken through periodic boundaries, so a
bead that crosses the box and a dihedral that turns over go on smoothly.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray
from bayescg.data import state_points, topology, validate
from bayescg.interfaces import Topology
from bayescg.likelihoods.reading import period_of

IRREGULAR = 1e-3
"""Relative deviation of a time step that rounding of times in files may cause."""

FEWEST_FRAMES = 4
"""Of a stretch: with fewer, even one relaxation cannot be told from noise."""

FRAMES_PER_STATE = 10
"""Frames in all, per hidden variable: fewer say nothing about a memory."""


class Stretch(NamedTuple):
    """Consecutive frames at equal intervals.

    Attributes:
        positions: (frame, bead, dim), as recorded.
        velocities: (frame, bead, dim), nm/ps; None where positions are observed.
        boxes: (frame, dim), nm; None for an open system.
        period: of a variable that is periodic by itself; None.
        interval: ps.
        temperature: K.
        topology: of the beads.
    """

    positions: NumpyArray
    velocities: NumpyArray | None
    boxes: NumpyArray | None
    period: float | None
    interval: float
    temperature: float
    topology: Topology

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.positions.shape[0]

    def displacements(self) -> NumpyArray:
        """Steps from frame to frame, (frame - 1, bead, dim), the shortest image of each."""
        steps = np.diff(self.positions, axis=0)
        if self.boxes is not None:
            edges = self.boxes[1:, None]
            return steps - edges * np.round(steps / edges)
        if self.period is not None:
            return steps - self.period * np.round(steps / self.period)
        return steps


def stretches(data: Any, observed: str) -> list[Stretch]:
    """Every stretch of the data.

    Args:
        data: beads: a Dataset, several, or a DataTree of state points.
        observed: "positions" or "velocities".

    Raises:
        BayescgError: quantities are missing, times are irregular or do not increase, or a stretch is short.

    Example:
        >>> import bayescg as bcg
        >>> [part.frames for part in stretches(bcg.data.water(frames=151), "positions")]
        [151]
    """
    needs = ("position", "time", "temperature") + (("velocity",) if observed == "velocities" else ())
    found = []
    for beads in state_points(data):
        found += _stretches_of(validate(beads, needs=needs), observed)
    names = found[0].topology.type_names
    for stretch in found[1:]:
        require(
            stretch.topology.type_names == names,
            f"all data must have the same bead types in the same order, got {names} and "
            f"{stretch.topology.type_names}. Map them alike.",
        )
    return found


def check_enough(parts: list[Stretch], states: int) -> None:
    """Raise where the frames are fewer than a memory of so many hidden variables needs.

    Args:
        parts: all stretches.
        states: hidden variables of one series.

    Raises:
        BayescgError: the frames are too few.

    Example:
        >>> import bayescg as bcg
        >>> check_enough(stretches(bcg.data.water(frames=151), "positions"), 3)
    """
    frames = sum(part.frames for part in parts)
    require(
        frames >= FRAMES_PER_STATE * states,
        f"the number of frames must be at least {FRAMES_PER_STATE} per hidden variable, got {frames} frames "
        f"for {states} hidden variables. Take fewer modes, or a longer trajectory.",
    )


def _stretches_of(beads: xr.Dataset, observed: str) -> list[Stretch]:
    times = beads["time"].to_numpy().astype(np.float64)
    runs = beads["trajectory"].to_numpy()
    interval, cuts = _cuts(times, runs)
    found = []
    for begin, end in itertools.pairwise(cuts):
        part = beads.isel(frame=slice(begin, end)).compute()
        found.append(
            Stretch(
                part["position"].values.astype(np.float64),
                part["velocity"].values.astype(np.float64) if observed == "velocities" else None,
                part["box"].values.astype(np.float64) if "box" in part else None,
                period_of(part),
                interval,
                float(part.attrs["temperature"]),
                topology(part),
            )
        )
    return found


def _cuts(times: NumpyArray, runs: NumpyArray) -> tuple[float, NumpyArray]:
    """The interval, and the frames at which stretches begin, with the end."""
    steps, same = np.diff(times), runs[1:] == runs[:-1]
    require(
        bool(np.any(same)),
        f"data must hold consecutive frames, got {times.size} frames of as many trajectories. "
        "Check the variable trajectory.",
    )
    interval = float(np.median(steps[same]))
    backwards = np.flatnonzero(same & (steps <= 0))
    if interval <= 0 or backwards.size:
        first = int(backwards[0]) if backwards.size else 0
        raise BayescgError(
            f"time must increase from frame to frame of a trajectory, got {times[first]} ps and then "
            f"{times[first + 1]} ps at frame {first + 1}. Set the coordinate time in ps, and number separate "
            "runs in the variable trajectory."
        )
    gap = ~same | (steps > (1 + IRREGULAR) * interval + _rounding(times))
    short = np.flatnonzero(same & (steps < (1 - IRREGULAR) * interval - _rounding(times)))
    multiple = steps / interval
    uneven = np.flatnonzero(
        same & gap & (np.abs(multiple - np.round(multiple)) * interval > IRREGULAR * steps + _rounding(times))
    )
    bad = np.concatenate([short, uneven])
    require(
        bad.size <= np.sum(same) * IRREGULAR,
        f"frames must follow at equal intervals, got {bad.size} steps that are no multiple of the usual "
        f"{interval:.6g} ps{_first_of(bad, steps)}. Save frames at equal intervals, or select such.",
    )
    gap[bad] = True
    cuts = np.concatenate([[0], np.flatnonzero(gap) + 1, [times.size]])
    lengths = np.diff(cuts)
    shortest = int(np.argmin(lengths))
    require(
        bool(lengths[shortest] >= FEWEST_FRAMES),
        f"every stretch between gaps in time must hold at least {FEWEST_FRAMES} frames, got "
        f"{lengths[shortest]} frames from frame {cuts[shortest]} on. Leave these frames out, or save frames "
        "without gaps.",
    )
    return interval, cuts


def _rounding(times: NumpyArray) -> float:
    """Uncertainty of a difference of times kept in float32."""
    return 2 * float(np.spacing(np.float32(np.abs(times).max())))


def _first_of(bad: NumpyArray, steps: NumpyArray) -> str:
    return f", the first of {steps[bad[0]]:.6g} ps after frame {bad[0]}" if bad.size else ""
