"""Observables over time against plain sums over all pairs of moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.interfaces import AbstractTimeObservable, Snapshot, Topology
from bayescg.observables import MSD, VACF, Diffusion, FirstPassage

MOMENTS, BEADS, DIMS, INTERVAL = 60, 5, 2, 0.1
TOPOLOGY = Topology(
    jnp.array([0, 1, 0, 0, 1]), jnp.ones(5), jnp.arange(5), jnp.zeros((0, 2), dtype=int), ("A", "B")
)
RNG = np.random.default_rng(0)
X = np.cumsum(RNG.normal(size=(MOMENTS, BEADS, DIMS)), axis=0)
V = RNG.normal(size=(MOMENTS, BEADS, DIMS)) + np.sin(np.arange(MOMENTS))[:, None, None]
LAGS = 9  # up to 0.8 ps


def follow(ready, x=X, v=V, accumulator=None):
    @jax.jit
    def run(accumulator, x, v):
        return jax.lax.scan(lambda a, m: (ready.update(a, Snapshot(*m)), None), accumulator, (x, v))[0]

    start = ready.begin(*x.shape[1:]) if accumulator is None else accumulator
    return run(start, jnp.asarray(x), jnp.asarray(v))


def by_pairs(values, product, lags=LAGS):
    """Average over all moments and beads of a product of values a lag apart."""
    return np.array(
        [np.mean(product(values[lag:], values[: len(values) - lag]).sum(axis=-1)) for lag in range(lags)]
    )


def squared(later, earlier):
    return (later - earlier) ** 2


def test_velocity_correlation_is_the_mean_over_all_pairs_of_moments():
    ready = VACF(maximum=0.8).prepare(TOPOLOGY, INTERVAL)
    found = np.asarray(ready.result(follow(ready)))
    np.testing.assert_allclose(found, by_pairs(V, np.multiply), rtol=1e-12)
    np.testing.assert_allclose(ready.coordinates(TOPOLOGY)["lag_time"], INTERVAL * np.arange(LAGS))
    # negative control: at an offset of one lag the curve is another
    assert np.abs(found[1:] - by_pairs(V, np.multiply)[:-1]).max() > 0.1


def test_normalized_correlation_begins_with_one():
    ready = VACF(maximum=0.8, normalized=True).prepare(TOPOLOGY, INTERVAL)
    expected = by_pairs(V, np.multiply)
    np.testing.assert_allclose(ready.result(follow(ready)), expected / expected[0], rtol=1e-12)
    assert ready.units == "1"


@pytest.mark.parametrize(
    ("observable", "values", "product"),
    [(VACF(0.8, by_type=True), V, np.multiply), (MSD(0.8, by_type=True), X, squared)],
    ids=["vacf", "msd"],
)
def test_curves_by_type_are_those_of_the_beads_of_a_type(observable, values, product):
    ready = observable.prepare(TOPOLOGY, INTERVAL)
    found = np.asarray(ready.result(follow(ready)))
    kinds = np.asarray(TOPOLOGY.types)
    for kind in range(2):
        np.testing.assert_allclose(found[kind], by_pairs(values[:, kinds == kind], product), rtol=1e-12)
    assert list(ready.coordinates(TOPOLOGY)) == ["type", "lag_time"]


def test_mean_square_displacement_is_the_mean_over_all_pairs_of_moments():
    ready = MSD(maximum=0.8).prepare(TOPOLOGY, INTERVAL)
    np.testing.assert_allclose(ready.result(follow(ready)), by_pairs(X, squared), rtol=1e-12)


def test_diffusion_is_the_slope_of_the_mean_square_displacement():
    ready = Diffusion(minimum=0.3, maximum=0.8).prepare(TOPOLOGY, INTERVAL)
    late, early = X[8:], X[5:-3]  # only moments that know both lags count
    expected = (squared(late, X[:-8]).sum(axis=-1) - squared(late, early[: len(late)]).sum(axis=-1)).mean()
    assert squared(late, early).shape == late.shape
    expected = (squared(late, X[:-8]) - squared(late, early)).sum(axis=-1).mean() / (2 * DIMS * 0.5)
    assert float(ready.result(follow(ready))) == pytest.approx(expected, rel=1e-12)


OBSERVABLES = [
    VACF(0.8),
    VACF(0.8, normalized=True),
    MSD(0.8, by_type=True),
    Diffusion(0.3, 0.8),
    FirstPassage(-1.0, 1.0),
]


@pytest.mark.parametrize("observable", OBSERVABLES, ids=lambda o: type(o).__name__)
def test_totals_of_blocks_add_up_to_the_whole(observable):
    """Across `restart` the moments before are remembered, so that nothing is lost at the seams."""
    ready = observable.prepare(TOPOLOGY, INTERVAL)
    first = follow(ready, X[:23], V[:23])
    second = follow(ready, X[23:], V[23:], ready.restart(first))
    parts = [ready.totals(a) for a in (first, second)]
    whole = ready.totals(follow(ready))
    for index, total in enumerate(whole):
        if observable == VACF(0.8, normalized=True) and index == 1:
            continue  # its weight holds the value at lag zero of the block
        np.testing.assert_allclose(parts[0][index] + parts[1][index], total, rtol=1e-12)
    # negative control: starting anew loses the pairs across the seam
    anew = ready.totals(follow(ready, X[23:], V[23:]))
    if not isinstance(observable, FirstPassage):
        assert np.abs(np.asarray(parts[0].sum + anew.sum - whole.sum)).max() > 1e-3


@pytest.mark.parametrize("observable", OBSERVABLES, ids=lambda o: type(o).__name__)
def test_contract_of_time_observables(observable):
    assert isinstance(observable, AbstractTimeObservable)
    with pytest.raises(BayescgError, match="no interval yet"):
        observable.update(observable.begin(2, 1), Snapshot(jnp.zeros((2, 1)), jnp.zeros((2, 1))))
    ready = observable.prepare(TOPOLOGY, INTERVAL)
    empty = ready.begin(BEADS, DIMS)
    shape = tuple(len(axis) for axis in ready.coordinates(TOPOLOGY).values())
    assert ready.result(empty).shape == shape
    assert np.isnan(ready.result(empty)).all()
    after = follow(ready)
    assert jax.tree.structure(after) == jax.tree.structure(empty)
    for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(empty), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    assert observable.quantity in ("position", "velocity")


def test_first_passages_are_timed_from_the_start_to_the_end():
    """Steps of 0.1 ps: 0 -> 1 in four steps, back, then under way when the series ends."""
    x = np.array([0.5, 0.0, 0.3, -0.1, 0.9, 1.2, 0.8, 0.1, -0.2, 0.4, 0.6])[:, None, None]
    ready = FirstPassage(0.0, 1.0).prepare(TOPOLOGY, INTERVAL)
    totals = ready.totals(follow(ready, x, x))
    # one passage of 0.4 ps, and 0.2 ps on the clock of the next
    assert float(totals.weight) == 1.0
    assert float(totals.sum) == pytest.approx(0.6)
    back = FirstPassage(1.0, 0.0).prepare(TOPOLOGY, INTERVAL)
    totals = back.totals(follow(back, x, x))
    assert (float(totals.weight), float(totals.sum)) == (1.0, pytest.approx(0.3))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: VACF(maximum=0.0), "maximum must be positive"),
        (lambda: VACF(maximum=0.04).prepare(TOPOLOGY, INTERVAL), "at least one interval"),
        (lambda: MSD(maximum=1.0).prepare(TOPOLOGY, 0.0), "interval must be positive"),
        (lambda: Diffusion(minimum=2.0, maximum=1.0), "minimum must be below maximum"),
        (lambda: Diffusion(1.0, 1.01).prepare(TOPOLOGY, INTERVAL), "at least one interval of 0.1 ps apart"),
        (lambda: FirstPassage(1.0, 1.0), "start and end must differ"),
    ],
)
def test_bad_settings_are_refused(make, words):
    with pytest.raises(BayescgError, match=words):
        make()
