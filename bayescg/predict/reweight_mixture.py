"""Averages under many draws from frames of a few: guards of their weights, and errors draws share.

With the weights w_d of a draw d over frames of a mixture of references (`numerics.mixture`),

    <A>_d = Σ w_d A / Σ w_d,        ESS_d = (Σ w_d)² / Σ w_d² / g,

g being the statistical inefficiency of weights and observables along the references, whichever is larger. The
shape k of the tail of the weights says whether their mean is reached at all.

Errors come from leaving out one block of a reference after another, free energies and all else computed
again. Draws that share frames share errors: the covariance of two is the sum over blocks of the products of
their changes.

References:
    A. Vehtari, D. Simpson, A. Gelman, Y. Yao, J. Gabry, J. Mach. Learn. Res. 25 (2024) 72, arXiv:1507.02646.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bayescg._typing import Float, Int, NumpyArray
from bayescg.inference.pareto import LARGEST_K, pareto_k
from bayescg.numerics.equilibration import principal_series, statistical_inefficiency
from bayescg.numerics.mixture import free_energies, log_weights


class Guards(NamedTuple):
    """Whether the weights of every draw can be trusted.

    Attributes:
        effective: effective samples.
        kish: the same without correlation in time, as a part of the frames.
        k: shape of the tail of the weights.
    """

    effective: Float[np.ndarray, " draw"]
    kish: Float[np.ndarray, " draw"]
    k: Float[np.ndarray, " draw"]

    def passed(self, least: float) -> NumpyArray:
        """Draws whose averages hold: k at most 0.7, and enough effective samples."""
        return (self.k <= LARGEST_K) & (self.effective >= least)


class Reweighted(NamedTuple):
    """An observable under every draw.

    Attributes:
        mean: (draw, ...).
        changes: (block, draw, ...) what leaving out a block does, scaled so that the sum of squares over
            blocks is the squared standard error and the sum of products a covariance.
    """

    mean: NumpyArray
    changes: NumpyArray

    @property
    def error(self) -> NumpyArray:
        """Standard error of every draw."""
        return np.sqrt(np.sum(self.changes**2, axis=0))


def guards(
    logs: Float[np.ndarray, "draw frame"], runs: Sequence[slice], curves: Sequence[NumpyArray]
) -> Guards:
    """Effective samples and Pareto k of every draw.

    Args:
        logs: from `log_weights`.
        runs: places of the frames of every simulation, in time order.
        curves: observables, each (frame, ...): their correlation in time counts as well.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(2000, 1))
        >>> found = guards(np.full((1, 2000), -np.log(2000.0)), [slice(0, 2000)], [x])
        >>> round(float(found.kish[0]), 6), bool(found.effective[0] > 1500), float(found.k[0])
        (1.0, True, 0.0)
    """
    weights = np.exp(logs)
    kish = 1 / np.sum(weights**2, axis=1)
    own = np.max([_slowest(curves, run) for run in runs])
    of_weights = np.max([statistical_inefficiency(weights[:, run].T) for run in runs], axis=0)
    k = np.array([pareto_k(row) for row in logs])
    return Guards(kish / np.maximum(of_weights, own), kish / logs.shape[1], k)


def reweighted(
    values: Float[np.ndarray, "frame ..."],
    draws: Float[np.ndarray, "draw frame"],
    references: Float[np.ndarray, "reference frame"],
    *,
    origin: Int[np.ndarray, " frame"],
    blocks: Int[np.ndarray, " frame"],
) -> Reweighted:
    """Mean of an observable under every draw, with what every block of frames did to it.

    Args:
        values: of every frame.
        draws: reduced energies under every draw.
        references: reduced energies under every reference.
        origin: reference that every frame is from.
        blocks: contiguous stretch of one simulation that it belongs to, numbered from zero.

    Example:
        >>> x = np.random.default_rng(0).normal(size=4000)
        >>> found = reweighted(
        ...     x**2, x[None] ** 2, x[None] ** 2 / 2,  # from a spring of kT to one of 2 kT
        ...     origin=np.zeros(4000, int), blocks=np.arange(4000) // 200,
        ... )
        >>> bool(abs(found.mean[0] - 0.5) < 4 * found.error[0] < 0.2)
        True
    """
    flat = np.reshape(values, (len(values), -1))
    f = free_energies(references, np.bincount(origin, minlength=len(references)))

    def mean(kept: NumpyArray) -> NumpyArray:
        counts = np.bincount(origin[kept], minlength=len(references))
        return np.exp(log_weights(draws[:, kept], references[:, kept], counts, start=f)) @ flat[kept]

    number = int(blocks.max()) + 1
    without = np.stack([mean(blocks != b) for b in range(number)])
    changes = np.sqrt((number - 1) / number) * (without - without.mean(axis=0))
    shape = values.shape[1:]
    together = mean(np.ones(len(values), bool))
    return Reweighted(together.reshape(-1, *shape), changes.reshape(number, -1, *shape))


def shared_covariance(changes: Float[np.ndarray, "block draw ..."], draws: int) -> NumpyArray:
    """Mean covariance of the errors of two different draws.

    Args:
        changes: of the draws that share frames, from `Reweighted`.
        draws: of all, those with simulations of their own included, whose errors are independent.

    Example:
        >>> shared_covariance(np.ones((3, 2, 1)), draws=2).tolist()
        [3.0]
    """
    together, alone = np.sum(changes.sum(axis=1) ** 2, axis=0), np.sum(changes**2, axis=(0, 1))
    return (together - alone) / max(1, draws * (draws - 1))


def _slowest(curves: Sequence[NumpyArray], run: slice) -> float:
    """Statistical inefficiency of the slowest component of all observables."""
    series = [principal_series(values[run].reshape(values[run].shape[0], -1)) for values in curves]
    found = [statistical_inefficiency(one).max() for one in series if one.shape[1]]
    return float(max(found, default=1.0))
