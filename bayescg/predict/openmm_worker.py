"""One draw in OpenMM: a script that a process runs in the draw's folder; it does not import bayescg.

It reads system.xml, integrator.xml, start.npz and settings.json, and writes a file for every measured frame:
an array (1 + 2 beads, 3) of box edges, positions (nm, unwrapped) and velocities (nm/ps). A file appears
when it is complete. What goes wrong is left in error.txt.

OpenMM's leaping integrators keep velocities without the second half of the last kick; F dt/2m makes them
those of the time of the positions, so that they may be compared with other programs', and correlated.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

ERROR = "error.txt"
"""Where the last error stands."""


def frame_name(step: int) -> str:
    """File of a measured frame.

    Args:
        step: counted from the end of the warm-up.

    Example:
        >>> frame_name(20)
        'frame_20.npy'
    """
    return f"frame_{step}.npy"


def run(folder: Path) -> None:
    """Run the draw that lies in a folder.

    Args:
        folder: with the files of `OpenMM.prepare`.
    """
    settings = json.loads((folder / "settings.json").read_text())
    context, integrator, masses = _begin(folder, settings)
    every, half_kick = settings["measure_every"], settings["half_kick"]
    kick = half_kick / masses[:, None]
    before, unwrapped = None, None
    for step in range(every - settings["warmup_steps"], settings["steps"] + 1, every):
        integrator.step(every)
        if step <= 0 and step + every <= 0:
            continue  # the last frame of the warm-up is where unwrapped positions begin
        positions, velocities, box = _state(context, kick)
        unwrapped = positions if before is None else unwrapped + _shortest(positions - before, box)
        before = positions
        if step > 0:
            _write(folder / frame_name(step), np.concatenate([box[None], unwrapped, velocities]))
        # after the frame, whose reader will see it too; written so that NaN counts as an explosion
        if not np.mean(masses[:, None] * velocities**2) <= settings["hottest"]:
            raise RuntimeError(f"velocities are not finite or absurdly high at step {step}: an explosion")


def _begin(folder: Path, settings: dict[str, Any]) -> tuple[Any, Any, np.ndarray]:
    """A context at the start, half a kick before it where the integrator leaps."""
    import openmm

    read = openmm.XmlSerializer.deserialize
    system, integrator = (read((folder / f"{name}.xml").read_text()) for name in ("system", "integrator"))
    name = settings["platform"]
    properties = {"Threads": str(settings["threads"])} if name == "CPU" else {}
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(name), properties)
    start = np.load(folder / "start.npz")
    context.setPositions(start["positions"])
    masses = np.array([system.getParticleMass(i)._value for i in range(system.getNumParticles())])
    forces = context.getState(getForces=True).getForces(asNumpy=True)._value
    context.setVelocities(start["velocities"] - settings["half_kick"] * forces / masses[:, None])
    for mode, values in enumerate(start["auxiliary"], 1):
        integrator.setPerDofVariableByName(f"z{mode}", values.tolist())
    return context, integrator, masses


def _state(context: Any, kick: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, velocities at the same time, and box edges."""
    with_forces = bool(kick.any())
    state = context.getState(getPositions=True, getVelocities=True, getForces=with_forces)
    velocities = state.getVelocities(asNumpy=True)._value
    if with_forces:
        velocities = velocities + kick * state.getForces(asNumpy=True)._value
    box = np.diag(state.getPeriodicBoxVectors(asNumpy=True)._value)
    return state.getPositions(asNumpy=True)._value, velocities, box


def _shortest(displacement: np.ndarray, box: np.ndarray) -> np.ndarray:
    """OpenMM leaves beads outside of the box, but its barostat may put them back."""
    return displacement - box * np.round(displacement / box)


def _write(path: Path, frame: np.ndarray) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, frame)
    os.replace(part, path)


if __name__ == "__main__":
    try:
        run(Path.cwd())
    except Exception as error:
        Path(ERROR).write_text(f"{type(error).__name__}: {error}\n")
        sys.exit(1)
