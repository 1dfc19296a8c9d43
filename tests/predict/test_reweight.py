"""Reweighting against closed forms: springs, where <x²> = kT/k and the variance of weights are known."""

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
from bayescg.interfaces import AbstractObservable, AbstractPotential, Configuration, Support, Topology
from bayescg.model import Model
from bayescg.numerics.mixture import free_energies, log_weights
from bayescg.observables import MSD, RDF, PotentialEnergy
from bayescg.potentials import LennardJones, PairSpline
from bayescg.predict import reweight, simulate
from bayescg.predict.reweight_energies import draw_energies
from bayescg.predict.reweight_mixture import (
    guards,
    reweighted,
    shared_covariance,
)
from bayescg.predict.reweight_references import choose_references, squared_spread
from bayescg.predict.variance import decompose
from bayescg.units import thermal_energy

# ---- weights: frames are exact draws from springs of given stiffness, in units of kT


def frames_of(stiffness, count, rng):
    """Positions (frame, dim) of independent springs, with the same number from every reference."""
    return np.concatenate([rng.normal(size=(count, 1)) / np.sqrt(k) for k in stiffness])


def energies(x, stiffness):
    """Reduced energies (model, frame)."""
    return 0.5 * np.asarray(stiffness)[:, None] * np.sum(x**2, axis=1)


def square_under(x, wanted, references, count):
    """<x²> of every wanted spring, from frames of the references."""
    origin, places = np.repeat(np.arange(len(references)), count), np.arange(count)
    blocks = np.concatenate([places * 10 // count + 10 * r for r in range(len(references))])
    return reweighted(x**2, energies(x, wanted), energies(x, references), origin=origin, blocks=blocks)


@pytest.mark.parametrize("references", [[1.0], [0.7, 1.6]])
def test_another_stiffness_has_its_own_mean_square_and_errors_that_cover(references):
    wanted, count = np.array([0.8, 1.0, 1.3]), 400
    pulls = []
    for seed in range(40):
        x = frames_of(references, count, np.random.default_rng(seed))
        found = square_under(x, wanted, references, count)
        pulls.append((found.mean[:, 0] - 1 / wanted) / found.error[:, 0])
    # 10 or 20 blocks: a t variable of 9 degrees of freedom has a variance of 1.29; of 40 known to 22% each
    assert 0.7 < np.mean(np.square(pulls)) < 1.8
    assert abs(np.mean(pulls, axis=0)).max() < 5 / np.sqrt(40)


@pytest.mark.parametrize("stiffness", [0.8, 1.0, 1.5])
def test_effective_samples_of_a_spring(stiffness):
    """(E w)²/E w² = sqrt(2a - 1)/a for w = exp(-(a - 1) x²/2), x of unit variance."""
    x = frames_of([1.0], 200_000, np.random.default_rng(1))
    logs = log_weights(energies(x, [stiffness]), energies(x, [1.0]), np.array([len(x)]))
    found = guards(logs, [slice(0, len(x))], [])
    assert found.kish[0] == pytest.approx(np.sqrt(2 * stiffness - 1) / stiffness, abs=0.01)
    assert found.effective[0] == pytest.approx(found.kish[0] * len(x), rel=0.02)
    # frames that stand ten times count once
    thrice = np.repeat(logs[:, :20_000], 10, axis=1)
    assert guards(thrice, [slice(0, 200_000)], [np.repeat(x[:20_000], 10, axis=0)]).effective[0] < 30_000


def test_free_energies_of_several_springs():
    """F = (1/2) ln k; two steps away no frames are common to both ends."""
    stiffness, count = np.array([1.0, 5.0, 25.0, 125.0]), 2000
    x = frames_of(stiffness, count, np.random.default_rng(2))
    found = free_energies(energies(x, stiffness), np.full(4, count))
    # each step is known to about 0.03
    np.testing.assert_allclose(found, 0.5 * np.log(stiffness), atol=0.15)


def test_draws_far_from_the_reference_are_refused():
    """Of a spring of a fifth of the stiffness the weights have no variance: the answer is wrong by far."""
    wanted, count = np.array([0.2, 0.9]), 1000
    misses = []
    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=(count, 12)) / 1.0
        logs = log_weights(energies(x, wanted), energies(x, [1.0]), np.array([count]))
        passed = guards(logs, [slice(0, count)], []).passed(100.0)
        assert passed.tolist() == [False, True]
        found = square_under(x, wanted, [1.0], count)
        misses.append((found.mean.mean(axis=1) - 1 / wanted) / found.error.mean(axis=1))
    # negative control: without the guard every answer is too small, mostly by more than twice its error
    assert np.max(misses, axis=0)[0] < 0
    assert np.median(misses, axis=0)[0] < -2
    assert abs(np.median(misses, axis=0)[1]) < 1


def test_errors_that_draws_share():
    """Draws from the same frames move together; their differences are known far better than each."""
    wanted, count = np.array([0.95, 1.05]), 400
    means, shared, errors = [], [], []
    for seed in range(200):
        x = frames_of([1.0], count, np.random.default_rng(seed))
        found = square_under(x, wanted, [1.0], count)
        means.append(found.mean[:, 0])
        errors.append(found.error[:, 0] ** 2)
        shared.append(shared_covariance(found.changes, 2)[0])
    covariance = np.cov(np.transpose(means))
    # a covariance from 200 repetitions is known to 10%
    assert np.mean(shared) == pytest.approx(covariance[0, 1], rel=0.4)
    assert np.mean(errors, axis=0) == pytest.approx(np.diag(covariance), rel=0.4)
    difference = np.diff(means, axis=1).std()
    expected = np.sqrt(np.mean(errors, axis=0).sum() - 2 * np.mean(shared))
    assert difference == pytest.approx(expected, rel=0.25)
    assert difference < 0.3 * np.sqrt(covariance[0, 0])
    # with a draw of its own simulation beside them, which shares nothing
    assert shared_covariance(np.ones((3, 2, 1)), 3)[0] == pytest.approx(3.0 * 2 / 6)


def test_spread_over_draws_survives_errors_larger_than_itself():
    wanted = 1 + 0.04 * np.random.default_rng(0).normal(size=40)
    truth, count = 1 / wanted, 400
    between, mean_pulls, naive = [], [], []
    for seed in range(40):
        x = frames_of([1.0], count, np.random.default_rng(100 + seed))
        found = square_under(x, wanted, [1.0], count)
        parts = decompose(found.mean, found.error, shared=shared_covariance(found.changes, 40))
        between.append(parts.between[0])
        mean_pulls.append((found.mean.mean() - truth.mean()) / np.sqrt(parts.mean_variance[0]))
        naive.append(decompose(found.mean, found.error).between[0])
    assert np.sqrt(np.mean(between)) == pytest.approx(truth.std(ddof=1), rel=0.15)
    # the draws are given here, so their spread over sqrt(40) in the mean's error does not move it
    assert 0.6 < np.mean(np.square(mean_pulls)) < 1.7
    # negative control: errors taken for independent ones leave nothing of the spread
    assert np.mean(naive) < 0.1 * truth.var(ddof=1)


def test_references_are_where_the_draws_are():
    x = np.random.default_rng(3).normal(size=(4000, 2))
    # draws in two groups along the first direction, and the mean of all as a candidate
    places = np.array([[-3, 0], [-3, 0.3], [-3, -0.3], [3, 0], [3, 0.3], [3, -0.3], [0, 0]])
    reduced = x @ places.T
    np.testing.assert_allclose(squared_spread(reduced)[0, 3], 36.0, rtol=0.1)
    assert sorted(choose_references(reduced, 6, None).tolist()) == [0, 3]
    assert choose_references(reduced, 6, 1).size == 1
    assert choose_references(0.1 * reduced, 6, None).tolist() == [6]


# ---- energies of many draws from one pass over the pairs


def test_energies_of_draws_are_those_of_their_potentials():
    """Two types, a spline with its wall, a steep core and a term that is no pair potential."""
    rng = np.random.default_rng(4)
    count, box = 40, jnp.full(3, 2.0)
    grid = np.stack(np.meshgrid(*[np.arange(4) * 0.5] * 3), -1).reshape(-1, 3)[:count]
    positions = jnp.asarray(grid + rng.normal(0, 0.04, size=grid.shape))
    topology = Topology(
        jnp.asarray(rng.integers(0, 2, size=count)),
        jnp.ones(count),
        jnp.arange(count),
        jnp.zeros((0, 2), int),
        ("A", "B"),
    )
    spline = PairSpline(cutoff=0.8, knots=8).prepare(Support(("A", "B"), (0.42, 0.42, 0.42)))
    potentials = []
    for _ in range(3):
        coefficients = jnp.asarray(rng.normal(size=spline.coefficients.shape))
        own = eqx.tree_at(lambda s: s.coefficients, spline, coefficients)
        core = LennardJones(rng.uniform(0.5, 1, 2), [0.34, 0.36], cutoff=0.9, type_names=("A", "B"))
        potentials.append(own + core + Tether(jnp.asarray(rng.uniform(1, 2))))
    everyone = jnp.asarray([[j for j in range(count) if j != i] for i in range(count)])
    frame = Configuration(positions, box, everyone, topology)
    exact = jnp.stack([potential.energy(frame) for potential in potentials])
    found = draw_energies(potentials, 2)(frame)
    # a pair's energy is off by h² u''/8 with h = 0.9/4096 nm: 5e-5 kJ/mol where u'' is 10^4, over 200 pairs
    np.testing.assert_allclose(found, exact, atol=0.02)
    np.testing.assert_allclose(found - found[0], exact - exact[0], atol=0.01)


# ---- from a posterior


class Tether(AbstractPotential):
    stiffness: Array
    cutoff: float = eqx.field(static=True, default=0.0)

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


def problem_of(positions, model, box=None):
    variables = {
        "position": (("frame", "bead", "dim"), positions, {"units": "nm"}),
        "mass": ("bead", np.full(positions.shape[1], 18.0), {"units": "amu"}),
    }
    if box is not None:
        variables["box"] = (("frame", "dim"), np.tile(box, (len(positions), 1)), {"units": "nm"})
    beads = xr.Dataset(variables, {"dim": list("xyz")}, {"temperature": 300.0})
    return SimpleNamespace(temperature=300.0, fingerprint="small", beads=beads, model=model)


def posterior_of(**values):
    variables = {path.replace("__", "."): (("chain", "draw"), v[None]) for path, v in values.items()}
    return xr.DataTree.from_dict({"posterior": xr.Dataset(variables)})


STIFFNESS = 2000 * np.array([0.9, 0.95, 1.0, 1.0, 1.05, 1.1, 1.9, 0.45])
"""The last two are too far for 24 components of position."""


@pytest.fixture(scope="module")
def tethers():
    positions = np.random.default_rng(0).normal(0, 0.035, size=(16, 8, 3))
    return problem_of(positions, lambda values: Model(Tether(jnp.asarray(values["potential.stiffness"]))))


def run(problem, **settings):
    defaults = {"draws": 8, "steps": 16_000, "timestep": 0.005, "friction": 20.0, "references": 1}
    defaults |= {"observables": [MeanSquare()], "key": jax.random.key(0), "progress": False}
    return reweight(problem, posterior_of(potential__stiffness=STIFFNESS), **(defaults | settings))


@pytest.fixture(scope="module")
def weighed(tethers, tmp_path_factory):
    return run(tethers, checkpoint=tmp_path_factory.mktemp("run"))


def test_near_draws_are_reweighted_and_far_ones_simulated(weighed):
    found, guarded = weighed["posterior_predictive"], weighed["reweighting"]
    assert guarded["reweighted"].values.tolist() == [True] * 6 + [False] * 2
    truth = thermal_energy(300.0) / STIFFNESS
    deviation = (found["mean_square"] - truth[:, None]) / found["mean_square_error"]
    # reweighted draws share their frames, so there are some 9 independent deviations of 19 degrees of freedom
    assert abs(deviation).max() < 5
    assert (guarded["pareto_k"][:6] <= 0.7).all()
    (words,) = [w for w in json.loads(weighed.attrs["warnings"]) if "reweighted" in w]
    assert "2 of 8 draws could not be reweighted and were simulated: draws 6, 7" in words


def test_the_result_is_laid_out_like_that_of_simulate(weighed, tmp_path):
    assert set(weighed["posterior_predictive"].data_vars) == {"mean_square", "mean_square_error"}
    checks = weighed["diagnostics"]
    assert checks["reference"].values.tolist() == [True, True, False, False]
    assert checks["draw"].values[2:].tolist() == [6, 7]
    summary = weighed["summary/mean_square"]
    assert (summary["shared_sd"] <= summary["within_draw_sd"]).all()
    assert {"band", "between_draw_sd", "mean_error", "monte_carlo_dominates"} <= set(summary.data_vars)
    weighed.to_netcdf(tmp_path / "reweighted.nc", engine="h5netcdf")


def test_a_run_is_repeated_to_the_bit_from_its_checkpoint(tethers, weighed, tmp_path):
    first = run(tethers, checkpoint=tmp_path)
    again = run(tethers, checkpoint=tmp_path)
    for other in (first, again):
        xr.testing.assert_identical(
            other["posterior_predictive"].to_dataset(), weighed["posterior_predictive"].to_dataset()
        )


def test_a_fluid_has_the_radial_distribution_of_its_own_simulations():
    box, rng = np.full(3, 1.5), np.random.default_rng(5)
    grid = np.stack(np.meshgrid(*[np.arange(3) * 0.5] * 3), -1).reshape(1, 27, 3)
    positions = grid + rng.normal(0, 0.02, size=(4, 27, 3))

    def model(values):
        epsilon = jnp.asarray(values["potential.epsilon"])
        return Model(LennardJones(epsilon, [0.34], cutoff=0.74, type_names=("BEAD",)))

    posterior = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(
                {"potential.epsilon": (("chain", "draw", "type"), [[[0.9], [1.4], [1.15]]])}
            )
        }
    )
    problem = problem_of(positions, model, box=box)
    problem.beads["bead_type"] = ("bead", np.full(27, "BEAD"))
    settings = {"draws": 3, "steps": 8000, "timestep": 0.005, "friction": 10.0, "progress": False}
    settings |= {"observables": [RDF(bins=10)], "measure_every": 10}
    near = reweight(problem, posterior, key=jax.random.key(0), effective=50.0, **settings)
    own = simulate(problem, posterior, key=jax.random.key(1), **settings)
    assert near["reweighting"]["reweighted"].all()
    assert near.attrs["references"] == [2]
    a, b = near["posterior_predictive"], own["posterior_predictive"]
    scale = np.hypot(a["radial_distribution_error"], b["radial_distribution_error"])
    seen = (b["radial_distribution"] > 0.05).values
    deviation = ((a["radial_distribution"] - b["radial_distribution"]) / scale).values[seen]
    # 3 x 7 deviations, correlated between bins and, of the reweighted, between draws
    assert abs(deviation).max() < 4.5
    assert (deviation**2).mean() < 2.5
    # negative control: unweighted, all draws would have one curve
    peaks = a["radial_distribution"].values[:, 0].max(axis=1)
    assert peaks[0] < peaks[2] < peaks[1]
    assert peaks[1] - peaks[0] > 3 * float(near["summary/radial_distribution"]["within_draw_sd"].max())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"observables": [MSD(maximum=1.0)]}, "observables must be averages over configurations, got 'mean"),
        ({"observables": [PotentialEnergy()]}, "observables must be averages over configurations, got 'pot"),
        ({"draws": 1}, "draws must be a whole number of at least 2"),
        ({"steps": 100}, "steps must hold at least 10 measurements"),
        ({"effective": 0.0}, "effective must be positive"),
        ({"references": 0}, "references must be"),
    ],
)
def test_bad_settings_are_refused(change, words, tethers):
    with pytest.raises(BayescgError, match=words):
        run(tethers, **change)
