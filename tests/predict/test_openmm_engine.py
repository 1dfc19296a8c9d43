"""OpenMM as the engine: its motion is the model's, at the times that it says."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.dynamics import simulate_ensemble
from bayescg.interfaces import Sampled, Support, Topology
from bayescg.model import Model
from bayescg.numerics.host_loop import HostLoop
from bayescg.observables import RDF, VACF
from bayescg.predict import openmm_worker
from bayescg.predict.engines import simulate_in_program
from bayescg.predict.external import Plan
from bayescg.predict.openmm_engine import OpenMM
from bayescg.predict.ratio import ratio_of_sums
from bayescg.units import thermal_energy
from tests import bonded_chains as chains

QUIET = HostLoop(progress=False)
MASSES = np.array([12.0, 40.0])
MEMORY = bcg.memory.Prony(modes=1, times=[0.1], frictions=[60.0]) + bcg.memory.Markovian(friction=30.0)


def gas(beads, edge, draws=1):
    """Beads of two masses that do not see each other."""
    nothing, kinds = jnp.zeros((0, 2), int), jnp.arange(beads) % 2
    topology = Topology(kinds, jnp.asarray(MASSES)[kinds], jnp.arange(beads), nothing, ("A", "B"))
    # a cutoff that fits the box: OpenMM divides space into cells of its size
    far = bcg.potentials.LennardJones(1e-9, 1e-3, 0.8).prepare(Support(("A", "B"), (0.001,) * 3))
    start = np.random.default_rng(0).uniform(0, edge, size=(draws, beads, 3))
    return {"models": [Model(far)] * draws, "start": start, "box": np.full(3, edge), "topology": topology}


def moved(system, **settings):
    defaults = {
        "temperature": 300.0,
        "timestep": 0.01,
        "steps": 3000,
        "equilibration": 150,
        "measure_every": 3,
        "observables": [VACF(maximum=0.3, by_type=True)],
        "key": jax.random.key(0),
        "loop": QUIET,
        "records": 50,
    }
    return simulate_in_program(OpenMM(), **system, **(defaults | settings))


def correlation(run, draw=0):
    """Velocity correlation and its standard error, (type, lag), from blocks without the first two."""
    return ratio_of_sums(
        *(run[f"velocity_correlation_{part}"].values[draw, 2:] for part in ("sum", "weight"))
    )


def test_free_beads_forget_their_velocity_as_the_memory_says():
    """Against exp(-A t) C of (v, z); a curve of the wrong mass is seen."""
    system = gas(60, 3.0)
    system["models"] = [Model(model.potential, MEMORY) for model in system["models"]]
    run = moved(system)
    found, lags = correlation(run), run["lag_time"].values
    exact = []
    for mass in MASSES:
        A, _, C = (np.asarray(part) for part in bcg.memory.extended_drift(MEMORY, mass, 300.0))
        exact.append([3 * (expm(-A * t) @ C)[0, 0] for t in lags])
    close = np.abs(found.value - exact) < 5 * found.error
    swapped = np.abs(found.value - exact[::-1]) < 5 * found.error
    assert close.all()
    assert not swapped.all()
    assert (found.error < 0.1 * np.max(exact)).all()  # the comparison means something


def dimer():
    """Two beads on a spring, stretched, without heat: its motion is known step by step."""
    sampled = Sampled("bond", (0, 1), 0.2, 0.3, 0.25, 900.0)
    spring = bcg.potentials.HarmonicBond().prepare(Support(("A", "B"), (0.2,) * 3, internal=(sampled,)))
    ends = jnp.array([[0, 1]])
    topology = Topology(jnp.arange(2), jnp.asarray(MASSES), jnp.zeros(2, int), ends, ("A", "B"))
    return Model(spring), topology, np.array([[0.0, 0.0, 0.0], [0.35, 0.0, 0.0]])


def verlet(x, steps, timestep, *, stiffness=900.0, rest=0.25):
    """Velocity Verlet from rest: positions and velocities of the same times."""

    def force(x):
        pull = stiffness * (x[1] - x[0] - rest)
        return np.array([pull, -pull])

    v, rows = np.zeros(2), []
    for _ in range(steps):
        v = v + 0.5 * timestep * force(x) / MASSES
        x = x + timestep * v
        v = v + 0.5 * timestep * force(x) / MASSES
        rows.append((x, v))
    return np.array(rows)


@pytest.mark.parametrize(
    "thermostat", [{"ensemble": "NVE", "thermostat": None}, {"friction": 1e-12}], ids=["verlet", "langevin"]
)
def test_velocities_belong_to_the_times_of_the_positions(tmp_path, thermostat):
    """Velocity Verlet, step by step, from velocities of the time of the start."""
    model, topology, start = dimer()
    settings = {"temperature": 1e-20, "timestep": 0.02, "measure_every": 1, "measurements": 20, "records": 1}
    plan = Plan(topology, None, warmup=0, **settings, **thermostat)
    engine = OpenMM(platform="Reference")
    engine.prepare(tmp_path, model, start, plan, seed=1)
    settings = tmp_path / "settings.json"
    # nothing is hot enough for a limit of 1e-18 K
    settings.write_text(settings.read_text().replace('"hottest": ', '"hottest": 1e9, "was": '))
    openmm_worker.run(tmp_path)
    frames = engine.take(tmp_path, plan, list(plan.measured_steps))
    expected = verlet(start[:, 0], 20, 0.02)
    np.testing.assert_allclose(frames.positions[..., 0], expected[:, 0], atol=1e-9)
    np.testing.assert_allclose(frames.velocities[..., 0], expected[:, 1], atol=1e-9)
    # those of half a step before would be seen
    earlier = 0.5 * (expected[1:, 1] + expected[:-1, 1])
    assert np.abs(earlier - expected[1:, 1]).max() > 1e-2
    assert not list(tmp_path.glob("frame_*"))


def test_few_beads_of_constant_momentum_have_the_temperature():
    """Of six beads the centre takes a sixth of the degrees of freedom: 60 K, were they miscounted."""
    settings = {"thermostat": "nose-hoover", "friction": 5.0, "steps": 10_000, "measure_every": 25}
    run = moved(gas(6, 3.0), observables=[], records=20, **settings)
    blocks = run["kinetic_temperature"].values[0]
    error = blocks.std(ddof=1) / np.sqrt(len(blocks))
    assert abs(blocks.mean() - 300.0) < 4 * error
    assert error < 15.0


def test_an_ideal_gas_has_the_volume_of_its_pressure(tmp_path):
    """<V> = (N + 1) kT/P, volumes of a gas at constant pressure being gamma distributed."""
    system, beads, pressure = gas(12, 2.6), 12, 30.0
    plan = Plan(
        system["topology"], system["box"], 300.0, 0.01, 25, 600, 0, 1, 5.0, "NPT", "langevin", pressure
    )
    engine = OpenMM(platform="Reference")
    engine.prepare(tmp_path, system["models"][0], system["start"][0], plan, seed=3)
    openmm_worker.run(tmp_path)
    frames = engine.take(tmp_path, plan, list(plan.measured_steps))
    volumes = np.prod(frames.box, axis=1)[100:].reshape(10, -1).mean(axis=1)
    exact = (beads + 1) * thermal_energy(300.0) / (pressure * 0.0602214076)
    error = volumes.std(ddof=1) / np.sqrt(10)
    assert abs(volumes.mean() - exact) < 4 * error
    assert error < 0.1 * exact
    # positions are unwrapped: no bead jumps by the box between frames 0.25 ps apart
    assert np.abs(np.diff(frames.positions, axis=0)).max() < 1.3


@pytest.fixture(scope="module")
def fluid():
    """A dense fluid with a memory, run by both programs."""
    edge, side = 1.6, 4
    line = (np.arange(side) + 0.5) * edge / side
    start = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(1, -1, 3)
    beads = start.shape[1]
    topology = Topology(
        jnp.zeros(beads, int), jnp.full(beads, 20.0), jnp.arange(beads), jnp.zeros((0, 2), int), ("A",)
    )
    potential = bcg.potentials.LennardJones(1.0, 0.34, 0.79).prepare(Support(("A",), (0.3,)))
    memory = bcg.memory.Prony(modes=1, times=[0.1], frictions=[80.0])
    settings = {
        "box": np.full(3, edge),
        "topology": topology,
        "temperature": 300.0,
        "timestep": 0.005,
        "steps": 4800,
        "equilibration": 1000,
        "observables": [RDF(bins=20, maximum=0.8), VACF(maximum=0.2)],
        "measure_every": 4,
        "key": jax.random.key(2),
        "loop": QUIET,
        "records": 30,
    }
    return [Model(potential, memory)] * 2, np.repeat(start, 2, axis=0), settings


def test_a_fluid_with_memory_is_that_of_jax_md(fluid):
    """Distances, velocities over time and temperature, to the error of both."""
    models, start, settings = fluid
    runs = [
        simulate_in_program(OpenMM(), models, start, **settings),
        simulate_ensemble(models, start, **settings),
    ]
    names = "radial_distribution", "velocity_correlation", "kinetic_temperature"
    for name in names:
        blocks = [run[name].values.reshape(60, -1) for run in runs]
        means = [block.mean(axis=0) for block in blocks]
        # neighbouring blocks are 1 ps long, several times what distances and velocities are correlated over
        errors = [block.std(axis=0, ddof=1) / np.sqrt(60) for block in blocks]
        error = np.hypot(*errors)
        assert (np.abs(means[0] - means[1]) < 5 * error + 1e-12).all(), name
        assert (error < 0.05 * np.abs(means[1]).max()).all(), name


def test_a_draw_that_explodes_is_named_and_others_survive(fluid):
    models, start, settings = fluid
    settings = settings | {
        "steps": 60,
        "equilibration": 0,
        "records": 5,
        "observables": [RDF(bins=20, maximum=0.8)],
    }
    bad = eqx.tree_at(lambda m: m.potential.epsilon, models[0], jnp.full(1, 1e7))
    run = simulate_in_program(OpenMM(), [models[0], bad], start + [[[0.0]], [[0.01]]] * start, **settings)
    failed = run["failure"].values if "failure" in run else np.array(["", ""])
    assert failed[0] == ""
    assert "explosion" in failed[1] or run["exploded_step"].values[1] >= 0
    assert np.isfinite(run["radial_distribution"].values[0]).all()
    assert np.isnan(run["radial_distribution"].values[1]).any()


def test_simulate_takes_openmm_by_its_name():
    spline = chains.total(
        bcg.potentials.PairSpline(cutoff=0.9, knots=12), bcg.potentials.HarmonicBond(), size=0.1
    )
    problem, posterior = chains.problem_and_posterior(spline)
    simulated = bcg.simulate(
        problem,
        posterior,
        draws=2,
        steps=40,
        timestep=0.001,
        engine="openmm",
        observables=[RDF(bins=10, maximum=0.9)],
        key=jax.random.key(0),
        progress=False,
    )
    assert simulated.attrs["engine"] == "openmm"
    assert simulated["posterior_predictive"].sizes["draw"] == 2
    assert np.isfinite(simulated["posterior_predictive"]["radial_distribution"]).all()


def test_what_openmm_cannot_do_is_said_before_anything_runs():
    system = gas(4, 3.0)
    with pytest.raises(BayescgError, match="'csvr'"):
        moved(system, thermostat="csvr", friction=1.0)
    with pytest.raises(BayescgError, match="platform must be one of"):
        OpenMM(platform="Abacus").check(system["models"], SimpleNamespace())
