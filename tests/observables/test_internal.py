"""Distributions of bonds, angles and dihedrals against NumPy histograms; g(r) between molecules."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from MDAnalysis.lib import distances

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import Configuration, Topology
from bayescg.numerics.bond_graph import bond_angles, bond_dihedrals
from bayescg.observables import RDF, BondAngle, BondLength, DihedralAngle

CHAINS, SIZE, BINS = 60, 4, 9
BOX = np.array([4.0, 5.0, 6.0])


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    x = np.cumsum(0.2 * rng.normal(size=(CHAINS, SIZE, 3)), axis=1) + rng.uniform(0, 4, size=(CHAINS, 1, 3))
    bonds = np.array([[SIZE * m + k, SIZE * m + k + 1] for m in range(CHAINS) for k in range(SIZE - 1)])
    topology = Topology(
        jnp.asarray(np.tile([0, 1, 1, 1], CHAINS)),
        jnp.ones(CHAINS * SIZE),
        jnp.repeat(jnp.arange(CHAINS), SIZE),
        jnp.asarray(bonds),
        ("A", "B"),
        angles=jnp.asarray(bond_angles(bonds)),
        dihedrals=jnp.asarray(bond_dihedrals(bonds)),
    )
    x = x.reshape(-1, 3)
    return Configuration(jnp.asarray(x), jnp.asarray(BOX), jnp.zeros((len(x), 0), int), topology)


@eqx.filter_jit
def measured(observables, frame):
    return [observable.measure(frame) for observable in observables]


OBSERVABLES = [BondLength(0.1, 0.6, BINS), BondAngle(0.5, np.pi, BINS), DihedralAngle(bins=BINS)]


def test_every_kind_has_the_histogram_of_its_own_chains(frame):
    """Coordinates by another program; a value within 1e-6 of an edge could change bins, and none is."""
    x, types = np.asarray(frame.positions), np.asarray(frame.topology.types)
    ready = [observable.prepare(frame.topology, BOX) for observable in OBSERVABLES]
    found = measured(ready, frame)
    programs = (distances.calc_bonds, distances.calc_angles, distances.calc_dihedrals)
    chains = (frame.topology.bonds, frame.topology.angles, frame.topology.dihedrals)
    for observable, curves, program, members in zip(ready, found, programs, chains, strict=True):
        rows = np.asarray(members)
        q = program(*(x[rows[:, place]] for place in range(rows.shape[1])))
        names = ["-".join("AB"[t] for t in min(tuple(k), tuple(k[::-1]))) for k in types[rows].tolist()]
        labels, centers = observable.coordinates(frame.topology).values()
        assert sorted(set(names)) == list(labels)
        edges = np.linspace(observable.minimum, observable.maximum, BINS + 1)
        np.testing.assert_allclose(centers, 0.5 * (edges[1:] + edges[:-1]))
        for name, curve in zip(labels, np.asarray(curves), strict=True):
            mine = q[np.array(names) == name]
            assert np.abs(mine[:, None] - edges[1:-1]).min() > 1e-6
            counts = np.histogram(mine, edges)[0]
            np.testing.assert_allclose(curve, counts / (len(mine) * np.diff(edges)), rtol=1e-12)
            # what lies outside is missing from the sum, and counted
            assert (curve * np.diff(edges)).sum() == pytest.approx(counts.sum() / len(mine), rel=1e-12)
    # control: kinds differ
    assert np.abs(found[0][0] - found[0][1]).max() > 0.1


def test_the_ends_of_the_range_belong_to_it():
    """A straight angle stands in the last bin."""
    topology = Topology(
        jnp.zeros(3, int), jnp.ones(3), jnp.zeros(3, int), jnp.array([[0, 1], [1, 2]]), ("A",),
        angles=jnp.array([[0, 1, 2]]),
    )  # fmt: skip
    line = Configuration(
        jnp.array([[0.0, 0, 0], [0.5, 0, 0], [1.0, 0, 0]]), None, jnp.zeros((3, 0), int), topology
    )
    (curve,) = BondAngle(bins=4).prepare(topology, None).measure(line)
    assert curve.tolist() == [0, 0, 0, pytest.approx(4 / np.pi)]


def test_pairs_of_one_molecule_can_be_left_out_of_the_radial_distribution(frame):
    x, types = np.asarray(frame.positions), np.asarray(frame.topology.types)
    ready = [RDF(1.5, BINS, intermolecular=flag).prepare(frame.topology, BOX) for flag in (True, False)]
    between, everyone = (np.asarray(one) for one in measured(ready, frame))
    i, j = np.triu_indices(len(x), 1)
    step = x[j] - x[i]
    r = np.linalg.norm(step - BOX * np.round(step / BOX), axis=1)
    edges = np.linspace(0, 1.5, BINS + 1)
    shells = 4 / 3 * np.pi * np.diff(edges**3) / np.prod(BOX)
    apart = i // SIZE != j // SIZE
    for row, (a, b) in enumerate(((0, 0), (0, 1), (1, 1))):
        mine = apart & (np.minimum(types[i], types[j]) == a) & (np.maximum(types[i], types[j]) == b)
        np.testing.assert_allclose(
            between[row], np.histogram(r[mine], edges)[0] / (mine.sum() * shells), rtol=1e-12
        )
    # control: with all pairs bonds show, but between beads of type A, of which a molecule has one
    np.testing.assert_array_equal(everyone[0], between[0])
    assert (np.abs(everyone[1:] - between[1:]).max(axis=1) > 1).all()


def test_data_and_simulation_are_measured_by_one_object():
    found = bcg.predict.evaluate(OBSERVABLES[0], bcg.data.propanol(frames=3))
    assert found["bond_length_distribution"].dims == ("bond_type", "bond_length")
    assert found["bond_type"].values.tolist() == ["C2H5-CH2", "CH2-OH"]
    assert found["bond_length"].attrs["units"] == "nm"
    # all bonds lie in the range: densities integrate to one
    np.testing.assert_allclose(
        found["bond_length_distribution"].sum("bond_length") * (0.5 / BINS), 1.0, rtol=1e-12
    )


def test_without_chains_or_in_a_wrong_range_the_remedy_is_named(frame):
    bare = eqx.tree_at(lambda t: t.dihedrals, frame.topology, jnp.zeros((0, 4), int))
    with pytest.raises(BayescgError, match="beads must have dihedrals"):
        DihedralAngle().prepare(bare, BOX)
    with pytest.raises(BayescgError, match="BondLength has no kinds of bonds yet"):
        BondLength().measure(frame)
    for wrong in (lambda: BondLength(0.3, 0.2), lambda: BondAngle(0.0, 4.0), lambda: BondLength(-0.1, 0.2)):
        with pytest.raises(BayescgError, match="minimum and maximum must be in order"):
            wrong()
