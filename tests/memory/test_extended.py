"""The extended linear system keeps the Boltzmann law and obeys the equation with memory it stands for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm, solve_continuous_lyapunov

from bayescg.memory import ExtendedDrift, extended_drift, with_spring
from bayescg.units import thermal_energy
from tests.memory.cases import CASES

MASS, TEMPERATURE, STIFFNESS = 18.0, 310.0, 700.0
KT = thermal_energy(TEMPERATURE)
# entries up to 10^3 in products of small matrices
ROUNDING = 1e-10


def extended(name):
    return ExtendedDrift(*map(np.asarray, extended_drift(CASES[name].memory, MASS, TEMPERATURE)))


def imbalance(drift, diffusion, stationary):
    return np.abs(drift @ stationary + stationary @ drift.T - diffusion).max()


@pytest.mark.parametrize("name", CASES)
def test_equipartition_is_stationary(name):
    A, D, C = extended(name)
    assert imbalance(A, D, C) < ROUNDING
    assert C[0, 0] == pytest.approx(KT / MASS)
    np.testing.assert_allclose(C[1:, 1:], KT * np.eye(len(A) - 1))
    assert np.linalg.eigvalsh(D).min() >= -ROUNDING
    np.testing.assert_allclose(solve_continuous_lyapunov(A, D), C, atol=1e-8)  # and no other law is


@pytest.mark.parametrize("name", [name for name in CASES if len(CASES[name].rates)])
def test_the_wrong_sign_of_a_coupling_is_seen(name):
    A, D, C = extended(name)
    wrong = A.copy()
    wrong[0, 1:] *= -1
    assert imbalance(wrong, D, C) > 1.0


@pytest.mark.parametrize("name", CASES)
def test_a_spring_keeps_the_law_and_adds_its_own(name):
    system = extended(name)
    A, D = map(np.asarray, with_spring(system, MASS, STIFFNESS))
    C = np.diag(np.concatenate([[KT / STIFFNESS], np.diag(system.stationary)]))
    assert imbalance(A, D, C) < ROUNDING * STIFFNESS
    # control: a spring of twice the stiffness k has another law, off by (k/m) kT/k
    stiffer = np.asarray(with_spring(system, MASS, 2 * STIFFNESS).drift)
    assert imbalance(stiffer, D, C) == pytest.approx(KT / MASS)


def test_without_a_spring_positions_add_up_velocities():
    system = extended("prony")
    A, D = map(np.asarray, with_spring(system, MASS, 0.0))
    np.testing.assert_array_equal(A[:, 0], 0.0)
    np.testing.assert_array_equal(A[0], [0, -1, 0, 0])
    np.testing.assert_array_equal(A[1:, 1:], system.drift)
    assert not D[0].any()
    assert not D[:, 0].any()


@pytest.mark.parametrize("name", ["markovian", "prony", "oscillatory", "mori", "markovian+prony"])
def test_the_velocity_correlation_obeys_the_equation_with_memory(name):
    """m C' = -k ∫C - gamma0 C - ∫ K(t-s) C(s) ds with K from its closed form and C from the embedding.

    Simpson's rule on steps of 1/400 ps: rates up to 30/ps give (30/400)⁴/180 ~ 2e-7 of m |C'| ~ 10.
    """
    case, system, h = CASES[name], extended(name), 1 / 400
    A = np.asarray(with_spring(system, MASS, STIFFNESS).drift)
    start = np.concatenate([[0.0], system.stationary[:, 0]])
    step, states = expm(-A * h), [start]
    for _ in range(200):
        states.append(step @ states[-1])
    # x(t) has <x(t) v(0)> = ∫C, and dC/dt is minus the second row of A on the state
    states, last = np.array(states), 200
    C, weights = states[:, 1], np.full(last + 1, 2.0)
    weights[1::2], weights[[0, -1]] = 4.0, 1.0
    memory = h / 3 * np.sum(weights * case.kernel(h * np.arange(last + 1))[::-1] * C)
    expected = -STIFFNESS * states[-1, 0] - case.friction * C[-1] - memory
    assert -MASS * (A @ states[-1])[1] == pytest.approx(expected, abs=1e-4)
    assert abs(memory) > 0.1 or name == "markovian"  # control: without it the equation fails


def test_mass_and_temperature_have_gradients():
    memory = CASES["prony"].memory
    of = jax.jit(jax.grad(lambda m, t: jnp.sum(extended_drift(memory, m, t).diffusion), argnums=(0, 1)))
    by_mass, by_temperature = of(MASS, TEMPERATURE)
    assert float(by_mass) == 0.0  # no gamma0
    D = extended("prony").diffusion
    assert float(by_temperature) == pytest.approx(D.sum() / TEMPERATURE)
