"""Independence chains against densities whose moments are known, and where the first guess fails."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arviz_stats import ess, rhat

from bayescg.inference import independence
from bayescg.inference.independence import efficiency, independence_chains
from bayescg.inference.student_mixture import StudentMixture, fitted


class Banana:
    """x0 ~ N(0, 1), x1 | x0 ~ N(bend x0², width²): bent, with long thin arms."""

    dimension = 2
    bend, width = 1.0, 0.5

    def log_density(self, u):
        return -0.5 * u[0] ** 2 - 0.5 * ((u[1] - self.bend * u[0] ** 2) / self.width) ** 2

    def initial(self, key):
        return 2.0 * jax.random.normal(key, (2,))


class Heavy:
    """A t of three degrees of freedom in four dimensions, of variance three in every coordinate."""

    dimension = 4

    def log_density(self, u):
        return -0.5 * (3 + 4) * jnp.log1p(jnp.sum(u**2) / 3)

    def initial(self, key):
        return 3.0 * jax.random.normal(key, (4,))


@pytest.fixture(scope="module", params=[0, 1, 2])
def banana(request):
    return independence_chains(Banana(), key=jax.random.key(request.param), chains=4, draws=1000)


def test_moments_of_a_banana_within_monte_carlo_error(banana):
    x = banana.positions
    # x1 = x0² + noise of variance 1/4: mean 1, variance 2 + 1/4; four standard errors: 1 in 16,000 a check
    for values, mean in ((x[..., 0], 0.0), (x[..., 1], 1.0), (x[..., 0] ** 2, 1.0)):
        error = values.std() / np.sqrt(float(ess(values)))
        assert abs(values.mean() - mean) < 4 * error
    spread = (x[..., 1] - 1.0) ** 2
    assert abs(spread.mean() - 2.25) < 4 * spread.std() / np.sqrt(float(ess(spread)))


def test_chains_over_a_banana_mix(banana):
    assert banana.statistics["acceptance_rate"].mean() > 0.6
    assert float(ess(banana.positions[..., 1])) > 500  # 780 to 2,200 in ten runs
    assert float(rhat(banana.positions[..., 1])) < 1.01


def test_without_adaptation_the_chains_stick(monkeypatch):
    """Control: the local Gaussian alone, which serves a posterior of much data, does not serve here."""
    monkeypatch.setattr(independence, "ROUNDS", 1)
    monkeypatch.setattr(independence, "RETRIES", 0)
    found = independence_chains(Banana(), key=jax.random.key(0), chains=4, draws=1000)
    assert float(ess(found.positions[..., 1])) < 250


def test_tails_heavier_than_the_first_guess():
    found = independence_chains(Heavy(), key=jax.random.key(3), chains=4, draws=2000)
    inside = np.sum(found.positions**2, axis=-1) / 4 < 0.9485  # the median of F(4, 3) by scipy.stats
    error = 0.5 / np.sqrt(float(ess(inside.astype(float))))
    assert abs(inside.mean() - _median_check()) < 4 * error
    assert found.statistics["acceptance_rate"].mean() > 0.7


def _median_check():
    from scipy.stats import f

    return f.cdf(0.9485, 4, 3)


def test_density_of_a_mixture_is_scipys():
    from scipy.stats import multivariate_t

    factor = np.array([[1.0, 0.0], [0.4, 0.7]])
    mixture = StudentMixture(
        np.array([0.3, 0.7]), np.array([[0.0, 1.0], [2.0, -1.0]]), np.stack([factor, np.eye(2)]), 5.0
    )
    points = np.random.default_rng(0).normal(size=(20, 2))
    expected = 0.3 * multivariate_t([0.0, 1.0], factor @ factor.T, df=5).pdf(points)
    expected += 0.7 * multivariate_t([2.0, -1.0], np.eye(2), df=5).pdf(points)
    np.testing.assert_allclose(np.exp(mixture.log_density(points)), expected, rtol=1e-12)
    assert not np.allclose(np.exp(mixture._replace(degrees=6.0).log_density(points)), expected, rtol=1e-3)


def test_draws_of_a_mixture_have_its_moments():
    mixture = StudentMixture(
        np.array([0.25, 0.75]), np.array([[0.0], [4.0]]), np.array([[[1.0]], [[2.0]]]), 6.0
    )
    draws = mixture.draw(np.random.default_rng(1), 40_000)[:, 0]
    # variance of a t_6 is 6/4 of its scale²
    variance = 1.5 * (0.25 * 1 + 0.75 * 4) + 0.25 * 0.75 * 16
    assert abs(draws.mean() - 3.0) < 4 * np.sqrt(variance / draws.size)
    fourth = np.mean((draws - draws.mean()) ** 4)
    assert abs(draws.var() - variance) < 4 * np.sqrt((fourth - variance**2) / draws.size)


def test_weights_count_as_copies():
    """A point of weight two is the point twice: the same fit."""
    points = np.random.default_rng(2).normal(size=(60, 2))
    weights = np.where(np.arange(60) < 20, 2.0, 1.0)
    once = fitted(points, weights, components=1, degrees=6.0, rng=np.random.default_rng(0))
    twice = np.concatenate([points, points[:20]])
    copies = fitted(twice, np.ones(80), components=1, degrees=6.0, rng=np.random.default_rng(0))
    np.testing.assert_allclose(once.means, copies.means, atol=1e-6)
    np.testing.assert_allclose(once.factors, copies.factors, atol=1e-6)
    other = fitted(points, np.ones(60), components=1, degrees=6.0, rng=np.random.default_rng(0))
    assert not np.allclose(once.means, other.means, atol=1e-3)


def test_efficiency_of_a_shifted_gaussian():
    """w = exp(shift x - shift²/2) under N(0, 1): E[w]²/E[w²] = exp(-shift²)."""
    x = np.random.default_rng(0).normal(size=200_000)
    assert efficiency(0.5 * x) == pytest.approx(np.exp(-0.25), rel=0.01)
