"""Expected Fisher information of a linear Gaussian series, frame by frame, without data.

Innovations are independent, e_n ~ N(0, S_n), and their derivatives depend on the past alone, so

    F = Σ_n [E(∂e_n ∂e_n')/S_n + ∂S_n ∂S_n'/(2 S_n²)],

the Gaussian form of the whole series, in which only second moments are needed. The filter's mean, the level
of the series and the derivatives of the mean are driven by the innovations alone,

    y' = y + d,    mu' = A mu + B s + K e,    τ_a' = ∂_aA mu + A τ_a + ∂_aB s + ∂_aK e + K ∂_a e,
    ∂_a e = ∂_aD s - ∂_ac mu - c τ_a,         d = e + c mu - (D s without d),

z' = T z + t e for z = (1, y, mu, τ), so that their moments M = E(z z') obey M' = T M T' + S t t'.

References:
    J. E. Cavanaugh, R. H. Shumway, Stat. Probab. Lett. 26, 347 (1996).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.numerics.statespace import StateSpace, riccati_step

CHUNK = 64
"""Frames after which the growth of F is compared with what it was before."""

SETTLED = 1e-12
"""Relative change of the growth over a chunk, after which it counts as constant."""


class Level(NamedTuple):
    """What the inputs of a state space are, beside the change d in channel 0.

    Attributes:
        mean: of the level y at the first frame.
        variance: of it.
        place: channel that holds the level before the change; None where it does not matter.
        constant: channel that holds one; None for none.
    """

    mean: Float[Array, ""] | float
    variance: Float[Array, ""] | float
    place: int | None
    constant: int | None


def innovation_information(
    space: Callable[[Array], StateSpace],
    parameters: Float[Array, " parameter"],
    *,
    level: Level,
    frames: tuple[int, ...],
) -> Float[Array, "length parameter parameter"]:
    """Expected information of the first so many innovations, the first level drawn from its law; pure.

    Args:
        space: the model as a function of its parameters; D of the change is one.
        parameters: where.
        level: how inputs come about.
        frames: numbers of innovations.

    Returns:
        One matrix for every number of frames. Where the growth has settled it is not computed again.

    Example:
        >>> one, zero = jnp.ones((1, 1)), jnp.zeros((1, 1))
        >>> def white(theta):  # y_n - y_(n-1) = noise of scale exp(theta)
        ...     R = jnp.exp(2 * theta[0])
        ...     return StateSpace(zero, zero[0], zero, jnp.ones(1), R, zero[0], zero, zero, zero)
        >>> at_rest = Level(0.0, 0.0, None, None)
        >>> found = innovation_information(white, jnp.zeros(1), level=at_rest, frames=(0, 3, 1000))
        >>> [round(float(F[0, 0]), 9) for F in found]
        [0.0, 6.0, 2000.0]
    """
    model = space(parameters)
    slopes = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), jax.jacfwd(space)(parameters))
    counts, last = jnp.asarray(frames), max(frames)
    size = parameters.size

    def frame(state: Any, _: None) -> tuple[Any, Array]:
        n, P, dP, M, F, kept = state
        P, dP, M, growth = _advance(model, slopes, level, (P, dP, M))
        n, F = n + 1, F + growth
        kept = jnp.where((counts == n)[:, None, None], F, kept)
        return (n, P, dP, M, F, kept), growth

    def chunk(carried: tuple[Any, Array, Array]) -> tuple[Any, Array, Array]:
        state, _, _ = carried
        state, growth = jax.lax.scan(frame, state, None, length=CHUNK)
        change = jnp.max(jnp.abs(growth[-1] - growth[0]))
        return state, growth[-1], change <= SETTLED * jnp.max(jnp.abs(growth[-1]))

    def unfinished(carried: tuple[Any, Array, Array]) -> Array:
        return (carried[0][0] < last) & ~carried[2]

    begin = (jnp.asarray(0), model.start, slopes.start, _first_moments(model, slopes, level))
    begin = (*begin, jnp.zeros((size, size)), jnp.zeros((len(frames), size, size)))
    state, growth, _ = jax.lax.while_loop(
        unfinished, chunk, (begin, jnp.zeros((size, size)), jnp.asarray(False))
    )
    n, *_, F, kept = state
    beyond = F + (counts - n)[:, None, None] * growth
    return jnp.where((counts > n)[:, None, None], beyond, kept)


def _advance(model: StateSpace, slopes: StateSpace, level: Level, state: tuple[Array, ...]) -> tuple:
    """One frame of P, its derivatives and the moments, and what it adds to F."""
    P, dP, M = state

    def one(slope: StateSpace, dP: Array) -> tuple:
        return jax.jvp(riccati_step, (model, P), (slope, dP))

    (P, S, K), (dP, dS, dK) = jax.vmap(one, out_axes=(None, 0))(slopes, dP)
    T, t, g = _motion(model, slopes, level, K, dK)
    growth = jnp.outer(dS, dS) / (2 * S**2) + g @ M @ g.T / S
    M = T @ M @ T.T + S * jnp.outer(t, t)
    return P, dP, 0.5 * (M + M.T), growth


def _motion(model: StateSpace, slopes: StateSpace, level: Level, K: Array, dK: Array) -> tuple:
    """T and t of z' = T z + t e, and the derivatives of e as rows over z."""
    states, count = model.readout.size, dK.shape[0]
    one, y, mu, tau = _places(states, count)
    A, B, c, D = model.transition, model.inputs, model.readout, model.feedthrough
    s = jnp.zeros((D.size, one.size))
    if level.place is not None:
        s = s.at[level.place].set(y)
    if level.constant is not None:
        s = s.at[level.constant].set(one)
    change = c @ mu - D @ s  # of the level, but for e
    s = s.at[0].set(change)
    g = slopes.feedthrough @ s - slopes.readout @ mu - jnp.einsum("s,asz->az", c, tau)
    new_mu = A @ mu + B @ s
    new_tau = slopes.transition @ mu + A @ tau + slopes.inputs @ s + K[:, None] * g[:, None]
    T = jnp.concatenate([one[None], (y + change)[None], new_mu, new_tau.reshape(-1, one.size)])
    t = jnp.concatenate([jnp.array([0.0, 1.0]), B[:, 0] + K, (slopes.inputs[..., 0] + dK).ravel()])
    if level.place is None:
        # a level without a law of its own would only drift
        T, t = T.at[1].set(0.0), t.at[1].set(0.0)
    return T, t, g


def _first_moments(model: StateSpace, slopes: StateSpace, level: Level) -> Array:
    """E(z z') before the first innovation."""
    columns = jnp.zeros((model.feedthrough.size, 2))  # of one and the level
    if level.place is not None:
        columns = columns.at[level.place, 1].set(1.0)
    if level.constant is not None:
        columns = columns.at[level.constant, 0].set(1.0)
    mu, tau = model.start_inputs @ columns, slopes.start_inputs @ columns
    z = jnp.concatenate([jnp.eye(2), mu, tau.reshape(-1, 2)])
    law = jnp.array([[1.0, level.mean], [level.mean, level.mean**2 + level.variance]])
    return z @ law @ z.T


def _places(states: int, count: int) -> tuple[Array, ...]:
    """One, the level, the mean and its derivatives as rows over z."""
    identity = jnp.eye(2 + states * (1 + count))
    mu, tau = identity[2 : 2 + states], identity[2 + states :]
    return identity[0], identity[1], mu, tau.reshape(count, states, -1)
