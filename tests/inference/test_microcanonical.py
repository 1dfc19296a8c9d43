"""MCLMC against a Gaussian known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg
from bayescg import MCLMC
from tests.inference.stored_frames import QUIET, check_moments, check_resumption, exact_moments, framed, white

pytestmark = pytest.mark.computing

SAMPLER, KEY = MCLMC(chains=2, warmup=600, draws=600, steps_per_draw=6), jax.random.key(1)


@pytest.fixture(scope="module")
def posed():
    return framed()


@pytest.fixture(scope="module")
def drawn(posed):
    return SAMPLER.draw(posed, key=KEY, loop=QUIET)


def test_mclmc_samples_the_gaussian(posed, drawn):
    # an energy variance of 5e-4 per parameter allows a bias of some percent of the variances
    check_moments(white(drawn, exact_moments(posed)), bias=0.03)
    assert set(drawn.statistics) == {"lp", "energy_change", "step_size"}
    own = [float(posed.log_density(jnp.asarray(u))) for u in drawn.positions[0, :3]]
    np.testing.assert_allclose(drawn.statistics["lp"][0, :3], own, rtol=1e-9)


def test_an_interrupted_run_resumes_bit_for_bit(posed, drawn, tmp_path):
    check_resumption(SAMPLER, posed, tmp_path, key=KEY, whole=drawn)


def test_what_cannot_run_is_refused():
    with pytest.raises(bcg.BayescgError, match="warmup must be a whole number of at least 100"):
        MCLMC(warmup=10)

    class One:
        dimension = 1

    with pytest.raises(bcg.BayescgError, match="at least two parameters, got 1"):
        MCLMC().draw(One(), key=jax.random.key(0), loop=QUIET)
