"""DoubleWell: two minima with a barrier between, linear in its coefficients.

    u(x) = -a (x - c)²/2 + b (x - c)⁴/4

For a, b > 0 the minima are c ± sqrt(a/b), and the barrier at c is a²/(4 b) above them.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from bayescg._checks import BayescgError
from bayescg._typing import Array, Float
from bayescg.interfaces import (
    AbstractLinearPotential,
    AbstractSitePotential,
    Configuration,
    Extent,
    Support,
)
from bayescg.potentials.extent import extent_of


class DoubleWell(AbstractSitePotential, AbstractLinearPotential):
    """A symmetric double well of one variable.

    Attributes:
        center: c, where the barrier stands, in the variable's unit; a constant. None for the middle of
            the data.
        coefficients: a and b, kJ/mol per unit² and unit⁴; None until `prepare` allocates them.
        extent: where the data lie; set by `prepare`.
        cutoff: zero, no neighbours are needed.

    Raises:
        BayescgError: other than two coefficients.

    Example:
        >>> import bayescg as bcg
        >>> well = bcg.potentials.DoubleWell(coefficients=[40.0, 40.0])
        >>> well.minima.tolist(), float(well.barrier)
        ([-1.0, 1.0], 10.0)
    """

    center: float | None = eqx.field(static=True)
    coefficients: Float[Array, "2"] | None
    extent: Extent | None
    cutoff: float = eqx.field(static=True)

    def __init__(
        self, center: float | None = 0.0, coefficients: Any = None, extent: Extent | None = None
    ) -> None:
        self.center = None if center is None else float(center)
        self.coefficients = None if coefficients is None else jnp.asarray(coefficients, dtype=float)
        self.extent = extent
        self.cutoff = 0.0
        if self.coefficients is not None and self.coefficients.shape != (2,):
            raise BayescgError(
                f"coefficients must be the two numbers a and b, got shape {self.coefficients.shape}. "
                "Give for example coefficients=[40.0, 40.0]."
            )

    @property
    def minima(self) -> Float[Array, "2"]:
        """The places c - sqrt(a/b) and c + sqrt(a/b); both c where there is one well."""
        c, coefficients = self._allocated()
        a, b = coefficients[0], coefficients[1]
        double = (a > 0) & (b > 0)
        half = jnp.sqrt(jnp.where(double, a / jnp.where(double, b, 1.0), 0.0))
        return c + jnp.stack([-half, half])

    @property
    def barrier(self) -> Float[Array, ""]:
        """Height a²/(4 b) of the barrier above the minima, kJ/mol; zero where there is one well."""
        _, coefficients = self._allocated()
        a, b = coefficients[0], coefficients[1]
        double = (a > 0) & (b > 0)
        return jnp.where(double, a**2 / (4 * jnp.where(double, b, 1.0)), 0.0)

    def prepare(self, support: Support) -> "DoubleWell":
        """Allocate the coefficients, zeros where none are given, and keep the range of the data.

        Raises:
            BayescgError: the data give no range.
        """
        extent = extent_of(support, self.extent)
        return DoubleWell(
            self.center,
            jnp.zeros(2) if self.coefficients is None else self.coefficients,
            extent,
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """The coefficients by their letters."""
        return {"coefficients": {"power": ["a", "b"]}}

    def coefficient_paths(self) -> tuple[str, ...]:
        """The coefficients are the features."""
        return ("coefficients",)

    def site_energy(self, x: Float[Array, ""]) -> Float[Array, ""]:
        """-a (x - c)²/2 + b (x - c)⁴/4, kJ/mol."""
        c, (a, b) = self._allocated()
        square = (x - c) ** 2
        return square * (b * square / 4 - a / 2)

    def basis_forces(self, configuration: Configuration) -> Float[Array, "bead dim feature"]:
        """The force (x - c) of a, and -(x - c)³ of b."""
        c, _ = self._allocated()
        step = configuration.positions - c
        return jnp.stack([step, -(step**3)], axis=-1)

    def _allocated(self) -> tuple[Any, Array]:
        center = self.extent.middle if self.center is None and self.extent is not None else self.center
        if center is None or self.coefficients is None:
            raise BayescgError(
                "DoubleWell has no center or coefficients yet. Give both, or put the model into a "
                "bayescg.Problem with data."
            )
        return center, self.coefficients
