"""The pair search finds every pair once, as another program and the definition do."""

import numpy as np
import pytest
import vesin

from bayescg._checks import BayescgError
from bayescg.numerics import pairs as search_of_pairs
from bayescg.numerics.pairs import Pairs, check_cutoff, neighbor_matrix, pairs_within


@pytest.fixture(autouse=True, params=["all with all", "tree"])
def search(request, monkeypatch):
    """Every law holds for both searches: few beads are compared all with all, many by a tree."""
    if request.param == "tree":
        monkeypatch.setattr(search_of_pairs, "FEW_BEADS", 0)


def by_definition(positions, box, cutoff):
    """Every i < j whose nearest image over all 3^dim neighbouring cells is within the cutoff."""
    count, dims = positions.shape
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * dims, indexing="ij"), axis=-1).reshape(-1, dims)
    wrapped = positions if box is None else positions - box * np.floor(positions / box)
    images = np.zeros((1, dims)) if box is None else shifts * box
    found = {}
    for i in range(count):
        for j in range(i + 1, count):
            candidates = wrapped[j] - wrapped[i] + images
            lengths = np.linalg.norm(candidates, axis=1)
            nearest = np.argmin(lengths)
            if lengths[nearest] <= cutoff:
                found[i, j] = candidates[nearest]
    return found


def as_dictionary(pairs):
    """(i, j) with i < j -> displacement from i to j."""
    found = {}
    for i, j, step in zip(pairs.first, pairs.second, pairs.displacement.T, strict=True):
        found[min(i, j), max(i, j)] = step if i < j else -step
    assert len(found) == pairs.first.size  # each pair once
    return found


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for pair, step in expected.items():
        # positions of a few nm are wrapped and subtracted: rounding 1e-15
        np.testing.assert_allclose(found[pair], step, atol=1e-13)


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "open"])
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_pairs_are_those_of_the_definition(dims, periodic, seed):
    rng = np.random.default_rng(seed)
    box = rng.uniform(1.5, 2.5, size=dims) if periodic else None
    reach = 4.0 if periodic else 1.2  # far outside the box
    positions = rng.uniform(-reach, reach, size=(35, dims))
    pairs = pairs_within(positions, box, 0.7)
    expected = by_definition(positions, box, 0.7)
    assert_same(as_dictionary(pairs), expected)
    np.testing.assert_allclose(pairs.distance, np.linalg.norm(pairs.displacement, axis=0), rtol=1e-14)
    # control: a shorter cutoff finds fewer
    assert len(by_definition(positions, box, 0.6)) < len(expected)


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "open"])
@pytest.mark.parametrize("beads", [2, 3, 120, 128, 129, 301])
def test_pairs_are_those_of_vesin(periodic, beads):
    rng = np.random.default_rng(beads)
    box = rng.uniform(1.9, 2.6, size=3)
    positions = (
        rng.uniform(-1.0, 3.0, size=(beads, 3)) if beads > 3 else rng.uniform(-0.2, 0.2, size=(beads, 3))
    )
    neighbors = vesin.NeighborList(cutoff=0.9, full_list=False)
    # vesin takes positions inside the cell; an open system needs a box that it ignores
    inside = np.mod(positions, box) if periodic else positions
    i, j, steps = neighbors.compute(inside, np.diag(box), periodic, "ijD")
    expected = {
        (min(a, b), max(a, b)): step if a < b else -step for a, b, step in zip(i, j, steps, strict=True)
    }
    assert len(expected) > beads / 4
    assert_same(as_dictionary(pairs_within(positions, box if periodic else None, 0.9)), expected)


def test_beads_on_the_edge_of_the_box_are_found():
    box = np.array([2.0, 2.0, 2.0])
    tiny = -1e-17  # its remainder by 2 rounds to 2 itself
    x = np.array([[0.0, 1.0, 1.0], [2.0, 1.1, 1.0], [tiny, 1.2, 1.0], [1.95, 1.1, 1.0], [-2.0, 0.95, 1.0]])
    assert_same(as_dictionary(pairs_within(x, box, 0.3)), by_definition(x, box, 0.3))
    assert pairs_within(x, box, 0.3).first.size == 10


def test_the_cutoff_may_be_half_the_box():
    rng = np.random.default_rng(7)
    box = np.array([1.8, 1.8, 1.8])
    positions = rng.uniform(0, 1.8, size=(30, 3))
    assert_same(as_dictionary(pairs_within(positions, box, 0.9)), by_definition(positions, box, 0.9))


def test_pairs_do_not_change_the_positions_given():
    positions = np.array([[-0.5, 0.0], [3.0, 1.0]])
    before = positions.copy()
    pairs_within(positions, np.array([2.0, 2.0]), 0.5)
    assert np.array_equal(positions, before)


@pytest.mark.parametrize("box", [None, np.array([5.0, 5.0, 5.0])], ids=["open", "periodic"])
@pytest.mark.parametrize("positions", [np.zeros((1, 3)), np.array([[0.0, 0, 0], [2.0, 2, 2]])])
def test_no_pairs_are_no_trouble(positions, box):
    pairs = pairs_within(positions, box, 0.5)
    assert pairs.first.size == pairs.second.size == pairs.distance.size == 0
    assert pairs.displacement.shape == (3, 0)
    matrix = neighbor_matrix(pairs, len(positions))
    assert matrix.tolist() == [[len(positions)]] * len(positions)


def test_neighbor_matrix_holds_the_pairs_and_nothing_else():
    rng = np.random.default_rng(1)
    box = np.full(3, 2.0)
    pairs = pairs_within(rng.uniform(0, 2, size=(60, 3)), box, 0.6)
    for capacity in (None, 50):
        matrix = neighbor_matrix(pairs, 60, capacity)
        listed = {(i, int(j)) for i, row in enumerate(matrix) for j in row if j < 60}
        expected = set(zip(pairs.first, pairs.second, strict=True))
        assert listed == expected | {(j, i) for i, j in expected}
        assert np.sum(matrix < 60) == 2 * pairs.first.size  # nobody twice
        assert np.all(np.diff((matrix == 60).astype(int), axis=1) >= 0)  # padding stands last
    assert neighbor_matrix(pairs, 60).shape[1] == np.bincount(np.r_[pairs.first, pairs.second]).max()
    assert neighbor_matrix(pairs, 60, 50).shape == (60, 50)


def test_a_matrix_that_is_too_narrow_is_refused():
    pairs = Pairs(np.array([0, 0]), np.array([1, 2]), np.zeros((1, 2)), np.zeros(2))
    assert neighbor_matrix(pairs, 3, 2).shape == (3, 2)
    with pytest.raises(BayescgError, match=r"^capacity must be at least 2 neighbours, got 1\. Enlarge it\.$"):
        neighbor_matrix(pairs, 3, 1)


def test_a_cutoff_beyond_half_the_box_is_refused():
    box = np.array([[2.5, 2.5, 2.5], [2.5, 2.4, 2.5]])
    check_cutoff(1.2, box)
    expected = (
        r"^cutoff must be at most half the shortest box edge, got 1\.21 nm in a box of 2\.4000 nm\. "
        r"Choose a cutoff of at most 1\.2000 nm\.$"
    )
    with pytest.raises(BayescgError, match=expected):
        check_cutoff(1.21, box)
    with pytest.raises(BayescgError, match="half the shortest box edge"):
        pairs_within(np.zeros((2, 3)), box[1], 1.21)
    check_cutoff(1.21, None)


@pytest.mark.parametrize("cutoff", [0.0, -0.9, np.nan, np.inf, "far"])
def test_a_cutoff_that_is_no_length_is_refused(cutoff):
    with pytest.raises(BayescgError, match="cutoff must be"):
        check_cutoff(cutoff, None)
