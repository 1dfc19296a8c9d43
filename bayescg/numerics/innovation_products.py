"""Sums of products of two filters' innovations, from lagged sums of the inputs that both of them see.

As the energy of one filter (`bayescg.numerics.innovations`), with a response of its own on either side:

    Σ_n e_n e'_n = Σ_jk [r_jk(0) C_jk(0) + Σ_(l>0) r_jk(l) C_jk(l)],
    r_jk(0) = D_j D'_k + B_j' W B'_k,            W = c'c' + Φ' W Φ',
    r_jk(l) = -ρ_k' Φ^(l-1) B_j - ρ'_k' Φ'^(l-1) B'_j,      ρ = c D' - Φ' W B',

and at the ends of pieces -mu ζ - mu' ζ' + mu' W mu' of the states handed on. The mixed derivative of the
product by the parameters of both filters is the sum of the products of derivatives,

    ∂_a ∂'_b Σ_n e_n e'_n = Σ_n ∂_a e_n ∂_b e_n,

from which the Fisher information of a path follows, whatever its length.
"""

import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.numerics.innovations import InnovationFilter, LagSums, Pieces


def innovation_products(
    first: tuple[InnovationFilter, Float[Array, " feature"]],
    second: tuple[InnovationFilter, Float[Array, " feature"]],
    *,
    sums: LagSums,
    pieces: Pieces,
) -> Float[Array, " block"]:
    """Σ_n e_n e'_n of every block, of the steady filters; pure.

    Args:
        first: a filter, and the coefficients of the features.
        second: another one, on the same grid.
        sums: of every block, with a leading block axis.
        pieces: their ends.
    """
    (one, theta), (two, other) = first, second
    W = _cross_gramian(one, two)
    of_one, of_two = _response(one, two, W), _response(two, one, W.T)
    products = jax.vmap(lambda part: _whole(one, two, W, (of_one, of_two), part, (theta, other)))(sums)
    mu, nu = one.states(pieces, theta[:, None])[0][..., 0], two.states(pieces, other[:, None])[0][..., 0]
    zeta, eta = _heads(one, of_one, pieces, other), _heads(two, of_two, pieces, theta)
    rings = jnp.einsum("zps,st,zpt->zp", mu, W, nu)
    ends = rings[:, :-1] - rings[:, 1:]
    ends = ends - jnp.sum(mu[:, :-1] * zeta, axis=-1) - jnp.sum(nu[:, :-1] * eta, axis=-1)
    return products + pieces.in_blocks(ends, sums.frames.shape[0])


def _cross_gramian(one: InnovationFilter, two: InnovationFilter) -> Float[Array, "state state"]:
    """W = c'c' + Φ' W Φ', by its linear equations: states are few."""
    A, B = one.steady.closed_loop.T, two.steady.closed_loop.T
    source = jnp.outer(one.model.readout, two.model.readout)
    found = jnp.linalg.solve(jnp.eye(source.size) - jnp.kron(A, B), source.ravel())
    return found.reshape(source.shape)


def _response(one: InnovationFilter, two: InnovationFilter, W: Array) -> Float[Array, "state channel"]:
    """ρ of the first filter's state through the second's innovations."""
    loop = one.steady.closed_loop
    return jnp.outer(one.model.readout, two.model.feedthrough) - loop.T @ W @ two.steady.inputs


def _whole(
    one: InnovationFilter,
    two: InnovationFilter,
    W: Array,
    responses: tuple[Array, Array],
    sums: LagSums,
    thetas: tuple[Array, Array],
) -> Float[Array, ""]:
    """The sum of the whole responses, ringing included."""
    known = one.model.feedthrough.size - 1
    theta, other = (_mixing(coefficients, known) for coefficients in thetas)
    r0 = jnp.outer(one.model.feedthrough, two.model.feedthrough)
    r0 = r0 + one.steady.inputs.T @ W @ two.steady.inputs
    total = jnp.einsum("jk,ja,ab,kb->", r0, theta, sums.zero, other)
    # the earlier input is the first filter's, then the second's
    sent = -jnp.einsum("sk,qst,tj->qjk", responses[0], one.powers, one.steady.inputs)
    total += jnp.einsum("qjk,ja,qab,kb->", sent, theta, sums.lags, other)
    sent = -jnp.einsum("sk,qst,tj->qjk", responses[1], two.powers, two.steady.inputs)
    return total + jnp.einsum("qjk,ja,qab,kb->", sent, other, sums.lags, theta)


def _heads(one: InnovationFilter, response: Array, pieces: Pieces, theta: Array) -> Array:
    """ζ of every piece: Σ_m Φ'^m ρ s(m), (segment, piece, state)."""
    table = jnp.einsum("qst,sj->tqj", one.end_powers, response)
    found = jnp.einsum("sqk,qzpk->zps", table[..., :-1], pieces.heads.known)
    return found + jnp.einsum("sq,qzpf,f->zps", table[..., -1], pieces.heads.features, theta)


def _mixing(theta: Float[Array, " feature"], known: int) -> Float[Array, "channel series"]:
    """Channels as sums of series: known ones as they are, the last of all features."""
    top = jnp.concatenate([jnp.eye(known), jnp.zeros((known, theta.size))], axis=1)
    return jnp.concatenate([top, jnp.concatenate([jnp.zeros(known), theta])[None]])
