"""Sums over lags from a grid, against the sums themselves."""

import jax.numpy as jnp
import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.numerics.lags import LagGrid, matrix_powers

GRID = LagGrid(length=20_000, dense=128, nodes_per_panel=32)


@pytest.mark.parametrize("decay", [0.3, -0.7, 0.99, 0.9999, 1 - 1e-6, 0.9 * np.exp(1j), 0.98 * np.exp(0.05j)])
def test_sums_with_powers_are_kept(decay):
    values = np.random.default_rng(0).normal(size=20_000)
    powers = decay ** np.arange(20_000)
    exact, size = powers @ values, np.abs(powers).sum()
    assert abs(decay**GRID.nodes @ GRID.gather(values) - exact) < 1e-6 * size


def test_what_it_cannot_keep_is_seen():
    # oscillates for thousands of frames: the sum is wrong, and the error says so
    angle, fall = 0.5, 0.9995
    matrix = fall * jnp.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    powers = [matrix_powers(matrix, lags) for lags in (GRID.nodes, GRID.checks)]
    bound = float(GRID.interpolation_error(*powers).max())
    lags = np.arange(20_000)
    values = np.cos(angle * lags)
    kept = (fall**GRID.nodes * np.cos(angle * GRID.nodes)) @ GRID.gather(values)
    exact = (fall**lags * np.cos(angle * lags)) @ values
    assert abs(kept - exact) > 1.0
    assert bound > abs(kept - exact)


def test_powers_of_a_matrix():
    matrix, exponents = np.array([[0.9, 0.2], [-0.3, 0.8]]), np.array([0, 1, 2, 7, 100])
    exact = [np.linalg.matrix_power(matrix, n) for n in exponents]
    np.testing.assert_allclose(matrix_powers(jnp.asarray(matrix), exponents), exact, rtol=1e-12)


@pytest.mark.parametrize(("length", "dense"), [(20_000, 128), (1000, 128), (100, 128), (50, 64), (1, 64)])
def test_powers_grow_from_their_seeds(length, dense):
    grid = LagGrid(length=length, dense=dense)
    matrix = np.array([[0.9, 0.2], [-0.3, 0.8]])
    exact = [np.linalg.matrix_power(matrix, n) for n in grid.nodes]
    grown = grid.grown(matrix_powers(jnp.asarray(matrix), grid.seeds))
    np.testing.assert_allclose(grown, exact, rtol=1e-10, atol=1e-300)


def test_too_few_single_lags_are_refused():
    with pytest.raises(BayescgError, match="dense must be a whole number of at least 64"):
        LagGrid(length=10, dense=32)
