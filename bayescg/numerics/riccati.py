"""The steady state of a filter: discrete Lyapunov and Riccati equations by doubling.

After a short start the covariance of a Kalman filter no longer changes,

    P = A P A' + Q - K S K',        S = c P c' + R,        K = (A P c' + r)/S,

and its errors die out with the closed loop A - K c. A doubling algorithm squares the closed loop in every
iteration, so that a dozen suffice; the derivative of P is a Lyapunov equation of the closed loop.

References:
    E. K.-W. Chu, H.-Y. Fan, W.-W. Lin, Linear Algebra Appl. 396, 55 (2005), doi:10.1016/j.laa.2004.10.010.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.numerics.statespace import StateSpace, riccati_step

ITERATIONS = 40
"""Most doublings: 2^40 steps; where they do not suffice there is no steady state."""

CONVERGED = 1e-8
"""Relative change after which to stop: the error left is about its square."""


class SteadyState(NamedTuple):
    """A filter whose gain no longer changes.

    Attributes:
        covariance: P of the state before an output.
        variance: S of the innovations.
        gain: K.
        closed_loop: A - K c.
        inputs: B + K D, what an input adds to the state.
    """

    covariance: Float[Array, "state state"]
    variance: Float[Array, ""]
    gain: Float[Array, " state"]
    closed_loop: Float[Array, "state state"]
    inputs: Float[Array, "state channel"]


def lyapunov(
    transition: Float[Array, "state state"], noise: Float[Array, "state state"]
) -> Float[Array, "state state"]:
    """The stationary covariance P = F P F' + Q; differentiable.

    Args:
        transition: F, stable.
        noise: Q.

    Example:
        >>> import jax.numpy as jnp
        >>> float(lyapunov(jnp.array([[0.5]]), jnp.array([[3.0]]))[0, 0])
        4.0
    """

    def residual(P: Array) -> Array:
        return P - transition @ P @ transition.T

    def solve(_: object, Q: Array) -> Array:
        return _sum_of_powers(transition, Q)

    def solve_transposed(_: object, Q: Array) -> Array:
        return _sum_of_powers(transition.T, Q)

    return jax.lax.custom_linear_solve(residual, noise, solve, solve_transposed)


def steady_state(model: StateSpace) -> SteadyState:
    """The steady filter of a model; differentiable, not a number where there is none.

    Example:
        >>> import jax.numpy as jnp
        >>> one, zero = jnp.ones((1, 1)), jnp.zeros((1, 1))
        >>> noise = (jnp.array(1.0), jnp.zeros(1), one)  # a random walk seen through unit noise
        >>> model = StateSpace(one, one[0], zero, jnp.ones(1), *noise, start=one, start_inputs=zero)
        >>> round(float(steady_state(model).covariance[0, 0]), 6)
        1.618034
    """
    A, c, R, r, Q = _dynamics(model)
    P = _fixed_point(A, c, R, r, Q)
    _, S, K = riccati_step(model, P)
    return SteadyState(P, S, K, A - jnp.outer(K, c), model.inputs + jnp.outer(K, model.feedthrough))


def _dynamics(model: StateSpace) -> tuple[Array, Array, Array, Array, Array]:
    return model.transition, model.readout, model.output_noise, model.cross_noise, model.state_noise


@jax.custom_jvp
def _fixed_point(A: Array, c: Array, R: Array, r: Array, Q: Array) -> Array:
    """P of the steady state by the structure-preserving doubling algorithm."""
    # without the part of the state's noise that the output shows: P = Ã P (1 + G P)^-1 Ã' + H
    transition = A - jnp.outer(r, c) / R
    begin = (transition.T, jnp.outer(c, c) / R, Q - jnp.outer(r, r) / R, jnp.inf, 0)
    identity = jnp.eye(A.shape[0])

    def unfinished(state: tuple) -> Array:
        return (state[3] > CONVERGED) & (state[4] < ITERATIONS)

    def double(state: tuple) -> tuple:
        F, G, H, _, count = state
        solved = jnp.linalg.solve(identity + G @ H, jnp.concatenate([F, G], axis=1))
        MF, MG = jnp.split(solved, 2, axis=1)
        added = F.T @ H @ MF
        new = H + 0.5 * (added + added.T)
        scale = jnp.diag(new)
        change = jnp.max(jnp.where(scale > 0, jnp.diag(added) / jnp.where(scale > 0, scale, 1.0), 0.0))
        return F @ MF, G + F @ MG @ F.T, new, change, count + 1

    return jax.lax.while_loop(unfinished, double, begin)[2]


@_fixed_point.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    P = _fixed_point(*primals)

    def one_step(A: Array, c: Array, R: Array, r: Array, Q: Array) -> Array:
        Pc = P @ c
        J = A @ Pc + r
        return A @ P @ A.T + Q - jnp.outer(J, J) / (c @ Pc + R)

    _, change = jax.jvp(one_step, primals, tangents)
    A, c, R, r, _ = primals
    K = (A @ P @ c + r) / (c @ P @ c + R)
    # P = step(P, model), so dP = Φ dP Φ' + d step, Φ the closed loop
    return P, lyapunov(A - jnp.outer(K, c), change)


def _sum_of_powers(F: Array, Q: Array) -> Array:
    """Σ_n F^n Q F'^n by doubling."""

    def unfinished(state: tuple) -> Array:
        return (state[2] > CONVERGED) & (state[3] < ITERATIONS)

    def double(state: tuple) -> tuple:
        power, P, _, count = state
        added = power @ P @ power.T
        # element by element: states have units of their own
        change = jnp.max(jnp.abs(added) / jnp.maximum(jnp.abs(P), jnp.finfo(P.dtype).tiny))
        return power @ power, P + added, change, count + 1

    return jax.lax.while_loop(unfinished, double, (F, Q, jnp.inf, 0))[1]
