"""B-splines equal SciPy's, with both kinds of ends."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate
from scipy.interpolate import BSpline, CubicSpline

from bayescg._checks import BayescgError
from bayescg.numerics import splines

START, WIDTH = 0.23, 0.041
# numbers of order one, four terms: rounding is near 1e-15; a derivative costs a factor 1/width
ROUNDING = 1e-12


def values(basis, coefficients, x, order=0):
    """The spline or its derivative at x, through the public functions and jax.grad."""

    def at(one):
        m, t = splines.locate(basis, one, START, WIDTH)
        return splines.evaluate(jnp.asarray(basis.polynomials @ coefficients), m, t)

    for _ in range(order):
        at = jax.grad(at)
    return np.asarray(jax.jit(jax.vmap(at))(jnp.asarray(x)))


def scipy_clamped(intervals, coefficients, degree=3):
    ends = np.zeros(degree), np.full(degree, intervals)
    return BSpline(
        START + WIDTH * np.concatenate([ends[0], np.arange(intervals + 1), ends[1]]), coefficients, degree
    )


def scipy_periodic(intervals, coefficients):
    """A periodic cubic spline is fixed by its values at the grid: interpolate them."""
    grid = START + WIDTH * np.arange(intervals + 1)
    basis = splines.periodic(intervals)
    at_grid = (basis.polynomials[:, 0] @ coefficients)[np.arange(intervals + 1) % intervals]
    return CubicSpline(grid, at_grid, bc_type="periodic")


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize(("intervals", "degree"), [(1, 3), (2, 3), (5, 3), (23, 3), (5, 1), (1, 4), (23, 4)])
def test_clamped_splines_equal_scipy(intervals, degree, order):
    rng = np.random.default_rng(intervals)
    coefficients = rng.normal(size=intervals + degree)
    x = START + WIDTH * intervals * rng.uniform(size=200)
    expected = scipy_clamped(intervals, coefficients, degree)(x, nu=order)
    found = values(splines.clamped(intervals, degree), coefficients, x, order)
    tolerance = ROUNDING / WIDTH**order
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    # control: one coefficient moved by a thousandth shows
    moved = coefficients + 1e-3 * np.eye(intervals + degree)[0]
    if order <= degree:
        difference = values(splines.clamped(intervals, degree), moved, x, order) - expected
        assert np.abs(difference).max() > 1e3 * tolerance


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("intervals", [4, 5, 18])
def test_periodic_splines_equal_scipy(intervals, order):
    rng = np.random.default_rng(intervals)
    coefficients = rng.normal(size=intervals)
    period = WIDTH * intervals
    x = START + period * rng.uniform(-2, 3, size=300)
    inside = START + np.mod(x - START, period)
    expected = scipy_periodic(intervals, coefficients)(inside, nu=order)
    found = values(splines.periodic(intervals), coefficients, x, order)
    # places are reduced into the period with an error of 1e-16, which a derivative turns into 1e-16/width
    np.testing.assert_allclose(found, expected, rtol=0, atol=10 * ROUNDING / WIDTH**order)


def test_periodic_functions_are_shifts_of_the_cardinal_spline():
    """Function k is the cubic B-spline on knots k-3, ..., k+1, wrapped; its centre is k - 1."""
    basis = splines.periodic(7)
    cardinal = BSpline.basis_element(np.arange(5.0), extrapolate=False)
    x = np.linspace(0, 7, 141)[:-1]
    for k in range(7):
        expected = np.nan_to_num(cardinal(np.mod(x - (k - 3), 7.0)))
        found = values(basis, np.eye(7)[k], START + WIDTH * x)
        np.testing.assert_allclose(found, expected, atol=ROUNDING)
        assert abs(np.mod(basis.centers[k] - (k - 1) + 3.5, 7.0) - 3.5) < ROUNDING
        peak = np.argmax(found)
        assert abs(np.mod(x[peak] - basis.centers[k] + 3.5, 7.0) - 3.5) < 0.05 + ROUNDING


@pytest.mark.parametrize(
    "basis",
    [splines.clamped(9), splines.clamped(9, 4), splines.periodic(9)],
    ids=["clamped", "quartic", "periodic"],
)
def test_functions_sum_to_one_and_are_not_negative(basis):
    x = START + WIDTH * np.linspace(0, 9, 400)
    functions = np.stack([values(basis, unit, x) for unit in np.eye(basis.centers.size)])
    np.testing.assert_allclose(functions.sum(axis=0), 1.0, atol=ROUNDING)
    assert functions.min() > -ROUNDING
    # control: without one function the rest do not
    assert abs(functions[1:].sum(axis=0) - 1.0).max() > 0.1


@pytest.mark.parametrize("degree", [3, 4])
def test_clamped_centers_reproduce_a_line(degree):
    """Greville abscissae as coefficients give the identity."""
    basis = splines.clamped(8, degree)
    x = np.linspace(0, 8, 50)
    np.testing.assert_allclose(values(basis, basis.centers, START + WIDTH * x), x, atol=1e-11)


def test_an_end_involves_only_the_outermost_functions():
    """Value, slope and curvature at the right end vanish for all but the last one, two, three."""
    basis = splines.clamped(6)
    end = jnp.array([START + 6 * WIDTH])
    reach = np.array([[values(basis, unit, end, order)[0] for unit in np.eye(9)] for order in range(3)])
    for order in range(3):
        np.testing.assert_allclose(reach[order, : 8 - order], 0.0, atol=1e-10 / WIDTH**order)
        assert np.all(np.abs(reach[order, 8 - order :]) > 0.1)


@pytest.mark.parametrize("kind", ["clamped", "quartic", "periodic"])
def test_curvature_gram_is_the_integral_of_scipy_curvatures(kind):
    intervals = 7
    basis, reference = {
        "clamped": (splines.clamped(intervals), scipy_clamped),
        "quartic": (splines.clamped(intervals, 4), functools.partial(scipy_clamped, degree=4)),
        "periodic": (splines.periodic(intervals), scipy_periodic),
    }[kind]
    count = basis.centers.size
    curvatures = [reference(intervals, unit).derivative(2) for unit in np.eye(count)]

    def integral(k, l):  # of degree four at most: three Gauss points per interval are exact
        edges = START + WIDTH * np.arange(intervals + 1)
        parts = [
            integrate.fixed_quad(lambda x: curvatures[k](x) * curvatures[l](x), a, b, n=3)[0]
            for a, b in itertools.pairwise(edges)
        ]
        return sum(parts)

    expected = np.array([[integral(k, l) for l in range(count)] for k in range(count)])
    gram = splines.curvature_gram(basis, WIDTH)
    np.testing.assert_allclose(gram, expected, atol=1e-10 * np.abs(expected).max())
    # control: the power of the width matters
    assert not np.allclose(gram * WIDTH, expected)


def test_curvature_gram_forgives_only_lines():
    gram = splines.curvature_gram(splines.clamped(9), WIDTH)
    eigenvalues = np.linalg.eigvalsh(gram)
    assert np.sum(eigenvalues < 1e-10 * eigenvalues.max()) == 2
    assert (
        np.sum(np.linalg.eigvalsh(splines.curvature_gram(splines.periodic(9), WIDTH)) < 1e-9 / WIDTH**3) == 1
    )


def test_places_at_and_beyond_the_ends():
    clamped, periodic = splines.clamped(5), splines.periodic(5)
    x = jnp.array([0.0, 5.0, -0.5, 6.25, 2.0])
    m, t = splines.locate(clamped, x, 0.0, 1.0)
    assert m.tolist() == [0, 4, 0, 4, 2]
    np.testing.assert_allclose(t, [0.0, 1.0, -0.5, 2.25, 0.0])
    m, t = splines.locate(periodic, x, 0.0, 1.0)
    assert m.tolist() == [0, 0, 4, 1, 2]
    np.testing.assert_allclose(t, [0.0, 0.0, 0.5, 0.25, 0.0])
    # a place just below zero rounds to a whole period: still in the last interval
    m, t = splines.locate(periodic, jnp.array(-1e-18), 0.0, 1.0)
    assert (int(m), float(t)) == (4, 1.0)


def test_the_end_polynomial_goes_on_beyond_the_grid():
    coefficients = np.random.default_rng(3).normal(size=8)
    x = START + WIDTH * np.array([-0.7, -0.01, 5.01, 5.6])
    expected = scipy_clamped(5, coefficients)(x, extrapolate=True)
    np.testing.assert_allclose(values(splines.clamped(5), coefficients, x), expected, atol=ROUNDING)


def test_derivatives_with_respect_to_coefficients_are_the_basis():
    """evaluate in jit, vmap and grad at once."""
    basis = splines.clamped(6)
    x = jnp.asarray(START + WIDTH * np.linspace(0.1, 5.9, 11))

    @jax.jit
    def jacobian(coefficients):
        def at(c, one):
            return splines.evaluate(
                jnp.asarray(basis.polynomials) @ c, *splines.locate(basis, one, START, WIDTH)
            )

        return jax.vmap(jax.grad(at), in_axes=(None, 0))(coefficients, x)

    found = jacobian(jnp.ones(9))
    expected = np.stack([scipy_clamped(6, unit)(np.asarray(x)) for unit in np.eye(9)], axis=1)
    np.testing.assert_allclose(found, expected, atol=ROUNDING)


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: splines.clamped(0), ("intervals", "at least 1", "got 0")),
        (lambda: splines.clamped(2.5), ("intervals", "whole number", "got 2.5")),
        (lambda: splines.clamped(5, 0), ("degree", "at least 1", "got 0")),
        (lambda: splines.periodic(3), ("intervals", "at least 4", "got 3")),
        (lambda: splines.curvature_gram(splines.clamped(4), 0.0), ("width", "positive", "got 0.0")),
    ],
)
def test_a_grid_that_cannot_be_is_refused(make, parts):
    with pytest.raises(BayescgError) as error:
        make()
    for part in parts:
        assert part in str(error.value)


def test_a_basis_is_shared_and_cannot_be_changed():
    """Bases are cached: writing into one would change every potential."""
    with pytest.raises(ValueError, match="read-only"):
        splines.clamped(5).polynomials[0, 0, 0] = 1.0
