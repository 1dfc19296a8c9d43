"""From the measured moments of running draws to the frames of a trajectory.

Of the moments of a draw, counted from one after the equilibration, every n-th is a frame. So the frames of a
few moments are known from how many came before them: moments that are told again, after a neighbour list
failed or from a checkpoint, are the same frames again.
"""

import warnings
from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, BayescgWarning, require
from bayescg._typing import NumpyArray
from bayescg.dynamics.trajectory_files import Trajectory
from bayescg.dynamics.trajectory_writer import AbstractTrajectoryWriter, TrajectoryError
from bayescg.numerics.host_loop import HostLoop

TOGETHER_BYTES = 1 << 28
"""Of the frames of all draws that are held in memory together: records are made shorter for it."""


class TrajectoryRecorder:
    """Hands moments to a writer.

    Args:
        writer: open.
        every: of the moments, every how manyth is a frame.
        resumable: whether there is a checkpoint. A full disk then stops the run, which can go on later;
            without one the run goes on, and only the trajectory ends.

    Attributes:
        failure: why the trajectory ended early; empty where it did not.
    """

    def __init__(self, writer: AbstractTrajectoryWriter, *, every: int, resumable: bool) -> None:
        self.writer, self.every, self.resumable, self.failure = writer, every, resumable, ""

    def take(self, before: int, moments: Mapping[int, Mapping[str, NumpyArray]]) -> None:
        """A few moments of some draws.

        Args:
            before: how many moments of these draws came before them, the equilibration left out.
            moments: draw -> "position" (frame, bead, dim) in nm, wrapped into the box, and as far as they are
                wanted "velocity" (nm/ps) and "box" (frame, dim). A draw that exploded has fewer, or none.

        Raises:
            TrajectoryError: the disk is full, and there is a checkpoint to go on from later.
        """
        if self.failure:
            return
        try:
            for draw, arrays in moments.items():
                counted = before + 1 + np.arange(len(arrays["position"]))
                chosen = np.flatnonzero(counted % self.every == 0)
                if chosen.size:
                    frames = {name: values[chosen] for name, values in arrays.items()}
                    self.writer.write(draw, before // self.every, frames)
            self.writer.commit()
        except TrajectoryError as error:
            if self.resumable:
                raise TrajectoryError(
                    f"{error} Then call again with the same checkpoint to go on from there."
                ) from error
            self.failure = str(error)
            warnings.warn(
                f"{error} The simulation goes on without a trajectory, because it has no checkpoint to go on "
                "from later.",
                BayescgWarning,
                stacklevel=2,
            )

    def check(self, moments: int, draws: Iterable[int]) -> None:
        """Raise where the files lack frames of a run that has ended.

        Args:
            moments: of every draw.
            draws: that ended well.

        Raises:
            BayescgError: the checkpoint held the ended run, and the files are not those that it wrote.
        """
        wanted = moments // self.every
        for draw in draws:
            held = self.writer.held(int(draw))
            require(
                held >= wanted or bool(self.failure),
                f"trajectory {self.writer.layout.path} holds {held} frames of draw {draw}, but the run that "
                f"its checkpoint holds had {wanted}: they are lost. Give the path it was written to, or "
                "start again with another checkpoint.",
            )


def open_recorder(
    trajectory: Trajectory | None,
    beads: xr.Dataset | None,
    loop: HostLoop,
    *,
    draws: int,
    interval: float,
    together: int,
    temperature: float,
) -> TrajectoryRecorder | None:
    """The files of a trajectory, opened; None where none is wanted.

    Args:
        trajectory: what is wanted.
        beads: what the files say of the beads.
        loop: whose fingerprint the files carry, and whose checkpoint they go on with.
        draws: number of runs.
        interval: between moments, ps.
        together: moments of one draw that come together.
        temperature: of the run, K.

    Raises:
        BayescgError: no beads, or files that cannot be used.

    Example:
        >>> settings = {"draws": 1, "interval": 0.1, "together": 10, "temperature": 300.0}
        >>> open_recorder(None, None, HostLoop(progress=False), **settings) is None
        True
    """
    if trajectory is None:
        return None
    if beads is None:
        raise BayescgError(
            "beads must be given where a trajectory is written, got None. Pass the mapped beads."
        )
    resumable = loop.checkpoint is not None
    writer = trajectory.open(
        beads.assign_attrs(temperature=temperature),
        draws=draws,
        interval=interval,
        together=-(-together // trajectory.every),
        fingerprint=loop.fingerprint,
        resume=resumable,
    )
    return TrajectoryRecorder(writer, every=trajectory.every, resumable=resumable)
