"""Segments alike stand in for each other: value, gradient and bound of the log likelihood stay."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg.numerics.condensed_ends import condensed
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
from tests.numerics.test_statespace import random_model

SEGMENTS, PIECES, FRAMES, KNOWN, FEATURES = 400, 2, 40, 2, 1
MODEL = random_model(3, states=3, channels=KNOWN + FEATURES)
GRID = LagGrid(length=FRAMES // PIECES, dense=8, nodes_per_panel=4)
THETA = jnp.array([0.7])


@pytest.fixture(scope="module")
def gathered():
    """Lagged sums and ends of many short segments of two pieces."""
    rng = np.random.default_rng(2)
    series = rng.normal(size=(SEGMENTS, PIECES, FRAMES // PIECES, KNOWN + FEATURES))
    lags = [
        np.einsum("zpna,zpnb->ab", series[:, :, : series.shape[2] - lag], series[:, :, lag:])
        for lag in range(GRID.length + 1)
    ]
    sums = LagSums(
        jnp.asarray(lags[0]), jnp.asarray(GRID.gather(np.stack(lags[1:]))), jnp.asarray(SEGMENTS * FRAMES)
    )

    def ends(values):
        return Ends(jnp.asarray(values[..., :KNOWN]), jnp.asarray(values[..., KNOWN:]))

    nodes_first = np.moveaxis(series, 2, 0)
    length = FRAMES // PIECES
    pieces = Pieces(
        ends(GRID.gather(nodes_first)),
        ends(GRID.gather(nodes_first[::-1])),
        ends(rng.normal(size=(1, SEGMENTS, 1, KNOWN + FEATURES))),
        jnp.full((SEGMENTS, PIECES), 1),
        jnp.tile(jnp.arange(PIECES), (SEGMENTS, 1)),
        jnp.full(SEGMENTS, 2),
        jnp.tile(jnp.arange(PIECES), (SEGMENTS, 1)),
        (0, length, FRAMES),
        length,
        GRID,
        alike=True,
    )
    return sums, pieces


@eqx.filter_jit
def value_and_gradient(a, sums, pieces):
    def of(a):
        model = MODEL._replace(transition=a * MODEL.transition, output_noise=a * MODEL.output_noise)
        innovations = innovation_filter(model, GRID, pieces)
        form = log_likelihood_form(innovations, sums, pieces, THETA[:, None])
        return form.constant - 0.5 * form.matrix[0, 0], neglected(innovations, sums, pieces)

    return jax.value_and_grad(of, has_aux=True)(a)


def test_fewer_segments_have_the_same_log_likelihood(gathered):
    sums, pieces = gathered
    fewer = condensed(pieces)
    assert fewer.length.shape[0] < SEGMENTS / 1.5
    (value, bound), gradient = value_and_gradient(0.95, sums, pieces)
    (found, found_bound), found_gradient = value_and_gradient(0.95, sums, fewer)
    assert float(found) == pytest.approx(float(value), rel=1e-12)
    assert float(found_bound) == pytest.approx(float(bound), rel=1e-12)
    assert float(found_gradient) == pytest.approx(float(gradient), rel=1e-10)


def test_what_they_stand_for_is_seen(gathered):
    # negative controls: each counted once; and the first segments alone
    sums, pieces = gathered
    fewer = condensed(pieces)
    (value, _), _ = value_and_gradient(0.95, sums, pieces)
    once = dataclasses.replace(fewer, copies=1.0)
    count = fewer.length.shape[0]
    first = dataclasses.replace(
        fewer,
        **{
            name: jax.tree.map(lambda part: part[:, :count], getattr(pieces, name))
            for name in ("heads", "tails", "start")
        },
    )
    for wrong in (once, first):
        assert abs(float(value_and_gradient(0.95, sums, wrong)[0][0] - value)) > 1e-3 * abs(float(value))


def test_segments_that_differ_or_are_few_stay(gathered):
    _, pieces = gathered
    assert condensed(dataclasses.replace(pieces, alike=False)).length.shape[0] == SEGMENTS
    few = jax.tree.map(lambda part: part[:, :50], (pieces.heads, pieces.tails, pieces.start))
    few = dataclasses.replace(
        pieces,
        heads=few[0],
        tails=few[1],
        start=few[2],
        length=pieces.length[:50],
        offset=pieces.offset[:50],
        total=pieces.total[:50],
        block=pieces.block[:50],
    )
    assert condensed(few) is few


def test_condensed_segments_have_no_blocks(gathered):
    sums, pieces = gathered
    of_block = jax.tree.map(lambda part: part[None], sums)
    fewer = condensed(pieces)
    innovations = innovation_filter(MODEL, GRID, pieces)
    with pytest.raises(AssertionError, match="belong to no block"):
        log_likelihood_blocks(innovations, of_block, fewer, THETA)
