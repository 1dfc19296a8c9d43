"""Problem: model, prior and data as one pure log density.

    log p(u) = Σ_terms log likelihood(values(u)) + log prior(values(u)) + log |d values / d u|,

u being the values of the prior's random variables on an unconstrained scale (logarithms of positive
ones), all in one vector. The same problem is a NumPyro program, `numpyro_model`.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import xarray as xr
from numpyro.distributions import biject_to
from numpyro.handlers import condition, seed, substitute, trace
from numpyro.infer.util import constrain_fn, potential_energy

from bayescg._checks import BayescgError, positive, require_x64
from bayescg._typing import Array, Float, NumpyArray, PRNGKeyArray
from bayescg.data import state_points, topology
from bayescg.inference.fingerprint import fingerprint
from bayescg.inference.joint import Joint, completed, latent_shapes, prior_draw
from bayescg.interfaces import AbstractLikelihood, Term, Terms, Topology
from bayescg.model import Model, parameters, with_values
from bayescg.priors import Prior


class Aside:
    """What is kept beside a problem and read by no compiled function.

    Any two are equal: problems that differ in nothing else but their numbers share compiled programs.

    Attributes:
        beads: data of the first term; where that is a table of an observable, of the first with frames.
        fingerprint: hash of model, prior and data.
    """

    def __init__(self, beads: xr.Dataset, fingerprint: str) -> None:
        self.beads, self.fingerprint = beads, fingerprint

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aside)

    def __hash__(self) -> int:
        return 0


class Problem(eqx.Module):
    """A posterior: a model, a prior and one or more likelihoods on their data.

    Building it prepares the model for the data and reduces the data to what the likelihoods need; it
    keeps no reference to atoms. A problem is a pytree: `eqx.filter_jit(f)(problem, ...)` compiles once for
    all problems of the same shapes.

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
        topology: of the first term's beads.
        terms: indices of the terms that count; all but in a `part`.
        shapes: name and unconstrained shape of every random variable.
        aside: what no compiled function reads.

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

    joint: Joint
    prior: Prior
    observations: tuple[Any, ...]
    topology: Topology
    terms: tuple[int, ...] = eqx.field(static=True)
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = eqx.field(static=True)
    starts: Float[Array, "start parameter"] | None
    aside: Aside = eqx.field(static=True)

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
        self.terms = tuple(range(len(terms)))
        beads = _beads_of(terms)
        self.topology = topology(beads)
        self.prior = completed(prior, self.joint, self.observations)
        self.shapes = latent_shapes(self.prior, self.joint)
        self.starts = None
        self.aside = Aside(beads, self._hash())

    def part(self, terms: tuple[int, ...], prior: Prior, *, joint: Joint | None = None) -> "Problem":
        """The same model with some of the terms and another prior; parameters it leaves out are constants.

        Args:
            terms: indices of the terms that count.
            prior: of the parameters that are free.
            joint: another model for the same terms; None for this one.
        """
        joint = self.joint if joint is None else joint
        shapes = latent_shapes(prior, joint)
        part = self._changed(joint=joint, prior=prior, terms=terms, shapes=shapes, starts=None)
        if self.starts is None or not set(part.labels) <= set(self.labels):
            return part
        columns = [self.labels.index(label) for label in part.labels]
        return part._changed(starts=self.starts[:, jnp.array(columns, int)])

    def started(self, starts: Float[Array | NumpyArray, "start parameter"]) -> "Problem":
        """The same problem, whose `initial` is one of the starts and no draw from the prior.

        Args:
            starts: unconstrained vectors; see `bayescg.inference.warm_start`.
        """
        return self._changed(starts=jnp.asarray(starts))

    @property
    def beads(self) -> xr.Dataset:
        """Data of the first term; where that is a table of an observable, of the first with frames."""
        return self.aside.beads

    @property
    def fingerprint(self) -> str:
        """Hash of model, prior and data."""
        return self.aside.fingerprint

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the random variables."""
        return tuple(name for name, _ in self.shapes)

    @property
    def dimension(self) -> int:
        """Number of elements of the unconstrained vector."""
        return sum(math.prod(shape) for _, shape in self.shapes)

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of every element of the unconstrained vector."""
        return tuple(
            name + (str(list(index)) if shape else "")
            for name, shape in self.shapes
            for index in np.ndindex(*shape)
        )

    @property
    def scored(self) -> list[tuple[AbstractLikelihood, Any]]:
        """Likelihood and observations of every term that counts."""
        return [(self.joint.likelihoods[index], self.observations[index]) for index in self.terms]

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
            joint.likelihoods[index].log_likelihood(joint.model, self.observations[index])
            for index in self.terms
        ]

    def blocks(self, values: Mapping[str, Any]) -> list[Array]:
        """Log likelihood of every block of every term."""
        joint = self.with_values(values)
        return [
            joint.likelihoods[index].blocks(joint.model, self.observations[index]) for index in self.terms
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
        unconstrained = [biject_to(laws[name].support).inv(jnp.asarray(values[name])) for name in self.sites]
        return jnp.concatenate([jnp.ravel(value) for value in unconstrained])

    def initial(self, key: PRNGKeyArray) -> Float[Array, " parameter"]:
        """Where a sampler may begin, unconstrained: one of the starts, else a draw from the prior."""
        if self.starts is not None:
            return jax.random.choice(key, self.starts)
        draw = prior_draw(self.prior, self.joint, key)
        return jnp.concatenate([jnp.ravel(value) for value in draw.values()])

    def site_distributions(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The prior distribution of every random variable, given the values of those it depends on."""
        program = condition(self.prior_model, data=dict(values))
        sites = trace(seed(program, jax.random.key(0))).get_trace()
        return {name: sites[name]["fn"] for name in self.sites}

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Labels of the axes of every parameter: path -> {dimension name: labels}."""
        found = {f"potential.{path}": labels for path, labels in self.joint.potential.coordinates().items()}
        if self.joint.memory is not None:
            found |= {f"memory.{path}": labels for path, labels in self.joint.memory.coordinates().items()}
        several = isinstance(self.joint.likelihood, tuple)
        for index, (likelihood, seen) in enumerate(
            zip(self.joint.likelihoods, self.observations, strict=True)
        ):
            prefix = f"likelihood.{index}." if several else "likelihood."
            found |= {prefix + path: labels for path, labels in likelihood.coordinates(seen).items()}
        return found

    def _changed(self, **fields: Any) -> "Problem":
        """A copy with some fields changed and a fingerprint of its own."""
        copy = object.__new__(Problem)
        kept = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name, value in (kept | fields).items():
            object.__setattr__(copy, name, value)
        object.__setattr__(copy, "aside", Aside(self.beads, copy._hash()))
        return copy

    def _hash(self) -> str:
        settings = (self.labels, self.terms)
        return fingerprint(self.joint, self.prior, (self.observations, self.starts), settings)

    def _unravel(self, u: Array) -> dict[str, Array]:
        """The unconstrained value of every random variable."""
        found, begin = {}, 0
        for name, shape in self.shapes:
            end = begin + math.prod(shape)
            found[name] = u[begin:end].reshape(shape)
            begin = end
        return found


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


def _beads_of(terms: tuple[Term, ...]) -> xr.Dataset:
    """Of the first term; where that is a table of an observable, of the first that has frames."""
    found = state_points(terms[0].data)[0]
    if "bead" not in found.dims:
        others = [term.data for term in terms[1:] if isinstance(term.data, xr.Dataset | xr.DataTree)]
        points = [point for data in others for point in state_points(data)]
        found = next((point for point in points if "position" in point), found)
    if "bead" not in found.dims:
        raise BayescgError(
            "data must hold the frames of beads in one term at least, got tables alone. Add a term on the "
            "trajectory, for example bayescg.likelihoods.ForceMatching().on(beads)."
        )
    return found


def _one_or_all(likelihoods: list[AbstractLikelihood]) -> Any:
    return likelihoods[0] if len(likelihoods) == 1 else tuple(likelihoods)
