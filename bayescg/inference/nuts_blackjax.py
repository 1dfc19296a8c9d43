"""NUTS by BlackJAX: its kernel, its dual averaging, its mass matrix estimate, Stan's windows."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from blackjax.adaptation.mass_matrix import MassMatrixAdaptationState, mass_matrix_adaptation
from blackjax.adaptation.step_size import DualAveragingAdaptationState, dual_averaging_adaptation
from blackjax.adaptation.window_adaptation import build_schedule
from blackjax.mcmc import nuts
from blackjax.mcmc.hmc import HMCState

from bayescg._typing import Array, Float, PRNGKeyArray
from bayescg.inference.nuts_engine import AbstractNUTSEngine, Iteration, LogDensity
from bayescg.inference.tangent import Tangent

_FAST, _SLOW, _DONE = 0, 1, 2
"""Stages of the windows: step size only; also the mass matrix; nothing any more."""


class _Adaptation(NamedTuple):
    step: DualAveragingAdaptationState
    mass: MassMatrixAdaptationState
    step_size: Any


class _Chains(NamedTuple):
    """All but the iteration have a leading axis chain."""

    iteration: Array
    state: HMCState
    adaptation: _Adaptation
    key: PRNGKeyArray


class BlackjaxEngine(AbstractNUTSEngine):
    """NUTS by BlackJAX.

    Attributes:
        warmup: iterations that adapt.
        target_acceptance: mean acceptance the step size aims at.
        max_tree_depth: a trajectory has at most 2^max_tree_depth steps.
        dense_mass: whether the mass matrix is full.
    """

    warmup: int = eqx.field(static=True)
    target_acceptance: float = eqx.field(static=True)
    max_tree_depth: int = eqx.field(static=True)
    dense_mass: bool = eqx.field(static=True)

    def init(self, starts: Tangent, key: PRNGKeyArray) -> _Chains:
        """State of all chains before the first iteration."""
        begin_step = dual_averaging_adaptation(self.target_acceptance)[0]
        begin_mass = mass_matrix_adaptation(not self.dense_mass)[0]

        def chain(start: Tangent) -> tuple[HMCState, _Adaptation]:
            one = jnp.ones(())
            adaptation = _Adaptation(begin_step(one), begin_mass(start.point.size), one)
            return nuts.init(start.point, start), adaptation

        state, adaptation = jax.vmap(chain)(starts)
        return _Chains(jnp.zeros((), int), state, adaptation, jax.random.split(key, len(starts.value)))

    def build(self, density: LogDensity) -> Iteration:
        """One iteration of all chains: state -> (state, record)."""
        kernel = nuts.build_kernel()
        schedule = jnp.concatenate([jnp.asarray(build_schedule(self.warmup)), jnp.array([[_DONE, 0]])])

        def move(
            key: PRNGKeyArray, state: HMCState, adaptation: _Adaptation
        ) -> tuple[HMCState, dict[str, Any]]:
            size, inverse_mass = adaptation.step_size, adaptation.mass.inverse_mass_matrix
            state, info = kernel(key, state, density, size, inverse_mass, self.max_tree_depth)
            return state, {
                "z": state.position,
                "lp": state.logdensity,
                "diverging": info.is_divergent,
                "acceptance_rate": info.acceptance_rate,
                "tree_depth": info.num_trajectory_expansions,
                "n_steps": info.num_integration_steps,
                "energy": info.energy,
                "step_size": size,
            }

        def iteration(chains: _Chains) -> tuple[_Chains, dict[str, Any]]:
            keys = jax.vmap(jax.random.split)(chains.key)
            state, record = jax.vmap(move)(keys[:, 0], chains.state, chains.adaptation)
            stage, window_ends = schedule[jnp.minimum(chains.iteration, self.warmup)]
            adaptation = self._adapt(
                chains.adaptation,
                record["z"],
                record["acceptance_rate"],
                stage=stage,
                window_ends=window_ends == 1,
                warmup_ends=chains.iteration == self.warmup - 1,
            )
            return _Chains(chains.iteration + 1, state, adaptation, keys[:, 1]), record

        return iteration

    def _adapt(
        self,
        adaptation: _Adaptation,
        z: Float[Array, "chain parameter"],
        acceptance: Float[Array, " chain"],
        *,
        stage: Array,
        window_ends: Array,
        warmup_ends: Array,
    ) -> _Adaptation:
        """One update of step size and mass matrix; the conditions are the same for all chains."""
        begin_step, update_step, final_step = dual_averaging_adaptation(self.target_acceptance)
        _, update_mass, final_mass = mass_matrix_adaptation(not self.dense_mass)

        def fast(now: _Adaptation) -> _Adaptation:
            step = jax.vmap(update_step)(now.step, acceptance)
            return _Adaptation(step, now.mass, jnp.exp(step.log_step_size))

        def slow(now: _Adaptation) -> _Adaptation:
            return fast(now)._replace(mass=jax.vmap(update_mass)(now.mass, z))

        def close_window(now: _Adaptation) -> _Adaptation:
            step = jax.vmap(lambda step: begin_step(final_step(step)))(now.step)
            return _Adaptation(step, jax.vmap(final_mass)(now.mass), jnp.exp(step.log_step_size))

        def close_warmup(now: _Adaptation) -> _Adaptation:
            return now._replace(step_size=jax.vmap(final_step)(now.step))

        def same(now: _Adaptation) -> _Adaptation:
            return now

        adaptation = jax.lax.switch(stage, (fast, slow, same), adaptation)
        adaptation = jax.lax.cond(window_ends, close_window, same, adaptation)
        return jax.lax.cond(warmup_ends, close_warmup, same, adaptation)
