"""Energies of angles between bonds, for every three types of beads bonded in a row.

A spline is a function of cos theta, which is smooth in the positions at every angle; a function of theta has
a kink where three beads lie in a line unless its slope vanishes there.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx

from bayescg._checks import whole
from bayescg._typing import Array, Float
from bayescg.interfaces import Sampled
from bayescg.numerics.internal_coordinates import ANGLE, COSINE, InternalCoordinate
from bayescg.potentials.bonded_spline import AbstractChainSpline
from bayescg.potentials.bonded_spring import AbstractSpring, given


class HarmonicAngle(AbstractSpring):
    """u(theta) = p (theta - c) + k (theta - c)²/2 on every angle, c the angle given or sampled.

    With one entry for every three types, linear in (p, k); `spring()` gives stiffness and rest angle. Where
    three beads lie in a line the energy has a kink (unless they rest there), and the force is taken as zero.

    Attributes:
        stiffness: k before data, kJ/mol/rad²: a number, or a dictionary from names such as "A-B-A" to
            numbers; None for what Boltzmann inversion of the data gives.
        angle: c, rad; likewise.
        sampled: range and harmonic start of every kind; set by `prepare`.
        centers: c of every kind, rad; set by `prepare`.
        type_names: bead types; set by `prepare`.
        coefficients: p (kJ/mol/rad) and k (kJ/mol/rad²) of every kind; set by `prepare`.

    Raises:
        BayescgError: a stiffness or angle that is not positive, or names of no kind of the data.

    Example:
        >>> import bayescg as bcg
        >>> angle = bcg.interfaces.Sampled("angle", (0, 0, 0), 1.5, 2.5, 2.0, 50.0)
        >>> springs = bcg.potentials.HarmonicAngle(angle={"A-A-A": 1.9})
        >>> ready = springs.prepare(bcg.interfaces.Support(("A",), (), internal=(angle,)))
        >>> ready.spring().stiffness.tolist(), ready.spring().rest.tolist()
        ([50.0], [1.9])
    """

    stiffness: Any = eqx.field(static=True)
    angle: Any = eqx.field(static=True)
    sampled: tuple[Sampled, ...] = eqx.field(static=True)
    centers: tuple[float, ...] = eqx.field(static=True)
    type_names: tuple[str, ...] = eqx.field(static=True)
    coefficients: Float[Array, "kind 2"] | None
    rest_name: ClassVar[str] = "angle"

    def __init__(
        self,
        stiffness: float | Mapping[str, float] | None = None,
        angle: float | Mapping[str, float] | None = None,
        *,
        sampled: tuple[Sampled, ...] = (),
        centers: tuple[float, ...] = (),
        type_names: tuple[str, ...] = (),
        coefficients: Float[Array, "kind 2"] | None = None,
    ) -> None:
        self.stiffness = given("stiffness", stiffness, unit="kJ/mol/rad²")
        self.angle = given("angle", angle, unit="rad")
        self.sampled, self.centers = sampled, centers
        self.type_names, self.coefficients = type_names, coefficients

    @property
    def coordinate(self) -> InternalCoordinate:
        """The angle at the middle bead."""
        return ANGLE


class AngleSpline(AbstractChainSpline):
    """A cubic spline of the cosine of every angle, one for every three types of beads bonded in a row.

    Attributes:
        knots: grid points over the sampled range of cos theta; a spline has knots + 1 coefficients.
        sampled: range and harmonic start of every kind, of the cosine; set by `prepare`.
        type_names: bead types; set by `prepare`.
        coefficients: kJ/mol; set by `prepare`.

    Raises:
        BayescgError: knots below 6.

    References:
        M. Bulacu et al., J. Chem. Theory Comput. 9, 3282 (2013), doi:10.1021/ct400219n.

    Example:
        >>> import bayescg as bcg
        >>> angle = bcg.interfaces.Sampled("cosine", (0, 1, 0), -1.0, -0.2, -0.6, 50.0)
        >>> spline = bcg.potentials.AngleSpline(knots=8)
        >>> spline.prepare(bcg.interfaces.Support(("A", "B"), (), internal=(angle,))).coefficients.shape
        (1, 9)
    """

    knots: int = eqx.field(static=True, default=12)
    sampled: tuple[Sampled, ...] = eqx.field(static=True, default=())
    type_names: tuple[str, ...] = eqx.field(static=True, default=())
    coefficients: Float[Array, "kind feature"] | None = None

    def __check_init__(self) -> None:
        whole("knots", self.knots, minimum=6)

    @property
    def coordinate(self) -> InternalCoordinate:
        """The cosine of the angle at the middle bead."""
        return COSINE

    @property
    def bounds(self) -> tuple[float, float]:
        """Of a cosine."""
        return -1.0, 1.0
