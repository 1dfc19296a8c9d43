"""Neighbour lists in jit, by cells and all with all, against the host's pair search."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg.dynamics import neighbors
from bayescg.dynamics.neighbors import find_neighbors, roomy_capacity
from bayescg.dynamics.pair_forces import force_field, forces
from bayescg.numerics.pairs import neighbor_matrix, pairs_within
from bayescg.potentials import LennardJones


@pytest.fixture(params=["cells", "all"])
def search(request, monkeypatch):
    """Both ways to search; the second is what accelerators get."""
    if request.param == "all":
        monkeypatch.setattr(neighbors, "_by_cells_served", lambda positions: False)
    return find_neighbors


def rows_of(positions, box, reach, excluded=None):
    """Sorted rows, as wide as there are beads."""
    beads = len(positions)
    return np.sort(
        neighbor_matrix(pairs_within(positions, box, reach, excluded=excluded), beads, beads), axis=1
    )


def sorted_rows(found, beads):
    """Of a list, widened with padding; padding must stand at the end."""
    indices = np.asarray(found.indices)
    absent = indices == beads
    assert (absent[:, 1:] >= absent[:, :-1]).all()
    return np.sort(np.pad(indices, ((0, 0), (0, beads - indices.shape[1])), constant_values=beads), axis=1)


@pytest.mark.parametrize("boxed", [True, False])
def test_neighbors_equal_the_host_search(boxed, make_topology, search):
    box = np.array([2.0, 2.2, 2.4]) if boxed else None
    positions = np.random.default_rng(0).uniform(-1, 3, size=(60, 3))
    found = search(
        jnp.asarray(positions),
        box=None if box is None else jnp.asarray(box),
        topology=make_topology(60, kinds=2),
        reach=0.8,
        capacity=59,
    )
    expected = rows_of(positions, box, 0.8)
    np.testing.assert_array_equal(sorted_rows(found, 60), expected)
    assert int(found.widest) == (expected < 60).sum(axis=1).max()
    row, column = np.nonzero(np.asarray(found.rows) < 60)
    other, types = np.asarray(found.rows)[row, column], np.asarray(found.order) % 2
    np.testing.assert_array_equal(np.asarray(found.pairs)[row, column], types[row] + types[other])


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="accelerators leave beads in the caller's order")
def test_beads_that_are_near_have_near_places(make_topology):
    edge, beads = 4.0, 1728
    positions = np.random.default_rng(0).uniform(0, edge, size=(beads, 3))
    box, topology = jnp.full(3, edge), make_topology(beads)
    found = find_neighbors(jnp.asarray(positions), box=box, topology=topology, reach=0.8, capacity=128)
    order = np.asarray(found.order)
    np.testing.assert_array_equal(np.sort(order), np.arange(beads))

    def to_next(x):
        step = np.diff(x, axis=0)
        return np.linalg.norm(step - edge * np.round(step / edge), axis=1)

    # one after another in cells of half the reach, whose diagonal is 0.7; at random they lie 1.9 nm apart
    assert np.mean(to_next(positions[order])) < 0.5
    assert np.mean(to_next(positions)) > 1.5


@pytest.mark.parametrize(
    "edges",
    [(4.0, 5.5, 3.1), (2.0, 2.4, 9.0), (1.9, 1.7, 1.6), (40.0, 40.0, 40.0), (4.0, 5.0), (30.0,), None],
    ids=["many cells", "slab", "few cells", "dilute", "plane", "line", "open"],
)
def test_cells_find_what_brute_force_finds(edges, make_topology):
    beads, reach = 400, 0.753
    box = None if edges is None else np.array(edges)
    rng = np.random.default_rng(3)
    # far outside of the box too; on the walls of cells; and clustered
    positions = rng.uniform(-2, 2, size=(beads, 3 if box is None else len(box))) * (
        2.0 if box is None else box
    )
    positions[:40] = 0.4 * np.round(positions[:40] / 0.4)  # no two of them as far apart as the reach
    positions[40:80] = positions[80] + 0.3 * rng.normal(size=positions[40:80].shape)
    topology = make_topology(beads)
    excluded = np.full((beads, 2), beads)
    excluded[::2, 1], excluded[1::2, 1] = np.arange(1, beads, 2), np.arange(0, beads, 2)
    topology = eqx.tree_at(lambda t: t.excluded, topology, jnp.asarray(excluded, jnp.int32))
    # the box is an argument of the program: it may change
    found = jax.jit(lambda x, box: find_neighbors(x, box=box, topology=topology, reach=reach, capacity=300))(
        jnp.asarray(positions), None if box is None else jnp.asarray(box)
    )
    expected = rows_of(positions, box, reach, excluded)
    np.testing.assert_array_equal(sorted_rows(found, beads), expected)
    assert int(found.widest) == (expected < beads).sum(axis=1).max()
    # negative control: the comparison sees a single pair that is missing
    assert (sorted_rows(found, beads) != rows_of(positions, box, reach, None)).any()


def test_searches_under_vmap_are_those_of_every_draw(make_topology):
    positions = jnp.asarray(np.random.default_rng(0).uniform(0, 2, size=(3, 60, 3)), jnp.float32)

    def widest(x):
        box = jnp.full(3, 2.0, x.dtype)
        return find_neighbors(x, box=box, topology=make_topology(60), reach=0.6, capacity=20).widest

    np.testing.assert_array_equal(jax.vmap(widest)(positions), [widest(x) for x in positions])


@pytest.mark.parametrize(("platform", "in_loops"), [("cpu", True), ("cuda", False)])
def test_accelerators_get_arrays_and_no_call_of_the_cpu(platform, in_loops, make_topology):
    x, box = jnp.zeros((2, 5, 3), jnp.float32), jnp.full(3, 2.0, jnp.float32)
    field = force_field(LennardJones([0.6], [0.3], 0.8, ("A",)), 1)

    def of_draw(x):
        near = find_neighbors(x, box=box, topology=make_topology(5), reach=0.9, capacity=4)
        return forces(field, x, box=box, neighbors=near, topology=make_topology(5))

    program = jax.jit(jax.vmap(of_draw)).trace(x).lower(lowering_platforms=(platform,)).as_text()
    for name in ("bayescg_neighbors", "bayescg_pair_forces"):
        assert (name in program) == in_loops


def test_overfull_list_says_so(make_topology, search):
    positions = jnp.asarray(np.random.default_rng(0).uniform(0, 1, size=(20, 3)))
    found = search(positions, box=None, topology=make_topology(20), reach=2.0, capacity=5)
    assert int(found.widest) == 19
    assert found.indices.shape == (20, 5)
    assert (found.indices < 20).all()


def test_positions_that_are_not_finite_end_in_a_list(make_topology):
    positions = jnp.asarray(np.random.default_rng(0).uniform(0, 2, size=(60, 3))).at[7].set(jnp.nan)
    for box in (jnp.full(3, 2.0), None):
        found = find_neighbors(positions, box=box, topology=make_topology(60), reach=0.6, capacity=59)
        assert (found.indices[7] == 60).all()
        assert not (found.indices == 7).any()


def test_capacity_has_room_but_no_more_than_all_others():
    assert roomy_capacity(100, 1000) >= 115
    assert roomy_capacity(100, 102) == 101
    assert roomy_capacity(0, 1) == 1
