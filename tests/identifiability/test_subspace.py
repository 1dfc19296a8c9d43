"""Directions that the data determine: closed forms of Gaussian regression are the reference."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
import xarray as xr
from scipy.linalg import eigh

import bayescg as bcg
from tests.inference.small_problems import (
    dense_posterior,
    dense_rows,
    gaussian_prior,
    pair_data,
    problem,
    spline_model,
)


def test_spectrum_is_that_of_the_regression():
    data = pair_data()
    made = problem(gaussian_prior() | {"likelihood.noise.scale": 5.0}, data)
    rows, targets = dense_rows(made, data)
    found = bcg.identify(made, made.initial(jax.random.key(0)))
    information = eigh(rows.T @ rows / 25.0, np.eye(7) / 200.0**2, eigvals_only=True)[::-1]
    np.testing.assert_allclose(found.spectrum["information"], information, rtol=1e-8)
    _, covariance = dense_posterior(rows, targets, 5.0, np.full(7, 10.0), 200.0**2 * np.eye(7))
    # Σ log(1 + lambda)/2 is half the log ratio of prior and posterior volume
    gain = 0.5 * (7 * np.log(200.0**2) - np.linalg.slogdet(covariance)[1])
    np.testing.assert_allclose(found.information_gain, gain, rtol=1e-8)
    trace = 7 - np.trace(covariance) / 200.0**2
    np.testing.assert_allclose(found.effective_dimension, trace, rtol=1e-8)


def test_unsampled_parameters_are_null_directions():
    """The second spline's range is never reached: its coefficients are left to the prior, and named."""
    model = bcg.Model(
        bcg.potentials.PairSpline(cutoff=0.6, knots=8, start=0.25)
        + bcg.potentials.PairSpline(cutoff=0.2, knots=6, start=0.05)
    )
    prior = {f"potential.terms.{i}.coefficients": dist.Normal(0.0, 200.0) for i in (0, 1)}
    prior["likelihood.noise.scale"] = 5.0
    made = bcg.Problem(model, prior, bcg.likelihoods.ForceMatching().on(pair_data()))
    found = bcg.identify(made, made.initial(jax.random.key(0)))
    assert found.null_directions.sizes["direction"] == 5
    assert (found.null_directions["contraction"] == 1).all()
    assert "5 directions are left to it" in found.summary()
    assert "terms" not in found.worst  # said in distances, not in paths
    # control: without the second spline nothing is null
    alone = problem(gaussian_prior() | {"likelihood.noise.scale": 5.0})
    assert bcg.identify(alone, alone.initial(jax.random.key(0))).null_directions.sizes["direction"] == 0


def test_hyperparameters_are_held():
    made = problem(bcg.priors.default(spline_model()))
    found = bcg.identify(made, made.initial(jax.random.key(0)))
    labels = found.spectrum["parameter"].values.tolist()
    assert "potential.coefficients.roughness[0]" not in labels
    assert len(labels) == 8


def test_posterior_of_another_problem_is_refused():
    """A result carries the fingerprint of its problem (`tests/inference` hold that it does)."""
    made, other = (problem(gaussian_prior(), pair_data(noise=noise)) for noise in (5.0, 6.0))
    tree = xr.DataTree(xr.Dataset(attrs={"problem": made.fingerprint}))
    with pytest.raises(bcg.BayescgError, match="Give the problem that it was sampled from"):
        bcg.identify(other, tree)
