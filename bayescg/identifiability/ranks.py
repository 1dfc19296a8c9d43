"""Three ranks of an information, kept apart, and the error of its eigenvalues.

    numerical      singular values above rounding: how many directions enter the model at all;
    Monte Carlo    eigenvalues above their error over blocks of the data: how many these data can show;
    Bayesian       lambda >= 1 against the prior: how many the data determine better than the prior did.

Errors come from the circular block bootstrap. Eigenvalues closer than their errors have no vectors of
their own, only a common subspace: they form a cluster, and projectors onto clusters are what is compared.

References:
    D. N. Politis, J. P. Romano, A circular block-resampling procedure for stationary data (1992).
    A. K. Saibaba, arXiv:1703.04187: angles between the subspaces of nearby eigenvalues.
"""

import itertools
from typing import NamedTuple

import numpy as np

from bayescg._checks import require
from bayescg._typing import Float, Int, NumpyArray

REPLICATES = 200
"""Of the bootstrap: 5% error of a standard deviation."""

ERRORS = 2.0
"""Standard errors that an eigenvalue must lie above the floor to count as shown by the data."""

BOOTSTRAP_LIMIT = 300
"""Parameters up to which the eigenvalues of every replicate are computed."""

SAME = 1e-8
"""Relative difference under which eigenvalues without an error are one."""

BAYESIAN_THRESHOLD = 1.0
"""Directions with lambda below this are left to the prior: the data halve its variance at best."""


class Ranks(NamedTuple):
    """Ranks, each with the threshold it was counted with.

    Attributes:
        numerical: singular values of the whitened Jacobian above `numerical_threshold`; None where not all
            of them are known.
        numerical_threshold: rounding, the error of derivatives, or the largest negative eigenvalue.
        monte_carlo: eigenvalues above zero by `monte_carlo_threshold` standard errors; None without blocks.
        monte_carlo_threshold: standard errors.
        bayesian: eigenvalues above `bayesian_threshold`.
        bayesian_threshold: information over the prior.
        blocks: that the error was taken from; None without.
    """

    numerical: int | None
    numerical_threshold: float
    monte_carlo: int | None
    monte_carlo_threshold: float
    bayesian: int
    bayesian_threshold: float
    blocks: int | None


def bootstrap_errors(
    blocks: Float[NumpyArray, "block direction direction"], *, seed: int = 0
) -> Float[NumpyArray, " direction"]:
    """Standard errors of the eigenvalues of a sum of block matrices, in descending order.

    Args:
        blocks: information of contiguous blocks, in time order.
        seed: of NumPy's generator.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> rows = rng.normal(size=(400, 1, 1))
        >>> errors = bootstrap_errors(rows**2)
        >>> bool(20 < errors[0] < 40)  # sum of 400 squares: sqrt(2 * 400) = 28
        True
    """
    count = blocks.shape[0]
    length = max(1, round(count ** (1 / 3)))
    rng = np.random.default_rng(seed)
    flat = blocks.reshape(count, -1)
    values = []
    for _ in range(REPLICATES):
        starts = rng.integers(0, count, -(-count // length))
        chosen = (starts[:, None] + np.arange(length)).ravel()[:count] % count
        weights = np.bincount(chosen, minlength=count).astype(float)
        values.append(np.linalg.eigvalsh((weights @ flat).reshape(blocks.shape[1:]))[::-1])
    return np.std(values, axis=0, ddof=1)


def clusters(
    values: Float[NumpyArray, " direction"], errors: Float[NumpyArray, " direction"] | None
) -> Int[NumpyArray, " direction"]:
    """Number of the cluster of every eigenvalue: neighbours closer than their errors share one.

    Args:
        values: in descending order.
        errors: standard errors; None for those of rounding.

    Example:
        >>> clusters(np.array([9.0, 4.0, 3.9]), np.array([0.1, 0.1, 0.1])).tolist()
        [0, 1, 1]
    """
    gap = values[:-1] - values[1:]
    near = SAME * np.abs(values[:-1]) if errors is None else np.hypot(errors[:-1], errors[1:])
    return np.concatenate([[0], np.cumsum(gap > near)]).astype(int)


def subspace_distance(
    first: Float[NumpyArray, "direction parameter"], second: Float[NumpyArray, "direction parameter"]
) -> float:
    """Largest sine of an angle between two subspaces: zero where equal, one where a direction is missing.

    What is compared is the projectors, ||P - Q||_2, never single vectors, which turn freely where
    eigenvalues coincide.

    Args:
        first: directions that span the one subspace.
        second: and the other.

    Raises:
        BayescgError: another number of parameters.

    Example:
        >>> subspace_distance(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 1.0], [1.0, -1.0]])) < 1e-12
        True
    """
    require(
        first.shape[-1] == second.shape[-1],
        f"both subspaces must have the same parameters, got {first.shape[-1]} and {second.shape[-1]}.",
    )
    P, Q = projector(first), projector(second)
    return float(np.linalg.norm(P - Q, 2))


def common_clusters(
    first: Int[NumpyArray, " direction"], second: Int[NumpyArray, " direction"]
) -> list[slice]:
    """Ranges of directions that are parted from the next in both of two spectra.

    Args:
        first: number of the cluster of every eigenvalue.
        second: of as many eigenvalues of another spectrum.

    Example:
        >>> common_clusters(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 2]))
        [slice(0, 3, None), slice(3, 4, None)]
    """
    ends = np.flatnonzero((np.diff(first) > 0) & (np.diff(second) > 0)) + 1
    borders = [0, *ends.tolist(), len(first)]
    return [slice(a, b) for a, b in itertools.pairwise(borders)]


def projector(
    directions: Float[NumpyArray, "direction parameter"],
) -> Float[NumpyArray, "parameter parameter"]:
    """Orthogonal projector onto the span of some directions.

    Args:
        directions: linearly independent.

    Example:
        >>> projector(np.array([[1.0, 1.0]])).round(12).tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """
    basis = np.linalg.qr(directions.T)[0]
    return basis @ basis.T
