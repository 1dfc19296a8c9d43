"""g(r) against a NumPy histogram, the ideal gas, and MDAnalysis."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.interfaces import Configuration, Topology
from bayescg.observables import RDF, radial


def topology_of(types):
    types = np.asarray(types)
    names = tuple("ABC"[: types.max() + 1])
    return Topology(
        jnp.asarray(types),
        jnp.ones(types.size),
        jnp.arange(types.size),
        jnp.zeros((0, 2), dtype=int),
        names,
    )


@eqx.filter_jit
def jitted(observable, configuration):
    return observable.measure(configuration)


def measure(observable, positions, box, topology):
    nobody = jnp.zeros((len(positions), 0), dtype=int)
    return jitted(observable, Configuration(jnp.asarray(positions), jnp.asarray(box), nobody, topology))


def histogram(positions, box, types, bins, reach):
    """Every pair by a plain double loop's arithmetic; ordered pairs of types."""
    i, j = np.triu_indices(len(positions), 1)
    step = positions[j] - positions[i]
    step -= box * np.round(step / box)
    distance = np.linalg.norm(step, axis=1)
    edges = np.linspace(0, reach, bins + 1)
    shells = 4 / 3 * np.pi * np.diff(edges**3) / np.prod(box)
    curves = []
    for a in range(types.max() + 1):
        for b in range(a, types.max() + 1):
            mine = ((types[i] == a) & (types[j] == b)) | ((types[i] == b) & (types[j] == a))
            counts, _ = np.histogram(distance[mine], edges)
            curves.append(counts / (mine.sum() * shells))
    return np.array(curves)


@pytest.mark.parametrize("beads", [30, 31])  # the half-turn of an even number of beads counts once
@pytest.mark.parametrize("kinds", [1, 2])
def test_rdf_equals_a_histogram_of_all_pairs(beads, kinds):
    rng = np.random.default_rng(beads + kinds)
    box = np.array([2.0, 2.5, 3.0])
    positions, types = rng.uniform(-3, 6, size=(beads, 3)), np.arange(beads) % kinds
    topology = topology_of(types)
    observable = RDF(bins=20).prepare(topology, box)
    found = measure(observable, positions, box, topology)
    # float64 on both sides: only rounding differs
    np.testing.assert_allclose(found, histogram(positions, box, types, 20, 1.0), rtol=1e-12)
    assert [len(labels) for labels in observable.coordinates(topology).values()] == list(found.shape)


def test_rdf_in_chunks_equals_rdf_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    box, topology = np.full(3, 2.0), topology_of(np.zeros(23, int))
    positions = rng.uniform(0, 2, size=(23, 3))
    observable = RDF(bins=10).prepare(topology, box)
    monkeypatch.setattr(radial, "_cells_served", lambda positions: False)  # as on an accelerator
    nobody = jnp.zeros((len(positions), 0), dtype=int)
    configuration = Configuration(jnp.asarray(positions), jnp.asarray(box), nobody, topology)
    whole = eqx.filter_jit(lambda c: observable.measure(c))(configuration)
    monkeypatch.setattr(radial, "PAIRS_AT_ONCE", 60)  # two shifts at a time, and padding in the last chunk
    chunks = eqx.filter_jit(lambda c: observable.measure(c))(configuration)
    np.testing.assert_array_equal(chunks, whole)


@pytest.mark.parametrize("edges", [(6.0, 5.0, 7.0), (2.0, 9.0, 9.0), (8.0, 9.0)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_counts_by_cells_are_those_of_all_pairs(edges, dtype, monkeypatch):
    rng, beads, box = np.random.default_rng(4), 301, np.array(edges)
    positions = rng.uniform(-1, 2, size=(beads, len(edges))) * box
    positions[:60] = positions[60] + 0.3 * rng.normal(size=(60, len(edges)))  # crowded
    topology = eqx.tree_at(lambda t: t.molecules, topology_of(np.arange(beads) % 3), jnp.arange(beads) // 2)
    configuration = Configuration(
        jnp.asarray(positions, dtype), jnp.asarray(box, dtype), jnp.zeros((beads, 0), int), topology
    )
    for intermolecular in (True, False):
        observable = RDF(maximum=0.8, bins=40, intermolecular=intermolecular).prepare(topology, box)
        found = eqx.filter_jit(observable.measure)(configuration)
        with monkeypatch.context() as patch:
            patch.setattr(radial, "_cells_served", lambda positions: False)
            expected = eqx.filter_jit(lambda c, o=observable: o.measure(c))(configuration)
        np.testing.assert_array_equal(found, expected)
        assert found[:, 3:].any(axis=1).all()  # there was something to count in every kind of pair


def test_ideal_gas_has_no_structure():
    rng = np.random.default_rng(1)
    box, topology = np.full(3, 2.0), topology_of(np.zeros(8, int))
    observable = RDF(bins=5).prepare(topology, box)
    curves = np.array([measure(observable, rng.uniform(0, 2, (8, 3)), box, topology)[0] for _ in range(3000)])
    error = curves.std(axis=0) / np.sqrt(len(curves))
    # 5 bins at 4.5 sigma: fails by chance once in 30,000
    assert (abs(curves.mean(axis=0) - 1) < 4.5 * error).all()
    # negative control: N pairs instead of N - 1 would give 7/8, which these frames tell from 1
    assert (abs(curves.mean(axis=0)[2:] - 7 / 8) > 4.5 * error[2:]).all()


def test_shells_of_a_plane_are_rings():
    rng = np.random.default_rng(2)
    box, topology = np.full(2, 2.0), topology_of(np.zeros(40, int))
    observable = RDF(bins=4).prepare(topology, box)
    curves = np.array([measure(observable, rng.uniform(0, 2, (40, 2)), box, topology)[0] for _ in range(300)])
    error = curves.std(axis=0) / np.sqrt(len(curves))
    assert (abs(curves.mean(axis=0) - 1) < 4.5 * error).all()


@pytest.mark.filterwarnings("ignore")  # of MDAnalysis
def test_rdf_equals_mdanalysis():
    mda = pytest.importorskip("MDAnalysis")
    from MDAnalysis.analysis.rdf import InterRDF

    rng = np.random.default_rng(3)
    beads, frames, edge = 50, 4, 2.0
    positions = rng.uniform(0, edge, size=(frames, beads, 3)).astype(np.float32)
    universe = mda.Universe.empty(beads, trajectory=True)
    dimensions = np.array([10 * edge] * 3 + [90.0] * 3)
    universe.load_new(10 * positions, dimensions=np.tile(dimensions, (frames, 1)))
    # each bead alone in its block, so that no bead is paired with itself
    peer = InterRDF(universe.atoms, universe.atoms, nbins=25, range=(0.0, 10.0), exclusion_block=(1, 1)).run()
    box, topology = np.full(3, edge), topology_of(np.zeros(beads, int))
    observable = RDF(maximum=1.0, bins=25)
    ours = np.mean([measure(observable, frame, box, topology)[0] for frame in positions], axis=0)
    # MDAnalysis bins float32 distances of its own: a few of the 4,900 pairs fall across an edge.
    # One pair in a bin of 4,900 v/V expected ones is worth 1/that; two of them are allowed.
    edges = np.linspace(0, 1.0, 26)
    pairs = frames * beads * (beads - 1) / 2 * 4 / 3 * np.pi * np.diff(edges**3) / edge**3
    assert (abs(ours - peer.results.rdf) < 2.01 / pairs + 1e-6).all()
    # negative control: a normalisation by N instead of N - 1 pairs is off by 2%, beyond what is allowed
    assert (abs(ours * (beads - 1) / beads - peer.results.rdf)[-5:] > (2.01 / pairs)[-5:]).all()


def test_only_the_wanted_pairs_of_types_are_returned():
    topology = topology_of(np.arange(12) % 3)
    box = np.full(3, 2.0)
    positions = np.random.default_rng(4).uniform(0, 2, (12, 3))
    every = measure(RDF(bins=5).prepare(topology, box), positions, box, topology)
    some = RDF(bins=5, types=[("C", "A"), ("B", "B")]).prepare(topology, box)
    np.testing.assert_array_equal(measure(some, positions, box, topology), every[jnp.array([2, 3])])
    assert some.coordinates(topology)["type_pair"] == ["A-C", "B-B"]


@pytest.mark.parametrize(
    ("observable", "box", "words"),
    [
        (RDF(maximum=1.2), np.full(3, 2.0), "half the shortest box edge"),
        (RDF(), None, "periodic"),
        (RDF(types=(("A", "Z"),)), np.full(3, 2.0), "'Z'"),
    ],
)
def test_impossible_ranges_are_refused(observable, box, words):
    with pytest.raises(BayescgError, match=words):
        observable.prepare(topology_of(np.zeros(4, int)), box)


def test_bins_must_be_positive():
    with pytest.raises(BayescgError, match="bins"):
        RDF(bins=0)
