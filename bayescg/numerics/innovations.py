"""The log likelihood of a linear filter from lagged sums of its inputs: any length of data at one cost.

The innovations of a steady filter are its inputs, convolved with responses that die out,

    e_n = Σ_j Σ_l h_j(l) s_j(n - l),        h_j(0) = D_j,  h_j(l) = -c Φ^(l-1) B_j,

so that the sum of their squares needs the lagged sums C_jk(l) = Σ_n s_j(n) s_k(n + l) alone,

    Σ_n e_n² = Σ_jk [r_jk(0) C_jk(0) + 2 Σ_(l>0) r_jk(l) C_jk(l)],
    r_jk(0) = D_j D_k + B_j' W B_k,    r_jk(l) = -ρ_k' Φ^(l-1) B_j,
    W = c'c + Φ' W Φ,                  ρ = c' D - Φ' W B.

That sum runs on for ever; the ends of a piece of data are put right exactly. What still rings after its
end has the energy mu' W mu of the state mu = Σ_k Φ^k B s(end - k) left behind; a piece that starts from a
state mu_0 instead of zero adds -2 mu_0' ζ + mu_0' W mu_0, with ζ = Σ_m Φ'^m ρ s(m) of its head. Pieces
of one segment hand on their state. At the start of a segment the covariance P_0 of the state is not the
steady P: with Δ = P_0 - P, G = Σ_n Φ'^n c'c Φ^n / S over the segment, and β = Σ_n Φ'^n c' e_n,

    log L = -1/2 [N log 2πS + Σ e²/S + log det(1 + Δ G) - β' Δ (1 + G Δ)^-1 β / S²],

the exact filter's log likelihood to rounding error, its varying gain included (an uncertain start shifts
the innovations by c Φ^n δ; δ is integrated out).

Inputs are known series, one for each of the first channels, and features that share the last channel with
unknown coefficients θ: all of it is a quadratic form in (1, θ).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float, Int
from bayescg.numerics.lags import LagGrid, matrix_powers
from bayescg.numerics.riccati import SteadyState, lyapunov, steady_state
from bayescg.numerics.statespace import StateSpace

SLOWEST_FALL = 0.5
"""Decay over the second half of the grid, above which what lies beyond is not bounded."""


class LagSums(NamedTuple):
    """Lagged sums of the input series, with or without a leading block axis.

    Attributes:
        zero: C_jk(0).
        lags: C_jk(l + 1) at the nodes of the grid.
        frames: number of innovations.
    """

    zero: Float[Array, "series series"]
    lags: Float[Array, "node series series"]
    frames: Float[Array, ""]


class Ends(NamedTuple):
    """Inputs at one end of every piece, gathered at the nodes of the pieces' grid.

    Attributes:
        known: of the known series.
        features: of the features.
    """

    known: Float[Array, "node segment piece series"]
    features: Float[Array, "node segment piece feature"]


class Pieces(eqx.Module):
    """The ends of every piece of every segment.

    Attributes:
        heads: the first inputs.
        tails: the last inputs, backwards.
        start: one node of values that the mean of the state starts from.
        length: of every piece, its place in `exponents`.
        offset: frames before it, likewise.
        total: frames of the segment, likewise.
        block: that a piece belongs to.
        exponents: the different numbers of frames.
        longest: frames of the longest piece.
        grid: of lags, for heads and tails.
        alike: whether all segments have the same numbers of frames; ends then count by their second
            moments alone, see `condensed`.
        copies: segments that each of these stands for; one unless condensed.
    """

    heads: Ends
    tails: Ends
    start: Ends
    length: Int[Array, "segment piece"]
    offset: Int[Array, "segment piece"]
    total: Int[Array, " segment"]
    block: Int[Array, "segment piece"]
    exponents: tuple[int, ...] = eqx.field(static=True)
    longest: int = eqx.field(static=True)
    grid: LagGrid
    alike: bool = eqx.field(static=True, default=False)
    copies: float = eqx.field(static=True, default=1.0)

    def in_blocks(self, values: Float[Array, "segment piece ..."], count: int) -> Float[Array, "block ..."]:
        """Sums over the pieces of every block.

        Args:
            values: of every piece.
            count: of blocks.
        """
        assert self.copies == 1.0, "condensed segments belong to no block"
        return jax.ops.segment_sum(values.reshape(-1, *values.shape[2:]), self.block.ravel(), count)


class Form(NamedTuple):
    """A log likelihood as a function of columns, of which the coefficients' are a part.

    Attributes:
        constant: what does not depend on the data.
        matrix: T; the log likelihood is constant - 1/2 Σ_ab T_ab.
    """

    constant: Float[Array, ""]
    matrix: Float[Array, "column column"]


class InnovationFilter(eqx.Module):
    """A steady filter, ready to be applied to lagged sums.

    Attributes:
        model: the state space.
        steady: its steady state.
        gramian: W.
        correlation: ρ.
        powers: Φ^l at the nodes of the grid.
        end_powers: Φ^l at the nodes of the pieces' grid.
        spans: Φ^l at the pieces' numbers of frames.
        left_out: Σ |Φ^l - what stands for it|, over all lags.
        end_left_out: likewise on the pieces' grid.
    """

    model: StateSpace
    steady: SteadyState
    gramian: Float[Array, "state state"]
    correlation: Float[Array, "state channel"]
    powers: Float[Array, "node state state"]
    end_powers: Float[Array, "node state state"]
    spans: Float[Array, "span state state"]
    left_out: Float[Array, "state state"]
    end_left_out: Float[Array, "state state"]

    def energy(self, sums: LagSums, mixing: Float[Array, "feature column"]) -> Float[Array, "column column"]:
        """Σ_n e_n² of the whole response, ringing included, as a quadratic form.

        Args:
            sums: lagged sums, known series first.
            mixing: features to columns; known series go into column 0.
        """
        D, B = self.model.feedthrough, self.steady.inputs
        r0 = jnp.outer(D, D) + B.T @ self.gramian @ B
        # r_jk(l): (node, channel j, channel k)
        responses = jnp.einsum("qst,tj->qsj", self.powers, B)
        r = -2 * jnp.einsum("qsj,sk->qjk", responses, self.correlation)
        known = D.size - 1
        a, f = slice(0, known), slice(known, None)
        among_known = jnp.sum(r0[a, a] * sums.zero[a, a]) + jnp.sum(r[:, a, a] * sums.lags[:, a, a])
        among_features = r0[-1, -1] * sums.zero[f, f] + jnp.tensordot(r[:, -1, -1], sums.lags[:, f, f], 1)
        between = (
            2 * sums.zero[f, a] @ r0[-1, a]
            + jnp.einsum("qa,qfa->f", r[:, -1, a], sums.lags[:, f, a])
            + jnp.einsum("qa,qaf->f", r[:, a, -1], sums.lags[:, a, f])
        )
        square = mixing.T @ among_features @ mixing
        square = square.at[0].add(between @ mixing).at[0, 0].add(among_known)
        return 0.5 * (square + square.T)

    def states(self, pieces: Pieces, mixing: Array) -> tuple[Array, Array]:
        """The state at the ends of pieces (segment, piece + 1, state, column), and ζ of every piece."""
        heads = jnp.einsum("qst,sj->tqj", self.end_powers, self.correlation)  # Φ'^m ρ
        tails = jnp.einsum("qst,tj->sqj", self.end_powers, self.steady.inputs)  # Φ^k B
        zeta = _through(heads, pieces.heads, mixing)
        added = _through(tails, pieces.tails, mixing)
        start = _through(self.model.start_inputs[:, None], pieces.start, mixing)[:, 0]
        step = self.spans[pieces.length]

        def next_piece(state: Array, piece: tuple[Array, Array]) -> tuple[Array, Array]:
            through, more = piece
            new = through @ state + more
            return new, new

        _, later = jax.lax.scan(next_piece, start, (jnp.moveaxis(step, 1, 0), jnp.moveaxis(added, 1, 0)))
        return jnp.concatenate([start[:, None], jnp.moveaxis(later, 0, 1)], axis=1), zeta


@eqx.filter_jit
def innovation_filter(model: StateSpace, grid: LagGrid, pieces: Pieces) -> InnovationFilter:
    """The steady filter of a model, ready for the data on a grid of lags; pure.

    Args:
        model: state space.
        grid: that the data were gathered on.
        pieces: of the data.
    """
    steady = steady_state(model)
    loop, c = steady.closed_loop, model.readout
    W = lyapunov(loop.T, jnp.outer(c, c))
    rho = jnp.outer(c, model.feedthrough) - loop.T @ W @ steady.inputs
    half, full, ends = grid.length // 2, grid.length, pieces.grid
    grids = (grid,) if ends == grid else (grid, ends)
    wanted = [np.array(pieces.exponents), np.array([half, full])]
    for each in grids:
        wanted += [each.seeds, each.checks]
    places = np.cumsum([lags.size for lags in wanted])[:-1]
    spans, at_half_and_end, *rest = jnp.split(matrix_powers(loop, np.concatenate(wanted)), places)
    powers = [each.grown(seeds) for each, seeds in zip(grids, rest[::2], strict=True)]
    errors = [
        each.interpolation_error(at_nodes, at_checks)
        for each, at_nodes, at_checks in zip(grids, powers, rest[1::2], strict=True)
    ]
    left_out = errors[0]
    if pieces.longest > full:
        # a geometric series of the fall from half the grid to its end, in steps of half a grid
        at_half, at_end = jnp.abs(at_half_and_end)
        fall = jnp.max(at_end) / jnp.maximum(jnp.max(at_half), jnp.finfo(loop.dtype).tiny)
        beyond = at_end * half / jnp.where(fall < SLOWEST_FALL, 1 - fall, 1.0)
        left_out = left_out + jnp.asarray(jnp.where(fall < SLOWEST_FALL, beyond, jnp.inf))
    return InnovationFilter(model, steady, W, rho, powers[0], powers[-1], spans, left_out, errors[-1])


@eqx.filter_jit
def log_likelihood_form(
    innovations: InnovationFilter, sums: LagSums, pieces: Pieces, mixing: Float[Array, "feature column"]
) -> Form:
    """The log likelihood of all pieces as a quadratic form; pure.

    Args:
        innovations: the filter.
        sums: over all pieces.
        pieces: their ends.
        mixing: features to columns. The identity behind a column of zeros gives the form in (1, theta); the
            coefficients as one column give the log likelihood at them.
    """
    S = innovations.steady.variance
    mu, zeta = innovations.states(pieces, mixing)
    W = innovations.gramian
    first, last = mu[:, 0], mu[:, -1]
    ends = -2 * jnp.einsum("zpsa,zpsb->ab", mu[:, :-1], zeta)
    ends = ends + jnp.einsum("zsa,st,ztb->ab", first, W, first) - jnp.einsum("zsa,st,ztb->ab", last, W, last)
    beta, weight, log_det = _start(innovations, pieces, mu, zeta)
    square = (innovations.energy(sums, mixing) + 0.5 * (ends + ends.T)) / S
    square = square - jnp.einsum("zsa,zst,ztb->ab", beta, weight, beta) / S**2
    constant = -0.5 * (sums.frames * jnp.log(2 * jnp.pi * S) + pieces.copies * jnp.sum(log_det))
    return Form(constant, square)


@eqx.filter_jit
def log_likelihood_blocks(
    innovations: InnovationFilter, sums: LagSums, pieces: Pieces, theta: Float[Array, " feature"]
) -> Float[Array, " block"]:
    """The log likelihood of every block of pieces; their sum is that of all.

    What is due to the uncertain state at the start of a segment counts in its first piece.

    Args:
        innovations: the filter.
        sums: of every block, with a leading block axis.
        pieces: their ends.
        theta: coefficients of the features.
    """
    S, mixing = innovations.steady.variance, theta[:, None]
    mu, zeta = innovations.states(pieces, mixing)
    W = innovations.gramian
    rings = jnp.einsum("zpsa,st,zpta->zp", mu, W, mu)
    ends = rings[:, :-1] - rings[:, 1:] - 2 * jnp.einsum("zpsa,zpsa->zp", mu[:, :-1], zeta)
    beta, weight, log_det = _start(innovations, pieces, mu, zeta)
    starts = log_det - jnp.einsum("zsa,zst,zta->z", beta, weight, beta) / S**2
    of_pieces = (ends / S).at[:, 0].add(starts)
    blocks = sums.frames.shape[0]
    energies = jax.vmap(lambda part: innovations.energy(part, mixing)[0, 0])(sums) / S
    due = pieces.in_blocks(of_pieces, blocks)
    return -0.5 * (sums.frames * jnp.log(2 * jnp.pi * S) + energies + due)


@eqx.filter_jit
def neglected(innovations: InnovationFilter, sums: LagSums, pieces: Pieces) -> Float[Array, ""]:
    """Bound on the error of the log likelihood from lags between nodes and beyond the grid; pure.

    By |C_jk(l)| <= sqrt(C_jj(0) C_kk(0)) for the known series, and at the ends of pieces by series of the
    usual size. Zero where the grids are dense and cover the longest piece; infinite where the filter
    forgets so slowly that the rest cannot be bounded.

    Args:
        innovations: the filter.
        sums: over all pieces.
        pieces: their ends.
    """
    S = innovations.steady.variance
    known = innovations.model.feedthrough.size - 1
    size = jnp.sqrt(jnp.diag(sums.zero)[:known])
    sent = jnp.abs(innovations.steady.inputs[:, :known]) @ size
    heard = jnp.abs(innovations.correlation[:, :known]) @ size
    inner = heard @ innovations.left_out @ sent / S
    # β = O(S G^(1/2)) of a piece changes by that much
    change = innovations.end_left_out.T @ heard / jnp.sqrt(sums.frames)
    delta = innovations.model.start - innovations.steady.covariance
    ends = (
        pieces.copies * pieces.block.size * jnp.sqrt(jnp.maximum(change @ jnp.abs(delta) @ change, 0.0)) / S
    )
    bound = inner + ends
    return jnp.where(jnp.isnan(bound), jnp.inf, bound)


def _start(innovations: InnovationFilter, pieces: Pieces, mu: Array, zeta: Array) -> tuple[Array, ...]:
    """β of every segment, its weight Δ (1 + G Δ)^-1, and log det(1 + Δ G)."""
    powers, W, S = innovations.spans, innovations.gramian, innovations.steady.variance
    rings = W - jnp.einsum("est,su,euv->etv", powers, W, powers)
    delta = innovations.model.start - innovations.steady.covariance
    inverse = jnp.linalg.inv(jnp.eye(W.shape[0]) + rings @ delta / S)
    _, log_det = jnp.linalg.slogdet(inverse)
    ends = powers[pieces.total]
    beta = jnp.einsum("zpts,zpta->zsa", powers[pieces.offset], zeta) - W @ mu[:, 0]
    beta = beta + jnp.einsum("zts,tu,zua->zsa", ends, W, mu[:, -1])
    return beta, (delta @ inverse)[pieces.total], -log_det[pieces.total]


def _through(table: Array, ends: Ends, mixing: Array) -> Array:
    """Σ over nodes of (state, node, channel) times inputs: (segment, piece, state, column)."""
    known = table.shape[-1] - 1
    features = jnp.tensordot(table[..., -1], ends.features, 1) @ mixing
    given = jnp.einsum("sqk,qzpk->szp", table[..., :known], ends.known)
    return jnp.moveaxis(features.at[..., 0].add(given), 0, 2)
