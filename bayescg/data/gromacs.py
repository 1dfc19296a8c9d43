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

HEADER_BYTES = 100
"""More than the fixed header of a TRR frame takes: a remainder this short is a header cut off."""


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
        at = offsets[whole] if whole < len(offsets) else path.stat().st_size
        warnings.warn(
            f"{path.name} breaks off in the middle of frame {whole} (byte {at} of {path.stat().st_size}); "
            f"the {whole} whole frames before it are kept.",
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
        file.seek(count - 1)
        file.read()
    except OSError:
        return count - 1, True
    sizes = np.diff([*offsets, path.stat().st_size])
    rest = sizes[-1] - sizes[:-1]
    header_cut = not _is_xtc(path) and bool(np.any((rest > 0) & (rest < HEADER_BYTES)))
    return count, header_cut and not np.any(rest == 0)


def _alike(path: Path, file: Any, offsets: NumpyArray) -> tuple[NumpyArray, Any]:
    """Frames that hold as much as any other, and the first of them.

    GROMACS may write positions, velocities and forces at different intervals; frames then differ in size.
    """
    kept = np.arange(len(offsets))
    if not _is_xtc(path) and len(offsets) > 1:
        sizes = np.diff(offsets, append=offsets[-1] + np.inf)
        known = sizes[:-1]
        kept = kept[:-1][known == known.max()]
        file.seek(len(offsets) - 1)
        last = file.read()
        file.seek(int(kept[0]))
        first = file.read()
        if (last.hasx, last.hasv, last.hasf) == (first.hasx, first.hasv, first.hasf):
            kept = np.append(kept, len(offsets) - 1)
    if len(kept) < len(offsets):
        warnings.warn(
            f"{path.name} has {len(offsets) - len(kept)} of {len(offsets)} frames that hold less than the "
            "others (positions, velocities and forces written at different intervals); they are left out.",
            BayescgWarning,
            stacklevel=5,
        )
    file.seek(int(kept[0]))
    return kept, file.read()
