"""Couplings of the equivariant potential: which degrees make which, and by what numbers.

    (x ⊗ y)_l3m3 = sum_{l1 l2} w_{l1 l2 l3} sum_{m1 m2} C_{m1 m2 m3} x_l1m1 y_l2m2

A path is one triple l1, l2, l3. Components of all degrees up to L stand in one axis of (L + 1)² numbers, so
that a product with all its paths is a single contraction with a constant tensor. A mirror multiplies an l
by (-1)^l; paths of even l1 + l2 + l3 keep this, paths of odd sum do not.
"""

import functools
import math

import numpy as np

from bayescg._typing import NumpyArray
from bayescg.potentials.harmonics import coupling

Path = tuple[int, int, int]
"""Degrees l1 and l2 that are multiplied, and l3 of the product."""


def degrees_of_orders(degree: int) -> NumpyArray:
    """The l of every component of all degrees up to one.

    Args:
        degree: largest l.

    Example:
        >>> degrees_of_orders(1).tolist()
        [0, 1, 1, 1]
    """
    return np.repeat(np.arange(degree + 1), 2 * np.arange(degree + 1) + 1)


@functools.lru_cache(maxsize=64)
def paths(first: int, second: int, third: int, *, parity: bool) -> tuple[Path, ...]:
    """All paths of degrees up to the given ones.

    Args:
        first: largest l1.
        second: largest l2.
        third: largest l3.
        parity: whether a mirror must treat the product as it treats its factors.

    Example:
        >>> paths(1, 1, 1, parity=True)
        ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0))
        >>> len(paths(1, 1, 1, parity=False))
        5
    """
    return tuple(
        (l1, l2, l3)
        for l1 in range(first + 1)
        for l2 in range(second + 1)
        for l3 in range(abs(l1 - l2), min(l1 + l2, third) + 1)
        if not parity or (l1 + l2 + l3) % 2 == 0
    )


@functools.lru_cache(maxsize=64)
def couplings(first: int, second: int, third: int, *, parity: bool) -> NumpyArray:
    """C of all `paths`, scaled: independent components of variance one have products of variance one.

    Args:
        first: largest l1.
        second: largest l2.
        third: largest l3.
        parity: as for `paths`.

    Returns:
        (path, (first + 1)², (second + 1)², (third + 1)²), zero outside a path's own degrees.

    Example:
        >>> couplings(1, 1, 0, parity=True).shape
        (2, 4, 4, 1)
    """
    chosen = paths(first, second, third, parity=parity)
    leading = [l3 for _, _, l3 in chosen]
    tensor = np.zeros((len(chosen), (first + 1) ** 2, (second + 1) ** 2, (third + 1) ** 2))
    for place, (l1, l2, l3) in enumerate(chosen):
        # the squares of C add up to one over all m3, those of one m3 to 1/(2 l3 + 1)
        scale = math.sqrt((2 * l3 + 1) / leading.count(l3))
        block = tuple(slice(l * l, (l + 1) ** 2) for l in (l1, l2, l3))
        tensor[(place, *block)] = scale * coupling(l1, l2, l3)
    tensor.setflags(write=False)
    return tensor
