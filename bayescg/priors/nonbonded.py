"""Default priors of pair and many-body potentials: wide, proper, around what the model was given.

    positive parameters      log x ~ N(log x_0, s²):  s = 1 for energies and strengths, 0.5 for widths and
                             ranges, 0.2 for diameters and minima
    signed energies          x ~ N(x_0, x_0²):  Yukawa amplitudes, depths of free Gaussians
    centers of Gaussians     c ~ N(c_0, w_0²);       preferred cosines ~ N(c_0, 0.3²) within -1..1

Linear coefficients are Gaussian given a scale s that is learned (`DecayingScale`),

    theta_f ~ N(0, s²/(1 + d_f)⁴),       log s ~ N(log s_0, 2.5²),

d_f being the order of the term: 0 for Gaussian wells, l for `ThreeBodySpline`, the sum of n + l for `ACE`.
Functions of direction that are smooth have coefficients that fall off with l, and fast ones are rare. The
embedding function of a `LocalDensity` is as smooth as the data say (`DensitySmoothness`).
"""

import functools
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from bayescg._checks import BayescgError, positive, require
from bayescg._typing import Array, NumpyArray
from bayescg.numerics.splines import curvature_gram
from bayescg.potentials.ace import ACE
from bayescg.potentials.gaussian_wells import FreeGaussianWells, GaussianWells
from bayescg.potentials.local_density import LocalDensity
from bayescg.potentials.morse import Morse
from bayescg.potentials.stillinger_weber import StillingerWeber
from bayescg.potentials.table import Table
from bayescg.potentials.threebody import ThreeBodySpline
from bayescg.potentials.wca import WCA
from bayescg.potentials.yukawa import Yukawa
from bayescg.priors.defaults import ENERGY_SPREAD, LENGTH_SPREAD, _of
from bayescg.priors.tree import AbstractPathPrior

WIDTH_SPREAD = 0.5
"""Standard deviation of the log of a width or a range: its 95% interval spans a factor of 7."""

COSINE_SPREAD = 0.3
"""Standard deviation of a preferred cosine, some 20 degrees."""

SCALE_SPREAD = 2.5
"""Standard deviation of log s: its 95% interval spans four orders of magnitude."""

DECAY = 2.0
"""Power of 1 + d by which standard deviations fall; a function with a kink has coefficients like l^-2."""

ENERGY_SCALE = 2.5
"""Median of s, kJ/mol: k_B T at 300 K."""


class DecayingScale(AbstractPathPrior):
    """Gaussian coefficients whose scale is learned and falls with the order of the term.

    One scale serves all coefficients of a `ThreeBodySpline`, one every pair of types of `GaussianWells`,
    and one every number of moments in the products of an `ACE`.

    Attributes:
        scale: median of s before the data, kJ/mol.
        decay: power of 1 + order by which the standard deviation falls.
        spread: standard deviation of log s.

    Raises:
        BayescgError: a scale or spread that is not positive, or a negative decay.

    Example:
        >>> import bayescg as bcg
        >>> prior = {"potential.coefficients": bcg.priors.DecayingScale(scale=10.0, decay=1.0)}
    """

    scale: float = eqx.field(static=True, default=ENERGY_SCALE)
    decay: float = eqx.field(static=True, default=DECAY)
    spread: float = eqx.field(static=True, default=SCALE_SPREAD)

    def __check_init__(self) -> None:
        positive("scale", self.scale, unit="kJ/mol")
        positive("spread", self.spread)
        require(self.decay >= 0, f"decay must not be negative, got {self.decay}. Take 0 for equal scales.")

    def sample(self, path: str, owner: Any, value: Array) -> Array:
        """Draw the scales, then the coefficients."""
        group, order = term_orders(owner)
        scales = dist.LogNormal(jnp.full(int(group.max()) + 1, jnp.log(self.scale)), self.spread)
        s = jnp.asarray(numpyro.sample(f"{path}.scale", scales.to_event(1)))
        width = jnp.broadcast_to(s[group] * (1.0 + order) ** -self.decay, value.shape)
        return jnp.asarray(numpyro.sample(path, dist.Normal(0.0, width).to_event(value.ndim)))


class DensitySmoothness(AbstractPathPrior):
    """Smoothness of the embedding functions F of a `LocalDensity`, learned.

    With x = rho/highest,

        p(theta | s) ∝ exp{-[∫ F''(x)² dx + F(1)²]/2 s²}:

    the curvature, and the height at the end, which the curvature leaves free. Every ordered pair of types
    has a scale s of its own.

    Attributes:
        scale: median of s before the data, kJ/mol.
        spread: standard deviation of log s.

    Raises:
        BayescgError: a number that is not positive.

    Example:
        >>> import bayescg as bcg
        >>> prior = {"potential.coefficients": bcg.priors.DensitySmoothness(scale=20.0)}
    """

    scale: float = eqx.field(static=True, default=4 * ENERGY_SCALE)
    spread: float = eqx.field(static=True, default=SCALE_SPREAD)

    def __check_init__(self) -> None:
        positive("scale", self.scale, unit="kJ/mol")
        positive("spread", self.spread)

    def sample(self, path: str, owner: Any, value: Array) -> Array:
        """Draw the scales, then the coefficients."""
        require(
            isinstance(owner, LocalDensity),
            f"DensitySmoothness must stand on the coefficients of a LocalDensity, got {path} of "
            f"{type(owner).__name__}. Give a NumPyro distribution there.",
        )
        scales = dist.LogNormal(jnp.full(value.shape[:-1], jnp.log(self.scale)), self.spread)
        s = jnp.asarray(numpyro.sample(f"{path}.scale", scales.to_event(value.ndim - 1)))
        factor = np.linalg.cholesky(np.linalg.inv(density_precision(owner)))
        law = dist.MultivariateNormal(jnp.zeros(value.shape), scale_tril=s[..., None, None] * factor)
        return jnp.asarray(numpyro.sample(path, law.to_event(value.ndim - 1)))


def density_precision(potential: LocalDensity) -> NumpyArray:
    """Matrix of ∫ F''(x)² dx + F(1)² in the coefficients of one embedding function.

    Args:
        potential: prepared or not.

    Example:
        >>> import bayescg as bcg
        >>> density_precision(bcg.potentials.LocalDensity(cutoff=0.6, highest=8.0, knots=6)).shape
        (7, 7)
    """
    precision = curvature_gram(potential.basis, 1 / (potential.knots - 1))
    precision[-1, -1] += 1.0  # of a clamped basis only the last function reaches the end, with value one
    return precision


@functools.singledispatch
def term_orders(potential: Any) -> tuple[NumpyArray, NumpyArray]:
    """Which scale a coefficient has, and the order of its term; both broadcast to the coefficients.

    Args:
        potential: prepared, linear.

    Raises:
        BayescgError: the potential's terms have no order.

    Example:
        >>> import bayescg as bcg
        >>> angles = bcg.potentials.ThreeBodySpline(cutoff=0.45, radial=2, angular=2)
        >>> term_orders(angles)[1].tolist()
        [0, 1, 2]
    """
    raise BayescgError(
        "DecayingScale must stand on coefficients whose terms have an order, got those of "
        f"{type(potential).__name__}. Give a NumPyro distribution there."
    )


@term_orders.register
def _(potential: GaussianWells) -> tuple[NumpyArray, NumpyArray]:
    return np.arange(len(potential.starts))[:, None], np.zeros(1)


@term_orders.register
def _(potential: ThreeBodySpline) -> tuple[NumpyArray, NumpyArray]:
    return np.zeros(1, dtype=int), np.arange(potential.angular + 1)


@term_orders.register
def _(potential: ACE) -> tuple[NumpyArray, NumpyArray]:
    return potential.orders - 1, potential.total_degrees


@_of.register
def _(potential: GaussianWells) -> dict[str, Any]:
    return {"depths": DecayingScale()}


@_of.register
def _(potential: ThreeBodySpline | ACE) -> dict[str, Any]:
    return {"coefficients": DecayingScale()}


@_of.register
def _(potential: LocalDensity) -> dict[str, Any]:
    return {"coefficients": DensitySmoothness()}


@_of.register
def _(potential: Table) -> dict[str, Any]:
    return {}


@_of.register
def _(potential: WCA) -> dict[str, Any]:
    return {
        "epsilon": _around(potential.epsilon, ENERGY_SPREAD),
        "sigma": _around(potential.sigma, LENGTH_SPREAD),
    }


@_of.register
def _(potential: Morse) -> dict[str, Any]:
    return {
        "depth": _around(potential.depth, ENERGY_SPREAD),
        "width": _around(potential.width, WIDTH_SPREAD),
        "minimum": _around(potential.minimum, LENGTH_SPREAD),
    }


@_of.register
def _(potential: Yukawa) -> dict[str, Any]:
    require(
        bool(jnp.all(potential.amplitude != 0)),
        "amplitude must not be zero for a default prior, which takes its scale from it. Give the size you "
        "expect, or a NumPyro distribution.",
    )
    return {
        "amplitude": dist.Normal(potential.amplitude, jnp.abs(potential.amplitude)),
        "screening_length": _around(potential.screening_length, WIDTH_SPREAD),
    }


@_of.register
def _(potential: FreeGaussianWells) -> dict[str, Any]:
    return {
        "depths": dist.Normal(potential.depths, jnp.abs(potential.depths)),
        "centers": dist.Normal(potential.centers, potential.widths),
        "widths": _around(potential.widths, WIDTH_SPREAD),
    }


@_of.register
def _(potential: StillingerWeber) -> dict[str, Any]:
    return {
        "epsilon": _around(potential.epsilon, ENERGY_SPREAD),
        "sigma": _around(potential.sigma, LENGTH_SPREAD),
        "three_body_strength": _around(potential.three_body_strength, ENERGY_SPREAD),
        "cos_angle": dist.TruncatedNormal(potential.cos_angle, COSINE_SPREAD, low=-1.0, high=1.0),
    }


def _around(value: Array, spread: float) -> dist.LogNormal:
    return dist.LogNormal(jnp.log(value), spread)
