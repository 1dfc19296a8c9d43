"""A steady filter along series, chunk after chunk: for inputs that change with every parameter.

Within a chunk the innovations are a convolution, one product with a triangular matrix of responses; from
chunk to chunk only the state is handed on,

    e = T s - O mu,        O = (c Φ^l),  T_ln = h(l - n),        mu <- Φ^C mu + Σ_l Φ^(C-1-l) B s_l,

so that a scan makes one step for `CHUNK` frames. The uncertain start is integrated out as in `innovations`,
which makes the log likelihood that of the exact filter with its varying gain.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float
from bayescg.numerics.lags import matrix_powers
from bayescg.numerics.riccati import lyapunov, steady_state
from bayescg.numerics.statespace import StateSpace

CHUNK = 64
"""Frames of a chunk: products of 64 x 64 matrices cost as much as the scan's own step."""


class Chunks(NamedTuple):
    """What the filter returns.

    Attributes:
        log_likelihood: of every chunk, the start counted in the first.
        innovations: e_n of the steady filter.
    """

    log_likelihood: Float[Array, " chunk"]
    innovations: Float[Array, "segment frame"]


def filter_chunks(
    model: StateSpace,
    inputs: Float[Array, "segment frame channel"],
    start: Float[Array, "segment channel"],
) -> Chunks:
    """The log likelihood of segments of one length; pure.

    Args:
        model: state space.
        inputs: s_n of every segment.
        start: values that the mean of the state starts from.

    Example:
        >>> import jax.numpy as jnp
        >>> from bayescg.numerics.statespace import kalman_filter
        >>> one, zero = jnp.ones((1, 1)), jnp.zeros((1, 1))
        >>> noise = (jnp.array(1.0), jnp.zeros(1), 0.1 * one)
        >>> model = StateSpace(0.9 * one, one[0], zero, jnp.ones(1), *noise, start=one, start_inputs=zero)
        >>> s = jnp.sin(jnp.arange(100.0))[:, None]
        >>> exact = kalman_filter(model, s, jnp.zeros(1)).log_likelihood
        >>> by_chunks = filter_chunks(model, s[None], jnp.zeros((1, 1))).log_likelihood.sum()
        >>> bool(jnp.allclose(exact, by_chunks, rtol=1e-12))
        True
    """
    segments, frames, channels = inputs.shape
    count = -(-frames // CHUNK)
    steady = steady_state(model)
    loop, c, B, S = steady.closed_loop, model.readout, steady.inputs, steady.variance
    powers = matrix_powers(loop, np.arange(CHUNK + 1))
    O = jnp.einsum("s,lst->lt", c, powers[:-1])
    T = _responses(model.feedthrough, O @ B)
    sent = jnp.einsum("lst,tj->lsj", powers[:-1][::-1], B)
    padded = jnp.pad(inputs, ((0, 0), (0, count * CHUNK - frames), (0, 0)))
    chunks = padded.reshape(segments, count, CHUNK, channels).transpose(1, 0, 2, 3)
    present = jnp.asarray(np.arange(count * CHUNK).reshape(count, CHUNK) < frames)

    def step(state: tuple[Array, Array, Array], chunk: tuple[Array, Array]) -> tuple[tuple, Array]:
        mu, before, beta = state
        s, there = chunk
        e = jnp.einsum("lnj,znj->zl", T, s) - mu @ O.T
        e = jnp.where(there, e, 0.0)
        beta = beta + (e @ O) @ before
        mu = mu @ powers[-1].T + jnp.einsum("lsj,zlj->zs", sent, s)
        return (mu, powers[-1] @ before, beta), e

    mu = start @ model.start_inputs.T
    begin = (mu, jnp.eye(loop.shape[0]), jnp.zeros_like(mu))
    (_, _, beta), e = jax.lax.scan(step, begin, (chunks, present))
    energies = jnp.sum(e**2, axis=(1, 2))
    rows = segments * jnp.sum(present, axis=1)
    log_det, due = _uncertain_start(model, steady.covariance, loop, S, beta, frames)
    blocks = rows * jnp.log(2 * jnp.pi * S) + energies / S
    blocks = blocks.at[0].add(segments * log_det - due)
    return Chunks(-0.5 * blocks, e.transpose(1, 0, 2).reshape(segments, -1)[:, :frames])


def _responses(feedthrough: Array, later: Array) -> Array:
    """T (row, input row, channel): D on the diagonal, -c Φ^(l-n-1) B below it."""
    response = jnp.concatenate([feedthrough[None], -later[:-1]])
    delay = np.arange(CHUNK)[:, None] - np.arange(CHUNK)[None]
    return jnp.where(jnp.asarray(delay >= 0)[..., None], response[np.maximum(delay, 0)], 0.0)


def _uncertain_start(
    model: StateSpace, covariance: Array, loop: Array, S: Array, beta: Array, frames: int
) -> tuple[Array, Array]:
    """Log det(1 + Δ G) of one segment, and Σ β' Δ (1 + G Δ)^-1 β / S² over all."""
    c = model.readout
    W = lyapunov(loop.T, jnp.outer(c, c))
    end = matrix_powers(loop, np.array([frames]))[0]
    G = (W - end.T @ W @ end) / S
    delta = model.start - covariance
    inverse = jnp.linalg.inv(jnp.eye(c.size) + G @ delta)
    weight = delta @ inverse
    return -jnp.linalg.slogdet(inverse)[1], jnp.einsum("zs,st,zt->", beta, weight, beta) / S**2
