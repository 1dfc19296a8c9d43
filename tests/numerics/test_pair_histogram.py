"""Pairs counted in machine code, against numpy and against the radial distribution function."""

import jax.numpy as jnp
import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.configuration import Configuration, Topology, type_pairs
from bayescg.numerics.pair_histogram import count_pairs
from bayescg.observables import RDF

KINDS = np.array([[0, 1], [1, 2]])


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("apart", [False, True])
def test_counts_are_those_of_all_distances(dims, apart):
    rng = np.random.default_rng(dims)
    box, types, molecules = np.linspace(1.0, 1.4, dims), rng.integers(0, 2, 30), rng.integers(0, 10, 30)
    x = rng.uniform(size=(30, dims)) * box
    found = count_pairs(
        x, box, kinds=KINDS, types=types, bins=7, reach=0.5, molecules=molecules if apart else None
    )
    gap = x[:, None] - x
    gap -= box * np.round(gap / box)
    first, second = np.triu_indices(30, 1)
    distance = np.linalg.norm(gap, axis=2)[first, second]
    kept = (molecules[first] != molecules[second]) | (not apart)
    for kind in range(3):
        mine = kept & (KINDS[types[first], types[second]] == kind)
        np.testing.assert_array_equal(found[kind], np.histogram(distance[mine], 7, (0, 0.5))[0])


def test_one_kind_and_the_curve_made_of_it():
    rng = np.random.default_rng(0)
    beads = Topology(jnp.zeros(50, int), jnp.ones(50), jnp.arange(50) // 2, jnp.zeros((0, 2), int), ("A",))
    box, x = jnp.full(3, 1.2), jnp.asarray(rng.uniform(0, 1.2, size=(50, 3)))
    for observable in (RDF(0.6, 12), RDF(0.6, 12, intermolecular=True)):
        apart = np.asarray(beads.molecules) if observable.intermolecular else None
        one = np.zeros((1, 1), int)
        counts = count_pairs(
            np.asarray(x), np.asarray(box), kinds=one, types=beads.types, bins=12, reach=0.6, molecules=apart
        )
        frame = Configuration(x, box, jnp.zeros((50, 0), int), beads)
        np.testing.assert_allclose(observable.of_counts(counts, box, beads), observable.measure(frame))
    assert len(type_pairs(1)) == 1


def test_positions_must_be_finite():
    with pytest.raises(BayescgError, match="positions must be finite"):
        count_pairs(
            np.full((2, 1), np.nan), np.ones(1), kinds=KINDS, types=np.zeros(2, int), bins=2, reach=0.5
        )


def test_float32_counts_the_same_but_for_distances_at_an_edge():
    rng = np.random.default_rng(6)
    x, box, nobody = rng.uniform(0, 2, size=(301, 3)), np.full(3, 2.0), np.zeros(301, int)
    settings = {"kinds": np.zeros((1, 1), int), "types": nobody, "bins": 100, "reach": 1.0}
    exact = count_pairs(x, box, **settings)
    single = count_pairs(x.astype(np.float32), box, **settings)
    assert exact.sum() > 20_000
    # 23,600 distances to 1e-7 nm, bins of 0.01 nm: less than one beside an edge
    assert np.abs(exact - single).sum() <= 6
    # control: half precision is not enough
    coarse = count_pairs(x.astype(np.float16).astype(np.float32), box, **settings)
    assert np.abs(exact - coarse).sum() > 100
