"""Transitions against closed forms, the filter against the dense Gaussian of all its outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bayescg.numerics.statespace import StateSpace, kalman_filter, van_loan


def integrators(sigma):
    """x' = v, v' = z, z' = sigma noise: Q_ij = sigma² dt^(p_i + p_j + 1)/(p_i! p_j! (p_i + p_j + 1))."""
    drift = -np.diag([1.0, 1.0], 1)
    diffusion = np.diag([0.0, 0.0, sigma**2])
    return jnp.asarray(drift), jnp.asarray(diffusion)


@pytest.mark.parametrize("interval", [1e-6, 1e-3, 1.0, 50.0])
def test_noise_keeps_its_digits_however_short_the_step(interval):
    powers, factorials = np.array([2, 1, 0]), np.array([2.0, 1.0, 1.0])
    order = powers[:, None] + powers[None] + 1
    exact = 4.0 * interval**order / (np.outer(factorials, factorials) * order)
    step = van_loan(*integrators(2.0), interval)
    np.testing.assert_allclose(step.noise, exact, rtol=1e-12)  # dt^5 beside dt


def test_difference_of_covariances_loses_them():
    # the negative control: P - F P F' with a stationary P of order one
    A = jnp.array([[0.0, -1.0, 0.0], [1.0, 0.0, -1.0], [0.0, 1.0, 1.0]])
    P, dt = jnp.eye(3), 1e-3
    step = van_loan(A, A @ P + P @ A.T, dt)
    F = np.asarray(step.matrix)
    difference = (P - F @ P @ F.T)[0, 0]
    assert float(step.noise[0, 0]) == pytest.approx(2 * dt**5 / 20, rel=1e-2)  # leading order
    assert abs(float(difference / step.noise[0, 0]) - 1) > 1e-3


@pytest.mark.parametrize("steps", [1e-8, 1.0, 1e4])
def test_relaxation_is_exact_over_any_number_of_times(steps):
    step = van_loan(jnp.array([[2.0]]), jnp.array([[12.0]]), 0.5 * steps)
    # of 10^4 times the shortest step is h = 0.04, and the series errs by h^5/720 of a term
    assert float(step.change[0, 0]) == pytest.approx(np.expm1(-steps), rel=1e-8)
    assert float(step.noise[0, 0]) == pytest.approx(-3 * np.expm1(-2 * steps), rel=1e-8)


def random_model(seed, states=3, channels=2):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(states, states))
    A *= 0.8 / np.abs(np.linalg.eigvals(A)).max()
    root = rng.normal(size=(states + 1, states + 1))
    joint = root @ root.T
    start = rng.normal(size=(states, states))
    parts = (
        A,
        rng.normal(size=states),
        rng.normal(size=(states, channels)),
        rng.normal(size=channels),
        joint[0, 0],
        joint[1:, 0],
        joint[1:, 1:],
        start @ start.T,
        rng.normal(size=(states, channels)),
    )
    return StateSpace(*map(jnp.asarray, parts))


def dense_log_density(model, inputs, start):
    """Mean and covariance of all outputs, written out."""
    A, c, B, D, R, r, Q, P, M = (np.asarray(part) for part in model)
    frames, states = len(inputs), len(c)
    mean = M @ start
    # every output as a linear function of the start and of all noises
    root = np.linalg.cholesky(np.block([[np.atleast_2d(R), r[None]], [r[:, None], Q]]))
    state = np.zeros((states, states + frames * (states + 1)))
    state[:, :states] = np.linalg.cholesky(P)
    rows, residuals = [], []
    for n, s in enumerate(inputs):
        noise = np.zeros((states + 1, state.shape[1]))
        noise[:, states + n * (states + 1) : states + (n + 1) * (states + 1)] = root
        rows.append(c @ state + noise[0])
        residuals.append(D @ s - c @ mean)
        state = A @ state + noise[1:]
        mean = A @ mean + B @ s
    rows = np.array(rows)
    return stats.multivariate_normal(np.zeros(frames), rows @ rows.T).logpdf(residuals)


def test_filter_gives_the_dense_log_density():
    model, rng = random_model(0), np.random.default_rng(1)
    inputs, start = rng.normal(size=(40, 2)), rng.normal(size=2)
    found = jax.jit(kalman_filter)(model, jnp.asarray(inputs), jnp.asarray(start)).log_likelihood
    exact = dense_log_density(model, inputs, start)
    assert float(found) == pytest.approx(exact, rel=1e-10)
    # control: noises taken as independent are another model
    broken = model._replace(cross_noise=jnp.zeros(3))
    assert float(
        kalman_filter(broken, jnp.asarray(inputs), jnp.asarray(start)).log_likelihood
    ) != pytest.approx(exact, rel=1e-3)
