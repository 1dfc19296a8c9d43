"""Whitening makes a Gaussian round, and puts its center where the mass is."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.inference.mode import DENSE_LIMIT, climb, local_gaussian
from bayescg.inference.whitening import blank, whiten
from tests.inference.targets import Funnel, Gaussian, TwoModes, rotated_covariance

KEY = jax.random.key(5)


@pytest.mark.parametrize("condition", [1.0, 1e6, 1e12])
def test_a_gaussian_becomes_round(condition):
    covariance = rotated_covariance(np.geomspace(1.0, condition**-0.5, 8))
    target = Gaussian(jnp.linspace(-3.0, 5.0, 8), jnp.asarray(covariance), prior_width=30.0)
    whitening = whiten(target, key=KEY)
    C = whitening.scale.as_matrix()
    # Σ itself is only known to cond * eps; C C' inherits that through H = Σ^-1
    tolerance = 1e-10 + 10 * condition * np.finfo(float).eps
    np.testing.assert_allclose(
        np.linalg.solve(covariance, C @ C.T), np.eye(8), atol=tolerance * condition**0.5
    )
    # Newton stops within sqrt(2e-6) standard deviations of the mean
    assert np.linalg.norm(whitening.whiten(target.mean)) < 2e-3
    u = whitening.starts[0]
    np.testing.assert_allclose(whitening.unwhiten(whitening.whiten(u)), u, rtol=1e-9)
    # the ELBO of a Gaussian is its log evidence, here log sqrt|2πΣ|, up to the noise of mean|z|²/2:
    # sqrt(d / 2 / ELBO_DRAWS) = 0.25, antithetic pairs carrying the same |z|² make it 0.35
    evidence = 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    np.testing.assert_allclose(whitening.elbo, evidence, atol=4 * 0.35)


def test_starts_spread_like_the_posterior():
    covariance = rotated_covariance([1.0, 1e-2, 1e-3])
    whitening = whiten(Gaussian(jnp.zeros(3), jnp.asarray(covariance)), key=KEY, chains=30)
    z = jax.vmap(whitening.whiten)(whitening.starts)
    # z ~ N(0, I): 90 numbers, |z|² ~ chi² with standard deviation sqrt(180); four of them
    assert abs(float(jnp.sum(z**2)) - 90) < 4 * np.sqrt(180)


def test_the_center_of_a_funnel_is_where_its_mass_is():
    funnel = Funnel()
    whitening = whiten(funnel, key=KEY)
    assert abs(float(whitening.center[0])) < 9  # v ~ N(0, 3²)
    # negative control: the climb itself ends in the neck, at v = -45, beyond the mass
    noise = jnp.zeros((2, 11))
    width = np.ones(11)
    path = climb(
        funnel.log_density,
        np.zeros(11),
        width=width,
        inspect=lambda u: local_gaussian(funnel.log_density, u, width=width, noise=noise),
    )
    assert path[-1][0] < -40


def test_chains_start_in_every_mode_that_has_mass():
    starts = whiten(TwoModes(), key=KEY, chains=8).starts[:, 0]
    assert (starts > 6).any()
    assert (starts < -6).any()
    # negative control: a mode with e^-40 of the mass gets no chain
    starts = whiten(TwoModes(log_ratio=-40.0), key=KEY, chains=8).starts[:, 0]
    assert (starts < -6).all()


def test_a_direction_without_curvature_is_as_wide_as_the_prior_allows():
    def density(u):
        return -0.5 * u[0] ** 2 - 1e-30 * u[1] ** 2 + 1e-3 * u[2] ** 2 - 1e-6 * u[2] ** 4

    prior = jnp.array([5.0, 3.0, 2.0])
    target = SimpleNamespace(
        dimension=3, log_density=density, initial=lambda key: prior * jax.random.normal(key, (3,))
    )
    whitening = whiten(target, key=KEY)
    widths = np.sqrt(np.square(whitening.scale.as_matrix()).sum(1))
    assert widths[0] == pytest.approx(1.0, rel=1e-6)
    # sqrt(d) times the measured width of the prior, itself good to 15%: four of them
    assert widths[1] == pytest.approx(3**0.5 * 3.0, rel=0.6)
    assert widths[2] < 3**0.5 * 2.0 * 1.6


def test_walls_and_impossible_starts_are_survived():
    def density(u):
        return jnp.where(u[0] > 0, jnp.log(jnp.abs(u[0])) * 3 - u[0], jnp.nan) - 0.5 * u[1] ** 2

    target = SimpleNamespace(
        dimension=2, log_density=density, initial=lambda key: 10 * jax.random.normal(key, (2,))
    )
    whitening = whiten(target, key=KEY)
    assert jnp.all(whitening.starts[:, 0] > 0)
    np.testing.assert_allclose(whitening.center, [3.0, 0.0], atol=3.0)  # Gamma(4, 1): mode 3, deviation 2


def test_a_density_finite_nowhere_is_refused():
    target = SimpleNamespace(
        dimension=2,
        log_density=lambda u: jnp.sum(u) * jnp.nan,
        initial=lambda key: jax.random.normal(key, (2,)),
    )
    with pytest.raises(BayescgError, match=r"log_density must be finite.*64 prior draws.*Check the data"):
        whiten(target, key=KEY)


def test_many_parameters_are_whitened_by_their_diagonal():
    deviations = jnp.geomspace(1e-4, 1.0, DENSE_LIMIT + 1)
    target = SimpleNamespace(
        dimension=deviations.size,
        log_density=lambda u: -0.5 * jnp.sum((u / deviations) ** 2),
        initial=lambda key: 3 * jax.random.normal(key, deviations.shape),
    )
    whitening = whiten(target, key=KEY, chains=1)
    np.testing.assert_allclose(whitening.scale.mv(jnp.ones(deviations.size)), deviations, rtol=1e-9)
    assert jax.tree.structure(whitening) == jax.tree.structure(blank(deviations.size, 1))


def test_the_same_key_gives_the_same_bits():
    target = Gaussian(jnp.zeros(3), jnp.asarray(rotated_covariance([1.0, 0.1, 0.01])))
    first, again, other = (whiten(target, key=jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.starts, again.starts)
    assert not np.array_equal(first.starts, other.starts)


@pytest.mark.parametrize("size", [1.0, 1e-5])
def test_differences_of_the_gradient_give_the_hessian(monkeypatch, size):
    def density(u):  # not quadratic; in units of the prior's width wide, then narrow
        v = u / size
        return -jnp.sum(jnp.cosh(v)) - jnp.sin(v[0] * v[1]) / 3 - v[2] ** 4

    def covariance():
        local = local_gaussian(
            density, size * jnp.array([0.3, -0.2, 0.4]), width=jnp.ones(3), noise=jnp.zeros((2, 3))
        )
        C = np.asarray(local.scale.as_matrix())
        return C @ C.T, local

    by_differences, local = covariance()
    monkeypatch.setattr("bayescg.inference.mode.DIFFERENCES_LIMIT", 0)
    exact, other = covariance()
    assert not np.array_equal(by_differences, exact)  # two ways, not one
    np.testing.assert_allclose(by_differences, exact, rtol=5e-3, atol=1e-3 * exact.max())
    np.testing.assert_allclose(local.step, other.step, rtol=2e-2)
    np.testing.assert_allclose(local.elbo, other.elbo, atol=2e-3)
