"""PairSpline against SciPy's splines, and in its core."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import BSpline

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import Support
from bayescg.model import with_values
from bayescg.potentials.spline import MINIMUM_STIFFNESS

CUTOFF, KNOTS, START = 0.9, 12, 0.27
ZERO = jnp.array(0)


def spline(coefficients, degree=3):
    ready = bcg.potentials.PairSpline(cutoff=CUTOFF, knots=KNOTS, start=START, degree=degree)
    ready = ready.prepare(Support(("A",), (START,)))
    return with_values(ready, {"coefficients": jnp.asarray(coefficients)[None]})


@functools.partial(jax.jit, static_argnums=2)
def derivative(potential, r, order):
    """d^order u / dr^order at an array of distances."""

    def at(one):
        return potential.pair_energy(one, ZERO, ZERO)

    for _ in range(order):
        at = jax.grad(at)
    return jax.vmap(at)(r)


def curve(potential, order=0):
    """u or a derivative of it, on arrays."""
    return lambda r: np.asarray(derivative(potential, jnp.asarray(r), order))


def reference(coefficients, degree=3):
    """SciPy's clamped spline with the last three coefficients zero."""
    grid = np.linspace(START, CUTOFF, KNOTS)
    knots = np.concatenate([[START] * degree, grid, [CUTOFF] * degree])
    return BSpline(knots, np.concatenate([coefficients, np.zeros(3)]), degree)


@pytest.mark.parametrize("degree", [3, 4, 5])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_energy_is_the_spline_of_scipy(order, degree):
    rng = np.random.default_rng(0)
    theta = rng.normal(size=KNOTS - 4 + degree)
    r = rng.uniform(START, CUTOFF, size=300)
    width = (CUTOFF - START) / (KNOTS - 1)
    # a polynomial of numbers of order one; every derivative divides the rounding by the width
    np.testing.assert_allclose(
        curve(spline(theta, degree), order)(r),
        reference(theta, degree)(r, nu=order),
        atol=1e-12 / width**order,
    )
    assert not np.allclose(
        curve(spline(theta * 1.001, degree), order)(r), reference(theta, degree)(r, nu=order)
    )


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_the_core_is_repulsive_and_ever_steeper_whatever_the_draw(scale):
    r = np.linspace(0.0, START, 200, endpoint=False)
    inward = 0
    for seed in range(30):
        potential = spline(scale * np.random.default_rng(seed).normal(size=KNOTS - 1))
        energy, slope, curvature = (curve(potential, order)(r) for order in range(3))
        assert np.all(slope < 0)
        assert np.all(np.diff(energy) < 0)
        assert np.all(curvature >= MINIMUM_STIFFNESS)
        outside = reference(np.asarray(potential.coefficients[0]))
        inward += outside(START, nu=1) > 0
        # continuous in energy always; in force where the spline is repulsive there
        below = np.array([START - 1e-9])
        jump = 2e-9 * (MINIMUM_STIFFNESS + 1e4 * scale)  # 1e-9 nm times a slope or curvature
        assert curve(potential)(below)[0] == pytest.approx(float(outside(START)), abs=jump)
        if outside(START, nu=1) < 0:
            assert curve(potential, 1)(below)[0] == pytest.approx(float(outside(START, nu=1)), abs=jump)
    # control: of the splines themselves half would pull beads into the core
    assert 5 < inward < 25


@pytest.mark.parametrize("degree", [3, 4])
def test_the_basis_goes_on_below_start_as_the_energy_does(degree):
    """Where the spline is repulsive and stiff at its start, forces stay linear in the coefficients."""
    theta = 60.0 * np.exp(-np.arange(KNOTS - 4.0 + degree))
    potential = spline(theta, degree)
    assert reference(theta, degree)(START, nu=1) < 0
    assert reference(theta, degree)(START, nu=2) > MINIMUM_STIFFNESS
    topology = bcg.interfaces.Topology(
        jnp.zeros(2, dtype=int), jnp.ones(2), jnp.arange(2), jnp.zeros((0, 2), dtype=int), ("A",)
    )
    rows, forces = eqx.filter_jit(potential.basis_forces), eqx.filter_jit(potential.forces)
    for distance in (START - 0.1, START - 0.001, START + 0.001):
        frame = bcg.interfaces.Configuration(
            jnp.zeros((2, 3)).at[1, 2].set(distance), None, jnp.array([[1], [0]]), topology
        )
        np.testing.assert_allclose(rows(frame) @ jnp.asarray(theta), forces(frame), rtol=1e-10, atol=1e-8)


def test_every_pair_of_types_starts_at_its_shortest_distance():
    potential = bcg.potentials.PairSpline(cutoff=CUTOFF, knots=KNOTS)
    ready = potential.prepare(Support(("A", "B"), (0.2, 0.3, 0.4)))
    assert ready.starts == (0.2, 0.3, 0.4)
    assert ready.coefficients.shape == (3, KNOTS - 1)
    np.testing.assert_allclose(ready.widths, np.subtract(CUTOFF, ready.starts) / (KNOTS - 1))
    # prepared again for other data, it serves both
    again = ready.prepare(Support(("A", "B"), (0.25, 0.25, 0.25)))
    assert again.starts == (0.2, 0.25, 0.25)
    own = bcg.potentials.PairSpline(cutoff=CUTOFF, knots=KNOTS, start=0.22).prepare(Support(("A",), (0.3,)))
    assert own.starts == (0.22,)


def prepared(type_names=("A",), shortest=(0.3,), **arguments):
    return bcg.potentials.PairSpline(**{"cutoff": 0.9, **arguments}).prepare(Support(type_names, shortest))


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: prepared(cutoff=-0.9), ("cutoff", "positive", "got -0.9 nm")),
        (lambda: prepared(cutoff="0.9 nm"), ("cutoff", "positive number", "'0.9 nm'")),
        (lambda: prepared(knots=5), ("knots", "at least 6", "got 5")),
        (lambda: prepared(knots=12.0), ("knots", "whole number", "got 12.0")),
        (lambda: prepared(degree=2), ("degree", "at least 3", "got 2")),
        (
            lambda: prepared(start=0.9),
            ("start", "between 0 and the cutoff", "got 0.9 nm", "shortest distance"),
        ),
        (lambda: prepared(start=-0.1), ("start", "got -0.1 nm")),
        (lambda: prepared(start=np.nan), ("start", "got nan nm")),
        (lambda: prepared(shortest=(0.95,)), ("cutoff", "A-A", "0.95 nm", "larger cutoff")),
        (lambda: prepared(("A", "B"), (0.3, np.inf, 0.3)), ("cutoff", "A-B", "inf", "start of your own")),
        (lambda: prepared().prepare(Support(("B",), (0.3,))), ("('A',)", "('B',)", "bead types", "new")),
        (lambda: prepared().prepare(Support(("A", "B"), (0.3,) * 3)), ("('A',)", "('A', 'B')", "bead types")),
        (
            lambda: bcg.potentials.PairSpline(cutoff=0.9).pair_energy(jnp.array(0.5), ZERO, ZERO),
            ("no coefficients", "bayescg.Problem", "prepare"),
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, parts):
    with pytest.raises(BayescgError) as error:
        make()
    for part in parts:
        assert part in str(error.value)
