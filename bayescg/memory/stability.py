"""Stability: whether a drift decays and has a noise, for memories of your own and matrices from elsewhere.

The memories of this package pass by construction. A drift is good where

    every eigenvalue of A_s has a positive real part (the kernel decays),
    A_s + A_s' is positive semidefinite (kT (A_s + A_s') is a covariance), and gamma0 >= 0;

then the spectrum gamma0 + Re a' (A_s + i w)^-1 a is positive at every frequency.
"""

import numpy as np

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray
from bayescg.interfaces import AbstractMemory, Drift

TOLERANCE = 1e-10
"""Of an eigenvalue against the largest entry: rounding of a product of small matrices is 1e-14."""

FREQUENCIES = 2001
"""Points of the logarithmic grid on which a negative spectrum is looked for."""

REACH = 100.0
"""How far the grid goes beyond the smallest and largest eigenvalue: the spectrum has its limits there."""


def check_stable(memory: AbstractMemory) -> None:
    """Raise unless the memory decays and a noise belongs to it.

    Args:
        memory: with values.

    Raises:
        BayescgError: with the eigenvalue at fault, and the frequency at which the spectrum is negative.

    Example:
        >>> import bayescg as bcg
        >>> bcg.memory.check_stable(bcg.memory.Markovian(20.0) + bcg.memory.Prony(1, [0.1], [30.0]))
    """
    check_drift(memory.drift(), name=type(memory).__name__)


def check_drift(drift: Drift, *, name: str) -> None:
    """Raise unless the drift decays and a noise belongs to it.

    Args:
        drift: A_s, a and gamma0.
        name: of the memory, for the message.

    Raises:
        BayescgError: as `check_stable`.

    Example:
        >>> import jax.numpy as jnp
        >>> check_drift(Drift(jnp.eye(1), jnp.ones(1), jnp.zeros(())), name="one exponential")
    """
    A, a, gamma0 = (np.asarray(part, dtype=float) for part in drift)
    require(
        a.ndim == 1 and A.shape == (a.size, a.size) and gamma0.ndim == 0,
        f"{name} must have a square A_s, one coupling per row and one friction, got shapes {A.shape}, "
        f"{a.shape} and {gamma0.shape}. Return Drift(matrix, coupling, friction) with these shapes.",
    )
    require(
        all(bool(np.isfinite(part).all()) for part in (A, a, gamma0)),
        f"{name} must have a finite drift, got NaN or infinity. Look for a division by zero in drift().",
    )
    require(
        bool(gamma0 >= 0),
        f"{name} must have gamma0 >= 0, got {float(gamma0):.4g} amu/ps: it heats without end. Turn its sign.",
    )
    if a.size:
        _check_decay(A, name)
        _check_noise(A, a, float(gamma0), name)


def _check_decay(A: NumpyArray, name: str) -> None:
    values = np.linalg.eigvals(A)
    slowest = values[np.argmin(values.real)]
    require(
        slowest.real > TOLERANCE * np.abs(A).max(),
        f"{name} must decay, got the eigenvalue {slowest:.4g} 1/ps of A_s, whose real part is not positive: "
        "the kernel grows or goes on for ever. Mind that K(t) = a' exp(-A_s t) a has a minus sign, and damp "
        "every mode.",
    )


def _check_noise(A: NumpyArray, a: NumpyArray, gamma0: float, name: str) -> None:
    lowest = np.linalg.eigvalsh((A + A.T) / 2)[0]
    if lowest >= -TOLERANCE * np.abs(A).max():
        return
    frequency, value = _lowest_spectrum(A, a, gamma0)
    if value < 0:
        what = (
            f"the spectrum is {value:.4g} amu/ps at the frequency {frequency:.4g} 1/ps, and no noise has a "
            "negative one. Change the kernel: a damped oscillation needs |b| w <= g (OscillatoryProny)."
        )
    else:
        what = (
            "the spectrum is positive, so another embedding of the same kernel has a noise. Change the basis "
            "of A_s and a, or fit the kernel with OscillatoryProny."
        )
    raise BayescgError(
        f"{name} must have a positive semidefinite A_s + A_s', got the eigenvalue {2 * lowest:.4g} 1/ps; "
        f"{what}"
    )


def _lowest_spectrum(A: NumpyArray, a: NumpyArray, gamma0: float) -> tuple[float, float]:
    """Frequency and value of the lowest point of the spectrum."""
    values = np.linalg.eigvals(A)
    rates = np.abs(values)
    grid = np.geomspace(rates.min() / REACH, rates.max() * REACH, FREQUENCIES)
    w = np.concatenate([[0.0], grid, np.abs(values.imag)])
    matrices = A + 1j * w[:, None, None] * np.eye(a.size)
    spectrum = gamma0 + np.real(np.linalg.solve(matrices, (a + 0j)[:, None])[..., 0] @ a)
    place = int(np.argmin(spectrum))
    return float(w[place] / (2 * np.pi)), float(spectrum[place])
