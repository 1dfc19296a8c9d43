"""Laws of the force noise: what a force is, given the mean force.

The mapped force scatters about the potential's force because the atoms behind the beads move on;
this noise is part of the physics and does not shrink with more data. Its variance is kT times the memory
kernel at time zero (fluctuation-dissipation), so that between temperatures its scale goes as sqrt(T) where
the kernel stays: in SPC/E water from 280 to 340 K, to 1% of the variance.

References:
    R. Zwanzig, Nonequilibrium Statistical Mechanics (Oxford, 2001), section 8.1.
"""

import abc
import math
from typing import Any, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import gammaln

from bayescg._checks import positive
from bayescg._typing import Array, Float, NumpyArray

PRIOR_SPREAD = 1.0
"""Standard deviation of the log of a noise scale around the root mean square force."""


def thermal_ratio(temperature: float | None, reference: float | None) -> float:
    """Scale of the noise at a temperature over that at the reference, sqrt(T / T_ref).

    Args:
        temperature: K; None where unknown.
        reference: K; None where scales are not compared between temperatures.

    Example:
        >>> thermal_ratio(400.0, 100.0), thermal_ratio(400.0, None)
        (2.0, 1.0)
    """
    return 1.0 if temperature is None or reference is None else math.sqrt(temperature / reference)


class AbstractForceNoise(eqx.Module):
    """Independent noise on every force component, with one scale per bead type."""

    scale: eqx.AbstractVar[Float[Array, " type"] | None]

    @abc.abstractmethod
    def prepare(self, mean_square: NumpyArray) -> Self:
        """Allocate one scale per bead type, started at the root mean square force, kJ/mol/nm."""

    @abc.abstractmethod
    def log_density(self, residual: Float[Array, "bead dim"], types: Array) -> Float[Array, ""]:
        """Log density of the residual forces of one frame."""

    @abc.abstractmethod
    def default_priors(self, mean_square: NumpyArray) -> dict[str, Any]:
        """Weak priors of the noise's parameters: field -> distribution."""


class Gaussian(AbstractForceNoise):
    """Normal noise: only sums of squares are needed, which add over frames and files.

    Attributes:
        scale: standard deviation of every bead type, kJ/mol/nm; set by `prepare`.

    Example:
        >>> import bayescg as bcg
        >>> bcg.likelihoods.ForceMatching(noise=bcg.likelihoods.Gaussian()).noise.scale is None
        True
    """

    scale: Float[Array, " type"] | None = None

    def prepare(self, mean_square: NumpyArray) -> "Gaussian":
        """One scale per bead type."""
        return Gaussian(jnp.sqrt(jnp.asarray(mean_square)))

    def log_density(self, residual: Float[Array, "bead dim"], types: Array) -> Float[Array, ""]:
        """Log N(residual; 0, scale^2)."""
        assert self.scale is not None
        scale = self.scale[types][:, None]
        return jnp.sum(-0.5 * (residual / scale) ** 2 - jnp.log(scale) - 0.5 * math.log(2 * math.pi))

    def log_density_of_sums(self, square: Array | NumpyArray, count: Array | NumpyArray) -> Array:
        """The same from Σ residual² and the number of components, elementwise over types (last axis)."""
        assert self.scale is not None
        return -0.5 * jnp.asarray(square) / self.scale**2 - jnp.asarray(count) * (
            jnp.log(self.scale) + 0.5 * math.log(2 * math.pi)
        )

    def default_priors(self, mean_square: NumpyArray) -> dict[str, Any]:
        """Log-normal around the root mean square force."""
        return {"scale": dist.LogNormal(jnp.asarray(0.5 * np.log(mean_square)), PRIOR_SPREAD)}


class StudentT(AbstractForceNoise):
    """Student's t noise: robust against rare large forces.

    It has no sufficient statistics, so the cost of every density grows with the number of frames.

    Attributes:
        degrees: degrees of freedom, fixed.
        scale: of every bead type, kJ/mol/nm; set by `prepare`.

    Raises:
        BayescgError: degrees not positive.

    References:
        K. L. Lange, R. J. A. Little, J. M. G. Taylor, J. Am. Stat. Assoc. 84, 881 (1989),
        doi:10.1080/01621459.1989.10478852.

    Example:
        >>> import bayescg as bcg
        >>> bcg.likelihoods.StudentT(degrees=5.0).degrees
        5.0
    """

    degrees: float = eqx.field(static=True, default=4.0)
    scale: Float[Array, " type"] | None = None

    def __check_init__(self) -> None:
        positive("degrees", self.degrees, remedy="Four is a common choice for robust regression.")

    def prepare(self, mean_square: NumpyArray) -> "StudentT":
        """One scale per bead type."""
        return StudentT(degrees=self.degrees, scale=jnp.sqrt(jnp.asarray(mean_square)))

    def log_density(self, residual: Float[Array, "bead dim"], types: Array) -> Float[Array, ""]:
        """Log t(residual / scale; degrees) - log scale."""
        assert self.scale is not None
        nu, scale = self.degrees, self.scale[types][:, None]
        constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * math.log(nu * math.pi)
        return jnp.sum(constant - jnp.log(scale) - (nu + 1) / 2 * jnp.log1p((residual / scale) ** 2 / nu))

    def default_priors(self, mean_square: NumpyArray) -> dict[str, Any]:
        """Log-normal around the root mean square force."""
        return {"scale": dist.LogNormal(0.5 * jnp.log(jnp.asarray(mean_square)), PRIOR_SPREAD)}
