"""Loops over pairs of beads in machine code: numba compiles each for its number of dimensions on first use.

The inner loops have a length known to the compiler, so they are unrolled and use vector instructions. The
code is kept beside this file, or in the user's cache folder, for the next process.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from bayescg._typing import NumpyArray


@functools.cache
def search(dims: int) -> Callable[..., int]:
    """Compare all beads with all: fills the arrays of a pair list and returns how many pairs there are.

    Arguments of the loop: positions (dim, bead), edges and their inverses (dim,), zeros where the system
    is open, the squared cutoff, for every bead those it makes no pair with (bead, partner), and what is
    filled, as long as there could be pairs: first, second, displacement (dim, pair) and distance.

    Args:
        dims: number of components of a position.

    Example:
        >>> import numpy as np
        >>> first, second, distance = np.zeros(3, int), np.zeros(3, int), np.zeros(3)
        >>> x, none, nobody = np.array([[0.0, 0.3, 9.0]]), np.zeros(1), np.zeros((3, 0), int)
        >>> search(1)(x, none, none, 0.25, nobody, first, second, np.zeros((1, 3)), distance)
        1
        >>> float(distance[0])
        0.3
    """

    def loop(
        positions: NumpyArray,
        edges: NumpyArray,
        inverse: NumpyArray,
        squared_cutoff: float,
        excluded: NumpyArray,
        first: NumpyArray,
        second: NumpyArray,
        displacement: NumpyArray,
        distance: NumpyArray,
    ) -> int:
        beads = positions.shape[1]
        squared = np.empty(beads)
        found = 0
        for i in range(beads - 1):
            for j in range(i + 1, beads):
                total = 0.0
                for a in range(dims):
                    gap = positions[a, j] - positions[a, i]
                    gap -= edges[a] * np.rint(gap * inverse[a])
                    total += gap * gap
                squared[j] = total
            for p in range(excluded.shape[1]):
                if i < excluded[i, p] < beads:
                    squared[excluded[i, p]] = np.inf
            begin = found
            for j in range(i + 1, beads):  # every place is written, the next pair overwrites a miss
                second[found] = j
                found += squared[j] <= squared_cutoff
            for p in range(begin, found):
                j = second[p]
                first[p] = i
                distance[p] = np.sqrt(squared[j])
                for a in range(dims):
                    gap = positions[a, j] - positions[a, i]
                    displacement[a, p] = gap - edges[a] * np.rint(gap * inverse[a])
        return found

    return compiled(loop)


@functools.cache
def add_slopes(dims: int, degree: int) -> Callable[..., None]:
    """Add to both beads of every pair the forces of a spline basis, B_k'(r) (x_j - x_i)/r.

    Arguments of the loop: first, second, displacement and distance of the pairs; a weight of every pair;
    for every pair the number of its spline; of the splines starts and inverse widths; the slopes
    (interval, power, one of the degree + 1 functions that are not zero there), the number of the first
    of these in every interval; how many features a spline has; the cutoff; and the forces
    (dim, bead, feature) that are added to. Below the start slopes go on linearly.

    Args:
        dims: number of components of a position.
        degree: of the splines.

    Example:
        >>> import numpy as np
        >>> forces, zero, one = np.zeros((1, 2, 2)), np.zeros(1, int), np.ones(1)
        >>> pair = zero, zero + 1, one[None], one, one, zero
        >>> add_slopes(1, 1)(*pair, 0 * one, one, np.ones((1, 1, 2)), zero, 2, 3.0, forces)
        >>> forces.tolist()
        [[[1.0, 1.0], [-1.0, -1.0]]]
    """
    functions = degree + 1

    def loop(
        first: NumpyArray,
        second: NumpyArray,
        displacement: NumpyArray,
        distance: NumpyArray,
        weight: NumpyArray,
        spline: NumpyArray,
        starts: NumpyArray,
        inverse_widths: NumpyArray,
        slopes: NumpyArray,
        places: NumpyArray,
        features: int,
        cutoff: float,
        forces: NumpyArray,
    ) -> None:
        intervals = slopes.shape[0]
        for p in range(distance.size):
            if distance[p] >= cutoff:
                continue
            kind = spline[p]
            s = (distance[p] - starts[kind]) * inverse_widths[kind]
            m = min(max(int(s), 0), intervals - 1)
            t = s - m
            inside = max(t, 0.0)
            i, j, begin = first[p], second[p], kind * features + places[m]
            factor = weight[p] * inverse_widths[kind] / distance[p]
            for k in range(functions):
                slope = 0.0
                for power in range(degree - 1, 0, -1):
                    slope = slopes[m, power, k] + inside * slope
                slope = factor * (slopes[m, 0, k] + t * slope)
                for a in range(dims):
                    force = slope * displacement[a, p]
                    forces[a, i, begin + k] += force
                    forces[a, j, begin + k] -= force

    return compiled(loop)


def compiled(loop: Callable[..., Any], *, fastmath: bool = False) -> Callable[..., Any]:
    """A loop in machine code, kept for the next process where a folder can be written.

    Args:
        loop: of numbers and numpy arrays.
        fastmath: whether numbers are all finite and sums may be taken in any order.

    Example:
        >>> compiled(lambda x: x + 1)(2)
        3
    """
    import numba

    try:
        return numba.njit(cache=True, fastmath=fastmath)(loop)
    except RuntimeError:  # no folder to keep machine code in: every process compiles anew, in half a second
        return numba.njit(fastmath=fastmath)(loop)
