"""Correlation functions of blocks of frames, and how far their estimates scatter.

Estimates c(p) = Σ_n x(n) x(n + p)/N at lags p, q of a Gaussian series of N frames have Bartlett's covariance

    S_pq = Σ_m [c(m) c(m + q - p) + c(m) c(m + q + p)] / N,

which is positive semidefinite by way of the spectrum. For c the model is fitted to the estimates once, shape
alone: a covariance of the estimates themselves would weigh every lag by its own error and bias what is
inferred (by 0.4 to 0.7 standard errors for a single relaxation, 16 lags and 700 relaxation times).

References:
    M. S. Bartlett, Suppl. J. R. Stat. Soc. 8, 27 (1946), doi:10.2307/2983611.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._checks import one_of, require
from bayescg._typing import Array, Float, NumpyArray
from bayescg.likelihoods.path_series import Stretch
from bayescg.numerics.correlation import CorrelationSums
from bayescg.observables import VACF

Smooth = Callable[[NumpyArray, int, float], NumpyArray]

LAGS = 16
"""Lags used where none are given: neighbours are correlated, so more add little."""

DECAYED = 0.05
"""A correlation has decayed where it has fallen to this part of its value at zero."""

TAPER = 4
"""Bartlett's sums reach this many times as far as lags and decay, the second half faded out."""

BLOCK_LAGS = 20
"""Frames of a block, in longest lags, at least: pairs across its ends are lost."""

FLOOR = 1e-8
"""Of the covariance's eigenvalues, of the largest: close lags are nearly one, and c is an estimate."""


class CorrelationData(eqx.Module):
    """Correlation functions of blocks of frames.

    Attributes:
        values: c(p) of every block; where normalized c(p) - rho(p) (c(0) - scale), which scatters as
            c(p) - rho(p) c(0) does and has the mean rho(p) scale.
        frames: N of every block, all series together.
        whitening: L^-1, with L L' the covariance of one block times its N.
        times: lags, ps.
        scale: c(0) of all frames.
        temperature: K.
    """

    values: Float[Array, "block lag"]
    frames: Float[Array, " block"]
    whitening: Float[Array, "lag lag"]
    times: Float[Array, " lag"]
    scale: Float[Array, ""]
    temperature: float


def correlation_data(
    series: list[NumpyArray],
    steps: NumpyArray,
    *,
    interval: float,
    normalized: bool,
    blocks_kept: int,
    smooth: Smooth,
) -> dict[str, Array] | None:
    """Correlation functions of all blocks and the covariance of their estimates.

    Args:
        series: (frame, series) of every stretch.
        steps: lags, with zero first where normalized.
        interval: between frames, ps.
        normalized: whether the value at zero is divided out.
        blocks_kept: blocks at most.
        smooth: from an estimate at lags 0, 1, 2, ..., the span of lags that matter and the number of
            frames to a correlation function without noise.

    Returns:
        Fields of `CorrelationData`; None where the data are shorter than one block.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(1000, 1))
        >>> flat = lambda estimate, span, frames: estimate * (np.arange(estimate.size) == 0)
        >>> settings = dict(interval=0.1, normalized=True, blocks_kept=4, smooth=flat)
        >>> found = correlation_data([x], np.array([0, 1]), **settings)
        >>> found["values"].shape, found["whitening"].shape
        ((4, 1), (1, 1))
    """
    span = max(int(steps[-1]), decay_steps(series))
    blocks = _blocks(series, BLOCK_LAGS * span, blocks_kept)
    if not blocks:
        return None
    reach = min(TAPER * span, min(len(block) for block in blocks) - 1)
    functions = np.stack([_correlation(block, reach) for block in blocks])
    frames = np.array([block.size for block in blocks], dtype=float)
    mean = frames @ functions / frames.sum()
    c = smooth(mean, span, float(frames.sum()))
    values = functions[:, steps]
    if normalized:
        # c(0) of a block is not put into the prediction: it would be correlated with the gap, and bias rates
        values = values[:, 1:] - (c[steps[1:]] / c[0]) * (values[:, :1] - mean[0])
    covariance = normalized_covariance(c, steps) if normalized else bartlett_covariance(c, steps)
    return {
        "values": jnp.asarray(values),
        "frames": jnp.asarray(frames),
        "whitening": jnp.asarray(whitening(covariance)),
        "times": jnp.asarray(interval * (steps[1:] if normalized else steps)),
        "scale": jnp.asarray(mean[0]),
    }


def kind_of(of: str | VACF, normalized: bool) -> tuple[str, bool, float | None]:
    """Variable, normalization and largest lag (ps) that are meant.

    Args:
        of: "position", "velocity", or the observable that simulations are measured with.
        normalized: of the first two.

    Raises:
        BayescgError: another variable, or an observable with curves of several types.

    Example:
        >>> kind_of(VACF(maximum=0.5), True)
        ('velocity', False, 0.5)
    """
    if not isinstance(of, VACF):
        return one_of("of", of, ("position", "velocity")), normalized, None
    require(
        not of.by_type,
        "of must be a VACF of all beads, got one by type. Select the beads of one type, leave by_type out.",
    )
    return "velocity", of.normalized, of.maximum


def default_times(parts: list[Stretch], of: str, maximum: float | None = None) -> tuple[float, ...]:
    """Lags evenly spaced up to where the correlation has decayed, or up to the largest, ps.

    Args:
        parts: of the data.
        of: "position" or "velocity".
        maximum: largest lag, ps; None for where the correlation has decayed.

    Raises:
        BayescgError: a maximum below the interval.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.likelihoods.path_series import stretches
        >>> parts = stretches(bcg.data.water_dynamics(frames=200), "velocities")
        >>> len(default_times(parts, "velocity", maximum=0.1)) <= LAGS
        True
    """
    interval = parts[0].interval
    end = (
        decay_steps([series_of(part, of) for part in parts]) if maximum is None else round(maximum / interval)
    )
    require(
        end >= 1,
        f"maximum must be at least the interval of the data, {interval:g} ps, got {maximum} ps. Take a "
        "longer one.",
    )
    steps = np.unique(np.round(np.linspace(1, end, min(LAGS, end))).astype(int))
    return tuple(float(f"{step * interval:.9g}") for step in steps)


def bartlett_covariance(correlation: NumpyArray, steps: NumpyArray) -> NumpyArray:
    """Covariance of estimates of a correlation function at some lags, times the number of frames.

    Args:
        correlation: c at lags 0, 1, 2, ...; it is faded out over its second half.
        steps: lags of the estimates.

    Example:
        >>> bartlett_covariance(np.array([1.0, 0.0, 0.0]), np.array([0, 1])).round(12).tolist()
        [[2.0, 0.0], [0.0, 1.0]]
    """
    count = correlation.size
    fade = np.clip(2 * (1 - np.arange(count) / count), 0.0, 1.0)
    c = correlation * np.sin(0.5 * np.pi * fade) ** 2
    size = 4 * (count + int(steps[-1]))
    even = np.zeros(size)
    even[:count] = c
    even[size - count + 1 :] = c[:0:-1]
    # h(k) = Σ_m c(m) c(m + k), by the square of a spectrum that is not negative
    spectrum = np.maximum(np.fft.rfft(even).real, 0.0)
    h = np.fft.irfft(spectrum**2, size)
    return h[np.abs(steps[:, None] - steps)] + h[steps[:, None] + steps]


def normalized_covariance(correlation: NumpyArray, steps: NumpyArray) -> NumpyArray:
    """Covariance of c(p) - rho(p) c(0), times the number of frames.

    Args:
        correlation: c at lags 0, 1, 2, ...
        steps: lags, the first zero.

    Example:
        >>> normalized_covariance(np.array([1.0, 0.0, 0.0]), np.array([0, 1])).round(12).tolist()
        [[1.0]]
    """
    rho = correlation[steps[1:]] / correlation[0]
    contrast = np.concatenate([-rho[:, None], np.eye(rho.size)], axis=1)
    return contrast @ bartlett_covariance(correlation, steps) @ contrast.T


def decay_steps(series: list[NumpyArray]) -> int:
    """Lag at which the correlation function of the longest stretch has decayed.

    Args:
        series: (frame, series) of every stretch.

    Example:
        >>> decay_steps([np.random.default_rng(0).normal(size=(1000, 1))])
        1
    """
    longest = max(series, key=len)
    reach = max(len(longest) // BLOCK_LAGS, 1)
    c = _correlation(longest, reach)
    small = np.flatnonzero(np.abs(c) < DECAYED * c[0])
    return int(small[0]) if small.size else reach


def series_of(part: Stretch, of: str) -> NumpyArray:
    """Fluctuations of positions about their mean, followed through boundaries, or velocities.

    Args:
        part: a stretch.
        of: "position" or "velocity".

    Returns:
        (frame, series), every component of every bead a series.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.likelihoods.path_series import stretches
        >>> series_of(stretches(bcg.data.water(frames=151), "positions")[0], "position").shape
        (151, 1530)
    """
    if of == "velocity":
        assert part.velocities is not None
        return part.velocities.reshape(part.frames, -1)
    moved = np.concatenate([part.positions[:1], part.displacements()]).cumsum(axis=0)
    return moved.reshape(part.frames, -1) - moved.mean()


def _blocks(series: list[NumpyArray], shortest: int, count: int) -> list[NumpyArray]:
    """Contiguous blocks of nearly equal length, each of at least `shortest` frames."""
    total = sum(len(one) for one in series)
    found = []
    for one in series:
        pieces = max(1, min(round(count * len(one) / total), len(one) // shortest))
        if len(one) >= shortest:
            found += np.array_split(one, pieces)
    return found


def _correlation(series: NumpyArray, lags: int) -> NumpyArray:
    """Mean of x(n) x(n + p) over frames and series."""
    frames, count = series.shape
    lags = min(lags, frames - 1)
    sums = CorrelationSums(series=1, lags=lags, longest=frames)
    sums.add(series.T[..., None])
    return sums.result()[:, 0, 0] / (count * (frames - np.arange(lags + 1)))


def whitening(covariance: NumpyArray) -> NumpyArray:
    """L^-1, lower triangular, of a covariance whose eigenvalues are held above a floor.

    Args:
        covariance: positive semidefinite.

    Example:
        >>> whitening(np.diag([4.0, 9.0])).round(6).tolist()
        [[0.5, 0.0], [0.0, 0.333333]]
    """
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    held = (vectors * np.maximum(values, FLOOR * values[-1])) @ vectors.T
    return np.linalg.inv(np.linalg.cholesky(held))
