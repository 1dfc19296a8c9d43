"""Whitening: where the posterior lies and how it is shaped, u = center + C z with C C' = H^-1.

H is the negative Hessian of the log density, so a Gaussian posterior is N(0, I) in z, however badly
its coordinates are scaled.

1. From several prior draws climb to a mode.
2. The mode is not always where the mass is: in a hierarchy (a funnel) the joint density can grow
   without end into a corner of no volume. So every path is judged at several of its points, the mode
   included, by the evidence lower bound of the Gaussian around it, and the best point of all becomes
   the center. The idea is Pathfinder's, with Hessians.
3. Chains start from draws of their own path's Gaussian, so that separate modes show in R-hat; a path
   whose mass is negligible beside the best one's starts from the best one's.

Above `DENSE_LIMIT` parameters only the diagonal of H is used, and only at the modes: no Newton, no
off-diagonal terms. The sampler's own mass matrix does the rest.

References:
    L. Zhang, B. Carpenter, A. Gelman, A. Vehtari, J. Mach. Learn. Res. 23 (2022) 306.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

from bayescg._checks import BayescgError, require_x64, whole
from bayescg._typing import Array, Float, NumpyArray, PRNGKeyArray
from bayescg.inference.mode import (
    DENSE_LIMIT,
    Local,
    LogDensity,
    climb,
    densities,
    local_gaussian,
    value_and_gradient,
)
from bayescg.inference.sampler import Target

PRIOR_DRAWS = 64
"""Draws that measure the prior's width in every coordinate, to about 15%."""

PATH_POINTS = 6
"""Points of a path judged by their ELBO."""

ELBO_DRAWS = 64
"""Draws of one ELBO, the same for all points, so that most of their noise cancels in a comparison."""

NEGLIGIBLE = 20.0
"""A path whose ELBO is this far below the best (mass e^-20) gets no chain of its own."""


class Whitening(eqx.Module):
    """Coordinates in which the posterior is about N(0, I).

    Attributes:
        center: u at z = 0.
        scale: the matrix C (a diagonal operator above `DENSE_LIMIT` parameters).
        starts: where chains begin, u.
        elbo: of every path's best point; each is a lower bound of the log evidence.
    """

    center: Float[Array, " parameter"]
    scale: lx.AbstractLinearOperator
    starts: Float[Array, "chain parameter"]
    elbo: Float[Array, " chain"]

    def unwhiten(self, z: Float[Array, " parameter"]) -> Float[Array, " parameter"]:
        """From z to u = center + C z."""
        return self.center + self.scale.mv(z)

    def whiten(self, u: Float[Array, " parameter"]) -> Float[Array, " parameter"]:
        """From u to z = C^-1 (u - center)."""
        return lx.linear_solve(self.scale, u - self.center).value


class _Prior(NamedTuple):
    """What is drawn before anything is known of the posterior."""

    draws: Array
    noise: Array
    starts: Array


class _Fit(NamedTuple):
    """A Gaussian N(u, C C') and its ELBO."""

    u: NumpyArray
    local: Local
    elbo: float


def whiten(problem: Target, *, key: PRNGKeyArray, chains: int = 4) -> Whitening:
    """Find the coordinates in which the posterior is about N(0, I).

    Args:
        problem: the posterior.
        key: of the prior draws, the ELBO's noise and the starts.
        chains: number of climbs, each from a prior draw of its own, and of starts.

    Raises:
        BayescgError: the log density is finite at none of the prior's draws, or float64 is off.

    Example:
        >>> from types import SimpleNamespace
        >>> target = SimpleNamespace(
        ...     dimension=2,
        ...     log_density=lambda u: -0.5 * ((u[0] / 3.0) ** 2 + (u[1] / 1e-4) ** 2),
        ...     initial=lambda key: 5.0 * jax.random.normal(key, (2,)),
        ... )
        >>> covariance = jnp.square(whiten(target, key=jax.random.key(0)).scale.as_matrix()).sum(1)
        >>> [f"{variance:.3g}" for variance in covariance.tolist()]
        ['9', '1e-08']
    """
    require_x64("Whitening")
    chains = whole("chains", chains)
    density = problem.log_density
    prior = _ask_prior(problem.initial, key, problem.dimension, chains)
    width = _width(np.asarray(prior.draws))
    widths = jnp.asarray(width)

    def inspect(u: NumpyArray) -> Local:
        return local_gaussian(density, jnp.asarray(u), width=widths, noise=prior.noise)

    fits = [
        _best(climb(density, u, width=width, inspect=inspect), inspect)
        for u in _begin(density, prior, chains)
    ]
    best = max(fits, key=lambda fit: fit.elbo)
    own = [fit if fit.elbo > best.elbo - NEGLIGIBLE else best for fit in fits]
    starts = [_start(density, fit, z) for fit, z in zip(own, np.asarray(prior.starts), strict=True)]
    elbo = np.array([fit.elbo for fit in fits])
    return Whitening(jnp.asarray(best.u), best.local.scale, jnp.asarray(np.stack(starts)), jnp.asarray(elbo))


def blank(dimension: int, chains: int) -> Whitening:
    """A whitening that changes nothing; its structure is that of `whiten`'s result.

    Example:
        >>> blank(3, chains=2).unwhiten(jnp.arange(3.0)).tolist()
        [0.0, 1.0, 2.0]
    """
    dense = dimension <= DENSE_LIMIT
    scale = (
        lx.MatrixLinearOperator(jnp.asarray(np.eye(dimension)))
        if dense
        else lx.DiagonalLinearOperator(jnp.asarray(np.ones(dimension)))
    )
    return Whitening(
        jnp.asarray(np.zeros(dimension)),
        scale,
        jnp.asarray(np.zeros((chains, dimension))),
        jnp.asarray(np.zeros(chains)),
    )


@eqx.filter_jit
def _ask_prior(
    initial: Callable[[PRNGKeyArray], Array],
    key: PRNGKeyArray,
    dimension: int,
    chains: int,
) -> _Prior:
    """Everything random in one program."""
    key_prior, key_noise, key_starts = jax.random.split(key, 3)
    draws = jax.vmap(initial)(jax.random.split(key_prior, max(PRIOR_DRAWS, chains)))
    half = jax.random.normal(key_noise, (ELBO_DRAWS // 2, dimension))
    return _Prior(
        draws=draws,
        noise=jnp.concatenate([half, -half]),  # odd terms of the log density cancel
        starts=jax.random.normal(key_starts, (chains, dimension)),
    )


def _width(draws: NumpyArray) -> NumpyArray:
    """Half the central 68% of every coordinate: a standard deviation that heavy tails do not spoil."""
    low, high = np.quantile(draws, [0.16, 0.84], axis=0)
    return np.where(high > low, (high - low) / 2, 1.0)


def _begin(density: LogDensity, prior: _Prior, chains: int) -> NumpyArray:
    """Prior draws of finite density, one for every chain."""
    finite = np.flatnonzero(np.isfinite(densities(density, prior.draws)))
    if not finite.size:
        raise BayescgError(
            "log_density must be finite where the prior puts its mass, got no finite value at "
            f"{len(prior.draws)} prior draws. Check the data for NaN and the prior for impossible values."
        )
    return np.asarray(prior.draws)[np.resize(finite, chains)]


def _best(path: list[NumpyArray], inspect: Callable[[NumpyArray], Local]) -> _Fit:
    """The point of the path whose Gaussian has the highest ELBO."""
    last = len(path) - 1
    points = np.unique(np.linspace(0, last, PATH_POINTS).round().astype(int))
    if path[-1].size > DENSE_LIMIT:
        points = np.array([last])
    fits = []
    for point in points:
        local = inspect(path[point])
        elbo = float(local.elbo)
        fits.append(_Fit(path[point], local, elbo if np.isfinite(elbo) else -np.inf))
    # from the mode backwards, so that it wins where no ELBO is finite
    return max(reversed(fits), key=lambda fit: fit.elbo)


def _start(density: LogDensity, fit: _Fit, z: NumpyArray) -> NumpyArray:
    u = _from_standard(fit.local.scale, jnp.asarray(fit.u), jnp.asarray(z))
    return np.asarray(u) if np.isfinite(value_and_gradient(density, u)[0]) else fit.u


@eqx.filter_jit
def _from_standard(scale: lx.AbstractLinearOperator, center: Array, z: Array) -> Array:
    return center + scale.mv(z)
