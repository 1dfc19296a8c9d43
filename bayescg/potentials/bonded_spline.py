"""Splines of coordinates inside a molecule, linear in their coefficients.

    u(q) = sum_k theta_k B_k(q),        all functions of a cubic basis but the last,

which would add a constant alone: forces see differences of energy only. The grid reaches from the smallest
to the largest sampled value and a margin beyond; a periodic grid covers the period. Beyond an end at
distance d

    u = u(end) + max(s, 0) d + max(u''(end), kappa) d²/2,        s the slope outwards,

kappa being the stiffness that Boltzmann inversion of the data gives, so that bonds of a simulation cannot
come apart, whatever the draw. Data do not reach there, and `basis_forces` goes on along the quadratic of the
spline itself. Before data the coefficients are those of the harmonic energy of that inversion.
"""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float, Int, NumpyArray
from bayescg.interfaces import Sampled
from bayescg.numerics import splines
from bayescg.potentials.bonded import AbstractBondedPotential
from bayescg.potentials.spline1d import basis

MARGIN = 0.1
"""Part of the sampled range that is added on either side."""


class AbstractChainSpline(AbstractBondedPotential):
    """A spline of a coordinate that has a range."""

    knots: eqx.AbstractVar[int]

    def started(self, sampled: tuple[Sampled, ...], type_names: tuple[str, ...]) -> dict[str, Any]:
        """Splines of the harmonic energy of every kind."""
        return {"coefficients": harmonic_coefficients(sampled, self.knots, self.bounds)}

    @property
    @abc.abstractmethod
    def bounds(self) -> tuple[float, float]:
        """Values that the coordinate cannot leave."""

    @property
    def grids(self) -> NumpyArray:
        """Start and interval width of every kind, (kind, 2)."""
        return np.array([grid_of(one, self.knots, self.bounds) for one in self.sampled])

    def functions(self, q: Float[Array, ""], kind: Int[Array, ""]) -> Float[Array, " feature"]:
        """B_k(q), quadratic beyond the grid."""
        start, width = jnp.asarray(self.grids, q.dtype)[kind]
        polynomials = jnp.asarray(basis(self.knots, periodic=False).polynomials, q.dtype)
        m, t = splines.locate(basis(self.knots, periodic=False), q, start, width)
        return _continued(polynomials[m], t)

    def confinement(self, q: Float[Array, ""], kind: Int[Array, ""]) -> Float[Array, ""]:
        """What the walls add to the quadratic continuation."""
        start, width = jnp.asarray(self.grids, q.dtype)[kind]
        kappa = jnp.asarray([one.stiffness for one in self.sampled], q.dtype)[kind]
        table = jnp.asarray(basis(self.knots, periodic=False).polynomials, q.dtype) @ self.allocated()[kind]
        stop = start + width * (self.knots - 1)
        left, right = jnp.maximum(start - q, 0.0), jnp.maximum(q - stop, 0.0)
        _, c1, c2, _ = table[0]
        _, e1, e2, e3 = table[-1]
        at_start = -c1 / width, 2 * c2 / width**2
        at_stop = (e1 + 2 * e2 + 3 * e3) / width, (2 * e2 + 6 * e3) / width**2
        return _wall(left, *at_start, kappa) + _wall(right, *at_stop, kappa)


def grid_of(one: Sampled, knots: int, bounds: tuple[float, float]) -> tuple[float, float]:
    """Start and interval width of a grid over the sampled range and its margin.

    Args:
        one: what the data say.
        knots: number of grid points.
        bounds: of the coordinate.

    Example:
        >>> grid_of(Sampled("cosine", (0, 0, 0), -1.0, 0.0, -0.5, 10.0), 5, (-1.0, 0.0))
        (-1.0, 0.25)
    """
    margin = MARGIN * (one.highest - one.lowest)
    start, stop = max(one.lowest - margin, bounds[0]), min(one.highest + margin, bounds[1])
    return start, (stop - start) / (knots - 1)


def harmonic_coefficients(
    sampled: tuple[Sampled, ...], knots: int, bounds: tuple[float, float]
) -> Float[Array, "kind feature"]:
    """Coefficients of the harmonic energy of every kind: a cubic basis holds it exactly.

    Args:
        sampled: what the data say of every kind.
        knots: number of grid points.
        bounds: of the coordinate.

    Example:
        >>> bond = Sampled("bond", (0, 0), 0.2, 0.3, 0.25, 1e4)
        >>> harmonic_coefficients((bond,), 8, (0.0, np.inf)).shape
        (1, 9)
    """
    full = splines.clamped(knots - 1)
    # as many points as functions, all inside: collocation at the Greville abscissae is never singular
    m = np.minimum(full.centers.astype(int), knots - 2)
    powers = (full.centers - m)[:, None] ** np.arange(full.polynomials.shape[1])
    values = np.einsum("jp,jpk->jk", powers, full.polynomials[m])
    rows = []
    for one in sampled:
        start, width = grid_of(one, knots, bounds)
        q = start + width * full.centers
        theta = np.linalg.solve(values, 0.5 * one.stiffness * (q - one.center) ** 2)
        rows.append(theta[:-1] - theta[-1])
    return jnp.asarray(np.array(rows))


def _continued(c: Array, t: Array) -> Array:
    """Cubics with coefficients (power, function) at t in [0, 1], and their quadratics beyond."""
    s = jnp.clip(t, 0.0, 1.0)
    d = t - s
    value = c[0] + s * (c[1] + s * (c[2] + s * c[3]))
    slope = c[1] + s * (2 * c[2] + 3 * s * c[3])
    return value + d * (slope + d * (c[2] + 3 * s * c[3]))


def _wall(depth: Array, slope: Array, curvature: Array, stiffness: Array) -> Array:
    """From a quadratic continuation to one that rises, and ever more steeply."""
    steeper = jnp.maximum(slope, 0.0) - slope
    return depth * (steeper + 0.5 * depth * (jnp.maximum(curvature, stiffness) - curvature))
