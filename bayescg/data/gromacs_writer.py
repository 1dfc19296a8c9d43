"""Frames written in GROMACS' formats: XTC (positions, compressed) and TRR (velocities too).

A file of either kind is one frame after another, each complete in itself: files may be joined by their bytes,
and cut where a frame ends.
"""

from pathlib import Path
from typing import Any

import numpy as np

from bayescg._checks import BayescgError
from bayescg._typing import Float, NumpyArray

PRECISION = 10_000.0
"""Of XTC: positions are rounded to 1e-4 nm, about the rounding of float32 in a box of some hundred nm."""


def write_gromacs(
    path: Path,
    position: Float[NumpyArray, "frame bead dim"],
    *,
    time: Float[NumpyArray, " frame"],
    first: int = 0,
    velocity: Float[NumpyArray, "frame bead dim"] | None = None,
    box: Float[NumpyArray, "frame dim"] | None = None,
) -> None:
    """Write a new file.

    Args:
        path: ending in .xtc or .trr.
        position: nm.
        time: ps.
        first: number of the first frame; the format counts steps from it.
        velocity: nm/ps; for TRR.
        box: edge lengths, nm; None for an open system.

    Raises:
        OSError: the file cannot be written; the formats' library does not see every failure, so count the
            frames with `frame_ends`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "three.xtc"
        ...     write_gromacs(path, np.zeros((3, 2, 3)), time=np.arange(3.0))
        ...     len(frame_ends(path)) - 1
        3
    """
    x = np.ascontiguousarray(position, np.float32)
    v = None if velocity is None else np.ascontiguousarray(velocity, np.float32)
    boxes = np.zeros((len(x), 3, 3), np.float32)
    if box is not None:
        boxes[:, range(3), range(3)] = box
    with _format(path)(str(path), "w") as file:
        for k, moment in enumerate(time):
            if path.suffix == ".trr":
                speed = None if v is None else v[k]
                file.write(x[k], speed, None, boxes[k], first + k + 1, moment, 0.0, x.shape[1])
            else:
                file.write(x[k], boxes[k], first + k + 1, moment, PRECISION)


def frame_ends(path: Path) -> list[int]:
    """Where frames end, bytes, with zero before the first; a frame that is cut off is not counted.

    Args:
        path: ending in .xtc or .trr; need not exist.

    Raises:
        BayescgError: the file is of another kind.

    Example:
        >>> frame_ends(Path("there_is_no_such_file.xtc"))
        [0]
    """
    if not path.exists() or path.stat().st_size == 0:
        return [0]
    try:
        with _format(path)(str(path)) as file:
            starts = [int(offset) for offset in file.offsets]
            whole = len(starts)
            try:
                file.seek(whole - 1)
                file.read()
            except OSError:
                whole -= 1
    except OSError as error:
        raise BayescgError(
            f"trajectory {path} cannot be read: {error}. Delete it, and the checkpoint, to start again."
        ) from error
    return [*starts[:whole], path.stat().st_size if whole == len(starts) else starts[whole]]


def _format(path: Path) -> Any:
    from MDAnalysis.lib.formats.libmdaxdr import TRRFile, XTCFile

    return TRRFile if path.suffix == ".trr" else XTCFile
