"""Files of one draw each, beside a PSF file that says who the beads are.

    water.xtc  ──▶  water.psf, water_000.xtc, water_001.xtc, ...

`bayescg.read_trajectory("water.psf", "water_000.xtc")` reads them back, and so do VMD and MDAnalysis. The PSF
file's title holds the fingerprint of the run.
"""

from pathlib import Path

from bayescg._checks import require
from bayescg.data.psf import psf_remarks, write_psf
from bayescg.dynamics.trajectory_writer import Layout, check_unclaimed

MARK = "run "
"""How the remark with the fingerprint begins."""


def draw_path(path: Path, draw: int) -> Path:
    """The file of one draw.

    Example:
        >>> draw_path(Path("runs/water.xtc"), 3).name
        'water_003.xtc'
    """
    return path.with_name(f"{path.stem}_{draw:03d}{path.suffix}")


def structure_path(path: Path) -> Path:
    """The file that says who the beads are.

    Example:
        >>> structure_path(Path("runs/water.xtc")).name
        'water.psf'
    """
    return path.with_suffix(".psf")


def claim(layout: Layout, *, resume: bool) -> None:
    """Write the PSF file, or see that it is of this very run, which goes on.

    Args:
        layout: of the run.
        resume: whether there is a checkpoint to go on from.

    Raises:
        BayescgError: files of another run are there, or beads that are no points in space.
    """
    name = layout.path.name
    require(
        layout.beads.sizes["dim"] == 3,
        f"beads must be points in space for {name}, got {layout.beads.sizes['dim']} dimensions. Let the "
        "trajectory end in .zarr.",
    )
    structure = structure_path(layout.path)
    files = [draw_path(layout.path, draw) for draw in range(layout.draws)]
    found = None
    if structure.exists() or any(file.exists() for file in files):
        remarks = psf_remarks(structure) if structure.exists() else []
        marks = [remark.removeprefix(MARK) for remark in remarks if remark.startswith(MARK)]
        found = marks[0] if marks else ""
    check_unclaimed(found, layout, resume=resume)
    if found is None:
        structure.parent.mkdir(parents=True, exist_ok=True)
        beside = structure.with_name(f".{structure.name}")
        write_psf(layout.beads, beside, remarks=(MARK + layout.fingerprint,))
        beside.replace(structure)
