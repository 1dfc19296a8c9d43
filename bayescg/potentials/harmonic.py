"""Harmonic: a spring on every site.

u(x) = k (x - c)²/2
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer

from bayescg._checks import BayescgError, positive
from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractSitePotential, Extent, Support
from bayescg.potentials.extent import extent_of

SAMPLED_DEVIATIONS = 6.0
"""Standard deviations between the smallest and the largest of some hundred Gaussian values."""


class Harmonic(AbstractSitePotential):
    """A spring on a collective variable, or on every component of free particles.

    Attributes:
        stiffness: k, kJ/mol per square unit of the variable; None for k_B T over the variance that the
            range of the data suggests, set by `prepare`.
        center: c, in the variable's unit; None for the middle of the data, set by `prepare`.
        extent: where the data lie; set by `prepare`.
        cutoff: zero, no neighbours are needed.

    Raises:
        BayescgError: a stiffness that is not positive.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp
        >>> spring = bcg.potentials.Harmonic(stiffness=4.0, center=1.0)
        >>> float(spring.site_energy(jnp.array(2.0)))
        2.0
    """

    stiffness: Float[Array, ""] | None
    center: Float[Array, ""] | None
    extent: Extent | None
    cutoff: float = eqx.field(static=True)

    def __init__(self, stiffness: Any = None, center: Any = None, extent: Extent | None = None) -> None:
        self.stiffness = None if stiffness is None else jnp.asarray(stiffness, dtype=float)
        self.center = None if center is None else jnp.asarray(center, dtype=float)
        if self.stiffness is not None and not isinstance(self.stiffness, Tracer):
            positive(
                "stiffness", self.stiffness, unit="kJ/mol per unit²", remedy="Give the scale you expect."
            )
        self.extent = extent
        self.cutoff = 0.0

    def prepare(self, support: Support) -> "Harmonic":
        """Stiffness and centre from the data, where none are given.

        Raises:
            BayescgError: the data give no range and a parameter is missing.
        """
        complete = self.stiffness is not None and self.center is not None
        if complete and not support.lowest:
            return self
        extent = extent_of(support, self.extent)
        scale = (SAMPLED_DEVIATIONS / extent.width) ** 2 * extent.thermal_energy
        return Harmonic(
            scale if self.stiffness is None else self.stiffness,
            extent.middle if self.center is None else self.center,
            extent,
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Both parameters are numbers."""
        return {"stiffness": {}, "center": {}}

    def site_energy(self, x: Float[Array, ""]) -> Float[Array, ""]:
        """The energy k (x - c)²/2, kJ/mol."""
        if self.stiffness is None or self.center is None:
            raise BayescgError(
                "Harmonic has no stiffness or center yet. Give both, or put the model into a "
                "bayescg.Problem with data."
            )
        return 0.5 * self.stiffness * (x - self.center) ** 2
