"""engine="openmm": every draw in a process of its own, on one core of OpenMM's CPU platform.

`prepare` writes an OpenMM System and Integrator as XML, the start as numbers, and a few settings; the
process runs `bayescg.predict.openmm_worker`, a script that needs OpenMM and numpy alone, and leaves one
small file for every measured frame.

Positions are in double precision, nonbonded forces in single, as OpenMM's CPU platform has them. On one
thread the same seed gives the same bits.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from bayescg._checks import BayescgError, require
from bayescg._typing import Float, NumpyArray
from bayescg.dynamics.langevin import hottest
from bayescg.export.curves import terms_of
from bayescg.export.openmm_integrators import auxiliary_count, openmm_integrator
from bayescg.export.openmm_system import openmm_system, require_openmm
from bayescg.model import Model
from bayescg.predict import openmm_worker
from bayescg.predict.external import AbstractExternalEngine, Frames, Job, Plan
from bayescg.units import thermal_energy

BAROSTAT_INTERVAL = 25
"""Steps between attempts to change the volume, OpenMM's own default."""


class OpenMM(AbstractExternalEngine):
    """OpenMM as the program that runs draws.

    NVT is Langevin dynamics (LangevinMiddleIntegrator), a Nose-Hoover chain, or the generalized Langevin
    equation of the model's memory; NVE is Verlet; NPT adds a Monte Carlo barostat to any of the first three.

    Attributes:
        platform: "CPU", "Reference", or another that the installation of OpenMM has, "CUDA" say.
        threads: of the CPU platform, per draw; as many draws run at once as there are cores.
        name: of the engine.

    Example:
        >>> OpenMM().name
        'openmm'
    """

    platform: str = eqx.field(static=True, default="CPU")
    threads: int = eqx.field(static=True, default=1)
    name: str = eqx.field(static=True, default="openmm")

    def check(self, models: Sequence[Model], plan: Plan) -> None:
        """Raise where OpenMM is missing or cannot run these models or this plan.

        Args:
            models: one per draw.
            plan: of the run.

        Raises:
            BayescgError: a platform, term, memory or thermostat that there is not, or beads not in space.
        """
        openmm = require_openmm()
        there = [openmm.Platform.getPlatform(i).getName() for i in range(openmm.Platform.getNumPlatforms())]
        require(
            self.platform in there,
            f"platform must be one of those that OpenMM has here, {', '.join(there)}, got {self.platform!r}. "
            "Take one of these, or install the plugin.",
        )
        require(
            plan.ensemble != "NPT" or plan.box is not None,
            "a box must be there for a constant pressure, got an open system. Take ensemble='NVT'.",
        )
        terms_of(models[0].potential, program="OpenMM")
        _integrator(models[0], plan)

    def prepare(
        self, folder: Path, model: Model, start: Float[NumpyArray, "bead dim"], plan: Plan, *, seed: int
    ) -> Job:
        """Write System, Integrator, start and settings of a draw.

        Args:
            folder: of this draw.
            model: of this draw.
            start: positions, nm.
            plan: of the run.
            seed: of the thermostat, the barostat, and velocities and auxiliary variables at the start.
        """
        openmm = require_openmm()
        require(
            start.shape[1] == 3,
            f"beads must be in three dimensions for OpenMM, got {start.shape[1]}. Take engine='jax-md'.",
        )
        system, integrator = openmm_system(model.potential, plan.topology, plan.box), _integrator(model, plan)
        if plan.ensemble == "NPT":
            barostat = openmm.MonteCarloBarostat(plan.pressure, plan.temperature, BAROSTAT_INTERVAL)
            barostat.setRandomNumberSeed(seed)
            system.addForce(barostat)
        if plan.thermostat == "nose-hoover" and len(start) > 1:
            # momentum is conserved: OpenMM takes three degrees of freedom off where it sees this
            system.addForce(openmm.CMMotionRemover())
        if hasattr(integrator, "setRandomNumberSeed"):  # Verlet and Nose-Hoover draw no numbers
            integrator.setRandomNumberSeed(seed)
        (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
        (folder / "integrator.xml").write_text(openmm.XmlSerializer.serialize(integrator))
        modes = auxiliary_count(integrator)
        positions, velocities, auxiliary = _start(start, plan, modes, np.random.default_rng(seed))
        np.savez(folder / "start.npz", positions=positions, velocities=velocities, auxiliary=auxiliary)
        settings = {
            "platform": self.platform,
            "threads": self.threads,
            "warmup_steps": plan.warmup_steps,
            "steps": plan.steps,
            "measure_every": plan.measure_every,
            # mean m v² of a component that only an explosion reaches, kJ/mol
            "hottest": thermal_energy(hottest(plan.temperature, start.size)),
            # the generalized Langevin equation is written so that velocities need no correction
            "half_kick": 0.0 if model.memory is not None else 0.5 * plan.timestep,
        }
        (folder / "settings.json").write_text(json.dumps(settings, indent=1))
        # by its path: importing the package would load JAX into every process
        return Job((sys.executable, "-P", openmm_worker.__file__), {"OPENMM_CPU_THREADS": str(self.threads)})

    def take(self, folder: Path, plan: Plan, steps: Sequence[int]) -> Frames | None:
        """The frames of these steps, removed from the folder; None while one is not there.

        Args:
            folder: of the draw.
            plan: of the run.
            steps: counted from the end of the warm-up.
        """
        files = [folder / openmm_worker.frame_name(step) for step in steps]
        if not all(file.exists() for file in files):
            return None
        frames = np.stack([np.load(file) for file in files])
        for file in files:
            file.unlink()
        beads = (frames.shape[1] - 1) // 2
        box = None if plan.box is None else frames[:, 0]
        return Frames(frames[:, 1 : beads + 1], frames[:, beads + 1 :], box)

    def failure(self, folder: Path) -> str:
        """The last error of the process, one line.

        Args:
            folder: of the draw.
        """
        file = folder / openmm_worker.ERROR
        return next(iter(file.read_text().splitlines()), "") if file.exists() else ""


def _integrator(model: Model, plan: Plan) -> Any:
    if model.memory is None and plan.thermostat is None and plan.ensemble != "NVE":
        raise BayescgError(
            f"thermostat must be given for {plan.ensemble} where the model has no memory, got None. Take "
            "thermostat='langevin'."
        )
    return openmm_integrator(
        topology=plan.topology,
        temperature=plan.temperature,
        timestep=plan.timestep,
        friction=plan.friction,
        memory=model.memory,
        thermostat=None if plan.ensemble == "NVE" else plan.thermostat,
    )


def _start(
    positions: NumpyArray, plan: Plan, modes: int, random: np.random.Generator
) -> tuple[NumpyArray, NumpyArray, NumpyArray]:
    """Positions; velocities and auxiliary variables from equilibrium, momenta adding up to zero."""
    kT = thermal_energy(plan.temperature)
    masses = np.asarray(plan.topology.masses, float)[:, None]
    momenta = np.sqrt(masses * kT) * random.normal(size=positions.shape)
    if len(positions) > 1:
        momenta -= momenta.mean(axis=0)
    auxiliary = np.sqrt(kT) * random.normal(size=(modes, *positions.shape))
    return np.asarray(positions, float), momenta / masses, auxiliary
