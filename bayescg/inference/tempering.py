"""Prior and likelihood apart: what tempering needs of a problem.

Tempered densities lead from the prior to the posterior,

    p_λ(u) ∝ p(u) p(data | u)^λ,        0 <= λ <= 1.

Where the coefficients theta of a linear potential have a Gaussian prior they are integrated out, and
only the other parameters eta are tempered:

    log p(data | eta) = log p(eta, data) - log p(eta),   log p(eta) = log p(eta, theta) - log p(theta | eta).
"""

import abc
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError
from bayescg._typing import Array, Float, PRNGKeyArray
from bayescg.inference.conjugate import NUMBERS_AT_ONCE, Collapsed
from bayescg.inference.problem import Problem
from bayescg.inference.sampler import Target

LOWEST = -1e25
"""Log likelihood of a point where it is not finite: the steps in λ are found down to 1e-30."""


@runtime_checkable
class SeparableTarget(Target, Protocol):
    """A target whose prior is known apart; `Problem` is one."""

    def log_prior(self, u: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Normalised log prior density of the unconstrained vector; pure."""
        ...


class AbstractTempered(eqx.Module):
    """What a tempered sampler works on.

    Attributes:
        dimension: number of tempered coordinates.
        at_once: points evaluated together; 0 for all.
    """

    dimension: eqx.AbstractVar[int]
    at_once: eqx.AbstractVar[int]

    @abc.abstractmethod
    def initial(self, key: PRNGKeyArray) -> Float[Array, " parameter"]:
        """A draw from the prior."""

    @abc.abstractmethod
    def log_prior(self, u: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Normalised log prior density; pure."""

    @abc.abstractmethod
    def log_likelihood(self, u: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Log likelihood, at least `LOWEST`; pure."""

    @abc.abstractmethod
    def complete(self, u: Float[Array, " parameter"], key: PRNGKeyArray) -> Float[Array, " parameter"]:
        """The unconstrained vector of the whole problem."""


class Whole(AbstractTempered):
    """Every coordinate is tempered.

    Attributes:
        target: whose prior is known apart.
        dimension: of the target.
        at_once: all.

    Example:
        >>> from types import SimpleNamespace
        >>> target = SimpleNamespace(
        ...     dimension=1, log_density=lambda u: -jnp.sum(u**2), log_prior=lambda u: -jnp.sum(u)
        ... )
        >>> float(Whole(target).log_likelihood(jnp.array([3.0])))
        -6.0
    """

    target: Any
    dimension: int = eqx.field(static=True)
    at_once: int = eqx.field(static=True)

    def __init__(self, target: SeparableTarget) -> None:
        self.target, self.dimension, self.at_once = target, int(target.dimension), 0

    def initial(self, key: PRNGKeyArray) -> Float[Array, " parameter"]:
        """A draw from the prior."""
        return self.target.initial(key)

    def log_prior(self, u: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Of the target."""
        return self.target.log_prior(u)

    def log_likelihood(self, u: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Posterior without its prior."""
        return _bounded(self.target.log_density(u) - self.target.log_prior(u))

    def complete(self, u: Float[Array, " parameter"], key: PRNGKeyArray) -> Float[Array, " parameter"]:
        """The vector itself."""
        return u


class WithoutCoefficients(AbstractTempered):
    """Linear coefficients are integrated out, the other coordinates are tempered.

    Attributes:
        problem: with conjugate likelihoods.
        collapsed: the density of everything but the coefficients.
        free: places of the tempered coordinates in the problem's vector.
        dimension: their number.
        at_once: points whose matrices are factored together.

    Raises:
        BayescgError: the problem is not conjugate.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> WithoutCoefficients(bcg.Problem(model, bcg.priors.default(model), term)).dimension
        2
    """

    problem: Problem
    collapsed: Collapsed
    free: tuple[int, ...] = eqx.field(static=True)
    dimension: int = eqx.field(static=True)
    at_once: int = eqx.field(static=True)

    def __init__(self, problem: Problem) -> None:
        self.problem, self.collapsed = problem, Collapsed(problem)
        site = np.array([label.split("[")[0] for label in problem.labels])
        self.free = tuple(int(place) for place in np.flatnonzero(~np.isin(site, _coefficients(problem))))
        self.dimension = len(self.free)
        self.at_once = max(NUMBERS_AT_ONCE // (problem.dimension - self.dimension) ** 2, 1)

    def initial(self, key: PRNGKeyArray) -> Float[Array, " parameter"]:
        """A draw of eta from its prior."""
        return self.collapsed.initial(key)

    def log_prior(self, u: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Log p(eta) = log p(eta, theta) - log p(theta | eta), here at theta = 0."""
        whole = jnp.zeros(self.problem.dimension).at[jnp.asarray(self.free, int)].set(u)
        values = self.problem.constrain(whole)
        laws = self.problem.site_distributions(values)
        conditional = [jnp.sum(laws[path].log_prob(values[path])) for path in _coefficients(self.problem)]
        return self.problem.log_prior(whole) - sum(conditional, start=jnp.zeros(()))

    def log_likelihood(self, u: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Log p(data | eta)."""
        # of the Gaussian integral; the collapsed density drops it
        factor = 0.5 * (self.problem.dimension - self.dimension) * np.log(2 * np.pi)
        return _bounded(self.collapsed.log_density(u) + factor - self.log_prior(u))

    def complete(self, u: Float[Array, " parameter"], key: PRNGKeyArray) -> Float[Array, " parameter"]:
        """With a draw of theta given eta."""
        return self.collapsed.complete(u, key)


def tempered(target: Target, *, collapse: bool) -> AbstractTempered:
    """Prior and likelihood of a target apart.

    Args:
        target: a problem, or any target with `log_prior`.
        collapse: whether to integrate out linear coefficients where that is possible.

    Raises:
        BayescgError: the target's prior is not known apart.

    Example:
        >>> from types import SimpleNamespace
        >>> tempered(SimpleNamespace(dimension=1, initial=None, log_density=None), collapse=True)
        Traceback (most recent call last):
        ...
        bayescg._checks.BayescgError: SMC needs the prior apart from the likelihood, got SimpleNamespace ...
    """
    if not isinstance(target, SeparableTarget):
        raise BayescgError(
            f"SMC needs the prior apart from the likelihood, got {type(target).__name__} without log_prior. "
            "Give a bayescg.Problem, or add the method log_prior."
        )
    if collapse and isinstance(target, Problem):
        try:
            return WithoutCoefficients(target)
        except BayescgError:  # not conjugate: every coordinate is tempered
            return Whole(target)
    return Whole(target)


def _coefficients(problem: Problem) -> list[str]:
    """Paths of what is integrated out."""
    potential: Any = problem.joint.potential
    return [f"potential.{path}" for path in potential.coefficient_paths()]


def _bounded(value: Array) -> Array:
    return jnp.where(jnp.isfinite(value), jnp.maximum(value, LOWEST), LOWEST)
