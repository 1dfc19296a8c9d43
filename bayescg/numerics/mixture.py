"""Frames of a few ensembles as one sample of their mixture, and the weights of another ensemble over it.

Frames n come from references r = 1..R with reduced energies u_r = U_r/kT, N_r frames each. A model d has

    w_d(n) = exp(-u_d(n)) / Σ_r N_r exp(f_r - u_r(n)),        f_r = -ln Σ_n w_r(n),

the multistate estimator without bins; f solves its equation by iteration, R = 1 is plain reweighting.

References:
    M. R. Shirts, J. D. Chodera, J. Chem. Phys. 129, 124105 (2008), doi:10.1063/1.2978177.
"""

import numpy as np
from scipy.special import logsumexp

from bayescg._typing import Float, Int

ITERATIONS = 10_000
"""Of the free energies; references that overlap need tens."""

PRECISION = 1e-7
"""Change of a reduced free energy that ends the iteration."""


def free_energies(
    references: Float[np.ndarray, "reference frame"],
    counts: Int[np.ndarray, " reference"],
    *,
    start: Float[np.ndarray, " reference"] | None = None,
) -> Float[np.ndarray, " reference"]:
    """Reduced free energies f of the references, the first zero.

    Args:
        references: reduced energies of all frames under every reference.
        counts: frames that every reference gave.
        start: where the iteration begins; None for zeros.

    Example:
        >>> x = np.random.default_rng(0).normal(size=4000)  # of a spring of kT; and the same from one of 4 kT
        >>> both = np.concatenate([x, x / 2])
        >>> f = free_energies(np.array([both**2 / 2, 2 * both**2]), np.array([4000, 4000]))
        >>> bool(abs(f[1] - np.log(2)) < 0.05)
        True
    """
    f = np.zeros(len(counts)) if start is None else start
    if len(counts) == 1:
        return f
    for _ in range(ITERATIONS):
        mixture = log_mixture(references, counts, f)
        new = -np.asarray(logsumexp(-references - mixture, axis=1))
        new -= new[0]
        if np.abs(new - f).max() < PRECISION:
            return new
        f = new
    return f


def log_weights(
    draws: Float[np.ndarray, "draw frame"],
    references: Float[np.ndarray, "reference frame"],
    counts: Int[np.ndarray, " reference"],
    *,
    start: Float[np.ndarray, " reference"] | None = None,
) -> Float[np.ndarray, "draw frame"]:
    """Logarithms of the weights of all frames under every draw, each draw's summing to one.

    Args:
        draws: reduced energies under every draw.
        references: reduced energies under every reference.
        counts: frames that every reference gave.
        start: of their free energies; None for zeros.

    Example:
        >>> np.exp(log_weights(np.zeros((1, 4)), np.zeros((1, 4)), np.array([4]))).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """
    mixture = log_mixture(references, counts, free_energies(references, counts, start=start))
    logs = -draws - mixture
    return logs - logsumexp(logs, axis=1, keepdims=True)


def log_mixture(
    references: Float[np.ndarray, "reference frame"],
    counts: Int[np.ndarray, " reference"],
    f: Float[np.ndarray, " reference"],
) -> Float[np.ndarray, " frame"]:
    """Logarithm of Σ_r N_r exp(f_r - u_r).

    Args:
        references: reduced energies of all frames under every reference.
        counts: frames that every reference gave.
        f: from `free_energies`.

    Example:
        >>> float(log_mixture(np.zeros((1, 1)), np.array([1]), np.zeros(1))[0])
        0.0
    """
    with np.errstate(divide="ignore"):  # a reference without frames left
        weight = np.log(counts) + f
    return np.asarray(logsumexp(weight[:, None] - references, axis=0))
