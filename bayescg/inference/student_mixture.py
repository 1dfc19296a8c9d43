"""Mixtures of multivariate Student t densities, fitted to weighted points: proposals with heavy tails.

    q(x) = Σ_k pi_k t_nu(x; mu_k, S_k)

`fitted` maximises the weighted log likelihood Σ_i w_i log q(x_i) by expectation maximisation at a fixed nu.
With the importance weights of draws from an earlier proposal that is the Kullback-Leibler divergence of
the posterior from q, so that repeated rounds adapt a proposal to any shape of few dimensions.

References:
    D. Peel, G. J. McLachlan, Stat. Comput. 10, 339 (2000), doi:10.1023/A:1008981510081.
    O. Cappé, R. Douc, A. Guillin, J.-M. Marin, C. P. Robert, Stat. Comput. 18, 447 (2008),
        doi:10.1007/s11222-008-9059-x.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from bayescg._typing import NumpyArray

STEPS = 30
"""Of expectation maximisation: an adaptation needs no converged fit, the next round fits again."""

RIDGE = 1e-3
"""Of the points' whole variance, added to every component's, so that none collapses on a point."""


class StudentMixture(NamedTuple):
    """A mixture of multivariate t densities of one nu.

    Attributes:
        weights: (component,), of sum one.
        means: (component, dimension).
        factors: (component, dimension, dimension), lower Cholesky factors of S_k.
        degrees: nu.
    """

    weights: NumpyArray
    means: NumpyArray
    factors: NumpyArray
    degrees: float

    def draw(self, rng: np.random.Generator, count: int) -> NumpyArray:
        """Independent draws, (count, dimension)."""
        of = rng.choice(self.weights.size, size=count, p=self.weights)
        z = rng.normal(size=(count, self.means.shape[1]))
        z *= np.sqrt(self.degrees / rng.chisquare(self.degrees, size=(count, 1)))  # z = x sqrt(nu/chi²_nu)
        return self.means[of] + np.einsum("nij,nj->ni", self.factors[of], z)

    def log_density(self, points: NumpyArray) -> NumpyArray:
        """Of every point, normalized; (point, dimension) -> (point,)."""
        return np.logaddexp.reduce(self._parts(points)[0], axis=1)

    def _parts(self, points: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        """Log pi_k t_nu(x; mu_k, S_k) and the squared Mahalanobis distances, (point, component)."""
        dimension, nu = points.shape[1], self.degrees
        distances = np.stack(
            [
                np.sum(np.linalg.solve(factor, (points - mean).T) ** 2, axis=0)
                for mean, factor in zip(self.means, self.factors, strict=True)
            ],
            axis=1,
        )
        halves = np.log(np.diagonal(self.factors, axis1=1, axis2=2)).sum(axis=1)
        constant = gammaln((nu + dimension) / 2) - gammaln(nu / 2) - dimension / 2 * np.log(nu * np.pi)
        logs = constant - halves - (nu + dimension) / 2 * np.log1p(distances / nu)
        return logs + np.log(self.weights), distances


def fitted(
    points: NumpyArray, weights: NumpyArray, *, components: int, degrees: float, rng: np.random.Generator
) -> StudentMixture:
    """The mixture of largest weighted log likelihood near a random start.

    Args:
        points: (point, dimension), more than dimension of them with weight.
        weights: (point,), not negative, of any sum.
        components: number of t densities.
        degrees: nu.
        rng: picks the first means.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> points = np.concatenate([rng.normal(-5, 1, (500, 1)), rng.normal(5, 1, (500, 1))])
        >>> found = fitted(points, np.ones(1000), components=2, degrees=6.0, rng=rng)
        >>> np.sort(found.means[:, 0]).round().tolist()
        [-5.0, 5.0]
    """
    share = weights / weights.sum()
    center = share @ points
    spread = np.einsum("n,ni,nj->ij", share, points - center, points - center)
    floor = RIDGE * np.diag(np.diag(spread)) + 1e-300 * np.eye(center.size)
    first = rng.choice(len(points), size=components, p=share)
    mixture = StudentMixture(
        np.full(components, 1 / components),
        points[first],
        np.repeat(np.linalg.cholesky(spread + floor)[None], components, axis=0),
        degrees,
    )
    for _ in range(STEPS):
        mixture = _improved(mixture, points, share, floor)
    return mixture


def _improved(
    mixture: StudentMixture, points: NumpyArray, share: NumpyArray, floor: NumpyArray
) -> StudentMixture:
    """One step of expectation maximisation."""
    logs, distances = mixture._parts(points)
    membership = share[:, None] * np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))
    # a t is a Gaussian of random precision; this is its mean given the point
    precision = (mixture.degrees + points.shape[1]) / (mixture.degrees + distances)
    pull, size = membership * precision, membership.sum(axis=0)
    means = (pull.T @ points) / np.maximum(pull.sum(axis=0), 1e-300)[:, None]
    factors = mixture.factors.copy()
    for k, mean in enumerate(means):
        if size[k] > 1e-6:  # a component that lost its points stays where it was
            off = points - mean
            factors[k] = np.linalg.cholesky((pull[:, k, None] * off).T @ off / size[k] + floor)
        else:
            means[k] = mixture.means[k]
    size = np.maximum(size, 1e-6)
    return StudentMixture(size / size.sum(), means, factors, mixture.degrees)
