"""LocalDensity against a plain double loop, and under the contract of all potentials."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from scipy.interpolate import BPoly, BSpline
from scipy.stats import multivariate_normal

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import Support
from bayescg.model import parameters, with_values
from bayescg.potentials import LocalDensity, PairSpline
from bayescg.priors.nonbonded import density_precision
from tests.potentials.test_contract import BEADS, CONTRACT, CUTOFF, START, configuration, energy_of, forces_of

HIGHEST, KNOTS = 3.0, 6
"""Beads of the test configurations have 0.2 to 4 neighbours of each type, so some lie beyond `highest`."""


def prepared(types, potential=None, seed=0):
    potential = LocalDensity(cutoff=CUTOFF, highest=HIGHEST, knots=KNOTS) if potential is None else potential
    potential = potential.prepare(Support(types, (START,) * (len(types) * (len(types) + 1) // 2)))
    drawn = 3 * np.random.default_rng(seed).normal(size=potential.coefficients.shape)
    return with_values(potential, {"coefficients": drawn})


CASES = {"one-type": (prepared(("A",)), ("A",)), "two-types": (prepared(("A", "B")), ("A", "B"))}


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CASES)
def test_contract(name, check):
    check(*CASES[name])


def double_loop(potential, frame):
    """Energy and largest density by loops, with SciPy's B-splines and Hermite polynomials."""
    inner, width = 0.75 * CUTOFF, HIGHEST / (KNOTS - 1)
    smooth = BPoly.from_derivatives([inner, CUTOFF], [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    knots = np.concatenate([np.zeros(3), width * np.arange(KNOTS), np.full(3, HIGHEST)])
    x, box = np.asarray(frame.positions), np.asarray(frame.box)
    types, total, most = np.asarray(frame.topology.types), 0.0, 0.0
    for i in range(BEADS):
        rho = np.zeros(len(frame.topology.type_names))
        for j in range(BEADS):
            step = x[j] - x[i]
            r = np.linalg.norm(step - box * np.round(step / box))
            if j != i and r < CUTOFF:
                rho[types[j]] += 1.0 if r < inner else smooth(r)
        most = max(most, rho.max())
        for kind, density in enumerate(rho):
            F = BSpline(knots, np.concatenate([[0.0], potential.coefficients[types[i], kind]]), 3)
            inside = min(density, HIGHEST)
            total += float(F(inside) + F(HIGHEST, nu=1) * (density - inside))
    return total, most


@pytest.mark.parametrize("name", CASES)
def test_energy_is_that_of_a_double_loop(name):
    potential, types = CASES[name]
    frame = configuration(types, periodic=True)
    expected, most = double_loop(potential, frame)
    assert most > HIGHEST  # the straight line beyond the grid is tested too
    assert float(energy_of(potential, frame)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_forces_are_the_basis_times_its_coefficients(name):
    potential, types = CASES[name]
    theta = potential.coefficients.ravel()
    for periodic in (True, False):
        frame = configuration(types, periodic=periodic)
        rows, expected = eqx.filter_jit(potential.basis_forces)(frame), forces_of(potential, frame)
        assert rows.shape == (BEADS, 3, theta.size)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(rows @ theta, expected, atol=1e-11 * scale)
        assert np.abs(rows @ theta[::-1] - expected).max() > 0.01 * scale  # control


def test_a_straight_embedding_function_is_a_pair_potential():
    """F = c rho: then U = 2 c sum over pairs of w(r), and the forces are those of c w for both beads."""
    potential, types = CASES["one-type"]
    centers = potential.coordinates()["coefficients"]["density"]
    straight = with_values(potential, {"coefficients": 1.7 * centers[None, None]})
    frame = configuration(types, periodic=True)
    assert float(energy_of(straight, frame)) == pytest.approx(
        1.7 * float(straight.densities(frame).sum()), rel=1e-12
    )
    # control: a bent one is not
    assert float(potential.energy(frame)) != pytest.approx(
        1.7 * float(potential.densities(frame).sum()), rel=0.1
    )


def in_basis(potential, places, function):
    """Coefficients of the embedding function with these values at as many places."""

    def energy(theta, rho):
        return with_values(potential, {"coefficients": theta}).embedding_energy(rho[None], 0)

    rows = jax.vmap(jax.grad(energy), in_axes=(None, 0))(potential.coefficients, places)
    return np.linalg.solve(rows.reshape(places.size, -1), function(places))


def test_pairs_do_not_see_crowding():
    """Forces of F = rho² are three-body: a pair spline leaves a part of them unexplained.

    Both are fitted to the same frames by least squares without noise, so what is left is model error.
    """
    potential = prepared(("A",), LocalDensity(cutoff=CUTOFF, highest=8.0, knots=6))
    centers = potential.coordinates()["coefficients"]["density"]
    theta = in_basis(potential, jnp.linspace(0.5, 8.0, centers.size), lambda rho: rho**2)
    crowd = with_values(potential, {"coefficients": theta[None, None]})
    pairs = PairSpline(cutoff=CUTOFF, knots=20, start=START).prepare(Support(("A",), (START,)))
    frames = [configuration(("A",), periodic=True, seed=seed) for seed in range(6)]
    target = np.concatenate([np.asarray(forces_of(crowd, frame)).ravel() for frame in frames])

    def left(basis):
        rows = np.concatenate([np.asarray(basis(f)).reshape(3 * BEADS, -1) for f in frames])
        fitted = np.linalg.lstsq(rows, target, rcond=None)[0]
        return np.linalg.norm(rows @ fitted - target) / np.linalg.norm(target)

    assert left(eqx.filter_jit(crowd.basis_forces)) < 1e-10
    assert left(eqx.filter_jit(pairs.basis_forces)) > 0.1


def test_labels_and_default_prior_fit_the_coefficients():
    potential, _ = CASES["two-types"]
    labels = potential.coordinates()["coefficients"]
    assert tuple(len(axis) for axis in labels.values()) == potential.coefficients.shape == (2, 2, KNOTS + 1)
    assert labels["density"][-1] == pytest.approx(HIGHEST)
    prior = bcg.priors.default(bcg.Model(potential))
    assert set(prior) == {"potential.coefficients"}
    with numpyro.handlers.seed(rng_seed=0), numpyro.handlers.trace() as trace:
        drawn = prior.sample(bcg.Model(potential))["potential.coefficients"]
    assert drawn.shape == potential.coefficients.shape
    scale = trace["potential.coefficients.scale"]["value"]
    # the density is the one of the matrix, for every pair of types with its own scale
    expected = sum(
        multivariate_normal(
            np.zeros(KNOTS + 1), float(scale[a, b]) ** 2 * np.linalg.inv(density_precision(potential))
        ).logpdf(drawn[a, b])
        for a in range(2)
        for b in range(2)
    )
    found = trace["potential.coefficients"]["fn"].log_prob(drawn)
    assert float(found) == pytest.approx(expected, rel=1e-8)


def test_the_prior_measures_curvature_and_height():
    """theta' P theta = ∫ F''² dx + F(1)² for a straight line and for a parabola, by hand: 1 and 4 + 1."""
    potential, _ = CASES["one-type"]
    places, P = HIGHEST * jnp.linspace(0.05, 1.0, KNOTS + 1), density_precision(potential)
    for F, expected in ((lambda x: x, 1.0), (lambda x: x**2, 5.0)):
        theta = in_basis(potential, places, lambda rho, F=F: F(rho / HIGHEST))
        assert theta @ P @ theta == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: LocalDensity(cutoff=0.6, highest=0.0), ("highest", "positive", "largest number")),
        (lambda: LocalDensity(cutoff=0.6, highest=5.0, inner=0.7), ("inner", "0.6", "0.7")),
        (lambda: LocalDensity(cutoff=0.6, highest=5.0, knots=3), ("knots", "4")),
        (
            lambda: LocalDensity(cutoff=0.6, highest=5.0).energy(configuration(("A",), periodic=True)),
            ("no coefficients", "prepare"),
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, parts):
    with pytest.raises(BayescgError) as error:
        make()
    for part in parts:
        assert part in str(error.value)
    assert parameters(LocalDensity(cutoff=0.6, highest=5.0)) == {}
