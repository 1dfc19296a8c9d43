"""Energies of bonds, angles and dihedrals: what they share.

    U = sum_c w_c u_t(q_c),        u_t(q) = sum_k theta_tk b_tk(q),

over all chains c of bonded beads, q being a coordinate inside the molecule, t the kind of the chain (the
types of its beads, in either direction) and w its weight, 1 but for dihedrals with a nearly straight angle
(`bayescg.numerics.internal_coordinates`). Such an energy needs no neighbours: its cutoff is zero.

The force of a function is that of one chain, mapped over all,

    -d(w b_k)/dx = -(w b_k'(q) dq/dx + b_k(q) dw/dx).

Data give a bonded potential the range of every kind, and the harmonic energy of their Boltzmann inversion.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, require
from bayescg._typing import Array, Float, Int
from bayescg.interfaces import AbstractLinearPotential, Configuration, Sampled, Support
from bayescg.numerics.internal_coordinates import (
    InternalCoordinate,
    kind_names,
    kind_places,
    steps_along,
)


class AbstractBondedPotential(AbstractLinearPotential):
    """An energy of one coordinate inside the molecules, linear in its coefficients."""

    sampled: eqx.AbstractVar[tuple[Sampled, ...]]
    type_names: eqx.AbstractVar[tuple[str, ...]]
    coefficients: eqx.AbstractVar[Float[Array, "kind feature"] | None]

    @property
    def cutoff(self) -> float:  # type: ignore[override]
        """Zero: no neighbours are needed."""
        return 0.0

    @property
    @abc.abstractmethod
    def coordinate(self) -> InternalCoordinate:
        """The coordinate that the energy depends on."""

    @property
    def kinds(self) -> tuple[tuple[int, ...], ...]:
        """Bead types along the chains of every kind, in the order of the coefficients."""
        return tuple(one.kind for one in self.sampled)

    @abc.abstractmethod
    def functions(self, q: Float[Array, ""], kind: Int[Array, ""]) -> Float[Array, " feature"]:
        """b_k(q) of one chain."""

    @abc.abstractmethod
    def confinement(self, q: Float[Array, ""], kind: Int[Array, ""]) -> Float[Array, ""]:
        """What is added to the energy where there are no data, kJ/mol: it keeps simulations from there."""

    @abc.abstractmethod
    def started(self, sampled: tuple[Sampled, ...], type_names: tuple[str, ...]) -> dict[str, Any]:
        """Fields that data fill: the coefficients at least, one row for every kind."""

    def prepare(self, support: Support) -> Self:
        """Allocate one row of coefficients for every kind of chain in the data."""
        support.check_types(self.type_names)
        sampled = sampled_kinds(self.coordinate, support, before=self.sampled, owner=type(self).__name__)
        fields = self.started(sampled, support.type_names)
        return dataclasses.replace(self, sampled=sampled, type_names=support.type_names, **fields)

    def chain_energy(self, q: Float[Array, ""], kind: Int[Array, ""]) -> Float[Array, ""]:
        """u_t(q) of one chain, kJ/mol.

        Args:
            q: the coordinate.
            kind: place of the chain's kind among `kinds`.
        """
        return self.functions(q, kind) @ self.allocated()[kind] + self.confinement(q, kind)

    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Sum over all chains, kJ/mol; shape ()."""
        return self._over_chains(self.chain_energy, configuration)

    def linear_energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Sum over all chains of the functions alone, without confinement, kJ/mol; shape ()."""
        theta = self.allocated()
        return self._over_chains(lambda q, kind: self.functions(q, kind) @ theta[kind], configuration)

    def _over_chains(
        self, energy_of: Callable[[Array, Array], Array], configuration: Configuration
    ) -> Float[Array, ""]:
        self.allocated()

        def of_chain(x: Array, place: Array) -> Array:
            steps = steps_along(x, configuration.box)
            kind = jnp.minimum(place, len(self.kinds) - 1)
            energy = self.coordinate.weight(steps) * energy_of(self.coordinate.value(steps), kind)
            return jnp.asarray(jnp.where(place < len(self.kinds), energy, 0.0))

        members, places = self._chains(configuration)
        return jnp.sum(jax.vmap(of_chain)(configuration.positions[members], places))

    def basis_forces(self, configuration: Configuration) -> Float[Array, "bead dim feature"]:
        """Forces of the functions of every kind, kinds side by side."""
        kinds, features = self.allocated().shape

        def of_chain(x: Array, place: Array) -> Array:
            kind = jnp.minimum(place, kinds - 1)

            def steps_value(x: Array) -> tuple[Array, Array]:
                steps = steps_along(x, configuration.box)
                return self.coordinate.value(steps), self.coordinate.weight(steps)

            q, w = steps_value(x)
            dq, dw = jax.grad(lambda x: steps_value(x)[0])(x), jax.grad(lambda x: steps_value(x)[1])(x)
            b, slope = jax.jvp(lambda q: self.functions(q, kind), (q,), (jnp.ones_like(q),))
            force = -(w * dq[..., None] * slope + dw[..., None] * b)
            return jnp.asarray(jnp.where(place < kinds, force, 0.0))

        members, places = self._chains(configuration)
        rows = jax.vmap(of_chain)(configuration.positions[members], places)
        beads, dims = configuration.positions.shape
        forces = jnp.zeros((beads, kinds, dims, features), rows.dtype)
        forces = forces.at[members, jnp.minimum(places, kinds - 1)[:, None]].add(rows)
        return jnp.moveaxis(forces, 1, 2).reshape(beads, dims, kinds * features)

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Names of the kinds, and numbers of the functions."""
        chain = self.coordinate.chain
        count = 0 if self.coefficients is None else self.coefficients.shape[1]
        labels = {
            f"{chain}_type": kind_names(self.kinds, self.type_names),
            f"{chain}_function": np.arange(count),
        }
        return {"coefficients": labels}

    def coefficient_paths(self) -> tuple[str, ...]:
        """The coefficients are the features."""
        return ("coefficients",)

    def allocated(self) -> Float[Array, "kind feature"]:
        """The coefficients.

        Raises:
            BayescgError: the potential has not been prepared.
        """
        if self.coefficients is None:
            raise BayescgError(
                f"{type(self).__name__} has no coefficients yet. Put the model into a bayescg.Problem with "
                f"data of bonded beads, or call prepare with the {self.coordinate.chain}s that they have."
            )
        return self.coefficients

    def _chains(self, configuration: Configuration) -> tuple[Array, Array]:
        """Beads of every chain, and the place of its kind."""
        topology = configuration.topology
        return self.coordinate.members(topology), kind_places(self.coordinate, topology, self.kinds)


def sampled_kinds(
    coordinate: InternalCoordinate, support: Support, *, before: tuple[Sampled, ...], owner: str
) -> tuple[Sampled, ...]:
    """What the data say of a coordinate, one entry for every kind.

    Args:
        coordinate: which.
        support: of the data.
        before: of data that the potential was prepared for already: ranges join, its harmonic start stays.
        owner: name of the potential, for the error.

    Raises:
        BayescgError: the data hold no such chain.

    Example:
        >>> from bayescg.numerics.internal_coordinates import BOND
        >>> old = Sampled("bond", (0, 0), 0.2, 0.3, 0.25, 1e4)
        >>> new = Sampled("bond", (0, 0), 0.1, 0.2, 0.15, 9e3)
        >>> support = Support(("A",), (), internal=(new,))
        >>> found = sampled_kinds(BOND, support, before=(old,), owner="HarmonicBond")
        >>> found[0].lowest, found[0].center
        (0.1, 0.25)
    """
    same = (one for one in support.internal if one.coordinate == coordinate.name)
    joined = {kind: one._replace(kind=kind) for one in same for kind in [min(one.kind, one.kind[::-1])]}
    require(
        bool(joined),
        f"{owner} needs data with {coordinate.chain}s between beads, got none. Map atoms whose topology has "
        f"bonds to several beads a molecule, or set the variable {coordinate.chain} of the beads.",
    )
    for old in before:
        new = joined.get(old.kind, old)
        lowest, highest = min(old.lowest, new.lowest), max(old.highest, new.highest)
        joined[old.kind] = old._replace(lowest=lowest, highest=highest)
    return tuple(joined[kind] for kind in sorted(joined))
