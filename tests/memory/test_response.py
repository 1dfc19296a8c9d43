"""The answer of a correlation function to a change of the kernel, against the exact linear system."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from bayescg.memory.response import changed_correlation

MASS = 18.0
BEFORE, AFTER = (300.0, 0.1, 20.0), (500.0, 0.15, 35.0)
"""Strength (amu/ps²), time (ps) and instantaneous friction (amu/ps) of an exponential kernel."""


def exact(kernel, times):
    """c(t) of (v, z) with one exponential mode."""
    strength, tau, friction = kernel
    a = np.sqrt(strength)
    drift = np.array([[friction / MASS, -a / MASS], [a, 1 / tau]])
    return np.array([expm(-drift * t)[0, 0] for t in times])


def error(steps, *, after=AFTER):
    """Largest error of the predicted correlation function over 1 ps."""
    times = np.arange(steps + 1) / steps

    def of(kernel):
        return kernel[0] * np.exp(-times / kernel[1])

    predicted = changed_correlation(
        jnp.asarray(exact(BEFORE, times)),
        kernel_change=jnp.asarray(of(after) - of(BEFORE)),
        friction_change=after[2] - BEFORE[2],
        interval=1 / steps,
        mass=MASS,
    )
    return float(np.abs(predicted - exact(AFTER, times)).max())


def test_a_change_of_the_kernel_gives_the_exact_correlation_function_to_second_order():
    assert error(400) < 1e-5
    assert error(200) / error(400) == pytest.approx(4, rel=0.05)


def test_another_kernel_is_seen():
    assert error(200, after=(450.0, 0.15, 35.0)) > 100 * error(200)
