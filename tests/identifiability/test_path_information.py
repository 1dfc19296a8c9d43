"""Expected information of paths: closed forms, dense Gaussian algebra, and estimates along what was seen."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.linalg
from jax.scipy.linalg import expm

import bayescg as bcg
from bayescg.identifiability import gaussian_rows, term_information
from bayescg.likelihoods.path_information import path_rows
from bayescg.likelihoods.path_series import stretches
from bayescg.model import parameters, with_values
from tests.likelihoods.gle_data import dataset, drift_of, simulate, stationary

KT = bcg.units.thermal_energy(300.0)
MASS = 10.0


@eqx.filter_jit
def jacobian(path, model, observations, values):
    """Derivative of the rows by every parameter of the model."""
    return jax.jacfwd(lambda v: path_rows(path, with_values(model, v), observations).values)(values)


def information_of(path, model, observations):
    """F of every block by every parameter of the model."""
    values = parameters(model)
    J = jacobian(path, model, observations, values)
    table = np.concatenate([np.asarray(J[name]).reshape(*J[name].shape[:2], -1) for name in values], axis=-1)
    return np.swapaxes(table, 1, 2) @ table


def scaled(matrix, reference):
    """Elements over the geometric mean of the reference's diagonal."""
    unit = np.sqrt(np.diag(reference))
    return matrix / unit[:, None] / unit


@pytest.fixture(scope="module")
def free_velocities():
    """Velocities under a friction, the mass unknown: an Ornstein-Uhlenbeck process of known kT."""
    v = np.random.default_rng(0).normal(size=(51, 1))
    prior = {"memory.friction": dist.LogNormal(2.0, 1.0), "likelihood.mass": dist.LogNormal(2.3, 1.0)}
    path = bcg.likelihoods.Path(observed="velocities", infers_mass=True)
    data = dataset(np.cumsum(v, axis=0), 0.1, v=v, mass=MASS)
    return bcg.Problem(bcg.Model(None, bcg.memory.Markovian(1.0)), prior, path.on(data))


@pytest.mark.parametrize("u", [0.05, 0.7, 2.0])
def test_transition_of_a_velocity_has_the_closed_form(free_velocities, u):
    """With k -> m and gamma -> m²/gamma it is the position in an overdamped spring: det F is the same."""
    friction = u * MASS / 0.1
    at = {"memory.friction": jnp.asarray(friction), "likelihood.mass": jnp.asarray(MASS)}
    found = term_information(free_velocities, free_velocities.unconstrain(at))[0]
    assert found.expected
    assert not found.sampled
    F, grown = found.matrix / 50, np.exp(2 * u)
    place = list(free_velocities.labels).index("memory.friction")
    np.testing.assert_allclose(F[place, place], u**2 * (grown + 1) / (grown - 1) ** 2, rtol=1e-8)
    np.testing.assert_allclose(np.linalg.det(F), u**2 / (2 * (grown - 1)), rtol=1e-8)
    # control: the first velocity is given, and adds nothing
    assert abs(found.matrix[place, place] / 51 / F[place, place] - 1) > 1e-3


def test_information_of_a_noisy_path_with_memory_is_that_of_the_dense_gaussian():
    """40 measured positions in a well, each given the first: F of all less F of the first alone."""
    frames, interval, noise = 40, 0.2, 0.05
    memory = bcg.memory.Prony(1, [0.5], [20.0]) + bcg.memory.Markovian(3.0)
    x = np.random.default_rng(0).normal(size=(frames, 2))
    data = dataset(x, interval, mass=MASS)
    path = bcg.likelihoods.Path(measurement_noise=noise).on(data)
    model = bcg.Model(bcg.potentials.Harmonic(50.0, 0.1), memory)
    positive = ["potential.stiffness", "likelihood.noise", "memory.terms.1.friction"]
    positive += ["memory.terms.0.times", "memory.terms.0.frictions"]
    prior = {name: dist.LogNormal(0.0, 1.0) for name in positive} | {
        "potential.center": dist.Normal(0.0, 1.0)
    }
    made = bcg.Problem(model, prior, path)
    at = dict(zip(positive, (50.0, noise, 3.0, [0.5], [20.0]), strict=True)) | {"potential.center": 0.1}
    u = made.unconstrain({name: jnp.asarray(value) for name, value in at.items()})

    def rows(u, count):
        now = made.constrain(u)
        k, (A_s, a, gamma0) = now["potential.stiffness"], made.model(now).memory.drift()
        A = jnp.block(
            [
                [jnp.zeros((1, 1)), -jnp.ones((1, 1)), jnp.zeros((1, 1))],
                [jnp.reshape(k / MASS, (1, 1)), jnp.reshape(gamma0 / MASS, (1, 1)), -a[None] / MASS],
                [jnp.zeros((1, 1)), a[:, None], A_s],
            ]
        )
        step = expm(-A * interval)
        _, powers = jax.lax.scan(lambda power, _: (power @ step, power[0, 0]), jnp.eye(3), None, length=count)
        c = KT / k * powers
        lags = np.abs(np.arange(count)[:, None] - np.arange(count))
        S = c[lags] + now["likelihood.noise"] ** 2 * jnp.eye(count)
        return gaussian_rows(now["potential.center"] * jnp.ones(count), S)

    slopes = jax.jit(jax.jacfwd(rows), static_argnums=1)
    whole, first = (np.asarray(slopes(u, count)) for count in (frames, 1))
    expected = 2 * (whole.T @ whole - first.T @ first)
    F = term_information(made, u)[0].matrix
    np.testing.assert_allclose(scaled(F, expected), scaled(expected, expected), atol=1e-10)
    # control: the first frame counted too is another number
    assert np.abs(scaled(2 * whole.T @ whole - expected, expected)).max() > 1e-3


def test_information_from_lagged_sums_is_that_of_the_exact_filter_but_for_its_start():
    """A double well with memory: lagged sums and frames of one path."""
    memory = bcg.memory.Prony(1, [0.5], [20.0]) + bcg.memory.Markovian(8.0)
    settings = {"frames": 800, "interval": 0.1, "inner": 4, "series": 2, "start": 0.5}
    x, _ = simulate(memory, MASS, force=lambda x: -80 * x * (x * x - 0.3), **settings)
    data = dataset(x, 0.1, mass=MASS)
    well = bcg.potentials.DoubleWell(center=0.0, coefficients=[-12.0, 20.0])
    model, path = bcg.likelihoods.Path().prepare(bcg.Model(well, memory), data)
    sums, frames = path.observe(model, data), path._frames(model, stretches(data, "positions"))
    blocks, exact = information_of(path, model, sums), information_of(path, model, frames).sum(axis=0)
    # an uncertain start changes a few of 800 frames
    np.testing.assert_allclose(scaled(blocks.sum(axis=0), exact), scaled(exact, exact), atol=4 / 800)
    # as many sums of squares of derivatives: no block has a negative eigenvalue
    values = np.linalg.eigvalsh(scaled(blocks, exact))
    assert (values[:, 0] > -1e-10 * values[:, -1]).all()
    # control: another barrier has another information
    other = eqx.tree_at(lambda m: m.potential.coefficients, model, 1.2 * model.potential.coefficients)
    changed = information_of(path, other, sums).sum(axis=0)
    assert np.abs(scaled(changed - exact, exact)).max() > 0.03


def test_information_along_a_path_estimates_that_of_the_model():
    """A harmonic path filtered frame by frame, against the expectation without data."""
    stiffness, interval, frames = 50.0, 0.1, 1000
    memory = bcg.memory.Markovian(8.0)
    A, C = drift_of(memory, MASS, stiffness), stationary(memory, MASS, stiffness)
    F = scipy.linalg.expm(-A * interval)
    rng = np.random.default_rng(1)
    roots = [np.linalg.cholesky(matrix) for matrix in (C, C - F @ C @ F.T)]
    state = roots[0] @ rng.normal(size=(2, 8))
    x = np.empty((frames, 8))
    for n in range(frames):
        x[n], state = state[0], F @ state + roots[1] @ rng.normal(size=state.shape)
    errors = []
    for factor in (1.0, 1.5):  # control: data of another amplitude
        data = dataset(factor * x, interval, mass=MASS)
        potential = bcg.potentials.Harmonic(stiffness, 0.0)
        model, path = bcg.likelihoods.Path().prepare(bcg.Model(potential, memory), data)
        seen = path._frames(model, stretches(data, "positions"))
        blocks = information_of(path, model, seen)
        if factor == 1.0:
            expected = information_of(path, model, path.observe(model, data)).sum(axis=0)
        spread = np.sqrt(len(blocks)) * blocks.std(axis=0, ddof=1)
        used = np.diag(expected) > 0
        errors.append(np.abs(blocks.sum(axis=0) - expected)[used][:, used] / spread[used][:, used])
    # standard errors from blocks; nine elements
    assert errors[0].max() < 4
    assert errors[1].max() > 6
