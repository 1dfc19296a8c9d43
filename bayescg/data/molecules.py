"""Molecules across periodic boundaries: who belongs together, and making them whole.

A bond is shorter than half the box, so the image of an atom next to its bonded neighbour is

    x_child <- x_child - L round((x_child - x_parent) / L).

Walking the bond graph from one atom of every molecule makes all of them whole, at any length of
molecule. Every step of the walk moves all atoms at that depth, in all molecules and frames at once.
"""

import equinox as eqx
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray


def components(count: int, bonds: NumpyArray) -> NumpyArray:
    """Label the connected parts of a bond graph, in order of first appearance.

    Args:
        count: number of atoms.
        bonds: pairs of atoms, shape (bond, 2).

    Returns:
        Label of every atom.

    Example:
        >>> import numpy as np
        >>> components(4, np.array([[0, 2]])).tolist()
        [0, 1, 0, 2]
    """
    ones = np.ones(len(bonds), dtype=bool)
    graph = coo_array((ones, (bonds[:, 0], bonds[:, 1])), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    return in_order(labels)


def in_order(labels: NumpyArray) -> NumpyArray:
    """Renumber labels 0, 1, ... by first appearance.

    Example:
        >>> import numpy as np
        >>> in_order(np.array([7, 7, 3])).tolist()
        [0, 0, 1]
    """
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


class Walk(eqx.Module):
    """A walk over the bond graph, from one atom of every connected part outwards.

    Attributes:
        steps: for every depth the atoms reached and the atoms they are reached from.
    """

    steps: tuple[tuple[NumpyArray, NumpyArray], ...]


def walk(count: int, bonds: NumpyArray) -> Walk:
    """Plan the walk (breadth first).

    Args:
        count: number of atoms.
        bonds: pairs of atoms, shape (bond, 2).

    Returns:
        The walk; it reaches every atom that has a bond.

    Example:
        >>> import numpy as np
        >>> [step[0].tolist() for step in walk(3, np.array([[0, 1], [1, 2]])).steps]
        [[1], [2]]
    """
    labels = components(count, bonds)
    roots = np.unique(labels, return_index=True)[1]
    reached = np.zeros(count, dtype=bool)
    reached[roots] = True
    source, target = np.concatenate([bonds, bonds[:, ::-1]]).T
    steps = []
    while True:
        open_ends = ~reached[target]
        source, target = source[open_ends], target[open_ends]
        if not len(target):
            return Walk(tuple(steps))
        ready = reached[source]
        children, first = np.unique(target[ready], return_index=True)
        steps.append((children, source[ready][first]))
        reached[children] = True


def make_whole(positions: NumpyArray, box: NumpyArray, path: Walk) -> NumpyArray:
    """Put every atom next to the bonded neighbour it is reached from.

    Args:
        positions: nm, shape (frame, atom, dim).
        box: edge lengths, nm, shape (frame, dim).
        path: of the bond graph.

    Returns:
        Positions, nm; the input itself if nothing was broken.

    Example:
        >>> import numpy as np
        >>> broken = np.array([[[0.1], [1.9]]])
        >>> make_whole(broken, np.array([[2.0]]), walk(2, np.array([[0, 1]]))).round(3).tolist()
        [[[0.1], [-0.1]]]
    """
    edges = box.astype(positions.dtype, copy=False)[:, None]
    whole = positions
    for children, parents in path.steps:
        images = np.round((whole[:, children] - whole[:, parents]) / edges)
        if images.any():
            whole = whole.copy() if whole is positions else whole
            whole[:, children] -= images * edges
    return whole


def bridges(groups: NumpyArray, members: NumpyArray, parts: NumpyArray) -> NumpyArray:
    """Links that join the unbonded parts of each group to the group's first atom.

    Args:
        groups: group of every member, ascending.
        members: atoms.
        parts: connected part of every atom of the system.

    Returns:
        Pairs of atoms, shape (link, 2); empty where every group is bonded through.

    Example:
        >>> import numpy as np
        >>> bridges(np.array([0, 0, 0]), np.array([0, 1, 2]), np.array([0, 0, 1])).tolist()
        [[0, 2]]
    """
    start = np.unique(groups, return_index=True)[1]
    leader = members[np.repeat(start, np.diff([*start, len(groups)]))]
    key = np.stack([groups, parts[members]])
    once = np.sort(np.unique(key, axis=1, return_index=True)[1])
    foreign = once[parts[members[once]] != parts[leader[once]]]
    return np.stack([leader[foreign], members[foreign]], axis=1)


def refuse_wide(positions: NumpyArray, box: NumpyArray, groups: NumpyArray, members: NumpyArray) -> None:
    """Raise if a group that no bonds hold together spans half the box: its images are ambiguous.

    Args:
        positions: made whole, nm, shape (frame, atom, dim).
        box: edge lengths, nm, shape (frame, dim).
        groups: group of every member, ascending.
        members: atoms.

    Raises:
        BayescgError: a group spans half the box or more.

    Example:
        >>> import numpy as np
        >>> refuse_wide(np.array([[[0.0], [0.3]]]), np.array([[1.0]]), np.array([0, 0]), np.array([0, 1]))
    """
    start = np.unique(groups, return_index=True)[1]
    inside = positions[:, members]
    width = np.maximum.reduceat(inside, start, axis=1) - np.minimum.reduceat(inside, start, axis=1)
    too_wide = width >= 0.5 * box[:, None]
    if not too_wide.any():
        return
    frame, group, dim = (int(index[0]) for index in np.nonzero(too_wide))
    raise BayescgError(
        f"Atoms of one bead must lie within half the box where no bonds join them, got a width of "
        f"{width[frame, group, dim]:.3f} nm in a box edge of {box[frame, dim]:.3f} nm (frame {frame}, "
        f"group {int(groups[start[group]])}). Give a topology with bonds (.tpr, .psf, LAMMPS data), "
        "or make the molecules whole before reading."
    )
