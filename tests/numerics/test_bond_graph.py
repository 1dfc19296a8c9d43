"""Angles, dihedrals and separations against all tuples of beads and powers of the adjacency matrix."""

from itertools import pairwise, permutations

import numpy as np
import pytest

from bayescg.numerics.bond_graph import bond_angles, bond_dihedrals, partners_within

BEADS = 9
GRAPHS = {
    "chain": [[0, 1], [1, 2], [2, 3], [3, 4]],
    "ring": [[0, 1], [1, 2], [2, 3], [0, 3], [3, 5]],
    "triangle": [[0, 1], [1, 2], [0, 2], [2, 3]],
    "branched, two parts, out of order": [[5, 4], [4, 8], [3, 1], [4, 2], [8, 0]],
}


def adjacency(bonds):
    matrix = np.zeros((BEADS, BEADS), dtype=int)
    for a, b in bonds:
        matrix[a, b] = matrix[b, a] = 1
    return matrix


def rows(bonds, length):
    """Every path of different beads, once: by trying all tuples."""
    matrix = adjacency(bonds)
    paths = [p for p in permutations(range(BEADS), length) if all(matrix[a, b] for a, b in pairwise(p))]
    return {min(p, p[::-1]) for p in paths}


@pytest.mark.parametrize("name", GRAPHS)
def test_angles_and_dihedrals_are_all_paths_of_the_graph(name):
    bonds = np.array(GRAPHS[name])
    for found, length in ((bond_angles(bonds), 3), (bond_dihedrals(bonds), 4)):
        listed = [min(tuple(row), tuple(row[::-1])) for row in found.tolist()]
        assert len(set(listed)) == len(listed)
        assert set(listed) == rows(bonds, length)
    # control: without its last bond the graph has other angles
    assert {tuple(r) for r in bond_angles(bonds[:-1]).tolist()} != {
        tuple(r) for r in bond_angles(bonds).tolist()
    }


@pytest.mark.parametrize("separation", [0, 1, 2, 3])
@pytest.mark.parametrize("name", GRAPHS)
def test_partners_are_those_that_so_many_bonds_reach(name, separation):
    bonds = np.array(GRAPHS[name])
    reach = np.linalg.matrix_power(np.eye(BEADS, dtype=int) + adjacency(bonds), separation) > 0
    found = partners_within(BEADS, bonds, separation=separation)
    for bead, row in enumerate(found):
        wanted = np.flatnonzero(reach[bead] & (np.arange(BEADS) != bead))
        assert row[row < BEADS].tolist() == wanted.tolist()
        assert (row[len(wanted) :] == BEADS).all()
    assert not found.size or (found < BEADS).any(axis=0).all()  # no wider than it must be


def test_without_bonds_there_is_nothing():
    nothing = np.zeros((0, 2), dtype=int)
    assert bond_angles(nothing).shape == (0, 3)
    assert bond_dihedrals(nothing).shape == (0, 4)
    assert partners_within(4, nothing, separation=2).shape == (4, 0)
