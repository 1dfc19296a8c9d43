"""The sandwich: intervals that hold although the noise is not what the likelihood says it is.

Force noise is correlated between beads and in time, and its variance depends on the configuration.
With block scores s_b of the log likelihood, its curvature H_l and the prior's H_p at the posterior mean,

    V = (H_l + H_p)^-1,        K = long-run covariance of Σ s_b,        S = V (K + H_p) V,

S equals the naive covariance V where the likelihood is right (K = H_l), and keeps the prior's share of
the uncertainty where the data say nothing. Draws are repaired by the linear map that takes V to S and
moves them least, theta' = m + C (theta - m), C V C' = S. Hyperparameters, which enter no likelihood,
stay as they are.

References:
    U. K. Müller, Econometrica 81, 1805 (2013), doi:10.3982/ECTA9097.
    P. J. Huber, Proc. Fifth Berkeley Symp. 1, 221 (1967).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, require
from bayescg._typing import Array, NumpyArray
from bayescg.numerics.blocks import long_run_covariance

LARGEST = 2000
"""Parameters up to which it is offered: it takes their full Hessian, and the scores of every block."""

FEW = 16
"""Parameters up to which one program gives scores and curvature: its cost grows with their square, but it
compiles in three quarters of the time, and a path's likelihood takes longer to compile than to evaluate."""


class Sandwich(NamedTuple):
    """Naive and sandwich covariance of the parameters that enter the likelihood.

    Attributes:
        places: elements of the unconstrained vector they stand for.
        center: posterior mean there.
        naive: V.
        robust: S.
        repair: C, with C V C' = S.
        temper: p / tr(H_l^-1 K): the factor by which a tempered likelihood would be right on average.
    """

    places: NumpyArray
    center: NumpyArray
    naive: NumpyArray
    robust: NumpyArray
    repair: NumpyArray
    temper: float


def sandwich(problem: Any, center: Array) -> Sandwich:
    """Naive and sandwich covariance at a point.

    Args:
        problem: with at least 8 blocks per term.
        center: (parameter,) unconstrained, the posterior mean.

    Raises:
        BayescgError: too few blocks, or the curvature is not positive definite there.

    Example:
        >>> import bayescg as bcg, jax
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=8))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> from bayescg.inference.conjugate import Collapsed
        >>> hyperparameters = jax.numpy.array([5.1, 6.0])  # log noise scale, log roughness
        >>> u = Collapsed(problem).complete(hyperparameters, jax.random.key(0))
        >>> sandwich(problem, u).naive.shape  # 7 coefficients, 1 scale
        (8, 8)
    """
    center = jnp.asarray(center)
    require(
        center.size <= LARGEST,
        f"the sandwich suits up to {LARGEST} parameters, got {center.size}. Look at held-out frames instead.",
    )
    scores, curvature, prior_curvature = _derivatives(
        problem.blocks, problem.constrain, problem.log_prior, center
    )
    return assemble(
        np.asarray(center),
        [np.asarray(term) for term in scores],
        np.asarray(curvature),
        np.asarray(prior_curvature),
    )


def assemble(
    center: NumpyArray, scores: list[NumpyArray], curvature: NumpyArray, prior_curvature: NumpyArray
) -> Sandwich:
    """The sandwich from derivatives of the log density at a point.

    Args:
        center: (parameter,) the point.
        scores: of every term, (block, parameter), in time order.
        curvature: (parameter, parameter) negative Hessian of the log likelihood.
        prior_curvature: (parameter, parameter) negative Hessian of the log prior.

    Raises:
        BayescgError: too few blocks, or the curvature is not positive definite.

    Example:
        >>> import numpy as np
        >>> scores = np.random.default_rng(0).normal(scale=2.0, size=(1000, 1))
        >>> spread = assemble(np.zeros(1), [scores], np.array([[1000.0]]), np.zeros((1, 1)))
        >>> bool(abs(np.sqrt(spread.robust / spread.naive) - 2) < 0.2)
        True
    """
    places = np.flatnonzero(np.any([np.any(term != 0, axis=0) for term in scores], axis=0))
    chosen = np.ix_(places, places)
    likelihood_part, prior_part = curvature[chosen], _positive_part(prior_curvature[chosen])
    spread = np.sum([long_run_covariance(term[:, places]) for term in scores], axis=0)
    lower = _cholesky(likelihood_part + prior_part)
    root = np.linalg.inv(lower).T  # V = root root'
    inner = root.T @ (spread + prior_part) @ root
    half = _square_root(inner)
    return Sandwich(
        places,
        center[places],
        root @ root.T,
        root @ inner @ root.T,
        root @ half @ np.linalg.inv(root),
        float(places.size / np.trace(np.linalg.pinv(likelihood_part) @ spread)),
    )


def repaired(sandwich: Sandwich, positions: NumpyArray) -> NumpyArray:
    """Draws with the sandwich's covariance about the same mean.

    Args:
        sandwich: at the mean of the draws.
        positions: (..., parameter) unconstrained draws.

    Returns:
        (..., parameter) with the elements at `places` moved.

    Example:
        >>> import numpy as np
        >>> two = Sandwich(np.array([0]), np.zeros(1), np.eye(1), 4 * np.eye(1), 2 * np.eye(1), 0.25)
        >>> repaired(two, np.array([[1.0, 7.0]])).tolist()
        [[2.0, 7.0]]
    """
    moved = positions.copy()
    deviation = positions[..., sandwich.places] - sandwich.center
    moved[..., sandwich.places] = sandwich.center + deviation @ sandwich.repair.T
    return moved


@eqx.filter_jit
def _derivatives(
    blocks: Callable[[Any], list[Array]],
    constrain: Callable[[Array], Any],
    log_prior: Callable[[Array], Array],
    center: Array,
) -> tuple[list[Array], Array, Array]:
    """Scores of all blocks, and the curvatures of likelihood and prior."""

    def block_densities(u: Array) -> list[Array]:
        return blocks(constrain(u))

    def slopes(u: Array) -> tuple[Array, list[Array]]:
        scores = jax.jacfwd(block_densities)(u)
        return sum((jnp.sum(term, axis=0) for term in scores), start=jnp.zeros(center.size)), scores

    # forward mode for the scores: a handful of parameters, hundreds of blocks
    if center.size <= FEW:
        curvature, scores = jax.jacfwd(slopes, has_aux=True)(center)
    else:
        _, scores = slopes(center)
        curvature = jax.hessian(lambda u: sum((jnp.sum(term) for term in block_densities(u)), jnp.zeros(())))(
            center
        )
    return scores, -curvature, -jax.hessian(log_prior)(center)


def _cholesky(matrix: NumpyArray) -> NumpyArray:
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        raise BayescgError(
            "the curvature of the log posterior must be positive definite at the posterior mean, but it is "
            "not. The posterior is far from Gaussian or the chains have not converged: run more draws, or "
            "use the posterior without the sandwich."
        ) from None


def _positive_part(matrix: NumpyArray) -> NumpyArray:
    """A log density of a positive scale may curve upwards; such directions carry no information."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T


def _square_root(matrix: NumpyArray) -> NumpyArray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
