"""Real spherical harmonics, scaled so that their squares of one degree add up to one.

    sum_m Y_lm(u) Y_lm(v) = P_l(u . v),        Y_l0 = P_l(z),
    Y_l,±m = [2 (l - m)!/(l + m)!]^1/2 P_l^(m)(z) {Re, Im} (x + i y)^m,        m = 1..l,

P_l^(m) being the m-th derivative of the Legendre polynomial. The order in a degree is m = -l..l.
"""

import functools
import math

import jax.numpy as jnp
import numpy as np
from numpy.polynomial import Legendre, Polynomial

from bayescg._checks import require
from bayescg._typing import Array, Float, NumpyArray


def harmonics(unit: Float[Array, "3"], degree: int) -> tuple[Float[Array, " order"], ...]:
    """Y_lm of one direction for l = 0..degree, one array of 2 l + 1 numbers per l.

    Args:
        unit: vector of length one.
        degree: largest l.

    Raises:
        BayescgError: the vector does not have three components.

    Example:
        >>> [part.shape for part in harmonics(jnp.array([0.0, 0.6, 0.8]), 2)]
        [(1,), (3,), (5,)]
        >>> [float((part**2).sum().round(12)) for part in harmonics(jnp.array([0.0, 0.6, 0.8]), 2)]
        [1.0, 1.0, 1.0]
    """
    require(
        unit.shape == (3,),
        f"angular functions need beads in three dimensions, got positions of {unit.shape[-1]} components. "
        "Use a pair potential.",
    )
    x, y, z = unit
    real, imaginary = [jnp.ones_like(x)], [jnp.zeros_like(x)]  # (x + i y)^m
    for _ in range(degree):
        c, s = real[-1], imaginary[-1]
        real.append(c * x - s * y)
        imaginary.append(s * x + c * y)
    found = []
    for l in range(degree + 1):
        polar = [_horner(_polar(l, m), z) for m in range(l + 1)]
        negative = [polar[m] * imaginary[m] for m in range(l, 0, -1)]
        positive = [polar[m] * real[m] for m in range(l + 1)]
        found.append(jnp.stack(negative + positive))
    return tuple(found)


@functools.lru_cache(maxsize=64)
def coupling(first: int, second: int, third: int) -> NumpyArray:
    """The invariant C_abc of three degrees: sum C_abc x_a y_b z_c is the same for rotated x, y and z.

    It is unique up to a factor and symmetric under exchange where the sum of degrees is even. Where it is
    odd, the sum changes its sign in a mirror, and under exchange of two.

    Args:
        first: l of x.
        second: l of y.
        third: l of z.

    Returns:
        (2 l1 + 1, 2 l2 + 1, 2 l3 + 1), in the order of `harmonics`.

    Example:
        >>> coupling(1, 1, 0)[..., 0].round(6).tolist()  # a scalar product
        [[0.57735, 0.0, 0.0], [0.0, 0.57735, 0.0], [0.0, 0.0, 0.57735]]
    """
    from e3nn_jax import clebsch_gordan

    # its real basis is this one with the axes (x, y, z) renamed in a cycle, which is a rotation
    C = np.ascontiguousarray(clebsch_gordan(first, second, third))
    C /= np.linalg.norm(C)
    C.setflags(write=False)
    return C


@functools.lru_cache(maxsize=256)
def _polar(l: int, m: int) -> tuple[float, ...]:
    """Coefficients of [2 (l - m)!/(l + m)!]^1/2 P_l^(m)(z), lowest power first."""
    polynomial = Legendre.basis(l).convert(kind=Polynomial)
    scale = 1.0 if m == 0 else math.sqrt(2 * math.factorial(l - m) / math.factorial(l + m))
    return tuple(scale * float(c) for c in (polynomial.deriv(m).coef if m else polynomial.coef))


def _horner(coefficients: tuple[float, ...], z: Array) -> Array:
    value = jnp.full_like(z, coefficients[-1])
    for c in coefficients[-2::-1]:
        value = c + z * value
    return value
