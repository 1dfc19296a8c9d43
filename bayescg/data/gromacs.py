"""Frames of GROMACS files, TRR and XTC, through MDAnalysis' xdr library.

The library is used beneath MDAnalysis' Universe: frames go straight into the arrays that are returned,
in GROMACS' own units, which are ours, and no index file is left beside the trajectory.
"""

import warnings
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from bayescg._checks import BayescgError, BayescgWarning, require
from bayescg._typing import NumpyArray
from bayescg.data.frame_source import AbstractFrameSource, damaged, rectangular

_MOVING = ("position", "velocity", "force")


class GromacsFrames(AbstractFrameSource):
    """Frames of a TRR or XTC file.

    Attributes:
        path: of the file.
        atoms: number of atoms.
        frames: number of whole frames.
        fields: what every frame holds.
        precision: rounding of the positions, nm.
        offsets: where the frames start in the file, bytes.
        kept: which of the frames in the file are used.
    """

    path: Path = eqx.field(static=True)
    atoms: int
    frames: int
    fields: tuple[str, ...] = eqx.field(static=True)
    precision: float
    offsets: NumpyArray
    kept: NumpyArray

    def read(self, numbers: NumpyArray, chosen: NumpyArray | None) -> dict[str, NumpyArray]:
        """Read frames into arrays of float32."""
        shape = (len(numbers), self.atoms if chosen is None else len(chosen), 3)
        moving = [name for name in ("position", "velocity", "force") if name in self.fields]
        arrays = {name: np.empty(shape, dtype=np.float32) for name in moving}
        times, boxes = np.empty(len(numbers)), np.empty((len(numbers), 3))
        frame = {name: np.empty(self.atoms * 3, dtype=np.float32).reshape(-1, 3) for name in _MOVING}
        with _library(self.path)(str(self.path)) as file:
            file.set_offsets(self.offsets)
            for row, number in enumerate(self.kept[numbers]):
                target = frame | {name: arrays[name][row] for name in moving} if chosen is None else frame
                try:
                    file.seek(int(number))
                    read = _read_into(self.path, file, target)
                except (OSError, StopIteration) as error:
                    raise damaged(self.path, int(number), error) from error
                times[row] = read.time
                boxes[row] = rectangular(read.box, self.path)
                if chosen is not None:
                    for name in moving:
                        arrays[name][row] = frame[name][chosen]
        box = {"box": boxes} if "box" in self.fields else {}
        return {"time": times} | box | arrays


def open_gromacs(path: Path) -> GromacsFrames:
    """Open a TRR or XTC file and find its whole frames.

    Args:
        path: ending in .trr or .xtc.

    Returns:
        The source of frames.

    Raises:
        BayescgError: the file is no such file, holds no whole frame, or no positions.

    Warns:
        BayescgWarning: the file breaks off in the middle of a frame, or some frames hold less than others.
    """
    try:
        with _library(path)(str(path)) as file:
            atoms, offsets = file.n_atoms, np.array(file.offsets)
            whole, broken = _whole_frames(path, file, offsets)
            kept, first = _alike(path, file, offsets[:whole])
            scale = 1.0 / first.prec if _is_xtc(path) else float(np.spacing(np.abs(first.x).max()))
    except (OSError, StopIteration) as error:
        raise BayescgError(
            f"{path.name} must be a GROMACS {path.suffix} file with at least one whole frame, but it "
            f"cannot be read ({error}). Check that the file was written to the end."
        ) from error
    if broken:
        size = path.stat().st_size
        at = offsets[whole] if whole < len(offsets) else offsets[-1] + offsets[1]
        warnings.warn(
            f"{path.name} breaks off in the middle of frame {whole} (at byte {at} of {size}); the {whole} "
            "whole frames before it are kept.",
            BayescgWarning,
            stacklevel=4,
        )
    has = {"box": bool(np.any(first.box)), "time": True}
    if _is_xtc(path):
        has["position"] = True
    else:
        has |= {"position": first.hasx, "velocity": first.hasv, "force": first.hasf}
    require(
        has["position"],
        f"{path.name} must hold positions, but its frames have none. Write them (GROMACS nstxout).",
    )
    fields = tuple(name for name in ("time", "box", *_MOVING) if has.get(name))
    return GromacsFrames(path, atoms, len(kept), fields, scale, offsets, kept)


def _library(path: Path) -> Any:
    from MDAnalysis.lib.formats.libmdaxdr import TRRFile, XTCFile

    return XTCFile if _is_xtc(path) else TRRFile


def _is_xtc(path: Path) -> bool:
    return path.suffix.lower() == ".xtc"


def _read_into(path: Path, file: Any, frame: dict[str, NumpyArray]) -> Any:
    if _is_xtc(path):
        return file.read_direct_x(frame["position"])
    return file.read_direct_xvf(frame["position"], frame["velocity"], frame["force"])


def _whole_frames(path: Path, file: Any, offsets: NumpyArray) -> tuple[int, bool]:
    """Number of whole frames, and whether something follows that is none."""
    count = len(offsets)
    try:
        last = _frame(file, count - 1)
    except OSError:
        if count == 1:
            raise
        return count - 1, True
    if _is_xtc(path) or count == 1:
        return count, False
    sizes = np.diff([*offsets, path.stat().st_size])
    longer = bool(sizes[-1] != sizes[0])
    return count, longer and _content(last) == _content(_frame(file, 0))


def _alike(path: Path, file: Any, offsets: NumpyArray) -> tuple[NumpyArray, Any]:
    """Frames that hold as much as any other, and the first of them.

    GROMACS may write positions, velocities and forces at different intervals; frames then differ in size.
    """
    kept = np.arange(len(offsets))
    if not _is_xtc(path) and len(offsets) > 1:
        sizes = np.diff(offsets, append=offsets[-1] + np.inf)
        known = sizes[:-1]
        kept = kept[:-1][known == known.max()]
        if _content(_frame(file, len(offsets) - 1)) == _content(_frame(file, int(kept[0]))):
            kept = np.append(kept, len(offsets) - 1)
    if len(kept) < len(offsets):
        warnings.warn(
            f"{path.name} has {len(offsets) - len(kept)} of {len(offsets)} frames that hold less than the "
            "others (positions, velocities and forces written at different intervals); they are left out.",
            BayescgWarning,
            stacklevel=5,
        )
    return kept, _frame(file, int(kept[0]))


def _frame(file: Any, number: int) -> Any:
    file.seek(number)
    return file.read()


def _content(frame: Any) -> tuple[bool, bool, bool]:
    return bool(frame.hasx), bool(frame.hasv), bool(frame.hasf)
