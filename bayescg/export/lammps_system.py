"""How LAMMPS counts what a topology holds: atom types, types of bonds, angles and dihedrals, exclusions.

Numbers begin with 1. Every bead type is an atom type of its own; beads of one type with different masses make
several. Bonds all count, because exclusions follow from them; angles and dihedrals only where they have an
energy. Exclusions are given by bonds alone: `special_bonds` leaves out pairs up to one, two or three
bonds apart, and what a topology excludes must be one of these.
"""

from typing import NamedTuple

import numpy as np

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray
from bayescg.export.curves import CHAINS, Terms, kinds_in
from bayescg.interfaces import Topology
from bayescg.numerics.bond_graph import partners_within
from bayescg.numerics.internal_coordinates import kind_names, kind_places, kinds_of

SPECIAL_BONDS = {0: "1 1 1", 1: "0 1 1", 2: "0 0 1", 3: "0 0 0"}
"""Weights of the nonbonded energy of beads one, two and three bonds apart, by the most bonds that exclude."""


class Chains(NamedTuple):
    """The bonds, angles or dihedrals of a system.

    Attributes:
        name: "bond", "angle" or "dihedral".
        kinds: bead types along every kind; LAMMPS's type is the place here, plus one.
        names: of the kinds.
        members: (term, place) beads, from zero.
        types: (term,) place of the kind.
    """

    name: str
    kinds: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]
    members: NumpyArray
    types: NumpyArray


class LammpsSystem(NamedTuple):
    """A topology as LAMMPS counts it.

    Attributes:
        atoms: (bead,) atom type of every bead, from zero.
        types: bead type and mass (amu) of every atom type.
        names: of the bead types.
        molecules: (bead,) from zero.
        chains: bonds, angles and dihedrals, as far as there are any.
        special: argument of `special_bonds lj/coul`.
    """

    atoms: NumpyArray
    types: tuple[tuple[int, float], ...]
    names: tuple[str, ...]
    molecules: NumpyArray
    chains: tuple[Chains, ...]
    special: str


def lammps_system(topology: Topology, terms: Terms) -> LammpsSystem:
    """Count types, chains and exclusions.

    Args:
        topology: with masses.
        terms: of the potential.

    Raises:
        BayescgError: a bead without a mass, or exclusions that do not follow from the bonds.

    Example:
        >>> import bayescg as bcg
        >>> spline = bcg.potentials.PairSpline(cutoff=0.9)
        >>> beads = bcg.data.topology(bcg.data.water(frames=1))
        >>> lammps_system(beads, Terms((spline,), (), 0.9)).special
        '1 1 1'
    """
    masses, kinds = np.asarray(topology.masses, float), np.asarray(topology.types)
    require(
        bool((np.isfinite(masses) & (masses > 0)).all()),
        f"mass must be positive and finite for every bead, got {masses.min()} amu. "
        "Map the beads from a topology with masses, or set beads['mass'].",
    )
    pairs = [(int(kind), float(mass)) for kind, mass in zip(kinds, masses, strict=True)]
    types = tuple(sorted(set(pairs)))
    place = {pair: index for index, pair in enumerate(types)}
    chains = (_chains(name, topology, terms) for name in CHAINS)
    return LammpsSystem(
        np.array([place[pair] for pair in pairs]),
        types,
        topology.type_names,
        np.asarray(topology.molecules),
        tuple(found for found in chains if len(found.members)),
        SPECIAL_BONDS[_separation(topology)],
    )


def _chains(name: str, topology: Topology, terms: Terms) -> Chains:
    coordinate = CHAINS[name]
    kinds = kinds_of(coordinate, topology) if name == "bond" else kinds_in(terms.chains, name, topology)
    members = np.asarray(coordinate.members(topology))
    places = np.asarray(kind_places(coordinate, topology, kinds))
    kept = places < len(kinds)
    return Chains(name, kinds, tuple(kind_names(kinds, topology.type_names)), members[kept], places[kept])


def _separation(topology: Topology) -> int:
    """Most bonds between beads that are excluded from each other's neighbours."""
    beads, excluded = len(topology.types), np.asarray(topology.excluded)
    wanted = _partners(excluded, beads)
    for separation in SPECIAL_BONDS:
        found = partners_within(beads, np.asarray(topology.bonds), separation=separation)
        if _partners(found, beads) == wanted:
            return separation
    raise BayescgError(
        "excluded pairs must be those up to one, two or three bonds apart to run in LAMMPS, got others. "
        "Set attrs['excluded_bonds'] of the beads to 0, 1, 2 or 3, or simulate with engine='jax-md'."
    )


def _partners(excluded: NumpyArray, beads: int) -> set[tuple[int, int]]:
    bead, column = np.nonzero(excluded < beads)
    return set(zip(bead.tolist(), excluded[bead, column].tolist(), strict=True))
