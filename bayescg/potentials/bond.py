"""Energies of bonds, u(r) for every pair of types of bonded beads."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from bayescg._checks import whole
from bayescg._typing import Array, Float
from bayescg.interfaces import Sampled
from bayescg.numerics.internal_coordinates import BOND, InternalCoordinate
from bayescg.potentials.bonded_spline import AbstractChainSpline
from bayescg.potentials.bonded_spring import AbstractSpring, given


class HarmonicBond(AbstractSpring):
    """u(r) = p (r - c) + k (r - c)²/2 on every bond, c the length given or sampled.

    With one entry for every pair of types of bonded beads, linear in (p, k); `spring()` gives stiffness and
    rest length.

    Attributes:
        stiffness: k before data, kJ/mol/nm²: a number, or a dictionary from names such as "A-B" to numbers;
            None for what Boltzmann inversion of the data gives.
        length: c, nm; likewise.
        sampled: range and harmonic start of every kind; set by `prepare`.
        centers: c of every kind, nm; set by `prepare`.
        type_names: bead types; set by `prepare`.
        coefficients: p (kJ/mol/nm) and k (kJ/mol/nm²) of every kind; set by `prepare`.

    Raises:
        BayescgError: a stiffness or length that is not positive, or names of no kind of the data.

    Example:
        >>> import bayescg as bcg
        >>> bond = bcg.interfaces.Sampled("bond", (0, 0), 0.2, 0.3, 0.25, 1e4)
        >>> springs = bcg.potentials.HarmonicBond(stiffness=2e4)
        >>> ready = springs.prepare(bcg.interfaces.Support(("A",), (), internal=(bond,)))
        >>> ready.spring().stiffness.tolist(), ready.spring().rest.tolist()
        ([20000.0], [0.25])
    """

    stiffness: Any = eqx.field(static=True)
    length: Any = eqx.field(static=True)
    sampled: tuple[Sampled, ...] = eqx.field(static=True)
    centers: tuple[float, ...] = eqx.field(static=True)
    type_names: tuple[str, ...] = eqx.field(static=True)
    coefficients: Float[Array, "kind 2"] | None
    rest_name: ClassVar[str] = "length"

    def __init__(
        self,
        stiffness: float | Mapping[str, float] | None = None,
        length: float | Mapping[str, float] | None = None,
        *,
        sampled: tuple[Sampled, ...] = (),
        centers: tuple[float, ...] = (),
        type_names: tuple[str, ...] = (),
        coefficients: Float[Array, "kind 2"] | None = None,
    ) -> None:
        self.stiffness = given("stiffness", stiffness, unit="kJ/mol/nm²")
        self.length = given("length", length, unit="nm")
        self.sampled, self.centers = sampled, centers
        self.type_names, self.coefficients = type_names, coefficients

    @property
    def coordinate(self) -> InternalCoordinate:
        """The length of a bond."""
        return BOND


class BondSpline(AbstractChainSpline):
    """A cubic spline of the length of every bond, one for every pair of types of bonded beads.

    Attributes:
        knots: grid points over the sampled range; a spline has knots + 1 coefficients.
        sampled: range and harmonic start of every kind; set by `prepare`.
        type_names: bead types; set by `prepare`.
        coefficients: kJ/mol; set by `prepare`.

    Raises:
        BayescgError: knots below 6.

    References:
        C. de Boor, A Practical Guide to Splines, Springer (1978), doi:10.1007/978-1-4612-6333-3.

    Example:
        >>> import bayescg as bcg
        >>> bond = bcg.interfaces.Sampled("bond", (0, 0), 0.2, 0.3, 0.25, 1e4)
        >>> spline = bcg.potentials.BondSpline(knots=8)
        >>> spline.prepare(bcg.interfaces.Support(("A",), (), internal=(bond,))).coefficients.shape
        (1, 9)
    """

    knots: int = eqx.field(static=True, default=10)
    sampled: tuple[Sampled, ...] = eqx.field(static=True, default=())
    type_names: tuple[str, ...] = eqx.field(static=True, default=())
    coefficients: Float[Array, "kind feature"] | None = None

    def __check_init__(self) -> None:
        whole("knots", self.knots, minimum=6)

    @property
    def coordinate(self) -> InternalCoordinate:
        """The length of a bond."""
        return BOND

    @property
    def bounds(self) -> tuple[float, float]:
        """Lengths are positive."""
        return 0.0, np.inf
