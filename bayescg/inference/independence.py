"""Independence Metropolis-Hastings: for a few parameters whose posterior is close to its local Gaussian.

Proposals u = center + C z, with z from a Student t_nu, do not depend on where the chain is, so all
their densities are computed at once; a proposal is accepted with probability

    min(1, w(u')/w(u)),        w(u) = p(u)/t_nu(z).

The tails of t_nu are heavier than any log-concave posterior's, which bounds w, so the chain converges
geometrically; with an acceptance near one its draws are nearly independent.

References:
    L. Tierney, Ann. Stat. 22, 1701 (1994), doi:10.1214/aos/1176325750.
    K. L. Mengersen, R. L. Tweedie, Ann. Stat. 24, 101 (1996), doi:10.1214/aos/1033066201.
"""

import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, NumpyArray, PRNGKeyArray
from bayescg.inference.sampler import Draws, Target
from bayescg.inference.whitening import whiten

DEGREES = 6.0
"""nu: heavier tails than a Gaussian, at the price of an acceptance of about 0.9 where it is exact."""

BURN_IN = 50
"""Draws left out: with an acceptance of one half the start is forgotten to 2^-50."""

AT_ONCE = 128
"""Densities computed together."""


def independence_chains(target: Target, *, key: PRNGKeyArray, chains: int, draws: int) -> Draws:
    """Draw from a low-dimensional posterior.

    Args:
        target: of few dimensions, unimodal.
        key: source of all randomness.
        chains: independent chains.
        draws: per chain.

    Returns:
        Draws with statistics `lp` and `acceptance_rate` (one where the proposal was accepted).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> class Normal:
        ...     dimension = 1
        ...     def log_density(self, u):
        ...         return -0.5 * jnp.sum(u**2)
        ...     def initial(self, key):
        ...         return jax.random.normal(key, (1,))
        >>> found = independence_chains(Normal(), key=jax.random.key(0), chains=2, draws=400)
        >>> bool(found.statistics["acceptance_rate"].mean() > 0.8)
        True
    """
    mode_key, normal_key, gamma_key, accept_key = jax.random.split(key, 4)
    whitening = whiten(target, key=mode_key, chains=1)
    shape, dimension = (chains, BURN_IN + draws), target.dimension
    # z = x sqrt(nu / chi²_nu)
    gamma = jax.random.gamma(gamma_key, DEGREES / 2, (*shape, 1), dtype=float)
    z = jax.random.normal(normal_key, (*shape, dimension), dtype=float) * jnp.sqrt(0.5 * DEGREES / gamma)
    u = jax.vmap(jax.vmap(whitening.unwhiten))(z)
    density = jax.jit(lambda v: jax.lax.map(target.log_density, v, batch_size=AT_ONCE))
    lp = density(u.reshape(-1, dimension)).reshape(shape)
    log_weight = np.asarray(lp - _student(z, dimension))
    threshold = np.log(np.asarray(jax.random.uniform(accept_key, shape, dtype=float)))
    kept, accepted = _accept(log_weight, threshold)
    rows = np.arange(chains)[:, None]
    return Draws(
        np.asarray(u)[rows, kept][:, BURN_IN:],
        {
            "lp": np.asarray(lp)[rows, kept][:, BURN_IN:],
            "acceptance_rate": accepted[:, BURN_IN:].astype(float),
        },
    )


def _student(z: Array, dimension: int) -> Array:
    """Log density of the multivariate t, up to a constant."""
    return -0.5 * (DEGREES + dimension) * jnp.log1p(jnp.sum(z**2, axis=-1) / DEGREES)


def _accept(log_weight: NumpyArray, threshold: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    """Index of the proposal every iteration holds, and whether it was new; both (chain, iteration)."""
    chains, length = log_weight.shape
    finite = np.where(np.isfinite(log_weight), log_weight, -np.inf)
    kept, accepted = np.zeros((chains, length), dtype=int), np.ones((chains, length), dtype=bool)
    current = np.argmax(np.isfinite(finite), axis=1)
    kept[:, 0] = current
    rows = np.arange(chains)
    for step in range(1, length):
        accepted[:, step] = threshold[:, step] < finite[:, step] - finite[rows, current]
        current = np.where(accepted[:, step], step, current)
        kept[:, step] = current
    return kept, accepted
