"""How many pairs of beads lie at every distance, counted in machine code.

XLA adds to a histogram one element at a time, some 10 ns each; a loop that counts takes a fifth of that. So
frames that lie on the host are counted here, and observables inside of a compiled simulation are not.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from bayescg._checks import finite
from bayescg._typing import Float, Int, NumpyArray
from bayescg.numerics.pair_kernels import compiled


def count_pairs(
    positions: Float[NumpyArray, "bead dim"],
    box: Float[NumpyArray, " dim"],
    *,
    kinds: Int[NumpyArray, "type type"],
    types: Int[NumpyArray, " bead"],
    bins: int,
    reach: float,
    molecules: Int[NumpyArray, " bead"] | None = None,
) -> Int[NumpyArray, "kind bin"]:
    """Pairs of every kind in equal bins from zero to a reach, shortest images.

    Args:
        positions: nm, inside of the box; float32 is counted in float32, in six tenths of the time.
        box: edge lengths, nm.
        kinds: number of the kind of every pair of types.
        types: of the beads.
        bins: their number.
        reach: end of the last bin, nm; at most half the shortest edge.
        molecules: of the beads; pairs of one molecule are left out. None to count all.

    Raises:
        BayescgError: a position that is not finite.

    Example:
        >>> x, nobody = np.array([[0.1], [0.3], [0.9]]), np.zeros(3, int)
        >>> one = np.zeros((1, 1), int)
        >>> count_pairs(x, np.ones(1), kinds=one, types=nobody, bins=2, reach=0.5).tolist()
        [[2, 1]]
    """
    # the loop is compiled for finite numbers
    finite("positions", positions, axis_name="bead", remedy="Leave the frame out.")
    counts = np.zeros((int(kinds.max()) + 1, bins + 1), np.int64)
    own = np.arange(len(types)) if molecules is None else np.asarray(molecules)
    precision = np.float32 if positions.dtype == np.float32 else np.float64
    _counter()(
        np.ascontiguousarray(positions.T, precision),
        np.asarray(box, precision),
        np.asarray(kinds, np.int64),
        np.asarray(types, np.int64),
        own.astype(np.int32),
        precision(bins / reach),
        counts,
    )
    return counts[:, :-1]


@functools.cache
def _counter() -> Callable[..., None]:
    """The loop; the last bin collects what is out of reach.

    It works on slices, whose places are never negative, so that the compiler may use vector instructions.
    """

    def loop(
        positions: NumpyArray,
        edges: NumpyArray,
        kinds: NumpyArray,
        types: NumpyArray,
        molecules: NumpyArray,
        scale: Any,
        counts: NumpyArray,
    ) -> None:
        dims, beads = positions.shape
        last = positions.dtype.type(counts.shape[1] - 1)
        totals, places = np.empty(beads, positions.dtype), np.empty(beads, np.int32)
        # four histograms in turn: an addition need not wait for the last one to the same bin
        parts = np.zeros((4, counts.shape[1]), np.int64)
        for i in range(beads - 1):
            squared, place = totals[: beads - 1 - i], places[: beads - 1 - i]
            squared[:] = 0.0
            for a in range(dims):
                here, edge, others = positions[a, i], edges[a], positions[a, i + 1 :]
                for k in range(squared.size):
                    gap = abs(others[k] - here)
                    gap = min(gap, edge - gap)
                    squared[k] += gap * gap
            for k in range(squared.size):
                place[k] = np.int32(min(np.sqrt(squared[k]) * scale, last))
            own, others_of = molecules[i], molecules[i + 1 :]
            for k in range(place.size):
                if others_of[k] == own:
                    place[k] = np.int32(last)
            if kinds.size == 1:
                for quarter in range(place.size // 4):
                    parts[0, place[4 * quarter]] += 1
                    parts[1, place[4 * quarter + 1]] += 1
                    parts[2, place[4 * quarter + 2]] += 1
                    parts[3, place[4 * quarter + 3]] += 1
                for k in range(place.size // 4 * 4, place.size):
                    parts[0, place[k]] += 1
            else:
                row, other_types = kinds[types[i]], types[i + 1 :]
                for k in range(place.size):
                    counts[row[other_types[k]], place[k]] += 1
        if kinds.size == 1:
            counts[0] += parts.sum(axis=0)

    return compiled(loop, fastmath=True)
