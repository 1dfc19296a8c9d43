"""Combinations: known structural non-identifiability is named exactly, accidents of one point are not."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from jax.scipy.linalg import expm

import bayescg as bcg
from bayescg.identifiability.ranks import projector
from tests.inference.small_problems import pair_data

TIMES = jnp.arange(1.0, 9.0) * 0.2


def texts(found):
    return [(one.text, one.label) for one in found.combinations]


def test_normalized_autocorrelation_identifies_stiffness_over_friction():
    names = ["stiffness", "friction"]
    found = bcg.identify.from_prediction(
        lambda theta: jnp.exp(-theta[0] / theta[1] * TIMES), [2.0, 3.0], names=names, positive=names
    )
    assert texts(found) == [("stiffness^1 friction^-1", "certified")]
    certificate = found.combinations[0].certificate
    assert certificate.residual < 1e-12
    assert certificate.invariance < 1e-7  # root of rounding of F
    assert certificate.flatness < 1e-12
    assert "only stiffness^1 friction^-1 (certified) is identified" in found.summary()


def test_position_variance_breaks_it():
    names = ["stiffness", "friction"]
    found = bcg.identify.from_prediction(
        lambda theta: jnp.append(jnp.exp(-theta[0] / theta[1] * TIMES), 2.5 / theta[0]),
        [2.0, 3.0],
        names=names,
        positive=names,
    )
    assert texts(found) == [("stiffness^1", "certified"), ("friction^1", "certified")]


def test_underdamped_autocorrelation_scales_with_all_three():
    names = ["mass", "stiffness", "friction"]

    def correlation(theta):
        mass, k, gamma = theta
        A = jnp.array([[0.0, -1.0], [k / mass, gamma / mass]])
        return jax.vmap(lambda t: expm(-A * t)[0, 0])(TIMES)

    found = bcg.identify.from_prediction(
        correlation, [1.0, 4.0, 0.7], names=names, positive=names, noise=0.01
    )
    null = found.null_directions["loadings"].values
    np.testing.assert_allclose(null, [[1.0, 1.0, 1.0]], atol=1e-10)
    assert {label for _, label in texts(found)} == {"certified"}
    exponents = np.zeros((2, 3))
    for row, one in zip(exponents, found.combinations, strict=True):
        row[[names.index(name) for name in one.names]] = one.exponents
    np.testing.assert_array_equal(exponents.sum(axis=1), 0)  # no power of a common factor


def test_wall_of_lennard_jones_leaves_one_product():
    r = jnp.linspace(0.2, 0.25, 5)
    names = ["epsilon", "sigma"]
    found = bcg.identify.from_prediction(
        lambda theta: 4 * theta[0] * (theta[1] / r) ** 12, [0.7, 0.3], names=names, positive=names
    )
    assert texts(found) == [("epsilon^1 sigma^12", "certified")]


def forces(theta, temperatures):
    """Energy A x² and entropy B x², forces at some temperatures."""
    x = jnp.linspace(-1.0, 1.0, 9)
    return jnp.concatenate([-2 * x * (theta[0] - T * theta[1]) for T in temperatures])


def test_one_temperature_identifies_energy_less_entropy():
    ask = {"at": [100.0, 0.1], "names": ["A", "B"], "prior": [100.0, 0.3]}
    found = bcg.identify.from_prediction(lambda theta: forces(theta, [300.0]), **ask)
    assert texts(found) == [("A - 300 B", "certified")]
    null = found.null_directions["loadings"].values[0]
    np.testing.assert_allclose(null[0] / null[1], 300.0, rtol=1e-10)
    both = bcg.identify.from_prediction(lambda theta: forces(theta, [300.0, 330.0]), **ask)
    assert texts(both) == [("A", "certified"), ("B", "certified")]


def test_rotation_gauge_of_a_dense_drift():
    """A kernel of two modes has four numbers; factor, rotation and coupling of a drift matrix have six."""

    def kernel(theta):
        memory = bcg.memory.DriftMatrix(2, theta[:3], theta[3:4], theta[4:])
        return memory.kernel(jnp.arange(1.0, 30.0) * 0.1)

    names = ["L00", "L10", "L11", "W10", "a0", "a1"]
    at = np.array([1.0, 0.3, 1.5, 2.0, 3.0, 1.0])
    found = bcg.identify.from_prediction(kernel, at, names=names, noise=1e-3)
    # one rotation of the modes, one change of metric: two null directions, and they are not rational
    assert found.ranks.numerical == 4
    assert {label for _, label in texts(found)} == {"local"}
    # turned by an angle, S = L L' changes by Omega S - S Omega, a by Omega a, and W by nothing
    L, omega = np.array([[at[0], 0.0], [at[1], at[2]]]), np.array([[0.0, -1.0], [1.0, 0.0]])
    dS = omega @ L @ L.T - L @ L.T @ omega
    inner = np.linalg.solve(L, np.linalg.solve(L, dS).T)
    dL = L @ (np.tril(inner) - 0.5 * np.diag(np.diag(inner)))
    rotation = np.array([dL[0, 0], dL[1, 0], dL[1, 1], 0.0, *(omega @ at[4:])])
    null = found.directions[found.spectrum["information"].values == 0]
    P = projector(null)
    assert np.linalg.norm(rotation - P @ rotation) < 1e-8 * np.linalg.norm(rotation)
    # control: the same without the coupling turned along is seen in the kernel
    half = np.where(np.arange(6) < 4, rotation, 0.0)
    assert np.linalg.norm(half - P @ half) > 0.1 * np.linalg.norm(half)


def test_an_accident_of_the_point_is_not_certified():
    """At a = b the sum a + b looks like a^1 b^1 in logarithms; elsewhere it does not."""
    names = ["a", "b"]
    found = bcg.identify.from_prediction(
        lambda theta: (theta[0] + theta[1]) * jnp.ones(1), [1.0, 1.0], names=names, positive=names
    )
    assert texts(found) == [("a^1 b^1", "local")]
    certificate = found.combinations[0].certificate
    assert certificate.residual < 1e-12
    assert certificate.invariance > 1e-3
    assert certificate.flatness > 1e-3


def test_a_table_alone_certifies_nothing():
    found = bcg.identify.from_jacobian([[1.0, -1.0]], names=["k", "gamma"], positive=["k", "gamma"])
    assert texts(found) == [("k^1 gamma^-1", "local")]


def test_inert_duplicated_and_exchangeable_parameters_are_named():
    names = ["c", "d", "scale", "size", "inert", "free"]

    def predict(theta):
        c, d, scale, size, _, free = theta
        return jnp.stack([c + d, scale * size, (c + d) * scale * size, free * 2.0])

    found = bcg.identify.from_prediction(
        predict, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], names=names, positive=["scale", "size"]
    )
    assert texts(found) == [("c + d", "certified"), ("scale^1 size^1", "certified"), ("free", "certified")]
    assert "The data do not depend on inert." in found.summary()


def test_duplicated_potential_is_named_in_a_problem():
    spline = bcg.potentials.PairSpline(cutoff=0.6, knots=6, start=0.25)
    model = bcg.Model(spline + spline)
    prior = {f"potential.terms.{i}.coefficients": dist.Normal(0.0, 100.0) for i in (0, 1)}
    prior["likelihood.noise.scale"] = 5.0
    made = bcg.Problem(model, prior, bcg.likelihoods.ForceMatching().on(pair_data(frames=8)))
    found = bcg.identify(made, made.prior)
    assert found.ranks.numerical == 5
    first, second = "potential.terms.0.coefficients[0, 0]", "potential.terms.1.coefficients[0, 0]"
    assert texts(found)[0] == (f"{first} + {second}", "certified")


@pytest.mark.parametrize("power", [2, 7, 12, 24])
def test_powers_are_recovered(power):
    names = ["a", "b"]
    found = bcg.identify.from_prediction(
        lambda theta: theta[:1] ** power / theta[1:], [1.1, 2.0], names=names, positive=names
    )
    assert texts(found) == [(f"a^{power} b^-1", "certified")]
