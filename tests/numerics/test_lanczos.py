"""The largest eigenvalues by products alone, against dense algebra."""

import jax
import jax.numpy as jnp
import numpy as np

from bayescg.numerics.lanczos import largest_eigenpairs


def matrix(values, seed=0):
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values),) * 2))[0]
    return jnp.asarray(turn * values @ turn.T)


def test_leading_pairs_are_those_of_dense_algebra():
    A = matrix(np.geomspace(1e4, 1e-4, 150))
    found = largest_eigenpairs(lambda v: A @ v, 150, count=6, key=jax.random.key(0))
    dense = np.linalg.eigvalsh(A)[::-1]
    np.testing.assert_allclose(found.values, dense[:6], rtol=1e-9)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(6), atol=1e-10)
    actual = np.linalg.norm(found.vectors @ A - found.values[:, None] * found.vectors, axis=1)
    np.testing.assert_allclose(found.residuals, actual, rtol=1e-3, atol=1e-9)  # rounding of 1e4


def test_rank_deficiency_does_no_harm():
    A = matrix(np.concatenate([[5.0, 3.0], np.zeros(60)]))
    found = largest_eigenpairs(lambda v: A @ v, 62, count=4, key=jax.random.key(0))
    np.testing.assert_allclose(found.values, [5.0, 3.0, 0.0, 0.0], atol=1e-12)


def test_the_residual_bounds_the_error():
    """Too few products: values are off, and the residual says by how much at most."""
    values = np.linspace(1.0, 2.0, 300)
    A = matrix(values)
    found = largest_eigenpairs(lambda v: A @ v, 300, count=3, key=jax.random.key(0), steps=12)
    nearest = np.abs(np.asarray(found.values)[:, None] - values).min(axis=1)
    assert (nearest <= found.residuals).all()
    assert (found.residuals > 1e-4).all()
