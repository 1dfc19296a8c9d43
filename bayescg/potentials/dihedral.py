"""Energies of dihedrals, for every four types of beads bonded in a row.

    U = sum_c w_c u(phi_c)

The weight w is 1 unless one of the two angles is within 10 degrees of straight, and fades to zero there:
phi has no meaning on a line, and forces of u(phi) alone would diverge.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._checks import whole
from bayescg._typing import Array, Float, Int
from bayescg.interfaces import Sampled
from bayescg.numerics import splines
from bayescg.numerics.internal_coordinates import DIHEDRAL, InternalCoordinate
from bayescg.potentials.bonded import AbstractBondedPotential
from bayescg.potentials.spline1d import basis


class PeriodicDihedral(AbstractBondedPotential):
    """u(phi) = sum_n a_n cos(n phi) + b_n sin(n phi), n = 1..multiplicity; b = 0 unless chiral.

    Without sines a dihedral and its mirror image have the same energy.

    Attributes:
        multiplicity: largest n.
        chiral: whether there are sines.
        sampled: what the data hold; set by `prepare`.
        type_names: bead types; set by `prepare`.
        coefficients: a_n, then b_n, kJ/mol, of every kind; set by `prepare`.

    Raises:
        BayescgError: a multiplicity below 1.

    References:
        A. D. MacKerell et al., J. Phys. Chem. B 102, 3586 (1998), doi:10.1021/jp973084f.

    Example:
        >>> import bayescg as bcg
        >>> chain = bcg.interfaces.Sampled("dihedral", (0, 0, 0, 0), -3.1, 3.1, 0.0, 1.0)
        >>> torsion = bcg.potentials.PeriodicDihedral(multiplicity=3)
        >>> torsion.prepare(bcg.interfaces.Support(("A",), (), internal=(chain,))).coefficients.shape
        (1, 3)
    """

    multiplicity: int = eqx.field(static=True, default=3)
    chiral: bool = eqx.field(static=True, default=False)
    sampled: tuple[Sampled, ...] = eqx.field(static=True, default=())
    type_names: tuple[str, ...] = eqx.field(static=True, default=())
    coefficients: Float[Array, "kind feature"] | None = None

    def __check_init__(self) -> None:
        whole("multiplicity", self.multiplicity)

    @property
    def coordinate(self) -> InternalCoordinate:
        """The dihedral angle."""
        return DIHEDRAL

    def started(self, sampled: tuple[Sampled, ...], type_names: tuple[str, ...]) -> dict[str, Any]:
        """Zeros."""
        return {"coefficients": jnp.zeros((len(sampled), self.multiplicity * (1 + self.chiral)))}

    def functions(self, q: Float[Array, ""], kind: Int[Array, ""]) -> Float[Array, " feature"]:
        """cos(n phi), then sin(n phi)."""
        n = jnp.arange(1, self.multiplicity + 1)
        waves = [jnp.cos(n * q)] + ([jnp.sin(n * q)] if self.chiral else [])
        return jnp.concatenate(waves)

    def confinement(self, q: Float[Array, ""], kind: Int[Array, ""]) -> Float[Array, ""]:
        """All angles are sampled or can be."""
        return jnp.zeros_like(q)


class DihedralSpline(AbstractBondedPotential):
    """A periodic cubic spline of every dihedral, one for every four types of beads bonded in a row.

    A dihedral and its mirror image may differ in energy, as far as the data say so.

    Attributes:
        knots: grid points in a turn; a spline has knots - 1 coefficients, heights above the last one.
        sampled: what the data hold; set by `prepare`.
        type_names: bead types; set by `prepare`.
        coefficients: kJ/mol; set by `prepare`.

    Raises:
        BayescgError: knots below 6.

    References:
        C. de Boor, A Practical Guide to Splines, Springer (1978), doi:10.1007/978-1-4612-6333-3.

    Example:
        >>> import bayescg as bcg
        >>> chain = bcg.interfaces.Sampled("dihedral", (0, 0, 0, 0), -3.1, 3.1, 0.0, 1.0)
        >>> spline = bcg.potentials.DihedralSpline(knots=12)
        >>> spline.prepare(bcg.interfaces.Support(("A",), (), internal=(chain,))).coefficients.shape
        (1, 11)
    """

    knots: int = eqx.field(static=True, default=12)
    sampled: tuple[Sampled, ...] = eqx.field(static=True, default=())
    type_names: tuple[str, ...] = eqx.field(static=True, default=())
    coefficients: Float[Array, "kind feature"] | None = None

    def __check_init__(self) -> None:
        whole("knots", self.knots, minimum=6)

    @property
    def coordinate(self) -> InternalCoordinate:
        """The dihedral angle."""
        return DIHEDRAL

    def started(self, sampled: tuple[Sampled, ...], type_names: tuple[str, ...]) -> dict[str, Any]:
        """Zeros."""
        return {"coefficients": jnp.zeros((len(sampled), self.knots - 1))}

    def functions(self, q: Float[Array, ""], kind: Int[Array, ""]) -> Float[Array, " feature"]:
        """B_k(phi)."""
        own = basis(self.knots, periodic=True)
        m, t = splines.locate(own, q, -np.pi, 2 * np.pi / self.knots)
        c = jnp.asarray(own.polynomials, q.dtype)[m]
        return c[0] + t * (c[1] + t * (c[2] + t * c[3]))

    def confinement(self, q: Float[Array, ""], kind: Int[Array, ""]) -> Float[Array, ""]:
        """All angles are sampled or can be."""
        return jnp.zeros_like(q)
