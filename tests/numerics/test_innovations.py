"""The log likelihood from lagged sums against the exact filter, frame by frame: edges and gradient too."""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg.numerics.correlation import correlation_sums
from bayescg.numerics.filtering import filter_chunks
from bayescg.numerics.innovations import (
    Ends,
    LagSums,
    Pieces,
    innovation_filter,
    log_likelihood_blocks,
    log_likelihood_form,
    neglected,
)
from bayescg.numerics.lags import LagGrid
from bayescg.numerics.statespace import kalman_filter
from tests.numerics.test_statespace import random_model

FRAMES, KNOWN, FEATURES, PIECES = 700, 2, 2, 3
THETA = jnp.array([0.7, -1.3])
# sums of 10^3 squares of order one, by FFT: 1e-16 x 10^3 x conditioning of the filter
TOLERANCE = 1e-8
MODEL = random_model(3, states=3, channels=KNOWN + 1)


@functools.cache
def inputs():
    rng = np.random.default_rng(5)
    return rng.normal(size=(FRAMES, KNOWN + FEATURES)), rng.normal(size=KNOWN + FEATURES)


def scaled(a):
    """The model at a parameter."""
    return MODEL._replace(transition=a * MODEL.transition, output_noise=a * MODEL.output_noise)


def gathered(grid, ends_grid=None, pieces=PIECES):
    """Lagged sums of every piece, and their ends."""
    series, start = inputs()
    ends_grid = ends_grid or grid
    cuts = np.linspace(0, FRAMES, pieces + 1).astype(int)
    parts = [series[a:b] for a, b in itertools.pairwise(cuts)]
    lagged = [correlation_sums(part, grid.length) for part in parts]
    blocks = LagSums(
        jnp.stack([c[0] for c in lagged]),
        jnp.stack([grid.gather(c[1:]) for c in lagged]),
        jnp.array([float(len(part)) for part in parts]),
    )
    exponents = tuple(sorted({*np.diff(cuts).tolist(), *cuts.tolist()}))

    def place(values):
        return jnp.array([[exponents.index(value) for value in values]])

    def ends(values):
        values = jnp.asarray(values)
        return Ends(values[..., :KNOWN], values[..., KNOWN:])

    return blocks, Pieces(
        ends(np.stack([ends_grid.gather(part) for part in parts], axis=1)[:, None]),
        ends(np.stack([ends_grid.gather(part[::-1]) for part in parts], axis=1)[:, None]),
        ends(start[None, None, None]),
        place(np.diff(cuts)),
        place(cuts[:-1]),
        place([FRAMES])[0],
        jnp.arange(pieces)[None],
        exponents,
        int(np.diff(cuts).max()),
        ends_grid,
    )


def exact(a, theta):
    series, start = inputs()

    def channels(values):
        return jnp.concatenate([values[..., :KNOWN], values[..., KNOWN:] @ theta[:, None]], axis=-1)

    return kalman_filter(
        scaled(a), channels(jnp.asarray(series)), channels(jnp.asarray(start))
    ).log_likelihood


def by_sums(a, theta, grid, blocks, pieces):
    innovations = innovation_filter(scaled(a), grid, pieces)
    total = jax.tree.map(lambda column: column.sum(axis=0), blocks)
    form = log_likelihood_form(innovations, total, pieces, theta[:, None])
    return form.constant - 0.5 * form.matrix[0, 0]


@functools.cache
def reference():
    return jax.jit(jax.value_and_grad(exact, (0, 1)))(0.95, THETA)


@pytest.mark.parametrize("dense", [256, 64])
def test_log_likelihood_and_gradient_are_the_exact_filters(dense):
    grid = LagGrid(length=FRAMES, dense=dense, nodes_per_panel=32)
    blocks, pieces = gathered(grid)
    value, gradient = eqx.filter_jit(jax.value_and_grad(by_sums, (0, 1)))(0.95, THETA, grid, blocks, pieces)
    expected, expected_gradient = reference()
    assert float(value) == pytest.approx(float(expected), abs=TOLERANCE)
    np.testing.assert_allclose(gradient[0], expected_gradient[0], rtol=1e-8)
    np.testing.assert_allclose(gradient[1], expected_gradient[1], rtol=1e-8)


def test_form_and_blocks_say_the_same():
    grid = LagGrid(length=FRAMES, dense=256)
    blocks, pieces = gathered(grid)
    innovations = innovation_filter(scaled(0.95), grid, pieces)
    total = jax.tree.map(lambda column: column.sum(axis=0), blocks)
    mixing = jnp.concatenate([jnp.zeros((FEATURES, 1)), jnp.eye(FEATURES)], axis=1)
    form = log_likelihood_form(innovations, total, pieces, mixing)
    vector = jnp.concatenate([jnp.ones(1), THETA])
    expected = float(reference()[0])
    assert float(form.constant - 0.5 * vector @ form.matrix @ vector) == pytest.approx(
        expected, abs=TOLERANCE
    )
    of_blocks = log_likelihood_blocks(innovations, blocks, pieces, THETA)
    assert of_blocks.shape == (PIECES,)
    assert float(of_blocks.sum()) == pytest.approx(expected, abs=TOLERANCE)
    assert float(neglected(innovations, total, pieces)) < TOLERANCE


def test_ends_left_out_are_missed():
    # the negative control: without the ends the sums see the ringing and a start from nothing
    grid = LagGrid(length=FRAMES, dense=256)
    blocks, pieces = gathered(grid)
    without = eqx.tree_at(
        lambda p: (p.heads, p.tails), pieces, replace_fn=lambda e: jax.tree.map(jnp.zeros_like, e)
    )
    assert abs(float(by_sums(0.95, THETA, grid, blocks, without) - reference()[0])) > 0.1


def test_memory_beyond_the_grid_is_never_silent():
    # 80 lags for a closed loop that forgets over 10^3 frames
    grid = LagGrid(length=80, dense=64)
    blocks, pieces = gathered(grid, pieces=1)
    slow = MODEL._replace(
        transition=0.999 * jnp.eye(3), readout=1e-3 * MODEL.readout, cross_noise=jnp.zeros(3)
    )
    innovations = innovation_filter(slow, grid, pieces)
    total = jax.tree.map(lambda column: column.sum(axis=0), blocks)
    assert float(neglected(innovations, total, pieces)) == np.inf
    # and a fast one on the same grid is not complained about
    fast = slow._replace(transition=0.3 * jnp.eye(3))
    assert float(neglected(innovation_filter(fast, grid, pieces), total, pieces)) < 1e-6


def test_chunks_give_the_exact_filter():
    series, start = inputs()
    channels = jnp.asarray(series[:, : KNOWN + 1])
    first = jnp.asarray(start[: KNOWN + 1])
    expected = kalman_filter(scaled(0.95), channels, first).log_likelihood
    both = filter_chunks(scaled(0.95), jnp.stack([channels, channels]), jnp.stack([first, first]))
    assert float(both.log_likelihood.sum()) == pytest.approx(2 * float(expected), rel=1e-11)
