"""Bonds, angles and dihedrals: symmetries, forces, formulas by hand, and what lies beyond the data."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from MDAnalysis.lib import distances
from scipy.stats import special_ortho_group

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import Configuration, LinearSum, Sampled, Support, Topology
from bayescg.likelihoods.force_matching import coefficients
from bayescg.model import parameters, with_values
from bayescg.numerics.bond_graph import bond_angles, bond_dihedrals
from bayescg.potentials import (
    AngleSpline,
    BondSpline,
    DihedralSpline,
    HarmonicAngle,
    HarmonicBond,
    PeriodicDihedral,
)

TYPES = ("A", "B")
BONDS = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [1, 5], [6, 7], [7, 8], [8, 9]])
KINDS = np.array([0, 1, 0, 0, 1, 1, 0, 0, 0, 0])
BEADS = len(KINDS)


def ranges(coordinate, kinds, low, high, stiffness):
    return [Sampled(coordinate, kind, low, high, 0.5 * (low + high), stiffness) for kind in kinds]


SUPPORT = Support(
    TYPES,
    (),
    internal=(
        *ranges("bond", [(0, 0), (0, 1), (1, 1)], 0.15, 0.45, 800.0),
        *ranges("angle", [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0)], 0.3, 3.1, 10.0),
        *ranges("angle", [(1, 0, 1)], 0.3, 3.1, 10.0),
        *ranges("cosine", [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1)], -1.0, 0.96, 8.0),
        *ranges("dihedral", [(0, 0, 0, 0), (0, 1, 0, 0), (1, 0, 0, 1), (0, 0, 1, 1)], -3.1, 3.1, 1.0),
    ),
)
POTENTIALS = {
    "harmonic bond": HarmonicBond(),
    "bond spline": BondSpline(knots=7),
    "harmonic angle": HarmonicAngle(),
    "angle spline": AngleSpline(knots=8),
    "periodic dihedral": PeriodicDihedral(multiplicity=3),
    "chiral dihedral": PeriodicDihedral(multiplicity=2, chiral=True),
    "dihedral spline": DihedralSpline(knots=7),
}


def ready(potential, seed):
    potential = potential.prepare(SUPPORT)
    shape = parameters(potential)["coefficients"].shape
    return with_values(potential, {"coefficients": 5 + 10 * np.random.default_rng(seed).normal(size=shape)})


@pytest.fixture(scope="module")
def potentials():
    return {name: ready(potential, seed) for seed, (name, potential) in enumerate(POTENTIALS.items())}


@pytest.fixture(scope="module")
def frame():
    """Two molecules, one branched, in a box that they cross; bonds of 0.2 to 0.4 nm."""
    rng = np.random.default_rng(3)
    x = np.zeros((BEADS, 3))
    x[6] = 1.4
    for a, b in BONDS:
        way = rng.normal(size=3)
        x[b] = x[a] + rng.uniform(0.2, 0.4) * way / np.linalg.norm(way)
    topology = Topology(
        jnp.asarray(KINDS),
        jnp.ones(BEADS),
        jnp.asarray((np.arange(BEADS) > 5).astype(int)),
        jnp.asarray(BONDS),
        TYPES,
        angles=jnp.asarray(bond_angles(BONDS)),
        dihedrals=jnp.asarray(bond_dihedrals(BONDS)),
    )
    return Configuration(jnp.asarray(x), jnp.full(3, 1.5), jnp.zeros((BEADS, 0), int), topology)


@eqx.filter_jit
def everything(potential, frame):
    """Energy, force and forces of the basis of every term of a sum."""
    return [(t.energy(frame), t.forces(frame), t.basis_forces(frame)) for t in potential.terms]


@pytest.fixture(scope="module")
def measured(potentials, frame):
    """Of a frame with these positions: name -> energy, force, basis forces; one program for all tests."""
    total = LinearSum(0.0, tuple(potentials.values()))

    def measure(positions=None, mirrored=False):
        here = (
            frame if positions is None else eqx.tree_at(lambda c: c.positions, frame, jnp.asarray(positions))
        )
        return dict(zip(potentials, everything(total, here), strict=True))

    return measure


def test_symmetries_hold_and_dihedrals_with_sines_alone_know_their_mirror_image(measured, frame):
    """Rounding: 1e-12 of energies of some hundred kJ/mol."""
    x = np.asarray(frame.positions)
    turn = special_ortho_group.rvs(3, random_state=np.random.default_rng(5))
    open_frame = measured()
    images = x + 1.5 * np.random.default_rng(6).integers(-2, 3, size=x.shape)
    for name, (energy, force, _) in measured(images).items():
        assert float(energy) == pytest.approx(float(open_frame[name][0]), rel=1e-10)
        np.testing.assert_allclose(force, open_frame[name][1], atol=1e-8)
        # third law and no torque, about any origin: molecules are whole in `frame`
        force = np.asarray(open_frame[name][1])
        assert np.abs(force.sum(axis=0)).max() < 1e-9
        assert np.abs(np.cross(x, force).sum(axis=0)).max() < 1e-9
        assert np.abs(force).max() > 1.0
    for name, (energy, force, _) in measured(0.2 + x @ turn.T).items():
        assert float(energy) == pytest.approx(float(open_frame[name][0]), rel=1e-10)
        np.testing.assert_allclose(force, open_frame[name][1] @ turn.T, atol=1e-8)
    mirrored = measured(x * np.array([-1.0, 1.0, 1.0]))
    blind = {
        name: abs(float(energy - open_frame[name][0])) < 1e-9 for name, (energy, _, _) in mirrored.items()
    }
    assert [name for name, same in blind.items() if not same] == ["chiral dihedral", "dihedral spline"]


def test_forces_are_minus_the_gradient_and_the_basis_times_the_coefficients(measured, potentials, frame):
    """Central differences: error h² U'''/6 with U''' of 1e7, and rounding of 1e-12/h."""
    x, step = np.asarray(frame.positions), 1e-5
    found = measured()
    probes = [(0, 0), (1, 2), (2, 1), (4, 0), (7, 1), (8, 2)]
    for bead, axis in probes:
        shift = np.zeros_like(x)
        shift[bead, axis] = step
        plus, minus = measured(x + shift), measured(x - shift)
        for name in potentials:
            slope = float(plus[name][0] - minus[name][0]) / (2 * step)
            assert float(found[name][1][bead, axis]) == pytest.approx(-slope, abs=2e-3, rel=1e-5)
    for name, (_, force, basis) in found.items():
        theta = coefficients(potentials[name])
        np.testing.assert_allclose(basis @ theta, force, atol=1e-9 * np.abs(force).max())
        # control: coefficients in another order do not fit
        assert np.abs(basis @ theta[::-1] - force).max() > 1e-2 * np.abs(force).max()


def test_energies_are_those_of_the_formulas(measured, potentials, frame):
    """Coordinates by another program (positions in float32 there: 1e-7 each), formulas in NumPy."""
    x = np.asarray(frame.positions)
    found = measured()

    def by_hand(name, rows, values, formula):
        types = [min(tuple(k), tuple(k[::-1])) for k in KINDS[rows].tolist()]
        theta = np.asarray(potentials[name].coefficients)
        places = [potentials[name].kinds.index(kind) for kind in types]
        return sum(formula(q, theta[place], place) for q, place in zip(values, places, strict=True))

    def spring(q, theta, place, name):
        c = potentials[name].centers[place]
        return theta[0] * (q - c) + 0.5 * theta[1] * (q - c) ** 2

    r = distances.calc_bonds(*(x[BONDS[:, i]] for i in range(2)))
    expected = by_hand("harmonic bond", BONDS, r, lambda *a: spring(*a, "harmonic bond"))
    assert float(found["harmonic bond"][0]) == pytest.approx(expected, rel=1e-5)
    angles, chains = bond_angles(BONDS), bond_dihedrals(BONDS)
    theta = distances.calc_angles(*(x[angles[:, i]] for i in range(3)))
    expected = by_hand("harmonic angle", angles, theta, lambda *a: spring(*a, "harmonic angle"))
    assert float(found["harmonic angle"][0]) == pytest.approx(expected, rel=1e-5)
    phi = distances.calc_dihedrals(*(x[chains[:, i]] for i in range(4)))
    bends = np.array([distances.calc_angles(*(x[chains[:, i + k]] for i in range(3))) for k in (0, 1)])
    assert np.sin(bends).min() > np.sin(np.radians(10))  # the weight is one
    n = np.arange(1, 4)
    expected = by_hand("periodic dihedral", chains, phi, lambda q, a, _: a @ np.cos(n * q))
    assert float(found["periodic dihedral"][0]) == pytest.approx(expected, rel=1e-5)
    n = np.arange(1, 3)
    expected = by_hand(
        "chiral dihedral", chains, phi, lambda q, a, _: a[:2] @ np.cos(n * q) + a[2:] @ np.sin(n * q)
    )
    assert float(found["chiral dihedral"][0]) == pytest.approx(expected, rel=1e-5)


def test_springs_tell_their_stiffness_and_rest_position():
    spring = with_values(
        HarmonicBond().prepare(SUPPORT), {"coefficients": [[0.0, 900.0], [50.0, 1000.0], [-8.0, 80.0]]}
    )
    found = spring.spring()
    assert found.stiffness.tolist() == [900.0, 1000.0, 80.0]
    assert found.rest.tolist() == pytest.approx([0.3, 0.25, 0.4], abs=1e-15)
    slopes = jax.vmap(jax.grad(spring.chain_energy))(found.rest, jnp.arange(3))
    np.testing.assert_allclose(slopes, 0.0, atol=1e-11)
    given = HarmonicBond(stiffness={"B-A": 500.0}, length=0.2).prepare(SUPPORT)
    assert given.spring().stiffness.tolist() == [800.0, 500.0, 800.0]
    assert given.spring().rest.tolist() == [0.2, 0.2, 0.2]


def test_a_spline_starts_as_the_harmonic_energy_and_confines_beyond_the_data():
    """Whatever the coefficients, the energy rises outwards at least as steeply as the data's own spring."""
    for spline, low, high, k in (
        (BondSpline(knots=9), 0.15, 0.45, 800.0),
        (AngleSpline(knots=9), -1.0, 0.96, 8.0),
    ):
        start = spline.prepare(SUPPORT)
        q = jnp.linspace(low, high, 50)
        energy = jax.jit(jax.vmap(start.chain_energy, in_axes=(0, None)))
        harmonic = 0.5 * k * (q - 0.5 * (low + high)) ** 2
        difference = energy(q, 1) - harmonic
        np.testing.assert_allclose(difference - difference[0], 0.0, atol=1e-10)  # but for a constant
        wild = with_values(
            start, {"coefficients": 1e3 * np.random.default_rng(0).normal(size=start.coefficients.shape)}
        )
        width = high - low
        curvature = jax.jit(jax.vmap(jax.grad(jax.grad(wild.chain_energy)), in_axes=(0, None)))
        slope = jax.jit(jax.vmap(jax.grad(wild.chain_energy), in_axes=(0, None)))
        outside = jnp.array([high + 0.2 * width, high + width])
        if isinstance(spline, BondSpline):
            outside = jnp.concatenate([outside, jnp.array([low - 0.2 * width, low - 0.4 * width])])
        for kind in range(3):
            away = jnp.sign(outside - low)
            assert (curvature(outside, kind) >= k * (1 - 1e-12)).all()
            assert (away * slope(outside, kind) > 0).all()
    # energy, force and its slope go on through both ends where the spline is steeper than the wall
    ends = start.grids[0] @ np.array([[1, 1], [0, 8]])
    for end in ends[1:]:
        near = [jax.grad(start.chain_energy)(end + d, 0) for d in (-1e-9, 1e-9)]
        assert float(near[1] - near[0]) == pytest.approx(0.0, abs=1e-6)


def test_bonded_energies_are_linear_need_no_neighbours_and_name_their_coefficients(potentials):
    for potential in potentials.values():
        assert potential.cutoff == 0.0
        ((path, labels),) = potential.coordinates().items()
        assert path == "coefficients"
        assert tuple(len(axis) for axis in labels.values()) == potential.coefficients.shape
        kinds, length = next(iter(labels.values())), {"bond": 2, "angle": 3, "dihedral": 4}
        assert {len(kind.split("-")) for kind in kinds} == {length[potential.coordinate.chain]}
    both = POTENTIALS["bond spline"] + bcg.potentials.PairSpline(cutoff=0.9) + POTENTIALS["angle spline"]
    assert isinstance(both, LinearSum)
    assert both.cutoff == 0.9


def test_other_data_widen_the_range_and_add_kinds():
    first = BondSpline(knots=7).prepare(
        Support(TYPES, (), internal=(Sampled("bond", (0, 1), 0.2, 0.3, 0.25, 900.0),))
    )
    again = first.prepare(SUPPORT)
    assert again.kinds == ((0, 0), (0, 1), (1, 1))
    assert (again.sampled[1].lowest, again.sampled[1].highest) == (0.15, 0.45)
    assert again.sampled[1].center == 0.25


def test_a_chain_of_a_kind_that_was_not_prepared_has_no_energy(frame):
    """Data show all kinds; a frame of other molecules must not take another kind's coefficients."""
    only = Support(TYPES, (), internal=tuple(ranges("bond", [(1, 1)], 0.15, 0.45, 800.0)))
    potential = with_values(HarmonicBond().prepare(only), {"coefficients": [[3.0, 700.0]]})
    r = np.linalg.norm(np.diff(np.asarray(frame.positions)[BONDS], axis=1)[:, 0], axis=1)
    ((own,),) = (r[(KINDS[BONDS] == 1).all(axis=1)],)
    expected = 3.0 * (own - 0.3) + 350.0 * (own - 0.3) ** 2
    assert float(potential.energy(frame)) == pytest.approx(expected, rel=1e-12)
    rows = potential.basis_forces(frame)
    assert np.flatnonzero(np.abs(rows).max(axis=(1, 2))).tolist() == [1, 5]


def test_without_bonds_or_preparation_the_remedy_is_named(frame):
    with pytest.raises(BayescgError, match="BondSpline needs data with bonds between beads"):
        BondSpline().prepare(Support(TYPES, ()))
    with pytest.raises(BayescgError, match="HarmonicAngle has no coefficients yet"):
        HarmonicAngle().energy(frame)
    with pytest.raises(BayescgError, match="stiffness must name kinds of the data, got 'A-C'"):
        HarmonicBond(stiffness={"A-C": 1.0}).prepare(SUPPORT)
    with pytest.raises(BayescgError, match="length must be positive"):
        HarmonicBond(length=-0.2)
    with pytest.raises(BayescgError, match="prepared for the bead types"):
        BondSpline().prepare(SUPPORT).prepare(Support(("X",), (), internal=SUPPORT.internal))
