"""Moves of the particles between two temperatures, shaped by the covariance of the particles.

With C the particles' covariance, Hamiltonian Monte Carlo runs in coordinates where C is one: L leapfrog
steps of length h with L h at most a quarter of a Gaussian's period, pi/2, so that one trajectory forgets
where it began. A random walk proposes u + h N(0, C). Either h is adapted from one temperature to the
next towards the acceptance that suits the move.

References:
    A. Buchholz, N. Chopin, P. E. Jacob, Bayesian Anal. 16, 745 (2021), doi:10.1214/20-BA1222.
    A. Gelman, W. R. Gilks, G. O. Roberts, Ann. Appl. Probab. 7, 110 (1997), doi:10.1214/aoap/1034625254.
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from blackjax.mcmc import hmc, random_walk

from bayescg._typing import Array, Float, PRNGKeyArray

LogDensity = Callable[[Float[Array, " parameter"]], Float[Array, ""]]

JITTER = 0.3
"""Trajectories of the particles differ in length by this fraction either way, so that none is a period."""

GAIN = 1.0
"""Change of log h per unit of acceptance above the target, at every temperature."""


class AbstractMove(eqx.Module):
    """A Markov move that leaves a tempered density invariant, one particle at a time.

    Attributes:
        target_acceptance: what the scale is adapted to.
    """

    target_acceptance: eqx.AbstractVar[float]

    @abc.abstractmethod
    def largest_scale(self, dimension: int) -> float:
        """Scale h to begin with, never exceeded."""

    @abc.abstractmethod
    def parameters(
        self,
        covariance: Float[Array, "parameter parameter"],
        scale: Array,
        *,
        key: PRNGKeyArray,
        particles: int,
    ) -> dict[str, Array]:
        """What `step` is given: one row for all particles or one per particle."""

    @abc.abstractmethod
    def init(self, position: Float[Array, " parameter"], density: LogDensity) -> Any:
        """State of a particle."""

    @abc.abstractmethod
    def step(
        self, key: PRNGKeyArray, state: Any, density: LogDensity, *, scale: Array, factor: Array
    ) -> tuple[Any, Array]:
        """One move: new state and acceptance probability."""

    def adapted(self, scale: Array, acceptance: Array, dimension: int) -> Array:
        """The scale for the next temperature."""
        changed = scale * jnp.exp(GAIN * (acceptance - self.target_acceptance))
        return jnp.minimum(changed, self.largest_scale(dimension))


class Hamiltonian(AbstractMove):
    """Hamiltonian Monte Carlo.

    Attributes:
        target_acceptance: 0.8 is near the optimum of long trajectories.
        integration_steps: L.

    Example:
        >>> round(Hamiltonian().largest_scale(3), 3)
        0.196
    """

    target_acceptance: float = eqx.field(static=True, default=0.8)
    integration_steps: int = eqx.field(static=True, default=8)

    def largest_scale(self, dimension: int) -> float:
        """A quarter of a period in all."""
        return 0.5 * jnp.pi / self.integration_steps

    def parameters(
        self,
        covariance: Float[Array, "parameter parameter"],
        scale: Array,
        *,
        key: PRNGKeyArray,
        particles: int,
    ) -> dict[str, Array]:
        """Jittered step lengths, and the covariance as inverse mass."""
        jitter = jax.random.uniform(key, (particles,), minval=1 - JITTER, maxval=1 + JITTER)
        return {"scale": scale * jitter, "factor": covariance[None]}

    def init(self, position: Float[Array, " parameter"], density: LogDensity) -> Any:
        """Position, log density and gradient."""
        return hmc.init(position, density)

    def step(
        self, key: PRNGKeyArray, state: Any, density: LogDensity, *, scale: Array, factor: Array
    ) -> tuple[Any, Array]:
        """One trajectory."""
        kernel: Any = hmc.build_kernel()
        state, info = kernel(key, state, density, scale, factor, self.integration_steps)
        return state, jnp.asarray(info.acceptance_rate)


class RandomWalk(AbstractMove):
    """Random-walk Metropolis, for densities without a useful gradient.

    Attributes:
        target_acceptance: 0.234, the optimum in many dimensions.

    Example:
        >>> RandomWalk().largest_scale(4)
        1.19
    """

    target_acceptance: float = eqx.field(static=True, default=0.234)

    def largest_scale(self, dimension: int) -> float:
        """2.38 / sqrt(d), the optimum for a Gaussian."""
        return 2.38 / dimension**0.5

    def parameters(
        self,
        covariance: Float[Array, "parameter parameter"],
        scale: Array,
        *,
        key: PRNGKeyArray,
        particles: int,
    ) -> dict[str, Array]:
        """One scale, and the Cholesky factor of the covariance."""
        return {"scale": jnp.full(1, scale), "factor": jnp.linalg.cholesky(covariance)[None]}

    def init(self, position: Float[Array, " parameter"], density: LogDensity) -> Any:
        """Position and log density."""
        return random_walk.init(position, density)

    def step(
        self, key: PRNGKeyArray, state: Any, density: LogDensity, *, scale: Array, factor: Array
    ) -> tuple[Any, Array]:
        """One proposal."""

        def shift(key: PRNGKeyArray, position: Array) -> Array:
            return scale * factor @ jax.random.normal(key, position.shape, position.dtype)

        state, info = random_walk.build_additive_step()(key, state, density, shift)
        return state, jnp.asarray(info.acceptance_rate)
