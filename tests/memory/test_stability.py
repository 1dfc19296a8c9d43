"""Drifts without a noise are found, with the eigenvalue and the frequency at fault."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import special_ortho_group

from bayescg._checks import BayescgError
from bayescg.interfaces import AbstractMemory, Drift
from bayescg.memory import DriftMatrix, check_stable, from_drift
from tests.memory.cases import CASES


class Own(AbstractMemory):
    """A user's memory: the drift as it stands."""

    matrix: jnp.ndarray = eqx.field(converter=jnp.asarray)
    coupling: jnp.ndarray = eqx.field(converter=jnp.asarray)
    friction: jnp.ndarray = eqx.field(converter=jnp.asarray, default=0.0)

    def drift(self):
        return Drift(self.matrix, self.coupling, self.friction)

    def prepare(self, timescales):
        return self

    def coordinates(self):
        return {}


def oscillation(asymmetry, g=2.0, w=10.0):
    """exp(-g t) (cos w t + b sin w t), b w = asymmetry g, in the basis with a = (1, 0)."""
    shift = asymmetry * g
    Q = np.sqrt(w**2 + shift**2)
    return Own([[g - shift, -Q], [Q, g + shift]], [1.0, 0.0])


def refused(memory, *parts):
    with pytest.raises(BayescgError) as error:
        check_stable(memory)
    for part in ("Own", *parts):
        assert part in str(error.value)
    return str(error.value)


def test_a_negative_spectrum_is_named_by_its_frequency():
    check_stable(oscillation(0.99))
    memory = oscillation(1.5)
    message = refused(memory, "positive semidefinite", "-2 1/ps", "the spectrum is -", "|b| w <= g")
    frequency = float(message.split("at the frequency ")[1].split(" ")[0])
    grid = jnp.geomspace(1e-2, 1e2, 4001)
    spectrum = memory.spectrum(grid)
    # printed to four digits, on a grid of 2001 points over 4.9 decades
    assert frequency == pytest.approx(float(grid[jnp.argmin(spectrum)]), rel=0.02)
    assert float(spectrum.min()) < 0


def test_a_positive_kernel_in_a_basis_without_noise_is_told_apart():
    """An oblique basis that leaves a alone keeps the kernel, here two exponentials, but not the noise."""
    oblique = np.array([[1.0, 0.0], [0.0, 3.0]])
    A = np.array([[2.0, 1.5], [1.5, 3.0]])
    memory = Own(oblique @ A @ np.linalg.inv(oblique) - 0.0, [1.0, 0.0])
    refused(memory, "the spectrum is positive", "another embedding")
    check_stable(Own(A, [1.0, 0.0]))


def test_growth_and_endless_oscillation_are_refused():
    refused(Own([[-0.5]], [1.0]), "must decay", "-0.5", "grows")
    refused(Own([[0.0, -3.0], [3.0, 0.0]], [1.0, 0.0]), "must decay", "3j", "for ever")


def test_wrong_shapes_signs_and_numbers_are_refused():
    refused(Own(np.eye(2), [1.0]), "(2, 2)", "(1,)")
    refused(Own(np.eye(1), [np.nan]), "finite")
    refused(Own(np.eye(1), [1.0], -2.0), "gamma0 >= 0", "-2")
    check_stable(Own(np.zeros((0, 0)), np.zeros(0), 2.0))


def test_a_known_drift_is_taken_over_exactly():
    drift = CASES["drift-matrix"].memory.drift()
    again = from_drift(drift.matrix, drift.coupling).drift()
    np.testing.assert_allclose(again.matrix, drift.matrix, atol=1e-13)
    np.testing.assert_array_equal(again.coupling, drift.coupling)


def test_a_drift_with_damping_in_one_direction_only_is_taken_over():
    """The symmetric part of a damped oscillation has rank one: a Cholesky factorisation would fail."""
    drift = CASES["oscillatory"].memory.drift()
    again = from_drift(drift.matrix, drift.coupling).drift()
    np.testing.assert_allclose(again.matrix, drift.matrix, atol=1e-12)
    with pytest.raises(BayescgError, match="positive semidefinite"):
        from_drift(oscillation(1.5).matrix, [1.0, 0.0])


def test_rotations_of_the_modes_are_the_gauge():
    drift = CASES["drift-matrix"].memory.drift()
    R = special_ortho_group.rvs(3, random_state=0)
    rotated = from_drift(R @ drift.matrix @ R.T, R @ drift.coupling)
    assert isinstance(rotated, DriftMatrix)
    times = jnp.array([0.0, 0.1, 0.5])
    expected = CASES["drift-matrix"].kernel(times)
    np.testing.assert_allclose(rotated.kernel(times), expected, atol=1e-11)
    # control: turning the matrix alone gives another kernel
    half = from_drift(R @ drift.matrix @ R.T, drift.coupling)
    assert np.abs(half.kernel(times) - expected).max() > 1.0
