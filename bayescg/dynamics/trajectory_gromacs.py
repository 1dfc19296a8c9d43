"""Trajectories in GROMACS' formats: XTC (positions, compressed) and TRR (velocities too).

A file of either kind is one frame after another, each complete in itself. So new frames are written to a file
of their own and their bytes appended, flushed to the disk; where that fails the file is cut back to the
frames it had, and a run that goes on cuts it to those of its checkpoint.
"""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray
from bayescg.data.gromacs_writer import frame_ends, write_gromacs
from bayescg.dynamics.trajectory_draws import claim, draw_path
from bayescg.dynamics.trajectory_writer import AbstractTrajectoryWriter, Layout


class GromacsWriter(AbstractTrajectoryWriter):
    """Writes one XTC or TRR file per draw.

    Args:
        layout: of the run; its path ends in .xtc or .trr.
        resume: whether files that are there may be gone on with.

    Raises:
        BayescgError: files of another run are there, or velocities are wanted in XTC, which has none.
    """

    def __init__(self, layout: Layout, *, resume: bool) -> None:
        super().__init__(layout)
        require(
            layout.path.suffix == ".trr" or "velocity" not in layout.fields,
            f"velocities cannot be written to {layout.path.name}, XTC has none. Let it end in .trr, .h5md or "
            ".zarr.",
        )
        claim(layout, resume=resume)
        self._ends = [frame_ends(draw_path(layout.path, draw)) for draw in range(layout.draws)]

    def held(self, draw: int) -> int:
        """How many frames of a draw there are."""
        return len(self._ends[draw]) - 1

    def replace(self, draw: int, first: int, arrays: Mapping[str, NumpyArray]) -> None:
        """Cut the file, and append."""
        path, ends = draw_path(self.layout.path, draw), self._ends[draw]
        beside = path.with_name(f".{path.name}.{os.getpid()}{path.suffix}")
        try:
            count = len(arrays["position"])
            write_gromacs(
                beside,
                arrays["position"],
                time=self.layout.times(first, count),
                first=first,
                velocity=arrays["velocity"] if "velocity" in self.layout.fields else None,
                box=arrays["box"] if "box" in self.layout.fields else None,
            )
            fresh, content = frame_ends(beside), beside.read_bytes()
        except BayescgError:
            fresh, content = [0], b""
        finally:
            beside.unlink(missing_ok=True)
        if len(fresh) - 1 != count:  # the formats' library does not see every failure
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        start = ends[first]
        del ends[first + 1 :]
        _append(path, start, content)
        ends += [start + end for end in fresh[1:]]

    def finish(self) -> None:
        """Nothing is left to do: what was appended is on the disk."""


def _append(path: Path, start: int, content: bytes) -> None:
    """Bytes at this place, and nothing after them; if they do not fit, nothing from this place on."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        os.ftruncate(descriptor, start)
        try:
            view = memoryview(content)
            while view:
                view = view[os.pwrite(descriptor, view, start + len(content) - len(view)) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, start)
            raise
    finally:
        os.close(descriptor)
