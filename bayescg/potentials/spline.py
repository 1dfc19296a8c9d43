"""PairSpline: a free-form pair potential, linear in its coefficients.

    u_ab(r) = sum_k theta_abk B_k(r),        r in [start_ab, cutoff],

one B-spline per pair of bead types, cubic unless another degree is asked for. The last three functions
of the clamped basis are left out, so u, u' and u'' vanish at the cutoff. Below `start`, where there are
no data,

    u(r) = u(s) + min(u'(s), 0) (r - s) + max(u''(s), kappa) (r - s)^2 / 2,

which is repulsive and ever steeper, whatever the draw: beads of a simulation cannot fall through.
"""

import functools
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, positive, require, whole
from bayescg._typing import Array, Float, Int
from bayescg.interfaces import (
    AbstractLinearPotential,
    AbstractPairPotential,
    Configuration,
    Support,
    minimum_image,
    type_pair_index,
    type_pairs,
)
from bayescg.numerics import splines

MINIMUM_STIFFNESS = 1.0e4
"""kappa, kJ/mol/nm^2: a bead with k_B T of energy at 300 K enters the unsampled core by 0.02 nm."""

LEFT_OUT = 3
"""Basis functions left out at the cutoff: those with a value, slope or curvature there."""


class PairSpline(AbstractPairPotential, AbstractLinearPotential):
    """A spline for every pair of bead types.

    Attributes:
        cutoff: nm; energy, force and its slope vanish there.
        knots: number of grid points from start to cutoff, ends included; a cubic has knots - 1
            coefficients, every higher degree one more.
        start: shortest distance of the spline, nm; None for the shortest in the data.
        degree: of the energy's polynomials, at least 3. The force is of one degree less: a cubic force,
            as other programs fit, needs 4.
        starts: start of every pair of types, nm; set by `prepare`.
        type_names: bead types; set by `prepare`.
        coefficients: kJ/mol; set by `prepare`.

    Raises:
        BayescgError: knots below 6, a degree below 3, a cutoff that is not positive, or a start not
            inside it.

    References:
        S. Izvekov, G. A. Voth, J. Phys. Chem. B 109, 2469 (2005), doi:10.1021/jp044629q.

    Example:
        >>> import bayescg as bcg
        >>> potential = bcg.potentials.PairSpline(cutoff=0.9, knots=24, start=0.24)
        >>> ready = potential.prepare(bcg.interfaces.Support(("water",), (0.24,)))
        >>> ready.coefficients.shape
        (1, 23)
    """

    cutoff: float = eqx.field(static=True)
    knots: int = eqx.field(static=True, default=24)
    start: float | None = eqx.field(static=True, default=None)
    degree: int = eqx.field(static=True, default=3)
    starts: tuple[float, ...] = eqx.field(static=True, default=())
    type_names: tuple[str, ...] = eqx.field(static=True, default=())
    coefficients: Float[Array, "type_pair knot"] | None = None

    def __check_init__(self) -> None:
        positive("cutoff", self.cutoff, unit="nm")
        whole("knots", self.knots, minimum=6)
        whole("degree", self.degree, minimum=LEFT_OUT)
        for start in (self.start, *self.starts):
            if start is not None and not 0 <= start < self.cutoff:
                raise BayescgError(
                    f"start must lie between 0 and the cutoff of {self.cutoff} nm, got {start} nm. "
                    "Give the shortest distance that the beads reach."
                )

    @property
    def basis(self) -> splines.SplineBasis:
        """The functions of one pair of types, on the unit grid."""
        return basis(self.knots, self.degree)

    @property
    def widths(self) -> tuple[float, ...]:
        """Grid spacing of every pair of types, nm."""
        return tuple((self.cutoff - start) / (self.knots - 1) for start in self.starts)

    @property
    def polynomials(self) -> Float[Array, "type_pair interval power"]:
        """Coefficients of u in every interval, kJ/mol: powers of t = (r - start)/width - interval."""
        theta = self._allocated()
        return jnp.einsum("mpk,ak->amp", jnp.asarray(self.basis.polynomials, theta.dtype), theta)

    def prepare(self, support: Support) -> "PairSpline":
        """Allocate the coefficients: zeros, one row per pair of types."""
        support.check_types(self.type_names)
        pairs = type_pairs(len(support.type_names))
        starts = tuple(support.shortest) if self.start is None else (self.start,) * len(pairs)
        if self.starts and self.start is None:  # prepared for other data before: serve both
            starts = tuple(min(old, new) for old, new in zip(self.starts, starts, strict=True))
        for pair, start in zip(pairs, starts, strict=True):
            names = "-".join(support.type_names[index] for index in pair)
            require(
                np.isfinite(start) and start < self.cutoff,
                f"cutoff must exceed the shortest sampled {names} distance, got {self.cutoff} nm against "
                f"{start:.4g} nm. Choose a larger cutoff, or a start of your own.",
            )
        coefficients = jnp.zeros((len(pairs), self.basis.centers.size), dtype=float)
        return PairSpline(
            self.cutoff, self.knots, self.start, self.degree, starts, support.type_names, coefficients
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Names of the type pairs; coefficients by number (their places differ between pairs)."""
        names = ["-".join(self.type_names[i] for i in pair) for pair in type_pairs(len(self.type_names))]
        return {"coefficients": {"type_pair": names, "coefficient": np.arange(self.basis.centers.size)}}

    def coefficient_paths(self) -> tuple[str, ...]:
        """The coefficients are the features."""
        return ("coefficients",)

    def pair_energy(
        self, distance: Float[Array, ""], first_type: Int[Array, ""], second_type: Int[Array, ""]
    ) -> Float[Array, ""]:
        """u(r) of one pair, kJ/mol."""
        return self.spline_energy(distance, first_type, second_type, wall=True)

    def linear_energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Sum over pairs of the spline, continued below `start` by its own slope and curvature, kJ/mol."""
        return self.sum_over_pairs(functools.partial(self.spline_energy, wall=False), configuration)

    def spline_energy(
        self,
        distance: Float[Array, ""],
        first_type: Int[Array, ""],
        second_type: Int[Array, ""],
        *,
        wall: bool,
    ) -> Float[Array, ""]:
        """u(r) of one pair, kJ/mol, repulsive below `start` or continued by its own slope and curvature."""
        pair = type_pair_index(first_type, second_type, len(self.type_names))
        table = self.polynomials[pair]
        start, width = jnp.asarray(self.starts)[pair], jnp.asarray(self.widths)[pair]
        m, t = splines.locate(self.basis, distance, start, width)
        inside = splines.evaluate(table, m, t)
        overlap = jnp.minimum(distance - start, 0.0)
        value, slope, half_curvature = table[0, 0], table[0, 1] / width, table[0, 2] / width**2
        if wall:
            slope, half_curvature = (
                jnp.minimum(slope, 0.0),
                jnp.maximum(half_curvature, MINIMUM_STIFFNESS / 2),
            )
        core = value + slope * overlap + half_curvature * overlap**2
        energy = jnp.where(distance < start, core, inside)
        return jnp.where(distance < self.cutoff, energy, 0.0)

    def basis_forces(self, configuration: Configuration) -> Float[Array, "bead dim feature"]:
        """Forces of the basis, 1/nm; below `start` they go on linearly, as the energy does."""
        positions, neighbors = configuration.positions, configuration.neighbors
        beads, types = positions.shape[0], configuration.topology.types
        other = jnp.minimum(neighbors, beads - 1)
        displacement = minimum_image(positions[other] - positions[:, None], configuration.box)
        squared = jnp.sum(displacement**2, axis=-1)
        present = (neighbors < beads) & (squared < self.cutoff**2)
        distance = jnp.sqrt(jnp.where(present, squared, 1.0))
        pair = type_pair_index(types[:, None], types[other], len(self.type_names))
        slopes = self._basis_slopes(distance, jnp.asarray(self.starts)[pair], jnp.asarray(self.widths)[pair])
        # F_i = sum_j u'(r_ij) (x_j - x_i)/r_ij
        unit = jnp.where(present, 1 / distance, 0.0)[..., None] * displacement
        per_pair = [
            jnp.einsum("ijd,ijk->idk", jnp.where((pair == index)[..., None], unit, 0.0), slopes)
            for index in range(len(self.starts))
        ]
        return jnp.concatenate(per_pair, axis=-1)

    def _basis_slopes(self, distance: Array, start: Array, width: Array) -> Array:
        """B_k'(r), 1/nm, with the feature axis last."""
        table = jnp.asarray(self.basis.polynomials, distance.dtype)
        m, t = splines.locate(self.basis, distance, start, width)
        c, t = table[m], t[..., None]
        inside = self.degree * c[..., self.degree, :]
        for power in range(self.degree - 1, 0, -1):
            inside = power * c[..., power, :] + t * inside
        below = c[..., 1, :] + 2 * t * c[..., 2, :]
        return jnp.where(t < 0, below, inside) / width[..., None]

    def _allocated(self) -> Array:
        if self.coefficients is None:
            raise BayescgError(
                "PairSpline has no coefficients yet. Put the model into a bayescg.Problem with data, or call "
                "prepare with the bead types."
            )
        return self.coefficients


@functools.lru_cache(maxsize=64)
def basis(knots: int, degree: int = 3) -> splines.SplineBasis:
    """The clamped basis without the functions that reach the cutoff.

    Args:
        knots: number of grid points.
        degree: of the polynomials.

    Example:
        >>> basis(24).polynomials.shape, basis(24, degree=4).polynomials.shape
        ((23, 4, 23), (23, 5, 24))
    """
    full = splines.clamped(knots - 1, degree)
    return splines.SplineBasis(full.polynomials[..., :-LEFT_OUT], full.centers[:-LEFT_OUT], periodic=False)
