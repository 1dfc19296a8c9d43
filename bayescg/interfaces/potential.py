"""Potentials: an energy of a configuration, and what more a pair or a linear potential gives."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float, Int
from bayescg.configuration import Configuration, Support, neighbor_distances


class Extent(NamedTuple):
    """Where a variable's data lie, all components together; no parameter of the potential that keeps it.

    Attributes:
        lowest: smallest value, in the variable's unit.
        highest: largest.
        thermal_energy: k_B T, kJ/mol.
    """

    lowest: float | Float[Array, ""]
    highest: float | Float[Array, ""]
    thermal_energy: float | Float[Array, ""]

    @property
    def middle(self) -> float | Float[Array, ""]:
        """Halfway between the ends."""
        return 0.5 * (self.lowest + self.highest)

    @property
    def width(self) -> float | Float[Array, ""]:
        """Distance between the ends."""
        return self.highest - self.lowest


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
        return self.sum_over_pairs(self.pair_energy, configuration)

    def sum_over_pairs(
        self, of_pair: Callable[[Array, Array, Array], Array], configuration: Configuration
    ) -> Float[Array, ""]:
        """Sum of a function of distance and two types over all pairs within the cutoff; shape ()."""
        distance, present = neighbor_distances(configuration)
        types = configuration.topology.types
        neighbor_types = types[jnp.minimum(configuration.neighbors, types.shape[0] - 1)]
        over_neighbors = jax.vmap(of_pair, in_axes=(0, None, 0))
        energies = jax.vmap(over_neighbors)(distance, types, neighbor_types)
        return 0.5 * jnp.sum(jnp.where(present & (distance < self.cutoff), energies, 0.0))


class AbstractSitePotential(AbstractPotential):
    """U = sum over beads and components of u(x): of a collective variable, or a field on free particles.

    Its `cutoff` is zero: it needs no neighbours.
    """

    @abc.abstractmethod
    def site_energy(self, x: Float[Array, ""]) -> Float[Array, ""]:
        """Energy of one component, kJ/mol, at x in the variable's unit."""

    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Sum of u(x) over beads and components, kJ/mol; shape ()."""
        return jnp.sum(jax.vmap(self.site_energy)(configuration.positions.ravel()))


class AbstractLinearPotential(AbstractPotential):
    """U = sum_k theta_k b_k(x): conjugate inference needs only the forces of the basis."""

    @abc.abstractmethod
    def basis_forces(self, configuration: Configuration) -> Float[Array, "bead dim feature"]:
        """-db_k/dx for every coefficient, so that F = basis_forces @ coefficients."""

    @abc.abstractmethod
    def coefficient_paths(self) -> tuple[str, ...]:
        """Paths of the coefficient arrays; raveled and concatenated they are the features."""

    def linear_energy(self, configuration: Configuration) -> Float[Array, ""]:
        """The energy without walls beyond the data, kJ/mol; `basis_forces` are its forces everywhere."""
        return self.energy(configuration)


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

    def linear_energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Sum of the terms' energies without walls, kJ/mol."""
        return sum((term.linear_energy(configuration) for term in self.terms), start=jnp.zeros(()))

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
