"""Minibatches, stochastic-gradient samplers and MCLMC against a Gaussian known in closed form."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arviz_stats import ess

import bayescg as bcg
from bayescg import MCLMC, SGHMC, SGNHT
from bayescg.inference import minibatched
from bayescg.likelihoods import ForceMatching, StudentT
from bayescg.numerics.host_loop import HostLoop, Interrupted
from tests.inference.small_problems import (
    dense_posterior,
    dense_rows,
    gaussian_prior,
    pair_data,
    problem,
    spline_model,
)

pytestmark = pytest.mark.computing

QUIET = HostLoop(progress=False)
SIGMA, FRAMES = 5.0, 6
SETTINGS = {"batch": 2, "chains": 2, "warmup": 50, "draws": 600}
FINE = {"step_size": 0.05, "steps_per_draw": 30}
# one of a kind serves several tests: what it compiles takes longer than what it draws
MICROCANONICAL = MCLMC(chains=2, warmup=600, draws=600, steps_per_draw=6)
STOCHASTIC = (SGHMC(**SETTINGS, **FINE), SGNHT(**SETTINGS, **FINE))


def framed(data=None):
    """A posterior on stored frames; a Student t of 1e7 degrees is a Gaussian here to 1e-5 of a nat."""
    matching = ForceMatching(noise=StudentT(degrees=1e7)).on(
        pair_data(frames=FRAMES) if data is None else data
    )
    prior = gaussian_prior() | {"likelihood.noise.scale": SIGMA}
    return bcg.Problem(spline_model(), prior, matching)


@pytest.fixture(scope="module")
def posed():
    return framed()


@pytest.fixture(scope="module")
def exact(posed):
    rows, targets = dense_rows(posed, pair_data(frames=FRAMES))
    return dense_posterior(rows, targets, SIGMA, np.full(7, 10.0), 200.0**2 * np.eye(7))


def test_the_mean_over_all_minibatches_is_the_density_and_its_gradient(posed):
    """Two of six frames: fifteen sets, each met among many keys; every one counted once."""
    few, u = minibatched(posed, 2), jnp.asarray(np.random.default_rng(0).normal(10.0, 50.0, 7))
    keys = jax.random.split(jax.random.key(0), 400)
    drawn = jax.vmap(lambda k: jax.random.choice(jax.random.split(k, 1)[0], FRAMES, (2,), replace=False))(
        keys
    )
    sets = {tuple(sorted(np.asarray(pair).tolist())): index for index, pair in enumerate(drawn)}
    assert set(sets) == set(itertools.combinations(range(FRAMES), 2))
    both = jax.jit(jax.vmap(jax.value_and_grad(few.log_density), in_axes=(None, 0)))
    values, slopes = both(u, keys[np.array(list(sets.values()))])
    value, slope = jax.jit(jax.value_and_grad(posed.log_density))(u)
    assert float(values.mean()) == pytest.approx(float(value), rel=1e-10)
    np.testing.assert_allclose(slopes.mean(axis=0), slope, rtol=1e-8, atol=1e-8 * np.abs(slope).max())
    # controls: single sets differ, and without the factor N/n the mean is another density
    assert float(values.std()) > 1e-3 * abs(float(value))
    prior = float(posed.log_prior(u))
    assert abs((float(values.mean()) - prior) / 3 + prior - float(value)) > 1.0


def test_sums_stay_whole_beside_frames(posed):
    """A second term reduced to sums counts in full in every minibatch."""
    other = pair_data(frames=4, key=jax.random.key(9))
    stored = ForceMatching(noise=StudentT(degrees=1e7)).on(pair_data(frames=FRAMES))
    prior = gaussian_prior() | {f"likelihood.{term}.noise.scale": SIGMA for term in range(2)}
    made = bcg.Problem(spline_model(), prior, stored + ForceMatching().on(other))
    few = minibatched(made, FRAMES)
    u = jnp.full(7, 12.0)
    assert float(few.log_density(u, jax.random.key(0))) == pytest.approx(
        float(made.log_density(u)), rel=1e-10
    )


def white(draws, exact):
    """Draws in units in which the exact posterior is N(0, 1), (chain, draw, parameter)."""
    mean, covariance = exact
    return (draws.positions - mean) @ np.linalg.inv(np.linalg.cholesky(covariance)).T


def check_moments(z, *, bias):
    """Means within five standard errors; variances within these and the bias that is allowed."""
    for k in range(z.shape[-1]):
        size = float(ess(z[..., k]))
        assert abs(z[..., k].mean()) < 5 / np.sqrt(size)
        size = float(ess(z[..., k] ** 2))
        assert abs(z[..., k].var() - 1) < 5 * np.sqrt(2 / size) + bias


def test_mclmc_samples_the_gaussian(posed, exact):
    draws = MICROCANONICAL.draw(posed, key=jax.random.key(1), loop=QUIET)
    # an energy variance of 5e-4 per parameter allows a bias of some percent of the variances
    check_moments(white(draws, exact), bias=0.03)
    assert set(draws.statistics) == {"lp", "energy_change", "step_size"}
    own = [float(posed.log_density(jnp.asarray(u))) for u in draws.positions[0, :3]]
    np.testing.assert_allclose(draws.statistics["lp"][0, :3], own, rtol=1e-9)


@pytest.mark.parametrize("sampler", STOCHASTIC, ids=lambda sampler: type(sampler).__name__)
def test_stochastic_gradients_sample_the_gaussian(sampler, posed, exact):
    # Euler's bias of the variance is of the order of the step; the gradient's noise vanishes at the center
    check_moments(white(sampler.draw(posed, key=jax.random.key(2), loop=QUIET), exact), bias=0.10)


def euler_variance(step, count, friction=1.0):
    """Stationary variance of z under explicit Euler on N(0, 1), momentum drawn anew every `count` steps."""
    turn, noise, z = (
        np.array([[1, step], [-step, 1 - friction * step]]),
        np.diag([0, 2 * friction * step]),
        1.0,
    )
    for _ in range(2000):
        covariance = np.diag([z, 1.0])
        for _ in range(count):
            covariance = turn @ covariance @ turn.T + noise
        z = covariance[0, 0]
    return z


def test_long_steps_heat_the_gaussian_as_much_as_euler_does(posed, exact):
    coarse = SGHMC(**SETTINGS, step_size=0.3, steps_per_draw=5)
    z = white(coarse.draw(posed, key=jax.random.key(2), loop=QUIET), exact)
    size = np.mean([float(ess(z[..., k] ** 2)) for k in range(7)])
    expected = euler_variance(0.3, 5)  # 1.30
    error = expected * np.sqrt(2 / (7 * size))
    assert abs(z.var(axis=(0, 1)).mean() - expected) < 5 * error
    # controls: it is no sample of the posterior, and shorter steps are less hot
    with pytest.raises(AssertionError):
        check_moments(z, bias=0.10)
    assert 1.0 < euler_variance(0.05, 20) < 1.05


@pytest.mark.parametrize("sampler", [MICROCANONICAL, *STOCHASTIC], ids=lambda sampler: type(sampler).__name__)
def test_an_interrupted_run_resumes_bit_for_bit(sampler, posed, tmp_path):
    key = jax.random.key(3)
    whole = sampler.draw(posed, key=key, loop=QUIET)

    class Stops(HostLoop):
        """Raises in the stage of sampling before its first chunk."""

        def run(self, name, *args, **settings):
            if name == "sample":
                raise Interrupted("stop")
            return super().run(name, *args, **settings)

    with pytest.raises(Interrupted):
        sampler.draw(posed, key=key, loop=Stops(tmp_path, progress=False, fingerprint="run"))
    again = sampler.draw(posed, key=key, loop=HostLoop(tmp_path, progress=False, fingerprint="run"))
    np.testing.assert_array_equal(again.positions, whole.positions)


def test_what_cannot_run_is_refused(posed):
    with pytest.raises(bcg.BayescgError, match="batch needs a term that stores frames"):
        minibatched(problem(), 2)
    with pytest.raises(bcg.BayescgError, match="batch must be a whole number"):
        SGHMC(batch=0)
    with pytest.raises(bcg.BayescgError, match="step_size times friction must be below 1"):
        SGNHT(batch=2, step_size=0.5, friction=2.0)
    with pytest.raises(bcg.BayescgError, match="warmup must be a whole number of at least 100"):
        MCLMC(warmup=10)


def test_mclmc_needs_two_parameters():
    class One:
        dimension = 1

    with pytest.raises(bcg.BayescgError, match="at least two parameters, got 1"):
        MCLMC().draw(One(), key=jax.random.key(0), loop=QUIET)
