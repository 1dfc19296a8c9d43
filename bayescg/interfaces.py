"""The whole grammar on one page.

A `Configuration` is one frame of beads (`bayescg.configuration`). A potential gives its energy; a
linear potential also gives the forces of its basis. A likelihood turns data into `Observations` once and
scores a model against them as often as a sampler likes. Terms (a likelihood on its data) add up, as
potentials do.

Every class here is abstract or final: a concrete method of an abstract class is never overridden.
"""

import abc
from typing import Any, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import xarray as xr

from bayescg._typing import Array, Float, Int
from bayescg.configuration import (
    Configuration,
    Support,
    Topology,
    minimum_image,
    neighbor_distances,
    type_pair_index,
    type_pairs,
)

__all__ = [
    "AbstractConjugateLikelihood",
    "AbstractLikelihood",
    "AbstractLinearPotential",
    "AbstractMapping",
    "AbstractMemory",
    "AbstractObservable",
    "AbstractPairPotential",
    "AbstractPotential",
    "Configuration",
    "LinearSum",
    "Quadratic",
    "Sum",
    "Support",
    "Term",
    "Terms",
    "Topology",
    "minimum_image",
    "neighbor_distances",
    "type_pair_index",
    "type_pairs",
]


class AbstractPotential(eqx.Module):
    """An energy of a configuration, kJ/mol."""

    cutoff: eqx.AbstractVar[float]

    @abc.abstractmethod
    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Energy of one configuration, kJ/mol."""

    @abc.abstractmethod
    def prepare(self, support: Support) -> Self:
        """Return the potential with every parameter allocated for these bead types and distances."""

    @abc.abstractmethod
    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Labels of the parameters' axes: path -> {dimension name: labels}, in the order of the axes."""

    def forces(self, configuration: Configuration) -> Float[Array, "bead dim"]:
        """F = -dU/dx, kJ/mol/nm."""

        def energy(positions: Array) -> Array:
            return self.energy(eqx.tree_at(lambda c: c.positions, configuration, positions))

        return -jax.grad(energy)(configuration.positions)

    def __add__(self, other: "AbstractPotential") -> "AbstractPotential":
        """The sum of two potentials; linear in its coefficients if both are."""
        return _sum((*_terms(self), *_terms(other)))


class AbstractPairPotential(AbstractPotential):
    """U = sum over pairs of u(r_ij), with u zero from the cutoff on."""

    @abc.abstractmethod
    def pair_energy(
        self, distance: Float[Array, ""], first_type: Int[Array, ""], second_type: Int[Array, ""]
    ) -> Float[Array, ""]:
        """Energy of one pair, kJ/mol, at a distance in nm."""

    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Sum of u(r) over all pairs, kJ/mol; shape ()."""
        distance, present = neighbor_distances(configuration)
        types = configuration.topology.types
        neighbor_types = types[jnp.minimum(configuration.neighbors, types.shape[0] - 1)]
        over_neighbors = jax.vmap(self.pair_energy, in_axes=(0, None, 0))
        energies = jax.vmap(over_neighbors)(distance, types, neighbor_types)
        return 0.5 * jnp.sum(jnp.where(present & (distance < self.cutoff), energies, 0.0))


class AbstractLinearPotential(AbstractPotential):
    """U = sum_k theta_k b_k(x): conjugate inference needs only the forces of the basis."""

    @abc.abstractmethod
    def basis_forces(self, configuration: Configuration) -> Float[Array, "bead dim feature"]:
        """-db_k/dx for every coefficient, so that F = basis_forces @ coefficients."""

    @abc.abstractmethod
    def coefficient_paths(self) -> tuple[str, ...]:
        """Paths of the coefficient arrays; raveled and concatenated they are the features."""


class LinearSum(AbstractLinearPotential):
    """The sum of linear potentials, itself linear.

    Attributes:
        cutoff: the largest of the terms, nm.
        terms: the potentials that add.

    Example:
        >>> import bayescg as bcg
        >>> short = bcg.potentials.PairSpline(cutoff=0.6, knots=8)
        >>> both = short + bcg.potentials.PairSpline(cutoff=0.9, knots=8)
        >>> both.cutoff
        0.9
    """

    cutoff: float = eqx.field(static=True)
    terms: tuple[AbstractLinearPotential, ...]

    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Sum of the terms' energies, kJ/mol."""
        return sum((term.energy(configuration) for term in self.terms), start=jnp.zeros(()))

    def prepare(self, support: Support) -> "LinearSum":
        """Prepare every term."""
        return LinearSum(self.cutoff, tuple(term.prepare(support) for term in self.terms))

    def basis_forces(self, configuration: Configuration) -> Float[Array, "bead dim feature"]:
        """The terms' basis forces side by side."""
        return jnp.concatenate([term.basis_forces(configuration) for term in self.terms], axis=-1)

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """The terms' labels, by path."""
        return _coordinates(self.terms)

    def coefficient_paths(self) -> tuple[str, ...]:
        """The terms' coefficient paths, in order."""
        return tuple(
            f"terms.{index}.{path}"
            for index, term in enumerate(self.terms)
            for path in term.coefficient_paths()
        )


class Sum(AbstractPotential):
    """The sum of any potentials.

    Attributes:
        cutoff: the largest of the terms, nm.
        terms: the potentials that add.
    """

    cutoff: float = eqx.field(static=True)
    terms: tuple[AbstractPotential, ...]

    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Sum of the terms' energies, kJ/mol."""
        return sum((term.energy(configuration) for term in self.terms), start=jnp.zeros(()))

    def prepare(self, support: Support) -> "Sum":
        """Prepare every term."""
        return Sum(self.cutoff, tuple(term.prepare(support) for term in self.terms))

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """The terms' labels, by path."""
        return _coordinates(self.terms)


class AbstractMemory(eqx.Module):
    """A memory kernel as the drift of auxiliary variables: K(t) = a' exp(-A_s t) a."""

    @abc.abstractmethod
    def drift(self) -> tuple[Float[Array, "mode mode"], Float[Array, " mode"]]:
        """The matrix A_s (1/ps) and the coupling a; noise follows from fluctuation-dissipation."""


class AbstractMapping(eqx.Module):
    """A map from atoms to beads."""

    @abc.abstractmethod
    def __call__(self, atoms: xr.Dataset) -> xr.Dataset:
        """Map an atomistic Dataset (frame, atom, dim) to beads (frame, bead, dim)."""


class AbstractObservable(eqx.Module):
    """One number or curve per configuration, averaged over many; serves data and simulation alike."""

    name: eqx.AbstractVar[str]
    units: eqx.AbstractVar[str]

    @abc.abstractmethod
    def prepare(self, topology: Topology, box: Any) -> Self:
        """Return the observable with everything fixed that it takes from the system, a range say."""

    @abc.abstractmethod
    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """Labels of the axes of `measure`, in order: dimension name -> values."""

    @abc.abstractmethod
    def measure(self, configuration: Configuration) -> Array:
        """The observable of one configuration; neighbours in the configuration are not used."""


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


def _sum(terms: tuple[Any, ...]) -> AbstractPotential:
    cutoff = max(term.cutoff for term in terms)
    linear = all(isinstance(term, AbstractLinearPotential) for term in terms)
    return LinearSum(cutoff, terms) if linear else Sum(cutoff, terms)


def _coordinates(terms: tuple[AbstractPotential, ...]) -> dict[str, dict[str, Any]]:
    return {
        f"terms.{index}.{path}": labels
        for index, term in enumerate(terms)
        for path, labels in term.coordinates().items()
    }


def _terms(potential: AbstractPotential) -> tuple[Any, ...]:
    return potential.terms if isinstance(potential, Sum | LinearSum) else (potential,)
