"""Angles between neighbours: known lattices, a brute-force count, the ideal gas."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.observables import ADF
from tests.observables.lattices import cubic, frame_of

FCC = ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))


@eqx.filter_jit
def jitted(observable, frame):
    return observable.measure(frame)


def measured(observable, frame):
    ready = observable.prepare(frame.topology, frame.box)
    return np.asarray(jitted(ready, frame)), np.asarray(ready.coordinates(frame.topology)["angle"])


@pytest.mark.parametrize(
    ("side", "basis", "cutoff", "angles"),
    [
        # six neighbours: 12 right angles and 3 straight ones
        (3, ((0, 0, 0),), 1.2, {90: 12, 180: 3}),
        # twelve neighbours at edge/sqrt(2), 66 angles
        (2, FCC, 0.8, {60: 24, 90: 12, 120: 24, 180: 6}),
    ],
)
def test_lattices_have_their_angles(side, basis, cutoff, angles):
    positions, box = cubic(side, basis=basis)
    bins = 37  # no angle of the lattice lies on an edge of a bin
    (curve,), centers = measured(ADF(cutoff, bins), frame_of(positions, box))
    width, total = np.pi / bins, sum(angles.values())
    expected = np.zeros(bins)
    for degrees, count in angles.items():
        expected[min(int(np.radians(degrees) / width), bins - 1)] += count / (total * width)
    np.testing.assert_allclose(curve, expected, atol=1e-12)
    assert centers[0] == pytest.approx(width / 2)


def by_brute_force(positions, box, types, cutoff, bins):
    """A loop over centres and pairs of neighbours; rows in the order A-A-A, A-A-B, B-A-B, A-B-A, ..."""
    rows = {(c, *ends): [] for c in range(2) for ends in ((0, 0), (0, 1), (1, 1))}
    step = positions[None] - positions[:, None]
    step -= box * np.round(step / box)
    distance = np.linalg.norm(step, axis=-1)
    for i in range(len(positions)):
        near = [j for j in range(len(positions)) if j != i and distance[i, j] < cutoff]
        for j, k in itertools.combinations(near, 2):
            cosine = step[i, j] @ step[i, k] / (distance[i, j] * distance[i, k])
            rows[types[i], *sorted((types[j], types[k]))].append(np.arccos(cosine))
    return np.array([np.histogram(row, bins, (0, np.pi), density=True)[0] for row in rows.values()])


def test_every_triple_has_the_histogram_of_its_own_angles():
    rng = np.random.default_rng(0)
    positions, box, types = rng.uniform(0, 2, size=(40, 3)), np.array([2.0, 2.2, 2.4]), np.arange(40) % 2
    curves, _ = measured(ADF(0.9, 12), frame_of(positions, box, types))
    np.testing.assert_allclose(curves, by_brute_force(positions, box, types, 0.9, 12), atol=1e-12)
    names = ADF(0.9).coordinates(frame_of(positions, box, types).topology)["type_triple"]
    assert names == ["A-A-A", "A-A-B", "B-A-B", "A-B-A", "A-B-B", "B-B-B"]


def test_an_ideal_gas_has_the_jacobian_and_a_lattice_has_not():
    """sin(theta)/2; angles at one bead are independent but for the neighbours they share."""
    frames, beads, bins = 400, 30, 10
    positions = jax.random.uniform(jax.random.key(0), (frames, beads, 3)) * 2.0
    gas = frame_of(positions[0], np.full(3, 2.0))
    ready = ADF(0.9, bins).prepare(gas.topology, gas.box)
    measure = jax.jit(
        jax.vmap(lambda x: ready.measure(eqx.tree_at(lambda frame: frame.positions, gas, x))[0])
    )
    curves = np.asarray(measure(positions))
    edges = np.linspace(0, np.pi, bins + 1)
    expected = -np.diff(np.cos(edges)) / 2 / (np.pi / bins)
    error = curves.std(axis=0, ddof=1) / np.sqrt(frames)
    assert (abs(curves.mean(axis=0) - expected) < 4.5 * error).all()  # 10 bins: fails once in 10,000
    flat = np.full(bins, 1 / np.pi)  # negative control: without the Jacobian
    assert (abs(curves.mean(axis=0) - flat) > 4.5 * error).sum() >= 6


def test_more_neighbours_than_places_are_no_number_rather_than_wrong():
    positions, box = cubic(3)
    frame = frame_of(positions, box)
    enough, few = (measured(ADF(1.2, 12, neighbors=n), frame)[0] for n in (6, 5))
    assert np.isfinite(enough).all()
    assert np.isnan(few).all()


def test_no_neighbours_give_zero_and_an_open_system_works():
    positions = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    apart, _ = measured(ADF(0.5, 12), frame_of(positions, None))
    assert (apart == 0).all()
    corner, _ = measured(ADF(1.2, 12), frame_of(positions, None))
    assert corner[0, 6] == pytest.approx(12 / np.pi)  # the right angle at the first bead, edge 90 degrees


@pytest.mark.parametrize("wrong", [{"cutoff": -1.0}, {"cutoff": 0.5, "bins": 0}])
def test_bad_settings_are_refused(wrong):
    with pytest.raises(BayescgError, match="must be"):
        ADF(**wrong)


def test_a_cutoff_beyond_half_the_box_is_refused():
    frame = frame_of(jnp.zeros((2, 3)), np.ones(3))
    with pytest.raises(BayescgError, match="half the shortest box edge"):
        ADF(0.6).prepare(frame.topology, frame.box)
