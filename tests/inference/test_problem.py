"""A problem is a prior and likelihoods, one density, the same in every form."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr
from scipy import stats

import bayescg as bcg
from tests.inference.small_problems import dense_rows, gaussian_prior, pair_data, problem, spline_model

PRIOR = gaussian_prior() | {"likelihood.noise.scale": dist.LogNormal(1.5, 0.7)}


def test_log_density_is_prior_times_likelihood_times_jacobian():
    data = pair_data()
    made = problem(PRIOR, data)
    rows, targets = dense_rows(made, data)
    u = made.initial(jax.random.key(1))
    values = made.constrain(u)
    theta, sigma = np.asarray(values["potential.coefficients"][0]), float(values["likelihood.noise.scale"][0])
    expected = (
        stats.norm.logpdf(targets, rows @ theta, sigma).sum()
        + stats.norm.logpdf(theta, 10.0, 200.0).sum()
        + stats.lognorm.logpdf(sigma, 0.7, scale=np.exp(1.5))
        + np.log(sigma)  # d sigma / d log sigma
    )
    # rounding: sums of squares of 1e6 lose ten digits at most
    np.testing.assert_allclose(made.log_density(u), expected, rtol=1e-9)
    # control: without the Jacobian the densities differ
    assert abs(float(made.log_density(u)) - (expected - np.log(sigma))) > 1e-3


@pytest.mark.parametrize(
    "kind", [bcg.potentials.Harmonic, bcg.potentials.DoubleWell, bcg.potentials.Spline1D]
)
def test_problems_that_differ_in_numbers_alone_share_programs(kind):
    """Data enter a problem as leaves; what is static decides whether a compiled function serves again."""

    def made(scale, modes=1):
        x = scale * np.random.default_rng(3).normal(size=(200, 1, 1)).cumsum(axis=0)
        beads = xr.Dataset(
            {
                "position": (("frame", "bead", "dim"), x, {"units": "nm"}),
                "mass": ("bead", [20.0], {"units": "amu"}),
            },
            coords={"time": ("frame", 0.02 * np.arange(200), {"units": "ps"}), "dim": ["q"]},
            attrs={"temperature": 300.0},
        )
        model = bcg.Model(kind(), memory=bcg.memory.Prony(modes=modes))
        return bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.Path().on(beads))

    first, second = made(0.01), made(0.02)
    assert jax.tree.structure(first) == jax.tree.structure(second)
    assert first.fingerprint != second.fingerprint
    assert jax.tree.structure(first) != jax.tree.structure(made(0.01, modes=2))  # control


def test_unconstrain_inverts_constrain():
    made = problem(bcg.priors.default(spline_model()))
    u = made.initial(jax.random.key(2))
    np.testing.assert_allclose(made.unconstrain(made.constrain(u)), u, rtol=1e-12)


def test_numpyro_program_has_the_same_density():
    made = problem(PRIOR)
    u = made.initial(jax.random.key(3))
    values = {name: made.constrain(u)[name] for name in made.sites}
    joint, _ = numpyro.infer.util.log_density(made.numpyro_model, (), {}, values)
    jacobian = jnp.log(values["likelihood.noise.scale"][0])
    np.testing.assert_allclose(joint + jacobian, made.log_density(u), rtol=1e-12)


def test_terms_add():
    first, second = pair_data(key=jax.random.key(4)), pair_data(key=jax.random.key(5))
    matching = bcg.likelihoods.ForceMatching()
    both = bcg.Problem(spline_model(), gaussian_prior(), matching.on(first) + matching.on(second))
    values = {"potential.coefficients": jnp.linspace(30.0, 0.0, 7)[None]}
    noise = {"likelihood.noise.scale": jnp.array([5.0])}
    apart = sum(problem(PRIOR, data).log_likelihood(values | noise) for data in (first, second))
    names = {f"likelihood.{index}.noise.scale": jnp.array([5.0]) for index in range(2)}
    np.testing.assert_allclose(both.log_likelihood(values | names), apart, rtol=1e-12)


def test_numbers_fix_parameters():
    made = problem(gaussian_prior() | {"likelihood.noise.scale": 4.0})
    assert made.sites == ("potential.coefficients",)
    assert made.constrain(made.initial(jax.random.key(0)))["likelihood.noise.scale"].tolist() == [4.0]


def test_programs_may_share_hyperparameters():
    def program():
        width = numpyro.sample("width", dist.HalfNormal(100.0))
        offsets = numpyro.sample("offsets", dist.Normal(0.0, 1.0).expand((1, 7)).to_event(2))
        return {"potential.coefficients": width * offsets}

    made = problem(program)
    assert made.sites == ("likelihood.noise.scale", "offsets", "width")
    values = made.constrain(made.initial(jax.random.key(0)))
    np.testing.assert_allclose(values["potential.coefficients"], values["width"] * values["offsets"])
    assert np.isfinite(float(made.log_density(made.initial(jax.random.key(0)))))


@pytest.mark.parametrize("changed", ["data", "prior", "model"])
def test_fingerprint_tells_problems_apart(changed):
    base = problem(PRIOR)
    assert base.fingerprint == problem(PRIOR).fingerprint
    other = {
        "data": lambda: problem(PRIOR, pair_data(noise=5.001)),
        "prior": lambda: problem(PRIOR | {"likelihood.noise.scale": dist.LogNormal(1.5, 0.71)}),
        "model": lambda: problem(PRIOR, knots=9),
    }[changed]()
    assert other.fingerprint != base.fingerprint


def test_prior_draws_follow_the_prior():
    made = problem(PRIOR)
    draws = jax.vmap(made.initial)(jax.random.split(jax.random.key(0), 2000))
    place = made.labels.index("potential.coefficients[0, 0]")
    # a true law fails this one time in a thousand; the key is fixed
    assert stats.kstest(np.asarray(draws[:, place]), stats.norm(10.0, 200.0).cdf).pvalue > 1e-3
    assert stats.kstest(np.asarray(draws[:, place]), stats.norm(30.0, 200.0).cdf).pvalue < 1e-3
