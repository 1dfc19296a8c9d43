"""Which beads are near which: pair lists and neighbour matrices on the host.

Few beads are compared all with all in machine code, more by a periodic k-d tree (scipy). On 510 waters
and a 1 nm cutoff the first takes 0.6 ms a frame, the second 2 and vesin's cell list 5, so vesin is kept
as the independent reference in the tests.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from bayescg._checks import BayescgError, positive
from bayescg._typing import NumpyArray
from bayescg.numerics import pair_kernels

FEW_BEADS = 2000
"""Up to here comparing all with all (2 to 4 ns a pair) beats the tree, at some 140 neighbours a bead."""


class Pairs(NamedTuple):
    """Every pair of beads within a cutoff, once.

    Attributes:
        first: (pair,) index of one bead.
        second: (pair,) index of the other.
        displacement: (dim, pair) shortest image of x_second - x_first, nm, one row per component.
        distance: (pair,) nm.
    """

    first: NumpyArray
    second: NumpyArray
    displacement: NumpyArray
    distance: NumpyArray


def check_cutoff(cutoff: float, box: NumpyArray | None) -> None:
    """Raise unless the shortest image is the only one within the cutoff.

    Args:
        cutoff: nm.
        box: edge lengths, nm, (dim,) or (frame, dim); None for an open system.

    Raises:
        BayescgError: the cutoff exceeds half the shortest edge.

    Example:
        >>> import numpy as np
        >>> check_cutoff(0.9, np.array([2.0, 2.0, 2.0]))
    """
    positive("cutoff", cutoff, unit="nm")
    if box is not None and cutoff > 0.5 * np.min(box):
        raise BayescgError(
            f"cutoff must be at most half the shortest box edge, got {cutoff} nm in a box of "
            f"{float(np.min(box)):.4f} nm. Choose a cutoff of at most {0.5 * float(np.min(box)):.4f} nm."
        )


def pairs_within(
    positions: NumpyArray, box: NumpyArray | None, cutoff: float, *, excluded: NumpyArray | None = None
) -> Pairs:
    """All pairs of beads closer than the cutoff, but for excluded ones.

    Args:
        positions: (bead, dim), nm; need not lie in the box.
        box: (dim,) edge lengths of the periodic cell, nm; None for an open system.
        cutoff: nm.
        excluded: (bead, partner) beads that make no pair with a bead, padded with the number of beads;
            `Topology.excluded`. None for all pairs.

    Returns:
        Each pair once.

    Raises:
        BayescgError: the cutoff exceeds half the box.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.05, 0.0, 0.0], [1.95, 0.0, 0.0], [1.0, 1.0, 1.0]])
        >>> found = pairs_within(x, np.array([2.0, 2.0, 2.0]), 0.5)
        >>> found.distance.round(6).tolist()
        [0.1]
        >>> bonded = np.array([[1], [0], [3]])
        >>> pairs_within(x, np.array([2.0, 2.0, 2.0]), 0.5, excluded=bonded).distance.size
        0
    """
    check_cutoff(cutoff, box)
    positions = np.asarray(positions, dtype=np.float64)
    edges = None if box is None else np.asarray(box, dtype=np.float64)
    search = _compare_all if positions.shape[0] <= FEW_BEADS else _search_tree
    partners = np.zeros((len(positions), 0), dtype=np.intp) if excluded is None else np.asarray(excluded)
    return search(positions, edges, cutoff, partners.astype(np.intp, copy=False))


def no_pairs(dims: int) -> Pairs:
    """An empty list: what a potential without a cutoff needs.

    Args:
        dims: number of components of a position.

    Example:
        >>> no_pairs(3).displacement.shape
        (3, 0)
    """
    nobody = np.zeros(0, dtype=np.intp)
    return Pairs(nobody, nobody, np.zeros((dims, 0)), np.zeros(0))


def neighbor_matrix(pairs: Pairs, beads: int, capacity: int | None = None) -> NumpyArray:
    """Every bead's neighbours as one padded row; each pair stands in two rows.

    Args:
        pairs: from `pairs_within`.
        beads: number of beads, also the padding value.
        capacity: width of the matrix; None for the smallest that holds all.

    Returns:
        (bead, neighbor) int32.

    Raises:
        BayescgError: a bead has more neighbours than the capacity.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.9, 0.0, 0.0]])
        >>> neighbor_matrix(pairs_within(x, None, 0.5), 3).tolist()
        [[1], [0], [3]]
    """
    owner = np.concatenate([pairs.first, pairs.second])
    other = np.concatenate([pairs.second, pairs.first])
    order = np.argsort(owner, kind="stable")
    owner, other = owner[order], other[order]
    counts = np.bincount(owner, minlength=beads)
    widest = int(counts.max()) if counts.size else 0
    width = max(widest, 1) if capacity is None else capacity
    if widest > width:
        raise BayescgError(f"capacity must be at least {widest} neighbours, got {width}. Enlarge it.")
    matrix = np.full((beads, width), beads, dtype=np.int32)
    place = np.arange(owner.size) - np.repeat(np.cumsum(counts) - counts, counts)
    matrix[owner, place] = other
    return matrix


def _compare_all(
    positions: NumpyArray, edges: NumpyArray | None, cutoff: float, excluded: NumpyArray
) -> Pairs:
    """Every bead with every other, in machine code."""
    beads, dims = positions.shape
    periodic = np.zeros(dims) if edges is None else edges
    inverse = np.zeros(dims) if edges is None else 1 / edges
    room = beads * (beads - 1) // 2 + 1  # of which the system backs only what is written
    first, second = np.empty(room, dtype=np.intp), np.empty(room, dtype=np.intp)
    displacement, distance = np.empty((dims, room)), np.empty(room)
    columns = np.ascontiguousarray(positions.T)
    found = pair_kernels.search(dims)(
        columns, periodic, inverse, cutoff**2, excluded, first, second, displacement, distance
    )
    return Pairs(*(part[..., :found].copy() for part in (first, second, displacement, distance)))


def _search_tree(
    positions: NumpyArray, edges: NumpyArray | None, cutoff: float, excluded: NumpyArray
) -> Pairs:
    """By a k-d tree."""
    if edges is not None:
        positions = np.mod(positions, edges)
        positions[positions >= edges] = 0.0  # np.mod of -1e-17 rounds up to the edge itself
    tree = KDTree(positions, boxsize=edges, compact_nodes=False, balanced_tree=False)
    found = tree.query_pairs(cutoff, output_type="ndarray")
    if excluded.shape[1]:
        beads = len(positions)
        owner = np.repeat(np.arange(beads), excluded.shape[1])
        found = found[~np.isin(found @ [beads + 1, 1], owner * (beads + 1) + excluded.ravel())]
    first, second = np.ascontiguousarray(found.T)
    displacement = np.empty((positions.shape[1], first.size))
    for axis, row in enumerate(displacement):  # column by column: contiguous gathers are ten times faster
        column = np.ascontiguousarray(positions[:, axis])
        np.subtract(column.take(second), column.take(first), out=row)
        if edges is not None:
            row -= edges[axis] * np.rint(row * (1.0 / edges[axis]))
    return Pairs(first, second, displacement, np.sqrt(np.einsum("dp,dp->p", displacement, displacement)))
