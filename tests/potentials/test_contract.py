"""One contract for every potential: what physics asks of an energy, and what a sampler asks of it.

Every check is a function, run on all potentials, and on one broken on purpose for which it must fail.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import special_ortho_group

import bayescg as bcg
from bayescg.interfaces import (
    AbstractLinearPotential,
    AbstractPotential,
    Configuration,
    LinearSum,
    Sum,
    Support,
    Topology,
)
from bayescg.likelihoods.force_matching import coefficients
from bayescg.model import parameters, with_values
from bayescg.numerics.pairs import neighbor_matrix, pairs_within
from bayescg.potentials import DoubleWell, Harmonic, LennardJones, PairSpline, Spline1D

BEADS, EDGE, CUTOFF, START = 16, 2.0, 0.9, 0.25
RANGE = (-0.2,) * 3, (EDGE,) * 3
"""Holds every configuration below."""
# energies are sums of some hundred terms of up to 100 kJ/mol: rounding is 1e-13 of their size
TOLERANCE = 1e-10


def ready(potential, type_names, seed):
    """Allocated, with random parameters."""
    count = len(bcg.interfaces.type_pairs(len(type_names)))
    potential = potential.prepare(Support(type_names, (START,) * count, *RANGE, thermal_energy=2.5))
    rng = np.random.default_rng(seed)
    scale = {
        "coefficients": lambda s: 3 * rng.normal(size=s),
        "sigma": lambda s: rng.uniform(0.25, 0.3, size=s),
    }
    drawn = {
        path: scale.get(path.split(".")[-1], lambda s: rng.uniform(0.5, 2, size=s))(value.shape)
        for path, value in parameters(potential).items()
    }
    return with_values(potential, drawn)


SPLINE, ARGON = PairSpline(cutoff=CUTOFF, knots=10, start=START), LennardJones(cutoff=CUTOFF)
SHORT = PairSpline(cutoff=0.6, knots=7, start=START)
ONE, TWO = ("A",), ("A", "B")
POTENTIALS = {
    "spline": (SPLINE, ONE),
    "spline-two-types": (SPLINE, TWO),
    "lennard-jones": (ARGON, ONE),
    "lennard-jones-two-types": (ARGON, TWO),
    "spline+spline": (SPLINE + SHORT, ONE),
    "spline+spline-two-types": (SHORT + SPLINE, TWO),
    "spline+lennard-jones": (SPLINE + ARGON, TWO),
}
CASES = {
    name: (ready(potential, types, seed), types)
    for seed, (name, (potential, types)) in enumerate(POTENTIALS.items())
}
SITES = {
    name: (ready(potential, TWO, seed), TWO)
    for seed, (name, potential) in enumerate(
        {
            "harmonic": Harmonic(),
            "double-well": DoubleWell(center=None),
            "spline1d": Spline1D(knots=9),
            "spline1d-periodic": Spline1D(knots=9, period=1.3),
            "harmonic+spline1d": Harmonic() + Spline1D(knots=9),
            "double-well+spline1d": DoubleWell() + Spline1D(knots=7),
        }.items()
    )
}
"""Potentials of single sites: they have a place and directions of their own."""


def configuration(type_names, *, periodic, seed=0, positions=None):
    """Beads on a jittered lattice, none closer than the splines' start, with their neighbours."""
    if positions is None:
        rng = np.random.default_rng(seed)
        lattice = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * 0.5
        chosen = lattice[rng.choice(64, BEADS, replace=False)]
        positions = chosen + rng.uniform(-0.12, 0.12, size=(BEADS, 3))
    count = len(positions)
    box = np.full(3, EDGE) if periodic else None
    neighbors = neighbor_matrix(pairs_within(positions, box, CUTOFF), count, BEADS)
    types = np.arange(count) % len(type_names)
    topology = Topology(
        jnp.asarray(types), jnp.ones(count), jnp.arange(count), jnp.zeros((0, 2), dtype=int), type_names
    )
    return Configuration(
        jnp.asarray(positions), None if box is None else jnp.asarray(box), jnp.asarray(neighbors), topology
    )


def moved(frame, positions):
    """The same beads elsewhere, neighbours found anew."""
    return configuration(
        frame.topology.type_names, periodic=frame.box is not None, positions=np.asarray(positions)
    )


@eqx.filter_jit
def evaluated(potential, frame):
    """Energy and forces: one program compiles in less time than two."""
    return potential.energy(frame), potential.forces(frame)


def energy_of(potential, frame):
    return evaluated(potential, frame)[0]


def forces_of(potential, frame):
    return evaluated(potential, frame)[1]


def assert_equal_energy(potential, one, other):
    first, second = float(energy_of(potential, one)), float(energy_of(potential, other))
    assert abs(first - second) <= TOLERANCE * max(abs(first), 1.0), (first, second)


def rotation_and_reflection_change_nothing(potential, types):
    frame = configuration(types, periodic=False)
    turn = special_ortho_group.rvs(3, random_state=np.random.default_rng(3))
    for matrix in (turn, turn * np.array([[1.0], [1.0], [-1.0]])):
        turned = moved(frame, np.asarray(frame.positions) @ matrix.T)
        assert_equal_energy(potential, frame, turned)
        scale = np.abs(forces_of(potential, frame)).max()
        np.testing.assert_allclose(
            forces_of(potential, turned), forces_of(potential, frame) @ matrix.T, atol=1e-9 * scale
        )


def translation_changes_nothing(potential, types):
    for periodic in (False, True):
        frame = configuration(types, periodic=periodic)
        away = np.asarray(frame.positions) + np.array([0.31, -1.7, 12.3])
        assert_equal_energy(potential, frame, moved(frame, away))


def permutation_of_like_beads_changes_nothing(potential, types):
    frame = configuration(types, periodic=True)
    order = np.arange(BEADS)
    for kind in range(len(types)):
        like = np.flatnonzero(np.asarray(frame.topology.types) == kind)
        order[like] = np.roll(like, 3)
    assert_equal_energy(potential, frame, moved(frame, np.asarray(frame.positions)[order]))


def periodic_images_are_one_bead(potential, types):
    frame = configuration(types, periodic=True)
    shifts = np.random.default_rng(4).integers(-3, 4, size=(BEADS, 3)) * EDGE
    assert_equal_energy(potential, frame, moved(frame, np.asarray(frame.positions) + shifts))


def forces_are_minus_the_gradient(potential, types):
    """Central differences: error h² U'''/6 < 1e-10 * 1e6, rounding 1e-14/h < 1e-8 kJ/mol/nm."""
    frame, step = configuration(types, periodic=True), 1e-5
    energy = jax.jit(lambda x: potential.energy(eqx.tree_at(lambda c: c.positions, frame, x)))
    shifts = step * np.eye(3 * BEADS).reshape(-1, BEADS, 3)
    plus, minus = (jax.vmap(energy)(frame.positions + sign * shifts) for sign in (1, -1))
    expected = -np.asarray(plus - minus).reshape(BEADS, 3) / (2 * step)
    np.testing.assert_allclose(forces_of(potential, frame), expected, atol=1e-4)


def no_net_force(potential, types):
    for periodic in (False, True):
        forces = forces_of(potential, configuration(types, periodic=periodic))
        assert np.abs(forces.sum(axis=0)).max() <= TOLERANCE * np.abs(forces).max()


def no_net_torque(potential, types):
    frame = configuration(types, periodic=False)
    forces = forces_of(potential, frame)
    assert np.abs(jnp.cross(frame.positions, forces).sum(axis=0)).max() <= TOLERANCE * np.abs(forces).max()


def pair_of(potential, types, kinds):
    """u(r) of two beads of these types, from the whole potential."""
    topology = Topology(jnp.asarray(kinds), jnp.ones(2), jnp.arange(2), jnp.zeros((0, 2), dtype=int), types)
    neighbors = jnp.array([[1, 2], [0, 2]])

    def energy(distance):
        positions = jnp.zeros((2, 3)).at[1, 0].set(distance)
        return potential.energy(Configuration(positions, None, neighbors, topology))

    return energy


def nothing_jumps_at_the_cutoff(potential, types):
    """u ~ d³ at a distance d inside the cutoff: halving d divides u, u', u'' by 8, 4 and 2."""
    cutoffs = sorted({potential.cutoff, *(term.cutoff for term in getattr(potential, "terms", ()))})
    distances = jnp.array(cutoffs)[:, None] + jnp.array([1e-9, -1e-4, -0.5e-4])

    @jax.jit
    @jax.vmap
    def of_kinds(kinds):
        value = pair_of(potential, types, kinds)

        def slope(distance):
            return jax.jvp(value, (distance,), (1.0,))

        def orders(distance):  # u, u', u''; forward, which traces the potential once
            (u, first), (_, second) = jax.jvp(slope, (distance,), (1.0,))
            return jnp.stack([u, first, second])

        return jax.vmap(jax.vmap(orders))(distances)

    found = np.asarray(of_kinds(jnp.array(bcg.interfaces.type_pairs(len(types)))))
    beyond, far, near = np.moveaxis(found, 2, 0)  # (kinds, cutoff, order) each
    assert np.all(beyond[:, -1] == 0.0)
    far, near = np.abs(far - beyond), np.abs(near - beyond)
    # the next term of the series is d/width ~ 0.2% smaller. At a shorter cutoff inside a sum the longer
    # term goes on with a slope of its own: continuity means that the change falls with d
    assert np.all(near[:, -1] <= 1.02 * far[:, -1] / np.array([8.0, 4.0, 2.0]))
    assert np.all(near[:, :-1] <= 0.6 * far[:, :-1])


def neighbours_beyond_the_cutoff_are_ignored(potential, types):
    """A wider list and more padding, as a simulation carries them, change neither energy nor forces."""
    frame = configuration(types, periodic=True)
    wide = pairs_within(np.asarray(frame.positions), np.asarray(frame.box), EDGE / 2)
    skin = eqx.tree_at(lambda c: c.neighbors, frame, jnp.asarray(neighbor_matrix(wide, BEADS, BEADS + 5)))
    assert skin.neighbors.shape != frame.neighbors.shape
    assert_equal_energy(potential, frame, skin)
    scale = np.abs(forces_of(potential, frame)).max()
    np.testing.assert_allclose(
        forces_of(potential, skin), forces_of(potential, frame), atol=TOLERANCE * scale
    )


CONTRACT = (
    rotation_and_reflection_change_nothing,
    translation_changes_nothing,
    permutation_of_like_beads_changes_nothing,
    periodic_images_are_one_bead,
    forces_are_minus_the_gradient,
    no_net_force,
    no_net_torque,
    nothing_jumps_at_the_cutoff,
    neighbours_beyond_the_cutoff_are_ignored,
)


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CASES)
def test_contract(name, check):
    check(*CASES[name])


SITE_CONTRACT = (
    permutation_of_like_beads_changes_nothing,
    forces_are_minus_the_gradient,
    neighbours_beyond_the_cutoff_are_ignored,
)


@pytest.mark.parametrize("check", SITE_CONTRACT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", SITES)
def test_contract_of_single_sites(name, check):
    check(*SITES[name])


@pytest.mark.parametrize("name", SITES)
def test_single_sites_have_a_place_and_no_cutoff(name):
    """Negative control of the contract: what holds for pairs is seen to be broken here."""
    potential, types = SITES[name]
    assert potential.cutoff == 0.0
    with pytest.raises(AssertionError):
        translation_changes_nothing(potential, types)


@pytest.mark.parametrize("name", SITES)
def test_the_energy_of_sites_is_the_sum_over_beads_and_components(name):
    potential, types = SITES[name]
    frame = configuration(types, periodic=False)
    terms = getattr(potential, "terms", (potential,))
    expected = sum(float(term.site_energy(x)) for term in terms for x in frame.positions.ravel())
    assert float(energy_of(potential, frame)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", SITES)
def test_labels_fit_the_parameters_of_sites(name):
    potential, _ = SITES[name]
    labels, known = potential.coordinates(), parameters(potential)
    assert labels.keys() == known.keys()
    for path, value in known.items():
        assert tuple(len(axis) for axis in labels[path].values()) == value.shape


class Broken(AbstractPotential):
    """A Lennard-Jones fluid with something added that no potential may have."""

    cutoff: float = eqx.field(static=True)
    base: LennardJones
    fault: Callable[[Configuration], jax.Array] = eqx.field(static=True)

    def energy(self, configuration):
        return self.base.energy(configuration) + self.fault(configuration)

    def prepare(self, support):
        return Broken(self.cutoff, self.base.prepare(support), self.fault)

    def coordinates(self):
        return self.base.coordinates()


def over_pairs(function):
    """Sum of function(displacement) over listed pairs within the cutoff, images taken if asked for."""

    def fault(frame, images=True):
        count = frame.positions.shape[0]
        steps = frame.positions[jnp.minimum(frame.neighbors, count - 1)] - frame.positions[:, None]
        if images:
            steps = bcg.interfaces.minimum_image(steps, frame.box)
        squared = jnp.where(frame.neighbors < count, jnp.sum(steps**2, axis=-1), 1.0)
        near = (frame.neighbors < count) & (squared < CUTOFF**2)
        return jnp.sum(jnp.where(near, function(steps, squared), 0.0))

    return fault


def no_derivative(frame):
    """An energy that the gradient does not see."""
    return jax.lax.stop_gradient(jnp.sum(frame.positions**2))


FAULTS = {
    rotation_and_reflection_change_nothing: over_pairs(lambda d, q: 0.01 * d[..., 0] ** 2),
    translation_changes_nothing: lambda frame: 0.01 * jnp.sum(frame.positions[:, 0] ** 2),
    permutation_of_like_beads_changes_nothing: lambda frame: jnp.sum(
        jnp.arange(BEADS) * jnp.sin(np.pi * frame.positions[:, 0])
    ),
    periodic_images_are_one_bead: lambda frame: over_pairs(lambda d, q: 1 / (1 + q))(frame, images=False),
    forces_are_minus_the_gradient: no_derivative,
    no_net_force: lambda frame: 0.01 * jnp.sum(frame.positions[:, 0]),
    no_net_torque: over_pairs(lambda d, q: 0.01 * d[..., 0] ** 2),
    nothing_jumps_at_the_cutoff: over_pairs(lambda d, q: (CUTOFF**2 - q) ** 2),  # u'' jumps
    neighbours_beyond_the_cutoff_are_ignored: lambda frame: 1e-3 * jnp.sum(frame.neighbors < BEADS),
}


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_contract_catches_a_broken_potential(check):
    base, types = CASES["lennard-jones"]
    with pytest.raises(AssertionError):
        check(Broken(CUTOFF, base, FAULTS[check]), types)
    check(Broken(CUTOFF, base, lambda frame: jnp.zeros(())), types)


LINEAR = [name for name, (potential, _) in CASES.items() if isinstance(potential, AbstractLinearPotential)]
LINEAR_SITES = [
    name for name, (potential, _) in SITES.items() if isinstance(potential, AbstractLinearPotential)
]


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "open"])
@pytest.mark.parametrize("name", LINEAR + LINEAR_SITES)
def test_forces_of_a_linear_potential_are_its_basis_times_its_coefficients(name, periodic):
    potential, types = (CASES | SITES)[name]
    frame = configuration(types, periodic=periodic)
    rows, theta = eqx.filter_jit(type(potential).basis_forces)(potential, frame), coefficients(potential)
    assert rows.shape == (BEADS, 3, theta.size)
    expected = forces_of(potential, frame)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(rows @ theta, expected, atol=TOLERANCE * scale)
    # control: features in another order do not fit
    assert np.abs(rows @ theta[::-1] - expected).max() > 0.01 * scale


def test_the_kinds_of_sums():
    assert LINEAR == ["spline", "spline-two-types", "spline+spline", "spline+spline-two-types"]
    assert LINEAR_SITES == ["double-well", "spline1d", "spline1d-periodic", "double-well+spline1d"]
    assert isinstance(SPLINE + SHORT, LinearSum)
    assert isinstance(SPLINE + ARGON, Sum)
    three = SPLINE + ARGON + SHORT
    assert [type(term).__name__ for term in three.terms] == ["PairSpline", "LennardJones", "PairSpline"]
    assert three.cutoff == CUTOFF


@pytest.mark.parametrize("name", ["spline+spline", "spline+lennard-jones"])
def test_energies_of_a_sum_add(name):
    potential, types = CASES[name]
    frame = configuration(types, periodic=True)
    apart = [float(term.energy(frame)) for term in potential.terms]
    assert float(potential.energy(frame)) == pytest.approx(sum(apart), rel=1e-14)
    assert min(map(abs, apart)) > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_labels_fit_the_parameters(name):
    potential, types = CASES[name]
    labels, known = potential.coordinates(), parameters(potential)
    assert labels.keys() == known.keys()
    pairs = {1: ["A-A"], 2: ["A-A", "A-B", "B-B"]}[len(types)]
    for path, value in known.items():
        assert tuple(len(axis) for axis in labels[path].values()) == value.shape
        assert list(labels[path]["type_pair"]) == pairs


@pytest.mark.parametrize("potential", [SPLINE, ARGON], ids=["spline", "lennard-jones"])
def test_every_pair_of_types_has_its_own_parameters_in_the_order_of_its_labels(potential):
    """Changing the parameters of one pair of types changes that pair's energy and no other."""
    base = ready(potential, ("A", "B", "C"), seed=9)
    kinds = bcg.interfaces.type_pairs(3)

    @eqx.filter_jit
    def stacked(of):
        return jnp.array(
            [[pair_of(of, ("A", "B", "C"), order)(0.45) for order in (k, k[::-1])] for k in kinds]
        )

    def energies(of):
        return np.asarray(stacked(of))

    before = energies(base)
    np.testing.assert_array_equal(before[:, 0], before[:, 1])
    for path, value in parameters(base).items():
        for index in range(len(kinds)):
            changed = np.flatnonzero(
                (energies(with_values(base, {path: value.at[index].multiply(1.1)})) != before)[:, 0]
            )
            assert changed.tolist() == [index]
