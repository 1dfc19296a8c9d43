"""The largest eigenvalues of a symmetric operator that is known by its products alone.

Lanczos' method with full reorthogonalization (matfree); the residual of a Ritz pair

    |A y - theta y| = beta |s_last| + rounding

bounds the distance of theta from an eigenvalue. Small eigenvalues are not found this way, and nothing is
said of them.

References:
    C. Lanczos, J. Res. Natl. Bur. Stand. 45, 255 (1950), doi:10.6028/jres.045.026.
    N. Krämer et al., Adv. Neural Inf. Process. Syst. 37, 49484 (2024): matfree.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from matfree.decomp import tridiag_sym

from bayescg._typing import Array, Float, PRNGKeyArray

STEPS_PER_PAIR = 2
"""Products per eigenvalue asked for; a spectrum that decays needs fewer, and the residual tells."""

STEPS_BESIDE = 10
"""Products beside, so that a few eigenvalues converge too."""


class Eigenpairs(NamedTuple):
    """Ritz pairs, the largest first.

    Attributes:
        values: theta.
        vectors: (pair, parameter), of unit length.
        residuals: |A y - theta y|: theta is that near to an eigenvalue.
        lowest: the smallest Ritz value of all, not below the smallest eigenvalue: where it is negative, the
            operator is not positive semidefinite.
    """

    values: Float[Array, " pair"]
    vectors: Float[Array, "pair parameter"]
    residuals: Float[Array, " pair"]
    lowest: Float[Array, ""]


def largest_eigenpairs(
    product: Callable[[Array], Array], size: int, *, count: int, key: PRNGKeyArray, steps: int | None = None
) -> Eigenpairs:
    """The largest eigenvalues and their vectors; in jit.

    Args:
        product: v -> A v.
        size: of v.
        count: eigenvalues wanted.
        key: of the start vector.
        steps: products made; None for twice the count and ten. Memory is steps x size numbers.

    Example:
        >>> diagonal = jnp.arange(1.0, 201.0) ** 2
        >>> found = largest_eigenpairs(lambda v: diagonal * v, 200, count=2, key=jax.random.key(0), steps=60)
        >>> found.values.round(3).tolist()
        [40000.0, 39601.0]
    """
    made = min(steps or STEPS_PER_PAIR * count + STEPS_BESIDE, size)
    start = jax.random.normal(key, (size,))
    found = tridiag_sym(made, custom_vjp=False)(product, start)
    theta, s = jnp.linalg.eigh(found.J_small)
    kept = min(count, made)
    lowest = theta[0]
    # descending
    theta, s = theta[::-1][:kept], s[:, ::-1][:, :kept]
    rounding = jnp.finfo(theta.dtype).eps * theta[0]
    residuals = jnp.linalg.norm(found.residual) * jnp.abs(s[-1]) + rounding
    return Eigenpairs(theta, s.T @ found.Q_tall, residuals, lowest)
