"""Deep ensembles: modes, named as such; no width where there is one mode, several where there are several."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg
from bayescg import DeepEnsemble
from bayescg.numerics.host_loop import HostLoop
from tests.inference.small_problems import dense_posterior, dense_rows, gaussian_prior, pair_data, problem

QUIET = HostLoop(progress=False)


class TwoWells:
    """Modes at -3 and 3."""

    dimension = 1

    def log_density(self, u):
        return jnp.logaddexp(-0.5 * jnp.sum((u - 3.0) ** 2), -0.5 * jnp.sum((u + 3.0) ** 2))

    def initial(self, key):
        return 4.0 * jax.random.normal(key, (1,))


def test_a_convex_problem_has_one_mode_and_the_result_says_it_is_no_posterior():
    data = pair_data()
    made = problem(gaussian_prior() | {"likelihood.noise.scale": 5.0}, data)
    found = bcg.sample(made, DeepEnsemble(members=4, steps=200), key=jax.random.key(0), progress=False)
    rows, targets = dense_rows(made, data)
    mode, covariance = dense_posterior(rows, targets, 5.0, np.full(7, 10.0), 200.0**2 * np.eye(7))
    members = found["posterior"]["potential.coefficients"].values[0, :, 0]
    # at the mode to a thousandth of the posterior's width, which the ensemble does not show
    assert np.abs((members - mode) / np.sqrt(np.diag(covariance))).max() < 1e-3
    assert "modes of an ensemble, no posterior" in found.attrs["warnings"]
    exact = bcg.sample(made, bcg.Conjugate(chains=2, draws=100), key=jax.random.key(0), progress=False)
    assert "modes of an ensemble" not in exact.attrs["warnings"]


def test_members_find_several_modes():
    draws = DeepEnsemble(members=12, steps=100).draw(TwoWells(), key=jax.random.key(1), loop=QUIET)
    found = draws.positions[0, :, 0]
    # where |u| = 3 the other mode adds e^-18
    np.testing.assert_allclose(np.abs(found), 3.0, atol=1e-4)
    assert {-1.0, 1.0} == set(np.sign(found).tolist())


def test_too_few_members_are_refused():
    with pytest.raises(bcg.BayescgError, match="members must be a whole number of at least 2"):
        DeepEnsemble(members=1)
