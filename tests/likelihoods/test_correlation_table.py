"""Tabulated correlation functions: a multivariate normal of the table's numbers, and what they determine."""

import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats
from scipy.linalg import expm

import bayescg as bcg
from bayescg.likelihoods import Correlation

KT = bcg.units.thermal_energy(300.0)
STIFFNESS, FRICTION = 50.0, 30.0
LAGS = 0.2 * np.arange(1, 9)
SCATTER = 0.02**2 * np.exp(-np.abs(LAGS[:, None] - LAGS) / 0.4)
MODEL = bcg.Model(bcg.potentials.Harmonic(STIFFNESS, 0.0), bcg.memory.Markovian(FRICTION))
PRIOR = {"potential.stiffness": dist.LogNormal(4.0, 1.0), "memory.friction": dist.LogNormal(3.0, 1.0)}
TRUTH = {"potential.stiffness": STIFFNESS, "memory.friction": FRICTION}


def decay(stiffness=STIFFNESS, friction=FRICTION):
    return np.exp(-stiffness / friction * LAGS)


def table(values=None, covariance=SCATTER, **settings):
    values = decay() if values is None else values
    return bcg.data.correlation_table(LAGS, values, covariance, temperature=300.0, **settings)


@pytest.fixture(scope="module")
def problem():
    term = Correlation(overdamped=True).on(table())
    return bcg.Problem(MODEL, PRIOR, term)


def test_density_is_the_multivariate_normal(problem):
    for k, gamma in ((50.0, 30.0), (40.0, 33.0)):
        expected = stats.multivariate_normal(decay(k, gamma), SCATTER).logpdf(decay())
        found = problem.log_likelihood({"potential.stiffness": k, "memory.friction": gamma})
        assert float(found) == pytest.approx(expected, rel=1e-9)
    # control: errors taken as independent are another density
    alone = stats.multivariate_normal(decay(40.0, 33.0), np.diag(np.diag(SCATTER))).logpdf(decay())
    assert abs(float(found) - alone) > 0.1


def test_velocity_table_of_a_particle_with_inertia():
    mass, friction = 10.0, 20.0
    drift = np.array([[0.0, -1.0], [STIFFNESS / mass, friction / mass]])
    truth = np.array([KT / mass * expm(-drift * t)[1, 1] for t in LAGS])
    data = table(truth + 0.01, 0.02 * np.ones(LAGS.size), of="velocity", normalized=False, mass=mass)
    made = bcg.Problem(MODEL, PRIOR, Correlation("velocity", normalized=False).on(data))
    found = made.log_likelihood({"potential.stiffness": STIFFNESS, "memory.friction": friction})
    expected = stats.norm(truth, 0.02).logpdf(truth + 0.01).sum()
    assert float(found) == pytest.approx(expected, rel=1e-8)


def test_normalized_table_identifies_stiffness_over_friction_alone(problem):
    identified = bcg.identify(problem, TRUTH)
    (found,) = identified.combinations
    assert "potential.stiffness^1" in found.text
    assert "memory.friction^-1" in found.text
    # control: with the variance, at lag zero, both are determined
    width = bcg.data.correlation_table([0.0], [KT / STIFFNESS], [1e-3], temperature=300.0, normalized=False)
    terms = Correlation(overdamped=True).on(table())
    terms = terms + Correlation(normalized=False, overdamped=True).on(width)
    both = bcg.identify(bcg.Problem(MODEL, PRIOR, terms), TRUTH)
    assert identified.null_directions.sizes["direction"] == 1
    assert both.null_directions.sizes["direction"] == 0


def test_table_and_trajectory_terms_add_up(problem):
    rng = np.random.default_rng(0)
    noisy = rng.multivariate_normal(decay(), SCATTER)
    other = Correlation(overdamped=True).on(table(noisy))
    alone = bcg.Problem(MODEL, PRIOR, other)
    both = bcg.Problem(MODEL, PRIOR, Correlation(overdamped=True).on(table()) + other)
    total = float(problem.log_likelihood(TRUTH)) + float(alone.log_likelihood(TRUTH))
    assert float(both.log_likelihood(TRUTH)) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"times": LAGS[::-1]}, "times must rise"),
        ({"times": LAGS - LAGS[0]}, "above zero"),
        ({"values": decay()[:-1]}, "one shape"),
        ({"values": np.full(8, np.nan)}, "finite"),
        ({"covariance": np.eye(7)}, r"shape \(8, 8\)"),
        ({"covariance": -np.eye(8)}, "no negative eigenvalue"),
        ({"covariance": SCATTER + np.triu(SCATTER, 1)}, "symmetric"),
        ({"covariance": np.zeros(8)}, "standard errors must be above zero"),
        ({"temperature": -1.0}, "temperature must be positive"),
        ({"of": "force"}, "of must be one of"),
        ({"mass": 0.0}, "mass must be positive"),
    ],
)
def test_bad_tables_are_refused(given, message):
    good = {"times": LAGS, "values": decay(), "covariance": SCATTER, "temperature": 300.0}
    with pytest.raises(bcg.BayescgError, match=message):
        bcg.data.correlation_table(**{**good, **given})


@pytest.mark.parametrize(
    ("likelihood", "message"),
    [
        (Correlation("velocity"), "of and normalized must be those of the table"),
        (Correlation(normalized=False, overdamped=True), "of and normalized must be those of the table"),
        (Correlation(times=(0.2,), overdamped=True), "times must be those of the table"),
    ],
)
def test_a_likelihood_of_another_function_is_refused(likelihood, message):
    with pytest.raises(bcg.BayescgError, match=message):
        bcg.Problem(MODEL, PRIOR, likelihood.on(table()))
