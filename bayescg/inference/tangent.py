"""Tangents: the log density to first order where chains start, from the program that climbed to the mode.

Every sampler begins with value and gradient at its starts. Within a program of its own the density would be
compiled once more for them, which for a memory takes longer than everything the chain does with it.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.inference.mode import LogDensity, value_and_gradient
from bayescg.inference.whitening import Whitening


class Tangent(eqx.Module):
    """The log density around one point or, with a leading axis, around many: exact there, linear elsewhere.

    Attributes:
        point: z, whitened coordinates.
        value: log density at the point.
        gradient: with respect to z.

    Example:
        >>> import jax
        >>> tangent = Tangent(jnp.ones(2), jnp.array(-2.0), jnp.array([-2.0, -2.0]))
        >>> value, gradient = jax.value_and_grad(tangent)(jnp.ones(2))
        >>> float(value), gradient.tolist()
        (-2.0, [-2.0, -2.0])
    """

    point: Float[Array, "*chain parameter"]
    value: Float[Array, "*chain"]
    gradient: Float[Array, "*chain parameter"]

    def __call__(self, z: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Value at the point plus gradient times what z is away from it."""
        return self.value + self.gradient @ (z - self.point)


def tangents(
    densities: Sequence[LogDensity], whitening: Whitening, points: Float[Array, "chain parameter"]
) -> Tangent:
    """Tangents at one point of every density, with a leading axis.

    Args:
        densities: of u, one for every point; their arrays may differ, one program serves all.
        whitening: of the chains.
        points: u, unconstrained coordinates.

    Example:
        >>> from bayescg.inference.whitening import blank
        >>> tangents([lambda u: -jnp.sum(u**2)], blank(2, chains=1), jnp.ones((1, 2))).gradient.tolist()
        [[-2.0, -2.0]]
    """
    found = [value_and_gradient(density, u) for density, u in zip(densities, points, strict=True)]
    return _whitened(whitening, points, [value for value, _ in found], [slope for _, slope in found])


@eqx.filter_jit
def _whitened(whitening: Whitening, points: Array, values: list[Array], gradients: list[Array]) -> Tangent:
    """Points to z = C^-1 (u - center), gradients to C' g."""
    z = jax.vmap(whitening.whiten)(points)
    return Tangent(z, jnp.stack(values), jax.vmap(whitening.scale.T.mv)(jnp.stack(gradients)))
