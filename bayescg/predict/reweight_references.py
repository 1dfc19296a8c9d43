"""Which models to simulate so that all draws are near one of them.

    d²(a, b) = Var[(U_a - U_b)/kT]     over frames of the data,

is the variance of the logarithm of the weights that carry one model's frames to the other; for normally
distributed energy differences exp(-d²) is the part of the samples that stays effective. References are chosen
one after another, each so that the sum over the draws of d² to their nearest reference falls most, among the
draws and the mean of their parameters, which is closer to all than any draw is where the potential is linear.
"""

import numpy as np

from bayescg._typing import Float, NumpyArray

SPREAD = 1.0
"""d² up to which a draw counts as near: a third of the samples stays effective."""

MOST_REFERENCES = 4
"""Chosen by themselves; beyond, a draw's own simulation serves it as well."""


def squared_spread(reduced: Float[np.ndarray, "frame model"]) -> Float[np.ndarray, "model model"]:
    """d² of every two models.

    Args:
        reduced: energies over kT.

    Example:
        >>> squared_spread(np.array([[0.0, 1.0], [0.0, 3.0]])).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    covariance = np.atleast_2d(np.cov(reduced.T, ddof=0))
    own = np.diag(covariance)
    return np.maximum(own[:, None] + own - 2 * covariance, 0.0)


def choose_references(
    reduced: Float[np.ndarray, "frame model"], draws: int, wanted: int | None
) -> NumpyArray:
    """Places of the models to simulate.

    Args:
        reduced: energies over kT of frames of the data, under the draws and then other candidates.
        draws: how many of the models are draws.
        wanted: number of references; None for as few as bring all draws near one, at most `MOST_REFERENCES`.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(500, 1))
        >>> choose_references(x * np.array([0.9, 1.1, 1.0]), 2, None).tolist()
        [2]
    """
    spread = np.nan_to_num(squared_spread(reduced), nan=np.inf)
    most = min(MOST_REFERENCES if wanted is None else wanted, spread.shape[0])
    chosen: list[int] = []
    nearest = np.full(draws, np.inf)
    while len(chosen) < most and not (chosen and wanted is None and nearest.max() <= SPREAD):
        sums = np.minimum(spread[:, :draws], nearest).sum(axis=1)
        sums[chosen] = np.inf
        chosen.append(int(np.argmin(sums)))
        nearest = np.minimum(nearest, spread[chosen[-1], :draws])
    return np.array(_needed(chosen, spread[:, :draws]) if wanted is None else chosen)


def _needed(chosen: list[int], spread: NumpyArray) -> list[int]:
    """Without those, the first mostly, whose draws have come near another since."""
    kept = list(chosen)
    for place in chosen:
        others = [other for other in kept if other != place]
        if others and spread[others].min(axis=0).max() <= SPREAD:
            kept = others
    return kept
