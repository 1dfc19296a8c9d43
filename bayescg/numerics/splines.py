"""B-splines on a uniform grid, cubic unless another degree is asked for, with clamped or periodic ends.

In interval m, with t = (x - start)/width - m in [0, 1), basis function k is the polynomial

    B_k(x) = sum_p polynomials[m, p, k] t^p,        p = 0..degree,

so a spline is a table of degree + 1 numbers per interval: cheap to evaluate, exact to differentiate, and
the same on the host and in jit. Knots, intervals and ends are fixed when a basis is made.

References:
    C. de Boor, A Practical Guide to Splines, Springer (1978), doi:10.1007/978-1-4612-6333-3.
    P. Eilers, B. Marx, Stat. Sci. 11, 89 (1996), doi:10.1214/ss/1038425655.
"""

import functools
import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.interpolate import BSpline

from bayescg._checks import require, whole
from bayescg._typing import Array, Float, Int, NumpyArray


class SplineBasis(NamedTuple):
    """A basis on the unit grid: interval m is [m, m + 1).

    Attributes:
        polynomials: (interval, power, knot): value of basis function k at m + t is
            sum_p polynomials[m, p, k] t^p.
        centers: (knot,) Greville abscissa of every basis function, in units of intervals.
        periodic: whether the last interval continues into the first.
    """

    polynomials: NumpyArray
    centers: NumpyArray
    periodic: bool


@functools.lru_cache(maxsize=64)
def clamped(intervals: int, degree: int = 3) -> SplineBasis:
    """Basis with all knots of an end at the end itself: `intervals` + degree functions that sum to one.

    The value, slope and curvature at an end involve only the one, two and three outermost
    functions, so leaving out the last three makes a spline end with all three zero.

    Args:
        intervals: number of intervals, at least 1.
        degree: of the polynomials.

    Example:
        >>> clamped(5).polynomials.shape
        (5, 4, 8)
        >>> float(clamped(5).polynomials[2, 0].sum().round(12))
        1.0
    """
    whole("intervals", intervals)
    whole("degree", degree)
    grid = np.arange(intervals + 1, dtype=float)
    knots = np.concatenate([np.zeros(degree), grid, np.full(degree, float(intervals))])
    centers = np.array([knots[k + 1 : k + degree + 1].mean() for k in range(intervals + degree)])
    return _frozen(_polynomials(knots, intervals, degree), centers, periodic=False)


@functools.lru_cache(maxsize=64)
def periodic(intervals: int) -> SplineBasis:
    """Cubic basis of a periodic variable: as many functions as intervals, all shifts of one.

    Args:
        intervals: number of intervals in a period, at least 4.

    Example:
        >>> periodic(6).polynomials.shape
        (6, 4, 6)
    """
    whole("intervals", intervals, minimum=4)
    knots = np.arange(-3, intervals + 4, dtype=float)
    unwrapped = _polynomials(knots, intervals, 3)
    wrapped = unwrapped[:, :, :intervals].copy()
    wrapped[:, :, :3] += unwrapped[:, :, intervals:]
    return _frozen(wrapped, np.mod(np.arange(intervals) - 1.0, intervals), periodic=True)


def locate(
    basis: SplineBasis, x: Float[Array, "*shape"], start: Array | float, width: Array | float
) -> tuple[Int[Array, "*shape"], Float[Array, "*shape"]]:
    """Interval m and coordinate t of x; outside a clamped grid t leaves [0, 1] (the end polynomial goes on).

    Args:
        basis: the basis.
        x: where, in the units of start and width.
        start: left end of the grid.
        width: of one interval.

    Example:
        >>> import jax.numpy as jnp
        >>> [round(float(v), 6) for v in locate(clamped(5), jnp.array(0.35), 0.1, 0.1)]
        [2.0, 0.5]
    """
    intervals = basis.polynomials.shape[0]
    s = (x - start) / width
    if basis.periodic:
        s = jnp.mod(s, intervals)
    m = jnp.clip(jnp.floor(s), 0, intervals - 1).astype(jnp.int32)
    return m, s - m


def evaluate(
    table: Float[Array, "interval power"], m: Int[Array, ""], t: Float[Array, ""]
) -> Float[Array, ""]:
    """Value of the polynomial of interval m at t, by Horner's rule.

    Args:
        table: coefficients of every interval, `basis.polynomials @ coefficients`.
        m: interval.
        t: coordinate in it.

    Example:
        >>> import jax.numpy as jnp
        >>> float(evaluate(jnp.array([[1.0, 2.0, 0.0, 1.0]]), jnp.array(0), jnp.array(2.0)))
        13.0
    """
    c = table[m]
    value = c[-1]
    for power in range(c.shape[-1] - 2, -1, -1):
        value = c[power] + t * value
    return value


def curvature_gram(basis: SplineBasis, width: float) -> NumpyArray:
    """P_kl = ∫ B_k'' B_l'' dx: c' P c is the integrated squared second derivative of a spline.

    Args:
        basis: the basis.
        width: of one interval; P scales as width^-3.

    Returns:
        (knot, knot), symmetric, positive semidefinite (linear functions have none).

    Raises:
        BayescgError: the width is not positive.

    Example:
        >>> P = curvature_gram(clamped(4), 0.1)
        >>> bool(abs(P @ clamped(4).centers).max() < 1e-9 * abs(P).max())
        True
    """
    require(width > 0, f"width must be positive, got {width}. Give the length of one interval.")
    powers = np.arange(2, basis.polynomials.shape[1])
    # B'' = sum_p p (p - 1) c_p t^(p - 2) in units of the interval
    curvatures = (powers * (powers - 1))[:, None] * basis.polynomials[:, 2:]
    moments = 1.0 / (powers[:, None] + powers - 3)  # ∫_0^1 t^(p - 2) t^(q - 2) dt
    return np.einsum("mpk,pq,mql->kl", curvatures, moments, curvatures, optimize=True) / width**3


def _frozen(polynomials: NumpyArray, centers: NumpyArray, *, periodic: bool) -> SplineBasis:
    """A basis that cannot be written into: it is cached, so everyone shares it."""
    for array in (polynomials, centers):
        array.setflags(write=False)
    return SplineBasis(polynomials, centers, periodic)


def _polynomials(knots: NumpyArray, intervals: int, degree: int) -> NumpyArray:
    """Taylor coefficients of every basis function at the left end of every interval."""
    basis = BSpline(knots, np.eye(len(knots) - degree - 1), degree, extrapolate=False)
    left = np.arange(intervals, dtype=float)
    # the highest derivative is constant in each interval, so it is taken away from the knots
    places = [left] * degree + [left + 0.5]
    return np.stack([basis(x, nu=p) / math.factorial(p) for p, x in enumerate(places)], axis=1)
