"""SMC: the evidence is the closed form's, every mode keeps its weight, and a run resumes bit for bit."""

import json
import signal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.integrate
import scipy.stats
import xarray as xr

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.inference.evidence import compare_evidence, evidence_attributes, log_evidence
from bayescg.inference.smc import SMC, _check_arrived
from bayescg.inference.tempering import Whole, WithoutCoefficients, tempered
from bayescg.numerics import host_loop
from bayescg.numerics.host_loop import HostLoop, Interrupted
from tests.inference import small_problems as small
from tests.inference.targets import TwoModes

QUIET = HostLoop(progress=False)
KEY = jax.random.key(32)

# log evidences of R runs have a t law: |t| of 7 degrees beyond 5 happens once in 600 checks
RUNS, FAR = 8, 5.0
SETTINGS = SMC(particles=256, runs=RUNS, moves=3)


class Linear(eqx.Module):
    """y = X u + noise, u ~ N(0, width²)."""

    design: jax.Array
    targets: jax.Array
    noise: jax.Array
    width: float = 3.0

    @property
    def dimension(self):
        return self.design.shape[1]

    def log_prior(self, u):
        return jnp.sum(jax.scipy.stats.norm.logpdf(u, scale=self.width))

    def log_density(self, u):
        fit = jax.scipy.stats.norm.logpdf(self.targets, self.design @ u, self.noise)
        return self.log_prior(u) + jnp.sum(fit)

    def initial(self, key):
        return self.width * jax.random.normal(key, (self.dimension,))


def linear(dimension, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(60, dimension))
    targets = design @ rng.normal(size=dimension) + rng.normal(size=60)
    return Linear(jnp.asarray(design), jnp.asarray(targets), jnp.asarray(noise))


def dense_evidence(problem):
    """log N(y; 0, noise² I + width² X X')."""
    X, y = np.asarray(problem.design), np.asarray(problem.targets)
    covariance = float(problem.noise) ** 2 * np.eye(y.size) + problem.width**2 * X @ X.T
    return scipy.stats.multivariate_normal.logpdf(y, cov=covariance)


class Wells(eqx.Module):
    """Prior N(0, 6²) in two dimensions; unit Gaussians at -8 and 8, the right one e times heavier."""

    dimension: int = eqx.field(default=2, static=True)

    def log_prior(self, u):
        return jnp.sum(jax.scipy.stats.norm.logpdf(u, scale=6.0))

    def log_density(self, u):
        left, right = -0.5 * (u[0] + 8) ** 2, -0.5 * (u[0] - 8) ** 2 + 1.0
        return self.log_prior(u) + jnp.logaddexp(left, right) - 0.5 * u[1] ** 2

    def initial(self, key):
        return 6 * jax.random.normal(key, (2,))


class Curved(eqx.Module):
    """Three values of x² seen with noise of unknown scale s, for quadrature: u = (x, log s)."""

    dimension: int = eqx.field(default=2, static=True)

    def log_prior(self, u):
        return jnp.sum(jax.scipy.stats.norm.logpdf(u, scale=2.0))

    def log_density(self, u):
        fit = jax.scipy.stats.norm.logpdf(jnp.array([0.5, 1.5, 3.0]), u[0] ** 2, jnp.exp(u[1]))
        return self.log_prior(u) + jnp.sum(fit)

    def initial(self, key):
        return 2 * jax.random.normal(key, (2,))


@pytest.fixture(scope="module")
def found():
    """Draws of the linear problem by either move."""
    problem = linear(5)
    settings = {"hmc": SETTINGS, "random_walk": SMC(particles=256, runs=RUNS, move="random_walk", moves=20)}
    return problem, {name: one.draw(problem, key=KEY, loop=QUIET) for name, one in settings.items()}


@pytest.mark.parametrize("move", ["hmc", "random_walk"])
def test_evidence_is_that_of_dense_algebra(found, move):
    problem, draws = found
    value, error = log_evidence(draws[move].statistics["log_evidence"][:, 0])
    assert error < 0.15
    assert abs(value - dense_evidence(problem)) < FAR * error


def test_a_wrong_noise_scale_changes_the_evidence(found):
    # negative control: the same data, the noise 20% too large
    _, draws = found
    value, error = log_evidence(draws["hmc"].statistics["log_evidence"][:, 0])
    wrong = dense_evidence(linear(5, noise=1.2))
    assert abs(value - wrong) > 5 * FAR * error


@pytest.mark.parametrize("move", ["hmc", "random_walk"])
def test_moments_are_those_of_the_gaussian_posterior(found, move):
    problem, draws = found
    X, y = np.asarray(problem.design), np.asarray(problem.targets)
    precision = X.T @ X + np.eye(5) / 9
    mean = np.linalg.solve(precision, X.T @ y)
    white = (draws[move].positions - mean) @ np.linalg.cholesky(precision)  # N(0, I)
    for i in range(5):
        for values, exact in ((white[..., i], 0.0), (white[..., i] ** 2, 1.0)):
            # particles share ancestors, runs do not: the error is that between runs
            of_runs = values.mean(axis=1)
            assert abs(of_runs.mean() - exact) < FAR * of_runs.std(ddof=1) / RUNS**0.5
            assert of_runs.std(ddof=1) < 0.3


def test_evidence_and_moments_are_those_of_quadrature():
    problem = Curved()
    x = np.linspace(-8, 8, 801)
    grid = jnp.asarray(np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2))
    density = np.exp(np.asarray(jax.jit(jax.vmap(problem.log_density))(grid))).reshape(801, 801)

    def integral(values):
        return scipy.integrate.trapezoid(scipy.integrate.trapezoid(values, x), x)

    exact = integral(density)
    draws = SMC(particles=512, runs=RUNS).draw(problem, key=KEY, loop=QUIET)
    value, error = log_evidence(draws.statistics["log_evidence"][:, 0])
    assert error < 0.1
    assert abs(value - np.log(exact)) < FAR * error
    for values, on_grid in (
        (draws.positions[..., 0] ** 2, x[:, None] ** 2),
        (draws.positions[..., 1], x[None]),
    ):
        of_runs = values.mean(axis=1)
        expected = integral(density * on_grid) / exact
        assert abs(of_runs.mean() - expected) < FAR * of_runs.std(ddof=1) / RUNS**0.5


def test_separate_modes_keep_their_weights():
    draws = SETTINGS.draw(Wells(), key=KEY, loop=QUIET)
    # both wells see the same prior density by symmetry, so the right one holds e/(1 + e)
    right = (draws.positions[..., 0] > 0).mean(axis=1)
    assert ((right > 0.3) & (right < 0.95)).all()  # every run knows both
    assert abs(right.mean() - np.e / (1 + np.e)) < FAR * right.std(ddof=1) / RUNS**0.5
    assert right.std(ddof=1) < 0.2
    # ∫ N(0, 6²)² (...) : each Gaussian integral is N(±8; 0, 37) N(0; 0, 37) (2 pi)
    normal = scipy.stats.norm(scale=np.sqrt(37))
    exact = np.log(2 * np.pi * (1 + np.e) * normal.pdf(8.0) * normal.pdf(0.0))
    value, error = log_evidence(draws.statistics["log_evidence"][:, 0])
    assert abs(value - exact) < FAR * error


def test_statistics_are_complete_and_the_density_is_the_target_s(found):
    problem, draws = found
    result = draws["hmc"]
    assert result.positions.shape == (RUNS, 256, 5)
    assert set(result.statistics) == {
        "lp", "log_evidence", "temperatures", "acceptance_rate", "least_acceptance", "move_correlation",
    }  # fmt: skip
    lp = jax.vmap(jax.vmap(problem.log_density))(jnp.asarray(result.positions))
    np.testing.assert_allclose(result.statistics["lp"], lp, rtol=1e-10)
    assert result.statistics["acceptance_rate"].min() > 0.9
    assert (result.statistics["temperatures"] > 3).all()
    assert result.statistics["move_correlation"].max() < 0.4
    assert len(np.unique(result.statistics["log_evidence"])) == RUNS  # no two runs share their randomness


def interrupt_wait(monkeypatch, *, call):
    """Press Ctrl-C while the chunk number `call` of the run is under way."""
    real, calls = host_loop.wait, []

    def wait(outcome, patience, tell):
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return real(outcome, patience, tell)

    monkeypatch.setattr(host_loop, "wait", wait)


def test_an_interrupted_run_resumes_bit_for_bit(found, tmp_path, monkeypatch):
    problem, draws = found
    loop = HostLoop(tmp_path, progress=False, fingerprint="linear")
    with monkeypatch.context() as patch:
        interrupt_wait(patch, call=4)
        with pytest.raises(Interrupted, match="4 of 300 iterations of stage 'temper' are kept"):
            SETTINGS.draw(problem, key=KEY, loop=loop)
    resumed = SETTINGS.draw(problem, key=KEY, loop=loop)
    np.testing.assert_array_equal(resumed.positions, draws["hmc"].positions, strict=True)
    for name, values in draws["hmc"].statistics.items():
        np.testing.assert_array_equal(resumed.statistics[name], values, strict=True)


def test_too_few_moves_show_in_the_correlation_and_in_a_warning():
    lazy = SMC(particles=128, runs=2, move="random_walk", moves=1)
    draws = lazy.draw(linear(5), key=KEY, loop=QUIET)
    assert draws.statistics["move_correlation"].min() > 0.6
    stats = xr.Dataset({name: (("chain", "draw"), array) for name, array in draws.statistics.items()})
    attributes, sentences = evidence_attributes(stats)
    assert set(attributes) == {"log_evidence", "log_evidence_error"}
    assert any("Raise moves" in sentence for sentence in sentences)


def force_matching_problem(prior, noise=None):
    return small.problem(prior if noise is None else prior | {"likelihood.noise.scale": noise})


def test_collapsed_evidence_is_that_of_dense_algebra():
    """Everything fixed but the coefficients: no parameter is left to temper, the evidence is closed."""
    made = force_matching_problem(small.gaussian_prior(), noise=5.0)
    rows, targets = small.dense_rows(made, small.pair_data())
    covariance = 25.0 * np.eye(targets.size) + 200.0**2 * rows @ rows.T
    exact = scipy.stats.multivariate_normal.logpdf(targets, rows @ np.full(rows.shape[1], 10.0), covariance)
    draws = SMC(particles=64, runs=2).draw(made, key=KEY, loop=QUIET)
    # differences of numbers of 1e4
    np.testing.assert_allclose(draws.statistics["log_evidence"], exact, atol=1e-6)
    whitened = draws.positions.reshape(128, -1)
    mean, _ = small.dense_posterior(rows, targets, 5.0, np.full(7, 10.0), 200.0**2 * np.eye(7))
    assert np.abs((whitened.mean(axis=0) - mean) / whitened.std(axis=0)).max() < FAR / 128**0.5


@pytest.mark.parametrize(
    "settings",
    [
        SMC(particles=128, runs=RUNS),
        pytest.param(SMC(particles=256, runs=RUNS, collapse=False), marks=pytest.mark.calibration),
    ],
    ids=["collapsed", "whole"],
)
def test_evidence_of_a_problem_does_not_depend_on_what_is_integrated_out_first(settings):
    """Noise scale free: SMC against quadrature of the dense evidence over the one parameter."""
    made = force_matching_problem(small.gaussian_prior(), noise=dist.LogNormal(1.5, 0.5))
    assert isinstance(tempered(made, collapse=True), WithoutCoefficients)
    assert isinstance(tempered(made, collapse=False), Whole)
    rows, targets = small.dense_rows(made, small.pair_data())
    spread, vectors = np.linalg.eigh(rows @ rows.T)
    along = vectors.T @ (targets - rows @ np.full(rows.shape[1], 10.0))
    logs = np.linspace(1.3, 1.9, 2001)  # log of the scale; the data know it to 1%
    variance = np.exp(2 * logs)[:, None] + 200.0**2 * np.maximum(spread, 0)
    log_likelihood = -0.5 * np.sum(along**2 / variance + np.log(2 * np.pi * variance), axis=1)
    log_prior = scipy.stats.norm.logpdf(logs, 1.5, 0.5)
    top = log_likelihood.max()
    exact = top + np.log(scipy.integrate.trapezoid(np.exp(log_likelihood - top + log_prior), logs))
    draws = settings.draw(made, key=KEY, loop=QUIET)
    value, error = log_evidence(draws.statistics["log_evidence"][:, 0])
    assert error < 0.6
    assert abs(value - exact) < FAR * error


def test_sample_keeps_the_evidence_and_the_curves_of_a_memory():
    memory = bcg.memory.Prony(modes=1, times=[2.0], frictions=[30.0])
    model = bcg.Model(small.spline_model().potential, memory)
    prior = small.gaussian_prior() | {"likelihood.noise.scale": 5.0}
    made = bcg.Problem(model, prior, bcg.likelihoods.ForceMatching().on(small.pair_data()))
    tree = bcg.sample(made, SMC(particles=64, runs=2), key=KEY, progress=False)
    assert tree.attrs["log_evidence"] == pytest.approx(float(tree["sample_stats"]["log_evidence"][0, 0]))
    assert tree.attrs["log_evidence_error"] == 0.0  # closed form
    assert json.loads(tree.attrs["sampler"])["sampler"] == "SMC"
    assert dict(tree["posterior"].sizes)["draw"] == 64
    # the memory has no prior, so it is a constant; frames are 1 ps apart
    np.testing.assert_allclose(tree["memory_curves"]["friction"], 30.0)
    assert float(tree["memory_curves"]["lag"][0]) == pytest.approx(0.5)


def result_of(value, error=0.3, **attributes):
    """The attributes of a result that comparisons read."""
    tree = xr.DataTree()
    tree.attrs |= {"log_evidence": value, "log_evidence_error": error} | attributes
    return tree


def test_models_compare_by_evidence_and_by_held_out_blocks():
    rng = np.random.default_rng(0)
    common = rng.normal(size=200)
    blocks = {"plain": common - 0.5 + 0.1 * rng.normal(size=200), "memory": common}
    table = compare_evidence({"plain": result_of(-103.0), "memory": result_of(-101.0)}, held_out=blocks)
    assert table["model"].values.tolist() == ["memory", "plain"]
    np.testing.assert_allclose(table["difference"], [0.0, -2.0])
    np.testing.assert_allclose(table["difference_error"], [0.0, 0.3 * np.sqrt(2)])
    np.testing.assert_allclose(table["probability"], [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))])
    # what blocks have in common cancels in pairs: 0.1/sqrt(200) against 1/sqrt(200)
    assert float(table["held_out_difference"][1]) == pytest.approx(-0.5, abs=0.05)
    assert float(table["held_out_difference_error"][1]) == pytest.approx(0.1 / 200**0.5, rel=0.2)
    assert float(table["held_out_error"][1]) == pytest.approx(1 / 200**0.5, rel=0.2)
    with pytest.raises(BayescgError, match="held_out must hold every model, got none for plain"):
        compare_evidence({"plain": result_of(1.0), "memory": result_of(2.0)}, held_out={"memory": common})


def test_results_that_cannot_be_compared_are_refused():
    with pytest.raises(BayescgError, match=r"'a' has none.*bayescg.SMC"):
        compare_evidence({"a": xr.DataTree()})
    with pytest.raises(BayescgError, match="different frames"):
        compare_evidence({"a": result_of(1.0, frames=10), "b": result_of(2.0, frames=20)})


def test_a_run_that_does_not_arrive_says_so():
    records = {
        "temperature": np.array([[0.1, 0.1], [0.3, 0.2]]),
        "log_evidence": np.zeros((2, 2)),
        "settled": np.zeros((2, 2), int),
    }
    with pytest.raises(BayescgError, match=r"must reach λ = 1, got to 0\.2 after 2 temperatures"):
        _check_arrived(records)


def test_a_target_without_a_prior_of_its_own_is_refused():
    with pytest.raises(BayescgError, match="SMC needs the prior apart from the likelihood, got TwoModes"):
        SETTINGS.draw(TwoModes(), key=KEY, loop=QUIET)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"particles": 3}, "particles must be a whole number of at least 10, got 3"),
        ({"runs": 1}, "runs must be a whole number of at least 2, got 1. The error of the evidence"),
        ({"move": "gibbs"}, "move must be one of 'hmc', 'random_walk', got 'gibbs'"),
        ({"effective_fraction": 1.0}, r"effective_fraction must lie between 0 and 1, got 1\.0"),
    ],
)
def test_settings_that_cannot_run_are_refused(settings, message):
    with pytest.raises(BayescgError, match=message):
        SMC(**settings)
