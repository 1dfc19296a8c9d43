"""Timescales: what the data can resolve, where modes start, and which modes lie outside.

A mode that decays within one frame interval looks like friction without memory; one that outlives the
trajectory looks like a constant force. Neither can be told from the data.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, positive
from bayescg._typing import NumpyArray
from bayescg.interfaces import AbstractMemory, SumMemory, Timescales

FASTEST_START = 2.0
"""Frame intervals in the fastest decay time that a memory starts with: shorter is not resolved."""

SLOWEST_START = 200.0
"""Frame intervals in the slowest; a tenth of the trajectory where that is shorter."""

SEPARATION = 2.0
"""Least ratio of slowest to fastest at the start, so that modes differ however short the trajectory."""

FREQUENCY_PER_INTERVAL = 0.5
"""The Nyquist frequency times the interval between frames."""


def kept(timescales: Timescales | None) -> Timescales | None:
    """Timescales as arrays: a compiled function takes them as arguments, so that data alike share programs.

    Example:
        >>> kept(Timescales(0.01, 10.0, 50.0)).interval.shape
        ()
    """
    return None if timescales is None else Timescales(*(jnp.asarray(value, float) for value in timescales))


def known_timescales(memory: AbstractMemory) -> Timescales | None:
    """Timescales of the data that a memory was prepared for; None where it was not.

    Example:
        >>> import bayescg as bcg
        >>> known_timescales(bcg.memory.Prony(2)) is None
        True
    """
    terms = memory.terms if isinstance(memory, SumMemory) else (memory,)
    found = [leaf for leaf in jax.tree.leaves(terms, is_leaf=_is_timescales) if _is_timescales(leaf)]
    if not found:
        return None
    longest = max(found, key=lambda known: float(known.duration))
    return longest._replace(friction=sum(known.friction for known in found))


def _is_timescales(node: Any) -> bool:
    return isinstance(node, Timescales)


def merged(before: Timescales | None, now: Timescales) -> Timescales:
    """Timescales that serve all data seen: shortest interval, longest duration, its friction.

    Args:
        before: of the data a memory was prepared for; None where it was not.
        now: of further data.

    Raises:
        BayescgError: numbers that are not positive, or a duration below the interval.

    Example:
        >>> merged(Timescales(0.01, 10.0, 50.0), Timescales(0.002, 5.0, 60.0))
        Timescales(interval=0.002, duration=10.0, friction=50.0)
    """
    interval = positive("timescales.interval", now.interval, unit="ps", remedy="Check the frame times.")
    duration = positive("timescales.duration", now.duration, unit="ps", remedy="Check the frame times.")
    friction = positive(
        "timescales.friction", now.friction, unit="amu/ps", remedy="Give a rough positive estimate."
    )
    if duration <= interval:
        raise BayescgError(
            f"timescales.duration must exceed the interval of {interval:g} ps, got {duration:g} ps. "
            "A memory needs a stretch of several frames without a gap."
        )
    checked = Timescales(interval, duration, friction)
    if before is None:
        return checked
    before = Timescales(*map(float, before))
    longer = checked if duration > before.duration else before
    return Timescales(min(before.interval, interval), longer.duration, longer.friction)


def spaced_times(timescales: Timescales, count: int) -> NumpyArray:
    """Decay times to start from, ps: evenly spaced in the logarithm.

    Args:
        timescales: of the data.
        count: of modes; one mode starts in the middle.

    Returns:
        From 2 frame intervals to 200, or to a tenth of the trajectory where that is shorter.

    Example:
        >>> spaced_times(Timescales(0.01, 100.0, 50.0), 3).round(3).tolist()
        [0.02, 0.2, 2.0]
    """
    fastest = FASTEST_START * timescales.interval
    slowest = max(min(timescales.duration / 10, SLOWEST_START * timescales.interval), SEPARATION * fastest)
    return np.array([np.sqrt(fastest * slowest)]) if count == 1 else np.geomspace(fastest, slowest, count)


def timescale_warnings(memory: AbstractMemory, timescales: Timescales) -> list[str]:
    """Sentences on modes that the data cannot resolve; empty where all can be.

    Modes are the eigenvalues of A_s, in the order of their decay times 1/Re: an oscillating mode is a
    pair of them, with the frequency Im/2 pi.

    Args:
        memory: with values.
        timescales: of the data.

    Example:
        >>> import bayescg as bcg
        >>> prony = bcg.memory.Prony(modes=2, times=[0.001, 0.5], frictions=[10.0, 20.0])
        >>> warnings = bcg.memory.timescale_warnings(prony, bcg.interfaces.Timescales(0.01, 15.0, 30.0))
        >>> warnings[0][:61]
        'mode 0 of memory (Prony) decays in 0.001 ps, faster than one '
    """
    if isinstance(memory, SumMemory):
        named = [(f"memory.terms.{index}", term) for index, term in enumerate(memory.terms)]
    else:
        named = [("memory", memory)]
    return [
        sentence
        for path, term in named
        for index, mode in enumerate(_modes(term))
        for sentence in _of_mode(f"mode {index} of {path} ({type(term).__name__})", mode, timescales)
    ]


def _modes(memory: AbstractMemory) -> list[complex]:
    """Eigenvalues, fastest first, one of every conjugate pair."""
    values = np.linalg.eigvals(np.asarray(memory.drift().matrix))
    scale = np.abs(values).max(initial=0.0)
    kept = [complex(value) for value in values if value.imag >= -1e-12 * scale]
    return sorted(kept, key=lambda value: -value.real)


def _of_mode(name: str, mode: complex, timescales: Timescales) -> list[str]:
    decay = 1 / mode.real if mode.real > 0 else np.inf
    frequency, nyquist = mode.imag / (2 * np.pi), FREQUENCY_PER_INTERVAL / timescales.interval
    found = []
    if decay < timescales.interval:
        found.append(
            f"{name} decays in {decay:.3g} ps, faster than one frame in {timescales.interval:.3g} ps. "
            "It acts as friction without memory: write frames more often, or take Markovian() in its place."
        )
    if decay > timescales.duration:
        found.append(
            f"{name} decays in {decay:.3g} ps, slower than the trajectory of {timescales.duration:.3g} ps. "
            "It acts as a constant force: run longer, or take one mode fewer."
        )
    if frequency > nyquist:
        found.append(
            f"{name} oscillates at {frequency:.3g} 1/ps, above the {nyquist:.3g} 1/ps that frames every "
            f"{timescales.interval:.3g} ps resolve. Write frames more often, or take one mode fewer."
        )
    return found
