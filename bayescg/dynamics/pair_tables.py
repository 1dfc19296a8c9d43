"""Pair potentials as tables: one polynomial per interval of distance, the form a step loop evaluates.

    u(r) = c0 + c1 t + c2 t^2 + ...,        t = (r - start)/width - interval,     interval = 0, 1, ...
    u(r) = the first row, with t < 0,       below start.

A `PairSpline` is such a table already, so its table is exact. Any other pair potential is
interpolated (Hermite cubics, from u and u' at the ends of every interval); then the force is off by at most

    (sqrt(3)/216) width^3 max|u''''|,

and it stays the exact derivative of the tabulated energy, so nothing is lost to energy drift.

References:
    G. Birkhoff, A. Priver, J. Math. Phys. 46, 440 (1967), doi:10.1002/sapm1967461440.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float, Int
from bayescg.interfaces import AbstractPairPotential, type_pairs
from bayescg.potentials import PairSpline
from bayescg.potentials.spline import MINIMUM_STIFFNESS

Energy = Callable[[Array], Array]

INTERVALS = 1024
"""Intervals of an interpolated table: 12 kB in float32, which stays in the fastest cache."""

CORE_ENERGY = 1000.0
"""kJ/mol, 400 k_B T at 300 K: where a table may start, because no bead climbs that high."""

ACCESSIBLE_ENERGY = 50.0
"""kJ/mol, 20 k_B T at 300 K: up to here the error of a table is measured."""


class PairTable(eqx.Module):
    """The slope of every pair potential, the derivatives of the polynomials above.

    Attributes:
        slopes: c1, 2 c2, 3 c3, ... over the width, kJ/mol/nm; along the second axis the rows of one pair
            of types after those of another, row 0 for below `starts`, row 1 for the first interval.
        starts: distance at which the first interval begins, nm.
        widths: of one interval, nm.
        error: largest difference in force from the potential where u < `ACCESSIBLE_ENERGY`, kJ/mol/nm;
            zero where the table is exact.
        cutoff: nm; energy and force are zero from there on.
    """

    slopes: Float[Array, "power row"]
    starts: Float[Array, " type_pair"]
    widths: Float[Array, " type_pair"]
    error: Float[Array, ""]
    cutoff: float = eqx.field(static=True)

    def slope(self, distance: Float[Array, "*shape"], pair: Int[Array, "*shape"]) -> Float[Array, "*shape"]:
        """u'(r), kJ/mol/nm, in the precision of `distance`; not cut off.

        Args:
            distance: nm.
            pair: index of the pair of types.
        """
        kinds, rows = self.starts.size, self.slopes.shape[1] // self.starts.size
        columns, starts, widths = (
            values.astype(distance.dtype) for values in (self.slopes, self.starts, self.widths)
        )
        # one pair of types: a scalar instead of a gather per pair
        start, width = (starts[0], widths[0]) if kinds == 1 else (starts[pair], widths[pair])
        s = (distance - start) / width
        row = jnp.clip(jnp.floor(s).astype(jnp.int32) + 1, 0, rows - 1)
        t = s - jnp.maximum(row - 1, 0).astype(distance.dtype)
        place = row if kinds == 1 else pair * rows + row
        *lower, slope = (column.at[place].get(mode="promise_in_bounds") for column in columns)
        for coefficient in reversed(lower):
            slope = coefficient + t * slope
        return slope


@eqx.filter_jit
def pair_table(potential: AbstractPairPotential, kinds: int) -> PairTable:
    """The table of a pair potential; pure, so draws can be mapped over.

    Args:
        potential: with its parameters allocated.
        kinds: number of bead types.

    Returns:
        Exact for a `PairSpline`, interpolated for every other.

    Example:
        >>> import bayescg as bcg
        >>> table = pair_table(bcg.potentials.LennardJones([0.997], [0.34], 1.2, ("Ar",)), 1)
        >>> table.slopes.shape
        (3, 1025)
    """
    return _spline_table(potential) if isinstance(potential, PairSpline) else _hermite_table(potential, kinds)


def _spline_table(potential: PairSpline) -> PairTable:
    inside = potential.polynomials
    widths = jnp.asarray(potential.widths, inside.dtype)
    value, slope, half_curvature = inside[:, 0, 0], inside[:, 0, 1], inside[:, 0, 2]
    curvature = jnp.maximum(half_curvature, 0.5 * MINIMUM_STIFFNESS * widths**2)
    core = jnp.stack([value, jnp.minimum(slope, 0.0), curvature], axis=-1)
    core = jnp.pad(core, ((0, 0), (0, potential.degree - 2)))
    rows = jnp.concatenate([core[:, None], inside], axis=1)
    starts = jnp.asarray(potential.starts, inside.dtype)
    return PairTable(_slopes(rows, widths), starts, widths, jnp.zeros((), inside.dtype), potential.cutoff)


def _hermite_table(potential: AbstractPairPotential, kinds: int) -> PairTable:
    # just inside the cutoff, where u may jump to zero
    end = potential.cutoff * (1 - 1e-9)

    def of_kind(pair: Array) -> tuple[Array, Array, Array, Array]:
        def energy(distance: Array) -> Array:
            return potential.pair_energy(distance, pair[0], pair[1])

        start = _start(energy, end)
        width = (end - start) / INTERVALS
        nodes = start + width * jnp.arange(INTERVALS + 1)
        rows = _hermite_cubics(energy, nodes, width)
        return rows, start, width, _largest_difference(energy, nodes, width, rows[1:])

    rows, starts, widths, errors = jax.vmap(of_kind)(jnp.asarray(type_pairs(kinds), jnp.int32))
    return PairTable(_slopes(rows, widths), starts, widths, jnp.max(errors), potential.cutoff)


def _start(energy: Energy, end: float) -> Array:
    """The shortest distance beyond which u stays below `CORE_ENERGY`."""
    scan = jnp.linspace(0.0, end, 2 * INTERVALS + 1)[1:]
    too_high = ~(jax.vmap(energy)(scan) < CORE_ENERGY)  # NaN counts as too high
    last = jnp.max(jnp.where(too_high, jnp.arange(scan.size), -1))
    return scan[jnp.minimum(last + 1, scan.size - 2)]


def _hermite_cubics(energy: Energy, nodes: Array, width: Array) -> Array:
    """Rows of coefficients from value and slope at the nodes; below the first node u goes on linearly."""
    value, slope = jax.vmap(jax.value_and_grad(energy))(nodes)
    u0, u1, d0, d1 = value[:-1], value[1:], width * slope[:-1], width * slope[1:]
    rows = jnp.stack([u0, d0, 3 * (u1 - u0) - 2 * d0 - d1, 2 * (u0 - u1) + d0 + d1], axis=-1)
    core = rows[:1] * jnp.asarray([1.0, 1.0, 0.0, 0.0], rows.dtype)
    return jnp.concatenate([core, rows])


def _slopes(rows: Array, widths: Array) -> Array:
    """Coefficients of u' from those of u, (type_pair, row, degree + 1) to (degree, all rows)."""
    degree = rows.shape[-1] - 1
    slopes = rows[..., 1:] * jnp.arange(1, degree + 1, dtype=rows.dtype) / widths[:, None, None]
    return slopes.reshape(-1, degree).T


def _largest_difference(energy: Energy, nodes: Array, width: Array, rows: Array) -> Array:
    """|u' of the table - u'| at the places in an interval where it is largest for a quartic."""
    # the error of u' is a cubic odd about the middle; its extremes lie at t = 1/2 ± 1/(2 sqrt 3)
    t = jnp.asarray([0.5 - 0.5 / 3**0.5, 0.5 + 0.5 / 3**0.5])
    distance = nodes[:-1, None] + width * t
    value, exact = jax.vmap(jax.vmap(jax.value_and_grad(energy)))(distance)
    c1, c2, c3 = rows[:, 1:2], rows[:, 2:3], rows[:, 3:4]
    table = (c1 + t * (2 * c2 + 3 * t * c3)) / width
    return jnp.max(jnp.where(value < ACCESSIBLE_ENERGY, jnp.abs(table - exact), 0.0))
