"""A posterior through dynamics, where the answer is known: <x^2> = kT/k of beads on springs."""

import json
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from bayescg._checks import BayescgError
from bayescg._typing import Array
from bayescg.interfaces import AbstractObservable, AbstractPotential, Configuration
from bayescg.model import Model
from bayescg.observables import RDF
from bayescg.predict import evaluate, select_draws, simulate
from bayescg.units import thermal_energy

SPREAD = 0.2
"""Relative spread of the posterior of the spring constant."""


class Tether(AbstractPotential):
    stiffness: Array
    cutoff: float = eqx.field(static=True, default=0.1)

    def prepare(self, support):
        return self

    def coordinates(self):
        return {"stiffness": {}}

    def energy(self, configuration):
        return 0.5 * self.stiffness * jnp.sum(configuration.positions**2)


class MeanSquare(AbstractObservable):
    name: str = eqx.field(static=True, default="mean_square")
    units: str = eqx.field(static=True, default="nm^2")

    def prepare(self, topology, box):
        return self

    def coordinates(self, topology):
        return {"dim": ["x", "y", "z"]}

    def measure(self, configuration):
        return jnp.mean(configuration.positions**2, axis=0)


def beads_of(positions, box=None):
    variables = {
        "position": (("frame", "bead", "dim"), positions, {"units": "nm"}),
        "mass": ("bead", np.full(positions.shape[1], 18.0), {"units": "amu"}),
    }
    if box is not None:
        variables["box"] = (("frame", "dim"), np.tile(box, (len(positions), 1)), {"units": "nm"})
    coordinates = {"dim": list("xyz"), "time": ("frame", np.arange(len(positions)) * 1.0, {"units": "ps"})}
    return xr.Dataset(variables, coordinates, {"temperature": 300.0})


@pytest.fixture(scope="module")
def problem():
    """What `simulate` asks of a problem."""
    return SimpleNamespace(
        temperature=300.0,
        fingerprint="springs",
        beads=beads_of(np.zeros((5, 32, 3))),
        model=lambda values: Model(Tether(jnp.asarray(values["potential.stiffness"]))),
    )


@pytest.fixture(scope="module")
def posterior():
    stiffness = 2000 * np.exp(SPREAD * np.random.default_rng(0).normal(size=(2, 40)))
    broad = {"potential.stiffness": (("chain", "draw"), stiffness)}
    narrow = {"potential.stiffness": (("chain", "draw"), np.full((2, 40), 2000.0))}
    return xr.DataTree.from_dict({"posterior": xr.Dataset(narrow), "posterior_sandwich": xr.Dataset(broad)})


def springs(problem, posterior, **settings):
    defaults = {
        "draws": 16,
        "steps": 4000,
        "friction": 20.0,
        "observables": [MeanSquare()],
        "key": jax.random.key(0),
        "progress": False,
    }
    return simulate(problem, posterior, **(defaults | settings))


@pytest.fixture(scope="module")
def broad(problem, posterior):
    return springs(problem, posterior)


def test_every_draw_follows_its_own_parameters(broad, posterior):
    found = broad["posterior_predictive"]
    chosen = posterior["posterior_sandwich"]["potential.stiffness"].to_numpy()
    stiffness = chosen[found["posterior_chain"], found["posterior_draw"]]
    expected = thermal_energy(300.0) / stiffness
    deviation = (found["mean_square"] - expected[:, None]) / found["mean_square_error"]
    # 48 deviations from errors of 20 blocks: Student's t with 19 degrees of freedom
    assert abs(deviation).max() < 5
    assert 0.5 < float((deviation**2).mean()) < 2.0
    assert not (found["mean_square"].std("draw") < found["mean_square_error"].mean("draw")).any()


def test_spread_over_draws_is_the_posteriors(broad, posterior):
    found = broad["summary/mean_square"]
    draws = broad["posterior_predictive"]
    chosen = posterior["posterior_sandwich"]["potential.stiffness"].to_numpy()
    truth = thermal_energy(300.0) / chosen[draws["posterior_chain"], draws["posterior_draw"]]
    # given these 16 draws, the spread of their exact answers is known; Monte Carlo error is what is left
    within = float(found["within_draw_sd"].max())
    slack = 4.5 * within * (2 * truth.std(ddof=1) / np.sqrt(15) + within * np.sqrt(2 / 15)) + 0.1 * within**2
    assert (abs(found["between_draw_sd"] ** 2 - truth.var(ddof=1)) < slack).all()
    assert not found["monte_carlo_dominates"].any()
    assert (found["band"].diff("quantile") >= 0).all()


def test_a_posterior_of_one_value_has_only_monte_carlo_spread(problem, posterior):
    found = springs(problem, posterior, group="posterior", steps=1000)
    summary = found["summary/mean_square"]
    assert found.attrs["group"] == "posterior"
    # at 16 draws a variance is known to 36%; three components at 3 sigma
    assert (summary["between_draw_sd"] ** 2 < 3 * 0.36 * summary["within_draw_sd"] ** 2).all()
    assert summary["monte_carlo_dominates"].all()


def test_result_says_how_it_was_made_and_can_be_written(broad, tmp_path):
    assert broad.attrs["group"] == "posterior_sandwich"
    assert broad.attrs["bead_steps_per_second"] > 0
    assert broad.attrs["equilibration"] == 800
    assert json.loads(broad.attrs["warnings"]) == []
    checks = broad["diagnostics"]
    assert not checks["exploded"].any()
    assert abs(float(checks["kinetic_temperature"].mean()) - 300) < 5
    broad.to_netcdf(tmp_path / "simulated.nc", engine="h5netcdf")
    again = xr.open_datatree(tmp_path / "simulated.nc", engine="h5netcdf")
    xr.testing.assert_equal(
        again["posterior_predictive"].to_dataset(), broad["posterior_predictive"].to_dataset()
    )
    again.close()


def test_replicas_are_averaged(problem, posterior):
    found = springs(problem, posterior, draws=3, replicas=2, steps=400)
    assert found["posterior_predictive"].sizes["draw"] == 3
    assert found["diagnostics"]["draw"].values.tolist() == [0, 0, 1, 1, 2, 2]


def test_explosions_are_named(posterior):
    stiffness = np.full((1, 4), 2000.0)
    stiffness[0, 2] = 1e9
    tree = xr.DataTree.from_dict(
        {"posterior": xr.Dataset({"potential.stiffness": (("chain", "draw"), stiffness)})}
    )
    start = np.random.default_rng(0).normal(0, 0.03, size=(4, 32, 3))
    problem = SimpleNamespace(
        temperature=300.0,
        fingerprint="springs",
        beads=beads_of(start),
        model=lambda values: Model(Tether(jnp.asarray(values["potential.stiffness"]))),
    )
    found = springs(problem, tree, draws=4, steps=400)
    assert found["diagnostics"]["exploded"].values.tolist() == [False, False, True, False]
    (sentence,) = [w for w in json.loads(found.attrs["warnings"]) if "exploded" in w]
    assert "1 of 4" in sentence
    assert "draw 2 at step" in sentence
    assert np.isfinite(found["summary/mean_square"]["mean"]).all()
    assert found["summary/mean_square"].attrs["draws"] == 3
    assert np.isnan(found["posterior_predictive"]["mean_square"][2]).all()


def test_draws_are_thinned_evenly_over_chains(posterior):
    chosen = select_draws(posterior, draws=8)
    assert chosen.chain.tolist() == [0] * 4 + [1] * 4
    assert np.diff(chosen.draw[:4]).tolist() == [10, 10, 10]
    values = posterior["posterior_sandwich"]["potential.stiffness"].to_numpy()
    np.testing.assert_array_equal(chosen.values["potential.stiffness"], values[chosen.chain, chosen.draw])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"engine": "gromacs"}, "engine must be one of 'jax-md', 'lammps', 'openmm', got 'gromacs'"),
        ({"group": "prior"}, "group must be one of"),
        ({"draws": 81}, "draws must be at most the 80"),
        ({"temperature": -1.0}, "temperature must be positive"),
        ({"replicas": 0}, "replicas must be"),
    ],
)
def test_bad_settings_are_refused(change, words, problem, posterior):
    with pytest.raises(BayescgError, match=words):
        springs(problem, posterior, **change)


def test_data_are_measured_with_the_same_object():
    rng = np.random.default_rng(5)
    beads = beads_of(rng.uniform(0, 2, size=(40, 10, 3)), box=[2.0] * 3)
    found = evaluate(RDF(bins=8), beads)
    single = eqx.filter_jit(RDF(maximum=1.0, bins=8).measure)
    from bayescg.data import topology

    values = [
        single(Configuration(jnp.asarray(x), jnp.full(3, 2.0), jnp.zeros((10, 0), int), topology(beads)))
        for x in beads["position"].to_numpy()
    ]
    np.testing.assert_allclose(found["radial_distribution"], np.mean(values, axis=0), rtol=1e-12)
    # an ideal gas, within the errors that are reported; 8 bins, Student's t with 19 degrees of freedom
    assert (abs(found["radial_distribution"] - 1) < 5.5 * found["radial_distribution_error"])[0, 1:].all()
    assert evaluate(RDF(bins=8), beads, frames=7).attrs["frames"] == 7


def test_a_standard_error_needs_two_frames():
    beads = beads_of(np.zeros((1, 4, 3)) + np.arange(4)[:, None], box=[9.0] * 3)
    with pytest.raises(BayescgError, match="at least two frames"):
        evaluate(RDF(bins=8), beads)
