"""What writes the measured moments of a simulation to files, frame after frame, while it runs.

A writer is told for every draw which frames it gets, counted from zero:

    writer.write(draw, first, {"position": ..., "velocity": ..., "box": ...})
    writer.commit()

Frames that a file already holds from `first` on are replaced: a run that goes on from a checkpoint tells the
same frames again, and they stand there once. After `commit` they are on the disk. Nothing is kept in memory.
"""

import abc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray


class TrajectoryError(BayescgError):
    """A trajectory could not be written: a full disk, say. What was written before is whole."""


class Layout(NamedTuple):
    """What a writer must know before the first frame.

    Attributes:
        path: as it was asked for.
        beads: what stands beside the positions: type, mass (amu), molecule, bonds; attributes.
        draws: number of runs.
        fields: "position", and "velocity" and "box" where they are written.
        interval: between written frames, ps.
        together: frames of one draw that come together.
        fingerprint: of the run; a file of another one is refused.
    """

    path: Path
    beads: xr.Dataset
    draws: int
    fields: tuple[str, ...]
    interval: float
    together: int
    fingerprint: str

    def times(self, first: int, count: int) -> NumpyArray:
        """Times of frames, ps from the end of the equilibration."""
        return np.array([float(f"{self.interval * k:.12g}") for k in range(first + 1, first + count + 1)])

    def shape(self, field: str) -> tuple[int, ...]:
        """Of one frame."""
        beads, dims = self.beads.sizes["bead"], self.beads.sizes["dim"]
        return (dims,) if field == "box" else (beads, dims)


class AbstractTrajectoryWriter(abc.ABC):
    """Writes frames of every draw."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @abc.abstractmethod
    def held(self, draw: int) -> int:
        """How many frames of a draw there are."""

    @abc.abstractmethod
    def replace(self, draw: int, first: int, arrays: Mapping[str, NumpyArray]) -> None:
        """Put frames in place of all from `first` on; raise `OSError` and leave what was before."""

    @abc.abstractmethod
    def finish(self) -> None:
        """Make what was put readable and safe; raise `OSError` where that fails."""

    def write(self, draw: int, first: int, arrays: Mapping[str, NumpyArray]) -> None:
        """Frames of one draw, in place of any from `first` on.

        Args:
            draw: counted from zero, replicas too.
            first: index of the first of these frames.
            arrays: field -> (frame, ...) numbers; nm, nm/ps.

        Raises:
            TrajectoryError: the disk is full, or the files are gone.
            BayescgError: frames before `first` are missing.
        """
        held = self.held(draw)
        require(
            first <= held,
            f"trajectory {self.layout.path} holds {held} frames of draw {draw}, but the checkpoint goes on "
            f"after {first}: those between are lost. Start again with another checkpoint and another "
            "trajectory, or go on without one.",
        )
        if len(arrays["position"]):
            with self._named():
                self.replace(draw, first, arrays)

    def commit(self) -> None:
        """Make the frames written so far readable and safe.

        Raises:
            TrajectoryError: the disk is full.
        """
        with self._named():
            self.finish()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            whole = min(self.held(draw) for draw in range(self.layout.draws))
            raise TrajectoryError(
                f"trajectory {self.layout.path} cannot be written: {error}. The first {whole} frames of "
                "every draw are whole and can be read. Free some space."
            ) from error


def check_unclaimed(found: str | None, layout: Layout, *, resume: bool) -> None:
    """Raise where the files there are not those of this very run, which goes on.

    Args:
        found: fingerprint of the files there; empty where they hold none, None where there are no files.
        layout: of the run.
        resume: whether there is a checkpoint to go on from.

    Raises:
        BayescgError: the files are another run's, or there is no checkpoint.

    Example:
        >>> check_unclaimed(None, Layout(Path("run.zarr"), xr.Dataset(), 1, (), 1.0, 1, "a"), resume=False)
    """
    if found is None:
        return
    require(
        resume,
        f"trajectory must name a file that does not exist, got {str(layout.path)!r}, which does. Give "
        "another name, delete it, or give the checkpoint of the run it is from to go on with it.",
    )
    require(
        found == layout.fingerprint and bool(found),
        f"trajectory {layout.path} was written by another run: the problem, a setting or the key differ. "
        "Give another name, or delete it.",
    )
