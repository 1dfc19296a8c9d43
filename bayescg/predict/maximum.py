"""The memory that suits a velocity correlation function best, whichever maximum the last one stood in.

A kernel of several modes has separate maxima: which mode oscillates, which decays slowly. A search that
starts from the last simulation alone stays in its maximum, so the likeliest of many draws from the prior
start searches of their own.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from bayescg._typing import Array, Float, NumpyArray, PRNGKeyArray
from bayescg.predict.matching import DISCREPANCY, Matched

PRIOR_DRAWS, SEARCHES = 500, 5
"""Draws from the prior, and the likeliest of them that searches start from: maxima are separate."""

MOST_STEPS = 300
"""Of one search; the next simulation moves the maximum by more than what is left."""


def likeliest(
    target: Matched, eta: Float[Array, " parameter"], *, key: PRNGKeyArray
) -> Float[Array, " parameter"]:
    """The memory of highest posterior density: the best of searches from the last one and from the prior.

    Args:
        target: the density around a simulation.
        eta: unconstrained parameters of that simulation.
        key: of the draws from the prior.
    """

    def cost(u: NumpyArray) -> tuple[float, NumpyArray]:
        value, slope = _value_and_slope(target, jnp.asarray(u))
        finite = bool(jnp.isfinite(value) & jnp.all(jnp.isfinite(slope)))
        return (-float(value), -np.asarray(slope)) if finite else (1e10, np.zeros_like(u))

    starts = [np.append(np.asarray(eta), np.log(DISCREPANCY)), *_likely_places(target, key)]
    options = {"maxiter": MOST_STEPS}
    found = [
        scipy.optimize.minimize(cost, start, jac=True, method="L-BFGS-B", options=options) for start in starts
    ]
    return jnp.asarray(min(found, key=lambda one: one.fun).x[:-1])


def _likely_places(target: Matched, key: PRNGKeyArray) -> NumpyArray:
    """The likeliest of many draws from the prior."""
    places, densities = _scored_draws(target, jax.random.split(key, PRIOR_DRAWS))
    ranked = np.argsort(np.nan_to_num(-np.asarray(densities), nan=np.inf))
    return np.asarray(places)[ranked[:SEARCHES]]


@eqx.filter_jit
def _scored_draws(target: Matched, keys: PRNGKeyArray) -> tuple[Array, Array]:
    def scored(key: PRNGKeyArray) -> tuple[Array, Array]:
        place = jnp.append(target.memory.initial(key), jnp.log(DISCREPANCY))
        return place, target.log_density(place)

    return jax.lax.map(scored, keys)


@eqx.filter_jit
def _value_and_slope(target: Matched, u: Array) -> tuple[Array, Array]:
    return jax.value_and_grad(target.log_density)(u)
