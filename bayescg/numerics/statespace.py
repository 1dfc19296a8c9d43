"""Linear state spaces with a scalar output: exact transitions and the exact Kalman filter.

A state u with known inputs s_n and a scalar output y obeys

    y_n     = c u_n + (known, linear in s_n) + noise,        u_{n+1} = A u_n + B s_n + noise,

the two noises having the joint covariance N = [[R, r'], [r, Q]]. The output is written as its prediction
error: with D s_n what of y_n is known without the state (the data minus known inputs),

    e_n = D s_n - c mu_n,        S_n = c P_n c' + R,        K_n = (A P_n c' + r)/S_n,
    mu_{n+1} = A mu_n + B s_n + K_n e_n,        P_{n+1} = A P_n A' + Q - K_n S_n K_n',

and the log likelihood is -1/2 sum_n (log 2 pi S_n + e_n²/S_n). S, P and K never depend on the data.

References:
    C. F. Van Loan, IEEE Trans. Autom. Control 23, 395 (1978), doi:10.1109/TAC.1978.1101743.
    R. E. Kalman, J. Basic Eng. 82, 35 (1960), doi:10.1115/1.3662552.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float

DOUBLINGS = 18
"""The interval is halved so often before the series: processes 10^5 times faster than it stay exact."""

ORDER = 5
"""Terms of the series on the shortest interval; its error is h^5/720 of what is kept."""


class Transition(NamedTuple):
    """One step of a linear stochastic process, u' = (1 + E) u + noise.

    Attributes:
        change: E = F - 1; small where the step is short, and then more accurate than F.
        noise: Q, covariance of the noise.
    """

    change: Float[Array, "state state"]
    noise: Float[Array, "state state"]

    @property
    def matrix(self) -> Float[Array, "state state"]:
        """F, the transition."""
        return self.change + jnp.eye(self.change.shape[0])


class StateSpace(NamedTuple):
    """A linear model of one output, as in the module's equations.

    Attributes:
        transition: A.
        readout: c.
        inputs: B.
        feedthrough: D.
        output_noise: R, variance of the output's noise.
        cross_noise: r, covariance of the output's noise with the state's.
        state_noise: Q.
        start: covariance of the state before the first output.
        start_inputs: its mean as a function of the values given at the start.
    """

    transition: Float[Array, "state state"]
    readout: Float[Array, " state"]
    inputs: Float[Array, "state channel"]
    feedthrough: Float[Array, " channel"]
    output_noise: Float[Array, ""]
    cross_noise: Float[Array, " state"]
    state_noise: Float[Array, "state state"]
    start: Float[Array, "state state"]
    start_inputs: Float[Array, "state channel"]


class Filtered(NamedTuple):
    """What the Kalman filter returns.

    Attributes:
        log_likelihood: of all outputs.
        innovations: e_n.
        variances: S_n.
        mean: of the state after the last output.
    """

    log_likelihood: Float[Array, ""]
    innovations: Float[Array, " frame"]
    variances: Float[Array, " frame"]
    mean: Float[Array, " state"]


@jax.jit
def van_loan(
    drift: Float[Array, "state state"],
    diffusion: Float[Array, "state state"],
    interval: float | Float[Array, ""],
) -> Transition:
    """Exact transition of du = -A u dt + noise, <noise noise'> = D dt.

        F = exp(-A dt),        Q = ∫_0^dt exp(-A s) D exp(-A's) ds,

    the blocks of Van Loan's exponential, by its series on dt/2^k and k doublings,

        E <- 2 E + E²,  F = 1 + E,        Q <- Q + F Q F'.

    Sums of covariances alone: each element of Q keeps its digits, however small beside the others
    (a position's, of order dt^5 beside dt), and nothing overflows where dt is many relaxation times.

    Args:
        drift: A, 1/ps.
        diffusion: D, per ps; positive semidefinite.
        interval: dt, ps.

    Example:
        >>> import jax.numpy as jnp
        >>> step = van_loan(jnp.array([[2.0]]), jnp.array([[4.0]]), 0.5)
        >>> bool(jnp.allclose(step.matrix, jnp.exp(-1.0))), bool(jnp.allclose(step.noise, 1 - jnp.exp(-2.0)))
        (True, True)
    """
    h = interval / 2**DOUBLINGS
    A, D = -drift * h, diffusion * h
    power, change = A, A
    term, noise = D, D
    for k in range(2, ORDER + 1):
        power = A @ power / k  # A^k/k!
        term = (A @ term + term @ A.T) / k  # d^k Q/dh^k h^k/k!
        change, noise = change + power, noise + term

    def double(step: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        E, Q = step
        FQ = Q + E @ Q
        return (2 * E + E @ E, Q + FQ + FQ @ E.T), None

    (change, noise), _ = jax.lax.scan(double, (change, noise), None, length=DOUBLINGS)
    return Transition(change, 0.5 * (noise + noise.T))


@jax.jit
def kalman_filter(
    model: StateSpace, inputs: Float[Array, "frame channel"], start: Float[Array, " channel"]
) -> Filtered:
    """The exact filter with its time-varying gain, step by step.

    Args:
        model: state space.
        inputs: s_n, one row for every output.
        start: values that the mean of the state starts from.

    Example:
        >>> import jax.numpy as jnp
        >>> one, zero = jnp.ones((1, 1)), jnp.zeros((1, 1))
        >>> noise = (jnp.array(1.0), jnp.zeros(1), zero)  # an unknown constant in unit noise
        >>> model = StateSpace(one, one[0], zero, jnp.ones(1), *noise, start=one, start_inputs=zero)
        >>> kalman_filter(model, jnp.array([[1.0], [0.0]]), jnp.zeros(1)).variances.tolist()
        [2.0, 1.5]
    """

    def step(state: tuple[Array, Array], s: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        mean, P = state
        e = model.feedthrough @ s - model.readout @ mean
        P, S, K = riccati_step(model, P)
        return (model.transition @ mean + model.inputs @ s + K * e, P), (e, S)

    begin = (model.start_inputs @ start, model.start)
    (mean, _), (e, S) = jax.lax.scan(step, begin, inputs)
    log_likelihood = -0.5 * jnp.sum(jnp.log(2 * jnp.pi * S) + e**2 / S)
    return Filtered(log_likelihood, e, S, mean)


def riccati_step(model: StateSpace, covariance: Float[Array, "state state"]) -> tuple[Array, Array, Array]:
    """One step of the state's covariance: P_{n+1}, S_n and K_n.

    Example:
        >>> import jax.numpy as jnp
        >>> one, zero = jnp.ones((1, 1)), jnp.zeros((1, 1))
        >>> noise = (jnp.array(1.0), jnp.zeros(1), zero)
        >>> model = StateSpace(one, one[0], zero, jnp.ones(1), *noise, start=one, start_inputs=zero)
        >>> [float(part.squeeze()) for part in riccati_step(model, one)]
        [0.5, 2.0, 0.5]
    """
    A, c, P = model.transition, model.readout, covariance
    Pc = P @ c
    S = c @ Pc + model.output_noise
    J = A @ Pc + model.cross_noise
    K = J / S
    new = A @ P @ A.T + model.state_noise - jnp.outer(K, J)
    return 0.5 * (new + new.T), S, K
