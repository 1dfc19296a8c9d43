"""Minibatches of frames: an unbiased estimate of the log density at a part of its cost.

    log p^(u) = log prior(u) + Σ_terms (N/n) Σ_(frames drawn) log p(forces of the frame | u),

n of N frames being drawn without replacement, so that its mean over draws is the log density and its
gradient's mean the gradient. Terms that are sums over the data already cost the same whatever their length
and stay whole. With control variates the gradient is

    g(0) + g^(z) - g^(0),

the full gradient at the center, and the difference between z and the center on the same frames: near the
center its noise vanishes.

References:
    M. Welling, Y. W. Teh, Proc. 28th ICML (2011) 681.
    J. Baker, P. Fearnhead, E. B. Fox, C. Nemeth, Stat. Comput. 29, 599 (2019), doi:10.1007/s11222-018-9826-2.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._checks import BayescgError, whole
from bayescg._typing import Array, Float, PRNGKeyArray
from bayescg.inference.problem import Problem
from bayescg.likelihoods.correlation_data import CorrelationData
from bayescg.likelihoods.frames import ForceFrames
from bayescg.likelihoods.path import PathSums
from bayescg.likelihoods.statistics import ForceStatistics

WHOLE = (ForceStatistics, PathSums, CorrelationData)
"""Data reduced to sums, which are scored whole."""


class Minibatched(eqx.Module):
    """A problem whose stored frames are drawn anew for every density; made by `minibatched`.

    Attributes:
        problem: the posterior.
        size: frames drawn of every term that stores frames.
    """

    problem: Problem
    size: int = eqx.field(static=True)

    @property
    def dimension(self) -> int:
        """Of the problem."""
        return self.problem.dimension

    def initial(self, key: PRNGKeyArray) -> Float[Array, " parameter"]:
        """A draw from the prior."""
        return self.problem.initial(key)

    def full_log_density(self, u: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Of all frames; pure."""
        return self.problem.log_density(u)

    def log_density(self, u: Float[Array, " parameter"], key: PRNGKeyArray) -> Float[Array, ""]:
        """Unbiased estimate of the log posterior density of the unconstrained vector; pure.

        Args:
            u: unconstrained vector.
            key: which frames are drawn.
        """
        joint = self.problem.with_values(self.problem.constrain(u))
        total = self.problem.log_prior(u)
        for index, own in zip(
            self.problem.terms, jax.random.split(key, len(self.problem.terms)), strict=True
        ):
            seen, factor = self._drawn(self.problem.observations[index], own)
            total += factor * joint.likelihoods[index].log_likelihood(joint.model, seen)
        return total

    def _drawn(self, observations: Any, key: PRNGKeyArray) -> tuple[Any, float]:
        """Observations of a few frames, and how many times as many there are."""
        if not isinstance(observations, ForceFrames):
            return observations, 1.0
        count = observations.forces.shape[0]
        size = min(self.size, count)
        chosen = jax.random.choice(key, count, (size,), replace=False)
        arrays = (*observations.arrays, observations.forces, observations.noise_ratio)
        x, box, near, kelvin, forces, ratio = jax.tree.map(lambda array: array[chosen], arrays)
        part = dataclasses.replace(
            observations,
            positions=x,
            boxes=box,
            neighbors=near,
            temperatures=kelvin,
            forces=forces,
            noise_ratio=ratio,
            block=jnp.zeros(size, int),
            block_count=1,
        )
        return part, count / size


def minibatched(problem: Problem, size: int) -> Minibatched:
    """A problem with densities estimated from a few frames at a time.

    Args:
        problem: the posterior.
        size: frames drawn of every term that stores frames; all where it has fewer.

    Raises:
        BayescgError: no term stores frames, or one can neither be drawn from nor is a sum.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.LennardJones(epsilon=0.65, sigma=0.3, cutoff=0.9))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=8))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> few = minibatched(problem, 2)
        >>> u = problem.initial(jax.random.key(0))
        >>> bool(jnp.isfinite(few.log_density(u, jax.random.key(1))))
        True
    """
    whole("batch", size)
    seen = [problem.observations[index] for index in problem.terms]
    if not any(isinstance(one, ForceFrames) for one in seen):
        raise BayescgError(
            "batch needs a term that stores frames, got sums over all frames, whose density costs the same "
            "for any number of frames. Leave batch out, or sample with bayescg.NUTS() or bayescg.Conjugate()."
        )
    for one in seen:
        if not isinstance(one, (ForceFrames, *WHOLE)):
            raise BayescgError(
                "batch needs terms whose frames are independent given the parameters, got "
                f"{type(one).__name__}. Sample with bayescg.NUTS() instead."
            )
    return Minibatched(problem, size)
