"""LAMMPS as the engine: what it moves beads by is the model's own equation of motion."""

import json
import shutil
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy.linalg import expm

import bayescg as bcg
from bayescg.dynamics import simulate_ensemble
from bayescg.interfaces import Support, Topology
from bayescg.model import Model
from bayescg.numerics.host_loop import HostLoop
from bayescg.observables import RDF, VACF
from bayescg.predict.engines import simulate_in_program
from bayescg.predict.external import AbstractExternalEngine
from bayescg.predict.lammps_engine import Lammps
from bayescg.predict.ratio import ratio_of_sums
from bayescg.units import thermal_energy

QUIET = HostLoop(progress=False)
MASSES = np.array([12.0, 40.0])
MEMORY = bcg.memory.Prony(modes=1, times=[0.1], frictions=[60.0]) + bcg.memory.Markovian(friction=30.0)
KT = thermal_energy(300.0)


def gas(beads, edge):
    """Beads of two masses that do not see each other."""
    nothing, kinds = jnp.zeros((0, 2), int), jnp.arange(beads) % 2
    topology = Topology(kinds, jnp.asarray(MASSES)[kinds], jnp.arange(beads), nothing, ("A", "B"))
    far = bcg.potentials.LennardJones(1e-9, 1e-3, 0.01).prepare(Support(("A", "B"), (0.001,) * 3))
    start = np.random.default_rng(0).uniform(0, edge, size=(1, beads, 3))
    return {"models": [Model(far)], "start": start, "box": np.full(3, edge), "topology": topology}


def moved(system, engine, **settings):
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
    return simulate_in_program(engine, **system, **(defaults | settings))


def correlation(run, draw=0):
    """Velocity correlation and its standard error, (type, lag), from blocks without the first two."""
    blocks = (run[f"velocity_correlation_{part}"].values[draw, 2:] for part in ("sum", "weight"))
    return ratio_of_sums(*blocks)


def exact(memory, mass, lags):
    """<v(0).v(t)> of a free bead: the upper left element of exp(-A t) C in the variables (v, z)."""
    A, _, C = (np.asarray(part) for part in bcg.memory.extended_drift(memory, mass, 300.0))
    return np.array([3 * (expm(-A * t) @ C)[0, 0] for t in lags])


class WithoutMass(AbstractExternalEngine):
    """LAMMPS with the matrix of the first mass for all beads."""

    name: str = eqx.field(static=True, default="without_mass")

    def check(self, models, plan):
        Lammps().check(models, plan)

    def prepare(self, folder, model, start, plan, *, seed):
        job = Lammps().prepare(folder, model, start, plan, seed=seed)
        shutil.copyfile(folder / "memory_1.A", folder / "memory_2.A")
        return job

    def take(self, folder, plan, steps):
        return Lammps().take(folder, plan, steps)

    def failure(self, folder):
        return Lammps().failure(folder)


def worst(run, memory):
    """Largest deviation from the closed form, in standard errors, for both masses."""
    found, lags = correlation(run), run["lag_time"].values
    truth = np.stack([exact(memory, mass, lags) for mass in MASSES])
    return np.abs((found.value - truth) / found.error).max(axis=1)


def test_velocities_with_a_memory_are_those_of_the_closed_form():
    """A free bead is linear, and LAMMPS's step for it exact: no timestep error.

    11 lags, correlated, of two masses, errors from 48 blocks: beyond 4.5 in one of 1000 runs or fewer.
    """
    system = gas(200, 6.0)
    with_memory = system | {"models": [Model(system["models"][0].potential, MEMORY)]}
    assert worst(moved(with_memory, Lammps()), MEMORY).max() < 4.5
    light, heavy = worst(moved(with_memory, WithoutMass()), MEMORY)
    assert light < 4.5 < 10 < heavy


def test_velocities_with_friction_are_those_of_the_closed_form():
    """kT/m exp(-gamma t); LAMMPS's Langevin step is of second order, (gamma dt)² / 12 = 7e-5 here."""
    run = moved(gas(200, 6.0), Lammps(), friction=3.0)
    found, lags = correlation(run), run["lag_time"].values
    truth = 3 * KT / MASSES[:, None] * np.exp(-3.0 * lags)
    assert np.abs((found.value - truth) / found.error).max() < 4.5
    # 0.2 1/ps more would be seen
    off = 3 * KT / MASSES[:, None] * np.exp(-3.2 * lags)
    assert np.abs((found.value - off) / found.error).max() > 4.5


@pytest.fixture(scope="module")
def liquid():
    """64 soft beads of two masses, dense: forces matter as much as the thermostat."""
    nothing, kinds = jnp.zeros((0, 2), int), jnp.arange(64) % 2
    topology = Topology(kinds, jnp.asarray(MASSES)[kinds], jnp.arange(64), nothing, ("A", "B"))
    line = (np.arange(4) + 0.5) * 0.45
    lattice = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    start = lattice + np.random.default_rng(2).normal(scale=0.02, size=(2, 64, 3))
    soft = bcg.potentials.LennardJones(1.0, 0.36, 0.85).prepare(Support(("A", "B"), (0.3,) * 3))
    models = [Model(soft), Model(soft)]
    return {"models": models, "start": start, "box": np.full(3, 1.8), "topology": topology}


@pytest.mark.parametrize("memory", [pytest.param(None, marks=pytest.mark.calibration), MEMORY])
def test_a_liquid_moves_as_in_jax_md(memory, liquid):
    """Two runs of each program: g(r), velocity correlations and temperature agree.

    Standard errors of differences are those of 24 blocks of 2.5 ps each, longer than anything is remembered.
    Some 25 bins, 22 lags and a temperature, beyond 4.5 at 46 degrees of freedom: in one of 400 runs. The
    programs' steps differ in how they sample a spring, by (omega dt)²/8, below 0.2% here.
    """
    system = liquid | {"models": [Model(model.potential, memory) for model in liquid["models"]]}
    settings = {
        "temperature": 300.0,
        "timestep": 0.005,
        "steps": 6000,
        "equilibration": 1000,
        "measure_every": 10,
        "observables": [RDF(bins=16), VACF(maximum=0.5, by_type=True)],
        "key": jax.random.key(3),
        "loop": QUIET,
        "records": 12,
        "friction": 4.0 if memory is None else None,
    }
    models, rest = system["models"], {name: value for name, value in system.items() if name != "models"}
    ours = simulate_ensemble(models, **rest, **settings)
    theirs = simulate_in_program(Lammps(), models, **rest, **settings)
    assert theirs.failure.values.tolist() == ["", ""]
    assert set(ours.data_vars) - {"table_error"} <= set(theirs.data_vars)
    assert {name: ours.attrs[name] for name in ("dynamics", "friction", "record_steps")}.items() <= (
        theirs.attrs.items()
    )
    for name in ("radial_distribution", "velocity_correlation", "kinetic_temperature"):
        assert ours[name].dims == theirs[name].dims
        a, b = (run[name].values.reshape(24, -1) for run in (ours, theirs))
        error = np.sqrt((a.var(axis=0, ddof=1) + b.var(axis=0, ddof=1)) / 24)
        sampled = (a.mean(axis=0) > 0.05) & (error > 0)
        deviation = np.abs(a.mean(axis=0) - b.mean(axis=0))[sampled] / error[sampled]
        assert sampled.sum() > (0 if a.shape[1] == 1 else 5)
        assert deviation.max() < 4.5, name


def test_a_gas_at_constant_pressure_has_the_volume_of_an_ideal_one():
    """<V> = (N + 1) kT/P; 60 beads scatter by 1/sqrt(61), and relax in about 2 ps, twice 25 times."""
    system = gas(60, 6.0)
    pressure = 60 * KT / 6.0**3 / 0.0602214076
    run = moved(system, Lammps(), ensemble="NPT", pressure=pressure, friction=5.0, steps=5000, observables=[])
    assert abs(run.volume.mean() / 6.0**3 - 61 / 60) < 4 / np.sqrt(61 * 25)
    assert run.volume.std() > 0.02 * 6.0**3
    assert run.box.shape == (1, 3)
    assert abs(float(run.kinetic_temperature.mean()) - 300) < 4 * 300 * np.sqrt(2 / 180 / 100)


def test_simulate_runs_a_posterior_in_lammps():
    """The same call, the same groups; what went wrong stands in the warnings."""
    beads = bcg.data.water(frames=3).isel(bead=slice(0, 60))
    support = Support(("SOL",), (0.25,))
    strengths = np.array([[0.3, 1e5, 0.6]])

    def model(values):
        return Model(bcg.potentials.LennardJones(float(values["epsilon"]), 0.3, 0.9).prepare(support))

    problem = SimpleNamespace(temperature=300.0, fingerprint="wells", beads=beads, model=model)
    posterior = xr.DataTree.from_dict({"posterior": xr.Dataset({"epsilon": (("chain", "draw"), strengths)})})
    settings = {"draws": 3, "steps": 200, "measure_every": 10, "key": jax.random.key(0), "progress": False}
    found = bcg.simulate(problem, posterior, engine="lammps", observables=[RDF(bins=20)], **settings)
    assert found.attrs["engine"] == "lammps"
    assert found["posterior_predictive"].radial_distribution.dims == ("draw", "type_pair", "distance")
    alive = np.isfinite(found["posterior_predictive"].radial_distribution).all(("type_pair", "distance"))
    assert alive.values.tolist() == [True, False, True]
    (sentence,) = [text for text in json.loads(found.attrs["warnings"]) if "draw 1" in text]
    assert "1 of 3 simulations" in sentence
    assert found["summary/radial_distribution"].attrs["draws"] == 2
