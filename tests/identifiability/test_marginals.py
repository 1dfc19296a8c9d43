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
    """At one end of the sloppiest direction, in a neck in its middle, and anywhere."""
    made, found, mean, root = setting
    sloppiest = found.directions[-1] @ found.experiment.precision @ root
    sloppiest = sloppiest / np.linalg.norm(sloppiest)
    at_the_end = marginals(made, found, tree(mean, root, diverging=lambda z: z @ sloppiest > 2.0))
    assert at_the_end.findings[0].startswith("The ")
    assert "along direction 7" in at_the_end.findings[0]
    # draws beyond two deviations of a Gaussian have the mean 2.37
    assert abs(abs(float(at_the_end.dataset["divergent_shift"][-1])) - 2.37) < 0.1
    projected = at_the_end.dataset["divergent_draws"]
    assert dict(projected.sizes) == {"divergent": at_the_end.dataset.attrs["divergent"], "direction": 7}
    in_the_neck = marginals(made, found, tree(mean, root, diverging=lambda z: np.abs(z @ sloppiest) < 0.05))
    assert [text for text in in_the_neck.findings if "along direction 7" in text]
    assert float(in_the_neck.dataset["divergent_spread"][-1]) < 0.05
    # controls: divergences at random, and none
    everywhere = tree(mean, root, diverging=lambda z: np.random.default_rng(1).random(z.shape[:2]) < 0.05)
    assert marginals(made, found, everywhere).findings == ()
    nowhere = marginals(made, found, tree(mean, root, diverging=lambda z: np.zeros(z.shape[:2], dtype=bool)))
    assert nowhere.dataset.sizes["divergent"] == 0
