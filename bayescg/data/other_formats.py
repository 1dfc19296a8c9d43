"""Frames of every other format MDAnalysis reads: DCD, LAMMPS dump, H5MD, AMBER and more.

MDAnalysis returns angstrom, ps and kJ/mol/angstrom where it knows the units of a file. It does not for
LAMMPS dumps, and not for H5MD files without unit attributes: those need `units`.
"""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from bayescg._checks import BayescgError, BayescgWarning
from bayescg._typing import NumpyArray
from bayescg.data.frame_source import AbstractFrameSource, damaged, rectangular
from bayescg.data.unit_systems import MDANALYSIS, UnitSystem, unit_system

FORMATS = {
    ".dcd": "DCD",
    ".lammpstrj": "LAMMPSDUMP",
    ".lammpsdump": "LAMMPSDUMP",
    ".dump": "LAMMPSDUMP",
    ".h5md": "H5MD",
    ".h5": "H5MD",
}
"""MDAnalysis' name of a format by the ending of the file; other endings are left to MDAnalysis."""

SPOILED = (OSError, EOFError, ValueError, IndexError, KeyError, StopIteration)
"""What MDAnalysis' readers raise at a frame that is cut off or damaged."""

DUMP_HEADER = 9
"""Lines before the atoms in a frame of a LAMMPS dump."""


class OtherFrames(AbstractFrameSource):
    """Frames read by one of MDAnalysis' readers.

    Attributes:
        path: of the file.
        atoms: number of atoms.
        frames: number of whole frames.
        fields: what the first frame holds, and so every one must.
        precision: rounding of the positions, nm.
        units: of the numbers MDAnalysis returns.
        convert: whether MDAnalysis is to convert to its own units.
        step: between two integration steps, ps; for formats that count steps.
    """

    path: Path = eqx.field(static=True)
    atoms: int
    frames: int
    fields: tuple[str, ...] = eqx.field(static=True)
    precision: float
    units: UnitSystem
    convert: bool
    step: float | None

    def read(self, numbers: NumpyArray, chosen: NumpyArray | None) -> dict[str, NumpyArray]:
        """Read frames into arrays of float32."""
        kept = slice(None) if chosen is None else chosen
        shape = (len(numbers), self.atoms if chosen is None else len(chosen), 3)
        arrays = {name: np.empty(shape, dtype=np.float32) for name in self.fields if name in _ATTRIBUTES}
        times, boxes = np.empty(len(numbers)), np.empty((len(numbers), 3))
        with _reader(self.path, convert=self.convert) as reader:
            for row, number in enumerate(numbers):
                try:
                    frame = reader[int(number)]
                    for name, array in arrays.items():
                        array[row] = getattr(frame, _ATTRIBUTES[name])[kept]
                except SPOILED as error:
                    raise damaged(self.path, int(number), error) from error
                times[row] = _time(frame, self.step, self.units)
                if "box" in self.fields:
                    boxes[row] = rectangular(_vectors(frame), self.path)
        arrays |= {"time": times, "box": boxes * self.units.length}
        for name in ("position", "velocity", "force"):
            if name in arrays:
                arrays[name] *= np.float32(getattr(self.units, _SCALES[name]))
        return {name: arrays[name] for name in self.fields}


_FILTERS = threading.Lock()
_ATTRIBUTES = {"position": "positions", "velocity": "velocities", "force": "forces"}
_SCALES = {"position": "length", "velocity": "velocity", "force": "force"}


def open_other(path: Path, units: str | UnitSystem | None, timestep: float | None) -> OtherFrames:
    """Open a file of any format MDAnalysis reads.

    Args:
        path: of the file.
        units: of a file that does not say its own.
        timestep: between two integration steps, ps, for formats that count steps.

    Returns:
        The source of frames.

    Raises:
        BayescgError: the format is unknown, units are missing, or no frame can be read.
    """
    counts_steps = FORMATS.get(path.suffix.lower()) == "LAMMPSDUMP"
    silent = counts_steps or (units is not None and FORMATS.get(path.suffix.lower()) == "H5MD")
    system = unit_system(units, file=path.name) if silent else MDANALYSIS
    with _reader(path, convert=not silent) as reader:
        frames, frame = _whole(path, reader)
        has = {
            "time": timestep is not None or not counts_steps,
            "box": frame.dimensions is not None and bool(np.all(frame.dimensions[:3] > 0)),
            "position": frame.has_positions,
            "velocity": frame.has_velocities,
            "force": frame.has_forces,
        }
        largest = float(np.abs(frame.positions).max()) * system.length
        fields = tuple(name for name, there in has.items() if there)
        breaks_off = frames < len(reader) or (counts_steps and _dump_breaks_off(path, int(reader.n_atoms)))
        source = OtherFrames(
            path=path,
            atoms=int(reader.n_atoms),
            frames=frames,
            fields=fields,
            precision=float(np.spacing(np.float32(largest))),
            units=system,
            convert=not silent,
            step=timestep if counts_steps else None,
        )
    if breaks_off:
        warnings.warn(
            f"{path.name} breaks off in the middle of frame {frames}; the {frames} whole frames before "
            "it are kept.",
            BayescgWarning,
            stacklevel=4,
        )
    return source


@contextmanager
def _reader(path: Path, *, convert: bool) -> Iterator[Any]:
    """Open MDAnalysis' reader with its warnings off; filters are global, so one thread at a time."""
    from MDAnalysis.coordinates.core import reader

    kind = FORMATS.get(path.suffix.lower())
    with _FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="MDAnalysis")
        try:
            _probe(path, kind)
            opened: Any = reader(str(path), format=kind, convert_units=convert)
        except (*SPOILED, TypeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:120]
            raise BayescgError(
                f"trajectory must be a file that can be read (.trr, .xtc, .dcd, .lammpstrj, .h5md, .extxyz, "
                f".npz, .nc or what MDAnalysis reads), got {path.name}: {reason}. Check the ending, that the "
                'file is whole, and for H5MD files without units give units=, such as units="gromacs".'
            ) from error
        with opened:
            yield opened


def _probe(path: Path, kind: str | None) -> None:
    """Raise for files whose readers would fail again when they are thrown away."""
    if kind == "DCD":
        from MDAnalysis.lib.formats.libdcd import DCDFile

        DCDFile(str(path)).close()
    if kind == "H5MD":
        import h5py

        h5py.File(path, "r").close()


def _dump_breaks_off(path: Path, atoms: int) -> bool:
    """Whether the last frame of a LAMMPS dump has fewer lines than its atoms need."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        length = min(end, 4096)
        while True:
            file.seek(end - length)
            tail = file.read(length)
            start = tail.rfind(b"ITEM: TIMESTEP")
            if start >= 0 or length == end:
                break
            length = min(end, 4 * length)
    return tail[max(start, 0) :].count(b"\n") < atoms + DUMP_HEADER


def _whole(path: Path, reader: Any) -> tuple[int, Any]:
    """Number of frames before the file breaks off, and the first frame."""
    count = len(reader)
    while count:
        try:
            reader[count - 1]
            return count, reader[0]
        except SPOILED:
            count -= 1
    raise BayescgError(
        f"{path.name} must hold at least one whole frame, got none. "
        "Check that the file was written to the end."
    )


def _time(frame: Any, step: float | None, units: UnitSystem) -> float:
    return float(frame.data["step"] * step if step is not None else frame.time * units.time)


def _vectors(frame: Any) -> NumpyArray:
    from MDAnalysis.lib.mdamath import triclinic_vectors

    return triclinic_vectors(frame.dimensions)
