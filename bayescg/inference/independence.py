"""Independence Metropolis-Hastings: for a few parameters whose posterior is close to its local Gaussian.

Proposals u = center + C z, with z from a Student t_nu, do not depend on where the chain is, so all
their densities are computed at once; a proposal is accepted with probability

    min(1, w(u')/w(u)),        w(u) = p(u)/t_nu(z).

Center and C come from values of the density alone (a few dozen around the mode), since one compiled
function is all that a handful of parameters is worth. The tails of t_nu are heavier than any log-concave
posterior's, which bounds w, so the chain converges geometrically; with an acceptance near one its draws
are nearly independent.

References:
    L. Tierney, Ann. Stat. 22, 1701 (1994), doi:10.1214/aos/1176325750.
    K. L. Mengersen, R. L. Tweedie, Ann. Stat. 24, 101 (1996), doi:10.1214/aos/1033066201.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from bayescg._typing import Array, NumpyArray, PRNGKeyArray
from bayescg.inference.sampler import Draws, Target

Density = Callable[[NumpyArray], NumpyArray]

DEGREES = 6
"""nu: heavier tails than a Gaussian, at the price of an acceptance of about 0.9 where it is exact."""

BURN_IN = 50
"""Draws left out: with an acceptance of one half the start is forgotten to 2^-50."""

AT_ONCE = 32
"""Densities computed together; every call is padded to a multiple, so one program serves all. The search
for the mode asks for 3 to 40 at a time, the chains for thousands."""

PRIOR_STARTS = 128
"""Prior draws of which the best begins the search for the mode."""

DIFFERENCE = 1e-4
"""Step of the gradient of the search, in the prior's units: shifts the mode by half of it at most."""

DROP = 1.0
"""Differences are taken over steps along which the log density falls by at most this much: about one
standard deviation, far above rounding (1e-9 of a log density of 1e6) and within the Gaussian core."""

NEWTON_STEPS = 3
"""Newton steps with those differences; each squares the error left by the search."""


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
    start_key, host_key = jax.random.split(key)
    density = _batched(target)
    starts = _over(target.initial, jax.random.split(start_key, PRIOR_STARTS))
    center, scale = _local_gaussian(density, np.asarray(starts))
    # nothing here depends on the device, and host numbers need no compilation
    rng = np.random.default_rng(np.asarray(jax.random.key_data(host_key)))
    shape, dimension = (chains, BURN_IN + draws), target.dimension
    # z = x sqrt(nu / chi²_nu)
    z = rng.normal(size=(*shape, dimension)) * np.sqrt(DEGREES / rng.chisquare(DEGREES, size=(*shape, 1)))
    u = center + z @ scale.T
    lp = density(u.reshape(-1, dimension)).reshape(shape)
    log_weight = lp - _student(z, dimension)
    threshold = np.log(rng.uniform(size=shape))
    kept, accepted = _accept(log_weight, threshold)
    rows = np.arange(chains)[:, None]
    return Draws(
        u[rows, kept][:, BURN_IN:],
        {"lp": lp[rows, kept][:, BURN_IN:], "acceptance_rate": accepted[:, BURN_IN:].astype(float)},
    )


@eqx.filter_jit
def _over(function: Callable[[Array], Array], points: Array) -> Array:
    """A function of many points in one program, which targets of the same shapes share."""
    return jax.vmap(function)(points)


def _batched(target: Target) -> Density:
    """Log density of many points, (point, parameter) -> (point,); -inf where it is not a number."""

    def density(points: NumpyArray) -> NumpyArray:
        padded = np.pad(points, ((0, -len(points) % AT_ONCE), (0, 0)), mode="edge")
        values = np.concatenate(
            [
                np.asarray(_over(target.log_density, jnp.asarray(part)))
                for part in padded.reshape(-1, AT_ONCE, points.shape[1])
            ]
        )[: len(points)]
        return np.where(np.isnan(values), -np.inf, values)

    return density


def _local_gaussian(density: Density, prior: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    """Mode and a matrix C with C C' = inverse curvature there, from values alone."""
    width = prior.std(axis=0)
    best = prior[np.argmax(density(prior))]

    def cost(v: NumpyArray) -> tuple[float, NumpyArray]:
        values = density(best + width * np.concatenate([v[None], v + DIFFERENCE * np.eye(v.size)]))
        finite = np.where(np.isfinite(values), values, -1e300)
        return -finite[0], -(finite[1:] - finite[0]) / DIFFERENCE

    center = best + width * minimize(cost, np.zeros(best.size), jac=True, method="BFGS").x
    steps = width.copy()
    for _ in range(NEWTON_STEPS):
        steps = _steps(density, center, steps)
        gradient, hessian = _differences(density, center, steps)
        values, vectors = np.linalg.eigh(-hessian)
        if values.min() <= 0:  # not a peak: proposals along the axes, which acceptance will judge
            return center, np.diag(steps)
        center = center + steps * (vectors @ (vectors.T @ gradient / values))
    return center, steps[:, None] * vectors / np.sqrt(values)


def _steps(density: Density, center: NumpyArray, steps: NumpyArray) -> NumpyArray:
    """Along every axis a step over which the log density falls by at most `DROP`, but not by twice as far."""
    factors = 2.0 ** np.arange(4, -36, -1)
    found, peak = steps.copy(), density(center[None])[0]
    for axis in range(center.size):
        trial = np.repeat(center[None], factors.size, axis=0)
        trial[:, axis] += factors * steps[axis]
        fall = peak - density(trial)
        small = np.flatnonzero(fall <= DROP)
        found[axis] = steps[axis] * factors[small[0] if small.size else -1]
    return found


def _differences(density: Density, center: NumpyArray, steps: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    """Gradient and Hessian by central differences, in units of the steps."""
    size = center.size
    axes = np.diag(steps)
    pairs = [(i, j) for i in range(size) for j in range(i)]
    corners = [center + a * axes[i] + b * axes[j] for i, j in pairs for a in (1, -1) for b in (1, -1)]
    values = density(np.array([center, *(center + axes), *(center - axes), *corners]))
    plus, minus = values[1 : size + 1], values[size + 1 : 2 * size + 1]
    hessian = np.diag(plus - 2 * values[0] + minus)
    for (i, j), (pp, pm, mp, mm) in zip(pairs, values[2 * size + 1 :].reshape(-1, 4), strict=True):
        hessian[i, j] = hessian[j, i] = 0.25 * (pp - pm - mp + mm)
    return 0.5 * (plus - minus), hessian


def _student(z: NumpyArray, dimension: int) -> NumpyArray:
    """Log density of the multivariate t, up to a constant."""
    return -0.5 * (DEGREES + dimension) * np.log1p(np.sum(z**2, axis=-1) / DEGREES)


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
