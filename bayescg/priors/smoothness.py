"""SplineSmoothness: a spline is as rough as the data say, but no rougher than they need.

    p(theta | s) = N(0, s² P^-1),        theta' P theta = ∫ u''(r)² dr,

an integrated Wiener process that starts at the cutoff, where u, u' and u'' vanish, seen through the
spline basis. It is proper without further conditions, and does not depend on the number of knots.
The roughness s is learned, one for every pair of types.

References:
    F. O'Sullivan, Stat. Sci. 1, 502 (1986), doi:10.1214/ss/1177013525.
    S. Lang, A. Brezger, J. Comput. Graph. Stat. 13, 183 (2004), doi:10.1198/1061860043010.
"""

import functools
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from bayescg._checks import BayescgError, positive
from bayescg._typing import Array, NumpyArray
from bayescg.numerics.splines import curvature_gram
from bayescg.potentials import PairSpline
from bayescg.potentials.spline import basis
from bayescg.priors.tree import AbstractPathPrior

SPREAD = 2.5
"""Standard deviation of log s: its 95% interval spans four orders of magnitude."""


class SplineSmoothness(AbstractPathPrior):
    """P-spline prior on the coefficients of a `PairSpline`, roughness learned.

    Attributes:
        roughness: median of s before the data, kJ/mol/nm^1.5; about k_B T at room temperature changing
            over 0.1 nm.
        spread: standard deviation of log s.

    Raises:
        BayescgError: a number that is not positive.

    Example:
        >>> import bayescg as bcg
        >>> prior = {"potential.coefficients": bcg.priors.SplineSmoothness(roughness=200.0)}
    """

    roughness: float = eqx.field(static=True, default=80.0)
    spread: float = eqx.field(static=True, default=SPREAD)

    def __check_init__(self) -> None:
        positive("roughness", self.roughness, unit="kJ/mol/nm^1.5")
        positive("spread", self.spread)

    def sample(self, path: str, owner: Any, value: Array) -> Array:
        """Draw s for every pair of types, then the coefficients."""
        if not isinstance(owner, PairSpline):
            raise BayescgError(
                f"SplineSmoothness must stand on the coefficients of a PairSpline, got {path} of "
                f"{type(owner).__name__}. Give a NumPyro distribution there."
            )
        pairs = value.shape[0]
        roughness = dist.LogNormal(jnp.full(pairs, jnp.log(self.roughness)), self.spread)
        s = jnp.asarray(numpyro.sample(f"{path}.roughness", roughness.to_event(1)))
        scale_tril = s[:, None, None] * np.stack([prior_factor(owner, a) for a in range(pairs)])
        coefficients = dist.MultivariateNormal(jnp.zeros(value.shape), scale_tril=scale_tril)
        # known here; NumPyro would find it again from the factor by two triangular solves at every density
        coefficients.precision_matrix = s[:, None, None] ** -2 * np.stack(
            [curvature_gram(owner.basis, width) for width in owner.widths]
        )
        return jnp.asarray(numpyro.sample(path, coefficients.to_event(1)))


def prior_factor(spline: PairSpline, pair: int) -> NumpyArray:
    """Lower triangular L with L L' = P^-1 for one pair of types.

    Args:
        spline: prepared.
        pair: place in the type pairs.

    Example:
        >>> import bayescg as bcg, numpy as np
        >>> spline = bcg.potentials.PairSpline(cutoff=0.9, knots=12, start=0.3)
        >>> spline = spline.prepare(bcg.interfaces.Support(("A",), (0.3,)))
        >>> L = prior_factor(spline, 0)
        >>> bool(np.allclose(L, np.tril(L)))
        True
    """
    # P of a grid of width h is the unit one over h³
    return _unit_factor(spline.knots, spline.degree) * spline.widths[pair] ** 1.5


@functools.lru_cache(maxsize=64)
def _unit_factor(knots: int, degree: int) -> NumpyArray:
    """The factor on a grid of width one; cached, because every density and draw is traced anew."""
    return np.linalg.cholesky(np.linalg.inv(curvature_gram(basis(knots, degree), 1.0)))
