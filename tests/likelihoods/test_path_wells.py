"""Path likelihoods in a double well: sums against the filter, whiteness, marginal coefficients, kicks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import bayescg as bcg
from bayescg.interfaces import AbstractSitePotential
from bayescg.likelihoods import Path
from bayescg.likelihoods.path_frames import PathFrames
from bayescg.memory import Markovian, Prony
from bayescg.model import Model
from tests.likelihoods.gle_data import dataset, simulate

MASS = 18.0
MEMORY = Prony(2, times=[0.1, 1.0], frictions=[30.0, 10.0])


class Quartic(AbstractSitePotential):
    """The double well's forces without saying that they are linear in the parameters."""

    coefficients: jax.Array
    cutoff: float = eqx.field(static=True, default=0.0)

    def prepare(self, support):
        return self

    def coordinates(self):
        return {}

    def site_energy(self, x):
        a, b = self.coefficients
        return -a * x**2 / 2 + b * x**4 / 4


def observed(model, data, **arguments):
    path = Path(arguments.pop("observed", "positions"), **arguments)
    model, path = path.prepare(model, data)
    return model, path, path.observe(model, data)


@pytest.fixture(scope="module")
def quartic():
    """Ten thousand frames in a double well, two modes."""
    x, v = simulate(
        MEMORY,
        MASS,
        force=lambda x: 40 * x - 400 * x**3,
        frames=10_000,
        interval=0.05,
        inner=5,
        start=0.3,
    )
    return x, v


@pytest.mark.parametrize("kind", ["positions", "velocities"])
def test_correlations_give_the_filter_on_ten_thousand_frames(quartic, kind):
    """Edges and gradient included; 1e-6 absolute."""
    x, v = quartic
    data, theta = dataset(x, 0.05, v=v, mass=MASS), jnp.array([38.0, 410.0])
    found = []
    for potential in (bcg.potentials.DoubleWell(0.0, theta), Quartic(theta)):
        model, path, seen = observed(Model(potential, MEMORY), data, observed=kind)

        @eqx.filter_jit
        def value_and_gradient(model, path=path, seen=seen):
            return eqx.filter_value_and_grad(lambda m: path.log_likelihood(m, seen))(model)

        value, gradient = value_and_gradient(model)
        found.append(
            (float(value), gradient.potential.coefficients, gradient.memory.times, gradient.memory.frictions)
        )
        assert isinstance(seen, PathFrames) == isinstance(potential, Quartic)
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)
    for one, other in zip(found[0][1:], found[1][1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7)


def test_innovations_are_white_under_the_truth_alone(quartic):
    x, v = quartic
    data = dataset(x, 0.05, v=v, mass=MASS)
    well = bcg.potentials.DoubleWell(0.0, [40.0, 400.0])
    lags = 5

    def correlations(memory, kind):
        model, path, _ = observed(Model(well, memory), data, observed=kind)
        e = path.innovations(model, data)[0][0, 0]
        return e.var(), np.array([np.mean(e[lag:] * e[:-lag]) for lag in range(1, lags + 1)])

    # 10^4 independent numbers: correlations within 4.5/sqrt(10^4); variance within 4.5 sqrt(2/10^4) and
    # the error of kicks at this interval
    variance, white = correlations(MEMORY, "velocities")
    assert abs(variance - 1) < 0.07
    assert np.abs(white).max() < 0.045
    _, coloured = correlations(Markovian(40.0), "velocities")
    assert np.abs(coloured).max() > 0.1


def test_coefficients_are_integrated_out(quartic):
    """The quadratic form is the log likelihood, and Conjugate runs end to end."""
    x, _ = quartic
    data = dataset(x[:3000], 0.05, mass=MASS)
    model = Model(bcg.potentials.DoubleWell(0.0), MEMORY)
    prior = {"potential.coefficients": dist.Normal(0.0, 1000.0).expand([2]).to_event(1)}
    problem = bcg.Problem(model, prior, Path().on(data))
    theta = jnp.array([35.0, 380.0])
    joint = problem.with_values({"potential.coefficients": theta})
    path, seen = joint.likelihoods[0], problem.observations[0]
    form = path.quadratic_form(joint.model, seen)
    by_form = form.constant + form.linear @ theta - 0.5 * theta @ form.precision @ theta
    assert float(by_form) == pytest.approx(float(path.log_likelihood(joint.model, seen)), abs=1e-7)
    posterior = bcg.sample(problem, bcg.Conjugate(chains=2, draws=200), key=jax.random.key(0))
    draws = posterior["posterior"]["potential.coefficients"].values.reshape(-1, 2)
    truth = np.array([40.0, 400.0])
    # 3000 frames at dt = 0.05: 4 standard deviations of the posterior
    assert np.all(np.abs(draws.mean(axis=0) - truth) < 4 * draws.std(axis=0))
    assert np.all(draws.std(axis=0) < 0.5 * truth)


def best_coefficients(x, interval, noise=None, truth=(40.0, 400.0)):
    """Maximum of the likelihood over the well's coefficients, and its standard deviations."""
    model = Model(bcg.potentials.DoubleWell(0.0, truth), MEMORY)
    model, path, seen = observed(model, dataset(x, interval, mass=MASS), measurement_noise=noise)
    form = eqx.filter_jit(path.quadratic_form)(model, seen)
    return np.linalg.solve(form.precision, form.linear), np.sqrt(np.diag(np.linalg.inv(form.precision)))


def test_a_spring_for_reference_makes_long_intervals_usable(monkeypatch):
    """At 0.1 ps, an eighth of the period in a well, splitting all of the force loses a part of it."""
    truth = np.array([200.0, 2000.0])
    x, _ = simulate(
        MEMORY,
        MASS,
        force=lambda x: 200 * x - 2000 * x**3,
        frames=6000,
        interval=0.1,
        inner=8,
        start=0.3,
        series=4,
    )
    with_spring, deviations = best_coefficients(x, 0.1, truth=truth)
    monkeypatch.setattr("bayescg.likelihoods.path.mean_curvature", lambda parts: 0.0)
    without, _ = best_coefficients(x, 0.1, truth=truth)
    error, naive = (np.abs(found / truth - 1)[1] for found in (with_spring, without))
    assert error < 0.02 + 3 * deviations[1] / truth[1]
    assert naive > error


def test_noise_of_measurement_flattens_a_well_a_little():
    """Forces are taken at measured positions: a bias of the order of noise² over the width² of a well."""
    x, _ = simulate(
        MEMORY,
        MASS,
        force=lambda x: 40 * x - 400 * x**3,
        frames=8000,
        interval=0.05,
        inner=4,
        start=0.3,
        series=4,
    )
    noise = 0.01
    y = x + noise * np.random.default_rng(0).normal(size=x.shape)
    known, deviations = best_coefficients(y, 0.05, noise)
    # (0.01/0.3)², a part in a thousand: far under the deviation
    assert np.all(np.abs(known - (40, 400)) < 4 * deviations)
    # control: noise that is left out is taken for memory and force
    ignored, narrow = best_coefficients(y, 0.05, None)
    assert np.any(np.abs(ignored - (40, 400)) > 10 * narrow)
