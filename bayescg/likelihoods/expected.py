"""Expected Fisher information of a likelihood, as rows whose Jacobian J gives F = J'J.

A Gaussian N(mu(theta), S(theta)) has

    F = ∂mu' S^-1 ∂mu + tr(S^-1 ∂S S^-1 ∂S)/2,

and so have the rows L^-1 mu and vec(L^-1 S L^-T)/sqrt(2), where L L' = S is held at the point. Student's t
scales the first by sqrt((nu + 1)/(nu + 3)) and log sigma by sqrt(2 nu/(nu + 3)) instead of sqrt(2).

A likelihood of your own takes part by `expected_rows.register`; where nothing is registered the observed
information is used, and said to be observed.

References:
    K. L. Lange, R. J. A. Little, J. M. G. Taylor, J. Am. Stat. Assoc. 84, 881 (1989),
    doi:10.1080/01621459.1989.10478852.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jax.scipy.linalg import solve_triangular

from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractLikelihood, AbstractLinearPotential, Configuration
from bayescg.likelihoods.correlation import Correlation
from bayescg.likelihoods.force_matching import ForceMatching, coefficients
from bayescg.likelihoods.frames import ForceFrames
from bayescg.likelihoods.noise import Gaussian, StudentT
from bayescg.likelihoods.observable import Observable
from bayescg.likelihoods.path import Path
from bayescg.likelihoods.path_information import path_rows
from bayescg.likelihoods.statistics import ForceStatistics
from bayescg.model import Model


class Rows(NamedTuple):
    """Numbers of which only the derivative counts.

    Attributes:
        values: one row of numbers per block of observations.
        error: relative error of the information's eigenvalues, of the largest, beside rounding of J.
        sampled: whether the blocks differ by what was sampled, so that their spread is an error of F.
        embedding: whether the values are predictions over their noise, whose second derivatives mean
            something too; else the Jacobian at the point alone.
    """

    values: Float[Array, "block row"]
    error: Float[Array, ""] | float = 0.0
    sampled: bool = True
    embedding: bool = True


@functools.singledispatch
def expected_rows(likelihood: AbstractLikelihood, model: Model, observations: Any) -> Rows | None:
    """Rows whose Jacobian J at these parameters gives the expected Fisher information J'J; pure.

    What the Jacobian must not see (a scale that whitens) goes through `jax.lax.stop_gradient`.

    Args:
        likelihood: with its parameters.
        model: with its parameters.
        observations: of `likelihood.observe`.

    Returns:
        None where the likelihood does not say: then the observed information is used.

    Example:
        >>> import bayescg as bcg
        >>> data = bcg.data.water(frames=4)
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> model, matching = bcg.likelihoods.ForceMatching().prepare(model, data)
        >>> expected_rows(matching, model, matching.observe(model, data)).values.shape
        (4, 12)
    """
    return None


@expected_rows.register
def _(likelihood: ForceMatching, model: Model, observations: Any) -> Rows | None:
    factors = noise_factors(likelihood.noise)
    if factors is None:
        return None
    sigma = likelihood.noise.scale
    assert sigma is not None
    if isinstance(observations, ForceStatistics):
        return _of_sums(model, observations, sigma)
    return Rows(_of_frames(model, observations, sigma, factors))


@expected_rows.register
def _(likelihood: Correlation, model: Model, observations: Any) -> Rows | None:
    white = observations.whitening @ likelihood.predicted(model, observations)
    scale = observations.scale if likelihood.normalized else 1.0
    return Rows(jnp.sqrt(observations.frames)[:, None] * scale * white, sampled=False)


@expected_rows.register
def _(likelihood: Observable, model: Model, observations: Any) -> Rows | None:
    found = likelihood.compared(model, observations)
    lower = stop_gradient(found.lower)  # how the weights' error moves says nothing of the data
    return Rows(solve_triangular(lower, found.predicted, lower=True)[None], sampled=False)


@expected_rows.register
def _(likelihood: Path, model: Model, observations: Any) -> Rows | None:
    values, error, sampled = path_rows(likelihood, model, observations)
    return Rows(values, error, sampled, embedding=False)


@functools.singledispatch
def noise_factors(noise: Any) -> tuple[float, float] | None:
    """Root of the information of one number with this noise about its mean and about log sigma.

    Args:
        noise: of the forces.

    Returns:
        Factors of 1/sigma and of one; None where they are not known.

    Example:
        >>> import bayescg as bcg
        >>> [round(factor, 3) for factor in noise_factors(bcg.likelihoods.StudentT(degrees=4.0))]
        [0.845, 1.069]
    """
    return None


@noise_factors.register
def _(noise: Gaussian) -> tuple[float, float]:
    return 1.0, math.sqrt(2.0)


@noise_factors.register
def _(noise: StudentT) -> tuple[float, float]:
    nu = noise.degrees
    return math.sqrt((nu + 1) / (nu + 3)), math.sqrt(2 * nu / (nu + 3))


def _of_sums(model: Model, observations: ForceStatistics, sigma: Array) -> Rows:
    """Roots of the gram matrices times the coefficients; the root costs half the digits."""
    theta = coefficients(model.potential)
    roots = _gram_roots(observations)
    mean = jnp.einsum("bsfg,g,s->bsf", roots, theta, 1 / stop_gradient(sigma))
    scale = jnp.sqrt(2 * jnp.asarray(observations.blocks.count)) * jnp.log(sigma)
    values = jnp.concatenate([mean.reshape(mean.shape[0], -1), scale], axis=1)
    return Rows(values, theta.shape[0] * float(np.finfo(float).eps))


def _gram_roots(observations: ForceStatistics) -> Array:
    """R with R'R = gram, (block, type, feature, feature)."""
    values, vectors = jnp.linalg.eigh(jnp.asarray(observations.blocks.gram))
    return jnp.sqrt(jnp.maximum(values, 0.0))[..., None] * jnp.swapaxes(vectors, -1, -2)


def _of_frames(model: Model, observations: ForceFrames, sigma: Array, factors: tuple[float, float]) -> Array:
    """Forces over sigma, frame by frame, and log sigma as often as a type has components."""
    topology, dims = observations.topology, observations.forces.shape[-1]
    of_mean, of_scale = factors
    weight = of_mean / stop_gradient(sigma)[topology.types][:, None]
    count = jnp.bincount(topology.types, length=len(topology.type_names)) * dims
    scale = of_scale * jnp.sqrt(count) * jnp.log(sigma)

    @jax.checkpoint  # forces are computed again for products with J' instead of being kept for all frames
    def of_frame(parts: tuple[tuple[Array, Array | None, Array, Array | None], Array]) -> Array:
        frame, ratio = parts
        forces = _forces(model.potential, observations.configuration(frame))
        return jnp.concatenate([jnp.ravel(weight / ratio * forces), scale])

    return jax.lax.map(of_frame, (observations.arrays, observations.noise_ratio))


def _forces(potential: Any, configuration: Configuration) -> Array:
    """Forces; of a linear potential by its basis, whose derivative costs nothing more."""
    if isinstance(potential, AbstractLinearPotential):
        return potential.basis_forces(configuration) @ coefficients(potential)
    return potential.forces(configuration)


def gaussian_rows(
    mean: Float[Array, " row"], covariance: Float[Array, "row row"]
) -> Float[Array, " information"]:
    """Rows of N(mu, S): their Jacobian J gives J'J = ∂mu' S^-1 ∂mu + tr(S^-1 ∂S S^-1 ∂S)/2; pure.

    Args:
        mean: mu, a function of the parameters.
        covariance: S, likewise; positive definite.

    Example:
        >>> def rows(theta):  # one number of mean theta_0 and log standard deviation theta_1
        ...     return gaussian_rows(theta[:1], jnp.exp(2 * theta[1:])[:, None])
        >>> J = jax.jacfwd(rows)(jnp.zeros(2))
        >>> (J.T @ J).round(12).tolist()
        [[1.0, 0.0], [0.0, 2.0]]
    """
    L = stop_gradient(jnp.linalg.cholesky(covariance))
    half = jax.scipy.linalg.solve_triangular(L, covariance, lower=True)
    white = jax.scipy.linalg.solve_triangular(L, half.T, lower=True)
    location = jax.scipy.linalg.solve_triangular(L, mean, lower=True)
    return jnp.concatenate([location, jnp.ravel(white) / math.sqrt(2)])
