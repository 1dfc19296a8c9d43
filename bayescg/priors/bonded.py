"""Default priors of bonds, angles and dihedrals: wide, proper, around the Boltzmann inversion of the data.

With k_0 and w the stiffness and the range (largest minus smallest value) that the data give for a kind,

    HarmonicBond, HarmonicAngle     k ~ N(k_0, k_0²),      p ~ N(0, (k_0 w/4)²)
    BondSpline, AngleSpline         theta - theta_0 ∝ exp(-∫v''² dq/2s² - (v(start) - v(stop))²/2 tau²)
    DihedralSpline                  theta ∝ exp(-∫u''² dphi/2s²)
    PeriodicDihedral                `DecayingScale` of order n - 1

p shifts the rest position by some w/4, two standard deviations of thermal motion. theta_0 is the harmonic
start and v = u - u_0 the difference from it: what the data do not determine stays harmonic. The roughness s
is learned, one for every kind; its median is k_B T at 300 K over a sixth of the grid, and tau = 30 k_B T.

References:
    S. Lang, A. Brezger, J. Comput. Graph. Stat. 13, 183 (2004), doi:10.1198/1061860043010.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from bayescg._checks import BayescgError, positive
from bayescg._typing import Array, NumpyArray
from bayescg.numerics.splines import curvature_gram
from bayescg.potentials.bonded_spline import AbstractChainSpline
from bayescg.potentials.bonded_spring import AbstractSpring
from bayescg.potentials.dihedral import DihedralSpline, PeriodicDihedral
from bayescg.potentials.spline1d import basis
from bayescg.priors.defaults import _of
from bayescg.priors.nonbonded import ENERGY_SCALE, DecayingScale, term_orders
from bayescg.priors.site import FEATURE, ROUGHNESS_SPREAD, SLOPE_SCALE
from bayescg.priors.tree import AbstractPathPrior

SHIFT = 0.25
"""Standard deviation of the shift of a rest position, in sampled ranges."""


class SpringScale(AbstractPathPrior):
    """Normal prior of pull and stiffness of springs in a molecule, around what they were prepared with.

    Attributes:
        stiffness: standard deviation of k, in k_0.
        shift: standard deviation of the shift of the rest position, in sampled ranges.

    Raises:
        BayescgError: a number that is not positive.

    Example:
        >>> import bayescg as bcg
        >>> prior = {"potential.coefficients": bcg.priors.SpringScale(stiffness=0.5)}
    """

    stiffness: float = eqx.field(static=True, default=1.0)
    shift: float = eqx.field(static=True, default=SHIFT)

    def __check_init__(self) -> None:
        positive("stiffness", self.stiffness)
        positive("shift", self.shift)

    def sample(self, path: str, owner: Any, value: Array) -> Array:
        """Draw p and k of every kind."""
        _check_owner(self, path, owner, AbstractSpring)
        width = jnp.asarray([one.highest - one.lowest for one in owner.sampled])
        k = value[:, 1]
        scale = jnp.stack([self.shift * k * width, self.stiffness * k], axis=1)
        return jnp.asarray(numpyro.sample(path, dist.Normal(value, scale).to_event(2)))


class ChainSmoothness(AbstractPathPrior):
    """P-spline prior of bond, angle and dihedral splines around their start, roughness learned.

    Attributes:
        roughness: median of s, kJ/mol per unit^1.5; None for k_B T over a sixth of the grid.
        spread: standard deviation of log s.
        slope: tau, k_B T at 300 K.

    Raises:
        BayescgError: a number that is not positive.

    Example:
        >>> import bayescg as bcg
        >>> prior = {"potential.coefficients": bcg.priors.ChainSmoothness(slope=10.0)}
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
        """Draw s of every kind, then the coefficients."""
        _check_owner(self, path, owner, (AbstractChainSpline, DihedralSpline))
        lengths, rough, slope = chain_factors(owner)
        median = self.roughness or ENERGY_SCALE / (FEATURE * lengths) ** 1.5
        law = dist.LogNormal(jnp.log(jnp.broadcast_to(median, lengths.shape)), self.spread)
        s = jnp.asarray(numpyro.sample(f"{path}.roughness", law.to_event(1)))
        scale_tril = s[:, None, None] * rough + self.slope * ENERGY_SCALE * slope
        coefficients = dist.MultivariateNormal(value, scale_tril=scale_tril)
        return jnp.asarray(numpyro.sample(path, coefficients.to_event(1)))


def chain_factors(
    spline: AbstractChainSpline | DihedralSpline,
) -> tuple[NumpyArray, NumpyArray, NumpyArray]:
    """Length of every grid, and lower triangular R and S of the prior's Cholesky factors s R + tau S.

    The first coefficient is the difference v(start) - v(stop) along a straight line, S; what begins with
    zero beside it has the covariance s² R R'. A periodic spline has no slope.

    Args:
        spline: prepared.

    Returns:
        (kind,), (kind, function, function) and (function, function).

    Example:
        >>> import bayescg as bcg
        >>> bond = bcg.interfaces.Sampled("bond", (0, 0), 0.2, 0.3, 0.25, 1e4)
        >>> support = bcg.interfaces.Support(("A",), (), internal=(bond,))
        >>> lengths, R, S = chain_factors(bcg.potentials.BondSpline(knots=8).prepare(support))
        >>> R.shape, float(S[0, 0])
        ((1, 9, 9), 1.0)
    """
    if isinstance(spline, DihedralSpline):
        periodic, intervals, lengths = True, spline.knots, np.full(len(spline.sampled), 2 * np.pi)
    else:
        periodic, intervals = False, spline.knots - 1
        lengths = intervals * spline.grids[:, 1]
    own = basis(spline.knots, periodic=periodic)
    P = curvature_gram(own, 1.0)  # of a grid of width h it is this one over h³
    rough, slope = np.zeros_like(P), np.zeros_like(P)
    first = 0 if periodic else 1
    rough[first:, first:] = np.linalg.cholesky(np.linalg.inv(P[first:, first:]))
    if not periodic:
        slope[:, 0] = 1 - own.centers / intervals
    return lengths, rough * (lengths[:, None, None] / intervals) ** 1.5, slope


def _check_owner(prior: AbstractPathPrior, path: str, owner: Any, kind: Any) -> None:
    if not isinstance(owner, kind):
        raise BayescgError(
            f"{type(prior).__name__} must stand on the coefficients of a bonded potential that it knows, got "
            f"{path} of {type(owner).__name__}. Give a NumPyro distribution there."
        )


@term_orders.register
def _(potential: PeriodicDihedral) -> tuple[NumpyArray, NumpyArray]:
    waves = np.arange(potential.multiplicity)
    order = np.concatenate([waves, waves]) if potential.chiral else waves
    return np.arange(max(len(potential.sampled), 1))[:, None], order


@_of.register
def _(potential: AbstractSpring) -> dict[str, Any]:
    return {"coefficients": SpringScale()}


@_of.register
def _(potential: AbstractChainSpline | DihedralSpline) -> dict[str, Any]:
    return {"coefficients": ChainSmoothness()}


@_of.register
def _(potential: PeriodicDihedral) -> dict[str, Any]:
    return {"coefficients": DecayingScale()}
