"""Coordinates of variational inference: u = center + C z, so that one learning rate suits every parameter.

Up to `DENSE_LIMIT` parameters the posterior is whitened first (`inference.whitening`): in z it is about
N(0, I). A mean field sees only the diagonal of that, C = diag(H_ii^-1/2) with H the curvature there: it stays
the product of independent normals in the problem's own parameters that its name promises. Chains begin near
the center, those that belong to another mode there. In many dimensions C holds the prior's widths, and chains
begin at the best of a few prior draws.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

from bayescg._checks import BayescgError
from bayescg._typing import Array, Float, NumpyArray, PRNGKeyArray
from bayescg.inference.mode import value_and_gradient
from bayescg.inference.sampler import Target
from bayescg.inference.whitening import Whitening

PRIOR_DRAWS = 64
"""Draws that measure the prior's width to about 10%."""

CANDIDATES = 16
"""Of those draws, beside one per chain, the highest are where chains begin."""

NEAR, CORE = 0.1, 5.0
"""Starts within the core of the posterior's mode are moved to this part of their distance from it."""


class Coordinates(eqx.Module):
    """An affine change of variables.

    Attributes:
        center: u at z = 0.
        scale: C.
        starts: where chains begin, in z.
        log_volume: log |det C|.
        width: standard deviation in z that a guide begins with.
    """

    center: Float[Array, " parameter"]
    scale: lx.AbstractLinearOperator
    starts: Float[Array, "chain parameter"]
    log_volume: Float[Array, ""]
    width: float = eqx.field(static=True)

    def unwhiten(self, z: Float[Array, " parameter"]) -> Float[Array, " parameter"]:
        """From z to u."""
        return self.center + self.scale.mv(z)


def white(whitening: Whitening) -> Coordinates:
    """The coordinates in which the posterior is about N(0, I).

    Args:
        whitening: with a full matrix.

    Example:
        >>> from bayescg.inference.whitening import blank
        >>> float(white(blank(3, chains=2)).log_volume)
        0.0
    """
    C = np.asarray(whitening.scale.as_matrix())
    z = np.linalg.solve(C, _starts(whitening).T).T
    volume = np.linalg.slogdet(C)[1]
    return Coordinates(whitening.center, whitening.scale, jnp.asarray(z), jnp.asarray(volume), 1.0)


def stretched(whitening: Whitening) -> Coordinates:
    """The problem's own parameters, each with its own unit: the posterior's width at fixed others.

    Args:
        whitening: with a full matrix.

    Example:
        >>> C = lx.MatrixLinearOperator(jnp.array([[1.0, 0.0], [1.0, 1.0]]))  # curvature [[2, -1], [-1, 1]]
        >>> w = Whitening(jnp.zeros(2), C, jnp.zeros((1, 2)), jnp.zeros(1))
        >>> lx.diagonal(stretched(w).scale).round(3).tolist()
        [0.707, 1.0]
    """
    inverse = np.linalg.inv(np.asarray(whitening.scale.as_matrix()))  # H = C^-T C^-1
    center = np.asarray(whitening.center)
    return _diagonal(center, 1 / np.linalg.norm(inverse, axis=0), center + _starts(whitening), 1.0)


def prior_coordinates(problem: Target, *, key: PRNGKeyArray, chains: int, width: float) -> Coordinates:
    """Units of the prior's widths, chains at the best of its draws.

    Args:
        problem: the posterior.
        key: of the prior draws.
        chains: number of starts.
        width: standard deviation in these units that a guide begins with.

    Raises:
        BayescgError: the log density is finite at none of the prior's draws.
    """
    draws = np.asarray(_prior(problem.initial, jax.random.split(key, PRIOR_DRAWS + chains)))
    # gradients are not needed, but searches compile this very program anyway
    heights = np.array(
        [
            float(value_and_gradient(problem.log_density, jnp.asarray(u))[0])
            for u in draws[: CANDIDATES + chains]
        ]
    )
    finite = np.flatnonzero(np.isfinite(heights))
    if not finite.size:
        raise BayescgError(
            "log_density must be finite where the prior puts its mass, got no finite value at "
            f"{heights.size} prior draws. Check the data for NaN and the prior for impossible values."
        )
    best = finite[np.argsort(-heights[finite])]
    low, middle, high = np.quantile(draws, [0.16, 0.5, 0.84], axis=0)
    scale = np.where(high > low, (high - low) / 2, 1.0)
    return _diagonal(middle, scale, draws[np.resize(best, chains)], width)


def _starts(whitening: Whitening) -> NumpyArray:
    """Starts relative to the center, drawn towards it where they belong to its mode.

    Of d standard normal numbers the sum of squares is below d + `CORE` sqrt(2 d) but for one in 3000.
    """
    away = np.asarray(whitening.starts - whitening.center)
    z = np.linalg.solve(np.asarray(whitening.scale.as_matrix()), away.T).T
    size = z.shape[1]
    inside = np.sum(z**2, axis=1) < size + CORE * np.sqrt(2 * size)
    return np.where(inside[:, None], NEAR * away, away)


@eqx.filter_jit
def _prior(initial: Callable[[PRNGKeyArray], Array], keys: PRNGKeyArray) -> Array:
    return jax.vmap(initial)(keys)


def _diagonal(center: NumpyArray, scale: NumpyArray, starts: NumpyArray, width: float) -> Coordinates:
    return Coordinates(
        jnp.asarray(center),
        lx.DiagonalLinearOperator(jnp.asarray(scale)),
        jnp.asarray((starts - center) / scale),
        jnp.asarray(np.log(scale).sum()),
        width,
    )
