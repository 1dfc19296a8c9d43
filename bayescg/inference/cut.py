"""Cut: a posterior drawn module by module, potential first, memory given draws of the potential.

Every kept draw theta of the potential starts a chain for the memory's parameters eta of its own,

    theta ~ p(theta | structure data),        eta ~ p(eta | theta, dynamics data),

run by NUTS in the coordinates that whiten p(eta | mean theta, ...), from a draw of that Gaussian, for a fixed
number of transitions; its last state is kept. So draws are as independent as those of theta, and the
dynamics data never change the potential.

References:
    M. Plummer, Stat. Comput. 25, 37 (2015), doi:10.1007/s11222-014-9503-z.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.mcmc import nuts

from bayescg._checks import require_x64, whole
from bayescg._typing import Array, NumpyArray, PRNGKeyArray
from bayescg.inference.conjugate import Conjugate
from bayescg.inference.modules import Modules, cut_by_default, modules_of
from bayescg.inference.problem import Problem
from bayescg.inference.sampler import AbstractSampler, Draws
from bayescg.inference.tangent import Tangent, tangents
from bayescg.inference.whitening import Whitening, blank, whiten
from bayescg.likelihoods.path import Path, PathSums
from bayescg.likelihoods.path_given import given_potential
from bayescg.numerics.host_loop import HostLoop, chunk_length

STEP_SIZE = 0.5
"""Of the leapfrog in whitened coordinates, where the posterior's width is one: stable to curvature 16."""

TREE_DEPTH = 7
"""Longest trajectory 128 steps: 64 widths, enough to reach a conditional posterior far from the mean one."""

CLIMBS = 3
"""Searches for the mode, each from a prior draw: kernels of several modes have several maxima."""

LANES_AT_ONCE = 8
"""Memory chains between two looks at progress, checkpoint and Ctrl-C."""


class Cut(AbstractSampler):
    """Potential from its own terms; memory from the path likelihood given draws of the potential.

    Attributes:
        potential: sampler of the structure module.
        draws: per chain, kept of the potential's draws by even thinning.
        transitions: of NUTS for the memory, per draw.

    Raises:
        BayescgError: the problem has no path likelihood or no other term, or its prior is a program.

    Example:
        >>> import bayescg as bcg
        >>> bcg.Cut(bcg.NUTS(draws=500), draws=50).settings()["draws"]
        50
    """

    potential: AbstractSampler = Conjugate()
    draws: int = 100
    transitions: int = 24

    def __check_init__(self) -> None:
        for name in ("draws", "transitions"):
            whole(name, getattr(self, name))

    def settings(self) -> dict[str, str | int | float]:
        """Everything that determines the draws; those of the potential's sampler with its name before."""
        inner = {f"potential_{name}": value for name, value in self.potential.settings().items()}
        return {"sampler": "Cut", "draws": self.draws, "transitions": self.transitions, **inner}

    def draw(self, problem: Any, *, key: PRNGKeyArray, loop: HostLoop) -> Draws:
        """Draw the potential, then the memory given every kept draw."""
        require_x64("Cut")
        modules = modules_of(problem)
        key_potential, key_whiten, key_memory = jax.random.split(key, 3)
        structure = self.potential.draw(modules.structure, key=key_potential, loop=loop)
        kept = _thinned(structure, self.draws)
        chains, draws, _ = kept.positions.shape
        thetas = jnp.asarray(kept.positions.reshape(chains * draws, -1))
        given = eqx.filter_jit(conditioned)
        target = given(modules, thetas.mean(axis=0))
        whitening: Whitening = loop.run(
            "whiten_memory",
            lambda _, length: (whiten(target, key=key_whiten, chains=CLIMBS), {}),
            blank(target.dimension, CLIMBS),
            total=1,
            chunk=1,
        ).carry
        first_etas, keys = _starts(whitening, key_memory, chains * draws)

        def step(first: Array, length: int) -> tuple[Array, dict[str, Array]]:
            lanes = jnp.minimum(first + jnp.arange(length), chains * draws - 1)
            densities = [given(modules, theta).log_density for theta in thetas[lanes]]
            starts = tangents(densities, whitening, first_etas[lanes])
            chosen = (thetas[lanes], starts, keys[lanes])
            return first + length, _lanes(modules, whitening, chosen, self.transitions)

        chunk = chunk_length(chains * draws, longest=LANES_AT_ONCE)
        records = loop.run("memory", step, jnp.zeros((), int), total=chains * draws, chunk=chunk).records
        etas = records.pop("u").reshape(chains, draws, -1)
        positions = joined(modules, kept.positions, etas)
        statistics = {name: values.reshape(chains, draws) for name, values in records.items()}
        lp = statistics["lp"] + kept.statistics.get("lp", np.zeros((chains, draws)))
        return Draws(positions, {**statistics, "lp": lp})


def modular(problem: Problem, sampler: AbstractSampler, *, cut: bool | None) -> AbstractSampler:
    """The sampler, or a `Cut` with it for the potential.

    Args:
        problem: the posterior.
        sampler: as asked for.
        cut: whether to cut; None for the default of the problem.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=2))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> type(modular(problem, Conjugate(), cut=None)).__name__
        'Conjugate'
    """
    wanted = cut_by_default(problem) if cut is None else cut
    return Cut(sampler) if wanted and not isinstance(sampler, Cut) else sampler


def conditioned(modules: Modules, theta: Array) -> Problem:
    """The dynamics module at one potential: its density is p(eta | theta, dynamics data); pure.

    Where forces enter as lagged sums those are mixed once, so that densities of many memories are cheap.

    Args:
        modules: of a problem.
        theta: (parameter,) unconstrained, of the structure module.
    """
    dynamics = modules.dynamics
    joint = dynamics.with_values(modules.structure.constrain(theta))
    fixed = eqx.tree_at(lambda problem: problem.joint, dynamics, joint)
    seen = [(index, joint.likelihoods[index], dynamics.observations[index]) for index in dynamics.terms]
    if not all(isinstance(observations, PathSums) for _, _, observations in seen):
        return fixed
    potential, new = joint.potential, list(dynamics.observations)
    for index, likelihood, observations in seen:
        assert isinstance(likelihood, Path)
        potential, groups = given_potential(
            joint.potential, observations.groups, observed=likelihood.observed
        )
        new[index] = PathSums(groups)
    return eqx.tree_at(
        lambda problem: (problem.joint.potential, problem.observations), fixed, (potential, tuple(new))
    )


def joined(modules: Modules, thetas: NumpyArray, etas: NumpyArray) -> NumpyArray:
    """The whole problem's unconstrained vectors from those of its modules, (..., parameter)."""
    size = modules.structure_places.size + modules.dynamics_places.size
    whole_vector = np.empty((*thetas.shape[:-1], size))
    whole_vector[..., modules.structure_places] = thetas
    whole_vector[..., modules.dynamics_places] = etas
    return whole_vector


def _thinned(draws: Draws, wanted: int) -> Draws:
    """At most so many draws of every chain, evenly spaced."""
    length = draws.positions.shape[1]
    count = min(wanted, length)
    chosen = ((np.arange(count) + 0.5) * length / count).astype(int)
    return Draws(
        draws.positions[:, chosen], {name: values[:, chosen] for name, values in draws.statistics.items()}
    )


@eqx.filter_jit
def _starts(whitening: Whitening, key: PRNGKeyArray, lanes: int) -> tuple[Array, PRNGKeyArray]:
    """Where every lane's chain starts, draws of the whitening's Gaussian, and its key."""
    keys = jax.vmap(jax.random.split)(jax.random.split(key, lanes))
    z = jax.vmap(lambda key: jax.random.normal(key, whitening.center.shape))(keys[:, 0])
    return jax.vmap(whitening.unwhiten)(z), keys[:, 1]


@eqx.filter_jit
def _lanes(
    modules: Modules,
    whitening: Whitening,
    lanes: tuple[Array, Tangent, PRNGKeyArray],
    transitions: int,
) -> dict[str, Array]:
    """One chain for the memory per draw of the potential; the last state of each."""
    kernel = nuts.build_kernel()

    def lane(chosen: tuple[Array, Tangent, PRNGKeyArray]) -> dict[str, Array]:
        theta, start, key = chosen
        target = conditioned(modules, theta)

        def of_z(z: Array) -> Array:
            return target.log_density(whitening.unwhiten(z))

        state, one = nuts.init(start.point, start), jnp.ones_like(start.point)

        def transition(state: Any, key: PRNGKeyArray) -> tuple[Any, Any]:
            state, info = kernel(key, state, of_z, STEP_SIZE, one, TREE_DEPTH)
            return state, (info.acceptance_rate, info.is_divergent, info.num_integration_steps)

        state, (acceptance, diverging, steps) = jax.lax.scan(
            transition, state, jax.random.split(key, transitions)
        )
        later = transitions // 2
        return {
            "u": whitening.unwhiten(state.position),
            "lp": state.logdensity,
            "acceptance_rate": jnp.mean(acceptance[later:]),
            "diverging": jnp.any(diverging[later:]),
            "n_steps": jnp.sum(steps),
        }

    return jax.lax.map(lane, lanes)
