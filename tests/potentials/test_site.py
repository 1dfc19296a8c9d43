"""Potentials of one variable: springs, double wells, splines with walls or a period."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import BSpline
from scipy.optimize import minimize_scalar

from bayescg._checks import BayescgError
from bayescg.interfaces import Support
from bayescg.model import with_values
from bayescg.potentials import DoubleWell, Harmonic, Spline1D

SUPPORT = Support(("A",), (), lowest=(-1.0,), highest=(2.0,), thermal_energy=2.5)


def spline(seed=0, **settings):
    ready = Spline1D(knots=8, **settings).prepare(SUPPORT)
    values = 5 * np.random.default_rng(seed).normal(size=ready.coefficients.shape)
    return with_values(ready, {"coefficients": values})


def energies(potential, x):
    return np.asarray(jax.jit(jax.vmap(potential.site_energy))(jnp.asarray(x)))


def test_a_spring_takes_its_scale_from_the_data():
    ready = Harmonic().prepare(SUPPORT)
    assert float(ready.center) == 0.5
    # six standard deviations across the range: k = kT/(3/6)²
    assert float(ready.stiffness) == pytest.approx(2.5 / 0.25)
    given = Harmonic(stiffness=3.0, center=7.0).prepare(SUPPORT)
    assert (float(given.stiffness), float(given.center)) == (3.0, 7.0)


def test_minima_and_barrier_are_those_of_the_energy():
    well = DoubleWell(center=0.3, coefficients=[30.0, 12.0])
    found = minimize_scalar(
        lambda x: float(well.site_energy(jnp.array(x))), bounds=(0.3, 4.0), method="bounded"
    )
    # the minimiser stops within 1e-5 of the minimum
    assert float(well.minima[1]) == pytest.approx(found.x, abs=1e-4)
    assert float(well.minima.sum()) == pytest.approx(0.6)
    assert float(well.barrier) == pytest.approx(float(well.site_energy(jnp.array(0.3))) - found.fun, rel=1e-8)


@pytest.mark.parametrize("coefficients", [[-3.0, 2.0], [0.0, 0.0]])
def test_a_single_well_has_no_barrier(coefficients):
    well = DoubleWell(coefficients=coefficients)
    assert float(well.barrier) == 0.0
    np.testing.assert_array_equal(well.minima, [0.0, 0.0])
    assert np.isfinite(jax.grad(lambda c: DoubleWell(coefficients=c).barrier)(jnp.array(coefficients))).all()


def test_a_clamped_spline_is_scipys():
    potential = spline()
    assert (potential.start, potential.stop) == pytest.approx((-1.15, 2.15))
    grid = np.linspace(potential.start, potential.stop, 8)
    knots = np.r_[[grid[0]] * 3, grid, [grid[-1]] * 3]
    peer = BSpline(knots, np.r_[potential.coefficients, 0.0], 3)
    x = np.linspace(potential.start, potential.stop, 301)
    mean = peer.integrate(*grid[[0, -1]]) / (grid[-1] - grid[0])
    np.testing.assert_allclose(energies(potential, x), peer(x) - mean, atol=1e-12)


def test_the_energy_averages_to_zero_over_the_range():
    for potential in (spline(), spline(period=3.0)):
        x = np.linspace(potential.start, potential.stop, 20_001)
        mean = np.trapezoid(energies(potential, x), x) / (potential.stop - potential.start)
        # trapezoids: h² (u'(stop) - u'(start))/12 < 1e-6
        assert abs(mean) < 1e-6


@pytest.mark.parametrize("seed", range(6))
def test_walls_confine_whatever_the_coefficients(seed):
    potential = spline(seed)
    slope = jax.jit(jax.vmap(jax.grad(potential.site_energy)))
    beyond = jnp.linspace(1e-6, 3.0, 200)
    right, left = slope(potential.stop + beyond), slope(potential.start - beyond)
    assert (np.diff(right) > 0).all()
    assert right[0] >= 0
    assert (np.diff(left) < 0).all()
    assert left[0] <= 0
    # a bead of 1 kT goes no deeper than a twentieth of the range
    depth = 0.05 * (potential.stop - potential.start)
    ends = energies(potential, [potential.stop, potential.stop + depth])
    assert ends[1] - ends[0] >= 2.5 * (1 - 1e-12)
    # and the energy does not jump at the walls
    around = potential.stop + np.array([-1e-9, 1e-9])
    assert abs(np.diff(energies(potential, around))[0]) < 1e-6


def test_a_periodic_spline_repeats():
    potential = spline(period=3.0)
    x = np.linspace(-1.0, 2.0, 50)
    np.testing.assert_allclose(energies(potential, x), energies(potential, x + 6.0), atol=1e-12)
    assert potential.coefficients.shape == (7,)
    support = Support(("A",), (), lowest=(-3.0,), highest=(3.0,), period=2 * np.pi)
    assert Spline1D().prepare(support).period == pytest.approx(2 * np.pi)


def test_data_of_two_terms_share_one_range():
    both = Spline1D().prepare(SUPPORT).prepare(Support(("A",), (), lowest=(0.0,), highest=(4.0,)))
    assert (both.start, both.stop) == pytest.approx((-1.25, 4.25))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Harmonic(stiffness=-1.0), "stiffness must be positive"),
        (lambda: Harmonic().prepare(Support(("A",), ())), "the range of the variable must be known"),
        (lambda: Harmonic().site_energy(jnp.array(0.0)), "Harmonic has no stiffness"),
        (lambda: DoubleWell(coefficients=[1.0]), "coefficients must be the two numbers"),
        (lambda: DoubleWell().site_energy(jnp.array(0.0)), "DoubleWell has no center"),
        (lambda: Spline1D(knots=5), "knots must be a whole number of at least 6"),
        (lambda: Spline1D(period=-1.0), "period must be positive"),
        (lambda: Spline1D(lower=1.0, upper=0.0), "lower must lie below upper"),
        (lambda: Spline1D(lower=0.0).prepare(SUPPORT), "lower and upper must enclose the data"),
        (lambda: Spline1D().site_energy(jnp.array(0.0)), "Spline1D has no coefficients"),
        (
            lambda: Spline1D().prepare(Support(("A",), (), lowest=(1.0,), highest=(1.0,))),
            "the variable must vary",
        ),
    ],
)
def test_bad_settings_are_refused(make, words):
    with pytest.raises(BayescgError, match=words):
        make()
