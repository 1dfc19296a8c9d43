"""The density of a memory around one simulation, where the answer to a change of the kernel is exact."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg
from bayescg.inference import with_memory
from bayescg.predict import matching
from bayescg.predict.matching import Curve, Matched, kernel_of
from bayescg.predict.maximum import likeliest

MASS, TEMPERATURE = 18.0, 300.0
TIMES = 0.01 * np.arange(61)
SIMULATED, TRUE = ([0.05], [60.0]), ([0.1], [150.0])
"""Times (ps) and frictions (amu/ps) of one exponential: of the simulation, and of the data."""


def free_correlation(times, frictions):
    """c(t) of a free bead with one exponential, from the eigenvalues of (v, z)."""
    strength = frictions[0] / times[0]
    drift = np.array([[0.0, -np.sqrt(strength) / MASS], [np.sqrt(strength), 1 / times[0]]])
    values, vectors = np.linalg.eig(drift)
    weights = vectors[0] * np.linalg.inv(vectors)[:, 0]
    return np.real(np.exp(-np.outer(TIMES, values)) @ weights)


def curve(values, error=1e-3):
    return Curve(jnp.asarray(TIMES), jnp.asarray(values), error**2 * jnp.eye(len(TIMES) - 1), 0.0)


@pytest.fixture(scope="module")
def memory():
    model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=8))
    term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
    problem = bcg.Problem(model, bcg.priors.default(model), term)
    whole = with_memory(problem, bcg.memory.Prony(1), bcg.data.water_dynamics(frames=20))
    return whole.part((), whole.prior.only(lambda path: path.startswith("memory.")))


def matched(memory, *, response=1.0):
    values = {"memory.times": jnp.array(SIMULATED[0]), "memory.frictions": jnp.array(SIMULATED[1])}
    eta = memory.unconstrain(values)
    kernel, friction = kernel_of(memory, eta, jnp.asarray(TIMES))
    return Matched(
        memory=memory,
        data=curve(free_correlation(*TRUE)),
        simulated=curve(free_correlation(*SIMULATED)),
        center=eta,
        kernel=kernel,
        friction=friction,
        response=jnp.asarray(response),
        mass=jnp.asarray(MASS),
        width=jnp.asarray(0.05),
    )


def test_the_mode_is_the_memory_of_the_data(memory):
    """The trapezoid rule's error, 1e-4 of c, moves the parameters by less than a few percent."""
    target = matched(memory)
    found = memory.constrain(likeliest(target, target.center, key=jax.random.key(1)))
    np.testing.assert_allclose(found["memory.times"], TRUE[0], rtol=0.03)
    np.testing.assert_allclose(found["memory.frictions"], TRUE[1], rtol=0.03)


def test_a_simulation_that_answers_half_as_strongly_is_seen(memory):
    target = matched(memory, response=0.5)
    found = memory.constrain(likeliest(target, target.center, key=jax.random.key(1)))
    assert abs(float(found["memory.frictions"][0]) - TRUE[1][0]) > 0.2 * TRUE[1][0]


def test_the_prediction_at_the_simulation_is_the_simulation(memory):
    target = matched(memory)
    np.testing.assert_allclose(target.predicted(target.center), target.simulated.values, atol=1e-14)


class FreeIntegral(Matched):
    """With a discrepancy that has an integral."""

    def _covariance(self, size):
        smooth = matching.discrepancy_shape(self.data.times[1:], self.width)
        return self.data.covariance * 2 + size**2 * (smooth + 0.1 * jnp.ones_like(smooth))


def test_the_integral_is_matched_where_the_shape_cannot_be(memory):
    """One exponential against a function that rings: D must agree within its statistical error."""
    shape = np.exp(-TIMES / 0.08) * np.cos(9.0 * TIMES) + 0.02 * TIMES * np.exp(-TIMES / 0.1)
    target = eqx.tree_at(lambda t: t.data, matched(memory), curve(shape))
    weights = np.append(np.ones(len(TIMES) - 2), 0.5)  # trapezoid rule after lag zero
    error = np.sqrt(weights @ (target.data.covariance + target.simulated.covariance) @ weights)

    def off(target):
        found = likeliest(target, target.center, key=jax.random.key(1))
        return abs(weights @ np.asarray(target.predicted(found) - target.data.values)[1:]) / error

    assert off(target) < 4
    # control: a discrepancy with an integral takes it over
    assert off(FreeIntegral(**vars(target))) > 4


def test_density_and_gradient_are_finite_around_the_simulation(memory):
    target = matched(memory)
    value, slope = jax.value_and_grad(target.log_density)(target.initial(jax.random.key(0)))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
