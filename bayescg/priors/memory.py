"""Default priors of memories: total friction, ordered times, rates that the data can resolve.

With F, dt and T the friction, frame interval and duration of the data (`Timescales`),

    frictions      sum_k f_k ~ LogNormal(log F, 1.5²),   the shares uniform on the simplex
    times          log tau ~ N(log sqrt(dt T), (log(T/dt)/4)²), independent, then put in order
    rates, g       log r ~ N, 95% between 1/T and 1/dt; frequencies up to 1/(2 dt)
    asymmetries    p(s) = 3/4 (1 - s²), which is (1+s)/2 ~ Beta(2, 2);   exponent ~ Uniform(0, 2)

People know the friction (a diffusion constant gives it), not its split over modes: so the total has one
law however many modes there are, where independent log-normal frictions would shift it with their number.
In a sum every term has a law of its own around its share; the median of two equal ones is 1.5 F.

Draws avoid the gamma variates of Dirichlet and beta laws: their rejection sampler takes XLA seconds to
compile, in every program that draws from the prior.

References:
    L. Devroye, Non-Uniform Random Variate Generation (Springer, 1986), DOI 10.1007/978-1-4613-8643-8:
    uniform shares are spacings of exponential variates; the parabola is the middle of three uniform ones.
"""

import functools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import constraints

from bayescg._checks import BayescgError, positive, require
from bayescg._typing import Array, PRNGKeyArray
from bayescg.interfaces import AbstractMemory, SumMemory, Timescales
from bayescg.memory import DriftMatrix, Markovian, Mori, OscillatoryProny, Pairwise, PowerLaw, Prony
from bayescg.priors.tree import AbstractPathPrior

FRICTION_SPREAD = 1.5
"""Standard deviation of the log of the friction: its 95% interval spans a factor of 360."""

QUARTERS = 4.0
"""Standard deviations between the ends of a 95% interval."""

NYQUIST = 0.5
"""Highest frequency that frames resolve, times their interval."""


class OrderedVector(dist.Distribution):
    """Independent draws of one law, put in increasing order: density n! p(x_1) ... p(x_n).

    Args:
        law: of one positive number.
        size: how many.

    Example:
        >>> import jax
        >>> draw = OrderedVector(dist.LogNormal(0.0, 1.0), 3).sample(jax.random.key(0))
        >>> bool((draw[1:] > draw[:-1]).all())
        True
    """

    pytree_data_fields = ("law",)
    pytree_aux_fields = ("size",)

    def __init__(self, law: Any, size: int) -> None:
        self.law, self.size = law, size
        super().__init__(batch_shape=(), event_shape=(size,))

    @property
    def support(self) -> Any:
        """Positive vectors in increasing order."""
        return constraints.positive_ordered_vector

    def sample(self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()) -> Array:
        """Sorted draws."""
        return jnp.sort(self.law.sample(key, (*sample_shape, self.size)), axis=-1)

    def log_prob(self, value: Array) -> Array:
        """Log density of an increasing vector."""
        return jnp.sum(self.law.log_prob(value), axis=-1) + math.lgamma(self.size + 1)


class SharedLogNormal(dist.Distribution):
    """Positive numbers whose sum S is log-normal and whose shares of it are uniform on the simplex.

    With n numbers the density is (n-1)! S^(1-n) LogNormal(S).

    Args:
        loc: of log S.
        scale: of log S.
        size: how many.

    Example:
        >>> SharedLogNormal(3.0, 1.5, 2).log_prob(jnp.array([10.0, 10.0])).shape
        ()
    """

    pytree_data_fields = ("loc", "scale")
    pytree_aux_fields = ("size",)

    def __init__(self, loc: Any, scale: Any, size: int) -> None:
        self.loc, self.scale, self.size = loc, scale, size
        super().__init__(batch_shape=(), event_shape=(size,))

    @property
    def support(self) -> Any:
        """Positive vectors."""
        return constraints.independent(constraints.positive, 1)

    def sample(self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()) -> Array:
        """The sum, then its shares."""
        of_sum, of_shares = jax.random.split(key)
        total = dist.LogNormal(self.loc, self.scale).sample(of_sum, sample_shape)
        parts = jax.random.exponential(of_shares, (*sample_shape, self.size), jnp.result_type(float))
        return total[..., None] * parts / jnp.sum(parts, axis=-1, keepdims=True)

    def log_prob(self, value: Array) -> Array:
        """Log density of a positive vector."""
        total = jnp.sum(value, axis=-1)
        law = jnp.asarray(dist.LogNormal(self.loc, self.scale).log_prob(total))
        return law + math.lgamma(self.size) - (self.size - 1) * jnp.log(total)


class Parabola(dist.Distribution):
    """Numbers in (-1, 1) of density 3/4 (1 - s²): zero is likeliest, the ends are not reached.

    Example:
        >>> float(Parabola().log_prob(0.0)) == math.log(0.75)
        True
    """

    def __init__(self) -> None:
        super().__init__(batch_shape=(), event_shape=())

    @property
    def support(self) -> Any:
        """Between -1 and 1."""
        return constraints.interval(-1.0, 1.0)

    def sample(self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()) -> Array:
        """The middle of three uniform numbers."""
        three = jax.random.uniform(key, (3, *sample_shape), jnp.result_type(float), -1.0, 1.0)
        return jnp.sort(three, axis=0)[1]

    def log_prob(self, value: Array) -> Array:
        """Log density; minus infinity at the ends."""
        return math.log(0.75) + jnp.log1p(value) + jnp.log1p(-value)


class TotalFriction(AbstractPathPrior):
    """Prior of `friction` or `frictions`: the integral of the kernel around the friction of the data.

    Attributes:
        spread: standard deviation of the log of the integral.

    Raises:
        BayescgError: a spread that is not positive.

    Example:
        >>> import bayescg as bcg
        >>> prior = {"memory.frictions": bcg.priors.TotalFriction(spread=0.5)}
    """

    spread: float = eqx.field(static=True, default=FRICTION_SPREAD)

    def __check_init__(self) -> None:
        positive("spread", self.spread)

    def sample(self, path: str, owner: Any, value: Array) -> Array:
        """Draw the friction of the whole kernel and its split over modes."""
        center = jnp.log(_timescales(self, path, owner).friction)
        if value.ndim == 0:
            return jnp.asarray(numpyro.sample(path, dist.LogNormal(center, self.spread)))
        return jnp.asarray(numpyro.sample(path, SharedLogNormal(center, self.spread, value.size)))


class OrderedTimes(AbstractPathPrior):
    """Prior of `times`: independent draws in increasing order, so that modes keep their names.

    A plain distribution on `times` is a valid prior too; the modes are then exchangeable, chains may
    number them differently, and means over draws of one mode mix several.

    Attributes:
        law: of one time in ps; None for a log-normal with 95% between frame interval and duration.

    Raises:
        BayescgError: a law of several numbers, or of numbers that may be negative.

    Example:
        >>> import bayescg as bcg, numpyro.distributions as dist
        >>> prior = {"memory.times": bcg.priors.OrderedTimes(dist.LogNormal(-1.0, 1.0))}
    """

    law: Any = None

    def __check_init__(self) -> None:
        one = isinstance(self.law, dist.Distribution) and self.law.shape() == ()
        require(
            self.law is None or (one and self.law.support == constraints.positive),
            f"law must be a NumPyro distribution of one positive number, got {self.law!r}. Write for example "
            "numpyro.distributions.LogNormal(-1.0, 1.0).",
        )

    def sample(self, path: str, owner: Any, value: Array) -> Array:
        """Draw the times in order."""
        law = self.law
        if law is None:
            known = _timescales(self, path, owner)
            law = _log_normal_between(known.interval, known.duration)
        return jnp.asarray(numpyro.sample(path, OrderedVector(law, value.size)))


class ResolvedRates(AbstractPathPrior):
    """Prior of rates and frequencies: log-normal, 95% between 1/duration and `fastest`/interval.

    Attributes:
        fastest: upper end, in inverse intervals between frames.

    Raises:
        BayescgError: an upper end that is not positive.

    Example:
        >>> ResolvedRates(fastest=0.5).fastest
        0.5
    """

    fastest: float = eqx.field(static=True, default=1.0)

    def __check_init__(self) -> None:
        positive("fastest", self.fastest)

    def sample(self, path: str, owner: Any, value: Array) -> Array:
        """Draw every rate independently."""
        known = _timescales(self, path, owner)
        law = _log_normal_between(1 / known.duration, self.fastest / known.interval)
        return jnp.asarray(numpyro.sample(path, law.expand(value.shape).to_event(value.ndim)))


@functools.singledispatch
def memory_default(memory: AbstractMemory) -> dict[str, Any]:
    """Default entries of a memory: path within it -> prior.

    Args:
        memory: prepared or not; the numbers are read when a prior is drawn, from the prepared one.

    Raises:
        BayescgError: none is known for a memory of your own.

    Example:
        >>> import bayescg as bcg
        >>> sorted(memory_default(bcg.memory.Markovian() + bcg.memory.Prony(modes=2)))
        ['terms.0.friction', 'terms.1.frictions', 'terms.1.times']
    """
    raise BayescgError(
        f"No default prior is known for {type(memory).__name__}. Give one per parameter, as in "
        "{'memory.times': numpyro.distributions.LogNormal(-1.0, 1.0)}."
    )


@memory_default.register
def _(memory: SumMemory) -> dict[str, Any]:
    return {
        f"terms.{index}.{path}": entry
        for index, term in enumerate(memory.terms)
        for path, entry in memory_default(term).items()
    }


@memory_default.register
def _(memory: Pairwise) -> dict[str, Any]:
    return {f"memory.{path}": entry for path, entry in memory_default(memory.memory).items()}


@memory_default.register
def _(memory: Markovian) -> dict[str, Any]:
    return {"friction": TotalFriction()}


@memory_default.register
def _(memory: Prony) -> dict[str, Any]:
    return {"times": OrderedTimes(), "frictions": TotalFriction()}


@memory_default.register
def _(memory: OscillatoryProny) -> dict[str, Any]:
    return {
        "times": OrderedTimes(),
        "frequencies": ResolvedRates(NYQUIST),
        "frictions": TotalFriction(),
        "asymmetries": Parabola(),
    }


@memory_default.register
def _(memory: Mori) -> dict[str, Any]:
    return {"rates": ResolvedRates(), "damping": ResolvedRates(), "friction": TotalFriction()}


@memory_default.register
def _(memory: PowerLaw) -> dict[str, Any]:
    return {"times": OrderedTimes(), "exponent": dist.Uniform(0.0, 2.0), "friction": TotalFriction()}


@memory_default.register
def _(memory: DriftMatrix) -> dict[str, Any]:
    """None: it has more numbers than a kernel shows, so it stays as given unless asked otherwise."""
    if any(value is None for value in (memory.factor, memory.rotation, memory.coupling)):
        raise BayescgError(
            "DriftMatrix has no default prior: a kernel fixes two numbers a mode, the others move freely. "
            "Take OscillatoryProny, give the matrix by memory.from_drift, or give priors by path on purpose."
        )
    return {}


def _log_normal_between(lowest: Any, highest: Any) -> dist.LogNormal:
    """95% between two numbers."""
    center, width = 0.5 * jnp.log(lowest * highest), jnp.log(highest / lowest)
    return dist.LogNormal(center, width / QUARTERS)


def _timescales(prior: AbstractPathPrior, path: str, owner: Any) -> Timescales:
    known = getattr(owner, "timescales", None)
    if known is None:
        raise BayescgError(
            f"{type(prior).__name__} needs the timescales of the data, got none for {path} of "
            f"{type(owner).__name__}. Put the model into a bayescg.Problem with dynamics, prepare it, or "
            "give a NumPyro distribution there."
        )
    return known
