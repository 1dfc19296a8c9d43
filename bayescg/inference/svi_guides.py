"""Guides of variational inference: the families in which the posterior is looked for, all NumPyro's own.

    mean field    q(z) = N(m, diag s²)
    low rank      q(z) = N(m, diag s² + W W'),  W of a few columns
    flow          z = T(e),  e ~ N(0, I),  T several times z_i = e_i exp(a_i(e_<i)) + b_i(e_<i)

with networks a and b that see only the variables before (inverse autoregressive).

References:
    A. Kucukelbir, D. Tran, R. Ranganath, A. Gelman, D. M. Blei, J. Mach. Learn. Res. 18 (2017) 14.
    V. M.-H. Ong, D. J. Nott, M. S. Smith, J. Comput. Graph. Stat. 27, 465 (2018),
        doi:10.1080/10618600.2017.1390472 (low rank).
    D. P. Kingma et al., Adv. Neural Inf. Process. Syst. 29 (2016), arXiv:1606.04934 (flow).
"""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
import optax
from numpyro.infer.autoguide import (
    AutoContinuous,
    AutoDiagonalNormal,
    AutoIAFNormal,
    AutoLowRankMultivariateNormal,
)
from numpyro.infer.initialization import init_to_value

from bayescg._typing import Array, Float, PRNGKeyArray

SITE = "z"
"""Name of the one latent variable."""

FIRST_COLUMNS = 0.1
"""Size of the first W: at zero its gradient vanishes on average."""

LARGEST_GRADIENT = 10.0
"""Norm of a flow's gradient; in whitened coordinates its elements are of order one."""

LEAST_NEURONS = 16
"""Of a hidden layer of the flow's networks; never fewer than dimensions."""


class AbstractGuide(eqx.Module):
    """A family of distributions of z."""

    @abc.abstractmethod
    def build(self, start: Float[Array, " parameter"], width: float) -> AutoContinuous:
        """NumPyro's guide, which begins around `start` with standard deviations `width`."""

    @abc.abstractmethod
    def initial(self, dimension: int, key: PRNGKeyArray) -> dict[str, Array]:
        """Values of parameters that begin otherwise than in NumPyro."""

    @abc.abstractmethod
    def optimizer(self, rate: optax.Schedule) -> optax.GradientTransformation:
        """What raises the evidence lower bound, at this learning rate."""

    @abc.abstractmethod
    def posterior(self, guide: AutoContinuous, values: dict[str, Array]) -> dist.Distribution:
        """The distribution of z at these values of the guide's parameters."""


class MeanField(AbstractGuide):
    """Independent normals."""

    def build(self, start: Float[Array, " parameter"], width: float) -> AutoContinuous:
        """NumPyro's diagonal guide."""
        return AutoDiagonalNormal(_latent(start.size), init_loc_fn=_at(start), init_scale=width)

    def initial(self, dimension: int, key: PRNGKeyArray) -> dict[str, Array]:
        """Nothing: NumPyro's start will do."""
        return {}

    def optimizer(self, rate: optax.Schedule) -> optax.GradientTransformation:
        """Adam."""
        return optax.adam(rate)

    def posterior(self, guide: AutoContinuous, values: dict[str, Array]) -> dist.Distribution:
        """Independent normals as one event."""
        return guide.get_posterior(values).to_event(1)


class LowRank(AbstractGuide):
    """A normal with a covariance of diagonal and low rank.

    Attributes:
        rank: columns of W; None for the root of the dimension.
    """

    rank: int | None = eqx.field(static=True, default=None)

    def columns(self, dimension: int) -> int:
        """Columns of W.

        Example:
            >>> LowRank().columns(30), LowRank(rank=3).columns(2)
            (5, 2)
        """
        return min(round(math.sqrt(dimension)) if self.rank is None else self.rank, dimension)

    def build(self, start: Float[Array, " parameter"], width: float) -> AutoContinuous:
        """NumPyro's low-rank guide."""
        return AutoLowRankMultivariateNormal(
            _latent(start.size), init_loc_fn=_at(start), init_scale=width, rank=self.columns(start.size)
        )

    def initial(self, dimension: int, key: PRNGKeyArray) -> dict[str, Array]:
        """Small random columns."""
        rank = self.columns(dimension)
        return {"auto_cov_factor": FIRST_COLUMNS * jax.random.normal(key, (dimension, rank))}

    def optimizer(self, rate: optax.Schedule) -> optax.GradientTransformation:
        """Adam."""
        return optax.adam(rate)

    def posterior(self, guide: AutoContinuous, values: dict[str, Array]) -> dist.Distribution:
        """A normal that knows its covariance by factors."""
        return guide.get_posterior(values)


class Flow(AbstractGuide):
    """A normal bent by inverse autoregressive networks.

    Attributes:
        layers: transforms, each of the variables in the opposite order of the last.
    """

    layers: int = eqx.field(static=True, default=3)

    def build(self, start: Float[Array, " parameter"], width: float) -> AutoContinuous:
        """NumPyro's flow, which begins near N(0, I) whatever the start."""
        neurons = max(start.size, LEAST_NEURONS)
        return AutoIAFNormal(
            _latent(start.size), init_loc_fn=_at(start), num_flows=self.layers, hidden_dims=[neurons, neurons]
        )

    def initial(self, dimension: int, key: PRNGKeyArray) -> dict[str, Array]:
        """Nothing: NumPyro's start will do."""
        return {}

    def optimizer(self, rate: optax.Schedule) -> optax.GradientTransformation:
        """Adam with bounded gradients: the exponentials of a flow make rare ones that would ruin a fit."""
        return optax.chain(optax.clip_by_global_norm(LARGEST_GRADIENT), optax.adam(rate))

    def posterior(self, guide: AutoContinuous, values: dict[str, Array]) -> dist.Distribution:
        """The transformed normal."""
        return guide.get_posterior(values)


def drawn(posterior: dist.Distribution, key: PRNGKeyArray) -> tuple[Array, Array]:
    """One draw of z and its log density; of a flow without inverting it.

    Example:
        >>> z, density = drawn(dist.Normal(jnp.zeros(2), 1.0).to_event(1), jax.random.key(0))
        >>> bool(jnp.allclose(density, -0.5 * z @ z - jnp.log(2 * jnp.pi)))
        True
    """
    if isinstance(posterior, dist.TransformedDistribution):
        z, inner = posterior.sample_with_intermediates(key)
        return jnp.asarray(z), jnp.asarray(posterior.log_prob(z, inner))
    z = posterior.sample(key)
    return jnp.asarray(z), jnp.asarray(posterior.log_prob(z))


def _latent(dimension: int) -> Any:
    """What a guide must know of the model: one vector of real numbers."""

    def program() -> None:
        numpyro.sample(SITE, dist.Normal(jnp.zeros(dimension), 1.0).to_event(1))

    return program


def _at(start: Array) -> Any:
    return init_to_value(values={SITE: start})
