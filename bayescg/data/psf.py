"""PSF files: who the beads of a trajectory are, for programs that read structure and frames apart.

Names are types, a residue is a molecule, charges are zero. The columns are separated by spaces, the form that
NAMD, VMD and MDAnalysis read, so that names may have any length.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from bayescg._checks import require
from bayescg._typing import NumpyArray
from bayescg.data.connectivity import connectivity

REMARK = " REMARKS "
"""How a line of the title begins."""


def write_psf(beads: xr.Dataset, path: str | Path, *, remarks: tuple[str, ...] = ()) -> Path:
    """Write types, masses, molecules and bonds of beads.

    Args:
        beads: valid, with masses.
        path: ending in `.psf`.
        remarks: lines of the title.

    Returns:
        The path.

    Raises:
        BayescgError: beads without masses.

    Example:
        >>> import bayescg as bcg, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_psf(bcg.data.water(frames=1), folder + "/water.psf")
        ...     path.read_text().splitlines()[6]
        '1 BEADS 1 SOL SOL SOL 0.000000 18.015400 0'
    """
    path = Path(path)
    require("mass" in beads, "beads must have masses for a PSF file, got none. Set beads['mass'], in amu.")
    lines = ["PSF NAMD", "", f"{len(remarks) + 1:8d} !NTITLE", f"{REMARK}coarse-grained beads, by bayescg"]
    lines += [REMARK + remark for remark in remarks]
    types = ["_".join(str(name).split()) or "X" for name in beads["type"].to_numpy()]
    numbers = zip(types, beads["molecule"].to_numpy(), beads["mass"].to_numpy(), strict=True)
    names = _names(types, beads["molecule"].to_numpy())
    lines += ["", f"{len(types):8d} !NATOM"]
    lines += [
        f"{index} BEADS {int(molecule) + 1} {names[int(molecule)]} {kind} {kind} 0.000000 {mass:.6f} 0"
        for index, (kind, molecule, mass) in enumerate(numbers, 1)
    ]
    bonded = connectivity(beads)
    sections = (("NBOND: bonds", bonded.bonds), ("NTHETA: angles", bonded.angles))
    for title, members in (*sections, ("NPHI: dihedrals", bonded.dihedrals), ("NIMPHI: impropers", None)):
        lines += ["", f"{0 if members is None else len(members):8d} !{title}"]
        lines += [] if members is None else _rows(np.asarray(members))
    path.write_text("\n".join([*lines, "", ""]))
    return path


def psf_remarks(path: str | Path) -> list[str]:
    """Lines of a PSF file's title.

    Args:
        path: of the file.

    Example:
        >>> import bayescg as bcg, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_psf(bcg.data.water(frames=1), folder + "/a.psf", remarks=("300 K",))
        ...     psf_remarks(path)[1]
        '300 K'
    """
    lines = Path(path).read_text().splitlines()[:64]
    return [line.removeprefix(REMARK) for line in lines if line.startswith(REMARK)]


def _names(types: list[str], molecules: NumpyArray) -> dict[int, str]:
    """Of the molecules: the bead's type where they are single beads, else MOL."""
    alone = {
        int(molecule)
        for molecule, count in zip(*np.unique(molecules, return_counts=True), strict=True)
        if count == 1
    }
    return {int(m): kind if int(m) in alone else "MOL" for kind, m in zip(types, molecules, strict=True)}


def _rows(members: NumpyArray) -> list[str]:
    """Numbers from one, as many chains in a line as the format wants."""
    per_line = {2: 4, 3: 3, 4: 2}[members.shape[1]]
    flat = (members + 1).ravel()
    step = per_line * members.shape[1]
    return ["".join(f"{number:10d}" for number in flat[at : at + step]) for at in range(0, flat.size, step)]
