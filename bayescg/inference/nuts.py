"""The No-U-Turn sampler: one sampler, two engines, chains side by side in whitened coordinates.

Whitening finds where the posterior lies and how it is shaped; NUTS then runs in z, where a Gaussian
posterior is round, and its results are mapped back to u. Warm-up adapts step size and mass matrix of
every chain by Stan's windows; what it learns beyond the whitening is the shape away from the center.

References:
    M. D. Hoffman, A. Gelman, J. Mach. Learn. Res. 15 (2014) 1593.
    M. Betancourt, arXiv:1701.02434: multinomial sampling of the trajectory.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import numpy as np

from bayescg._checks import BayescgError, one_of, require, require_x64, whole
from bayescg._typing import Array, NumpyArray, PRNGKeyArray
from bayescg.inference.nuts_blackjax import BlackjaxEngine
from bayescg.inference.nuts_engine import AbstractNUTSEngine
from bayescg.inference.nuts_numpyro import NumpyroEngine
from bayescg.inference.sampler import AbstractSampler, Draws, Target
from bayescg.inference.tangent import Tangent, tangents
from bayescg.inference.whitening import Whitening, blank, whiten
from bayescg.numerics.host_loop import HostLoop, chunk_length

ENGINES: dict[str, type[AbstractNUTSEngine]] = {"blackjax": BlackjaxEngine, "numpyro": NumpyroEngine}
"""Who integrates the trajectories, by the name a user gives."""

LONGEST_CHUNK = 50
"""Iterations between two looks at progress, checkpoint and Ctrl-C."""


class NUTS(AbstractSampler):
    """The No-U-Turn sampler.

    Attributes:
        chains: run side by side; four or more make R-hat trustworthy.
        warmup: iterations that adapt step size and mass matrix and are thrown away.
        draws: iterations kept of every chain.
        engine: `"blackjax"` or `"numpyro"`.
        target_acceptance: mean acceptance the step size aims at; nearer to 1 where there are divergences.
        max_tree_depth: a trajectory has at most 2^max_tree_depth steps.
        dense_mass: whether the mass matrix is full; the whitening has one already.

    Example:
        >>> NUTS(draws=500).settings()["draws"]
        500
    """

    chains: int = 4
    warmup: int = 500
    draws: int = 1000
    engine: str = "blackjax"
    target_acceptance: float = 0.8
    max_tree_depth: int = 10
    dense_mass: bool = False

    def __check_init__(self) -> None:
        """Refuse settings that cannot run."""
        for name in ("chains", "warmup", "draws", "max_tree_depth"):
            whole(name, getattr(self, name))
        one_of("engine", self.engine, ENGINES)
        require(
            0 < self.target_acceptance < 1,
            f"target_acceptance must lie between 0 and 1, got {self.target_acceptance}. "
            "0.8 suits most posteriors.",
        )

    def settings(self) -> dict[str, str | int | float]:
        """Everything that determines the draws besides problem and key."""
        return {
            "sampler": "NUTS",
            "engine": self.engine,
            "chains": self.chains,
            "warmup": self.warmup,
            "draws": self.draws,
            "target_acceptance": self.target_acceptance,
            "max_tree_depth": self.max_tree_depth,
            "dense_mass": int(self.dense_mass),
        }

    def draw(self, problem: Target, *, key: PRNGKeyArray, loop: HostLoop) -> Draws:
        """Whiten, warm up, sample.

        Args:
            problem: the posterior.
            key: source of all randomness; the same key gives the same bits.
            loop: progress, checkpoint and interruption.

        Returns:
            Positions in unconstrained coordinates and the sampler's statistics.

        Raises:
            BayescgError: float64 is off, or the log density is not finite.
            Interrupted: Ctrl-C was pressed; with a checkpoint the next call goes on from there.
        """
        require_x64("NUTS")
        key_whiten, key_chains = _split(key)
        whitening: Whitening = loop.run(
            "whiten",
            lambda _, length: (whiten(problem, key=key_whiten, chains=self.chains), {}),
            blank(problem.dimension, self.chains),
            total=1,
            chunk=1,
        ).carry
        engine = ENGINES[self.engine](
            self.warmup, float(self.target_acceptance), self.max_tree_depth, bool(self.dense_mass)
        )
        step = partial(_advance, engine, problem.log_density, whitening)
        chunk = chunk_length(self.warmup, self.draws, longest=LONGEST_CHUNK)
        density = [problem.log_density] * self.chains
        carry = _begin(engine, tangents(density, whitening, whitening.starts), key_chains)
        carry = loop.run(
            "warmup", step, carry, total=self.warmup, chunk=chunk, describe=_status, keep=False
        ).carry
        records = loop.run("sample", step, carry, total=self.draws, chunk=chunk, describe=_status).records
        return _draws(records)


@eqx.filter_jit
def _begin(engine: AbstractNUTSEngine, starts: Tangent, key: PRNGKeyArray) -> Any:
    return engine.init(starts, key)


@eqx.filter_jit
def _advance(
    engine: AbstractNUTSEngine,
    density: Callable[[Array], Array],
    whitening: Whitening,
    carry: Any,
    length: int,
) -> tuple[Any, dict[str, Array]]:
    """The one program of a run: warm-up and sampling differ only in the carry."""
    step = engine.build(lambda z: density(whitening.unwhiten(z)))

    def iteration(carry: Any, _: None) -> tuple[Any, dict[str, Array]]:
        carry, record = step(carry)
        z = record.pop("z")
        return carry, {**record, "u": jax.vmap(whitening.unwhiten)(z)}

    return jax.lax.scan(iteration, carry, length=length)


@jax.jit
def _split(key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    first, second = jax.random.split(key)
    return first, second


def _status(records: dict[str, NumpyArray]) -> str:
    diverging = int(records["diverging"].sum())
    return f"step size {records['step_size'][-1].mean():.2g}, {diverging} divergence{'s' * (diverging != 1)}"


def _draws(records: dict[str, NumpyArray]) -> Draws:
    """From (iteration, chain, ...) to (chain, draw, ...)."""
    positions = np.ascontiguousarray(records["u"].swapaxes(0, 1))
    if not np.isfinite(positions).all():
        raise BayescgError(
            "the gradient of log_density must be finite, got NaN or infinity during sampling. "
            "Find the place with jax.config.update('jax_debug_nans', True)."
        )
    statistics = {name: np.ascontiguousarray(values.T) for name, values in records.items() if name != "u"}
    return Draws(positions, statistics)
