"""Warm starts: samplers begin at an earlier posterior's draws and end at the same posterior."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

import bayescg as bcg
from bayescg.inference.warm_start import warm_start
from tests.inference.small_problems import gaussian_prior, pair_data, problem, spline_model

KNOWN = {"likelihood.noise.scale": 5.0}
FREE = {"likelihood.noise.scale": dist.LogNormal(1.0, 1.0)}
SAMPLER = bcg.NUTS(chains=2, warmup=100, draws=400)


def drawn(made, **settings):
    return bcg.sample(made, SAMPLER, key=jax.random.key(0), progress=False, **settings)


@pytest.fixture(scope="module")
def earlier():
    """Of half the frames and a noise that is known."""
    made = problem(gaussian_prior() | KNOWN, pair_data(frames=4))
    return bcg.sample(made, bcg.Conjugate(chains=2, draws=100), key=jax.random.key(3), progress=False)


@pytest.fixture(scope="module")
def made():
    return problem(gaussian_prior() | FREE)


def test_starts_are_the_earlier_draws_and_the_rest_is_of_the_prior(earlier):
    grown = problem(bcg.priors.default(spline_model()) | FREE)
    (unknown,) = set(grown.sites) - {"potential.coefficients", "likelihood.noise.scale"}
    starts = warm_start(grown, earlier)
    values = {name: np.asarray(value) for name, value in jax.vmap(grown.constrain)(starts).items()}
    for name in ("potential.coefficients", "likelihood.noise.scale"):
        before = earlier["posterior"][name].values.reshape(200, -1)
        gaps = np.abs(values[name].reshape(len(starts), 1, -1) - before).max(axis=-1)
        assert gaps.min(axis=1).max() < 1e-10
    # what the earlier model did not have: 64 draws of the prior against 4,000, four standard errors
    prior = jax.vmap(lambda key: grown.constrain(grown.initial(key))[unknown])(
        jax.random.split(jax.random.key(2), 4000)
    )
    logs, laws = np.log(values[unknown]).ravel(), np.log(np.asarray(prior)).ravel()
    assert abs(logs.mean() - laws.mean()) < 4 * laws.std() / 8
    # and a sampler begins there, in the parts of a cut too
    begun = grown.started(starts)
    for part in (begun, begun.part(begun.terms, begun.prior)):
        places = jax.vmap(part.initial)(jax.random.split(jax.random.key(1), 20))
        assert all(np.any(np.all(np.asarray(place) == starts, axis=1)) for place in places)


def test_the_posterior_is_the_same(made, earlier):
    warm, cold = drawn(made, start=earlier), drawn(made)
    for name in made.sites:
        one, other = (tree["posterior"][name].stack(all=("chain", "draw")) for tree in (warm, cold))
        # 800 draws each, of which at least 200 count: five standard errors
        allowed = 5 * np.sqrt(2 / 200) * cold["posterior"][name].std(("chain", "draw"))
        assert (abs(one.mean("all") - other.mean("all")) < allowed).all()
    assert bcg.identify(made, warm).ranks.bayesian == bcg.identify(made, cold).ranks.bayesian
    # not the very draws: another beginning
    of = "potential.coefficients"
    assert not np.array_equal(warm["posterior"][of], cold["posterior"][of])


def test_a_checkpoint_of_another_start_is_refused(made, earlier, tmp_path):
    drawn(made, checkpoint=tmp_path)
    with pytest.raises(bcg.BayescgError, match="made for another problem"):
        drawn(made, start=earlier, checkpoint=tmp_path)


def test_a_start_without_common_parameters_is_refused(made, earlier):
    with pytest.raises(bcg.BayescgError, match="start must share a random variable"):
        drawn(problem(gaussian_prior() | KNOWN, knots=9), start=earlier)


def test_a_start_outside_the_prior_is_refused(earlier):
    bounded = problem({"potential.coefficients": dist.Uniform(1e4, 2e4).expand([7])} | FREE)
    with pytest.raises(bcg.BayescgError, match="a draw that the problem's prior allows"):
        warm_start(bounded, earlier)
