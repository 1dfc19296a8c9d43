"""Which beads are bonded, and what follows: angles, dihedrals and exclusions.

A mapping bonds two beads where a bond of the atoms joins them, and writes the angles and dihedrals of that
graph beside it. Whoever wants fewer (a ring's, say) removes rows of `angle` or `dihedral`; a Dataset
with bonds alone gets all of them. Nonbonded energies leave out beads up to `excluded_bonds` bonds apart.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require, whole
from bayescg._typing import NumpyArray
from bayescg.numerics.bond_graph import bond_angles, bond_dihedrals, partners_within

EXCLUDED_BONDS = 2
"""Bonded beads and those that share a bonded one: their bond and angle terms hold all of their energy."""

CHAINS = {"bond": ("end", 2), "angle": ("corner", 3), "dihedral": ("place", 4)}
"""Second dimension and length of every kind of chain of beads."""


class Connectivity(NamedTuple):
    """Chains of bonded beads, and who has no nonbonded energy with whom.

    Attributes:
        bonds: (bond, 2).
        angles: (angle, 3).
        dihedrals: (dihedral, 4).
        excluded: (bead, partner), padded with the number of beads.
    """

    bonds: NumpyArray
    angles: NumpyArray
    dihedrals: NumpyArray
    excluded: NumpyArray


def connectivity(beads: xr.Dataset) -> Connectivity:
    """The chains of a Dataset; angles and dihedrals derived from its bonds where it holds none.

    Args:
        beads: valid.

    Example:
        >>> bonds = (("bond", "end"), [[0, 1], [1, 2]])
        >>> found = connectivity(xr.Dataset({"mass": ("bead", [1.0, 1.0, 1.0]), "bond": bonds}))
        >>> found.angles.tolist(), found.excluded.tolist()
        ([[0, 1, 2]], [[1, 2], [0, 2], [0, 1]])
    """
    bonds = _chains(beads, "bond")
    bonds = np.zeros((0, 2), dtype=np.int64) if bonds is None else bonds
    angles, dihedrals = _chains(beads, "angle"), _chains(beads, "dihedral")
    return Connectivity(
        bonds,
        bond_angles(bonds) if angles is None else angles,
        bond_dihedrals(bonds) if dihedrals is None else dihedrals,
        partners_within(beads.sizes["bead"], bonds, separation=excluded_bonds(beads)),
    )


def excluded_bonds(beads: xr.Dataset) -> int:
    """Most bonds between two beads without nonbonded energy.

    Raises:
        BayescgError: the attribute is not a whole number.

    Example:
        >>> excluded_bonds(xr.Dataset())
        2
    """
    return whole(
        "excluded_bonds",
        beads.attrs.get("excluded_bonds", EXCLUDED_BONDS),
        minimum=0,
        remedy="Set attrs['excluded_bonds'] to 3 to leave out pairs 1-4 too, to 0 to leave out none.",
    )


def with_angles(beads: xr.Dataset) -> xr.Dataset:
    """The Dataset with angles and dihedrals of its bonds written out, where it has any.

    Example:
        >>> beads = xr.Dataset({"bond": (("bond", "end"), [[0, 1], [1, 2]])})
        >>> with_angles(beads)["angle"].values.tolist()
        [[0, 1, 2]]
    """
    bonds = _chains(beads, "bond")
    found = {} if bonds is None else {"angle": bond_angles(bonds), "dihedral": bond_dihedrals(bonds)}
    return beads.assign({name: ((name, CHAINS[name][0]), rows) for name, rows in found.items() if len(rows)})


def check_connectivity(dataset: xr.Dataset, site: str) -> None:
    """Raise unless all chains are of different sites that exist.

    Args:
        dataset: atoms or beads.
        site: "atom" or "bead".

    Raises:
        BayescgError: a chain of another length, a site that does not exist, or one twice in a chain.

    Example:
        >>> bonds = (("bond", "end"), [[0, 1]])
        >>> check_connectivity(xr.Dataset({"mass": ("bead", [1.0, 1.0]), "bond": bonds}), "bead")
    """
    excluded_bonds(dataset)
    count = dataset.sizes[site]
    for name, (dimension, length) in CHAINS.items():
        chains = _chains(dataset, name)
        if chains is None:
            continue
        require(
            chains.shape[1] == length and chains.dtype.kind in "iu",
            f"{name} must hold {length} whole numbers along {dimension}, got {chains.shape[1]} of type "
            f"{chains.dtype}. Give indices of {site}s.",
        )
        outside = np.flatnonzero(((chains < 0) | (chains >= count)).any(axis=1))
        if outside.size:
            raise BayescgError(
                f"{name} must name {site}s from 0 to {count - 1}, got {chains[outside[0]].tolist()} in row "
                f"{outside[0]}. Renumber the rows where {site}s were left out, or drop the variable."
            )
        sites = np.sort(chains, axis=1)
        twice = np.flatnonzero((sites[:, 1:] == sites[:, :-1]).any(axis=1))
        require(
            not twice.size,
            f"{name} must join different {site}s, got {chains[twice[:1]].tolist()} in row "
            f"{twice[:1].tolist()}. Remove the row.",
        )


def _chains(dataset: xr.Dataset, name: str) -> NumpyArray | None:
    if name not in dataset.variables:
        return None
    return dataset[name].transpose(name, CHAINS[name][0]).to_numpy()
