"""MCLMC: microcanonical Langevin Monte Carlo by BlackJAX, for many parameters and exact gradients.

The direction of the momentum turns with the gradient while its size is kept, and is partly forgotten over a
length L. No step is refused: the bias follows the step size, which the tuning sets so that the energy's
variance per parameter stays at `energy_variance`. In whitened coordinates.

References:
    J. Robnik, G. B. De Luca, E. Silverstein, U. Seljak, J. Mach. Learn. Res. 24 (2023) 311.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.adaptation.mclmc_adaptation import mclmc_find_L_and_step_size
from blackjax.mcmc import mclmc

from bayescg._checks import BayescgError, positive, require, require_x64, whole
from bayescg._typing import Array, Float, PRNGKeyArray
from bayescg.inference.sampler import AbstractSampler, Draws, Target
from bayescg.inference.tangent import Tangent, tangents
from bayescg.inference.whitening import Whitening, blank, whiten
from bayescg.numerics.host_loop import HostLoop, chunk_length

LONGEST_CHUNK = 50
"""Draws between two looks at progress, checkpoint and Ctrl-C."""


class _Chains(NamedTuple):
    """All with a leading axis chain."""

    state: Any
    key: PRNGKeyArray
    length: Float[Array, " chain"]
    step_size: Float[Array, " chain"]


class MCLMC(AbstractSampler):
    """Microcanonical Langevin Monte Carlo.

    Attributes:
        chains: run side by side.
        warmup: steps that tune L and the step size and are thrown away.
        draws: kept of every chain.
        steps_per_draw: between two draws.
        energy_variance: of a step, per parameter; smaller is less biased and slower.

    Raises:
        BayescgError: numbers that are not positive.

    References:
        J. Robnik et al., J. Mach. Learn. Res. 24 (2023) 311.

    Example:
        >>> MCLMC(draws=500).settings()["draws"]
        500
    """

    chains: int = 4
    warmup: int = 2000
    draws: int = 1000
    steps_per_draw: int = 10
    energy_variance: float = 5e-4

    def __check_init__(self) -> None:
        for name in ("chains", "draws", "steps_per_draw"):
            whole(name, getattr(self, name))
        whole("warmup", self.warmup, minimum=100)
        positive("energy_variance", self.energy_variance)

    def settings(self) -> dict[str, str | int | float]:
        """Everything that determines the draws besides problem and key."""
        names = ("chains", "warmup", "draws", "steps_per_draw", "energy_variance")
        return {"sampler": "MCLMC", **{name: getattr(self, name) for name in names}}

    def draw(self, problem: Target, *, key: PRNGKeyArray, loop: HostLoop) -> Draws:
        """Whiten, tune, sample."""
        require_x64("MCLMC")
        require(
            problem.dimension > 1,
            f"MCLMC needs at least two parameters, got {problem.dimension}: its momentum is a direction. "
            "Sample with bayescg.NUTS() instead.",
        )
        key_whiten, key_chains = jax.random.split(key)
        whitening: Whitening = loop.run(
            "whiten",
            lambda _, length: (whiten(problem, key=key_whiten, chains=self.chains), {}),
            blank(problem.dimension, self.chains),
            total=1,
            chunk=1,
        ).carry
        tuned: _Chains = loop.run(
            "tune",
            lambda carry, length: (
                _tuned(problem.log_density, whitening, carry, self.warmup, self.energy_variance),
                {},
            ),
            _begin(tangents([problem.log_density] * self.chains, whitening, whitening.starts), key_chains),
            total=1,
            chunk=1,
        ).carry
        step = partial(_advance, problem.log_density, whitening, self.steps_per_draw)
        chunk = chunk_length(self.draws, longest=LONGEST_CHUNK)
        records = loop.run("sample", step, tuned, total=self.draws, chunk=chunk).records
        positions = np.ascontiguousarray(records["u"].swapaxes(0, 1))
        if not np.isfinite(positions).all():
            raise BayescgError(
                "the gradient of log_density must be finite, got NaN or infinity during sampling. Check the "
                "data for NaN, and the prior for values at which the likelihood is not defined."
            )
        return Draws(positions, {name: records[name].T for name in ("lp", "energy_change", "step_size")})


@eqx.filter_jit
def _begin(starts: Tangent, key: PRNGKeyArray) -> _Chains:
    keys = jax.vmap(jax.random.split)(jax.random.split(key, len(starts.value)))
    state = jax.vmap(lambda start, own: mclmc.init(start.point, start, own))(starts, keys[:, 0])
    ones = jnp.ones(len(starts.value))
    return _Chains(state, keys[:, 1], ones, ones)


@eqx.filter_jit
def _tuned(
    density: Callable[[Array], Array],
    whitening: Whitening,
    chains: _Chains,
    warmup: int,
    energy_variance: float,
) -> _Chains:
    """Every chain finds its own L and step size; one program whatever is drawn afterwards."""

    def of_chain(state: Any, key: PRNGKeyArray) -> tuple[Any, PRNGKeyArray, Array, Array]:
        now, later = jax.random.split(key)
        state, found, _ = mclmc_find_L_and_step_size(
            mclmc.build_kernel(),
            warmup,
            state,
            now,
            logdensity_fn=lambda z: density(whitening.unwhiten(z)),
            desired_energy_var=energy_variance,
            diagonal_preconditioning=False,
        )
        return state, later, jnp.asarray(found.L), jnp.asarray(found.step_size)

    return _Chains(*jax.vmap(of_chain)(chains.state, chains.key))


@eqx.filter_jit
def _advance(
    density: Callable[[Array], Array], whitening: Whitening, steps: int, chains: _Chains, length: int
) -> tuple[_Chains, dict[str, Array]]:
    """So many draws of all chains."""
    kernel: Any = mclmc.build_kernel()
    one = jnp.ones(whitening.center.size)

    def of_chain(
        state: Any, key: PRNGKeyArray, span: Array, step: Array
    ) -> tuple[Any, PRNGKeyArray, Array, Array, Array]:
        now, later = jax.random.split(key)

        def body(state: Any, key: PRNGKeyArray) -> tuple[Any, Any]:
            state, info = kernel(key, state, lambda z: density(whitening.unwhiten(z)), one, span, step)
            return state, info.energy_change

        state, changes = jax.lax.scan(body, state, jax.random.split(now, steps))
        return state, later, whitening.unwhiten(state.position), state.logdensity, changes[-1]

    def iteration(chains: _Chains, _: None) -> tuple[_Chains, dict[str, Array]]:
        state, keys, u, lp, change = jax.vmap(of_chain)(*chains)
        record = {"u": u, "lp": lp, "energy_change": change, "step_size": chains.step_size}
        return chains._replace(state=state, key=keys), record

    return jax.lax.scan(iteration, chains, length=length)
