"""SVI: Gaussian posteriors are recovered, a mean field is too narrow by a known factor, and k tells."""

import json
import signal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import xarray as xr

from bayescg._checks import BayescgError
from bayescg.inference import svi
from bayescg.inference.pareto import LARGEST_K, approximation_attributes, broadcast, pareto_k
from bayescg.inference.svi import SVI, _rise
from bayescg.numerics import host_loop
from bayescg.numerics.host_loop import HostLoop, Interrupted
from tests.inference.targets import Gaussian

QUIET = HostLoop(progress=False)
KEY = jax.random.key(51)

MEAN = np.array([3.0, -1.0, 0.5])
CORRELATION = np.array([[1.0, 0.9, 0.3], [0.9, 1.0, 0.1], [0.3, 0.1, 1.0]])
DEVIATIONS = np.array([1.0, 0.2, 3.0])
COVARIANCE = CORRELATION * np.outer(DEVIATIONS, DEVIATIONS)
GAUSSIAN = Gaussian(jnp.asarray(MEAN), jnp.asarray(COVARIANCE), 10.0)

SETTINGS = {
    "low_rank": SVI(guide="low_rank", steps=600),
    "plain": SVI(guide="low_rank", rank=3, steps=2400, learning_rate=0.1, whiten=False),
    "mean_field": SVI(guide="mean_field", steps=2000),
}


class Banana(eqx.Module):
    """a ~ N(0, 1), b ~ N(a², 0.5²): log Z = log(2 pi 0.5)."""

    dimension: int = eqx.field(default=2, static=True)

    def log_density(self, u):
        return -0.5 * u[0] ** 2 - 0.5 * ((u[1] - u[0] ** 2) / 0.5) ** 2

    def initial(self, key):
        return 3 * jax.random.normal(key, (2,))


@pytest.fixture(scope="module")
def found():
    return {name: one.draw(GAUSSIAN, key=KEY, loop=QUIET) for name, one in SETTINGS.items()}


def stats_of(draws):
    return xr.Dataset({name: (("chain", "draw"), array) for name, array in draws.statistics.items()})


def check_moments(positions, mean, covariance):
    """Means and covariances over all fits against exact ones, in units of the exact deviations.

    4000 draws have errors of 0.016 and 0.022; the last steps leave a fit some 0.05 beside the best guide, the
    mean of four 0.025: together 0.033, and 4.5 of those.
    """
    white = (positions - mean) @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    assert white.mean(axis=1).std(axis=0).max() < 0.15  # fits agree
    white = white.reshape(-1, len(mean))
    assert np.abs(white.mean(axis=0)).max() < 0.15
    assert np.abs(np.cov(white.T) - np.eye(len(mean))).max() < 0.15


@pytest.mark.parametrize("name", ["low_rank", "plain"])
def test_a_gaussian_posterior_is_recovered(found, name):
    check_moments(found[name].positions, MEAN, COVARIANCE)


def test_a_mean_field_has_the_variances_of_the_conditionals(found):
    exact = 1 / np.diag(np.linalg.inv(COVARIANCE))
    check_moments(found["mean_field"].positions, MEAN, np.diag(exact))
    # negative control of the two tests above: the true variances are far off
    assert (np.diag(COVARIANCE) / exact).max() > 5


def test_the_elbo_is_that_of_the_closed_form(found):
    # log Z less the divergence: zero for the right family, for a mean field sum log(Sigma_ii P_ii)/2 - ...
    log_z = 0.5 * np.linalg.slogdet(2 * np.pi * COVARIANCE)[1]
    precision = np.linalg.inv(COVARIANCE)
    divergence = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    for name, exact in (("low_rank", log_z), ("plain", log_z), ("mean_field", log_z - divergence)):
        statistics = found[name].statistics
        error = 5 * statistics["elbo_error"][:, 0].max()
        assert (np.abs(statistics["elbo"][:, 0] - exact) < error + 0.01).all(), name
    assert divergence > 0.5


def test_k_is_small_for_the_right_family_and_large_for_a_mean_field(found):
    attributes, sentences = approximation_attributes(stats_of(found["low_rank"]))
    assert attributes["pareto_k"] < LARGEST_K
    assert sentences == []
    # along the widest direction the mean field has a tenth of the variance: k = 0.9
    attributes, sentences = approximation_attributes(stats_of(found["mean_field"]))
    assert attributes["pareto_k"] > LARGEST_K
    assert "the approximation misses part of the posterior" in sentences[0]


def test_statistics_are_complete_and_the_densities_are_right(found):
    draws = found["low_rank"]
    assert draws.positions.shape == (4, 1000, 3)
    assert set(draws.statistics) == {
        "lp", "log_weight", "pareto_k", "elbo", "elbo_error", "elbo_first", "elbo_rise", "elbo_rise_error",
    }  # fmt: skip
    lp = jax.vmap(jax.vmap(GAUSSIAN.log_density))(jnp.asarray(draws.positions))
    np.testing.assert_allclose(draws.statistics["lp"], lp, rtol=1e-9, atol=1e-9)
    assert len(np.unique(draws.positions[..., 0])) == 4000  # no two draws share their randomness
    # the weights are those of the fitted normal, whose moments are the draws' but for their noise of 3%
    chain, weights = draws.positions[0], draws.statistics["log_weight"][0]
    deviation = chain - chain.mean(axis=0)
    covariance = np.cov(chain.T)
    log_q = -0.5 * np.sum(deviation @ np.linalg.inv(covariance) * deviation, axis=1)
    log_q -= 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    assert np.abs(draws.statistics["lp"][0] - log_q - weights).mean() < 0.15


def best_mean_field_of_the_banana():
    """The largest ELBO of any product of two normals, from its closed form; and its mean of b."""

    def loss(x):
        (m, n), (s, t) = x[:2], np.exp(x[2:])
        moment = 3 * s**4 + 6 * m**2 * s**2 + m**4  # E a⁴
        miss = t**2 + n**2 - 2 * n * (m**2 + s**2) + moment  # E (b - a²)²
        return 0.5 * (m**2 + s**2) + 2 * miss - np.log(2 * np.pi * np.e * s * t)

    found = scipy.optimize.minimize(loss, np.zeros(4))
    return -found.fun, found.x[1]


def test_a_flow_follows_a_banana_better_than_any_mean_field():
    flow = SVI(guide="flow", chains=2, draws=500).draw(Banana(), key=KEY, loop=QUIET)
    log_z = np.log(2 * np.pi * 0.5)
    elbo = flow.statistics["elbo"][:, 0]
    error = 5 * flow.statistics["elbo_error"].max()
    best, mean = best_mean_field_of_the_banana()
    assert elbo.min() - error > best + 0.2
    assert (elbo < log_z + error).all()  # a bound
    assert (elbo > log_z - 0.2).all()
    # E b = E a² = 1; the mean field misses the legs
    assert flow.positions[..., 1].mean() > 0.6 > 0.4 > mean


def interrupt_wait(monkeypatch, *, call):
    """Press Ctrl-C while the chunk number `call` of the run is under way."""
    real, calls = host_loop.wait, []

    def wait(outcome, patience, tell):
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return real(outcome, patience, tell)

    monkeypatch.setattr(host_loop, "wait", wait)


@pytest.mark.parametrize(("call", "stage"), [(1, "whiten"), (4, "fit"), (20, "draw")])
def test_an_interrupted_run_resumes_bit_for_bit(found, tmp_path, monkeypatch, call, stage):
    loop = HostLoop(tmp_path, progress=False, fingerprint="gaussian")
    with monkeypatch.context() as patch:
        interrupt_wait(patch, call=call)
        with pytest.raises(Interrupted, match=f"of stage '{stage}' are kept"):
            SETTINGS["low_rank"].draw(GAUSSIAN, key=KEY, loop=loop)
    resumed = SETTINGS["low_rank"].draw(GAUSSIAN, key=KEY, loop=loop)
    np.testing.assert_array_equal(resumed.positions, found["low_rank"].positions, strict=True)
    for name, values in found["low_rank"].statistics.items():
        np.testing.assert_array_equal(resumed.statistics[name], values, strict=True)


def test_a_bound_that_still_rises_is_named():
    noise = np.random.default_rng(0).normal(size=(400, 2))
    rising = np.linspace(0.0, 10.0, 400)[:, None] + noise
    for elbo, named in ((rising, True), (noise, False), (0.01 * rising, False)):
        rise, error = _rise(elbo)
        of_chains = {"pareto_k": np.zeros(2), "elbo_rise": rise, "elbo_rise_error": error}
        stats = {name: (("chain", "draw"), array) for name, array in broadcast(of_chains, (2, 30)).items()}
        _, sentences = approximation_attributes(xr.Dataset(stats))
        assert [sentence[:27] for sentence in sentences] == ["The evidence lower bound st"] * named
    # means of adjoining quarters of a line from 0 to 10, and the error of 100 numbers each
    assert _rise(rising)[0] == pytest.approx(2.5, abs=4 * (2 / 100) ** 0.5)
    assert _rise(noise)[1] == pytest.approx((2 / 100) ** 0.5, rel=0.3)


def test_k_is_the_exponent_of_a_power_law():
    # P(w > x) = x^(-1/k); 4000 draws have 190 in the tail, whose shape has the error (1 + k)/sqrt(190)
    for k in (0.3, 0.9):
        log_weights = k * np.random.default_rng(0).exponential(size=4000)
        assert pareto_k(log_weights) == pytest.approx(k, abs=3 * (1 + k) / 190**0.5)
    assert pareto_k(np.zeros(100)) == 0.0
    assert np.isnan(pareto_k(np.zeros(10)))
    assert pareto_k(np.full(100, -np.inf)) == np.inf
    unknown = xr.Dataset({"pareto_k": (("chain", "draw"), [[np.nan]])})
    assert "Draw more" in approximation_attributes(unknown)[1][0]


class Noisy(eqx.Module):
    """The Gaussian's log density with noise in its gradient, as from a minibatch."""

    size: int = eqx.field(static=True)

    def log_density(self, u, key):
        return GAUSSIAN.log_density(u) + self.size * jax.random.normal(key, (3,)) @ (u / DEVIATIONS)


def test_a_minibatch_stands_in_for_the_density_in_the_fit_alone(monkeypatch):
    monkeypatch.setattr(svi, "minibatched", lambda problem, size: Noisy(size))
    settings = SVI(
        guide="mean_field", batch=2, chains=1, draws=200, steps=2000, whiten=False, learning_rate=0.05
    )
    draws = settings.draw(GAUSSIAN, key=KEY, loop=QUIET)
    lp = jax.vmap(GAUSSIAN.log_density)(jnp.asarray(draws.positions[0]))
    np.testing.assert_allclose(draws.statistics["lp"][0], lp, rtol=1e-9, atol=1e-9)
    # eight particles see batches of their own; what noise is left averages out while the rate decays
    conditional = np.sqrt(1 / np.diag(np.linalg.inv(COVARIANCE)))
    assert np.abs((draws.positions[0].mean(axis=0) - MEAN) / DEVIATIONS).max() < 0.5
    assert np.abs(draws.positions[0].std(axis=0) / conditional - 1).max() < 0.3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"guide": "full"}, "guide must be one of 'mean_field', 'low_rank', 'flow', got 'full'"),
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"learning_rate": -1.0}, r"learning_rate must be positive, got -1\.0"),
        ({"guide": "flow", "rank": 3}, "rank belongs to guide='low_rank'"),
        ({"batch": 2.5}, r"batch must be a whole number of at least 1, got 2\.5"),
    ],
)
def test_settings_that_cannot_run_are_refused(settings, message):
    with pytest.raises(BayescgError, match=message):
        SVI(**settings)


def test_a_flow_of_one_variable_is_refused():
    one = Gaussian(jnp.zeros(1), jnp.eye(1))
    with pytest.raises(BayescgError, match="guide='flow' suits 2 to 500 parameters, got 1"):
        SVI(guide="flow").draw(one, key=KEY, loop=QUIET)


def test_settings_are_plain_and_complete():
    settings = SVI(rank=5, batch=None).settings()
    assert json.loads(json.dumps(settings)) == settings
    assert {name: settings[name] for name in ("rank", "batch", "guide")} == {
        "rank": 5, "batch": 0, "guide": "low_rank",
    }  # fmt: skip


def test_float32_is_refused():
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(BayescgError, match=r"SVI needs float64.*enable_x64"):
            SVI().draw(GAUSSIAN, key=KEY, loop=QUIET)
    finally:
        jax.config.update("jax_enable_x64", True)
