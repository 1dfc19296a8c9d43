"""Cubic B-splines on a uniform grid, with clamped or periodic ends.

In interval m, with t = (x - start)/width - m in [0, 1), basis function k is the polynomial

    B_k(x) = sum_p polynomials[m, p, k] t^p,        p = 0..3,

so a spline is a table of four numbers per interval: cheap to evaluate, exact to differentiate, and
the same on the host and in jit. Knots, intervals and ends are fixed when a basis is made.

References:
    C. de Boor, A Practical Guide to Splines, Springer (1978), doi:10.1007/978-1-4612-6333-3.
    P. Eilers, B. Marx, Stat. Sci. 11, 89 (1996), doi:10.1214/ss/1038425655.
"""

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.interpolate import BSpline

from bayescg._checks import require, whole
from bayescg._typing import Array, Float, Int, NumpyArray

ORDER = 4
"""Number of polynomial coefficients per interval."""


class CubicBasis(NamedTuple):
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
def clamped(intervals: int) -> CubicBasis:
    """Basis with four-fold knots at both ends: `intervals` + 3 functions that sum to one.

    The value, slope and curvature at an end involve only the one, two and three outermost
    functions, so leaving out the last three makes a spline end with all three zero.

    Args:
        intervals: number of intervals, at least 1.

    Example:
        >>> clamped(5).polynomials.shape
        (5, 4, 8)
        >>> float(clamped(5).polynomials[2, 0].sum().round(12))
        1.0
    """
    whole("intervals", intervals)
    grid = np.arange(intervals + 1, dtype=float)
    knots = np.concatenate([np.zeros(3), grid, np.full(3, float(intervals))])
    centers = np.array([knots[k + 1 : k + 4].mean() for k in range(intervals + 3)])
    return _frozen(_polynomials(knots, intervals), centers, periodic=False)


@functools.lru_cache(maxsize=64)
def periodic(intervals: int) -> CubicBasis:
    """Basis of a periodic variable: as many functions as intervals, all shifts of one.

    Args:
        intervals: number of intervals in a period, at least 4.

    Example:
        >>> periodic(6).polynomials.shape
        (6, 4, 6)
    """
    whole("intervals", intervals, minimum=4)
    knots = np.arange(-3, intervals + 4, dtype=float)
    unwrapped = _polynomials(knots, intervals)
    wrapped = unwrapped[:, :, :intervals].copy()
    wrapped[:, :, :3] += unwrapped[:, :, intervals:]
    return _frozen(wrapped, np.mod(np.arange(intervals) - 1.0, intervals), periodic=True)


def locate(
    basis: CubicBasis, x: Float[Array, "*shape"], start: Array | float, width: Array | float
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
    return c[0] + t * (c[1] + t * (c[2] + t * c[3]))


def curvature_gram(basis: CubicBasis, width: float) -> NumpyArray:
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
    c2, c3 = basis.polynomials[:, 2], basis.polynomials[:, 3]
    # B'' = 2 c2 + 6 c3 t in units of the interval; ∫_0^1 of the product of two of them
    cross = np.einsum("mk,ml->kl", c2, c3)
    gram = 4 * np.einsum("mk,ml->kl", c2, c2) + 6 * (cross + cross.T) + 12 * np.einsum("mk,ml->kl", c3, c3)
    return gram / width**3


def _frozen(polynomials: NumpyArray, centers: NumpyArray, *, periodic: bool) -> CubicBasis:
    """A basis that cannot be written into: it is cached, so everyone shares it."""
    for array in (polynomials, centers):
        array.setflags(write=False)
    return CubicBasis(polynomials, centers, periodic)


def _polynomials(knots: NumpyArray, intervals: int) -> NumpyArray:
    """Taylor coefficients of every basis function at the left end of every interval."""
    count = len(knots) - ORDER
    left, middle = np.arange(intervals, dtype=float), np.arange(intervals) + 0.5
    basis = BSpline(knots, np.eye(count), ORDER - 1, extrapolate=False)
    value, slope, curvature = (basis(left, nu=p) for p in range(3))
    third = basis(middle, nu=3)  # constant in each interval, so taken away from the knots
    return np.stack([value, slope, curvature / 2, third / 6], axis=1)
