"""Radial functions of the equivariant potential: spherical Bessel functions that end smoothly.

    R_n(r) = (2/3)^1/2 sin(n pi s)/s (1 - s²)²,        s = r/cutoff,        n = 1..count.

Without the last factor they are orthonormal over the ball within the cutoff, where distances have the density
3 s²; with it value, slope and curvature vanish at the cutoff, where sin(n pi s) brings the third zero.
"""

import math

import jax.numpy as jnp

from bayescg._typing import Array, Float


def bessel_functions(
    distance: Float[Array, "*shape"], cutoff: float, *, count: int
) -> Float[Array, "*shape radial"]:
    """R_n of distances up to the cutoff.

    Args:
        distance: above zero, nm.
        cutoff: nm.
        count: number of functions.

    References:
        J. Gasteiger, J. Groß, S. Günnemann, ICLR (2020), doi:10.48550/arXiv.2003.03123.

    Example:
        >>> found = bessel_functions(jnp.array([0.3, 0.6]), 0.6, count=2)
        >>> round(float(found[0, 0]), 6), bool(jnp.all(found[1] == 0.0))
        (0.918559, True)
    """
    s = distance / cutoff
    angle = math.pi * s
    turn, values = 2 * jnp.cos(angle), [jnp.zeros_like(s), jnp.sin(angle)]
    while len(values) <= count:  # sin (n+1)x = 2 cos x sin nx - sin (n-1)x
        values.append(turn * values[-1] - values[-2])
    end = math.sqrt(2 / 3) * (1 - s**2) ** 2 / s
    return jnp.stack(values[1 : count + 1], axis=-1) * end[..., None]
