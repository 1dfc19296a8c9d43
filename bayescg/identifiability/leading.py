"""The leading directions of a model with many parameters, by Lanczos' method on products F v.

With a prior precision D that is diagonal, the operator D^-1/2 F D^-1/2 has the eigenvalues lambda of the
pencil. Null directions are not found this way, and none are claimed.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, whole
from bayescg._typing import Array, Float, NumpyArray, PRNGKeyArray
from bayescg.identifiability.experiment import check_prior
from bayescg.identifiability.subspace import spectrum_dataset
from bayescg.inference.information_product import information_product
from bayescg.numerics.lanczos import Eigenpairs, largest_eigenpairs

DIAGONAL = 1e-8
"""Relative size of what is not on the diagonal of the prior's curvature, by a random product."""


def leading(
    problem: Any, u: Float[Array, " parameter"] | NumpyArray, *, count: int, key: PRNGKeyArray
) -> tuple[xr.Dataset, NumpyArray]:
    """The best determined directions.

    Args:
        problem: the posterior; parameters independent under the prior.
        u: unconstrained point.
        count: directions wanted.
        key: of the start vector.

    Returns:
        Dataset as of `spectrum_of`, with `residual`, the largest error of every lambda; directions.

    Raises:
        BayescgError: the prior's curvature is not diagonal, or a product is not finite.

    Example:
        >>> import bayescg as bcg, numpyro.distributions as dist
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, {"potential.coefficients": dist.Normal(0.0, 10.0)}, term)
        >>> dataset, _ = leading(problem, problem.initial(jax.random.key(0)), count=2, key=jax.random.key(1))
        >>> dataset.sizes["direction"]
        2
    """
    u = jnp.asarray(u)
    first, second = jax.random.split(key)
    deviations = _deviations(problem, u, first)
    pairs = _pairs(problem, u, deviations, whole("count", count), second)
    values, vectors = np.asarray(pairs.values), np.asarray(pairs.vectors)
    if not np.isfinite(values).all():
        raise BayescgError(
            "products with the information must be finite, got NaN or infinity. Choose another point, or "
            "look for a root or a logarithm of zero in the model."
        )
    directions = vectors * np.asarray(deviations)
    rounding = u.size * float(np.finfo(float).eps) * float(np.abs(values).max(initial=0.0))
    lowest = float(pairs.lowest)
    # a negative Ritz value proves a negative eigenvalue: nothing below its size is information
    floor = max(rounding, -lowest)
    dataset = spectrum_dataset(np.where(values > floor, values, 0.0), directions, list(problem.labels))
    dataset["residual"] = ("direction", np.asarray(pairs.residuals), {"long_name": "largest error of lambda"})
    dataset.attrs.update(noise_floor=floor, negative=int(lowest < -rounding))
    return dataset, directions


def _deviations(problem: Any, u: Array, key: PRNGKeyArray) -> Array:
    """Prior standard deviations, from a curvature that must be diagonal."""
    ones, random = jnp.ones_like(u), jax.random.normal(key, u.shape)
    diagonal, product = _prior_product(problem, u, ones), _prior_product(problem, u, random)
    gap = float(jnp.abs(product - diagonal * random).max() / jnp.abs(diagonal).max())
    if not gap < DIAGONAL:
        raise BayescgError(
            "parameters must be independent under the prior where directions are found by Lanczos' method, "
            "but its curvature is not diagonal. Give independent priors, or ask about fewer parameters."
        )
    check_prior(np.diag([float(jnp.min(diagonal))]))
    return diagonal**-0.5


@eqx.filter_jit
def _prior_product(problem: Any, u: Array, v: Array) -> Array:
    return -jax.jvp(jax.grad(problem.log_prior), (u,), (v,))[1]


@eqx.filter_jit
def _pairs(problem: Any, u: Array, deviations: Array, count: int, key: PRNGKeyArray) -> Eigenpairs:
    def product(v: Array) -> Array:
        return deviations * information_product(problem, u, deviations * v)

    return largest_eigenpairs(product, u.size, count=count, key=key)
