"""Every likelihood of the package, and a user's own, in sums: each term's information is there and adds."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import bayescg as bcg
from bayescg.identifiability import information_product, term_information
from bayescg.interfaces import AbstractLikelihood
from tests.inference.small_problems import dense_rows, gaussian_prior, pair_data, spline_model
from tests.likelihoods.gle_data import dataset

STIFFNESS, FRICTION, MASS, INTERVAL = 50.0, 30.0, 10.0, 0.1
NAMES = ["Path", "Correlation", "Calorimeter"]
EXPECTED = [True, True, False]


class Calorimeter(AbstractLikelihood):
    """The logarithm of the stiffness, measured to some percent: a density, and no more is known of it."""

    error: float = eqx.field(static=True, default=0.05)

    def prepare(self, model, data):
        return model, self

    def observe(self, model, data):
        return jnp.asarray(data)

    def log_likelihood(self, model, observations):
        return jnp.sum(self.blocks(model, observations))

    def blocks(self, model, observations):
        return -0.5 * ((jnp.log(model.potential.stiffness) - jnp.log(observations)) / self.error) ** 2

    def default_priors(self, observations):
        return {}

    def coordinates(self, observations):
        return {}

    def datasets(self, observations):
        return {}


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    x = np.empty((2000, 1))
    decay = np.exp(-STIFFNESS / FRICTION * INTERVAL)
    spread = np.sqrt(bcg.units.thermal_energy(300.0) / STIFFNESS)
    x[0] = 0.0
    for n in range(1, len(x)):
        x[n] = decay * x[n - 1] + np.sqrt(1 - decay**2) * spread * rng.normal(size=1)
    v = rng.normal(size=x.shape) * np.sqrt(bcg.units.thermal_energy(300.0) / MASS)
    data = dataset(x, INTERVAL, v=v, mass=MASS)
    terms = bcg.likelihoods.Path().on(data.isel(frame=slice(0, 200)))
    terms = terms + bcg.likelihoods.Correlation(overdamped=True).on(data) + Calorimeter().on(np.full(8, 55.0))
    prior = {"potential.stiffness": dist.LogNormal(4.0, 1.0), "memory.friction": dist.LogNormal(3.0, 1.0)}
    return bcg.Problem(bcg.Model(bcg.potentials.Harmonic(center=0.0), bcg.memory.Markovian()), prior, terms)


@pytest.fixture(scope="module")
def found(problem):
    return bcg.identify(problem, {"potential.stiffness": STIFFNESS, "memory.friction": FRICTION})


def test_every_term_has_its_information_and_all_add(problem, found):
    assert [one.term for one in found.informations] == NAMES
    assert [one.expected for one in found.informations] == EXPECTED
    stiffness = list(found.experiment.names).index("potential.stiffness")
    own = np.zeros((2, 2))
    own[stiffness, stiffness] = 8 / 0.05**2
    np.testing.assert_allclose(found.informations[-1].matrix, own, rtol=1e-9, atol=1e-9)
    for one in found.informations:
        assert np.linalg.eigvalsh(one.matrix)[0] > -1e-9 * np.linalg.norm(one.matrix)
        assert np.trace(one.matrix) > 0
    # motion knows the friction too
    for one in found.informations[:2]:
        assert one.matrix[1 - stiffness, 1 - stiffness] > 1
    lower = np.linalg.cholesky(found.experiment.precision)
    white = np.linalg.solve(lower, np.linalg.solve(lower, found.matrix).T)
    information = np.linalg.eigvalsh(white)[::-1]
    np.testing.assert_allclose(found.spectrum["information"], information, rtol=1e-9)


def test_products_are_those_of_the_matrix(problem, found):
    u = jnp.asarray(found.experiment.point)
    product_of = eqx.filter_jit(information_product)
    for v in np.eye(2):
        product = product_of(problem, u, jnp.asarray(v))
        np.testing.assert_allclose(product, found.matrix @ v, rtol=1e-7)


def test_forces_and_motion_of_beads_add_up():
    """Spline coefficients from forces and from velocities, the friction from velocities alone."""
    data = pair_data(frames=40)
    beads = data.sizes["bead"]
    v = np.random.default_rng(1).normal(size=(40, beads, 3)) * np.sqrt(bcg.units.thermal_energy(300.0) / MASS)
    data["velocity"] = (("frame", "bead", "dim"), v, {"units": "nm/ps"})
    data["mass"] = ("bead", np.full(beads, MASS), {"units": "amu"})
    data = data.assign_coords(time=("frame", 0.1 * np.arange(40), {"units": "ps"}))
    data.attrs["temperature"] = 300.0
    matching = bcg.likelihoods.ForceMatching
    terms = matching().on(data) + matching(noise=bcg.likelihoods.StudentT(degrees=4.0)).on(data)
    terms = terms + bcg.likelihoods.Path(observed="velocities").on(data)
    prior = gaussian_prior() | {"memory.friction": dist.LogNormal(3.0, 1.0)}
    prior |= {f"likelihood.{i}.noise.scale": 5.0 for i in (0, 1)}
    made = bcg.Problem(bcg.Model(spline_model().potential, bcg.memory.Markovian()), prior, terms)
    found = bcg.identify(made, made.prior)
    assert [one.expected for one in found.informations] == [True, True, True]
    friction = list(found.experiment.names).index("memory.friction")
    assert [one.matrix[friction, friction] > 0 for one in found.informations] == [False, False, True]
    # forces of one noise: Student's t of four degrees has 5/7 of the Gaussian's information
    gaussian, student, path = (one.matrix for one in found.informations)
    np.testing.assert_allclose(student, gaussian * 5 / 7, rtol=1e-9, atol=1e-9)
    # kicks dt/2m (f_n + e^-u f_(n-1)) in noise of variance (1 - e^-2u) kT/m, by dense algebra
    spline = np.delete(np.arange(len(found.experiment.names)), friction)
    u = float(np.exp(found.experiment.point[friction])) * 0.1 / MASS
    rows = dense_rows(made, data)[0].reshape(40, -1, spline.size)
    kicks = 0.05 / MASS * (rows[1:] + np.exp(-u) * rows[:-1]).reshape(-1, spline.size)
    noise = (1 - np.exp(-2 * u)) * bcg.units.thermal_energy(300.0) / MASS
    np.testing.assert_allclose(path[np.ix_(spline, spline)], kicks.T @ kicks / noise, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.matrix, gaussian + student + path, rtol=1e-12)


def test_a_derivative_that_is_not_a_number_is_named_by_its_term(problem):
    with pytest.raises(bcg.BayescgError, match=r"Jacobian of .* must be finite, got NaN or infinity"):
        term_information(problem, jnp.full(2, 400.0))


def test_float32_inside_a_likelihood_is_refused():
    """A prediction whose own arithmetic is in float32, although JAX's default is float64."""

    def rough(theta):
        return (theta.astype(jnp.float32) ** 2).astype(jnp.float32)

    with pytest.raises(bcg.BayescgError, match="predictions must be in float64"):
        bcg.identify.from_prediction(rough, [1.0, 2.0], names=["a", "b"])
    with pytest.raises(bcg.BayescgError, match="the log likelihood must be in float64"):
        bcg.identify.from_log_density(lambda t: -jnp.sum(rough(t)), [1.0, 2.0], names=["a", "b"])
    with pytest.raises(bcg.BayescgError, match="jacobian must be in float64"):
        bcg.identify.from_jacobian(jnp.ones((2, 2), dtype=jnp.bfloat16), names=["a", "b"])
