"""Likelihoods: how data score a model; and terms, a likelihood on its data, which add up."""

import abc
from typing import Any, NamedTuple, Self

import equinox as eqx
import xarray as xr

from bayescg._typing import Array, Float


class AbstractLikelihood(eqx.Module):
    """How data score a model. Parameters of its own (a noise level) are leaves, as a potential's are."""

    @abc.abstractmethod
    def prepare(self, model: Any, data: Any) -> tuple[Any, Self]:
        """Allocate the parameters of model and likelihood for these data."""

    @abc.abstractmethod
    def observe(self, model: Any, data: Any) -> Any:
        """Reduce the data to what the likelihood needs (sufficient statistics where they exist), once."""

    @abc.abstractmethod
    def log_likelihood(self, model: Any, observations: Any) -> Float[Array, ""]:
        """Log density of the observations; pure."""

    @abc.abstractmethod
    def blocks(self, model: Any, observations: Any) -> Float[Array, " block"]:
        """The log likelihood split over contiguous blocks of frames; sums to `log_likelihood`."""

    @abc.abstractmethod
    def default_priors(self, observations: Any) -> dict[str, Any]:
        """Weak priors for the likelihood's own parameters: path -> NumPyro distribution."""

    @abc.abstractmethod
    def coordinates(self, observations: Any) -> dict[str, dict[str, Any]]:
        """Labels of the axes of the likelihood's own parameters: path -> {dimension name: labels}."""

    @abc.abstractmethod
    def datasets(self, observations: Any) -> dict[str, xr.Dataset]:
        """What the result keeps of the data: groups `observed_data` and `constant_data`."""

    def on(self, data: Any) -> "Term":
        """Bind the likelihood to data: a term of a posterior."""
        return Term(self, data)


class Quadratic(NamedTuple):
    """A log likelihood that is quadratic in the linear coefficients: c + b'theta - theta' H theta / 2.

    Attributes:
        precision: H.
        linear: b.
        constant: c.
    """

    precision: Float[Array, "feature feature"]
    linear: Float[Array, " feature"]
    constant: Float[Array, ""]


class AbstractConjugateLikelihood(AbstractLikelihood):
    """A likelihood under which linear coefficients with a Gaussian prior can be integrated out exactly."""

    @abc.abstractmethod
    def quadratic_form(self, model: Any, observations: Any) -> Quadratic:
        """The log likelihood as a function of the coefficients, all else given."""


class Term:
    """A likelihood on its data; terms add up.

    Example:
        >>> import bayescg as bcg
        >>> beads = bcg.data.water(frames=2)
        >>> terms = bcg.likelihoods.ForceMatching().on(beads) + bcg.likelihoods.ForceMatching().on(beads)
        >>> len(terms.terms)
        2
    """

    def __init__(self, likelihood: AbstractLikelihood, data: Any) -> None:
        self.likelihood = likelihood
        self.data = data

    def __add__(self, other: "Term | Terms") -> "Terms":
        """Terms of one posterior: their log likelihoods add."""
        return Terms((self,)) + other


class Terms:
    """Several terms of one posterior."""

    def __init__(self, terms: tuple[Term, ...]) -> None:
        self.terms = terms

    def __add__(self, other: "Term | Terms") -> "Terms":
        """Terms of one posterior: their log likelihoods add."""
        more = other.terms if isinstance(other, Terms) else (other,)
        return Terms((*self.terms, *more))
