"""Steady states against SciPy's solvers and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from bayescg.numerics.riccati import lyapunov, steady_state
from bayescg.numerics.statespace import riccati_step
from tests.numerics.test_statespace import random_model


def test_steady_state_solves_the_riccati_equation():
    for seed in range(4):
        model = random_model(seed)
        A, c, _, _, R, r, Q, _, _ = (np.asarray(part) for part in model)
        exact = scipy.linalg.solve_discrete_are(A.T, c[:, None], Q, np.atleast_2d(R), s=r[:, None])
        steady = steady_state(model)
        np.testing.assert_allclose(steady.covariance, exact, rtol=1e-9, atol=1e-12)
        # control: a step of the filter leaves it where it is, and moves any other covariance
        np.testing.assert_allclose(riccati_step(model, steady.covariance)[0], steady.covariance, rtol=1e-10)
        assert not np.allclose(riccati_step(model, 1.1 * exact)[0], 1.1 * exact, rtol=1e-3)


def test_stationary_covariance_and_its_gradient():
    F = jnp.array([[0.9, 0.3], [-0.2, 0.999]])
    Q = jnp.array([[1.0, 0.2], [0.2, 1e-6]])
    np.testing.assert_allclose(lyapunov(F, Q), scipy.linalg.solve_discrete_lyapunov(F, Q), rtol=1e-10)
    assert_gradient(lambda a: lyapunov(F.at[0, 1].multiply(a), a**2 * Q).sum(), 1.0)


def test_gradient_of_the_steady_state():
    model = random_model(1)

    def variance(a):
        changed = model._replace(transition=a * model.transition, cross_noise=a**2 * model.cross_noise)
        steady = steady_state(changed)
        return jnp.log(steady.variance) + steady.closed_loop.sum()

    assert_gradient(variance, 0.9)


def assert_gradient(function, at):
    # central differences: error h² f''' ~ 1e-8 relative, rounding 1e-16/h = 1e-12
    h = 1e-4
    numeric = (function(at + h) - function(at - h)) / (2 * h)
    np.testing.assert_allclose(jax.grad(function)(at), numeric, rtol=1e-6)


def test_slow_modes_converge():
    # a random walk hardly seen: closed loop 1 - 1e-4, found in 20 doublings
    model = random_model(0, states=1, channels=1)
    one = jnp.ones((1, 1))
    model = model._replace(
        transition=one,
        readout=one[0],
        output_noise=jnp.array(1.0),
        cross_noise=jnp.zeros(1),
        state_noise=1e-8 * one,
    )
    P = float(steady_state(model).covariance[0, 0])
    np.testing.assert_allclose(P, 0.5 * (1e-8 + np.sqrt(1e-16 + 4e-8)), rtol=1e-10)
