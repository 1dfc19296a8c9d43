"""Stochastic variational inference: the best approximation in a family, by stochastic gradients.

    ELBO(phi) = E_q[log p(u, data) - log q_phi(u)] <= log Z,

raised in phi by Adam with a rate that decays to zero, each gradient from a few draws of q by
reparametrization. Guides, gradients and the optimizer are NumPyro's and optax's; here are the coordinates,
the host loop and the judgement. Chains are independent fits from starts of their own, so that R-hat tells
whether they agree, and Pareto k of the importance weights p/q tells whether the family holds the posterior at
all (`inference.pareto`). A mean field is narrower than the posterior: of a Gaussian with precision P it has
the variances 1/P_ii.

References:
    M. D. Hoffman, D. M. Blei, C. Wang, J. Paisley, J. Mach. Learn. Res. 14 (2013) 1303.
    D. Phan, N. Pradhan, M. Jankowiak, arXiv:1912.11554 (NumPyro).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import numpyro.infer
import optax
from numpyro.handlers import block

from bayescg._checks import BayescgError, one_of, positive, require, require_x64, whole
from bayescg._typing import Array, NumpyArray, PRNGKeyArray
from bayescg.inference.minibatch import minibatched
from bayescg.inference.mode import DENSE_LIMIT
from bayescg.inference.pareto import broadcast, pareto_k
from bayescg.inference.sampler import AbstractSampler, Draws, Target
from bayescg.inference.svi_coordinates import Coordinates, prior_coordinates, stretched, white
from bayescg.inference.svi_guides import SITE, AbstractGuide, Flow, LowRank, MeanField, drawn
from bayescg.inference.whitening import Whitening, blank, whiten
from bayescg.numerics.host_loop import HostLoop, chunk_length

GUIDES = ("mean_field", "low_rank", "flow")
"""Families, by the name a user gives."""

LONGEST_CHUNK = 100
"""Steps between two looks at progress, checkpoint and Ctrl-C."""

DRAWS_AT_ONCE = 16
"""Draws of every chain computed together, and between two looks at Ctrl-C."""

FIRST_WIDTH = 0.1
"""Of a guide in units of the prior's width, where the posterior is not whitened first."""

FLOW_LIMIT = DENSE_LIMIT
"""Parameters up to which a flow is offered: its networks have several times their square of weights."""

Density = Callable[[Array, PRNGKeyArray], Array]


class SVI(AbstractSampler):
    """Variational inference with a guide of NumPyro's.

    Attributes:
        guide: `"mean_field"`, `"low_rank"` or `"flow"`.
        steps: of the optimizer.
        learning_rate: at the first step, in units of the coordinates; it decays to zero as a cosine.
        rank: of `"low_rank"`: columns of the covariance's factor; None for the root of the dimension.
        draws: per chain, from the fitted guide.
        chains: independent fits; two or more let R-hat tell whether they agree.
        batch: frames of a minibatch; None for all frames at every step.
        particles: draws of the guide per gradient.
        layers: transforms of `"flow"`.
        whiten: whether coordinates are whitened first, where the dimension permits.

    Raises:
        BayescgError: settings that cannot run.

    Example:
        >>> SVI(guide="low_rank", rank=4).settings()["rank"]
        4
    """

    guide: str = "low_rank"
    steps: int = 2000
    learning_rate: float = 0.02
    rank: int | None = None
    draws: int = 1000
    chains: int = 4
    batch: int | None = None
    particles: int = 8
    layers: int = 3
    whiten: bool = True

    def __check_init__(self) -> None:
        """Refuse settings that cannot run."""
        one_of("guide", self.guide, GUIDES)
        for name in ("steps", "draws", "chains", "particles", "layers"):
            whole(name, getattr(self, name))
        positive("learning_rate", self.learning_rate, remedy="0.02 suits most posteriors.")
        for name in ("rank", "batch"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name))
        require(
            self.rank is None or self.guide == "low_rank",
            f"rank belongs to guide='low_rank', got rank={self.rank} and guide={self.guide!r}. Leave it out.",
        )

    def settings(self) -> dict[str, str | int | float]:
        """Everything that determines the draws besides problem and key; 0 stands for None."""
        return {
            "sampler": "SVI",
            "guide": self.guide,
            "steps": self.steps,
            "learning_rate": float(self.learning_rate),
            "rank": self.rank or 0,
            "draws": self.draws,
            "chains": self.chains,
            "batch": self.batch or 0,
            "particles": self.particles,
            "layers": self.layers,
            "whiten": int(self.whiten),
        }

    def draw(self, problem: Target, *, key: PRNGKeyArray, loop: HostLoop) -> Draws:
        """Find the coordinates, fit the guide, draw from it.

        Args:
            problem: the posterior.
            key: source of all randomness; the same key gives the same bits.
            loop: progress, checkpoint and interruption.

        Returns:
            Independent draws of every fit. Statistics: `lp`, `log_weight` (log p - log q), and, the same for
            all draws of a chain, `pareto_k`, `elbo` with `elbo_error` from its draws, `elbo_first` (mean of
            the first tenth of the steps), and `elbo_rise` with `elbo_rise_error` over the last quarter.

        Raises:
            BayescgError: float64 is off, the log density is not finite, or a flow in too many dimensions.
            Interrupted: Ctrl-C was pressed; with a checkpoint the next call goes on from there.
        """
        require_x64("SVI")
        self._check_dimension(problem.dimension)
        key_start, key_fit, key_draw = _three(key)
        coordinates = self._coordinates(problem, key_start, loop)
        density = _noisy(problem, self.batch)
        begin = _begin(self, density, coordinates, key_fit)
        step = partial(_advance, self, density, coordinates)
        chunk = chunk_length(self.steps, longest=LONGEST_CHUNK)
        fit = loop.run("fit", step, begin, total=self.steps, chunk=chunk, describe=_status)
        sampling = partial(_sample, self, problem.log_density, coordinates, fit.carry, key_draw)
        chunk = chunk_length(self.draws, longest=DRAWS_AT_ONCE)
        records = loop.run("draw", sampling, jnp.zeros((), int), total=self.draws, chunk=chunk).records
        return _draws(records, fit.records["elbo"])

    def build_guide(self) -> AbstractGuide:
        """The family of distributions."""
        if self.guide == "mean_field":
            return MeanField()
        return LowRank(self.rank) if self.guide == "low_rank" else Flow(self.layers)

    def _check_dimension(self, dimension: int) -> None:
        require(
            self.guide != "flow" or 1 < dimension <= FLOW_LIMIT,
            f"guide='flow' suits 2 to {FLOW_LIMIT} parameters, got {dimension}. Use guide='low_rank'.",
        )

    def _coordinates(self, problem: Target, key: PRNGKeyArray, loop: HostLoop) -> Coordinates:
        if not self.whiten or problem.dimension > DENSE_LIMIT:
            return prior_coordinates(problem, key=key, chains=self.chains, width=FIRST_WIDTH)
        whitening: Whitening = loop.run(
            "whiten",
            lambda _, length: (whiten(problem, key=key, chains=self.chains), {}),
            blank(problem.dimension, self.chains),
            total=1,
            chunk=1,
        ).carry
        return stretched(whitening) if self.guide == "mean_field" else white(whitening)


class _Full(eqx.Module):
    """The density of all data, which needs no key."""

    log_density: Callable[[Array], Array]

    def __call__(self, u: Array, key: PRNGKeyArray) -> Array:
        return self.log_density(u)


def _noisy(problem: Any, batch: int | None) -> Density:
    """The log density, or an estimate of it without bias from a minibatch of frames."""
    if batch is None:
        return _Full(problem.log_density)
    return minibatched(problem, batch).log_density


def _engine(
    settings: SVI, density: Density, coordinates: Coordinates, start: Array, key: PRNGKeyArray
) -> tuple[numpyro.infer.SVI, Any, Any]:
    """NumPyro's SVI, its guide and its first state; in jit.

    What is not used of the state, as the density at the start, is not computed.
    """
    key, first = jax.random.split(key)
    family = settings.build_guide()
    guide = family.build(start, coordinates.width)

    def model() -> None:
        z = jnp.asarray(
            numpyro.sample(SITE, dist.ImproperUniform(dist.constraints.real_vector, (), start.shape))
        )
        key = numpyro.prng_key()
        assert key is not None  # the engine seeds the program
        with block():  # the problem is a program itself, whose variables are not those of this one
            value = density(coordinates.unwhiten(z), key)
        numpyro.factor("log_density", value + coordinates.log_volume)

    rate = optax.cosine_decay_schedule(settings.learning_rate, settings.steps)
    loss = numpyro.infer.Trace_ELBO(num_particles=settings.particles)
    engine = numpyro.infer.SVI(model, guide, family.optimizer(rate), loss)
    state = engine.init(key, init_params=family.initial(start.size, first) or None)
    return engine, guide, state


@eqx.filter_jit
def _begin(settings: SVI, density: Density, coordinates: Coordinates, key: PRNGKeyArray) -> Any:
    """State of all fits before the first step."""

    def one(start: Array, key: PRNGKeyArray) -> Any:
        return _engine(settings, density, coordinates, start, key)[2]

    return jax.vmap(one)(coordinates.starts, jax.random.split(key, settings.chains))


@eqx.filter_jit
def _advance(
    settings: SVI, density: Density, coordinates: Coordinates, states: Any, length: int
) -> tuple[Any, dict[str, Array]]:
    """Steps of all fits side by side; a step to where the density is not finite is not taken."""
    engine, _, _ = _engine(settings, density, coordinates, coordinates.starts[0], jax.random.key(0))

    def step(states: Any, _: None) -> tuple[Any, dict[str, Array]]:
        states, loss = jax.vmap(engine.stable_update)(states)
        return states, {"elbo": -loss}

    return jax.lax.scan(step, states, length=length)


@eqx.filter_jit
def _sample(
    settings: SVI,
    density: Callable[[Array], Array],
    coordinates: Coordinates,
    states: Any,
    key: PRNGKeyArray,
    first: Array,
    length: int,
) -> tuple[Array, dict[str, Array]]:
    """Draws number `first` and the following of every fit."""
    engine, guide, _ = _engine(
        settings, _Full(density), coordinates, coordinates.starts[0], jax.random.key(0)
    )
    family = settings.build_guide()

    def of_chain(state: Any, key: PRNGKeyArray) -> dict[str, Array]:
        z, log_q = drawn(family.posterior(guide, engine.get_params(state)), key)
        u = coordinates.unwhiten(z)
        return {"u": u, "lp": density(u), "log_q": log_q - coordinates.log_volume}

    def one(index: Array) -> dict[str, Array]:
        keys = jax.random.split(jax.random.fold_in(key, index), settings.chains)
        return jax.vmap(of_chain)(states, keys)

    return first + length, jax.lax.map(one, first + jnp.arange(length))


@jax.jit
def _three(key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray, PRNGKeyArray]:
    first, second, third = jax.random.split(key, 3)
    return first, second, third


def _status(records: dict[str, NumpyArray]) -> str:
    return f"ELBO {records['elbo'][-LONGEST_CHUNK:].mean():.2f}"


def _draws(records: dict[str, NumpyArray], elbo: NumpyArray) -> Draws:
    """From (draw, chain, ...) to (chain, draw, ...), with the judgement of every chain."""
    positions = np.ascontiguousarray(records["u"].swapaxes(0, 1))
    elbo = np.where(np.isfinite(elbo), elbo, np.nan)  # steps that were not taken
    if not np.isfinite(positions).all() or np.isnan(elbo[-_tenth(elbo) :]).all(axis=0).any():
        raise BayescgError(
            "the evidence lower bound must be finite at the end, got NaN or infinity: the guide reaches to "
            "where the log density is not finite. Lower learning_rate, or narrow the prior."
        )
    lp = np.where(np.isnan(records["lp"]), -np.inf, records["lp"]).T.copy()
    weights = lp - records["log_q"].T
    rise, error = _rise(elbo)
    of_chains = {
        "pareto_k": np.array([pareto_k(chain) for chain in weights]),
        "elbo": weights.mean(axis=1),
        "elbo_error": weights.std(axis=1) / np.sqrt(weights.shape[1]),
        "elbo_first": np.nanmean(elbo[: _tenth(elbo)], axis=0),
        "elbo_rise": rise,
        "elbo_rise_error": error,
    }
    return Draws(positions, {"lp": lp, "log_weight": weights, **broadcast(of_chains, lp.shape)})


def _rise(elbo: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    """How much the ELBO rose from the third quarter of the steps to the last, with standard errors."""
    quarter = len(elbo) // 4
    if quarter < 2:
        return np.zeros(elbo.shape[1]), np.full(elbo.shape[1], np.inf)
    before, last = elbo[-2 * quarter : -quarter], elbo[-quarter:]
    variance = (np.nanvar(before, axis=0) + np.nanvar(last, axis=0)) / quarter
    return np.nanmean(last, axis=0) - np.nanmean(before, axis=0), np.sqrt(variance)


def _tenth(elbo: NumpyArray) -> int:
    return -(-len(elbo) // 10)
