"""Joint: model and likelihoods in one module, and what a prior means for it."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
from numpyro.distributions import biject_to
from numpyro.handlers import seed, trace

from bayescg._checks import BayescgError
from bayescg._typing import Array, PRNGKeyArray
from bayescg.interfaces import AbstractLikelihood
from bayescg.model import Model
from bayescg.priors import Prior


class Joint(eqx.Module):
    """Model and likelihoods in one module, so that every parameter has one path.

    Attributes:
        potential: `potential.coefficients`, ...
        memory: `memory.times`, ...
        likelihood: `likelihood.noise.scale`, or `likelihood.0.noise.scale` where several terms add.
    """

    potential: Any
    memory: Any
    likelihood: Any

    @property
    def model(self) -> Model:
        """The model without the likelihoods."""
        return Model(self.potential, self.memory)

    @property
    def likelihoods(self) -> tuple[AbstractLikelihood, ...]:
        """The likelihood of every term."""
        return self.likelihood if isinstance(self.likelihood, tuple) else (self.likelihood,)


def completed(
    prior: Mapping[str, Any] | Callable[[], Mapping[str, Any]], joint: Joint, observations: tuple[Any, ...]
) -> Prior:
    """The prior as given, and the likelihoods' default priors for parameters that it does not name."""
    given = _as_prior(prior)
    several = isinstance(joint.likelihood, tuple)
    defaults = {}
    for index, (likelihood, seen) in enumerate(zip(joint.likelihoods, observations, strict=True)):
        prefix = f"likelihood.{index}." if several else "likelihood."
        defaults |= {prefix + path: entry for path, entry in likelihood.default_priors(seen).items()}
    drawn: Any = {} if given.program is None else seed(given.program, jax.random.key(0))()
    unnamed = {path: entry for path, entry in defaults.items() if path not in drawn}
    return Prior(unnamed, given.program) | given


def prior_draw(prior: Prior, joint: Joint, key: PRNGKeyArray) -> dict[str, Array]:
    """One draw of every random variable on its unconstrained scale, in the order of their names."""
    sites = trace(seed(prior.sample, key)).get_trace(joint)
    return {
        name: biject_to(site["fn"].support).inv(site["value"])
        for name, site in sorted(sites.items())
        if site["type"] == "sample" and not site["is_observed"]
    }


def latent_shapes(prior: Prior, joint: Joint) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Name and unconstrained shape of every random variable, in the order of their names.

    Raises:
        BayescgError: an unknown path, a prior that is not proper, or none at all.
    """
    prior.check(joint)
    try:
        shapes = jax.eval_shape(lambda key: prior_draw(prior, joint, key), jax.random.key(0))
    except NotImplementedError:
        raise BayescgError(
            "every prior must be proper, got a distribution that cannot be sampled (ImproperUniform?). "
            "Give a wide one, for example numpyro.distributions.Normal(0.0, 1e3)."
        ) from None
    if not shapes:
        raise BayescgError(
            "the prior must leave at least one parameter free, got none. Start from "
            "bayescg.priors.default(model)."
        )
    return tuple((name, leaf.shape) for name, leaf in sorted(shapes.items()))


def _as_prior(prior: Mapping[str, Any] | Callable[[], Mapping[str, Any]]) -> Prior:
    if isinstance(prior, Prior):
        return prior
    if isinstance(prior, Mapping):
        return Prior(prior)
    if callable(prior):
        return Prior({}, prior)
    raise BayescgError(
        "prior must be a dictionary of path -> distribution or a NumPyro program, got "
        f"{type(prior).__name__}. Start from bayescg.priors.default(model)."
    )
