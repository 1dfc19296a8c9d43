"""gromacs: draws of a posterior as folders of tables, topology, structure and settings for GROMACS.

    draw_0000/table.xvg         and table_A_B.xvg for several bead types: GROMACS up to 2019 alone reads them
    draw_0000/table_b0.xvg      and table_a0.xvg, table_d0.xvg: bonds, angles, dihedrals; all versions
    draw_0000/topol.top         masses, bonds, angles, dihedrals, exclusions
    draw_0000/start.gro         a frame of the data
    draw_0000/index.ndx         a group for every bead type
    draw_0000/run.mdp           Langevin dynamics (sd), group scheme, user tables
    draw_0000/run.sh            sh run.sh: gmx grompp, gmx mdrun

A memory is left out: GROMACS has no generalized Langevin equation. Averages over configurations do not
depend on it; dynamics does.
"""

import shlex
import warnings
from pathlib import Path

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, BayescgWarning, positive, whole
from bayescg.export.chosen_draws import ChosenDraws, choose_draws, write_draws
from bayescg.export.curves import Terms, terms_of
from bayescg.export.gromacs_tables import EXTENSION, chain_file, chain_tables, table_files
from bayescg.export.gromacs_topology import index_file, structure_file, topology_file
from bayescg.inference import Problem
from bayescg.interfaces import Topology, type_pairs
from bayescg.numerics.pairs import check_cutoff

FRICTION = 1.0
"""1/ps; of Langevin dynamics, where none is given."""

MDP = """; Tabulated nonbonded interactions: GROMACS up to 2019. Later versions have no group scheme.
integrator       = sd
dt               = {timestep:.8g}
nsteps           = {steps}
nstxout-compressed = {stride}
nstenergy        = {stride}
nstlog           = {stride}
cutoff-scheme    = group
pbc              = xyz
nstlist          = 10
rlist            = {cutoff:.8g}
coulombtype      = user
rcoulomb         = {cutoff:.8g}
vdwtype          = user
rvdw             = {cutoff:.8g}
table-extension  = {extension:.8g}
DispCorr         = no
energygrps       = {groups}
{pairs}tc-grps          = System
ref-t            = {temperature:.8g}
tau-t            = {relaxation:.8g}
gen-vel          = yes
gen-temp         = {temperature:.8g}
gen-seed         = {seed}
ld-seed          = {seed}
comm-mode        = none
"""


def gromacs(
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
    """Write draws of a posterior as folders for GROMACS up to 2019; bonded tables serve later versions too.

    Args:
        problem: that the posterior belongs to; it holds the model and the beads.
        posterior: from `bayescg.sample`.
        folder: existing or new; gets one folder per draw.
        draws: how many, evenly thinned over chains.
        steps: of the run that run.mdp asks for.
        timestep: ps.
        temperature: K; None for that of the data.
        friction: of Langevin dynamics, 1/ps; None for 1.
        seed: of the first draw; the next draws count on.
        group: of the posterior; None for `posterior_sandwich` where there is one, else `posterior`.

    Returns:
        The folders, in the order of the draws.

    Raises:
        BayescgError: a term that no table holds; an open system; another problem's posterior; a bad
            setting; no room for the files.

    Warns:
        BayescgWarning: the model has a memory, which is left out.

    Example:
        >>> import bayescg as bcg, jax, tempfile
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> posterior = bcg.sample(problem, bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first, second = bcg.export.gromacs(problem, posterior, folder, draws=2)
        ...     sorted(path.name for path in first.iterdir())
        ['index.ndx', 'run.mdp', 'run.sh', 'start.gro', 'table.xvg', 'topol.top']
    """
    chosen = choose_draws(problem, posterior, draws=draws, temperature=temperature, group=group)
    if chosen.models[0].memory is not None:
        warnings.warn(
            "the memory is left out of the files for GROMACS, which has no generalized Langevin equation: "
            "structure is that of the model, dynamics is not. For dynamics export to LAMMPS or OpenMM.",
            BayescgWarning,
            stacklevel=2,
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
    start, box, topology = chosen.positions[index], chosen.box, chosen.topology
    if box is None or start.shape[1] != 3:
        raise BayescgError(
            "beads must be in a periodic box of three dimensions to run in GROMACS, got an open system or a "
            "collective variable. Simulate it with engine='jax-md'."
        )
    terms = terms_of(chosen.models[index].potential, program="GROMACS")
    if terms.cutoff > 0:
        check_cutoff(terms.cutoff, np.asarray(box))
    files = table_files(terms, topology)
    settings = MDP.format(
        timestep=timestep,
        steps=steps,
        stride=max(1, steps // 200),
        cutoff=terms.cutoff,
        extension=EXTENSION,
        groups=" ".join(topology.type_names) if len(topology.type_names) > 1 else "System",
        pairs=_pair_line(topology),
        temperature=chosen.temperature,
        relaxation=1 / friction,
        seed=seed,
    )
    return files | {
        "topol.top": topology_file(topology, chain_tables(terms, topology)),
        "start.gro": structure_file(start, box, topology),
        "index.ndx": index_file(topology),
        "run.mdp": settings,
        "run.sh": _commands(terms, topology),
    }


def _pair_line(topology: Topology) -> str:
    """Pairs of groups that have a table of their own; none where there is one type."""
    names = topology.type_names
    if len(names) == 1:
        return ""
    return (
        "energygrp-table  = " + " ".join(f"{names[a]} {names[b]}" for a, b in type_pairs(len(names))) + "\n"
    )


def _commands(terms: Terms, topology: Topology) -> str:
    chains = [shlex.quote(chain_file(table)) for table in chain_tables(terms, topology)]
    bonded = " -tableb " + " ".join(chains) if chains else ""
    return (
        "# tabulated nonbonded interactions: GROMACS up to 2019\n"
        "set -e\n"
        "gmx grompp -f run.mdp -c start.gro -p topol.top -n index.ndx -o run.tpr\n"
        f"gmx mdrun -deffnm run -table table.xvg{bonded}\n"
    )
