"""Curvature of the log posterior at a mode, and draws from the Gaussian it makes.

    H = G + H_prior,     G = J'J  (generalized Gauss-Newton)   or   H = -∂² log p,

of some of the parameters, in units w of the prior's widths: A = w H w. Draws are u = mode + w A^-1/2 e with
e ~ N(0, I). Few parameters have A in full. For many, A is known by its products alone: the largest
eigenvalues theta_i of A, with vectors v_i, are found once; what is left of e Lanczos' method takes,

    A^-1/2 e ≈ Σ theta_i^-1/2 v_i v_i'e + Q' T^-1/2 Q e_rest,        e_rest = e - Σ v_i v_i'e,

with Q the Krylov vectors of e_rest and T = Q A Q': memory of (rank + products) times the number of
parameters, and some products for every draw. Without its large eigenvalues A is near the identity, and few
products suffice. How far a draw is off, in what the data determine, is told by what the last quarter of them
changed: Pareto k cannot see it, because a Krylov root keeps the length of e in the norm of A.

References:
    C. Lanczos, J. Res. Natl. Bur. Stand. 45, 255 (1950), doi:10.6028/jres.045.026.
    E. Chow, Y. Saad, SIAM J. Sci. Comput. 36, A588 (2014), doi:10.1137/130920587 (Gaussian draws by Lanczos).
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.sparse.linalg import cg
from matfree.decomp import tridiag_sym

from bayescg._checks import BayescgError
from bayescg._typing import Array, Float, NumpyArray
from bayescg.inference.information_product import information_product
from bayescg.inference.mode import value_and_gradient
from bayescg.numerics.batches import map_in_batches
from bayescg.numerics.lanczos import Eigenpairs

COLUMNS_AT_ONCE = 16
"""Products computed together where A is made in full."""

SETTLED = 1e-6
"""Residual of an eigenvector, relative to its eigenvalue, below which it is split off: the error of a draw is
of that size too."""

CG_STEPS, CG_RESIDUAL = 200, 1e-6
"""Of Newton's step by conjugate gradients: products at most, and the residual relative to the gradient."""

SHORTER = 0.75
"""Part of the products whose draw is compared with that of all."""


class Curvature(eqx.Module):
    """A at a point.

    Attributes:
        problem: the posterior.
        center: the point, all parameters.
        width: units w of the parameters that count.
        places: which of all parameters those are.
        gauss_newton: whether A is the generalized Gauss-Newton matrix of the likelihood with the prior's
            Hessian; else the Hessian of the log posterior.
    """

    problem: Any
    center: Float[Array, " parameter"]
    width: Float[Array, " chosen"]
    places: Array
    gauss_newton: bool = eqx.field(static=True)

    def product(self, v: Float[Array, " chosen"]) -> Float[Array, " chosen"]:
        """A v; pure."""
        direction = jnp.zeros_like(self.center).at[self.places].set(self.width * v)
        if self.gauss_newton:
            found = information_product(self.problem, self.center, direction)
            found -= _second(self.problem.log_prior, self.center, direction)
        else:
            found = -_second(self.problem.log_density, self.center, direction)
        return self.width * found[self.places]

    def gradient(self) -> Float[Array, " chosen"]:
        """Of the log density, in the same units."""
        return self.width * value_and_gradient(self.problem.log_density, self.center)[1][self.places]


class Dense(eqx.Module):
    """A Gaussian with a root of its covariance in full.

    Attributes:
        root: w A^-1/2.
    """

    root: Float[Array, "chosen chosen"]

    def spread(self, noise: Float[Array, " chosen"]) -> tuple[Array, Array]:
        """A deviation from the mode, and its relative error."""
        return self.root @ noise, jnp.zeros(())


class MatrixFree(eqx.Module):
    """A Gaussian whose draws are made of products.

    Attributes:
        curvature: A.
        values: its largest eigenvalues.
        vectors: theirs; zeros where one has not settled.
        products: for every draw.
    """

    curvature: Curvature
    values: Float[Array, " pair"]
    vectors: Float[Array, "pair chosen"]
    products: int = eqx.field(static=True)

    def spread(self, noise: Float[Array, " chosen"]) -> tuple[Array, Array]:
        """A deviation from the mode, and its relative error."""
        root, error = self.inverse_root(noise)
        return self.curvature.width * root, error

    def inverse_root(self, noise: Float[Array, " chosen"]) -> tuple[Array, Array]:
        """A^-1/2 e, and its relative error in the norm of A - I, the information of the data; in jit."""
        along = self.vectors @ noise
        known = self.vectors.T @ (along / jnp.sqrt(self.values))
        if self.products == 0:
            return known, jnp.zeros(())
        rest, change, size = _krylov_root(self._deflated, self._without(noise), self.products)
        size += jnp.sum(along**2 * (1 - 1 / self.values))
        return known + rest, jnp.sqrt(change / jnp.maximum(size, jnp.finfo(noise.dtype).tiny))

    def _deflated(self, v: Array) -> Array:
        return self._without(self.curvature.product(self._without(v)))

    def _without(self, v: Array) -> Array:
        return v - self.vectors.T @ (self.vectors @ v)


def dense(curvature: Curvature, labels: tuple[str, ...] = ()) -> Dense:
    """The Gaussian of a curvature in full.

    Args:
        curvature: A.
        labels: names of the parameters that count, for errors.

    Raises:
        BayescgError: the curvature is not finite or not positive definite.
    """
    matrix = np.asarray(_matrix(curvature))
    if not np.isfinite(matrix).all():
        raise BayescgError(
            "the curvature of log_density must be finite at the mode, got NaN or infinity. Look for a root "
            "or a logarithm of zero in the model."
        )
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    check_positive(float(values[0]), float(values[-1]), _heaviest(vectors[:, 0], labels))
    root = np.asarray(curvature.width)[:, None] * vectors / np.sqrt(values)
    return Dense(jnp.asarray(root))


def matrix_free(curvature: Curvature, pairs: Eigenpairs, products: int) -> MatrixFree:
    """The Gaussian of a curvature by products.

    Args:
        curvature: A.
        pairs: its largest eigenvalues.
        products: for every draw; fewer where the eigenvectors leave fewer dimensions.

    Raises:
        BayescgError: the curvature has a negative eigenvalue.
    """
    largest = float(pairs.values[0])
    check_positive(float(pairs.lowest), largest, "")
    settled = pairs.residuals < SETTLED * pairs.values
    values = jnp.where(settled, pairs.values, 1.0)
    vectors = jnp.where(settled[:, None], pairs.vectors, 0.0)
    left = curvature.places.size - int(settled.sum())
    return MatrixFree(curvature, values, vectors, min(products, left))


def check_positive(lowest: float, largest: float, where: str) -> None:
    """Raise unless a curvature is positive definite.

    Args:
        lowest: eigenvalue.
        largest: eigenvalue.
        where: a sentence's end on the direction of the lowest.

    Raises:
        BayescgError: the lowest is not positive, but for rounding.
    """
    if not lowest > np.finfo(float).eps * largest:
        raise BayescgError(
            "the curvature of the log posterior must be positive definite at the mode, got an eigenvalue of "
            f"{lowest:.2g} in units of the prior's widths{where}. Raise steps, use curvature='ggn', or "
            "sample with bayescg.NUTS()."
        )


class Newton(NamedTuple):
    """Newton's step of the parameters that count, and the log density it should gain."""

    step: NumpyArray
    gain: float


def newton(gaussian: Dense | MatrixFree, curvature: Curvature) -> Newton:
    """The step H^-1 g from the point of a curvature.

    Args:
        gaussian: of the curvature.
        curvature: at the point.
    """
    gradient = curvature.gradient()
    if isinstance(gaussian, Dense):
        white = np.asarray(gaussian.root).T @ (np.asarray(gradient) / np.asarray(curvature.width))
        return Newton(np.asarray(gaussian.root) @ white, float(white @ white / 2))
    step = _conjugate_gradients(gaussian, gradient)
    return Newton(np.asarray(curvature.width * step), float(step @ gradient / 2))


def _second(function: Any, u: Array, v: Array) -> Array:
    return jax.jvp(jax.grad(function), (u,), (v,))[1]


@eqx.filter_jit
def _matrix(curvature: Curvature) -> Array:
    units = jnp.eye(curvature.places.size)
    return map_in_batches(curvature.product, units, COLUMNS_AT_ONCE)


@eqx.filter_jit
def _conjugate_gradients(gaussian: MatrixFree, gradient: Array) -> Array:
    """A^-1 g, by products and with what is known of A's largest eigenvalues."""

    def precondition(v: Array) -> Array:
        along = gaussian.vectors @ v
        return v + gaussian.vectors.T @ (along / gaussian.values - along)

    found, _ = cg(gaussian.curvature.product, gradient, tol=CG_RESIDUAL, maxiter=CG_STEPS, M=precondition)
    return jnp.asarray(found)


def _krylov_root(product: Any, start: Array, products: int) -> tuple[Array, Array, Array]:
    """A^-1/2 e in the Krylov space of e; squared norms of A - I of its last quarter and of all."""
    found = tridiag_sym(products, custom_vjp=False)(product, start)
    T, length = jnp.asarray(found.J_small), jnp.linalg.norm(start)
    # in units of its widths a Gaussian prior alone has no eigenvalue below 1/d (`inference.mode`): one that
    # rounding makes is lifted there
    floor = 1 / start.size
    first = _small_root(T, floor)
    fewer = max(int(SHORTER * products), 1)
    before = _small_root(T[:fewer, :fewer], floor)
    change = first.at[: before.size].add(-before)

    def square(c: Array) -> Array:
        return length**2 * jnp.maximum(c @ T @ c - c @ c, 0.0)

    return length * (jnp.asarray(found.Q_tall).T @ first), square(change), square(first)


def _small_root(T: Array, floor: float) -> Array:
    """First column of T^-1/2."""
    values, s = jnp.linalg.eigh(T)
    return s @ (s[0] / jnp.sqrt(jnp.maximum(values, floor)))


def _heaviest(vector: NumpyArray, labels: tuple[str, ...]) -> str:
    return f", mostly along {labels[int(np.argmax(np.abs(vector)))]}" if labels else ""
