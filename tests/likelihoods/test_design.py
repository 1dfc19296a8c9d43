"""The rows of the host path are the forces of the basis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg
from bayescg.interfaces import AbstractLinearPotential, AbstractPairPotential, Support, Topology
from bayescg.likelihoods.design import Frame, design, pair_design_of
from bayescg.numerics.pairs import pairs_within
from bayescg.potentials import PairSpline

BEADS, CUTOFF = 30, 0.8


def frame(types, *, periodic, dims=3, reach=CUTOFF, seed=0):
    rng = np.random.default_rng(seed)
    box = np.array([1.7, 1.8, 1.9])[:dims] if periodic else None
    positions = (
        rng.uniform(-1.0, 2.0, size=(BEADS, dims)) if periodic else rng.uniform(0, 1.2, size=(BEADS, dims))
    )
    kinds = rng.integers(0, len(types), size=BEADS)
    topology = Topology(
        jnp.asarray(kinds), jnp.ones(BEADS), jnp.arange(BEADS), jnp.zeros((0, 2), dtype=int), types
    )
    return Frame(positions, box, pairs_within(positions, box, reach), topology)


def ready(potential, types):
    count = len(bcg.interfaces.type_pairs(len(types)))
    return potential.prepare(Support(types, tuple(0.3 - 0.05 * index for index in range(count))))


LONG, SHORT = PairSpline(cutoff=CUTOFF, knots=9), PairSpline(cutoff=0.5, knots=7)
QUARTIC = PairSpline(cutoff=CUTOFF, knots=9, degree=4)
POTENTIALS = {
    "one": (LONG, ("A",)),
    "two": (LONG, ("A", "B")),
    "quartic": (QUARTIC, ("A", "B")),
    "sum": (SHORT + QUARTIC, ("A", "B")),
}


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "open"])
@pytest.mark.parametrize("name", POTENTIALS)
def test_rows_are_the_forces_of_the_basis(name, periodic):
    """Random places: some pairs are below start, some of a sum's pairs beyond the shorter cutoff."""
    potential, types = POTENTIALS[name]
    potential, one = ready(potential, types), frame(types, periodic=periodic)
    assert one.pairs.distance.min() < 0.2
    expected = np.moveaxis(
        np.asarray(jax.jit(lambda c: potential.basis_forces(c))(one.configuration())), 1, 0
    )
    np.testing.assert_allclose(design(potential, one), expected, atol=1e-10 * np.abs(expected).max())
    # control: one displacement of hundreds turned round
    turned = one.pairs.displacement.copy()
    turned[:, np.argmin(one.pairs.distance)] *= -1
    wrong = design(potential, one._replace(pairs=one.pairs._replace(displacement=turned)))
    assert np.abs(wrong - expected).max() > 0.1 * np.abs(expected).max()


@pytest.mark.parametrize("dims", [1, 2])
def test_rows_know_any_number_of_dimensions(dims):
    potential, one = ready(LONG, ("A",)), frame(("A",), periodic=True, dims=dims)
    expected = np.moveaxis(np.asarray(potential.basis_forces(one.configuration())), 1, 0)
    np.testing.assert_allclose(design(potential, one), expected, atol=1e-10 * np.abs(expected).max())


def test_pairs_beyond_the_cutoff_do_not_matter():
    potential = ready(LONG, ("A", "B"))
    near, far = (frame(("A", "B"), periodic=False, reach=reach) for reach in (CUTOFF, 1.5))
    assert far.pairs.first.size > near.pairs.first.size
    np.testing.assert_allclose(design(potential, far), design(potential, near), rtol=1e-12, atol=1e-12)


def test_no_pairs_make_no_forces():
    topology = Topology(
        jnp.zeros(2, dtype=int), jnp.ones(2), jnp.arange(2), jnp.zeros((0, 2), dtype=int), ("A",)
    )
    x = np.array([[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
    lonely = Frame(x, None, pairs_within(x, None, CUTOFF), topology)
    for name in ("one", "sum"):
        potential, _types = POTENTIALS[name]
        prepared = ready(potential, ("A",))
        assert not design(prepared, lonely).any()
        assert not np.asarray(prepared.basis_forces(lonely.configuration())).any()


def test_weights_scale_every_pair_on_its_own():
    potential, one = ready(LONG, ("A", "B")), frame(("A", "B"), periodic=True)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=one.pairs.distance.size)
    expected = np.zeros_like(design(potential, one))
    for pair in range(weights.size):  # one pair at a time
        only = type(one.pairs)(*(part[..., pair : pair + 1] for part in one.pairs))
        expected += weights[pair] * design(potential, one._replace(pairs=only))
    np.testing.assert_allclose(
        pair_design_of(potential, one, weights), expected, atol=1e-10 * np.abs(expected).max()
    )


class Powers(AbstractPairPotential, AbstractLinearPotential):
    """u = c_0 (r_c - r)³ + c_1 (r_c - r)⁴: a linear potential of one's own."""

    cutoff: float = CUTOFF
    coefficients: jax.Array | None = None

    def prepare(self, support):
        return Powers(self.cutoff, jnp.array([2.0, -3.0]))

    def coordinates(self):
        return {"coefficients": {"power": [3, 4]}}

    def coefficient_paths(self):
        return ("coefficients",)

    def pair_energy(self, distance, first_type, second_type):
        depth = self.cutoff - distance
        return self.coefficients @ jnp.array([depth**3, depth**4])

    def basis_forces(self, configuration):
        def with_coefficients(row):
            return Powers(self.cutoff, row).forces(configuration)

        return jnp.moveaxis(jax.vmap(with_coefficients)(jnp.eye(2)), 0, -1)


def test_a_linear_potential_of_ones_own_is_asked_for_its_basis():
    one = frame(("A",), periodic=True)
    alone = Powers().prepare(None)
    expected = np.moveaxis(np.asarray(alone.forces(one.configuration())), 1, 0)
    np.testing.assert_allclose(
        design(alone, one) @ np.array([2.0, -3.0]), expected, atol=1e-10 * np.abs(expected).max()
    )
    spline = ready(LONG, ("A",))
    both = design(spline + alone, one)
    # sums of a few terms, in whatever order a device takes them
    np.testing.assert_allclose(both[..., :8], design(spline, one), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(both[..., 8:], design(alone, one), rtol=1e-12, atol=1e-14)
