"""Stochastic-gradient samplers: SGHMC and SGNHT by BlackJAX, over minibatches of frames.

In whitened coordinates z, where the posterior is about N(0, 1), with p the momentum and g^ the gradient of a
minibatch's log density,

    SGHMC:  dz = p dt,   dp = g^ dt - alpha p dt + sqrt(2 alpha) dW,
    SGNHT:  dz = p dt,   dp = g^ dt - xi p dt + sqrt(2 alpha) dW,   dxi = (|p|²/dimension - 1) dt.

No step is refused, so the draws are biased: by the step size, and by the gradient's noise, which heats SGHMC
by its variance times step/(2 alpha) and which SGNHT's thermostat takes up where it is the same everywhere.
Control variates at the center make that noise small (`inference.minibatch`). Halve the step size to see the
bias.

References:
    T. Chen, E. Fox, C. Guestrin, Proc. 31st ICML (2014) 1683.
    N. Ding et al., Adv. Neural Inf. Process. Syst. 27 (2014) 3203.
"""

import abc
import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.sgmcmc import diffusions, sgnht

from bayescg._checks import BayescgError, positive, require_x64, whole
from bayescg._typing import Array, PRNGKeyArray
from bayescg.inference.minibatch import Minibatched, minibatched
from bayescg.inference.sampler import AbstractSampler, Draws
from bayescg.inference.whitening import Whitening, blank, whiten
from bayescg.numerics.host_loop import HostLoop, chunk_length

LONGEST_CHUNK = 50
"""Draws between two looks at progress, checkpoint and Ctrl-C."""

Gradient = Callable[[Array, PRNGKeyArray], Array]


class AbstractStochasticGradient(AbstractSampler):
    """What both samplers share."""

    batch: eqx.AbstractVar[int]
    chains: eqx.AbstractVar[int]
    warmup: eqx.AbstractVar[int]
    draws: eqx.AbstractVar[int]
    step_size: eqx.AbstractVar[float]
    steps_per_draw: eqx.AbstractVar[int]
    friction: eqx.AbstractVar[float]
    control_variates: eqx.AbstractVar[bool]

    def __check_init__(self) -> None:
        for name in ("batch", "chains", "warmup", "draws", "steps_per_draw"):
            whole(name, getattr(self, name))
        for name in ("step_size", "friction"):
            positive(name, getattr(self, name))
        if self.step_size * self.friction >= 1:
            raise BayescgError(
                f"step_size times friction must be below 1, got {self.step_size * self.friction:g}. Take "
                "smaller steps."
            )

    def settings(self) -> dict[str, str | int | float]:
        """Everything that determines the draws besides problem and key."""
        names = ("batch", "chains", "warmup", "draws", "step_size", "steps_per_draw", "friction")
        found = {name: getattr(self, name) for name in names}
        return {"sampler": type(self).__name__, **found, "control_variates": int(self.control_variates)}

    @abc.abstractmethod
    def begin(self, z: Array, key: PRNGKeyArray) -> Any:
        """State of one chain at z."""

    @abc.abstractmethod
    def move(self, state: Any, gradient: Gradient, key: PRNGKeyArray) -> tuple[Any, Array]:
        """One step: state, and z after it."""

    def draw(self, problem: Any, *, key: PRNGKeyArray, loop: HostLoop) -> Draws:
        """Whiten, warm up, sample."""
        require_x64(type(self).__name__)
        few = minibatched(problem, self.batch)
        key_whiten, key_chains = jax.random.split(key)
        whitening: Whitening = loop.run(
            "whiten",
            lambda _, length: (whiten(problem, key=key_whiten, chains=self.chains), {}),
            blank(problem.dimension, self.chains),
            total=1,
            chunk=1,
        ).carry
        center = _center_gradient(few, whitening) if self.control_variates else None
        mover = dataclasses.replace(self, warmup=1, draws=1)  # one program however many draws
        step = partial(_advance, mover, few, whitening, center)
        carry = _begin(self, whitening, key_chains)
        chunk = chunk_length(self.warmup, self.draws, longest=LONGEST_CHUNK)
        carry = loop.run("warmup", step, carry, total=self.warmup, chunk=chunk, keep=False).carry
        records = loop.run("sample", step, carry, total=self.draws, chunk=chunk).records
        positions = np.ascontiguousarray(records["u"].swapaxes(0, 1))
        if not np.isfinite(positions).all():
            raise BayescgError(
                f"step_size must be small enough for the path to stay finite, got {self.step_size:g} in "
                "units of the posterior's width. Halve it."
            )
        return Draws(positions, {"lp_estimate": records["lp_estimate"].T})


class SGHMC(AbstractStochasticGradient):
    """Stochastic-gradient Hamiltonian Monte Carlo.

    Attributes:
        batch: frames of a minibatch.
        chains: run side by side.
        warmup: draws thrown away.
        draws: kept of every chain.
        step_size: in widths of the posterior, over the unit mass.
        steps_per_draw: between two draws; the momentum is drawn anew there.
        friction: alpha, per unit of time.
        control_variates: whether gradients are differences from the center's.

    Raises:
        BayescgError: numbers that are not positive, or steps too long for the friction.

    Example:
        >>> SGHMC(batch=8, draws=500).settings()["draws"]
        500
    """

    batch: int
    chains: int = 4
    warmup: int = 200
    draws: int = 1000
    step_size: float = 0.05
    steps_per_draw: int = 20
    friction: float = 1.0
    control_variates: bool = True

    def begin(self, z: Array, key: PRNGKeyArray) -> Array:
        """The position."""
        return z

    def move(self, state: Array, gradient: Gradient, key: PRNGKeyArray) -> tuple[Array, Array]:
        """One trajectory of all steps to the next draw."""
        keys = jax.random.split(key, self.steps_per_draw + 1)
        momentum = jax.random.normal(keys[-1], state.shape, state.dtype)
        # BlackJAX's kernel would keep one minibatch for the whole trajectory, so its integrator is called
        one: Any = diffusions.sghmc(self.friction)

        def body(pair: Any, key: PRNGKeyArray) -> tuple[Any, None]:
            noise_key, batch_key = jax.random.split(key)
            return one(noise_key, *pair, gradient(pair[0], batch_key), self.step_size), None

        (z, _), _ = jax.lax.scan(body, (state, momentum), keys[:-1])
        return z, z


class SGNHT(AbstractStochasticGradient):
    """Stochastic-gradient Nosé-Hoover thermostat.

    Attributes:
        batch: frames of a minibatch.
        chains: run side by side.
        warmup: draws thrown away.
        draws: kept of every chain.
        step_size: in widths of the posterior, over the unit mass.
        steps_per_draw: between two draws.
        friction: alpha, of the noise that is added, and where the thermostat starts.
        control_variates: whether gradients are differences from the center's.

    Raises:
        BayescgError: numbers that are not positive, or steps too long for the friction.

    Example:
        >>> SGNHT(batch=8).settings()["sampler"]
        'SGNHT'
    """

    batch: int
    chains: int = 4
    warmup: int = 200
    draws: int = 1000
    step_size: float = 0.05
    steps_per_draw: int = 20
    friction: float = 1.0
    control_variates: bool = True

    def begin(self, z: Array, key: PRNGKeyArray) -> sgnht.SGNHTState:
        """Position, momentum and thermostat."""
        return sgnht.init(z, key, jnp.asarray(self.friction))  # type: ignore[arg-type]

    def move(self, state: Any, gradient: Gradient, key: PRNGKeyArray) -> tuple[Any, Array]:
        """All steps to the next draw."""
        kernel = sgnht.build_kernel(self.friction)

        def body(state: Any, key: PRNGKeyArray) -> tuple[Any, None]:
            noise_key, batch_key = jax.random.split(key)
            return kernel(noise_key, state, gradient, batch_key, self.step_size), None

        state, _ = jax.lax.scan(body, state, jax.random.split(key, self.steps_per_draw))
        return state, state.position


@eqx.filter_jit
def _center_gradient(few: Minibatched, whitening: Whitening) -> Array:
    """The full gradient in z at the center."""
    return jax.grad(lambda z: few.full_log_density(whitening.unwhiten(z)))(jnp.zeros(few.dimension))


@eqx.filter_jit
def _begin(sampler: AbstractStochasticGradient, whitening: Whitening, key: PRNGKeyArray) -> Any:
    keys = jax.vmap(jax.random.split)(jax.random.split(key, sampler.chains))
    starts = jax.vmap(whitening.whiten)(whitening.starts)
    return jax.vmap(sampler.begin)(starts, keys[:, 0]), keys[:, 1]


@eqx.filter_jit
def _advance(
    sampler: AbstractStochasticGradient,
    few: Minibatched,
    whitening: Whitening,
    center: Array | None,
    carry: Any,
    length: int,
) -> tuple[Any, dict[str, Array]]:
    """The one program of a run: so many draws of all chains."""

    def density(z: Array, key: PRNGKeyArray) -> Array:
        return few.log_density(whitening.unwhiten(z), key)

    def gradient(z: Array, key: PRNGKeyArray) -> Array:
        if center is None:
            return jax.grad(density)(z, key)
        # both side by side, so that the density is compiled once
        own, at_center = jax.vmap(jax.grad(density), in_axes=(0, None))(
            jnp.stack([z, jnp.zeros_like(z)]), key
        )
        return center + own - at_center

    def of_chain(state: Any, key: PRNGKeyArray) -> tuple[Any, PRNGKeyArray, Array, Array]:
        now, score, later = jax.random.split(key, 3)
        state, z = sampler.move(state, gradient, now)
        return state, later, whitening.unwhiten(z), density(z, score)

    def iteration(carry: Any, _: None) -> tuple[Any, dict[str, Array]]:
        state, keys, u, lp = jax.vmap(of_chain)(*carry)
        return (state, keys), {"u": u, "lp_estimate": lp}

    return jax.lax.scan(iteration, carry, length=length)
