"""Sequential Monte Carlo: a swarm of particles from the prior to the posterior, and the evidence.

    p_λ(u) ∝ p(u) p(data | u)^λ,        λ from 0 to 1,

    log Z = Σ_k log (1/N) Σ_i p(data | u_i)^(λ_k+1 - λ_k),        u_i ~ p_λk.

At every temperature the particles are resampled by their weights, moved by Markov steps that leave p_λ
invariant, and weighted for the next λ, which is chosen so that a given fraction of them stays effective.
Particles stand in every mode that the prior reaches, so separate modes keep their weights. Independent
runs, side by side as chains, give the evidence its error and make R-hat meaningful.

References:
    P. Del Moral, A. Doucet, A. Jasra, J. R. Stat. Soc. B 68, 411 (2006),
    doi:10.1111/j.1467-9868.2006.00553.x.
    A. Buchholz, N. Chopin, P. E. Jacob, Bayesian Anal. 16, 745 (2021), doi:10.1214/20-BA1222.
"""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.smc import adaptive_tempered
from blackjax.smc.resampling import systematic
from blackjax.smc.tempered import TemperedSMCState

from bayescg._checks import BayescgError, one_of, require, require_x64, whole
from bayescg._typing import Array, NumpyArray, PRNGKeyArray
from bayescg.inference.sampler import AbstractSampler, Draws, Target
from bayescg.inference.smc_moves import AbstractMove, Hamiltonian, RandomWalk
from bayescg.inference.tempering import AbstractTempered, tempered
from bayescg.numerics.batches import map_in_batches
from bayescg.numerics.host_loop import HostLoop

MOVES = ("hmc", "random_walk")
"""Moves of a particle, by the name a user gives."""

ARRIVED = 1 - 1e-12
"""λ is one from here on; rounding leaves the last step a little short."""

SETTLING = 2
"""Rounds of resampling and moves at λ = 1: the first uses up the last weights, the second refreshes."""

LEAST_VARIANCE = 1e-14
"""Of a coordinate of the particles, relative to the prior's, so that no move is ever of length zero."""


class SMC(AbstractSampler):
    """Adaptive tempered sequential Monte Carlo.

    Attributes:
        particles: of every run; they are its draws.
        runs: independent runs; two or more, for the error of the evidence.
        move: `"hmc"` or `"random_walk"`.
        moves: Markov steps of every particle at every temperature.
        integration_steps: leapfrog steps of one `"hmc"` move.
        effective_fraction: of the particles, that stays after a step in temperature.
        temperatures: at most so many; a run that has not reached the posterior by then is an error.
        collapse: whether linear coefficients with a Gaussian prior are integrated out where possible.

    Raises:
        BayescgError: settings that cannot run.

    Example:
        >>> SMC(particles=256).settings()["particles"]
        256
    """

    particles: int = 512
    runs: int = 4
    move: str = "hmc"
    moves: int = 5
    integration_steps: int = 8
    effective_fraction: float = 0.5
    temperatures: int = 300
    collapse: bool = True

    def __check_init__(self) -> None:
        """Refuse settings that cannot run."""
        whole("particles", self.particles, minimum=10, remedy="Some hundreds suit most posteriors.")
        whole("runs", self.runs, minimum=2, remedy="The error of the evidence comes from their spread.")
        for name in ("moves", "integration_steps", "temperatures"):
            whole(name, getattr(self, name))
        one_of("move", self.move, MOVES)
        require(
            0 < self.effective_fraction < 1,
            f"effective_fraction must lie between 0 and 1, got {self.effective_fraction}. 0.5 suits most.",
        )

    def settings(self) -> dict[str, str | int | float]:
        """Everything that determines the draws besides problem and key."""
        return {
            "sampler": "SMC",
            "particles": self.particles,
            "runs": self.runs,
            "move": self.move,
            "moves": self.moves,
            "integration_steps": self.integration_steps,
            "effective_fraction": self.effective_fraction,
            "temperatures": self.temperatures,
            "collapse": int(self.collapse),
        }

    def draw(self, problem: Target, *, key: PRNGKeyArray, loop: HostLoop) -> Draws:
        """Temper from the prior to the posterior.

        Args:
            problem: the posterior; its prior must be known apart (`log_prior`).
            key: source of all randomness; the same key gives the same bits.
            loop: progress, checkpoint and interruption.

        Returns:
            Particles as draws, runs as chains. Statistics: `lp`; and, the same for all draws of a run,
            `log_evidence`, `temperatures` (steps taken), `acceptance_rate` (at λ = 1), `least_acceptance`
            and `move_correlation` (the largest correlation of a coordinate before and after the moves),
            both over all temperatures.

        Raises:
            BayescgError: float64 is off, the prior is not known apart, no particle has a finite
                likelihood, or λ = 1 is not reached.
            Interrupted: Ctrl-C was pressed; with a checkpoint the next call goes on from there.
        """
        require_x64("SMC")
        split = tempered(problem, collapse=self.collapse)
        temper_key, complete_key = _two(key)
        if split.dimension == 0:
            particles, found = self._exact(split)
        else:
            step = partial(_advance, self, split)
            begin = _begin(self, split, temper_key)
            stage = loop.run("temper", step, begin, total=self.temperatures, chunk=1, describe=_status)
            _check_arrived(stage.records)
            particles, found = stage.carry.particles, _summary(stage.records)
        keys = jax.random.split(complete_key, (self.runs, self.particles))
        positions, densities = _complete(problem.log_density, split, particles, keys)
        shape = (self.runs, self.particles)
        per_run = {name: np.broadcast_to(row[:, None], shape).copy() for name, row in found.items()}
        return Draws(np.asarray(positions), {"lp": np.asarray(densities), **per_run})

    def build_move(self) -> AbstractMove:
        """The Markov move of one particle."""
        if self.move == "random_walk":
            return RandomWalk()
        return Hamiltonian(integration_steps=self.integration_steps)

    def _exact(self, split: AbstractTempered) -> tuple[Array, dict[str, NumpyArray]]:
        """Where every parameter is integrated out the evidence is closed."""
        nothing = jnp.zeros(0)
        evidence = np.full(self.runs, float(_closed(split, nothing)))
        one, none = np.ones(self.runs), np.zeros(self.runs, int)
        return jnp.zeros((self.runs, self.particles, 0)), {
            "log_evidence": evidence,
            "temperatures": none,
            "acceptance_rate": one,
            "least_acceptance": one,
            "move_correlation": 0 * one,
        }


class _Run(NamedTuple):
    """State of the runs; every leaf has a leading axis run outside of `_temper`."""

    particles: Array
    weights: Array
    temperature: Array
    log_evidence: Array
    scale: Array
    acceptance: Array
    correlation: Array
    settled: Array
    width: Array
    key: PRNGKeyArray


@eqx.filter_jit
def _begin(settings: SMC, split: AbstractTempered, key: PRNGKeyArray) -> _Run:
    """All particles at the prior."""

    def one(key: PRNGKeyArray) -> _Run:
        key, draws = jax.random.split(key)
        particles = jax.vmap(split.initial)(jax.random.split(draws, settings.particles))
        weights = jnp.full(settings.particles, 1 / settings.particles)
        zero, scale = jnp.zeros(()), jnp.asarray(settings.build_move().largest_scale(split.dimension))
        width, settled = jnp.std(particles, axis=0), jnp.zeros((), int)
        return _Run(particles, weights, zero, zero, scale, jnp.ones(()), zero, settled, width, key)

    return jax.vmap(one)(jax.random.split(key, settings.runs))


@eqx.filter_jit
def _advance(
    settings: SMC, split: AbstractTempered, runs: _Run, length: int
) -> tuple[_Run, dict[str, Array]]:
    """One temperature of every run that has not settled."""
    temper = partial(_temper, settings, split)

    def iteration(runs: _Run, _: None) -> tuple[_Run, dict[str, Array]]:
        runs = jax.lax.map(
            lambda run: jax.lax.cond(run.settled < SETTLING, temper, lambda same: same, run), runs
        )
        record = {
            "temperature": runs.temperature,
            "log_evidence": runs.log_evidence,
            "acceptance": runs.acceptance,
            "correlation": runs.correlation,
            "settled": runs.settled,
            "effective": 1 / jnp.sum(runs.weights**2, axis=1) / settings.particles,
        }
        return runs, record

    return jax.lax.scan(iteration, runs, length=length)


def _temper(settings: SMC, split: AbstractTempered, run: _Run) -> _Run:
    """Resample, move, choose the next temperature, weight: one run."""
    key, move_key, step_key = jax.random.split(run.key, 3)
    move = settings.build_move()
    covariance = _covariance(run.particles, run.weights, run.width)
    kernel = adaptive_tempered.build_kernel(
        split.log_prior,
        split.log_likelihood,
        lambda key, state, density, scale, factor: move.step(key, state, density, scale=scale, factor=factor),
        move.init,
        systematic,
        settings.effective_fraction,
        batch_size=split.at_once,
    )
    parameters = move.parameters(covariance, run.scale, key=move_key, particles=settings.particles)
    state = TemperedSMCState(run.particles, run.weights, run.temperature)
    state, info = kernel(step_key, state, settings.moves, parameters)
    acceptance = jnp.mean(jnp.nan_to_num(info.update_info))  # type: ignore[arg-type]
    return _Run(
        jnp.asarray(state.particles),
        state.weights,
        jnp.asarray(state.tempering_param),
        run.log_evidence + info.log_likelihood_increment,
        move.adapted(run.scale, acceptance, split.dimension),
        acceptance,
        _correlation(run.particles[info.ancestors], jnp.asarray(state.particles)),
        run.settled + (run.temperature >= ARRIVED),
        run.width,
        key,
    )


def _covariance(particles: Array, weights: Array, width: Array) -> Array:
    """Weighted covariance, shrunk towards its diagonal by the part p / (p + effective particles)."""
    mean = weights @ particles
    centered = particles - mean
    covariance = (weights[:, None] * centered).T @ centered
    variance = jnp.maximum(jnp.diag(covariance), LEAST_VARIANCE * width**2)
    effective = 1 / jnp.sum(weights**2)
    kept = effective / (effective + mean.size)
    return kept * (covariance - jnp.diag(jnp.diag(covariance))) + jnp.diag(variance)


@eqx.filter_jit
def _closed(split: AbstractTempered, nothing: Array) -> Array:
    return split.log_likelihood(nothing)


def _correlation(before: Array, after: Array) -> Array:
    """Largest over the coordinates: near one where the moves are too few or the modes are apart."""
    before, after = before - before.mean(axis=0), after - after.mean(axis=0)
    product = jnp.sum(before**2, axis=0) * jnp.sum(after**2, axis=0)
    return jnp.max(jnp.sum(before * after, axis=0) / jnp.sqrt(jnp.where(product > 0, product, jnp.inf)))


@eqx.filter_jit
def _complete(
    density: Any, split: AbstractTempered, particles: Array, keys: PRNGKeyArray
) -> tuple[Array, Array]:
    """Whole vectors and their log densities, (run, particle, ...)."""

    def one(pair: tuple[Array, PRNGKeyArray]) -> tuple[Array, Array]:
        u = split.complete(*pair)
        return u, density(u)

    shape = particles.shape[:2]
    flat = particles.reshape(keys.size, particles.shape[-1]), keys.ravel()
    positions, densities = map_in_batches(one, flat, split.at_once or shape[1])
    return positions.reshape(*shape, -1), densities.reshape(shape)


@jax.jit
def _two(key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    first, second = jax.random.split(key)
    return first, second


def _status(records: dict[str, NumpyArray]) -> str:
    last = {name: values[-1] for name, values in records.items()}
    return (
        f"λ {last['temperature'].min():.2g}, log evidence {last['log_evidence'].mean():.1f}, "
        f"acceptance {last['acceptance'].mean():.2f}"
    )


def _check_arrived(records: dict[str, NumpyArray]) -> None:
    least, evidence = float(records["temperature"][-1].min()), records["log_evidence"][-1]
    if not np.isfinite(evidence).all():
        raise BayescgError(
            "the likelihood must be finite somewhere under the prior, got none among the particles. "
            "Narrow the prior, or raise particles."
        )
    if records["settled"][-1].min() < SETTLING:
        raise BayescgError(
            f"SMC must reach λ = 1, got to {least:.3g} after {len(records['temperature'])} temperatures. "
            "Raise temperatures, or narrow the prior."
        )


def _summary(records: dict[str, NumpyArray]) -> dict[str, NumpyArray]:
    """One number per run."""
    return {
        "log_evidence": records["log_evidence"][-1],
        "temperatures": 1 + np.sum(records["temperature"] < ARRIVED, axis=0),
        "acceptance_rate": records["acceptance"][-1],
        "least_acceptance": records["acceptance"].min(axis=0),
        "move_correlation": records["correlation"].max(axis=0),
    }
