"""Pair potentials against their formulas, and under the contract of all potentials."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from scipy.interpolate import BPoly, CubicSpline

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import AbstractLinearPotential, Support, type_pairs
from bayescg.model import parameters, with_values
from bayescg.potentials import WCA, FreeGaussianWells, GaussianWells, Morse, Table, Yukawa
from tests.potentials.test_contract import BEADS, CONTRACT, CUTOFF, START, configuration, forces_of

TYPES = ("A", "B")
ZERO = jnp.array(0)
GRID = np.linspace(0.24, 1.0, 90)
PAIRS = len(type_pairs(len(TYPES)))


def prepared(potential, types=TYPES):
    return potential.prepare(Support(types, (START,) * len(type_pairs(len(types)))))


WELLS = prepared(GaussianWells(cutoff=CUTOFF, count=6))
WELLS = with_values(WELLS, {"depths": 3 * np.random.default_rng(0).normal(size=WELLS.depths.shape)})
CASES = {
    "wca": prepared(WCA([1.0, 2.0, 3.0], [0.5, 0.55, 0.6], CUTOFF)),
    "wca-switched": prepared(WCA(1.0, 0.85, CUTOFF)),
    "morse": prepared(Morse([1.0, 2.0, 3.0], 0.06, [0.4, 0.45, 0.5], CUTOFF)),
    "yukawa": prepared(Yukawa([2.0, -1.0, 2.0], 0.4, CUTOFF)),
    "free-gaussians": prepared(FreeGaussianWells([2.0, -1.0], [0.4, 0.7], [0.05, 0.1], CUTOFF)),
    "gaussian-wells": WELLS,
    "table": prepared(Table(GRID, [GRID**-6, 2 * GRID**-3, np.exp(-GRID)], CUTOFF)),
}


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CASES)
def test_contract(name, check):
    check(CASES[name], TYPES)


def switched(r):
    """The switch by Hermite interpolation, from SciPy."""
    smooth = BPoly.from_derivatives([0.9 * CUTOFF, CUTOFF], [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    return np.where(r < 0.9 * CUTOFF, 1.0, np.where(r < CUTOFF, smooth(np.minimum(r, CUTOFF)), 0.0))


def lennard_jones(r, sigma):
    return 4 * ((sigma / r) ** 12 - (sigma / r) ** 6)


FORMULAS = {
    "wca": lambda r: np.where(r < 2 ** (1 / 6) * 0.5, lennard_jones(r, 0.5) + 1, 0.0),
    "wca-switched": lambda r: np.where(r < 2 ** (1 / 6) * 0.85, lennard_jones(r, 0.85) + 1, 0.0),
    "morse": lambda r: (1 - np.exp(-(r - 0.4) / 0.06)) ** 2 - 1,
    "yukawa": lambda r: 2.0 * np.exp(-r / 0.4) / r,
    "free-gaussians": lambda r: -2 * np.exp(-((r - 0.4) ** 2) / 0.005) + np.exp(-((r - 0.7) ** 2) / 0.02),
    "gaussian-wells": lambda r: (
        -np.sum(
            np.asarray(WELLS.depths)[0]
            * np.exp(-((r[:, None] - np.linspace(START, 0.81, 6)) ** 2) / (2 * ((0.81 - START) / 5) ** 2)),
            axis=1,
        )
    ),
    "table": lambda r: CubicSpline(GRID, GRID**-6)(r),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_energy_is_the_switched_formula(name):
    """Terms of up to 1e4 kJ/mol, some with exponents of ten: rounding stays below 1e-12 of them."""
    r = np.linspace(0.26, 1.1, 200)
    found = jax.vmap(lambda one: CASES[name].pair_energy(one, ZERO, ZERO))(jnp.asarray(r))
    expected = FORMULAS[name](r) * switched(r)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())
    # control: a length that is wrong by 1e-4 is seen
    assert np.abs(found - FORMULAS[name](1.0001 * r) * switched(1.0001 * r)).max() > 1e-4


@pytest.mark.parametrize("name", [*CASES])
def test_second_derivatives_are_finite_everywhere(name):
    r = jnp.concatenate([jnp.linspace(0.05, 1.0, 400), jnp.array([CUTOFF, 0.9 * CUTOFF, START, 0.81, 0.5])])
    curvature = jax.vmap(jax.grad(jax.grad(lambda one: CASES[name].pair_energy(one, ZERO, ZERO))))(r)
    assert np.isfinite(curvature).all()


def test_repulsion_ends_at_the_minimum_with_its_slope():
    edge = 2 ** (1 / 6) * 0.5
    energy = jax.value_and_grad(lambda r: CASES["wca"].pair_energy(r, ZERO, ZERO))
    inside, outside = energy(jnp.array(edge - 1e-6)), energy(jnp.array(edge + 1e-6))
    assert outside == (0.0, 0.0)
    # u'' = 57 epsilon/sigma² there, so 1e-6 nm inside the slope is 57e-6/0.25 and the energy 1e-10
    assert inside[1] == pytest.approx(-36 * 2 ** (2 / 3) * 1e-6 / 0.25, rel=1e-3)
    assert 0 < inside[0] < 2e-10


def test_a_table_rises_ever_more_steeply_below_its_first_distance():
    r = jnp.linspace(0.0, GRID[0], 100)
    energy = lambda one: CASES["table"].pair_energy(one, ZERO, ZERO)  # noqa: E731
    slopes = jax.vmap(jax.grad(energy))(r)
    assert (jnp.diff(slopes) > 0).all()
    assert (slopes < 0).all()
    # value and slope are continuous
    below, above = (jax.value_and_grad(energy)(jnp.array(GRID[0] + d)) for d in (-1e-9, 1e-9))
    np.testing.assert_allclose(below, above, rtol=1e-6)


def test_a_table_has_no_parameters():
    assert parameters(CASES["table"]) == {}
    assert CASES["table"].coordinates() == {}


def test_fixed_and_free_gaussians_agree():
    """The same sum, once linear in its depths and once with everything free."""
    centers = np.linspace(START, 0.81, 6)
    free = prepared(
        FreeGaussianWells(
            WELLS.depths, np.tile(centers, (3, 1)), np.full((3, 6), centers[1] - centers[0]), CUTOFF
        )
    )
    frame = configuration(TYPES, periodic=True)
    expected = forces_of(free, frame)
    np.testing.assert_allclose(forces_of(WELLS, frame), expected, atol=1e-11 * np.abs(expected).max())


def test_forces_of_gaussian_wells_are_their_basis_times_their_depths():
    frame = configuration(TYPES, periodic=True)
    rows, expected = WELLS.basis_forces(frame), forces_of(WELLS, frame)
    assert isinstance(WELLS, AbstractLinearPotential)
    assert rows.shape == (BEADS, 3, PAIRS * 6)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(rows @ WELLS.depths.ravel(), expected, atol=1e-11 * scale)
    assert np.abs(rows @ WELLS.depths.ravel()[::-1] - expected).max() > 0.01 * scale  # control


@pytest.mark.parametrize("name", CASES)
def test_labels_and_default_priors_fit_the_parameters(name):
    potential = CASES[name]
    labels, known = potential.coordinates(), parameters(potential)
    assert labels.keys() == known.keys()
    for path, value in known.items():
        assert tuple(len(axis) for axis in labels[path].values()) == value.shape
        assert list(labels[path]["type_pair"]) == ["A-A", "A-B", "B-B"]
    prior = bcg.priors.default(bcg.Model(potential))
    assert prior.keys() == {f"potential.{path}" for path in known}
    with numpyro.handlers.seed(rng_seed=0):
        drawn = prior.sample(bcg.Model(potential))
    for path, value in drawn.items():
        assert value.shape == known[path.removeprefix("potential.")].shape
        assert np.isfinite(value).all()


@pytest.mark.parametrize("name", ["wca", "morse", "yukawa", "free-gaussians", "gaussian-wells"])
def test_parameters_of_a_pair_of_types_belong_to_its_label(name):
    """Changing one pair's parameters changes that pair's energy, in either order, and no other."""
    r = jnp.array(0.46)
    pairs = type_pairs(2)

    def energies(potential, flip):
        kinds = [k[::-1] for k in pairs] if flip else pairs
        return np.array([potential.pair_energy(r, *map(jnp.array, kind)) for kind in kinds])

    potential = CASES[name]
    for path, value in parameters(potential).items():
        for index in range(PAIRS):
            other = with_values(potential, {path: value.at[index].multiply(1.1)})
            for flip in (False, True):
                changed = np.flatnonzero(energies(other, flip) != energies(potential, flip))
                assert changed.tolist() == [index]


R = np.array([0.3, 0.4, 0.5, 0.6, 0.7])


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: prepared(WCA(-1.0, 0.3)), ("epsilon", "positive", "-1.0", "kJ/mol")),
        (lambda: prepared(Morse(width=0.0)), ("width", "positive", "0.0", "nm")),
        (lambda: prepared(Yukawa([1.0, 2.0])), ("amplitude", "one per pair of types (3)", "shape (2,)")),
        (lambda: Morse().pair_energy(jnp.array(0.4), ZERO, ZERO), ("Morse", "no bead types", "prepare")),
        (lambda: GaussianWells(cutoff=0.5, start=0.46), ("start", "0.46", "larger cutoff")),
        (
            lambda: prepared(FreeGaussianWells([1.0], [0.3, 0.4], [0.1])),
            ("centers", "row of 1 wells", "(2,)"),
        ),
        (lambda: prepared(FreeGaussianWells([0.0], [0.3], [0.1])), ("depths", "other than zero")),
        (lambda: Table(R[::-1], R), ("distances", "increasing", "Sort")),
        (lambda: Table(R, R), ("energies", "fall at the first distance", "Cut")),
        (lambda: Table(R, 1 / R, cutoff=0.8), ("cutoff", "inside the table", "0.8")),
        (lambda: prepared(Table(R, [1 / R, 1 / R])), ("one per pair of types (3)", "got 2 rows")),
        (lambda: Table(R, [1.0, np.nan, 0.5, 0.4, 0.3]), ("energies", "finite", "point 1")),
        (
            lambda: bcg.priors.default(bcg.Model(prepared(Yukawa(0.0)))),
            ("amplitude", "not be zero", "NumPyro"),
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, parts):
    with pytest.raises(BayescgError) as error:
        make()
    for part in parts:
        assert part in str(error.value)
