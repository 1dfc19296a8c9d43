"""What a path likelihood reads off the data before anything is inferred: scales, no more.

The friction at long times, for a start of the memory: a position confined to a well relaxes with the
integral correlation time tau, and gamma = kT tau / <δx²>; a free one diffuses, gamma = kT/D, with
2 D t = <[x(t) - x(0)]²> at long t, or D = ∫ <v(0) v(t)> dt from velocities. The mass of a variable that
has none is kT/<v²>. The mean curvature of a potential is that of its density, <U''> = kT <(d ln p/dx)²>.
"""

from typing import Any

import numpy as np

from bayescg._checks import require
from bayescg._typing import NumpyArray
from bayescg.data import state_points, topology, validate
from bayescg.interfaces import AbstractPotential, Support, Timescales
from bayescg.likelihoods.path_series import Stretch
from bayescg.likelihoods.reading import internal_of, shortest_distances
from bayescg.numerics.correlation import CorrelationSums
from bayescg.units import thermal_energy

SERIES = 24
"""Series looked at, spread evenly over the beads."""

FRAMES = 2**17
"""Frames looked at of each."""

BINS = 32
"""Of a histogram: enough for a few wells, each with thousands of values."""

CONFINED = 0.1
"""A position is confined where its correlation falls to this within half of the frames looked at."""


def timescales(parts: list[Stretch]) -> Timescales:
    """Interval, duration and rough friction of the data.

    Args:
        parts: all stretches.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.likelihoods.path_series import stretches
        >>> timescales(stretches(bcg.data.water(frames=151), "positions")).interval
        2.0
    """
    longest = max(parts, key=lambda part: part.frames * part.interval)
    friction = _friction_of_velocities(longest) if longest.velocities is not None else _friction(longest)
    return Timescales(
        min(part.interval for part in parts), (longest.frames - 1) * longest.interval, float(friction)
    )


def apparent_mass(parts: list[Stretch]) -> float:
    """kT/<v²>, amu where positions are in nm, from velocities or displacements over one interval.

    Args:
        parts: all stretches.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.likelihoods.path_series import stretches
        >>> apparent_mass(stretches(bcg.data.water(frames=151), "positions")) > 18.0
        True
    """
    part = parts[0]
    v = part.velocities if part.velocities is not None else part.displacements() / part.interval
    return thermal_energy(part.temperature) / float(np.mean(np.square(v)))


def mean_curvature(parts: list[Stretch]) -> float:
    """<U''> of a single variable from a histogram of its values, kJ/mol per square unit.

    Args:
        parts: all stretches.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.likelihoods.path_series import stretches
        >>> mean_curvature(stretches(bcg.data.water(frames=151), "positions")) > 0
        True
    """
    x = np.concatenate([part.positions[:FRAMES].ravel() for part in parts])
    counts, edges = np.histogram(x, bins=BINS)
    density, width = counts / counts.sum(), edges[1] - edges[0]
    middle = 0.5 * (density[1:] + density[:-1])
    slopes = np.diff(density)[middle > 0] / width
    return thermal_energy(parts[0].temperature) * float(np.sum(slopes**2 / middle[middle > 0]))


def _friction(part: Stretch) -> float:
    steps = _few(part.displacements())
    x = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
    variance = float(np.mean(x.var(axis=1)))
    require(
        variance > 0,
        "positions must move, got a variable that is constant. Leave it out, or check the mapping.",
    )
    kT = thermal_energy(part.temperature)
    frames = x.shape[1]
    c = _correlation(x - x.mean(axis=1, keepdims=True), frames // 2)
    if part.boxes is None and part.period is None and c.min() < CONFINED:
        return kT * part.interval * _integral_time(c) / variance
    lag = max(frames // 10, 1)
    square = float(np.mean((x[:, lag:] - x[:, :-lag]) ** 2))
    return kT * 2 * lag * part.interval / square


def _friction_of_velocities(part: Stretch) -> float:
    assert part.velocities is not None
    v = _few(part.velocities)
    square = float(np.mean(v**2))
    require(square > 0, "velocities must not be zero throughout. Check what the trajectory holds.")
    time = part.interval * _integral_time(_correlation(v, v.shape[1] // 2))
    return thermal_energy(part.temperature) / (square * time)


def _few(values: NumpyArray) -> NumpyArray:
    """Some series, (series, frame)."""
    series = values[:FRAMES].reshape(min(FRAMES, len(values)), -1).T
    return series[np.unique(np.linspace(0, len(series) - 1, SERIES).astype(int))]


def _correlation(x: NumpyArray, lags: int) -> NumpyArray:
    """Normalized autocorrelation, all series together."""
    total = np.zeros(lags + 1)
    for series in x:
        sums = CorrelationSums(series=1, lags=lags, longest=series.size)
        sums.add(series[None, :, None])
        total += sums.result()[:, 0, 0]
    c = total / (x.shape[1] - np.arange(lags + 1))
    return c / c[0]


def _integral_time(c: NumpyArray) -> float:
    """Integral of a correlation in frames, where it has converged: at five times itself."""
    running = np.cumsum(c) - 0.5 - 0.5 * c
    enough = np.flatnonzero(np.arange(c.size) >= 5 * np.maximum(running, 0.2))
    return max(float(running[enough[0] if enough.size else -1]), 0.1)


def support(parts: list[Stretch], data: Any, potential: AbstractPotential) -> Support:
    """What the potential may know of the data.

    Args:
        parts: all stretches.
        data: that they are of.
        potential: whose cutoff says how far beads see each other.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.likelihoods.path_series import stretches
        >>> beads = bcg.data.water(frames=151)
        >>> spline = bcg.potentials.PairSpline(cutoff=0.9, knots=8)
        >>> len(support(stretches(beads, "positions"), beads, spline).shortest)
        1
    """
    names, kT = parts[0].topology.type_names, thermal_energy(parts[0].temperature)
    internal = internal_of(state_points(data))
    if potential.cutoff > 0:
        points = [validate(beads) for beads in state_points(data)]
        shortest = [shortest_distances(beads, topology(beads), potential.cutoff) for beads in points]
        return Support(names, tuple(np.min(shortest, axis=0).tolist()), thermal_energy=kT, internal=internal)
    lowest = np.min([part.positions.min(axis=(0, 1)) for part in parts], axis=0)
    highest = np.max([part.positions.max(axis=(0, 1)) for part in parts], axis=0)
    ends = tuple(lowest.tolist()), tuple(highest.tolist())
    return Support(names, (), *ends, parts[0].period, kT, internal)
