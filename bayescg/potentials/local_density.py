"""LocalDensity: an energy of how crowded a bead is, linear in its coefficients.

    U = sum_i sum_b F_ab(rho_ib),        rho_ib = sum_{j of type b} w(r_ij),        a the type of bead i,

with w a count of neighbours that falls from 1 at `inner` to 0 at the cutoff by 1 - 10 y^3 + 15 y^4 - 6 y^5:
value, slope and curvature vanish at the cutoff (the original has a cubic in r², whose curvature jumps).
F_ab(rho) = sum_k theta_abk B_k(rho) is a cubic spline from 0 to `highest` without the first function of
the clamped basis, so F(0) = 0: a constant exerts no force. Beyond `highest` F goes on as a straight line.

The straight part of F is a pair potential, F = c rho giving c w(r) for every ordered pair: beside a pair
spline with the same cutoff only the curvature of F is new, and the prior alone decides between the two.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, positive, require, whole
from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractLinearPotential, Configuration, Support
from bayescg.numerics import splines
from bayescg.potentials.neighborhood import neighborhood
from bayescg.potentials.pair import switch


class LocalDensity(AbstractLinearPotential):
    """A spline of the number of neighbours, for every ordered pair of bead types.

    Attributes:
        cutoff: nm; the indicator w and its first two derivatives vanish there.
        highest: number of neighbours, counted by w, up to which F may bend; take it a little above the
            largest in the data.
        knots: grid points from 0 to `highest`, both counted.
        inner: distance up to which a neighbour counts in full, nm; None for three quarters of the cutoff.
        type_names: bead types; set by `prepare`.
        coefficients: kJ/mol, of F for a central type and a neighbour's type; set by `prepare`.

    Raises:
        BayescgError: fewer than 4 knots, a length or number that is not positive, or `inner` not inside
            the cutoff.

    References:
        T. Sanyal, M. S. Shell, J. Chem. Phys. 145, 034109 (2016), doi:10.1063/1.4958629.

    Example:
        >>> import bayescg as bcg
        >>> crowd = bcg.potentials.LocalDensity(cutoff=0.6, highest=8.0, knots=6)
        >>> crowd.prepare(bcg.interfaces.Support(("A", "B"), (0.3, 0.3, 0.3))).coefficients.shape
        (2, 2, 7)
    """

    cutoff: float = eqx.field(static=True)
    highest: float = eqx.field(static=True)
    knots: int = eqx.field(static=True, default=8)
    inner: float | None = eqx.field(static=True, default=None)
    type_names: tuple[str, ...] = eqx.field(static=True, default=())
    coefficients: Float[Array, "type neighbor_type knot"] | None = None

    def __check_init__(self) -> None:
        positive("cutoff", self.cutoff, unit="nm")
        positive("highest", self.highest, remedy="Give about the largest number of neighbours in the data.")
        whole("knots", self.knots, minimum=4)
        require(
            self.inner is None or 0 <= self.inner < self.cutoff,
            f"inner must lie between 0 and the cutoff of {self.cutoff} nm, got {self.inner} nm.",
        )

    @property
    def basis(self) -> splines.SplineBasis:
        """Functions of rho on the unit grid; the first, which alone is not zero at rho = 0, is left out."""
        full = splines.clamped(self.knots - 1)
        return splines.SplineBasis(full.polynomials[..., 1:], full.centers[1:], periodic=False)

    @property
    def width(self) -> float:
        """Of one interval, in neighbours."""
        return self.highest / (self.knots - 1)

    def prepare(self, support: Support) -> "LocalDensity":
        """Allocate the coefficients: zeros."""
        support.check_types(self.type_names)
        count = len(support.type_names)
        coefficients = jnp.zeros((count, count, self.basis.centers.size), dtype=float)
        return LocalDensity(
            self.cutoff, self.highest, self.knots, self.inner, support.type_names, coefficients
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Central type, neighbour's type, and the numbers of neighbours at the control points."""
        names = list(self.type_names)
        centers = self.width * np.asarray(self.basis.centers)
        return {"coefficients": {"type": names, "neighbor_type": names, "density": centers}}

    def coefficient_paths(self) -> tuple[str, ...]:
        """The coefficients are the features."""
        return ("coefficients",)

    def indicator(self, distance: Float[Array, "..."]) -> Float[Array, "..."]:
        """w(r), how far a neighbour at a distance in nm counts."""
        inner = 0.75 * self.cutoff if self.inner is None else self.inner
        return switch(distance, inner, self.cutoff)

    def densities(self, configuration: Configuration) -> Float[Array, "bead neighbor_type"]:
        """Number of neighbours of every bead, rho, by their type."""
        around = neighborhood(configuration, self.cutoff, len(self.type_names))
        return jnp.einsum("ij,ijb->ib", self.indicator(around.distance), around.kinds)

    def embedding_energy(
        self, density: Float[Array, " neighbor_type"], central_type: Any
    ) -> Float[Array, ""]:
        """sum_b F_ab(rho_b) of one bead, kJ/mol."""
        return jnp.sum(self._functions(density) * self._allocated()[central_type])

    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Sum of F over beads and types of neighbours, kJ/mol; shape ()."""
        densities = self.densities(configuration)
        return jnp.sum(jax.vmap(self.embedding_energy)(densities, configuration.topology.types))

    def basis_forces(self, configuration: Configuration) -> Float[Array, "bead dim feature"]:
        """Forces of the basis, 1/nm.

        F_i = sum_j [B'(rho_i of t_j) + B'(rho_j of t_i)] w'(r_ij) (x_j - x_i)/r_ij
        """
        types, count = configuration.topology.types, len(self.type_names)
        around = neighborhood(configuration, self.cutoff, count)
        distance, kinds = around.distance, around.kinds
        slope = jax.jvp(self.indicator, (distance,), (jnp.ones_like(distance),))[1]
        rho = jnp.einsum("ij,ijb->ib", self.indicator(distance), kinds)
        bend = jax.jvp(self._functions, (rho,), (jnp.ones_like(rho),))[1]  # (bead, type, knot)
        pull = slope[..., None] * around.unit
        own_kind = jax.nn.one_hot(types, count, dtype=rho.dtype)
        by_kind = jnp.einsum("ijd,ijb->ibd", pull, kinds)
        as_center = jnp.einsum("ia,ibd,ibk->idabk", own_kind, by_kind, bend)
        felt = bend[around.other, types[:, None]]  # B'(rho_j of t_i): (bead, neighbor, knot)
        as_neighbor = jnp.stack(
            [jnp.einsum("ijd,ijk->idk", pull * kinds[..., a, None], felt) for a in range(count)], axis=2
        )
        forces = as_center + jnp.einsum("idak,ib->idabk", as_neighbor, own_kind)
        return forces.reshape(*configuration.positions.shape, -1)

    def _functions(self, density: Array) -> Array:
        """B_k(rho), the axis of the functions last; a straight line beyond `highest`."""
        table = jnp.asarray(self.basis.polynomials, density.dtype)
        m, t = splines.locate(self.basis, density, 0.0, self.width)
        beyond = jnp.maximum(t - 1, 0.0)[..., None]
        c, s = table[m], jnp.minimum(t, 1.0)[..., None]
        value = c[..., 0, :] + s * (c[..., 1, :] + s * (c[..., 2, :] + s * c[..., 3, :]))
        slope = c[..., 1, :] + s * (2 * c[..., 2, :] + 3 * s * c[..., 3, :])
        return value + beyond * slope

    def _allocated(self) -> Array:
        if self.coefficients is None:
            raise BayescgError(
                "LocalDensity has no coefficients yet. Put the model into a bayescg.Problem with data, or "
                "call prepare with the bead types."
            )
        return self.coefficients
