"""openmm: draws of a posterior as folders that OpenMM runs as they are.

    draw_0000/system.xml       the potential: an openmm.System in XML
    draw_0000/integrator.xml   the dynamics: the generalized Langevin equation where the model has a memory
    draw_0000/state.xml        start: positions, velocities, box
    draw_0000/start.pdb        names and bonds of the beads, for viewers and trajectories
    draw_0000/run.py           python run.py

What the potential is made of is said in `bayescg.export.openmm_pairs` and `openmm_bonded`: a `PairSpline` of
degree 3 and all bonded terms are exact; other pair potentials differ by the number that run.py states.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayescg._checks import positive, require, whole
from bayescg._typing import NumpyArray
from bayescg.export.chosen_draws import ChosenDraws, choose_draws, write_draws
from bayescg.export.openmm_integrators import auxiliary_count, openmm_integrator
from bayescg.export.openmm_pairs import pair_nodes
from bayescg.export.openmm_system import openmm_system, require_openmm
from bayescg.inference import Problem
from bayescg.interfaces import AbstractPairPotential, LinearSum, Sum, Topology
from bayescg.units import thermal_energy

FRICTION = 1.0
"""1/ps; of Langevin dynamics, where none is given."""

RUN = '''"""Run this draw in OpenMM: python run.py [steps]

{about}
Units are OpenMM's: nm, ps, amu, K, kJ/mol.
"""

import sys
from pathlib import Path

import numpy as np
import openmm
from openmm import app

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else {steps}
here = Path(__file__).parent

system = openmm.XmlSerializer.deserialize((here / "system.xml").read_text())
integrator = openmm.XmlSerializer.deserialize((here / "integrator.xml").read_text())
pdb = app.PDBFile(str(here / "start.pdb"))
simulation = app.Simulation(pdb.topology, system, integrator)
simulation.loadState(str(here / "state.xml"))
{auxiliary}simulation.reporters.append(app.DCDReporter(str(here / "trajectory.dcd"), max(1, STEPS // 200)))
columns = {{"step": True, "time": True, "potentialEnergy": True, "temperature": True, "speed": True}}
simulation.reporters.append(app.StateDataReporter(sys.stdout, max(1, STEPS // 20), **columns))
simulation.step(STEPS)
simulation.saveState(str(here / "end.xml"))
'''

AUXILIARY = """# the variables of the memory, at equilibrium
random = np.random.default_rng({seed})
for mode in range(1, {modes} + 1):
    values = {width!r}*random.normal(size=(system.getNumParticles(), 3))
    integrator.setPerDofVariableByName(f"z{{mode}}", values.tolist())
"""


def openmm(
    problem: Problem,
    posterior: xr.DataTree,
    folder: str | Path,
    *,
    draws: int = 32,
    steps: int = 20_000,
    timestep: float = 0.005,
    temperature: float | None = None,
    friction: float | None = None,
    seed: int = 1,
    group: str | None = None,
) -> tuple[Path, ...]:
    """Write draws of a posterior as folders that `python run.py` runs in OpenMM.

    Every draw begins with a frame of the data of its own. Its dynamics is the generalized Langevin equation
    where the model has a memory, else Langevin's.

    Args:
        problem: that the posterior belongs to; it holds the model and the beads.
        posterior: from `bayescg.sample`.
        folder: existing or new; gets one folder per draw.
        draws: how many, evenly thinned over chains.
        steps: that run.py takes where it is not told.
        timestep: ps.
        temperature: K; None for that of the data.
        friction: of Langevin dynamics, 1/ps; None for 1, or for the memory where the model has one.
        seed: of the first draw; the next draws count on.
        group: of the posterior; None for `posterior_sandwich` where there is one, else `posterior`.

    Returns:
        The folders, in the order of the draws.

    Raises:
        BayescgError: OpenMM is missing; a term that is neither a pair potential nor bonded; a memory of
            pairs; beads not in space; another problem's posterior; a bad setting; no room for the files.

    Example:
        >>> import bayescg as bcg, jax, tempfile
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> posterior = bcg.sample(problem, bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first, second = bcg.export.openmm(problem, posterior, folder, draws=2)
        ...     sorted(path.name for path in first.iterdir())
        ['integrator.xml', 'run.py', 'start.pdb', 'state.xml', 'system.xml']
    """
    require_openmm()
    chosen = choose_draws(problem, posterior, draws=draws, temperature=temperature, group=group)
    require(
        chosen.models[0].memory is None or friction is None,
        f"friction must not be given where the model has a memory, got {friction} 1/ps. Leave it out: the "
        "memory is friction and noise.",
    )
    settings = {
        "timestep": positive("timestep", timestep, unit="ps"),
        "friction": positive("friction", FRICTION if friction is None else friction, unit="1/ps"),
        "steps": whole("steps", steps),
    }
    first = whole("seed", seed)
    return write_draws(folder, draws, lambda index: _files(chosen, index, seed=first + index, **settings))


def _files(
    chosen: ChosenDraws, index: int, *, timestep: float, friction: float, steps: int, seed: int
) -> dict[str, str]:
    """Text of every file of one draw."""
    openmm = require_openmm()
    model, start, box = chosen.models[index], chosen.positions[index], chosen.box
    topology, temperature = chosen.topology, chosen.temperature
    require(
        start.shape[1] == 3,
        f"beads must be in three dimensions for OpenMM, got {start.shape[1]}. Simulate them with "
        "engine='jax-md'.",
    )
    system = openmm_system(model.potential, topology, box)
    settings = {"topology": topology, "temperature": temperature, "timestep": timestep}
    integrator = openmm_integrator(**settings, friction=friction, memory=model.memory)
    integrator.setRandomNumberSeed(seed)
    modes = auxiliary_count(integrator)
    width = thermal_energy(temperature) ** 0.5
    auxiliary = AUXILIARY.format(modes=modes, width=width, seed=seed) if modes else ""
    return {
        "system.xml": openmm.XmlSerializer.serialize(system),
        "integrator.xml": openmm.XmlSerializer.serialize(integrator),
        "state.xml": _state(system, start, temperature, seed),
        "start.pdb": _pdb(start, box, topology),
        "run.py": RUN.format(
            about=_about(model.potential, topology, modes), steps=steps, auxiliary=auxiliary
        ),
    }


def _state(system: Any, start: NumpyArray, temperature: float, seed: int) -> str:
    """Positions and velocities at the temperature, in full precision."""
    openmm = require_openmm()
    platform = openmm.Platform.getPlatformByName("Reference")
    # an integrator that does not leap, so that velocities belong to the time of the positions
    context = openmm.Context(system, openmm.CustomIntegrator(0.001), platform)
    context.setPositions(start)
    context.setVelocitiesToTemperature(temperature, seed)
    return openmm.XmlSerializer.serialize(context.getState(getPositions=True, getVelocities=True))


def _pdb(start: NumpyArray, box: NumpyArray | None, topology: Topology) -> str:
    """Names and bonds; positions to 0.0001 nm."""
    from openmm import app
    from openmm.unit import nanometer  # pyright: ignore[reportAttributeAccessIssue]

    beads = app.Topology()
    chain, residue, atoms, taken = beads.addChain(), None, [], set()
    molecules = np.asarray(topology.molecules)
    for bead, kind in enumerate(np.asarray(topology.types).tolist()):
        if bead == 0 or molecules[bead] != molecules[bead - 1]:
            residue, taken = beads.addResidue("CG", chain), set()
        taken.add(name := _free_name(topology.type_names[kind], taken))
        atoms.append(beads.addAtom(name, None, residue))
    for first, second in np.asarray(topology.bonds).tolist():
        beads.addBond(atoms[first], atoms[second])
    if box is not None:
        beads.setUnitCellDimensions(np.asarray(box, float) * nanometer)
    text = io.StringIO()
    app.PDBFile.writeFile(beads, start * nanometer, text)
    return text.getvalue()


def _free_name(name: str, taken: set[str]) -> str:
    """Four characters that no other bead of the molecule has: of two alike, a PDB reader drops one."""
    candidates = (name[: 4 - len(end)] + end for end in ("", *map(str, range(2, 10_000))))
    return next((candidate for candidate in candidates if candidate not in taken), name[:4])


def _about(potential: Any, topology: Topology, modes: int) -> str:
    """What run.py says of the files."""
    terms = potential.terms if isinstance(potential, Sum | LinearSum) else (potential,)
    kinds = len(topology.type_names)
    error = sum(pair_nodes(term, kinds).error for term in terms if isinstance(term, AbstractPairPotential))
    motion = f"generalized Langevin dynamics ({modes} modes of memory)" if modes else "Langevin dynamics"
    accuracy = (
        f"to within {error:.1e} kJ/mol/nm, where the energy of a pair is below 50 kJ/mol"
        if error
        else "exactly"
    )
    return (
        f"{len(topology.masses)} coarse-grained beads, {motion}. Forces between pairs are\n"
        f"those of the draw {accuracy}."
    )
