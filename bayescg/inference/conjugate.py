"""Conjugate: linear coefficients integrated out exactly, the rest (noise, roughness) sampled.

Given all other parameters eta, the coefficients have a Gaussian prior N(m0, P0^-1) and a likelihood
c + b'theta - theta'H theta/2, so with A = P0 + H and theta^ = A^-1 (P0 m0 + b)

    theta | eta ~ N(theta^, A^-1),
    log p(eta | data) = log p(eta) + log N(0; m0, P0^-1) + c + theta^' A theta^/2 - log det(A)/2 + const.

The few eta are drawn from that collapsed density by independence Metropolis-Hastings, or by NUTS where
there are many or the proposals fit badly; then every draw of eta gets an independent draw of theta.
Without any eta the draws are independent and no chain is run.

References:
    A. Gelman et al., Bayesian Data Analysis, 3rd ed., CRC Press (2013), ch. 14.
"""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.linalg import block_diag, cho_factor, cho_solve, solve_triangular
from threadpoolctl import threadpool_limits

from bayescg._checks import BayescgError, whole
from bayescg._typing import Array, Float, PRNGKeyArray
from bayescg.inference.independence import independence_chains
from bayescg.inference.nuts import NUTS
from bayescg.inference.problem import Problem
from bayescg.inference.sampler import AbstractSampler, Draws
from bayescg.interfaces import AbstractConjugateLikelihood, AbstractLinearPotential
from bayescg.numerics.batches import map_in_batches
from bayescg.numerics.host_loop import HostLoop

NUMBERS_AT_ONCE = 100_000
"""Elements of the matrices factored together. XLA's CPU runtime of jaxlib 0.10.1 can wait for ever where a
Cholesky factor feeds a triangular solve and their batch has more than some 200,000 elements."""

DRAWS_AT_ONCE = 64
"""Completed together: beyond, arrays of path likelihoods outgrow the caches."""

FEW = 12
"""Hyperparameters up to which independence proposals are tried: their acceptance falls with dimension."""

LEAST_ACCEPTANCE = 0.3
"""Below, independence chains stick and NUTS draws the hyperparameters instead."""


class Conjugate(AbstractSampler):
    """Exact draws of linear coefficients under Gaussian noise.

    Attributes:
        chains: independent chains of the hyperparameters.
        draws: per chain.
        warmup: of the hyperparameters' chains, where NUTS draws them.

    Raises:
        BayescgError: a potential that is not linear, noise that is not Gaussian, or coefficients whose
            prior is not Gaussian given the other parameters.

    Example:
        >>> import bayescg as bcg
        >>> bcg.Conjugate(draws=500).settings()["draws"]
        500
    """

    chains: int = 4
    draws: int = 1000
    warmup: int = 500

    def __check_init__(self) -> None:
        for name in ("chains", "draws", "warmup"):
            whole(name, getattr(self, name))

    def settings(self) -> dict[str, str | int | float]:
        """Everything that determines the draws."""
        return {"sampler": "Conjugate", "chains": self.chains, "draws": self.draws, "warmup": self.warmup}

    def draw(self, problem: Any, *, key: PRNGKeyArray, loop: HostLoop) -> Draws:
        """Sample hyperparameters on the collapsed density, then coefficients exactly."""
        # matrices of a few dozen rows: threads of BLAS would wait for each other far longer than they work
        with threadpool_limits(1, user_api="blas"):
            return self._draw(problem, key, loop)

    def _draw(self, problem: Problem, key: PRNGKeyArray, loop: HostLoop) -> Draws:
        collapsed = Collapsed(problem)
        hyper_key, theta_key = jax.random.split(key)
        hyper = self._hyperparameters(collapsed, hyper_key, loop)
        keys = jax.random.split(theta_key, self.chains * self.draws)
        etas = jnp.asarray(hyper.positions).reshape(self.chains * self.draws, -1)
        numbers = (problem.dimension - collapsed.dimension) ** 2
        at_once = min(max(NUMBERS_AT_ONCE // numbers, 1), DRAWS_AT_ONCE)

        positions, densities = _completed(collapsed, etas, keys, at_once)
        shape = (self.chains, self.draws)
        statistics = {**hyper.statistics, "lp": np.asarray(densities).reshape(shape)}
        return Draws(np.asarray(positions).reshape(*shape, -1), statistics)

    def _hyperparameters(self, collapsed: "Collapsed", key: PRNGKeyArray, loop: HostLoop) -> Draws:
        """Draws of everything but the coefficients."""
        if collapsed.dimension == 0:
            return Draws(np.zeros((self.chains, self.draws, 0)), {})
        if collapsed.dimension <= FEW:
            found = independence_chains(collapsed, key=key, chains=self.chains, draws=self.draws)
            if found.statistics["acceptance_rate"].mean() >= LEAST_ACCEPTANCE:
                return found
        nuts = NUTS(chains=self.chains, warmup=self.warmup, draws=self.draws)
        return nuts.draw(collapsed, key=key, loop=loop)


@eqx.filter_jit
def _completed(collapsed: "Collapsed", etas: Array, keys: PRNGKeyArray, at_once: int) -> tuple[Array, Array]:
    """A draw of the coefficients for every eta: whole unconstrained vectors and their log densities."""
    return map_in_batches(lambda pair: collapsed.scored(*pair), (etas, keys), at_once)


class Collapsed(eqx.Module):
    """The posterior of everything but the linear coefficients; a target for any sampler.

    Attributes:
        problem: with conjugate likelihoods.
        paths: of the coefficients.
        theta_places: elements of the problem's unconstrained vector that are coefficients.
        eta_places: the others, the hyperparameters.

    Raises:
        BayescgError: the problem is not conjugate.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> Collapsed(bcg.Problem(model, bcg.priors.default(model), term)).dimension
        2
    """

    problem: Problem
    paths: tuple[str, ...] = eqx.field(static=True)
    theta_places: tuple[int, ...] = eqx.field(static=True)
    eta_places: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.paths = _coefficient_paths(problem)
        site = np.array([label.split("[")[0] for label in problem.labels])
        theta = np.concatenate([np.flatnonzero(site == path) for path in self.paths])
        self.theta_places = tuple(theta.tolist())
        self.eta_places = tuple(np.setdiff1d(np.arange(problem.dimension), theta).tolist())
        jax.eval_shape(self._gaussian, jnp.zeros(self.dimension))  # a prior that is not Gaussian is refused

    @property
    def dimension(self) -> int:
        """Number of unconstrained hyperparameters."""
        return len(self.eta_places)

    def initial(self, key: PRNGKeyArray) -> Float[Array, " parameter"]:
        """A draw of the hyperparameters from their prior."""
        return self.problem.initial(key)[np.array(self.eta_places, int)]

    def log_density(self, u: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Log posterior density of the hyperparameters, coefficients integrated out; pure."""
        mean, factor, constant = self._gaussian(u)
        return self._peak(u, mean, factor, constant) - jnp.sum(jnp.log(jnp.diag(factor)))

    def conditional(
        self, eta: Float[Array, " parameter"]
    ) -> tuple[Float[Array, " feature"], Float[Array, "feature feature"]]:
        """Mean theta^ and covariance A^-1 of the coefficients given the hyperparameters."""
        mean, factor, _ = self._gaussian(eta)
        return mean, cho_solve((factor, True), jnp.eye(mean.size))

    def complete(self, eta: Float[Array, " parameter"], key: PRNGKeyArray) -> Float[Array, " parameter"]:
        """The whole unconstrained vector with a draw of the coefficients given eta."""
        return self.scored(eta, key)[0]

    def scored(
        self, eta: Float[Array, " parameter"], key: PRNGKeyArray
    ) -> tuple[Float[Array, " parameter"], Float[Array, ""]]:
        """What `complete` gives, and its log posterior density."""
        mean, factor, constant = self._gaussian(eta)
        noise = jax.random.normal(key, mean.shape, mean.dtype)
        theta = mean + solve_triangular(factor.T, noise, lower=False)
        # (theta - theta^)' A (theta - theta^) = |noise|²
        return self._join(eta, theta), self._peak(eta, mean, factor, constant) - 0.5 * noise @ noise

    def _peak(self, eta: Array, mean: Array, factor: Array, constant: Array) -> Array:
        """Log posterior density at theta^."""
        root = factor.T @ mean  # A = L L', so theta^' A theta^ = |L' theta^|²
        return self.problem.log_prior(self._join(eta, jnp.zeros_like(mean))) + constant + 0.5 * root @ root

    def _join(self, eta: Array, theta: Array) -> Array:
        u = jnp.zeros(self.problem.dimension)
        u = u.at[np.array(self.eta_places, int)].set(eta)
        return u.at[np.array(self.theta_places, int)].set(theta)

    def _gaussian(self, eta: Array) -> tuple[Array, Array, Array]:
        """Conditional mean, lower Cholesky factor of the conditional precision, likelihood constant."""
        values = self.problem.constrain(self._join(eta, jnp.zeros(len(self.theta_places))))
        distributions = self.problem.site_distributions(values)
        pieces = [_natural(path, distributions[path]) for path in self.paths]
        joint = self.problem.with_values(values)
        forms = [
            joint.likelihoods[term].quadratic_form(joint.model, self.problem.observations[term])  # type: ignore[attr-defined]
            for term in self.problem.terms
        ]
        prior_precision = block_diag(*[precision for _, precision in pieces])
        prior_mean = jnp.concatenate([mean for mean, _ in pieces])
        precision = prior_precision + sum(form.precision for form in forms)
        linear = prior_precision @ prior_mean + sum(form.linear for form in forms)
        factor, _ = cho_factor(precision, lower=True)
        mean = cho_solve((factor, True), linear)
        return mean, jnp.tril(factor), jnp.asarray(sum(form.constant for form in forms))


def _coefficient_paths(problem: Problem) -> tuple[str, ...]:
    potential, remedy = problem.joint.potential, "Sample with bayescg.NUTS() instead."
    if not isinstance(potential, AbstractLinearPotential):
        raise BayescgError(
            "Conjugate needs a potential that is linear in its coefficients, got "
            f"{type(potential).__name__}. {remedy}"
        )
    for likelihood, _ in problem.scored:
        if not isinstance(likelihood, AbstractConjugateLikelihood):
            raise BayescgError(
                f"Conjugate needs likelihoods that are quadratic in the coefficients, got "
                f"{type(likelihood).__name__}. {remedy}"
            )
    paths = tuple(f"potential.{path}" for path in potential.coefficient_paths())
    for path in paths:
        if path not in problem.sites:
            raise BayescgError(
                f"Conjugate needs a Gaussian prior on {path}, but it has none of its own. {remedy}"
            )
    return paths


@functools.singledispatch
def _gaussian_parts(distribution: Any) -> tuple[Array, Array] | None:
    """Mean (batch, event) and precision (batch, event, event) in the order of the batch, or None."""
    return None


@_gaussian_parts.register
def _(distribution: dist.Normal) -> tuple[Array, Array]:
    mean = jnp.broadcast_to(jnp.asarray(distribution.loc), distribution.batch_shape).reshape(-1, 1)
    scale = jnp.broadcast_to(jnp.asarray(distribution.scale), distribution.batch_shape).reshape(-1, 1, 1)
    return mean, scale**-2


@_gaussian_parts.register
def _(distribution: dist.MultivariateNormal) -> tuple[Array, Array]:
    size = distribution.event_shape[0]
    mean = jnp.broadcast_to(jnp.asarray(distribution.loc), distribution.shape()).reshape(-1, size)
    shape = (*distribution.batch_shape, size, size)
    precision = jnp.broadcast_to(jnp.asarray(distribution.precision_matrix), shape).reshape(-1, size, size)
    return mean, precision


@_gaussian_parts.register
def _(distribution: dist.Independent) -> tuple[Array, Array] | None:
    return _gaussian_parts(distribution.base_dist)


@_gaussian_parts.register
def _(distribution: dist.ExpandedDistribution) -> tuple[Array, Array] | None:
    parts = _gaussian_parts(distribution.base_dist)
    if parts is None:
        return None
    base = distribution.base_dist.batch_shape
    copies = np.broadcast_to(np.arange(int(np.prod(base))).reshape(base), distribution.batch_shape).ravel()
    return parts[0][copies], parts[1][copies]


def _natural(path: str, distribution: Any) -> tuple[Array, Array]:
    """Mean vector and dense precision of a Gaussian prior over a raveled parameter."""
    parts = _gaussian_parts(distribution)
    if parts is None:
        raise BayescgError(
            f"Conjugate needs a prior of {path} that is Gaussian given the other parameters, got "
            f"{type(distribution).__name__}. Sample with bayescg.NUTS() instead."
        )
    mean, precision = parts
    batch, size = mean.shape
    blocks = jnp.eye(batch)[:, None, :, None] * precision[:, :, None, :]
    return mean.ravel(), blocks.reshape(batch * size, batch * size)
