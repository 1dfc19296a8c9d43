"""Spline1D: a free-form potential of one variable, linear in its coefficients.

    u(x) = sum_k theta_k [B_k(x) - m_k],        m_k = ∫ B_k dx / ∫ dx,

with all functions of a cubic B-spline basis but the last. Forces see differences of energy only and
the basis sums to one, so the last function would add a constant alone: without it every coefficient
is determined by forces. theta_k is then the height of control point k above the last one, and
u averages to zero over its range.

A variable without period has a clamped basis from `start` to `stop`, the sampled range and a margin.
Beyond an end at distance d,

    u = u(end) + max(s, 0) d + max(u''(end), kappa) d²/2,        s the slope outwards,

which rises ever more steeply, whatever the draw: nothing escapes from a simulation. Data do not reach
there, and `basis_forces` goes on along the quadratic of the spline itself.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, positive, require, whole
from bayescg._typing import Array, Float, NumpyArray
from bayescg.interfaces import (
    AbstractLinearPotential,
    AbstractSitePotential,
    Configuration,
    Extent,
    Support,
)
from bayescg.numerics import splines
from bayescg.potentials.extent import extent_of

MARGIN = 0.05
"""Part of the sampled range that is added on either side, where `lower` and `upper` are not given."""

PENETRATION = 0.05
"""Part of the range by which k_B T of energy enters the confining walls; it gives kappa."""


_PREPARE = "Put the model into a bayescg.Problem with data, or call prepare with the range of the variable."


class Spline1D(AbstractSitePotential, AbstractLinearPotential):
    """A cubic spline of a collective variable, or of every component of free particles.

    Attributes:
        knots: grid points from start to stop, both counted; for a periodic variable points per period.
        period: of the variable, in its unit; None for that of the data.
        lower: left end of the grid; None for the data's, a margin lower.
        upper: right end; likewise. A periodic variable needs neither.
        extent: where the data lie; set by `prepare`.
        coefficients: kJ/mol; set by `prepare`.
        cutoff: zero, no neighbours are needed.

    Raises:
        BayescgError: fewer than 6 knots, a period that is not positive, or ends in the wrong order.

    References:
        C. de Boor, A Practical Guide to Splines, Springer (1978), doi:10.1007/978-1-4612-6333-3.

    Example:
        >>> import bayescg as bcg
        >>> spline = bcg.potentials.Spline1D(knots=12)
        >>> ready = spline.prepare(bcg.interfaces.Support(("A",), (), lowest=(0.0,), highest=(1.0,)))
        >>> ready.coefficients.shape, float(ready.start)
        ((13,), -0.05)
    """

    knots: int = eqx.field(static=True, default=16)
    period: float | None = eqx.field(static=True, default=None)
    lower: float | None = eqx.field(static=True, default=None)
    upper: float | None = eqx.field(static=True, default=None)
    extent: Extent | None = None
    coefficients: Float[Array, " knot"] | None = None
    cutoff: float = eqx.field(static=True, default=0.0)

    def __check_init__(self) -> None:
        whole("knots", self.knots, minimum=6)
        if self.period is not None:
            positive("period", self.period)
        if self.lower is not None and self.upper is not None:
            require(
                self.lower < self.upper,
                f"lower must lie below upper, got {self.lower} and {self.upper}. Exchange them.",
            )

    @property
    def periodic(self) -> bool:
        """Whether the last interval continues into the first."""
        return self.period is not None

    @property
    def start(self) -> float | Float[Array, ""]:
        """Left end of the grid in use, in the variable's unit."""
        if self.period is not None:
            return -0.5 * self.period if self.lower is None else self.lower
        extent = self._known_extent()
        return extent.lowest - MARGIN * extent.width if self.lower is None else self.lower

    @property
    def stop(self) -> float | Float[Array, ""]:
        """Right end in use."""
        if self.period is not None:
            return self.start + self.period
        extent = self._known_extent()
        return extent.highest + MARGIN * extent.width if self.upper is None else self.upper

    @property
    def width(self) -> float | Float[Array, ""]:
        """Of one interval, in the variable's unit."""
        return (self.stop - self.start) / (self.knots if self.periodic else self.knots - 1)

    def prepare(self, support: Support) -> "Spline1D":
        """Allocate the coefficients: zeros, on a grid over the sampled range.

        Raises:
            BayescgError: the data give no range, or reach beyond a `lower` or `upper` that was given.
        """
        period = self.period or support.period
        count = basis(self.knots, periodic=period is not None).centers.size
        prepared = Spline1D(
            knots=self.knots,
            period=period,
            lower=self.lower,
            upper=self.upper,
            extent=extent_of(support, self.extent),
            coefficients=jnp.zeros(count, dtype=float),
        )
        extent = prepared._known_extent()
        require(
            prepared.periodic or bool(prepared.start <= extent.lowest and prepared.stop >= extent.highest),
            f"lower and upper must enclose the data, got {float(prepared.start):.6g} to "
            f"{float(prepared.stop):.6g} for data from {float(extent.lowest):.6g} to "
            f"{float(extent.highest):.6g}. Widen them, or leave them out.",
        )
        return prepared

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Places of the control points, in the variable's unit."""
        centers = basis(self.knots, periodic=self.periodic).centers
        return {"coefficients": {"knot": self.start + self.width * np.asarray(centers)}}

    def coefficient_paths(self) -> tuple[str, ...]:
        """The coefficients are the features."""
        return ("coefficients",)

    def site_energy(self, x: Float[Array, ""]) -> Float[Array, ""]:
        """u(x), kJ/mol, with an average of zero over the range."""
        theta = self._allocated()
        table = jnp.asarray(self._basis.polynomials) @ theta
        origin = jnp.asarray(means(self.knots, periodic=self.periodic)) @ theta
        if self.periodic:
            m, t = splines.locate(self._basis, x, self.start, self.width)
            return splines.evaluate(table, m, t) - origin
        nearest = jnp.clip(x, self.start, self.stop)
        m, t = splines.locate(self._basis, nearest, self.start, self.width)
        return splines.evaluate(table, m, t) - origin + self._walls(x, table)

    def basis_forces(self, configuration: Configuration) -> Float[Array, "bead dim feature"]:
        """-B_k'(x) for every coefficient, per unit of the variable."""
        x = configuration.positions
        m, t = splines.locate(self._basis, x, self.start, self.width)
        c = jnp.asarray(self._basis.polynomials, x.dtype)[m]
        s = jnp.clip(t, 0.0, 1.0)[..., None]
        slope = c[..., 1, :] + s * (2 * c[..., 2, :] + 3 * s * c[..., 3, :])
        beyond = (t[..., None] - s) * (2 * c[..., 2, :] + 6 * s * c[..., 3, :])
        return -(slope + beyond) / self.width

    @property
    def _basis(self) -> splines.SplineBasis:
        return basis(self.knots, periodic=self.periodic)

    @property
    def _stiffness(self) -> Float[Array, ""]:
        """Kappa, kJ/mol per unit²."""
        energy = self._known_extent().thermal_energy
        return jnp.asarray(2 * energy / (PENETRATION * (self.stop - self.start)) ** 2)

    def _walls(self, x: Array, table: Array) -> Array:
        """What is added to the energy at the end, beyond it."""
        c1, c2, c3 = table[:, 1] / self.width, table[:, 2] / self.width**2, table[:, 3] / self.width**2
        left = jnp.maximum(self.start - x, 0.0)
        right = jnp.maximum(x - self.stop, 0.0)
        end_slope = c1[-1] + self.width * (2 * c2[-1] + 3 * c3[-1])
        return _wall(left, -c1[0], 2 * c2[0], self._stiffness) + _wall(
            right, end_slope, 2 * c2[-1] + 6 * c3[-1], self._stiffness
        )

    def _allocated(self) -> Array:
        if self.coefficients is None:
            raise BayescgError(f"Spline1D has no coefficients yet. {_PREPARE}")
        return self.coefficients

    def _known_extent(self) -> Extent:
        if self.extent is None:
            raise BayescgError(f"Spline1D does not know the range of the variable yet. {_PREPARE}")
        return self.extent


def basis(knots: int, *, periodic: bool) -> splines.SplineBasis:
    """The basis without its last function, which would add a constant alone.

    Args:
        knots: number of grid points.
        periodic: whether the last interval continues into the first.

    Example:
        >>> basis(12, periodic=False).polynomials.shape, basis(12, periodic=True).polynomials.shape
        ((11, 4, 13), (12, 4, 11))
    """
    full = splines.periodic(knots) if periodic else splines.clamped(knots - 1)
    return splines.SplineBasis(full.polynomials[..., :-1], full.centers[:-1], full.periodic)


def means(knots: int, *, periodic: bool) -> NumpyArray:
    """Average m_k of every function over the range.

    Args:
        knots: number of grid points.
        periodic: whether the last interval continues into the first.

    Example:
        >>> means(12, periodic=True).round(6).tolist()[:2]
        [0.083333, 0.083333]
    """
    table = basis(knots, periodic=periodic).polynomials
    # ∫_0^1 t^p dt = 1/(p + 1)
    return np.einsum("mpk,p->k", table, 1.0 / np.arange(1, table.shape[1] + 1)) / table.shape[0]


def _wall(depth: Array, slope: Array, curvature: Array, stiffness: Array) -> Array:
    return jnp.maximum(slope, 0.0) * depth + 0.5 * jnp.maximum(curvature, stiffness) * depth**2
