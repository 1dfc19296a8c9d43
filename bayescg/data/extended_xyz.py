"""Frames of extended XYZ files.

Each frame is a number of atoms, a line of key=value pairs, and one line per atom:

    Lattice="ax ay az bx by bz cx cy cz" Properties=species:S:1:pos:R:3:forces:R:3 Time=0.5

Properties lists the columns as name:type:count. MDAnalysis reads only the plain format, so this parser is
ours. Velocities stand in `velo`, `vel` or `velocities`, forces in `forces` or `force`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray
from bayescg.data.frame_source import AbstractFrameSource, damaged, rectangular
from bayescg.data.unit_systems import UnitSystem, unit_system

COLUMNS = {
    "position": ("pos", "positions"),
    "velocity": ("velo", "vel", "velocity", "velocities"),
    "force": ("forces", "force"),
    "mass": ("masses", "mass"),
    "name": ("name", "species", "element"),
    "residue_name": ("resname", "residuename"),
    "residue": ("resid", "residuenumber", "molid"),
}
"""Names a column may have in the file."""

PAIRS = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|(\S+))')

SCALES = {"position": "length", "velocity": "velocity", "force": "force"}


class ExtendedXYZFrames(AbstractFrameSource):
    """Frames of an extended XYZ file.

    Attributes:
        path: of the file.
        atoms: number of atoms.
        frames: number of frames.
        fields: what the first frame holds.
        precision: rounding of the positions, nm.
        offsets: where the frames start, bytes.
        units: of the file.
    """

    path: Path = eqx.field(static=True)
    atoms: int
    frames: int
    fields: tuple[str, ...] = eqx.field(static=True)
    precision: float
    offsets: NumpyArray
    units: UnitSystem

    def read(self, numbers: NumpyArray, chosen: NumpyArray | None) -> dict[str, NumpyArray]:
        """Read frames into arrays of float64, as precise as the text."""
        rows: dict[str, list[Any]] = {name: [] for name in self.fields}
        with self.path.open("rb") as file:
            for number in numbers:
                file.seek(int(self.offsets[number]))
                try:
                    pairs, columns = _frame(file, self.atoms)
                    for name in self.fields:
                        rows[name].append(self._quantity(name, pairs, columns, chosen))
                except (KeyError, ValueError, IndexError) as error:
                    if isinstance(error, BayescgError):
                        raise
                    raise damaged(self.path, int(number), error) from error
        return {name: np.array(values) for name, values in rows.items()}

    def _quantity(
        self, name: str, pairs: dict[str, str], columns: dict[str, NumpyArray], chosen: NumpyArray | None
    ) -> Any:
        if name == "time":
            return float(pairs["time"]) * self.units.time
        if name == "box":
            vectors = np.array(pairs["lattice"].split(), dtype=float).reshape(3, 3)
            return rectangular(vectors, self.path) * self.units.length
        values = columns[name] if chosen is None else columns[name][chosen]
        return values.astype(float) * getattr(self.units, SCALES[name])

    def columns(self) -> dict[str, NumpyArray]:
        """Columns of the first frame, as text, by our names."""
        with self.path.open("rb") as file:
            return _frame(file, self.atoms)[1]


def is_extended_xyz(path: Path) -> bool:
    """Whether the second line of an XYZ file lists its columns.

    Example:
        >>> is_extended_xyz(Path("water.trr"))
        False
    """
    if path.suffix.lower() not in (".xyz", ".extxyz"):
        return False
    with path.open("rb") as file:
        file.readline()
        return b"Properties" in file.readline()


def open_extended_xyz(path: Path, units: str | UnitSystem | None) -> ExtendedXYZFrames:
    """Open an extended XYZ file.

    Args:
        path: of the file.
        units: of its numbers; the format does not say.

    Returns:
        The source of frames.

    Raises:
        BayescgError: units are missing, the first frame cannot be read, or the number of atoms changes.
    """
    system = unit_system(units, file=path.name)
    try:
        with path.open("rb") as file:
            index = list(_index(file))
            offsets = np.array([offset for offset, _ in index])
            counts = {count for _, count in index}
            file.seek(0)
            pairs, columns = _frame(file, index[0][1])
    except (ValueError, IndexError, KeyError) as error:
        raise BayescgError(
            f"{path.name} must be an extended XYZ file, but its first frame cannot be read ({error}). "
            "The second line must hold Properties=species:S:1:pos:R:3..."
        ) from error
    if len(counts) > 1:
        raise BayescgError(
            f"{path.name} must have the same atoms in every frame, got {sorted(counts)} atoms. "
            "Write one file for each number of atoms."
        )
    periodic = "lattice" in pairs and "F" not in pairs.get("pbc", "T T T").upper()
    has = {"time": "time" in pairs, "box": periodic} | {name: name in columns for name in SCALES}
    fields = tuple(name for name, there in has.items() if there)
    digits = min(len(x.partition(".")[2]) for x in columns["position"].ravel()[:300])
    precision = 10.0**-digits * system.length
    return ExtendedXYZFrames(path, index[0][1], len(index), fields, precision, offsets, system)


def _index(file) -> Iterator[tuple[int, int]]:
    while True:
        offset = file.tell()
        line = file.readline()
        if not line.strip():
            return
        count = int(line)
        last = b""
        for _ in range(count + 1):
            last = file.readline()
        if not last.strip():
            return
        yield offset, count


def _frame(file, atoms: int) -> tuple[dict[str, str], dict[str, NumpyArray]]:
    file.readline()
    pairs = {k.lower(): quoted or bare for k, quoted, bare in PAIRS.findall(file.readline().decode())}
    table = np.array([file.readline().decode().split() for _ in range(atoms)])
    columns, start = {}, 0
    layout = pairs["properties"].split(":")
    for name, count in zip(layout[::3], map(int, layout[2::3]), strict=True):
        ours = next((ours for ours, theirs in COLUMNS.items() if name.lower() in theirs), None)
        if ours is not None and ours not in columns:
            columns[ours] = table[:, start : start + count] if count > 1 else table[:, start]
        start += count
    return pairs, columns
