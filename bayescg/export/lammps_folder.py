"""lammps: draws of a posterior as folders that LAMMPS runs as they are.

Every folder (`draw_0000`, ...) holds

- `input.lammps`, for `lmp -in input.lammps`;
- `data.lammps`: masses, box, beads, bonds, angles, dihedrals;
- `pair.table`, and `bond.table`, `angle.table`, `dihedral.table` where there are such energies;
- `memory_1.A` and `memory_1.C`, the matrices of `fix gle` of one mass, where the model has a memory.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, positive, require, whole
from bayescg._typing import Float, NumpyArray
from bayescg.data import topology as topology_of
from bayescg.export.curves import Terms, terms_of
from bayescg.export.lammps_data import data_file
from bayescg.export.lammps_gle import gle_matrix, matrix_text
from bayescg.export.lammps_input import (
    LARGEST_SEED,
    Integration,
    check_integration,
    force_field_lines,
    motion_lines,
)
from bayescg.export.lammps_system import LammpsSystem, lammps_system
from bayescg.export.lammps_tables import POINTS, table_files
from bayescg.inference import Problem, check_same_problem, models_of, select_draws, spread_frames
from bayescg.interfaces import Topology
from bayescg.model import Model
from bayescg.potentials import at_temperature
from bayescg.potentials.thermodynamic import depends_on_temperature

INPUT = "input.lammps"

BOND_ROOM = 1.5
"""Times the longest distance in a chain at the start that LAMMPS looks for its beads."""


class Written(NamedTuple):
    """A folder that LAMMPS can run.

    Attributes:
        folder: it.
        system: types and chains as LAMMPS counts them.
        terms: what the tables hold.
    """

    folder: Path
    system: LammpsSystem
    terms: Terms


def lammps(
    problem: Problem,
    posterior: xr.DataTree,
    folder: str | Path,
    *,
    draws: int = 32,
    steps: int = 20_000,
    timestep: float = 0.005,
    temperature: float | None = None,
    friction: float | None = None,
    ensemble: str = "NVT",
    thermostat: str | None = None,
    pressure: float | None = None,
    seed: int = 1,
    points: int = POINTS,
    group: str | None = None,
) -> tuple[Path, ...]:
    """Write draws of a posterior as folders that `lmp -in input.lammps` runs.

    The files are in units "real" (Å, fs, kcal/mol, g/mol, atm). Pair, bond, angle and dihedral energies
    become tables; a memory becomes the matrices of `fix gle`; pairs without a nonbonded energy are left out
    through `special_bonds`. Every draw begins with a frame of the data of its own. A dihedral does not fade
    where three of its beads lie in a line, as it does in bayescg.

    Args:
        problem: that the posterior belongs to; it holds the model and the beads, which a posterior does not.
        posterior: from `bayescg.sample`.
        folder: existing or new; gets one folder per draw.
        draws: how many, evenly thinned over chains.
        steps: of the run that the input file asks for.
        timestep: ps.
        temperature: K; None for that of the data.
        friction: of the thermostat, 1/ps; None for 1, or for the memory where the model has one.
        ensemble: "NVT", "NVE" or "NPT".
        thermostat: "langevin", "nose-hoover" or "csvr"; None for Langevin's, or the memory.
        pressure: bar; for NPT.
        seed: of the first draw, the next draws count on.
        points: of every table.
        group: of the posterior; None for `posterior_sandwich` where there is one, else `posterior`.

    Returns:
        The folders, in the order of the draws.

    Raises:
        BayescgError: a potential or memory that LAMMPS's tables and fixes cannot hold, beads in an open
            system, another problem's posterior, a bad setting, files that cannot be written.

    Example:
        >>> import bayescg as bcg, jax, tempfile
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> posterior = bcg.sample(problem, bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first, second = bcg.export.lammps(problem, posterior, folder, draws=2)
        ...     sorted(path.name for path in first.iterdir())
        ['data.lammps', 'input.lammps', 'pair.table']
    """
    check_same_problem(problem, posterior)
    chosen = select_draws(posterior, draws=draws, group=group)
    models = models_of(problem, chosen)
    memory = models[0].memory is not None
    _check_temperature(models[0], temperature)
    integration = Integration(
        positive("temperature", problem.temperature if temperature is None else temperature, unit="K"),
        timestep,
        ensemble,
        None if memory or ensemble == "NVE" else thermostat or "langevin",
        None if memory else friction or 1.0,
        pressure,
    )
    if memory and (friction is not None or thermostat is not None):
        raise BayescgError(
            "friction and thermostat must not be given where the model has a memory, got "
            f"{friction} and {thermostat!r}. Leave them out: the memory is friction and noise."
        )
    seed = whole("seed", seed)
    run = [f"thermo {max(1, whole('steps', steps) // 20)}", f"run {steps}"]
    _, positions, box = spread_frames(problem.beads, len(models))
    beads, paths = topology_of(problem.beads), []
    for index, (model, start) in enumerate(zip(models, positions, strict=True)):
        own = Path(folder) / f"draw_{index:04d}"
        moved = integration._replace(seed=(seed + 100 * index - 1) % LARGEST_SEED + 1)
        paths.append(write_folder(own, model, start, box, beads, moved, run=run, points=points).folder)
    return tuple(paths)


def write_folder(
    folder: Path,
    model: Model,
    start: Float[NumpyArray, "bead dim"],
    box: Float[NumpyArray, " dim"] | None,
    topology: Topology,
    integration: Integration,
    *,
    run: Sequence[str],
    points: int = POINTS,
    velocities: Float[NumpyArray, "bead dim"] | None = None,
) -> Written:
    """Write one model as a folder that LAMMPS runs.

    Args:
        folder: existing or new.
        model: with its parameters allocated.
        start: positions, nm.
        box: edge lengths, nm.
        topology: types, masses, chains, exclusions.
        integration: equations of motion.
        run: last commands of the input file.
        points: of every table.
        velocities: nm/ps, written into the data file; the input file draws others unless `run` is all that
            follows the force field.

    Raises:
        BayescgError: an open system, a term that no table holds, a combination that LAMMPS cannot do, or a
            file that cannot be written.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp, tempfile
        >>> argon = bcg.Model(bcg.potentials.LennardJones([0.997], [0.34], 0.9, ("Ar",)))
        >>> nothing = jnp.zeros((0, 2), int)
        >>> beads = Topology(jnp.zeros(1, int), jnp.full(1, 39.9), jnp.zeros(1, int), nothing, ("Ar",))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     x, edges, motion = np.zeros((1, 3)), np.full(3, 2.0), Integration(300.0, 0.005)
        ...     write_folder(Path(folder), argon, x, edges, beads, motion, run=["run 0"]).terms.cutoff
        0.9
    """
    check_integration(integration, memory=model.memory is not None)
    if box is None or np.shape(start)[1] != 3:
        raise BayescgError(
            "beads must be in a periodic box of three dimensions to run in LAMMPS, got an open system or a "
            "collective variable. Simulate it with engine='jax-md'."
        )
    potential = at_temperature(model.potential, integration.temperature)
    terms = terms_of(potential, program="LAMMPS")
    system = lammps_system(topology, terms)
    files = table_files(terms, system, points=points)
    files["data.lammps"] = data_file(system, np.asarray(start), np.asarray(box), velocities)
    matrices, modes = _memory(model, system, integration, files)
    lines = force_field_lines(system, terms, _reach(system, start, box), points=points)
    lines += motion_lines(system, integration, matrices, modes)
    files[INPUT] = "\n".join([*lines, *run, ""])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    except OSError as error:
        raise BayescgError(
            f"folder {folder} cannot be written: {error}. Free some space, or give another folder."
        ) from error
    return Written(folder, system, terms)


def _memory(
    model: Model, system: LammpsSystem, integration: Integration, files: dict[str, str]
) -> tuple[dict[float, str] | None, int]:
    """The matrices of every mass, added to the files; and the number of modes."""
    if model.memory is None:
        return None, 0
    names, modes = {}, 0
    for number, mass in enumerate(sorted({mass for _, mass in system.types}), 1):
        matrix = gle_matrix(model.memory, mass, timestep=integration.timestep)
        names[mass], modes = f"memory_{number}.A", len(matrix) - 1
        files[names[mass]] = matrix_text(matrix, f"drift matrix A of beads of {mass:.12g} g/mol, 1/fs")
        covariance = integration.temperature * np.eye(len(matrix))
        title = "covariance C at equilibrium, K, which fix gle takes by itself"
        files[f"memory_{number}.C"] = matrix_text(covariance, title)
    return names, modes


def _reach(system: LammpsSystem, start: NumpyArray, box: NumpyArray) -> float:
    """Distance within which the beads of every chain are to be looked for, nm."""
    longest = 0.0
    for chains in system.chains:
        ends = start[chains.members]
        steps = np.diff(ends, axis=1)
        steps -= box * np.round(steps / box)
        longest = max(longest, float(np.linalg.norm(steps, axis=2).sum(axis=1).max()))
    return BOND_ROOM * longest


def _check_temperature(model: Model, temperature: float | None) -> None:
    require(
        temperature is not None or not depends_on_temperature(model.potential),
        "temperature must be given where the potential is a Thermodynamic, got None. Give one in kelvin, as "
        "in temperature=320.0.",
    )
