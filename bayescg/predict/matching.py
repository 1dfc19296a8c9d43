"""The density of a memory around one simulation: how its velocity correlation function would change.

    c_data ~ N(c(eta), S_data + S_sim + s² R),        R = Q - Q w w'Q / w'Q w,
    Q_ab = (1 + r) exp(-r),        r = sqrt(3) |t_a - t_b|/l,

with c(eta) the linear response of bayescg.memory.response to rho [K(t; eta) - K(t; eta_0)], eta_0 being the
parameters of the simulation. s² R is what no memory of this form can reproduce: a function with a slope
(Matérn's 3/2; a squared exponential is so smooth that a small misfit with a bend costs more than a large
one without) under the condition that its integral w'delta, by the trapezoid rule, is zero. So the
diffusion coefficient, a small difference of large parts, is matched within its statistical error however
wrong the shape.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float, PRNGKeyArray
from bayescg.inference import Problem
from bayescg.memory.response import changed_correlation

DISCREPANCY, DISCREPANCY_SPREAD = 0.01, 1.0
"""Median and standard deviation of log s, relative to c(0) = 1."""

START_SPREAD = 0.1
"""Of unconstrained parameters around those of the simulation, where chains begin."""

JITTER = 1e-6
"""Added to R, which is singular under its condition."""


class Curve(NamedTuple):
    """A normalized velocity correlation function.

    Attributes:
        times: lags, ps.
        values: c(t), c(0) = 1.
        covariance: of the values after the first.
        diffusion: integral over the lags of C(t)/d, nm²/ps.
    """

    times: Float[Array, " lag"]
    values: Float[Array, " lag"]
    covariance: Float[Array, "later later"]
    diffusion: float


class Matched(eqx.Module):
    """The posterior of a memory around one simulation; a target for any sampler.

    Attributes:
        memory: problem with the memory's prior and no term.
        data: correlation function to match.
        simulated: at the parameters below.
        center: unconstrained parameters of the simulation.
        kernel: of the simulation, without its delta part, amu/ps².
        friction: of the simulation, the delta part, amu/ps.
        response: rho.
        mass: mean of the beads, amu.
        width: l, ps.
    """

    memory: Problem
    data: Curve
    simulated: Curve
    center: Float[Array, " parameter"]
    kernel: Float[Array, " lag"]
    friction: Float[Array, ""]
    response: Float[Array, ""]
    mass: Float[Array, ""]
    width: Float[Array, ""]

    @property
    def dimension(self) -> int:
        """The memory's parameters and log s."""
        return self.memory.dimension + 1

    def initial(self, key: PRNGKeyArray) -> Float[Array, " parameter"]:
        """A place near the simulation: far from it the response does not hold."""
        place = jnp.append(self.center, jnp.log(DISCREPANCY))
        return place + START_SPREAD * jax.random.normal(key, place.shape)

    def predicted(self, u: Float[Array, " parameter"]) -> Float[Array, " lag"]:
        """c(t) at unconstrained parameters of the memory."""
        kernel, friction = kernel_of(self.memory, u, self.data.times)
        return changed_correlation(
            self.simulated.values,
            kernel_change=self.response * (kernel - self.kernel),
            friction_change=self.response * (friction - self.friction),
            interval=self.data.times[1],
            mass=self.mass,
        )

    def log_density(self, u: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Log posterior density of the memory's parameters and log s; pure."""
        eta, log_size = u[:-1], u[-1]
        difference = (self.data.values - self.predicted(eta))[1:]  # c(0) = 1 for both
        factor = jnp.linalg.cholesky(self._covariance(jnp.exp(log_size)))
        whitened = jax.scipy.linalg.solve_triangular(factor, difference, lower=True)
        fit = -0.5 * whitened @ whitened - jnp.sum(jnp.log(jnp.diag(factor)))
        size = -0.5 * ((log_size - jnp.log(DISCREPANCY)) / DISCREPANCY_SPREAD) ** 2
        return self.memory.log_prior(eta) + fit + size

    def _covariance(self, size: Array) -> Array:
        smooth = discrepancy_shape(self.data.times[1:], self.width)
        return self.data.covariance + self.simulated.covariance + size**2 * smooth


def discrepancy_shape(times: Float[Array, " lag"], width: Float[Array, ""]) -> Float[Array, "lag lag"]:
    """R, the covariance of a function with a slope and without an integral.

    Args:
        times: equally spaced lags after zero, ps.
        width: l, ps.

    Example:
        >>> R = discrepancy_shape(0.01 * jnp.arange(1, 101), jnp.asarray(0.05))
        >>> w = jnp.ones(100).at[-1].set(0.5)
        >>> bool(w @ R @ w < 1e-3 * w @ w)
        True
    """
    r = jnp.sqrt(3.0) * jnp.abs(times[:, None] - times) / width
    Q = (1 + r) * jnp.exp(-r)
    w = jnp.ones(times.size).at[-1].set(0.5)  # trapezoid rule, the first lag being zero
    return Q - jnp.outer(Q @ w, Q @ w) / (w @ Q @ w) + JITTER * jnp.eye(times.size)


def kernel_of(memory: Problem, eta: Array, times: Array) -> tuple[Array, Array]:
    """Kernel at these times, amu/ps², and instantaneous friction, amu/ps, of unconstrained parameters."""
    joint = memory.with_values(memory.constrain(eta))
    return joint.memory.kernel(times), joint.memory.drift().friction
