"""Draws against the spectrum: right ones pass; a stuck chain, a wide posterior and divergences are named."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg.identifiability.marginals import marginals
from tests.inference.small_problems import dense_posterior, dense_rows, gaussian_prior, pair_data, problem

CHAINS, DRAWS = 4, 2000


@pytest.fixture(scope="module")
def setting():
    """A Gaussian posterior known in closed form."""
    data = pair_data(frames=4)
    made = problem(gaussian_prior() | {"likelihood.noise.scale": 5.0}, data)
    rows, targets = dense_rows(made, data)
    mean, covariance = dense_posterior(rows, targets, 5.0, np.full(7, 10.0), 200.0**2 * np.eye(7))
    found = bcg.identify(made, jnp.asarray(mean))
    root = np.linalg.cholesky(covariance)
    return made, found, mean, root


def tree(mean, root, *, seed=0, diverging=None, change=lambda z: z):
    z = change(np.random.default_rng(seed).normal(size=(CHAINS, DRAWS, 7)))
    values = (mean + z @ root.T)[:, :, None]
    dims = ("chain", "draw", "type_pair", "coefficient")
    groups = {"posterior": xr.Dataset({"potential.coefficients": (dims, values)})}
    if diverging is not None:
        groups["sample_stats"] = xr.Dataset({"diverging": (("chain", "draw"), diverging(z))})
    return xr.DataTree.from_dict(groups)


def test_draws_of_the_posterior_are_as_wide_as_laplace_says(setting):
    made, found, mean, root = setting
    compared = marginals(made, found, tree(mean, root))
    # 8,000 draws: a standard deviation is known to 0.8%, the widest of seven within 3 of that
    np.testing.assert_allclose(compared.dataset["posterior"], compared.dataset["laplace"], rtol=0.025)
    assert (compared.dataset["cramer_rao"] >= compared.dataset["laplace"]).all()
    assert compared.findings == ()


def test_a_stuck_chain_is_named(setting):
    made, found, mean, root = setting

    def stuck(z):
        z[2] += 20.0
        return z

    findings = marginals(made, found, tree(mean, root, change=stuck)).findings
    assert findings
    assert all(text.startswith("Chain 2 lies") for text in findings)
    assert "stuck in another mode" in findings[0]


def test_a_wide_posterior_is_named(setting):
    made, found, mean, root = setting
    findings = marginals(made, found, tree(mean, 2 * root)).findings
    assert len(findings) == 7
    assert "2 times as wide as Laplace's approximation" in findings[0]


def test_divergent_draws_are_placed(setting):
    made, found, mean, root = setting
    sloppiest = found.directions[-1] @ found.experiment.precision @ root
    sloppiest = sloppiest / np.linalg.norm(sloppiest)
    at_the_end = tree(mean, root, diverging=lambda z: z @ sloppiest > 2.0)
    findings = marginals(made, found, at_the_end).findings
    assert [text for text in findings if "along direction 7" in text]
    everywhere = tree(mean, root, diverging=lambda z: np.random.default_rng(1).random(z.shape[:2]) < 0.05)
    assert marginals(made, found, everywhere).findings == ()
