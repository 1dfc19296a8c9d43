"""The likelihood-informed subspace: directions in which the data outweigh the prior, and by how much.

With the Fisher information F = J'J of the data and the prior precision P = L L',

    F v = lambda P v,        posterior sd / prior sd along v = 1/sqrt(1 + lambda),

by the singular values of J L'^-1 (their squares are lambda), never by the eigenvalues of J'J, which lose
half the digits. Where a term knows its observed information only, the eigenvalues of L^-1 F L'^-1 are
taken; negative ones are no information and set the floor below which positive ones are none either.

References:
    T. Cui et al., Inverse Probl. 30, 114015 (2014), doi:10.1088/0266-5611/30/11/114015.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from bayescg._typing import Float, NumpyArray
from bayescg.identifiability.information import Information
from bayescg.identifiability.ranks import (
    BAYESIAN_THRESHOLD,
    BOOTSTRAP_LIMIT,
    ERRORS,
    Ranks,
    bootstrap_errors,
    clusters,
)
from bayescg.numerics.blocks import MINIMUM_BLOCKS

EPSILON = float(np.finfo(float).eps)


class Spectrum(NamedTuple):
    """Eigenvalues of the pencil and their directions.

    Attributes:
        dataset: over `direction`, best determined first.
        directions: (direction, parameter), of prior variance one.
        ranks: numerical, Monte Carlo, Bayesian.
    """

    dataset: xr.Dataset
    directions: Float[NumpyArray, "direction parameter"]
    ranks: Ranks


def spectrum_of(
    informations: Sequence[Information],
    precision: Float[NumpyArray, "parameter parameter"],
    names: Sequence[str],
) -> Spectrum:
    """Solve the pencil of data and prior.

    Args:
        informations: of all terms.
        precision: of the prior, positive definite.
        names: of the parameters.

    Example:
        >>> one = Information("table", True, jacobian=np.array([[[1.0, -1.0]]]))
        >>> found = spectrum_of([one], np.eye(2), ["a", "b"])
        >>> found.dataset["information"].values.round(12).tolist(), found.ranks.numerical
        ([2.0, 0.0], 1)
    """
    lower = np.linalg.cholesky(precision)
    values, white, floor, negative = _pencil(informations, lower)
    errors, blocks = _errors(informations, lower, white)
    information = np.where(values > floor, values, 0.0)
    directions = np.linalg.solve(lower.T, white.T).T
    shown = None if errors is None else int(np.sum(information > ERRORS * errors))
    caps = [one.samples - 1 for one in informations if one.samples is not None]
    if shown is not None and len(caps) == len(informations):
        shown = min(shown, int(sum(caps)))
    ranks = Ranks(
        int(np.sum(information > 0)),
        float(np.sqrt(floor)),
        shown,
        ERRORS,
        int(np.sum(information >= BAYESIAN_THRESHOLD)),
        BAYESIAN_THRESHOLD,
        blocks,
    )
    dataset = spectrum_dataset(information, directions, names, errors=errors)
    dataset.attrs.update(noise_floor=floor, negative=negative)
    return Spectrum(dataset, directions, ranks)


def spectrum_dataset(
    information: Float[NumpyArray, " direction"],
    directions: Float[NumpyArray, "direction parameter"],
    names: Sequence[str],
    *,
    errors: Float[NumpyArray, " direction"] | None = None,
) -> xr.Dataset:
    """The Dataset of a spectrum, loadings with their largest element one.

    Args:
        information: lambda, in descending order.
        directions: of prior variance one.
        names: of the parameters.
        errors: standard errors of lambda; None where unknown.

    Example:
        >>> spectrum_dataset(np.array([3.0]), np.array([[2.0, -4.0]]), ["a", "b"])["loadings"].values.tolist()
        [[-0.5, 1.0]]
    """
    largest = directions[np.arange(len(directions)), np.argmax(np.abs(directions), axis=1)]
    variables: dict[str, Any] = {
        "information": ("direction", information, {"long_name": "information of the data over the prior"}),
        "contraction": (
            "direction",
            1 / np.sqrt(1 + information),
            {"long_name": "posterior over prior standard deviation", "units": "1"},
        ),
        "loadings": (("direction", "parameter"), directions / largest[:, None]),
        "cluster": (
            "direction",
            clusters(information, errors),
            {"long_name": "eigenvalues that cannot be told apart share a number"},
        ),
    }
    if errors is not None:
        name = "standard error of the information, by block bootstrap"
        variables["information_error"] = ("direction", errors, {"long_name": name})
    return xr.Dataset(variables, coords={"parameter": list(names)})


def _pencil(
    informations: Sequence[Information], lower: NumpyArray
) -> tuple[NumpyArray, NumpyArray, float, int]:
    """Eigenvalues in descending order, vectors (direction, parameter), floor, number of negative ones."""
    count = lower.shape[0]
    error = max((one.error for one in informations), default=0.0)
    if all(one.jacobian is not None for one in informations):
        rows = [_triangle(one.jacobian, lower) for one in informations]
        stacked = np.concatenate([*rows, np.zeros((1, count))])
        _, singular, vectors = np.linalg.svd(stacked, full_matrices=stacked.shape[0] < count)
        values = np.zeros(count)
        values[: singular.size] = singular**2
        height = max(max((one.height for one in informations), default=1), count)
        floor = max((height * EPSILON) ** 2, error) * values.max(initial=0.0)
        return values, vectors, float(floor), 0
    white = _congruent(np.sum([one.matrix for one in informations], axis=0), lower)
    eigenvalues, vectors = np.linalg.eigh((white + white.T) / 2)
    values, vectors = eigenvalues[::-1], vectors[:, ::-1].T
    rounding = max(count * EPSILON, error) * float(np.abs(values).max())
    floor = max(rounding, -float(values.min()))
    return values, vectors, floor, int(np.sum(values < -rounding))


def _triangle(jacobian: Any, lower: NumpyArray) -> NumpyArray:
    """R with R'R = L^-1 J'J L'^-1: a tall Jacobian is first reduced to a triangle."""
    flat = jacobian.reshape(-1, jacobian.shape[-1])
    reduced = np.asarray(np.linalg.qr(flat, mode="r")) if flat.shape[0] > flat.shape[1] else flat
    return np.linalg.solve(lower, reduced.T).T


def _congruent(matrix: NumpyArray, lower: NumpyArray) -> NumpyArray:
    """L^-1 F L'^-1 of one matrix or of many."""
    half = np.linalg.solve(lower, matrix)
    return np.linalg.solve(lower, np.swapaxes(half, -1, -2))


def _errors(
    informations: Sequence[Information], lower: NumpyArray, white: NumpyArray
) -> tuple[NumpyArray | None, int | None]:
    """Standard errors of the eigenvalues; variances of independent terms add, what is exact has none."""
    sampled = [one.matrices() for one in informations if one.sampled]
    if (
        not sampled
        or lower.shape[0] > BOOTSTRAP_LIMIT
        or any(blocks is None or len(blocks) < MINIMUM_BLOCKS for blocks in sampled)
    ):
        return None, None
    if len(informations) == 1:
        return bootstrap_errors(_congruent(sampled[0], lower)), len(sampled[0])  # type: ignore[arg-type]
    variances = []
    for blocks in sampled:
        turned = white @ _congruent(blocks, lower) @ white.T  # type: ignore[arg-type]
        # along fixed directions: eigenvalues follow to first order
        diagonal = np.einsum("bii->bi", turned)
        singles = [bootstrap_errors(column[:, None, None])[0] for column in diagonal.T]
        variances.append(np.square(singles))
    return np.sqrt(np.sum(variances, axis=0)), min(len(blocks) for blocks in sampled)  # type: ignore[arg-type]
