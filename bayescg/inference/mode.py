"""Uphill to a mode, and the Gaussian that fits the posterior around a point.

With H the negative Hessian at u, the local Gaussian is N(u, C C') with C C' = |H|^-1. Newton's step
is C C' times the gradient g, and |C'g|^2 / 2 the log density it should gain. How well the Gaussian
fits is its evidence lower bound,

    ELBO = E_z[log p(u + C z)] + log|det C| + d/2 log(2 pi e),   z ~ N(0, I).

References:
    Y. Dauphin et al., Adv. Neural Inf. Process. Syst. 27 (2014), arXiv:1406.2572: absolute
    eigenvalues at a saddle.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import scipy.optimize

from bayescg._typing import Array, Float, NumpyArray
from bayescg.numerics.batches import map_in_batches

LogDensity = Callable[[Float[Array, " parameter"]], Float[Array, ""]]

DENSE_LIMIT = 500
"""Parameters up to which the full Hessian is used (500 Hessian-vector products, 2 MB)."""

DIFFERENCES_LIMIT = 16
"""Parameters up to which it comes from differences of the gradient: to compile second derivatives takes
longer, five times as long as the gradient for a path likelihood."""

FIRST_STEP, STEP = 1e-3, 0.03
"""Of those differences: at first in the prior's widths, then in the posterior's where those are smaller."""

SEARCHES, SHRINK, ENOUGH = 8, 30.0, 3.0
"""Steps are looked for so often, shortened by at most so much at a time, until so near to the last."""

LBFGS_STEPS = 200
NEWTON_STEPS = 30

CONVERGED = 1e-6
"""Newton stops where its step would gain less log density: a thousandth of a standard deviation away."""


class Local(NamedTuple):
    """The posterior around a point, as a Gaussian.

    Attributes:
        scale: C, a full matrix up to `DENSE_LIMIT` parameters, else diagonal.
        step: Newton's, C C' g.
        gain: log density the step should gain.
        elbo: evidence lower bound of the Gaussian.
    """

    scale: lx.AbstractLinearOperator
    step: Float[Array, " parameter"]
    gain: Float[Array, ""]
    elbo: Float[Array, ""]


@eqx.filter_jit
def densities(density: LogDensity, points: Float[Array, "point parameter"]) -> Float[Array, " point"]:
    """Log densities of many points, compiled once for their number.

    Example:
        >>> densities(lambda u: -jnp.sum(u**2), jnp.ones((3, 2))).tolist()
        [-2.0, -2.0, -2.0]
    """
    return jax.vmap(density)(points)


def local_gaussian(
    density: LogDensity,
    u: Float[Array, " parameter"],
    *,
    width: Float[Array, " parameter"],
    noise: Float[Array, "draw parameter"],
) -> Local:
    """The Gaussian around u, no direction wider than the prior.

    The Hessian of few parameters comes from differences of the gradient, of many from second derivatives.

    Args:
        density: log density.
        u: a point.
        width: of the prior in every coordinate.
        noise: standard normal draws for the ELBO.

    Example:
        >>> density = lambda u: -0.5 * (u[0] / 3) ** 2
        >>> noise = jnp.array([[-1.0], [1.0]])
        >>> local = local_gaussian(density, jnp.ones(1), width=jnp.array([5.0]), noise=noise)
        >>> round(float(jnp.abs(local.scale.as_matrix())[0, 0]), 6), local.step.round(6).tolist()
        (3.0, [-1.0])
    """
    if u.size <= DIFFERENCES_LIMIT:
        scale, step, gain, volume = _by_differences(density, np.asarray(u), np.asarray(width))
    else:
        scale, step, gain, volume = _curved(density, u, width)
    points = _spread(scale, u, noise)
    elbo = jnp.mean(densities(density, points)) + volume + 0.5 * u.size * jnp.log(2 * jnp.pi * jnp.e)
    return Local(scale, step, gain, elbo)


@eqx.filter_jit
def value_and_gradient(
    density: LogDensity, u: Float[Array, " parameter"]
) -> tuple[Float[Array, ""], Float[Array, " parameter"]]:
    """Log density and its gradient, compiled once for a density.

    Example:
        >>> value, gradient = value_and_gradient(lambda u: -jnp.sum(u**2), jnp.ones(2))
        >>> float(value), gradient.tolist()
        (-2.0, [-2.0, -2.0])
    """
    return jax.value_and_grad(density)(u)


def climb(
    density: LogDensity, u: NumpyArray, *, width: NumpyArray, inspect: Callable[[NumpyArray], Local]
) -> list[NumpyArray]:
    """Points of a path from u to a mode, the mode last.

    L-BFGS in units of the prior's width, then, where the full Hessian is affordable, Newton's method
    with absolute eigenvalues and backtracking: from a saddle it leads uphill too.

    Args:
        density: log density.
        u: start, of finite density.
        width: of the prior in every coordinate.
        inspect: the local Gaussian at a point.

    Example:
        >>> density = lambda u: -jnp.sum((u - 1.0) ** 2)
        >>> inspect = lambda u: local_gaussian(density, u, width=jnp.ones(2), noise=jnp.zeros((2, 2)))
        >>> climb(density, np.zeros(2), width=np.ones(2), inspect=inspect)[-1].round(6).tolist()
        [1.0, 1.0]
    """
    path = [u]
    worst = -np.inf

    def cost(v: NumpyArray) -> tuple[float, NumpyArray]:
        nonlocal worst
        value, gradient = (np.asarray(part) for part in value_and_gradient(density, jnp.asarray(v * width)))
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return worst + 1e3, np.zeros_like(v)  # a wall that the line search steps back from
        worst = max(worst, -float(value))
        return -float(value), -gradient * width

    scipy.optimize.minimize(
        cost,
        u / width,
        jac=True,
        method="L-BFGS-B",
        callback=lambda v: path.append(v * width),
        options={"maxiter": LBFGS_STEPS},
    )
    return path + (_polish(density, path[-1], inspect) if u.size <= DENSE_LIMIT else [])


def _polish(density: LogDensity, u: NumpyArray, inspect: Callable[[NumpyArray], Local]) -> list[NumpyArray]:
    path: list[NumpyArray] = []
    value = float(value_and_gradient(density, jnp.asarray(u))[0])
    for _ in range(NEWTON_STEPS):
        local = inspect(u)
        step, gain = np.asarray(local.step), float(local.gain)
        length, trial = 1.0, -np.inf
        while length > 1e-6 and gain > CONVERGED:
            trial = float(value_and_gradient(density, jnp.asarray(u + length * step))[0])
            if trial > value + 1e-4 * length * gain:
                break
            length /= 2
        if not trial > value:
            break
        u, value = u + length * step, trial
        path.append(u)
    return path


def _by_differences(
    density: LogDensity, u: NumpyArray, width: NumpyArray
) -> tuple[lx.AbstractLinearOperator, Array, Array, Array]:
    """As `_curved`, from central differences of the gradient."""

    def gradient(v: NumpyArray) -> NumpyArray:
        return np.asarray(value_and_gradient(density, jnp.asarray(v * width))[1]) * width

    v, steps = u / width, np.full(u.size, FIRST_STEP)
    for _ in range(SEARCHES):
        ends = v + np.diag(steps), v - np.diag(steps)
        after, before = (np.stack([gradient(end) for end in rows]) for rows in ends)
        H = -(after - before) / (2 * steps[:, None])
        H = np.where(np.isfinite(H), H, 0.0)  # across a wall of the density: the prior's width
        fine = STEP * np.asarray(_lengths(jnp.asarray(np.diag(H))))
        if (steps <= ENOUGH * fine).all():
            break
        # far outside the posterior's core curvatures tell the direction, not the size
        steps = np.minimum(steps, np.maximum(fine, steps / SHRINK))
    eigenvalues, vectors = np.linalg.eigh((H + H.T) / 2)
    C = vectors * np.asarray(_lengths(jnp.asarray(eigenvalues)))
    whitened = C.T @ gradient(v)
    volume = np.linalg.slogdet(C)[1] + np.log(width).sum()
    scale = lx.MatrixLinearOperator(jnp.asarray(C * width[:, None]))
    step = C @ whitened * width
    return scale, jnp.asarray(step), jnp.asarray(whitened @ whitened / 2), jnp.asarray(volume)


@eqx.filter_jit
def _curved(
    density: LogDensity, u: Array, width: Array
) -> tuple[lx.AbstractLinearOperator, Array, Array, Array]:
    """C, Newton's step, its gain and log|det C|."""
    v = u / width
    gradient = jax.grad(lambda v: density(v * width))
    scale = _diagonal_scale(gradient, v) if u.size > DENSE_LIMIT else _dense_scale(gradient, v)
    whitened = scale.T.mv(gradient(v))
    volume = _log_determinant(scale) + jnp.sum(jnp.log(width))
    return _stretched(scale, width), scale.mv(whitened) * width, whitened @ whitened / 2, volume


@eqx.filter_jit
def _spread(scale: lx.AbstractLinearOperator, u: Array, noise: Array) -> Array:
    return u + jax.vmap(scale.mv)(noise)


def _dense_scale(gradient: Callable[[Array], Array], v: Array) -> lx.AbstractLinearOperator:
    H = -jax.jacfwd(gradient)(v)
    eigenvalues, vectors = jnp.linalg.eigh((H + H.T) / 2)  # H = V diag(l) V'
    return lx.MatrixLinearOperator(vectors * _lengths(eigenvalues))


def _diagonal_scale(gradient: Callable[[Array], Array], v: Array) -> lx.AbstractLinearOperator:
    def curvature(index: Array) -> Array:
        unit = jnp.zeros_like(v).at[index].set(1.0)
        return -jax.jvp(gradient, (v,), (unit,))[1][index]

    return lx.DiagonalLinearOperator(_lengths(map_in_batches(curvature, jnp.arange(v.size), 32)))


@jax.jit
def _lengths(curvature: Array) -> Array:
    """Standard deviations from curvatures, in units of the prior's width.

    In these units a Gaussian prior alone has curvatures of at least 1/d (a correlation matrix has no
    eigenvalue above d). Smaller ones, zero or negative, say nothing of the posterior's width: absolute
    value, then the floor 1/d.
    """
    return 1 / jnp.sqrt(jnp.maximum(jnp.abs(curvature), 1 / curvature.size))


def _log_determinant(scale: lx.AbstractLinearOperator) -> Array:
    if isinstance(scale, lx.DiagonalLinearOperator):
        return jnp.sum(jnp.log(jnp.abs(lx.diagonal(scale))))
    return jnp.linalg.slogdet(scale.as_matrix())[1]


def _stretched(scale: lx.AbstractLinearOperator, width: Array) -> lx.AbstractLinearOperator:
    if isinstance(scale, lx.DiagonalLinearOperator):
        return lx.DiagonalLinearOperator(lx.diagonal(scale) * width)
    return lx.MatrixLinearOperator(scale.as_matrix() * width[:, None])
