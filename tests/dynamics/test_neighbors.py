"""Neighbour lists in jit against the host's pair search."""

import jax.numpy as jnp
import numpy as np
import pytest

from bayescg.dynamics.neighbors import find_neighbors, roomy_capacity
from bayescg.numerics.pairs import neighbor_matrix, pairs_within


@pytest.mark.parametrize("boxed", [True, False])
def test_neighbors_equal_the_host_search(boxed, make_topology):
    box = np.array([2.0, 2.2, 2.4]) if boxed else None
    positions = np.random.default_rng(0).uniform(-1, 3, size=(60, 3))
    found = find_neighbors(
        jnp.asarray(positions),
        box=None if box is None else jnp.asarray(box),
        topology=make_topology(60, kinds=2),
        reach=0.8,
        capacity=59,
    )
    expected = neighbor_matrix(pairs_within(positions, box, 0.8), 60, 59)
    np.testing.assert_array_equal(found.indices, np.sort(expected, axis=1))
    assert int(found.widest) == (expected < 60).sum(axis=1).max()
    types = np.arange(60) % 2
    row, column = np.nonzero(expected < 60)
    other = np.sort(expected, axis=1)[row, column]
    np.testing.assert_array_equal(np.asarray(found.pairs)[row, column], types[row] + types[other])


def test_overfull_list_says_so(make_topology):
    positions = jnp.asarray(np.random.default_rng(0).uniform(0, 1, size=(20, 3)))
    found = find_neighbors(positions, box=None, topology=make_topology(20), reach=2.0, capacity=5)
    assert int(found.widest) == 19
    np.testing.assert_array_equal(found.indices[-1], np.arange(5))


def test_capacity_has_room_but_no_more_than_all_others():
    assert roomy_capacity(100, 1000) >= 115
    assert roomy_capacity(100, 102) == 101
    assert roomy_capacity(0, 1) == 1
