"""VOTCA's csg_fmatch on a trajectory: its input files, its run, its curve and its CPU time.

csg_fmatch fits the pair FORCE as a natural cubic spline (f'' = 0 at both ends, f free there) by
least squares, block after block of frames, and averages the blocks.
"""

import resource
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

PROGRAM = "csg_fmatch"

OPTIONS = """<cg>
  <fmatch><frames_per_block>{block}</frames_per_block><constrainedLS>{constrained}</constrainedLS></fmatch>
  <non-bonded>
    <name>CG-CG</name><type1>{bead}</type1><type2>{bead}</type2>
    <fmatch><min>{start}</min><max>{cutoff}</max><step>{step}</step><out_step>{out_step}</out_step></fmatch>
  </non-bonded>
</cg>
"""

MAPPING = """<cg_molecule>
  <name>{residue}</name><ident>{residue}</ident>
  <topology><cg_beads><cg_bead>
    <name>CG</name><type>CG</type><mapping>A</mapping><beads>{atoms}</beads>
  </cg_bead></cg_beads></topology>
  <maps><map><name>A</name><weights>{masses}</weights></map></maps>
</cg_molecule>
"""


class Grid(NamedTuple):
    """Where the force is fitted.

    Attributes:
        start: shortest distance, nm.
        cutoff: longest distance, nm.
        step: between grid points, nm.
    """

    start: float = 0.24
    cutoff: float = 1.0
    step: float = 0.02

    @property
    def points(self) -> int:
        """Number of grid points, both ends included."""
        return round((self.cutoff - self.start) / self.step) + 1


class Curve(NamedTuple):
    """What csg_fmatch found.

    Attributes:
        distance: nm.
        force: -u'(r), kJ/mol/nm.
        error: of the mean over blocks, kJ/mol/nm.
        cpu_seconds: user and system time of the program.
    """

    distance: np.ndarray
    force: np.ndarray
    error: np.ndarray
    cpu_seconds: float


def installed() -> bool:
    """Whether the program is on the path."""
    return shutil.which(PROGRAM) is not None


def version() -> str:
    """The program's own words, "2022.1"."""
    text = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    line = next(line for line in text.splitlines() if line.startswith(f"{PROGRAM}, version"))
    return line.split()[2]


def run(
    folder: Path,
    topology: Path,
    trajectory: Path,
    *,
    frames_per_block: int,
    grid: Grid | None = None,
    mapping: str | None = None,
    bead: str = "CG",
    constrained: bool = False,
    out_step: float = 0.01,
    frames: int | None = None,
) -> Curve:
    """Fit a pair force.

    Args:
        folder: empty, for input and output.
        topology: atoms, or beads where there is no mapping.
        trajectory: with forces.
        frames_per_block: a block must be whole; frames left over are dropped by the program.
        grid: of the spline.
        mapping: text of the mapping file; None where the trajectory holds beads already.
        bead: type of the beads.
        constrained: whether the spline's smoothness holds exactly or only as rows of the regression.
        out_step: of the curve, nm.
        frames: number of frames to read; None for all.
    """
    grid = grid or Grid()
    options = OPTIONS.format(
        block=frames_per_block,
        constrained=str(constrained).lower(),
        bead=bead,
        out_step=out_step,
        **grid._asdict(),
    )
    (folder / "options.xml").write_text(options)
    command = [PROGRAM, "--top", str(topology.resolve()), "--trj", str(trajectory.resolve())]
    command += ["--options", "options.xml"]
    if mapping is None:
        command += ["--no-map"]
    else:
        (folder / "mapping.xml").write_text(mapping)
        command += ["--cg", "mapping.xml"]
    if frames is not None:
        command += ["--nframes", str(frames)]
    before = _children()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = _children() - before
    output = folder / "CG-CG.force"
    if done.returncode or not output.exists():
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    distance, force, error = np.loadtxt(output, usecols=(0, 1, 2), unpack=True)
    return Curve(distance, force, error, seconds)


def water_mapping() -> str:
    """The center of mass of an SPC/E water."""
    return MAPPING.format(residue="SOL", atoms="1:SOL:OW 1:SOL:HW1 1:SOL:HW2", masses="15.9994 1.008 1.008")


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
