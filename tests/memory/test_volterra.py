"""The Volterra inversion finds the kernel that made the correlation functions, to second order."""

import itertools

import numpy as np
import pytest
from scipy.linalg import expm

from bayescg._checks import BayescgError
from bayescg.memory import extended_drift, fit_prony, volterra_kernel, with_spring
from bayescg.memory.volterra import derivative
from bayescg.units import thermal_energy
from tests.memory.cases import CASES, OSCILLATORY, PRONY

MASS, TEMPERATURE, STIFFNESS, DURATION = 18.0, 300.0, 500.0, 1.6


def correlations(memory, interval, stiffness=STIFFNESS):
    """<v(t) v(0)> and <F(x(t)) v(0)> of a GLE in a harmonic well, exact at every lag."""
    system = extended_drift(memory, MASS, TEMPERATURE)
    step = expm(-np.asarray(with_spring(system, MASS, stiffness).drift) * interval)
    state = np.concatenate([[0.0], np.asarray(system.stationary)[:, 0]])
    states = [state]
    for _ in range(round(DURATION / interval)):
        states.append(step @ states[-1])
    states = np.array(states)
    return states[:, 1], -stiffness * states[:, 0]


def largest_error(case, interval, stiffness=STIFFNESS):
    found = volterra_kernel(*correlations(case.memory, interval, stiffness), interval=interval, mass=MASS)
    kernel = case.kernel(found.times)
    return np.abs(found.kernel - kernel).max() / kernel[0]


@pytest.mark.parametrize("stiffness", [0.0, STIFFNESS])
@pytest.mark.parametrize("case", [PRONY, OSCILLATORY], ids=["prony", "oscillatory"])
def test_halving_the_interval_quarters_the_error(case, stiffness):
    """Ratios of 4, up to the next order of the step: 4 (1 + O(h w)) with h w ~ 0.05."""
    errors = [largest_error(case, interval, stiffness) for interval in (0.002, 0.001, 0.0005)]
    assert errors[-1] < 1e-5
    for coarse, fine in itertools.pairwise(errors):
        assert coarse / fine == pytest.approx(4.0, rel=0.15)


def test_the_running_integral_begins_with_the_instantaneous_friction_and_ends_with_all_of_it():
    case = CASES["markovian+prony"]
    found = volterra_kernel(*correlations(case.memory, 0.001), interval=0.001, mass=MASS)
    t = found.times
    exact = 15 + 30 * (1 - np.exp(-t / 0.1)) + 20 * (1 - np.exp(-t / 0.8))
    np.testing.assert_allclose(found.integral, exact, atol=1e-2)
    np.testing.assert_allclose(found.kernel, case.kernel(t), atol=0.1)


def test_leaving_out_the_mean_force_gives_another_kernel():
    """The spring then shows as a kernel that never decays: k + K(t)."""
    C, B = correlations(PRONY.memory, 0.002)
    found = volterra_kernel(C, np.zeros_like(B), interval=0.002, mass=MASS)
    kernel = PRONY.kernel(found.times)
    np.testing.assert_allclose(found.kernel, kernel + STIFFNESS, rtol=0.01)


def test_the_derivative_is_exact_for_fourth_degree():
    x = 0.3 * np.arange(9) - 1.0
    for power in range(5):
        np.testing.assert_allclose(
            derivative(x**power, interval=0.3), power * x ** max(power - 1, 0), atol=1e-12
        )
    assert np.abs(derivative(x**5, interval=0.3) - 5 * x**4).max() > 1e-3
    np.testing.assert_allclose(derivative(x[:5] ** 3, interval=0.3), 3 * x[:5] ** 2, atol=1e-12)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (np.ones(4), np.ones(4), "at least 5 lags"),
        (np.ones(6), np.ones(7), "one length"),
        (-np.ones(6), np.zeros(6), "must begin with"),
        (np.array([1.0, 0.9, np.nan, 0.7, 0.6]), np.zeros(5), "lag 2"),
    ],
)
def test_what_is_no_correlation_function_is_refused(first, second, expected):
    with pytest.raises(BayescgError, match=expected):
        volterra_kernel(first, second, interval=0.01, mass=1.0)


def test_prony_modes_of_an_inverted_kernel_are_those_that_made_it():
    """Volterra's error of 4e-4 at this interval, enhanced by the overlap of two exponentials."""
    found = volterra_kernel(*correlations(PRONY.memory, 0.002), interval=0.002, mass=MASS)
    fitted = fit_prony(found.kernel, interval=0.002, modes=2)
    np.testing.assert_allclose(fitted.times, [0.1, 0.8], rtol=0.02)
    np.testing.assert_allclose(fitted.frictions, [30.0, 20.0], rtol=0.02)


@pytest.mark.parametrize("modes", [1, 2, 3, 5])
def test_a_fit_is_a_kernel_whatever_the_noise_and_the_number_of_modes(modes):
    """The constructor checks order and signs; too many modes keep apart, too few follow the integral."""
    t = 0.01 * np.arange(400)
    noisy = PRONY.kernel(t) + np.random.default_rng(0).normal(scale=3.0, size=t.size)
    fitted = fit_prony(noisy, interval=0.01, modes=modes)
    assert float(fitted.integral()) == pytest.approx(50.0, rel=0.25)


def test_three_known_modes_are_found():
    t = 0.005 * np.arange(1000)
    tau, c = np.array([0.02, 0.2, 1.5]), np.array([200.0, 60.0, 8.0])
    fitted = fit_prony(np.exp(-t[:, None] / tau) @ c, interval=0.005, modes=3)
    np.testing.assert_allclose(fitted.times, tau, rtol=1e-4)
    np.testing.assert_allclose(fitted.frictions, c * tau, rtol=1e-4)
    assert np.ptp(np.asarray(fit_prony(PRONY.kernel(t), interval=0.005, modes=2).times)) > 0.5  # control


def test_a_negative_kernel_and_too_few_values_are_refused():
    with pytest.raises(BayescgError, match="must be positive on the whole"):
        fit_prony(-np.exp(-np.arange(20.0)), interval=0.1, modes=2)
    with pytest.raises(BayescgError, match="more than 4 values for 2 modes"):
        fit_prony(np.ones(4), interval=0.1, modes=2)


def test_the_well_of_the_reference_is_in_equilibrium():
    C, _ = correlations(PRONY.memory, 0.01)
    assert C[0] == pytest.approx(thermal_energy(TEMPERATURE) / MASS)
