"""Minibatches and stochastic-gradient samplers against a Gaussian known in closed form."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arviz_stats import ess

import bayescg as bcg
from bayescg import SGHMC, SGNHT
from bayescg.inference import minibatched
from bayescg.likelihoods import ForceMatching, StudentT
from tests.inference.small_problems import gaussian_prior, pair_data, problem, spline_model
from tests.inference.stored_frames import (
    FRAMES,
    QUIET,
    SIGMA,
    check_moments,
    check_resumption,
    exact_moments,
    framed,
    white,
)

pytestmark = pytest.mark.computing

SETTINGS = {"batch": 2, "chains": 2, "warmup": 50, "draws": 600}
FINE = {"step_size": 0.05, "steps_per_draw": 30}
SAMPLERS, KEY = (SGHMC(**SETTINGS, **FINE), SGNHT(**SETTINGS, **FINE)), jax.random.key(2)


@pytest.fixture(scope="module")
def posed():
    return framed()


@pytest.fixture(scope="module")
def exact(posed):
    return exact_moments(posed)


@pytest.fixture(scope="module")
def drawn(posed):
    """Draws by name: one run of a sampler serves several tests."""
    return {type(sampler).__name__: sampler.draw(posed, key=KEY, loop=QUIET) for sampler in SAMPLERS}


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


@pytest.mark.parametrize("name", ["SGHMC", "SGNHT"])
def test_stochastic_gradients_sample_the_gaussian(name, drawn, exact):
    # Euler's bias of the variance is of the order of the step; the gradient's noise vanishes at the center
    check_moments(white(drawn[name], exact), bias=0.10)


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


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)
def test_an_interrupted_run_resumes_bit_for_bit(sampler, posed, drawn, tmp_path):
    check_resumption(sampler, posed, tmp_path, key=KEY, whole=drawn[type(sampler).__name__])


def test_what_cannot_run_is_refused(posed):
    with pytest.raises(bcg.BayescgError, match="batch needs a term that stores frames"):
        minibatched(problem(), 2)
    with pytest.raises(bcg.BayescgError, match="batch must be a whole number"):
        SGHMC(batch=0)
    with pytest.raises(bcg.BayescgError, match="step_size times friction must be below 1"):
        SGNHT(batch=2, step_size=0.5, friction=2.0)
