"""What follows from the bonds: angles, dihedrals, and which beads are few bonds apart.

Beads are the nodes of a graph and bonds its edges. An angle is a path of two edges, a dihedral one of
three that does not close on itself; two beads are s bonds apart if the shortest path has s edges.
"""

import numpy as np

from bayescg._typing import NumpyArray


def bond_angles(bonds: NumpyArray) -> NumpyArray:
    """Every three beads bonded in a row.

    Args:
        bonds: pairs of beads, (bond, 2).

    Returns:
        (angle, 3), the middle bead second and the smaller end first, ascending.

    Example:
        >>> import numpy as np
        >>> bond_angles(np.array([[0, 1], [1, 2], [1, 3]])).tolist()
        [[0, 1, 2], [0, 1, 3], [2, 1, 3]]
    """
    near = _bonded(bonds)
    found = [(a, b, c) for b in near for a in near[b] for c in near[b] if a < c]
    return _rows(found, 3)


def bond_dihedrals(bonds: NumpyArray) -> NumpyArray:
    """Every four beads bonded in a row, all different.

    Args:
        bonds: pairs of beads, (bond, 2).

    Returns:
        (dihedral, 4), the smaller middle bead second, ascending.

    Example:
        >>> import numpy as np
        >>> bond_dihedrals(np.array([[0, 1], [1, 2], [2, 3]])).tolist()
        [[0, 1, 2, 3]]
    """
    near = _bonded(bonds)
    found = [
        (a, b, c, d)
        for b in near
        for c in near[b]
        if b < c
        for a in near[b]
        for d in near[c]
        if len({a, b, c, d}) == 4
    ]
    return _rows(found, 4)


def partners_within(beads: int, bonds: NumpyArray, *, separation: int) -> NumpyArray:
    """For every bead the beads at most so many bonds away.

    Args:
        beads: number of beads, also the padding value.
        bonds: pairs of beads, (bond, 2).
        separation: most bonds; 2 gives pairs 1-2 and 1-3.

    Returns:
        (bead, partner) int32, ascending, padded; every pair stands twice.

    Example:
        >>> import numpy as np
        >>> partners_within(4, np.array([[0, 1], [1, 2], [2, 3]]), separation=2).tolist()
        [[1, 2, 4], [0, 2, 3], [0, 1, 3], [1, 2, 4]]
    """
    near = _bonded(bonds) if separation else {}
    found: dict[int, set[int]] = {}
    for bead in near:
        reached = {bead}
        edge = reached
        for _ in range(separation):
            edge = {other for end in edge for other in near[end]} - reached
            reached = reached | edge
        found[bead] = reached - {bead}
    matrix = np.full((beads, max(map(len, found.values()), default=0)), beads, dtype=np.int32)
    for bead, partners in found.items():
        matrix[bead, : len(partners)] = sorted(partners)
    return matrix


def _bonded(bonds: NumpyArray) -> dict[int, list[int]]:
    """The bonded beads of every bead that has any, ascending."""
    near: dict[int, set[int]] = {}
    for a, b in np.asarray(bonds).tolist():
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    return {bead: sorted(near[bead]) for bead in sorted(near)}


def _rows(found: list[tuple[int, ...]], width: int) -> NumpyArray:
    return np.array(sorted(found), dtype=np.int64).reshape(-1, width)
