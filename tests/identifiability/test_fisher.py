"""Fisher information against closed forms and dense algebra, by problem and by table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg
from bayescg.identifiability import gaussian_rows, information_matrix, information_product, term_information
from tests.inference.small_problems import dense_rows, gaussian_prior, pair_data, problem, spline_model

KT = 2.5


def log_fisher(rows, at, names):
    """J'J of rows in the logarithms of all parameters."""
    found = bcg.identify.from_prediction(rows, at, names=names, positive=names)
    return found.informations[0].matrix


@pytest.mark.parametrize("u", [0.05, 0.7, 2.0])
def test_transition_of_an_overdamped_spring_has_the_closed_form(u):
    """Information of (x_0, x_1) less that of x_0 alone is that of the transition."""
    k, gamma = 3.0, 1.5
    dt = u * gamma / k

    def joint(theta):
        stationary, correlation = KT / theta[0], jnp.exp(-theta[0] / theta[1] * dt)
        cov = stationary * (jnp.eye(2) + correlation * (jnp.ones((2, 2)) - jnp.eye(2)))
        return gaussian_rows(jnp.zeros(2), cov)

    def alone(theta):
        return gaussian_rows(jnp.zeros(1), jnp.full((1, 1), KT / theta[0]))

    F = log_fisher(joint, [k, gamma], ["k", "gamma"]) - log_fisher(alone, [k, gamma], ["k", "gamma"])
    grown = np.exp(2 * u)
    np.testing.assert_allclose(F[1, 1], u**2 * (grown + 1) / (grown - 1) ** 2, rtol=1e-8)
    np.testing.assert_allclose(np.linalg.det(F), u**2 / (2 * (grown - 1)), rtol=1e-8)


def test_normalized_autocorrelation_of_an_overdamped_spring_sees_one_ratio():
    t, sigma = np.arange(1, 9) * 0.2, 0.03
    found = bcg.identify.from_prediction(
        lambda theta: jnp.exp(-theta[0] / theta[1] * t),
        [2.0, 3.0],
        names=["k", "gamma"],
        positive=["k", "gamma"],
        noise=sigma,
    )
    u = 2.0 / 3.0 * t
    S = np.sum((u * np.exp(-u)) ** 2) / sigma**2
    np.testing.assert_allclose(found.informations[0].matrix, S * np.array([[1, -1], [-1, 1]]), rtol=1e-8)


def test_sum_of_exponentials_has_the_closed_form():
    theta = np.array([0.4, 1.0, 2.7])
    s, w = np.polynomial.legendre.leggauss(300)
    s, w = (s + 1) / 2, w / 2
    t, weight = s / (1 - s), w / (1 - s) ** 2  # ∫_0^∞ dt

    def decays(theta):
        return jnp.sum(jnp.exp(-theta * t[:, None]), axis=1)

    names = ["a", "b", "c"]
    found = bcg.identify.from_prediction(decays, theta, names=names, positive=names, noise=weight**-0.5)
    expected = 2 * np.outer(theta, theta) / np.add.outer(theta, theta) ** 3
    np.testing.assert_allclose(found.informations[0].matrix, expected, rtol=1e-8)


def test_gaussian_rows_agree_with_the_textbook_formula():
    rng = np.random.default_rng(0)
    parts = jnp.asarray(rng.normal(size=(3, 4, 4)))
    slopes = jnp.asarray(rng.normal(size=(4, 3)))

    def covariance(theta):
        root = jnp.eye(4) + jnp.einsum("p,pij->ij", theta, parts)
        return root @ root.T

    at = jnp.asarray([0.1, -0.2, 0.05])
    J = jax.jacfwd(lambda theta: gaussian_rows(slopes @ theta, covariance(theta)))(at)
    inverse, dS = np.linalg.inv(covariance(at)), np.asarray(jax.jacfwd(covariance)(at))
    turned = np.einsum("ij,jkp->pik", inverse, dS)
    expected = slopes.T @ inverse @ slopes + 0.5 * np.einsum("pij,qji->pq", turned, turned)
    np.testing.assert_allclose(J.T @ J, expected, rtol=1e-10)


@pytest.mark.parametrize("noise", [bcg.likelihoods.Gaussian(), bcg.likelihoods.StudentT(degrees=3.0)])
def test_expected_information_of_force_matching_is_that_of_the_regression(noise):
    data = pair_data(frames=3)
    term = bcg.likelihoods.ForceMatching(noise=noise).on(data)
    made = bcg.Problem(spline_model(), gaussian_prior() | {"likelihood.noise.scale": 5.0}, term)
    rows, _ = dense_rows(made, data)
    nu = getattr(noise, "degrees", np.inf)
    factor = 1.0 if np.isinf(nu) else (nu + 1) / (nu + 3)
    found = term_information(made, made.initial(jax.random.key(0)))[0]
    assert found.expected
    np.testing.assert_allclose(found.matrix, factor * rows.T @ rows / 25.0, rtol=1e-9, atol=1e-9)


def test_expected_information_is_the_mean_of_the_observed_one():
    """Over replicas of the noise: a Student-t with free scale, 400 replicas of one frame."""
    degrees, scale, replicas = 5.0, 4.0, 400
    noise = bcg.likelihoods.StudentT(degrees=degrees, scale=jnp.array([scale]))
    residuals = jnp.asarray(np.random.default_rng(1).standard_t(degrees, (replicas, 24, 3))) * scale

    def density(log_scale, residual):
        law = bcg.likelihoods.StudentT(degrees=degrees, scale=jnp.exp(log_scale)[None])
        return law.log_density(residual, jnp.zeros(24, dtype=int))

    curvature = jax.jit(jax.vmap(jax.grad(jax.grad(density)), (None, 0)))
    observed = -curvature(jnp.log(scale), residuals)
    from bayescg.likelihoods.expected import noise_factors

    factors = noise_factors(noise)
    assert factors is not None
    expected = factors[1] ** 2 * 72
    error = observed.std() / np.sqrt(replicas)
    assert abs(observed.mean() - expected) < 4 * error


def test_product_needs_no_matrix():
    made = problem(data=pair_data(frames=3))
    u, v = made.initial(jax.random.key(0)), jax.random.normal(jax.random.key(1), (made.dimension,))
    np.testing.assert_allclose(information_product(made, u, v), information_matrix(made, u) @ v, rtol=1e-8)


def test_observed_information_of_a_quadratic_likelihood_is_the_expected_one():
    made = problem(gaussian_prior() | {"likelihood.noise.scale": 5.0}, pair_data(frames=3))
    u = made.initial(jax.random.key(0))
    observed = term_information(made, u, observed=True)[0]
    assert not observed.expected
    np.testing.assert_allclose(observed.matrix, information_matrix(made, u), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(observed.matrices().sum(axis=0), observed.matrix, rtol=1e-8, atol=1e-8)


def test_information_of_terms_adds():
    data = pair_data(frames=4)
    one, two = bcg.likelihoods.ForceMatching().on(data), bcg.likelihoods.ForceMatching().on(data)
    prior = gaussian_prior() | {f"likelihood.{i}.noise.scale": 5.0 for i in (0, 1)}
    both = bcg.Problem(spline_model(), prior, one + two)
    alone = problem(gaussian_prior() | {"likelihood.noise.scale": 5.0}, data)
    u = both.initial(jax.random.key(0))
    assert [found.term for found in term_information(both, u)] == ["ForceMatching.0", "ForceMatching.1"]
    np.testing.assert_allclose(information_matrix(both, u), 2 * information_matrix(alone, u), rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_an_observable_never_knows_more_than_the_ensemble(seed):
    """Boltzmann over 30 states: F_full - F_observable is positive semidefinite, up to rounding."""
    rng = np.random.default_rng(seed)
    basis, observable = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    energy = basis @ rng.normal(size=4)
    weights = np.exp(-energy / KT) / np.exp(-energy / KT).sum()

    def covariance(a, b):
        return np.einsum("n,ni,nj->ij", weights, a - weights @ a, b - weights @ b)

    names = list("abcd")
    full = bcg.identify.from_matrix(covariance(basis, basis) / KT**2, names=names)
    seen = bcg.identify.from_jacobian(
        -covariance(observable, basis) / KT, noise=covariance(observable, observable), names=names
    )
    gap = full.informations[0].matrix - seen.informations[0].matrix
    largest = np.linalg.eigvalsh(full.informations[0].matrix)[-1]
    assert np.linalg.eigvalsh(gap)[0] > -1e-12 * largest
    assert seen.information_gain < full.information_gain
    # control: noise that is too small breaks the bound
    wrong = bcg.identify.from_jacobian(
        -covariance(observable, basis) / KT, noise=0.01 * covariance(observable, observable), names=names
    )
    assert np.linalg.eigvalsh(full.informations[0].matrix - wrong.informations[0].matrix)[0] < 0


def test_float32_is_refused():
    with pytest.raises(bcg.BayescgError, match="must be in float64 for a verdict on ranks"):
        bcg.identify.from_jacobian(np.ones((2, 1), dtype=np.float32), names=["a"])
    with pytest.raises(bcg.BayescgError, match="float64"):
        bcg.identify.from_matrix(np.ones((1, 1), dtype=np.float32), names=["a"])


def test_no_verdict_where_float64_is_off():
    with jax.enable_x64(False), pytest.raises(bcg.BayescgError, match="float64"):
        bcg.identify.from_matrix(np.eye(1), names=["a"])
    # control: with it the same matrix has its rank
    assert bcg.identify.from_matrix(np.eye(1), names=["a"]).ranks.numerical == 1


def test_nan_is_named():
    with pytest.raises(bcg.BayescgError, match="derivatives by b"):
        bcg.identify.from_jacobian([[1.0, np.nan]], names=["a", "b"])
    with pytest.raises(bcg.BayescgError, match="must be finite"):
        bcg.identify.from_prediction(
            lambda theta: jnp.array([theta[0], jnp.sqrt(theta[1])]), [1.0, -1.0], names=["a", "b"]
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"jacobian": [[1.0, 2.0]], "names": ["a"]}, "one column per name"),
        ({"jacobian": [[1.0]], "names": ["a"], "noise": 0.0}, "noise must be positive"),
        ({"jacobian": [[1.0]], "names": ["a"], "noise": [1.0, 2.0]}, "noise must have shape"),
        ({"jacobian": [[1.0]], "names": ["a"], "prior": -1.0}, "must be positive"),
        ({"jacobian": [[1.0]], "names": ["a"], "positive": ["b"]}, "positive must name parameters"),
    ],
)
def test_bad_tables_are_refused(arguments, message):
    with pytest.raises(bcg.BayescgError, match=message):
        bcg.identify.from_jacobian(arguments.pop("jacobian"), **arguments)
