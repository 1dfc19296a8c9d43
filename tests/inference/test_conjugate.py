"""Conjugate inference is exact: dense linear algebra, evidence and Student's t are the references."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

import bayescg as bcg
from bayescg.inference.conjugate import Collapsed
from bayescg.numerics.host_loop import HostLoop
from tests.inference.small_problems import (
    dense_posterior,
    dense_rows,
    gaussian_prior,
    pair_data,
    problem,
    spline_model,
)

QUIET = HostLoop(progress=False)
FIXED = {"likelihood.noise.scale": 5.0}


def test_conditional_equals_dense_linear_algebra():
    data = pair_data()
    made = problem(gaussian_prior() | FIXED, data)
    rows, targets = dense_rows(made, data)
    mean, covariance = dense_posterior(rows, targets, 5.0, np.full(7, 10.0), 200.0**2 * np.eye(7))
    found_mean, found_covariance = Collapsed(made).conditional(jnp.zeros(0))
    np.testing.assert_allclose(found_mean, mean, rtol=1e-8)
    np.testing.assert_allclose(found_covariance, covariance, rtol=1e-8, atol=1e-8 * covariance.max())
    # control: another noise level gives another covariance
    _, other = dense_posterior(rows, targets, 5.01, np.full(7, 10.0), 200.0**2 * np.eye(7))
    assert np.abs(np.asarray(found_covariance) / other - 1).max() > 1e-4


@pytest.mark.parametrize(
    "sampler", [bcg.NUTS(draws=500), bcg.NUTS(draws=500, engine="numpyro"), bcg.Conjugate()]
)
def test_every_sampler_targets_the_dense_posterior(sampler):
    data = pair_data()
    made = problem(gaussian_prior() | FIXED, data)
    rows, targets = dense_rows(made, data)
    mean, covariance = dense_posterior(rows, targets, 5.0, np.full(7, 10.0), 200.0**2 * np.eye(7))
    # what the samplers are given is the dense Gaussian to rounding ...
    points = mean + 2.0 * np.linalg.cholesky(covariance) @ np.eye(7)
    density = np.array([float(made.log_density(jnp.asarray(p))) for p in points.T])
    dense = stats.multivariate_normal(mean, covariance).logpdf(points.T)
    np.testing.assert_allclose(density - density[0], dense - dense[0], atol=1e-8 * abs(density[0]))
    # ... and their moments agree within five standard errors of at least 500 effective draws
    draws = sampler.draw(made, key=jax.random.key(1), loop=QUIET).positions.reshape(-1, 7)
    white = (draws - mean) @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    assert np.abs(white.mean(axis=0)).max() < 5 / np.sqrt(500)
    assert np.abs(white.std(axis=0) - 1).max() < 5 / np.sqrt(2 * 500)


def test_collapsed_density_is_the_gaussian_evidence():
    data = pair_data(frames=2, beads=12)
    made = problem(gaussian_prior() | {"likelihood.noise.scale": dist.LogNormal(1.5, 0.7)}, data)
    rows, targets = dense_rows(made, data)
    collapsed = Collapsed(made)

    def dense(log_sigma):
        covariance = 200.0**2 * rows @ rows.T + np.exp(2 * log_sigma) * np.eye(len(targets))
        evidence = stats.multivariate_normal(rows @ np.full(7, 10.0), covariance).logpdf(targets)
        return evidence + stats.norm.logpdf(log_sigma, 1.5, 0.7)

    found = [float(collapsed.log_density(jnp.array([s]))) for s in (1.0, 1.6, 2.5)]
    expected = [dense(s) for s in (1.0, 1.6, 2.5)]
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-7)


def test_unknown_variance_gives_students_t():
    """Flat coefficients and an inverse-gamma variance: the marginal of a coefficient is Student's t."""
    data = pair_data(frames=2, beads=10)
    shape, rate = 3.0, 60.0
    variance = dist.InverseGamma(shape, rate)
    scale = dist.TransformedDistribution(variance, dist.transforms.PowerTransform(0.5))
    # a Gaussian 1e4 posterior standard deviations wide shifts nothing by more than 1e-4 of one
    prior = {"potential.coefficients": dist.Normal(0.0, 1e6), "likelihood.noise.scale": scale}
    made = problem(prior, data)
    rows, targets = dense_rows(made, data)
    centre, squared, *_ = np.linalg.lstsq(rows, targets, rcond=None)
    # p(theta) ∝ [rate + (SSE + |X (theta - centre)|²)/2]^-(shape + n/2)
    freedom = 2 * shape + len(targets) - 7
    spread = (2 * rate + squared[0]) / freedom * np.linalg.inv(rows.T @ rows)
    sampler = bcg.Conjugate(chains=2, draws=1500)
    draws = sampler.draw(made, key=jax.random.key(2), loop=QUIET).positions
    theta = draws.reshape(-1, draws.shape[-1])[
        :, [made.labels.index(f"potential.coefficients[0, {k}]") for k in (0, 3)]
    ]
    for index, k in enumerate((0, 3)):
        standard = (theta[:, index] - centre[k]) / np.sqrt(spread[k, k])
        thinned = standard[::3]  # independence chains repeat a value where a proposal is refused
        assert stats.kstest(thinned, stats.t(freedom).cdf).pvalue > 1e-3
        assert stats.kstest(thinned * 1.3, stats.t(freedom).cdf).pvalue < 1e-3


def test_a_draws_density_is_the_problems():
    made = problem(gaussian_prior())
    drawn = bcg.Conjugate(chains=1, draws=20).draw(made, key=jax.random.key(4), loop=QUIET)
    own = [float(made.log_density(jnp.asarray(u))) for u in drawn.positions[0]]
    np.testing.assert_allclose(drawn.statistics["lp"][0], own, rtol=1e-9)
    # control: a draw has not the density of the next one
    assert np.abs(np.roll(own, 1) / drawn.statistics["lp"][0] - 1).max() > 1e-6


def test_a_part_of_a_problem_knows_its_own_terms_only():
    data, more = pair_data(), pair_data(key=jax.random.key(21))
    terms = bcg.likelihoods.ForceMatching().on(data) + bcg.likelihoods.ForceMatching().on(more)
    prior = gaussian_prior() | {f"likelihood.{term}.noise.scale": 5.0 for term in range(2)}
    whole = bcg.Problem(spline_model(), prior, terms)
    alone, _ = Collapsed(problem(gaussian_prior() | FIXED, data)).conditional(jnp.zeros(0))
    found, _ = Collapsed(whole.part((0,), whole.prior)).conditional(jnp.zeros(0))
    np.testing.assert_allclose(found, alone, rtol=1e-8)
    # control: both terms say something else
    assert np.abs(Collapsed(whole).conditional(jnp.zeros(0))[0] / alone - 1).max() > 1e-3
