"""What a potential is evaluated on: one frame of beads, its neighbours, and what never changes."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from bayescg._checks import require
from bayescg._typing import Array, Float, Int


class Topology(eqx.Module):
    """What does not change from frame to frame.

    Attributes:
        types: index into `type_names` of every bead.
        masses: amu.
        molecules: index of the molecule every bead belongs to.
        bonds: pairs of bonded beads.
        type_names: name of every bead type, in order of first appearance.
        angles: three beads bonded in a row, the middle one second.
        dihedrals: four beads bonded in a row.
        excluded: for every bead the beads it has no nonbonded energy with, padded with the number of beads;
            every pair stands twice. Neighbours leave them out.
    """

    types: Int[Array, " bead"]
    masses: Float[Array, " bead"]
    molecules: Int[Array, " bead"]
    bonds: Int[Array, "bond 2"]
    type_names: tuple[str, ...] = eqx.field(static=True)
    angles: Int[Array, "angle 3"]
    dihedrals: Int[Array, "dihedral 4"]
    excluded: Int[Array, "bead partner"]

    def __init__(
        self,
        types: Int[Array, " bead"],
        masses: Float[Array, " bead"],
        molecules: Int[Array, " bead"],
        bonds: Int[Array, "bond 2"],
        type_names: tuple[str, ...],
        *,
        angles: Int[Array, "angle 3"] | None = None,
        dihedrals: Int[Array, "dihedral 4"] | None = None,
        excluded: Int[Array, "bead partner"] | None = None,
    ) -> None:
        self.types, self.masses, self.molecules = types, masses, molecules
        self.bonds, self.type_names = bonds, type_names
        self.angles = jnp.zeros((0, 3), jnp.int32) if angles is None else angles
        self.dihedrals = jnp.zeros((0, 4), jnp.int32) if dihedrals is None else dihedrals
        self.excluded = jnp.zeros((types.shape[0], 0), jnp.int32) if excluded is None else excluded


def _leaf(temperature: float | Float[Array, ""] | None) -> Float[Array, ""] | None:
    """An array, so that compiled programs serve every temperature."""
    return None if temperature is None else jnp.asarray(temperature)


class Configuration(eqx.Module):
    """One frame of beads with its neighbours.

    Attributes:
        positions: nm.
        box: edge lengths of the periodic orthorhombic cell, nm; None for an open system.
        neighbors: for every bead the beads within the cutoff that are not excluded (each pair stands
            twice), padded with the number of beads.
        topology: types, masses, bonds.
        temperature: of the ensemble that the frame is of, K, for potentials that depend on it; None where it
            is not known. A number becomes an array, so that another temperature compiles nothing anew.
    """

    positions: Float[Array, "bead dim"]
    box: Float[Array, " dim"] | None
    neighbors: Int[Array, "bead neighbor"]
    topology: Topology
    temperature: Float[Array, ""] | None = eqx.field(converter=_leaf, default=None)

    def at(self, temperature: float | Float[Array, ""]) -> "Configuration":
        """The same frame at another temperature, K."""
        return dataclasses.replace(self, temperature=temperature)


class Sampled(NamedTuple):
    """How the data sample the bonds (angles, dihedrals) between beads of given types.

    Attributes:
        coordinate: "bond", "angle", "cosine" (of the angle) or "dihedral".
        kind: bead types along the chain, read from the end that makes them smaller.
        lowest: smallest sampled value; nm, rad or 1.
        highest: largest.
        center: of the harmonic energy that Boltzmann inversion gives.
        stiffness: of it, kJ/mol per square unit.
    """

    coordinate: str
    kind: tuple[int, ...]
    lowest: float
    highest: float
    center: float
    stiffness: float


class Support(eqx.Module):
    """What a potential may know of the data before its coefficients are allocated.

    Attributes:
        type_names: name of every bead type.
        shortest: smallest sampled distance of every pair of types, nm, in the order of `type_pairs`;
            empty where a potential of single beads is all there is.
        lowest: smallest sampled value of every component of position; empty in space.
        highest: largest.
        period: of a variable that is periodic by itself, an angle say; None where it is not.
        thermal_energy: k_B T of the data, kJ/mol, the scale of a potential of mean force; None if unknown.
        internal: bonds, angles and dihedrals, one entry for every kind; empty where there are none.
    """

    type_names: tuple[str, ...] = eqx.field(static=True)
    shortest: tuple[float, ...] = eqx.field(static=True)
    lowest: tuple[float, ...] = eqx.field(static=True, default=())
    highest: tuple[float, ...] = eqx.field(static=True, default=())
    period: float | None = eqx.field(static=True, default=None)
    thermal_energy: float | None = eqx.field(static=True, default=None)
    internal: tuple[Sampled, ...] = eqx.field(static=True, default=())

    def check_types(self, prepared: tuple[str, ...]) -> None:
        """Raise where a potential was prepared for other bead types: its rows would change their meaning.

        Args:
            prepared: types that the potential was prepared for; empty where it was not.

        Raises:
            BayescgError: the types differ.

        Example:
            >>> Support(("A",), (0.3,)).check_types(())
        """
        require(
            prepared in ((), self.type_names),
            f"the potential was prepared for the bead types {prepared}, got data of {self.type_names}. "
            "Map all data to the same bead types, or build a new potential.",
        )


def type_pairs(count: int) -> tuple[tuple[int, int], ...]:
    """Every unordered pair of `count` bead types, (0, 0), (0, 1), ..., (1, 1), ...

    Example:
        >>> type_pairs(2)
        ((0, 0), (0, 1), (1, 1))
    """
    return tuple((i, j) for i in range(count) for j in range(i, count))


def type_pair_index(first: Int[Array, "..."], second: Int[Array, "..."], count: int) -> Int[Array, "..."]:
    """Place of a pair of types in `type_pairs(count)`, whatever their order.

    Example:
        >>> int(type_pair_index(jnp.array(1), jnp.array(0), 2))
        1
    """
    low, high = jnp.minimum(first, second), jnp.maximum(first, second)
    return low * count - low * (low - 1) // 2 + high - low


def minimum_image(
    displacement: Float[Array, "*shape dim"], box: Float[Array, " dim"] | None
) -> Float[Array, "*shape dim"]:
    """The shortest periodic image of a displacement, nm.

    Example:
        >>> minimum_image(jnp.array([1.5, 0.25, -1.25]), jnp.array([2.0, 2.0, 2.0])).tolist()
        [-0.5, 0.25, 0.75]
    """
    return displacement if box is None else displacement - box * jnp.round(displacement / box)


def neighbor_distances(
    configuration: Configuration,
) -> tuple[Float[Array, "bead neighbor"], Any]:
    """Distances to all neighbours, nm, and a mask that is False for padding (distance 1 there)."""
    positions, neighbors = configuration.positions, configuration.neighbors
    count = positions.shape[0]
    present = neighbors < count
    displacement = minimum_image(
        positions[jnp.minimum(neighbors, count - 1)] - positions[:, None], configuration.box
    )
    squared = jnp.sum(displacement**2, axis=-1)
    return jnp.sqrt(jnp.where(present, squared, 1.0)), present
