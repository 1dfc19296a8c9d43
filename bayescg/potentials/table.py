"""Table: a pair potential given by numbers, constant, for instance the reference part of a model.

Between the points u is the cubic spline through them, times the switch S of `LennardJones`: value, slope
and curvature vanish at the cutoff. Below the first distance s

    u(r) = u(s) + u'(s) (r - s) + max(u''(s), kappa) (r - s)²/2,

which rises ever more steeply towards r = 0, so that beads of a simulation cannot fall through.
"""

import functools
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import CubicSpline

from bayescg._checks import finite, positive, require
from bayescg._typing import Array, Float, Int, NumpyArray
from bayescg.interfaces import AbstractPairPotential, Support, type_pairs
from bayescg.numerics.splines import evaluate
from bayescg.potentials.pair import SWITCH, switch
from bayescg.potentials.pair_parameters import pair_place
from bayescg.potentials.spline import MINIMUM_STIFFNESS

FEWEST_POINTS = 4
"""A cubic goes through as many."""


class Table(AbstractPairPotential):
    """Cubic interpolation of tabulated energies; it has no parameters.

    Attributes:
        distances: nm, increasing.
        energies: kJ/mol, one row for all pairs of types or one row per pair, falling at the first distance.
        cutoff: nm; the last distance unless a smaller one is given.
        type_names: bead types; set by `prepare`.

    Raises:
        BayescgError: fewer than four points, distances that do not increase, numbers that are not finite,
            energies that do not fall at the first distance, or a cutoff outside the table.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp, numpy as np
        >>> r = np.linspace(0.3, 1.0, 200)
        >>> dipole = bcg.potentials.Table(r, r**-3)
        >>> dipole = dipole.prepare(bcg.interfaces.Support(("A",), (0.3,)))
        >>> float(dipole.pair_energy(jnp.array(0.5), jnp.array(0), jnp.array(0)).round(5))
        8.0
    """

    distances: tuple[float, ...] = eqx.field(static=True)
    energies: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    type_names: tuple[str, ...] = eqx.field(static=True, default=())

    def __init__(
        self,
        distances: Any,
        energies: Any,
        cutoff: float | None = None,
        type_names: tuple[str, ...] = (),
    ) -> None:
        r, u = np.asarray(distances, dtype=float), np.atleast_2d(np.asarray(energies, dtype=float))
        finite("distances", r, axis_name="point")
        finite("energies", u.T, axis_name="point")
        require(
            r.ndim == 1
            and r.size >= FEWEST_POINTS
            and u.shape[1:] == r.shape
            and bool((np.diff(r) > 0).all()),
            f"distances must be at least {FEWEST_POINTS} increasing numbers with an energy each, got shapes "
            f"{r.shape} and {u.shape}. Sort the table and remove repeated distances.",
        )
        self.distances, self.energies = tuple(r.tolist()), tuple(tuple(row) for row in u.tolist())
        self.cutoff = positive("cutoff", r[-1] if cutoff is None else cutoff, unit="nm")
        self.type_names = type_names
        require(
            r[0] < self.cutoff <= r[-1],
            f"cutoff must lie inside the table, {r[0]} to {r[-1]} nm, got {self.cutoff} nm. Tabulate "
            "further, or leave the cutoff out.",
        )
        slopes = _polynomials(self.distances, self.energies)[:, 0, 1]
        require(
            bool((slopes < 0).all()),
            f"energies must fall at the first distance, got slopes {slopes.tolist()} kJ/mol/nm there. Cut "
            "the table off where it is repulsive.",
        )

    def prepare(self, support: Support) -> "Table":
        """Check the number of rows."""
        support.check_types(self.type_names)
        pairs, rows = len(type_pairs(len(support.type_names))), len(self.energies)
        require(
            rows in (1, pairs),
            f"energies must be one row or one per pair of types ({pairs}), got {rows} rows. "
            "Give the rows in the order A-A, A-B, B-B.",
        )
        energies = self.energies if rows == pairs else self.energies * pairs
        return Table(self.distances, energies, self.cutoff, support.type_names)

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """There are no parameters."""
        return {}

    def pair_energy(
        self, distance: Float[Array, ""], first_type: Int[Array, ""], second_type: Int[Array, ""]
    ) -> Float[Array, ""]:
        """u(r) of one pair, kJ/mol."""
        pair = pair_place(first_type, second_type, type_names=self.type_names, owner="Table")
        table = jnp.asarray(_polynomials(self.distances, self.energies))[pair]
        r = jnp.asarray(self.distances)
        m = jnp.clip(jnp.searchsorted(r, distance, side="right") - 1, 0, r.size - 2)
        inside = evaluate(table, m, distance - r[m])
        overlap = jnp.minimum(distance - r[0], 0.0)
        stiffness = jnp.maximum(2 * table[0, 2], MINIMUM_STIFFNESS)
        core = table[0, 0] + table[0, 1] * overlap + 0.5 * stiffness * overlap**2
        energy = jnp.where(distance < r[0], core, inside)
        return energy * switch(distance, SWITCH * self.cutoff, self.cutoff)


@functools.lru_cache(maxsize=64)
def _polynomials(distances: tuple[float, ...], energies: tuple[tuple[float, ...], ...]) -> NumpyArray:
    """(type_pair, interval, power): coefficients of powers of r minus the interval's left end."""
    spline = CubicSpline(np.array(distances), np.array(energies).T)
    table = np.ascontiguousarray(np.moveaxis(spline.c[::-1], 2, 0).swapaxes(1, 2))
    table.setflags(write=False)
    return table
