"""Problem: model, prior and data as one pure log density.

    log p(u) = Σ_terms log likelihood(values(u)) + log prior(values(u)) + log |d values / d u|,

u being the values of the prior's random variables on an unconstrained scale (logarithms of positive
ones), all in one vector. The same problem is a NumPyro program, `numpyro_model`.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import xarray as xr
from jax.flatten_util import ravel_pytree
from numpyro.distributions import biject_to
from numpyro.handlers import condition, seed, substitute, trace
from numpyro.infer.util import constrain_fn, potential_energy

from bayescg._checks import BayescgError, positive, require_x64
from bayescg._typing import Array, Float, PRNGKeyArray
from bayescg.data import state_points, topology
from bayescg.interfaces import AbstractLikelihood, Term, Terms
from bayescg.model import Model, parameters, with_values
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


class Problem:
    """A posterior: a model, a prior and one or more likelihoods on their data.

    Building it prepares the model for the data and reduces the data to what the likelihoods need; it
    keeps no reference to atoms.

    Args:
        model: potential and, for dynamics, memory.
        prior: path -> distribution, a `bayescg.priors.Prior`, or a NumPyro program that returns path ->
            value. Likelihood parameters (noise scales) not named get their default priors; model
            parameters not named are constants.
        data: a term, `ForceMatching().on(beads)`, or a sum of terms.

    Attributes:
        joint: the prepared module that parameter paths point into.
        prior: as completed.
        observations: of every term.
        sites: names of the random variables.
        dimension: number of elements of the unconstrained vector.
        labels: name of every element of the unconstrained vector.
        fingerprint: hash of model, prior and data.

    Raises:
        BayescgError: float64 is off, a path names no parameter or a constant, or the data are bad.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> matching = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), matching)
        >>> problem.dimension
        13
    """

    def __init__(
        self, model: Model, prior: Mapping[str, Any] | Callable[[], Mapping[str, Any]], data: Term | Terms
    ) -> None:
        require_x64("A Problem")
        _check_kinds(model, data)
        terms = data.terms if isinstance(data, Terms) else (data,)
        likelihoods = []
        for term in terms:
            model, likelihood = term.likelihood.prepare(model, term.data)
            likelihoods.append(likelihood)
        self.joint = Joint(model.potential, model.memory, _one_or_all(likelihoods))
        self.observations = tuple(
            likelihood.observe(model, term.data) for likelihood, term in zip(likelihoods, terms, strict=True)
        )
        self.prior = self._complete(_as_prior(prior))
        self.prior.check(self.joint)
        self.beads: xr.Dataset = state_points(terms[0].data)[0]
        self.topology = topology(self.beads)
        shapes = self._latent_shapes()
        zeros, self._unravel = ravel_pytree(jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes))
        self.sites = tuple(sorted(shapes))
        self.dimension = int(zeros.size)
        self.labels = tuple(_labels(shapes))
        self.fingerprint = self._hash()

    @property
    def temperature(self) -> float:
        """Temperature of the first term's data, K."""
        remedy = "Give temperature= (K) to read_trajectory, or set attrs['temperature'] of the beads."
        return positive("temperature", self.beads.attrs.get("temperature"), unit="K", remedy=remedy)

    @property
    def parameter_paths(self) -> tuple[str, ...]:
        """Paths of all parameters of model and likelihoods, free or not."""
        return tuple(parameters(self.joint))

    def numpyro_model(self) -> None:
        """The problem as a NumPyro program: prior, and one factor per term."""
        values = self.prior.sample(self.joint)
        for index, density in enumerate(self.term_log_likelihoods(values)):
            numpyro.factor(f"log_likelihood.{index}", density)

    def prior_model(self) -> dict[str, Array]:
        """The prior alone as a NumPyro program; returns path -> value."""
        return self.prior.sample(self.joint)

    def log_density(self, u: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Log posterior density of the unconstrained vector; pure."""
        return -jnp.asarray(potential_energy(self.numpyro_model, (), {}, self._unravel(u)))

    def log_prior(self, u: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Log prior density of the unconstrained vector; pure."""
        return -jnp.asarray(potential_energy(self.prior_model, (), {}, self._unravel(u)))

    def log_likelihood(self, values: Mapping[str, Any]) -> Float[Array, ""]:
        """Log likelihood of all terms at path -> value; pure."""
        return sum(self.term_log_likelihoods(values), start=jnp.zeros(()))

    def term_log_likelihoods(self, values: Mapping[str, Any]) -> list[Array]:
        """Log likelihood of every term."""
        joint = self.with_values(values)
        return [
            likelihood.log_likelihood(joint.model, seen)
            for likelihood, seen in zip(joint.likelihoods, self.observations, strict=True)
        ]

    def blocks(self, values: Mapping[str, Any]) -> list[Array]:
        """Log likelihood of every block of every term."""
        joint = self.with_values(values)
        return [
            likelihood.blocks(joint.model, seen)
            for likelihood, seen in zip(joint.likelihoods, self.observations, strict=True)
        ]

    def with_values(self, values: Mapping[str, Any]) -> Joint:
        """Model and likelihoods with the parameters among `values` replaced (others are hyperparameters)."""
        known = parameters(self.joint)
        return with_values(self.joint, {path: v for path, v in values.items() if path in known})

    def model(self, values: Mapping[str, Any]) -> Model:
        """The model of one draw.

        Args:
            values: path -> array; hyperparameters and likelihood parameters may be among them.
        """
        return self.with_values(values).model

    def constrain(self, u: Float[Array, " parameter"]) -> dict[str, Array]:
        """Values of all random variables and parameters on their own scale; pure."""
        sites = constrain_fn(self.prior_model, (), {}, self._unravel(u))
        program = substitute(self.prior_model, data=sites)
        parameters_of_model: Any = seed(program, jax.random.key(0))()
        return {**sites, **parameters_of_model}

    def unconstrain(self, values: Mapping[str, Any]) -> Float[Array, " parameter"]:
        """The vector of these values of the random variables."""
        missing = [name for name in self.sites if name not in values]
        if missing:
            raise BayescgError(
                f"values must hold every random variable, got none for {', '.join(missing)}. "
                f"The random variables are: {', '.join(self.sites)}."
            )
        laws = self.site_distributions(values)
        return ravel_pytree(
            {name: biject_to(laws[name].support).inv(jnp.asarray(values[name])) for name in self.sites}
        )[0]

    def initial(self, key: PRNGKeyArray) -> Float[Array, " parameter"]:
        """A draw from the prior as an unconstrained vector."""
        return ravel_pytree(self._prior_draw(key))[0]

    def site_distributions(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The prior distribution of every random variable, given the values of those it depends on."""
        program = condition(self.prior_model, data=dict(values))
        sites = trace(seed(program, jax.random.key(0))).get_trace()
        return {name: sites[name]["fn"] for name in self.sites}

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Labels of the axes of every parameter: path -> {dimension name: labels}."""
        found = {f"potential.{path}": labels for path, labels in self.joint.potential.coordinates().items()}
        several = isinstance(self.joint.likelihood, tuple)
        for index, (likelihood, seen) in enumerate(
            zip(self.joint.likelihoods, self.observations, strict=True)
        ):
            prefix = f"likelihood.{index}." if several else "likelihood."
            found |= {prefix + path: labels for path, labels in likelihood.coordinates(seen).items()}
        return found

    def _complete(self, prior: Prior) -> Prior:
        """Add the likelihoods' default priors for parameters that the prior does not name."""
        several = isinstance(self.joint.likelihood, tuple)
        defaults = {}
        for index, (likelihood, seen) in enumerate(
            zip(self.joint.likelihoods, self.observations, strict=True)
        ):
            prefix = f"likelihood.{index}." if several else "likelihood."
            defaults |= {prefix + path: entry for path, entry in likelihood.default_priors(seen).items()}
        drawn: Any = {} if prior.program is None else seed(prior.program, jax.random.key(0))()
        unnamed = {path: entry for path, entry in defaults.items() if path not in drawn}
        return Prior(unnamed, prior.program) | prior

    def _prior_draw(self, key: PRNGKeyArray) -> dict[str, Array]:
        """One draw of every random variable on its unconstrained scale."""
        sites = trace(seed(self.prior_model, key)).get_trace()
        return {
            name: biject_to(site["fn"].support).inv(site["value"])
            for name, site in sites.items()
            if site["type"] == "sample" and not site["is_observed"]
        }

    def _latent_shapes(self) -> dict[str, Any]:
        try:
            shapes = jax.eval_shape(self._prior_draw, jax.random.key(0))
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
        return shapes

    def _hash(self) -> str:
        """Of what the problem says, not of how it is written: the same in every process."""
        keys = jax.random.split(jax.random.key(0), 2)
        places = [self.initial(key) for key in keys]
        prior = [(self.constrain(u), self.log_prior(u)) for u in places]
        digest = hashlib.sha256(repr((self.joint, self.labels)).encode())
        for leaf in jax.tree.leaves((self.joint, self.observations, places, prior)):
            digest.update(np.ascontiguousarray(leaf).tobytes())
        return digest.hexdigest()[:16]


def _check_kinds(model: Any, data: Any) -> None:
    if not isinstance(model, Model):
        raise BayescgError(
            f"model must be a bayescg.Model, got {type(model).__name__}. "
            "Wrap a potential as bayescg.Model(potential)."
        )
    if not isinstance(data, Term | Terms):
        raise BayescgError(
            f"data must be a likelihood on its data, got {type(data).__name__}. "
            "Write for example bayescg.likelihoods.ForceMatching().on(beads)."
        )


def _one_or_all(likelihoods: list[AbstractLikelihood]) -> Any:
    return likelihoods[0] if len(likelihoods) == 1 else tuple(likelihoods)


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


def _labels(sites: Mapping[str, Any]) -> list[str]:
    names = []
    for name in sorted(sites):
        shape = sites[name].shape
        names += [name + (str(list(index)) if shape else "") for index in np.ndindex(*shape)]
    return names
