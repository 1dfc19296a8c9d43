"""NUTS by NumPyro: `numpyro.infer.hmc.hmc`, which adapts by itself for `num_warmup` iterations."""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from numpyro.infer.hmc import HMCState, hmc

from bayescg._typing import Array, PRNGKeyArray
from bayescg.inference.nuts_engine import AbstractNUTSEngine, Iteration, LogDensity
from bayescg.inference.tangent import Tangent


class NumpyroEngine(AbstractNUTSEngine):
    """NUTS by NumPyro.

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

    def init(self, starts: Tangent, key: PRNGKeyArray) -> HMCState:
        """State of all chains before the first iteration."""

        def chain(start: Tangent, key: PRNGKeyArray) -> HMCState:
            begin, _ = self._kernel(start)
            return begin(start.point, rng_key=key)

        axes = _axes(chain(jax.tree.map(lambda leaf: leaf[0], starts), key))
        return jax.vmap(chain, out_axes=axes)(starts, jax.random.split(key, len(starts.value)))

    def build(self, density: LogDensity) -> Iteration:
        """One iteration of all chains: state -> (state, record)."""

        def iteration(state: HMCState) -> tuple[HMCState, dict[str, Array]]:
            begin, sample = self._kernel(density)
            # the kernel learns its settings from this call; its result is not used, so it is never computed
            begin(state.z[0], rng_key=state.rng_key[0])
            axes = _axes(state)
            new = jax.vmap(sample, in_axes=(axes,), out_axes=axes)(state)
            return new, {
                "z": new.z,
                "lp": -new.potential_energy,
                "diverging": new.diverging,
                "acceptance_rate": new.accept_prob,
                # a tree of depth j has 2^j - 1 steps in all, fewer where its last half stopped early
                "tree_depth": jnp.ceil(jnp.log2(new.num_steps + 1)).astype(int),
                "n_steps": new.num_steps,
                "energy": new.energy,
                "step_size": state.adapt_state.step_size,
            }

        return iteration

    def _kernel(self, density: LogDensity) -> tuple[Callable[..., HMCState], Callable[..., HMCState]]:
        begin, sample = hmc(lambda z: -density(z), algo="NUTS")
        settings = {
            "num_warmup": self.warmup,
            "dense_mass": self.dense_mass,
            "target_accept_prob": self.target_acceptance,
            "trajectory_length": None,
            "max_tree_depth": self.max_tree_depth,
        }
        return partial(begin, **settings), sample


def _axes(state: HMCState) -> HMCState:
    """All but the counters have a leading axis chain; a shared counter keeps branches from running twice."""
    axes = jax.tree.map(lambda _: 0, state)
    return axes._replace(i=None, adapt_state=axes.adapt_state._replace(window_idx=None))
