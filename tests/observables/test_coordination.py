"""Coordination numbers: known lattices, the integral of g(r), smooth switching."""

import equinox as eqx
import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.observables import RDF, Coordination
from tests.observables.lattices import cubic, frame_of

CAESIUM_CHLORIDE = ((0, 0, 0), (0.5, 0.5, 0.5))


@eqx.filter_jit
def measured(observable, frame):
    return observable.measure(frame)


@pytest.mark.parametrize(("cutoff", "count"), [(1.2, 6), (1.5, 18), (0.9, 0)])
def test_simple_cubic_has_six_neighbours_and_twelve_more(cutoff, count):
    positions, box = cubic(4)
    assert measured(Coordination(cutoff), frame_of(positions, box)) == pytest.approx([count])


def test_unlike_beads_count_each_other():
    """Caesium chloride: eight of the other kind, then six of the same; twice as many B as A where A is "
    "thinned."""
    positions, box = cubic(3, basis=CAESIUM_CHLORIDE)
    types = np.tile([0, 1], 27)
    frame = frame_of(positions, box, types)
    assert measured(Coordination(0.9), frame).tolist() == pytest.approx([0, 8, 8, 0])
    assert measured(Coordination(1.1), frame).tolist() == pytest.approx([6, 8, 8, 6])
    fewer = np.delete(positions, np.arange(0, 54, 4), axis=0), np.delete(types, np.arange(0, 54, 4))
    a_by_b, b_by_a = (measured(Coordination(0.9), frame_of(fewer[0], box, fewer[1]))[k] for k in (1, 2))
    assert a_by_b == pytest.approx(8)
    assert b_by_a == pytest.approx(8 * (fewer[1] == 0).sum() / 27)


@pytest.mark.parametrize("beads", [24, 25])  # the half-turn of an even number of beads counts once
def test_it_is_the_integral_of_the_radial_distribution(beads):
    """Exactly, where the cutoff is the end of a bin: both count the same pairs."""
    rng = np.random.default_rng(beads)
    positions, box, types = rng.uniform(-2, 5, (beads, 3)), np.array([2.0, 2.5, 3.0]), np.arange(beads) % 2
    frame = frame_of(positions, box, types)
    g = np.asarray(measured(RDF(bins=30).prepare(frame.topology, box), frame))  # up to 1 nm
    shells = 4 / 3 * np.pi * np.diff(np.linspace(0, 1, 31) ** 3)[:24]
    integral = g[:, :24] @ shells / box.prod()
    numbers = np.bincount(types)
    expected = [
        integral[0] * (numbers[0] - 1),
        integral[1] * numbers[1],
        integral[1] * numbers[0],
        integral[2] * (numbers[1] - 1),
    ]
    np.testing.assert_allclose(measured(Coordination(0.8), frame), expected, rtol=1e-12)
    # negative control: another cutoff counts others
    assert not np.allclose(measured(Coordination(0.7), frame), expected, rtol=1e-3)


def test_smooth_switching_counts_a_bead_in_the_middle_by_half():
    positions = np.array([[0.0, 0, 0], [0.5, 0, 0], [0, 0.8, 0], [0, 0, 1.3]])
    found = measured(Coordination(1.0, smooth_from=0.6), frame_of(positions, None))
    # bead 0 sees 0.5 whole and 0.8 by half; beads 1 and 2 see it back, and are 0.943 apart
    y = (np.hypot(0.5, 0.8) - 0.6) / 0.4
    far = 1 - 10 * y**3 + 15 * y**4 - 6 * y**5
    assert found.item() == pytest.approx((2 * 1 + 2 * 0.5 + 2 * far) / 4)


def test_pairs_of_one_molecule_can_be_left_out():
    positions, box = cubic(4)
    frame = frame_of(positions, box, molecules=np.arange(64) // 4)  # rows of four along z, periodic
    assert measured(Coordination(1.2, intermolecular=True), frame) == pytest.approx([4])


def test_bad_settings_are_refused():
    with pytest.raises(BayescgError, match="smooth_from must be between"):
        Coordination(0.5, smooth_from=0.5)
    frame = frame_of(np.zeros((2, 3)), np.ones(3))
    with pytest.raises(BayescgError, match="half the shortest box edge"):
        Coordination(0.6).prepare(frame.topology, frame.box)
