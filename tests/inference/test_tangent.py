"""Tangents are value and gradient in whitened coordinates, all that an engine knows of its starts."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from bayescg.inference.nuts_blackjax import BlackjaxEngine
from bayescg.inference.nuts_numpyro import NumpyroEngine
from bayescg.inference.tangent import tangents
from bayescg.inference.whitening import Whitening

SCALE = jnp.array([[2.0, 0.0, 0.0], [0.7, 0.1, 0.0], [-3.0, 0.4, 5.0]])
CENTER, POINTS = jnp.array([1.0, -2.0, 0.5]), jnp.array([[0.3, 0.2, 0.1], [4.0, -1.0, 2.0]])
WHITENING = Whitening(CENTER, lx.MatrixLinearOperator(SCALE), POINTS, jnp.zeros(2))


def density(u):
    return -jnp.sum(jnp.cosh(0.3 * u)) + u[0] * jnp.sin(u[1])


@pytest.fixture(scope="module")
def starts():
    return tangents([density] * 2, WHITENING, POINTS)


def test_value_and_gradient_are_those_in_whitened_coordinates(starts):
    z = np.linalg.solve(SCALE, (POINTS - CENTER).T).T
    values, gradients = jax.vmap(jax.value_and_grad(lambda z: density(CENTER + SCALE @ z)))(jnp.asarray(z))
    np.testing.assert_allclose(starts.point, z, rtol=1e-12)
    np.testing.assert_allclose(starts.value, values, rtol=1e-12)
    np.testing.assert_allclose(starts.gradient, gradients, rtol=1e-12)
    # control: the gradient by u is another
    assert not np.allclose(jax.vmap(jax.grad(density))(POINTS), gradients, rtol=0.1)


@pytest.mark.parametrize("engine", [BlackjaxEngine, NumpyroEngine])
def test_chains_start_with_value_and_gradient_of_the_density(engine, starts):
    state = engine(10, 0.8, 5, False).init(starts, jax.random.key(0))
    if engine is BlackjaxEngine:
        position, value, gradient = state.state
    else:
        position, value, gradient = state.z, -state.potential_energy, -state.z_grad
    np.testing.assert_array_equal(position, starts.point)
    np.testing.assert_array_equal(value, starts.value)
    np.testing.assert_array_equal(gradient, starts.gradient)
