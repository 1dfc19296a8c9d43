"""Hand-written LAMMPS runs of beads with one tabulated pair potential, a process per run, several at once."""

import re
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bayescg.export.lammps_program import find_lammps

ANGSTROM, FEMTOSECOND, KILOCALORIE = 0.1, 0.001, 4.184
"""nm, ps and kJ, of LAMMPS's units real."""

ROWS = 1000
"""Of the table, and of the grid that `pair_style table spline` makes of it: with 2000 it is slower."""

INPUT = """units real
atom_style atomic
read_data beads.data
pair_style table spline {rows}
pair_coeff 1 1 pair.table PAIR {cutoff}
neighbor {skin} bin
neigh_modify every 1 delay 0 check yes
velocity all create {temperature} {seed}
timestep {timestep}
fix move all nve
fix bath all langevin {temperature} {temperature} {damping} {seed}
thermo 100000000
run {warmup}
{dump}
run {steps}
"""

DUMP = "dump frames all custom {every} frames.bin id xu yu zu vx vy vz"
LOOP = re.compile(r"^Loop time of (\S+) on 1 procs", re.MULTILINE)
USE = re.compile(r"^(\S+)% CPU use", re.MULTILINE)


class Settings(NamedTuple):
    """Of a run, in nm, ps and K.

    Attributes:
        steps: that are timed.
        warmup: before them.
        skin: nm.
        dump_every: steps between frames in a binary file; None for no file.
        timestep: ps.
        temperature: K.
        friction: 1/ps.
        cutoff: nm.
        mass: amu.
    """

    steps: int
    warmup: int
    skin: float
    dump_every: int | None
    timestep: float
    temperature: float
    friction: float
    cutoff: float
    mass: float


class Times(NamedTuple):
    """Of several runs.

    Attributes:
        wall: from the first start to the last end, s.
        loop: LAMMPS's own time of the timed steps, summed over runs, s.
        cpu: the part of it for which the processes had a core, s.
    """

    wall: float
    loop: float
    cpu: float


def write(
    folder: Path,
    energy_and_slope: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    positions: np.ndarray,
    box: np.ndarray,
    settings: Settings,
    *,
    seed: int,
) -> None:
    """The files of one run.

    Args:
        folder: to be made.
        energy_and_slope: u in kJ/mol and u' in kJ/mol/nm at distances in nm.
        positions: nm.
        box: edge lengths, nm.
        settings: of the run.
        seed: of velocities and thermostat.
    """
    folder.mkdir()
    r = np.linspace(0.05, settings.cutoff, ROWS)
    u, slope = energy_and_slope(r)
    force = -slope * ANGSTROM / KILOCALORIE
    rows = np.column_stack([np.arange(1, ROWS + 1), r / ANGSTROM, u / KILOCALORIE, force])
    head = f"PAIR\nN {ROWS} R {r[0] / ANGSTROM:.6f} {r[-1] / ANGSTROM:.6f}\n"
    np.savetxt(folder / "pair.table", rows, fmt="%d %.8f %.10e %.10e", header=head, comments="")
    edges = "\n".join(f"0 {edge / ANGSTROM:.8f} {a}lo {a}hi" for edge, a in zip(box, "xyz", strict=True))
    head = f"beads\n\n{len(positions)} atoms\n1 atom types\n{edges}\n\nMasses\n\n1 {settings.mass}\n\nAtoms\n"
    number = np.arange(1, len(positions) + 1)
    atoms = np.column_stack([number, np.ones(len(positions)), (positions % box) / ANGSTROM])
    np.savetxt(folder / "beads.data", atoms, fmt="%d %d %.8f %.8f %.8f", header=head, comments="")
    dump = "" if settings.dump_every is None else DUMP.format(every=settings.dump_every)
    text = INPUT.format(
        rows=ROWS,
        cutoff=settings.cutoff / ANGSTROM,
        skin=settings.skin / ANGSTROM,
        temperature=settings.temperature,
        seed=seed + 1,
        timestep=settings.timestep / FEMTOSECOND,
        damping=1 / settings.friction / FEMTOSECOND,
        warmup=settings.warmup,
        dump=dump,
        steps=settings.steps,
    )
    (folder / "input.lammps").write_text(text)


def run(folders: Sequence[Path], *, cores: int) -> Times:
    """Run the inputs of all folders, one serial process per core.

    Args:
        folders: from `write`.
        cores: processes at once.
    """
    program = find_lammps()
    command = [program.command, "-in", "input.lammps", "-screen", "none", "-nocite"]

    def one(folder: Path) -> tuple[float, float]:
        subprocess.run(command, cwd=folder, env=program.environment(), check=True, capture_output=True)
        log = (folder / "log.lammps").read_text()
        loop = float(LOOP.findall(log)[-1])
        return loop, loop * float(USE.findall(log)[-1]) / 100

    begun = time.perf_counter()
    with ThreadPoolExecutor(cores) as pool:
        rows = np.array(list(pool.map(one, folders)))
    return Times(time.perf_counter() - begun, *rows.sum(axis=0).tolist())
