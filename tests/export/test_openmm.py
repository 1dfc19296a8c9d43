"""Models in OpenMM itself: energies and forces, the core, exclusions, errors, and folders that run."""

import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest

from bayescg import data, export, potentials
from bayescg._checks import BayescgError
from bayescg.configuration import Configuration
from bayescg.export.openmm_pairs import pair_nodes
from bayescg.export.openmm_system import openmm_system
from bayescg.interfaces import Support, Topology
from bayescg.memory import Pairwise, Prony
from bayescg.model import parameters, with_values
from bayescg.numerics.pairs import neighbor_matrix, pairs_within
from tests import bonded_chains as chains

ROUNDING = 1e-9
"""Of sums of a few thousand terms up to 1e4 in double precision, times a hundred."""


def ours(potential, x, box, topology):
    neighbors = np.zeros((len(x), 0), np.int32)
    if potential.cutoff:
        pairs = pairs_within(x, box, potential.cutoff, excluded=np.asarray(topology.excluded))
        neighbors = neighbor_matrix(pairs, len(x))
    configuration = Configuration(jnp.asarray(x), jnp.asarray(box), jnp.asarray(neighbors), topology)
    energy, forces = _evaluate(potential, configuration)
    return float(energy), np.asarray(forces)


@eqx.filter_jit
def _evaluate(potential, configuration):
    return potential.energy(configuration), potential.forces(configuration)


def theirs(system, x):
    # through XML, as a user has it
    system = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(x)
    state = context.getState(getEnergy=True, getForces=True)
    return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value


def largest_difference(potential, x, box, topology, system=None):
    energy, forces = ours(potential, x, box, topology)
    system = openmm_system(potential, topology, box) if system is None else system
    their_energy, their_forces = theirs(system, x)
    scale = np.abs(forces).max()
    return max(abs(their_energy - energy) / scale, np.abs(their_forces - forces).max() / scale)


@pytest.fixture(scope="module")
def exact():
    """Every term that OpenMM can hold without an error of interpolation."""
    return chains.total(potentials.PairSpline(cutoff=0.9, knots=12), *chains.BONDED)


def test_every_term_of_chains_is_exact_in_openmm(exact):
    assert largest_difference(exact, chains.positions(), chains.BOX, chains.topology()) < ROUNDING


def test_a_wrong_number_or_a_lost_exclusion_is_seen(exact):
    """Negative control of the comparison: 1e-4 of coefficients, and one pair of thousands."""
    x, topology = chains.positions(), chains.topology()
    path, value = next(iter(parameters(exact).items()))
    other = with_values(exact, {path: np.asarray(value) * (1 + 1e-4)})
    wrong = openmm_system(other, topology, chains.BOX)
    assert largest_difference(exact, x, chains.BOX, topology, wrong) > 1e3 * ROUNDING
    lost = eqx.tree_at(lambda t: t.excluded, topology, topology.excluded.at[0, 0].set(60).at[1, 0].set(60))
    unexcluded = openmm_system(exact, lost, chains.BOX)
    assert largest_difference(exact, x, chains.BOX, topology, unexcluded) > 1e3 * ROUNDING


@pytest.mark.parametrize(
    "potential",
    [
        potentials.PairSpline(cutoff=0.9, knots=24),
        potentials.PairSpline(cutoff=0.9, knots=24, degree=4),
        potentials.LennardJones(0.65, 0.28, 0.9),
    ],
    ids=["exact", "quartic", "closed form"],
)
def test_forces_on_water_are_as_accurate_as_the_table_says(potential):
    water = data.water(frames=2)
    topology = data.topology(water)
    x, box = (water[name].to_numpy()[1].astype(float) for name in ("position", "box"))
    ready = potential.prepare(Support(("SOL",), (0.26,), thermal_energy=2.5))
    if isinstance(ready, potentials.PairSpline):
        bumps = np.random.default_rng(0).normal(size=ready.coefficients.shape)
        ready = with_values(ready, {"coefficients": bumps})
    _, forces = ours(ready, x, box, topology)
    _, their_forces = theirs(openmm_system(ready, topology, box), x)
    stated = pair_nodes(ready, 1).error
    # the errors of some 100 neighbours have all signs
    assert np.abs(their_forces - forces).max() < 10 * stated + ROUNDING * np.abs(forces).max()
    assert stated < 1e-3


def test_the_core_and_the_cutoff_are_those_of_the_spline():
    spline = potentials.PairSpline(cutoff=0.9, knots=12).prepare(Support(("A",), (0.3,)))
    spline = with_values(spline, {"coefficients": np.random.default_rng(0).normal(size=(1, 11))})
    topology = Topology(jnp.zeros(2, int), jnp.ones(2), jnp.arange(2), jnp.zeros((0, 2), int), ("A",))
    system = openmm_system(spline, topology, None)
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    distances = np.array([0.01, 0.2, 0.299, 0.3, 0.301, 0.6, 0.899, 0.9, 1.5])
    found = []
    for r in distances:
        context.setPositions([[0, 0, 0], [r, 0, 0]])
        found.append(context.getState(getEnergy=True).getPotentialEnergy()._value)
    energy = jax.jit(jax.vmap(lambda r: spline.pair_energy(r, jnp.array(0), jnp.array(0))))
    expected = energy(jnp.asarray(distances))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert found[0] > found[1] > found[2]
    assert found[-1] == 0


@pytest.mark.parametrize(
    ("potential", "memory", "said"),
    [
        (potentials.StillingerWeber(), None, "StillingerWeber"),
        (
            potentials.LennardJones(0.5, 0.3, 0.9),
            Pairwise(Prony(1, times=[0.1], frictions=[9.0]), 0.6),
            "Pairwise",
        ),
    ],
)
def test_what_openmm_cannot_run_is_named(potential, memory, said, tmp_path):
    sum_of_terms = chains.total(potentials.HarmonicBond(), potential)
    problem, posterior = chains.problem_and_posterior(sum_of_terms, memory)
    with pytest.raises(BayescgError, match=said):
        export.openmm(problem, posterior, tmp_path, draws=1)


def test_a_missing_openmm_is_named(exact, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openmm", None)
    with pytest.raises(BayescgError, match=r"pip install 'bayescg\[openmm\]'"):
        export.openmm(*chains.problem_and_posterior(exact), tmp_path, draws=1)


def test_a_folder_runs_as_it_is(tmp_path):
    """With a memory and beads of two masses; the state at the start is a frame of the data, bit for bit."""
    spline = chains.total(
        potentials.PairSpline(cutoff=0.9, knots=12),
        potentials.HarmonicBond(),
        potentials.HarmonicAngle(),
        size=0.1,
    )
    memory = Prony(2, times=[0.05, 0.5], frictions=[40.0, 60.0])
    problem, posterior = chains.problem_and_posterior(spline, memory)
    first, second = export.openmm(problem, posterior, tmp_path, draws=2, timestep=0.001, seed=7)
    assert (first / "system.xml").read_text() != (second / "system.xml").read_text()
    state = openmm.XmlSerializer.deserialize((second / "state.xml").read_text())
    np.testing.assert_array_equal(state.getPositions(asNumpy=True)._value, problem.beads["position"][3])
    done = subprocess.run([sys.executable, "run.py", "100"], cwd=second, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = np.loadtxt(done.stdout.splitlines(), delimiter=",", skiprows=1)
    assert table[-1, 0] == 100
    assert np.isfinite(table).all()
    assert (second / "trajectory.dcd").exists()
