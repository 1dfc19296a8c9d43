"""Default priors of potentials of one variable: wide, proper, and on the scale of the data.

With h half the sampled range and kT the thermal energy,

    Harmonic      log k ~ N(log k_0, 1.5²),     c ~ N(c_0, h²)
    DoubleWell    a ~ N(0, (100 kT/h²)²),       b ~ N(0, (200 kT/h⁴)²)
    Spline1D      p(theta | s) ∝ exp(-∫u'' dx²/2s² - (u(start) - u(stop))²/2 tau²),

k_0 and c_0 being what the model was given or took from the data. Wells of 5 kT at 0.7 h have a = 40 kT/h²
and b = 80 kT/h⁴. The spline's roughness s is learned; its slope, which ∫u''² leaves free, gets a Gaussian
of tau = 30 kT from end to end. A periodic spline has no slope.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from bayescg._checks import BayescgError, positive
from bayescg._typing import Array, Float, NumpyArray
from bayescg.numerics.splines import curvature_gram
from bayescg.potentials import DoubleWell, Harmonic, Spline1D
from bayescg.potentials.spline1d import basis
from bayescg.priors.tree import AbstractPathPrior

STIFFNESS_SPREAD = 1.5
"""Standard deviation of log k: its 95% interval spans a factor of 360."""

QUADRATIC_SCALE, QUARTIC_SCALE = 100.0, 200.0
"""Standard deviations of a and b of a double well, in kT/h² and kT/h⁴."""

SLOPE_SCALE = 30.0
"""tau, kT: a free energy that differs by more between its ends is not sampled at both."""

FEATURE = 1 / 6
"""Part of the range over which u may change its slope by kT: the scale of the roughness."""

ROUGHNESS_SPREAD = 2.5
"""Standard deviation of log s: its 95% interval spans four orders of magnitude."""


def site_default(potential: Harmonic | DoubleWell | Spline1D) -> dict[str, Any]:
    """Default priors of a potential of one variable, by path.

    Args:
        potential: prepared or not.

    Example:
        >>> sorted(site_default(Harmonic()))
        ['center', 'stiffness']
    """
    match potential:
        case Harmonic():
            return {"stiffness": StiffnessScale(), "center": CenterRange()}
        case DoubleWell():
            return {"coefficients": WellScale()}
        case Spline1D():
            return {"coefficients": SiteSmoothness()}


class StiffnessScale(AbstractPathPrior):
    """Log-normal prior of the stiffness of a `Harmonic`, around the value it was prepared with.

    Attributes:
        spread: standard deviation of log k.

    Example:
        >>> StiffnessScale().spread
        1.5
    """

    spread: float = eqx.field(static=True, default=STIFFNESS_SPREAD)

    def __check_init__(self) -> None:
        positive("spread", self.spread)

    def sample(self, path: str, owner: Any, value: Array) -> Array:
        """Draw k."""
        _check_owner(self, path, owner, Harmonic)
        return jnp.asarray(numpyro.sample(path, dist.LogNormal(jnp.log(value), self.spread)))


class CenterRange(AbstractPathPrior):
    """Normal prior of the centre of a `Harmonic`, around the value it was prepared with, as wide as the data.

    Attributes:
        width: standard deviation, in half ranges of the data.

    Example:
        >>> CenterRange().width
        1.0
    """

    width: float = eqx.field(static=True, default=1.0)

    def __check_init__(self) -> None:
        positive("width", self.width)

    def sample(self, path: str, owner: Any, value: Array) -> Array:
        """Draw c."""
        _check_owner(self, path, owner, Harmonic)
        scale = 0.5 * self.width * _extent(owner).width
        return jnp.asarray(numpyro.sample(path, dist.Normal(value, scale)))


class WellScale(AbstractPathPrior):
    """Normal prior of the coefficients of a `DoubleWell`, on the scale of the data.

    Attributes:
        quadratic: standard deviation of a, kT/h².
        quartic: standard deviation of b, kT/h⁴.

    Example:
        >>> WellScale(quadratic=50.0).quartic
        200.0
    """

    quadratic: float = eqx.field(static=True, default=QUADRATIC_SCALE)
    quartic: float = eqx.field(static=True, default=QUARTIC_SCALE)

    def __check_init__(self) -> None:
        positive("quadratic", self.quadratic, unit="kT/h²")
        positive("quartic", self.quartic, unit="kT/h⁴")

    def sample(self, path: str, owner: Any, value: Array) -> Array:
        """Draw a and b."""
        _check_owner(self, path, owner, DoubleWell)
        extent = _extent(owner)
        h = 0.5 * extent.width
        scales = extent.thermal_energy * jnp.asarray([self.quadratic / h**2, self.quartic / h**4])
        return jnp.asarray(numpyro.sample(path, dist.Normal(jnp.zeros(value.shape), scales).to_event(1)))


class SiteSmoothness(AbstractPathPrior):
    """P-spline prior of the coefficients of a `Spline1D`, roughness learned.

    Attributes:
        roughness: median of s before the data, kJ/mol per unit^1.5; None for kT over a sixth of the range.
        spread: standard deviation of log s.
        slope: tau, kT.

    References:
        S. Lang, A. Brezger, J. Comput. Graph. Stat. 13, 183 (2004), doi:10.1198/1061860043010.

    Example:
        >>> SiteSmoothness(roughness=200.0).slope
        30.0
    """

    roughness: float | None = eqx.field(static=True, default=None)
    spread: float = eqx.field(static=True, default=ROUGHNESS_SPREAD)
    slope: float = eqx.field(static=True, default=SLOPE_SCALE)

    def __check_init__(self) -> None:
        if self.roughness is not None:
            positive("roughness", self.roughness, unit="kJ/mol per unit^1.5")
        positive("spread", self.spread)
        positive("slope", self.slope, unit="kT")

    def sample(self, path: str, owner: Any, value: Array) -> Array:
        """Draw s, then the coefficients."""
        _check_owner(self, path, owner, Spline1D)
        energy = _extent(owner).thermal_energy
        median = self.roughness or energy / (FEATURE * (owner.stop - owner.start)) ** 1.5
        s = jnp.asarray(numpyro.sample(f"{path}.roughness", dist.LogNormal(jnp.log(median), self.spread)))
        rough, slope = prior_factors(owner)
        scale_tril = s * rough + self.slope * energy * jnp.asarray(slope)
        coefficients = dist.MultivariateNormal(jnp.zeros(value.shape), scale_tril=scale_tril)
        return jnp.asarray(numpyro.sample(path, coefficients))


def prior_factors(spline: Spline1D) -> tuple[Float[Array, "knot knot"], NumpyArray]:
    """Lower triangular matrices R and S of the prior's Cholesky factor s R + tau S.

    Where u(stop) = 0, the first coefficient is u(start), and theta = theta_0 l + rho with l the straight
    line from one to zero: theta_0 ~ N(0, tau²), and rho, which begins with zero, ~ N(0, s² P^-1).

    Args:
        spline: prepared.

    Returns:
        R, and S with l in its first column; S is zero where the spline is periodic.

    Example:
        >>> import bayescg as bcg
        >>> spline = bcg.potentials.Spline1D(knots=8, period=1.0)
        >>> ready = spline.prepare(bcg.interfaces.Support(("A",), (), lowest=(0.0,), highest=(1.0,)))
        >>> rough, slope = prior_factors(ready)
        >>> rough.shape, bool(slope.any())
        ((7, 7), False)
    """
    own = basis(spline.knots, periodic=spline.periodic)
    P = curvature_gram(own, 1.0)  # of a grid of width h it is this one over h³
    rough, slope = np.zeros_like(P), np.zeros_like(P)
    first = 0 if spline.periodic else 1
    rough[first:, first:] = np.linalg.cholesky(np.linalg.inv(P[first:, first:]))
    if not spline.periodic:
        slope[:, 0] = 1 - own.centers / (spline.knots - 1)
    return jnp.asarray(rough) * spline.width**1.5, slope


def _extent(owner: Any) -> Any:
    if owner.extent is None:
        raise BayescgError(
            f"the default prior of {type(owner).__name__} needs the range of the data, got none. Put the "
            "model into a bayescg.Problem, or give NumPyro distributions for its parameters."
        )
    return owner.extent


def _check_owner(prior: AbstractPathPrior, path: str, owner: Any, kind: type) -> None:
    if not isinstance(owner, kind):
        raise BayescgError(
            f"{type(prior).__name__} must stand on a parameter of a {kind.__name__}, got {path} of "
            f"{type(owner).__name__}. Give a NumPyro distribution there."
        )
