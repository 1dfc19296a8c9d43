"""Independence Metropolis-Hastings: for few parameters, whose posterior a mixture of t densities can follow.

Proposals u = center + C z, with z from a density q, do not depend on where the chain is, so all their
densities are computed at once; a proposal is accepted with probability

    min(1, w(u')/w(u)),        w(u) = p(u)/q(z).

Center and C come from values of the density alone (a few dozen around the mode), since one compiled
function is all that a handful of parameters is worth. There q begins as a Student t. Posteriors of few
data are bent and have heavy tails, and a chain sticks wherever w is large; so q is judged by the
efficiency of its importance weights and, where that is low, fitted anew to weighted draws as a mixture of
t densities. One wide component stays in q to bound w in the tails. With an acceptance near one the
draws are nearly independent.

References:
    L. Tierney, Ann. Stat. 22, 1701 (1994), doi:10.1214/aos/1176325750.
    K. L. Mengersen, R. L. Tweedie, Ann. Stat. 24, 101 (1996), doi:10.1214/aos/1033066201.
    O. Cappé, R. Douc, A. Guillin, J.-M. Marin, C. P. Robert, Stat. Comput. 18, 447 (2008),
        doi:10.1007/s11222-008-9059-x.
    E. L. Ionides, J. Comput. Graph. Stat. 17, 295 (2008), doi:10.1198/106186008X320456 (truncated weights).
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from bayescg._typing import Array, NumpyArray, PRNGKeyArray
from bayescg.inference.sampler import Draws, Target
from bayescg.inference.student_mixture import StudentMixture, fitted

Density = Callable[[NumpyArray], NumpyArray]

DEGREES = 6.0
"""nu: heavier tails than a Gaussian, at the price of an acceptance of about 0.9 where it is exact."""

EFFICIENT, EFFICIENT_AT_ONCE = 0.6, 0.7
"""Efficiency, (Σw)²/(n Σw²), at which a fitted proposal is good enough: its chains accept about three in
four. The first one, a guess, must do better: a Gaussian posterior of four parameters gives it 0.78."""

PILOT, LEAST_PILOT = 2048, 256
"""Draws of the first round of adaptation, at most and at least; round k has k times as many. Half the draws
that are wanted are enough. With 1024 a tail of a posterior of four parameters went unseen in one adaptation
out of eight, with 2048 in none."""

ROUNDS, LEAST_ROUNDS = 5, 3
"""Rounds of adaptation at most, and at least where the first proposal is not good enough."""

STICKS, RETRIES = 0.5, 2
"""Efficiency of the chains' own proposals below which they are drawn again, so often at most, after a fit
that includes them: a tail may show in them that no round of adaptation had met."""

COMPONENTS = 4
"""t densities of the mixture: a bend takes two or three."""

WIDE_SHARE, WIDE_DEGREES, WIDER = 0.2, 3.0, 2.0
"""Share, nu and stretch of the component that bounds the weights in the tails. Of ten adaptations to a
bent density, one left chains that stuck with half this share and none with it."""

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
        target: of few dimensions, one mode or overlapping ones.
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

    def of_standard(z: NumpyArray) -> NumpyArray:
        return density(center + z @ scale.T)

    shape = (chains, BURN_IN + draws)
    proposal, z, lp = _proposed(of_standard, target.dimension, shape[0] * shape[1], rng)
    log_weight = lp - proposal.log_density(z)
    threshold = np.log(rng.uniform(size=shape))
    kept, accepted = _accept(log_weight.reshape(shape), threshold)
    rows = np.arange(chains)[:, None]
    u, lp = (center + z @ scale.T).reshape(*shape, -1), lp.reshape(shape)
    return Draws(
        u[rows, kept][:, BURN_IN:],
        {"lp": lp[rows, kept][:, BURN_IN:], "acceptance_rate": accepted[:, BURN_IN:].astype(float)},
    )


class _Proposal(NamedTuple):
    """A mixture of two densities: one that follows the posterior, one that is wide."""

    close: StudentMixture
    wide: StudentMixture

    def draw(self, rng: np.random.Generator, count: int) -> NumpyArray:
        far = rng.uniform(size=count) < WIDE_SHARE
        return np.where(far[:, None], self.wide.draw(rng, count), self.close.draw(rng, count))

    def log_density(self, z: NumpyArray) -> NumpyArray:
        return np.logaddexp(
            np.log1p(-WIDE_SHARE) + self.close.log_density(z), np.log(WIDE_SHARE) + self.wide.log_density(z)
        )


class _Round(NamedTuple):
    """Draws of one proposal and their log densities."""

    proposal: _Proposal
    z: NumpyArray
    lp: NumpyArray

    @property
    def efficiency(self) -> float:
        return efficiency(self.lp - self.proposal.log_density(self.z))


def _proposed(density: Density, dimension: int, count: int, rng: np.random.Generator) -> _Round:
    """So many draws of a proposal that follows the posterior."""
    rounds = _adapted(density, dimension, rng, pilot=min(max(count // 2, LEAST_PILOT), PILOT))
    proposal = rounds[-1].proposal
    for _ in range(RETRIES + 1):
        z = proposal.draw(rng, count)
        rounds.append(_Round(proposal, z, density(z)))
        if rounds[-1].efficiency >= STICKS:
            break
        proposal = _refitted(_Pool.of(rounds), rng)
    return rounds[-1]


def _adapted(density: Density, dimension: int, rng: np.random.Generator, *, pilot: int) -> list[_Round]:
    """Rounds of proposals, each fitted to the weighted draws of those before; the last is the one to use."""
    proposal = _Proposal(
        _one_student(np.zeros(dimension), np.eye(dimension), DEGREES),
        _one_student(np.zeros(dimension), WIDER * np.eye(dimension), WIDE_DEGREES),
    )
    rounds: list[_Round] = []
    while True:
        z = proposal.draw(rng, pilot * (len(rounds) + 1))
        rounds.append(_Round(proposal, z, density(z)))
        pooled = _Pool.of(rounds)
        if len(rounds) == ROUNDS or _is_good(rounds[-1], pooled, len(rounds)):
            return rounds
        proposal = _refitted(pooled, rng)


class _Pool(NamedTuple):
    """Draws of all rounds, each weighted by the posterior over the mixture of all proposals.

    Attributes:
        z: (draw, parameter).
        lp: log densities.
        log_mixed: log density of the mixture at the draws.
    """

    z: NumpyArray
    lp: NumpyArray
    log_mixed: NumpyArray

    @classmethod
    def of(cls, rounds: list[_Round]) -> "_Pool":
        z = np.concatenate([one.z for one in rounds])
        shares = np.log([len(one.z) / len(z) for one in rounds])
        parts = [one.proposal.log_density(z) + share for one, share in zip(rounds, shares, strict=True)]
        return cls(z, np.concatenate([one.lp for one in rounds]), np.logaddexp.reduce(parts))


def _is_good(last: _Round, pooled: _Pool, count: int) -> bool:
    """Whether the last proposal is efficient by its own draws and by all, which know more of the tails."""
    if count < LEAST_ROUNDS:
        return count == 1 and last.efficiency >= EFFICIENT_AT_ONCE
    # E_q[w]²/E_q[w²], w = p/q, both expectations over the mixture m: E_m[p/m]²/E_m[(p/m)(p/q)]
    top = np.max(pooled.lp - pooled.log_mixed)
    over_mixture = np.exp(pooled.lp - pooled.log_mixed - top)
    over_last = np.exp(pooled.lp - last.proposal.log_density(pooled.z) - top)
    by_all = over_mixture.mean() ** 2 / np.mean(over_mixture * over_last)
    return bool(min(last.efficiency, by_all) >= EFFICIENT)


def _refitted(pooled: _Pool, rng: np.random.Generator) -> _Proposal:
    """Fit to the pooled draws; their weights are truncated, so that no single one takes a component."""
    log_weight = pooled.lp - pooled.log_mixed
    weight = np.exp(log_weight - log_weight.max())
    weight = np.minimum(weight, weight.mean() * np.sqrt(weight.size))
    close = fitted(pooled.z, weight, components=COMPONENTS, degrees=DEGREES, rng=rng)
    share = weight / weight.sum()
    mean = share @ pooled.z
    off = pooled.z - mean
    spread = np.linalg.cholesky((share[:, None] * off).T @ off + 1e-12 * np.eye(mean.size))
    return _Proposal(close, _one_student(mean, WIDER * spread, WIDE_DEGREES))


def _one_student(mean: NumpyArray, factor: NumpyArray, degrees: float) -> StudentMixture:
    return StudentMixture(np.ones(1), mean[None], factor[None], degrees)


def efficiency(log_weight: NumpyArray) -> float:
    """(Σw)²/(n Σw²) of importance weights: how many independent draws one weighted draw is worth.

    Example:
        >>> efficiency(np.zeros(4)), efficiency(np.array([0.0, -np.inf, -np.inf, -np.inf]))
        (1.0, 0.25)
    """
    weight = np.exp(log_weight - log_weight.max())
    return float(weight.sum() ** 2 / (weight.size * np.sum(weight**2)))


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
