"""Atom selections: MDAnalysis' selection language on a Dataset of atoms."""

from typing import Any

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray
from bayescg.units import ANGSTROM


def select_atoms(atoms: xr.Dataset, selection: str) -> NumpyArray:
    """Indices of the atoms a selection names.

    Geometric selections (`around 5.0 ...`, in angstrom as MDAnalysis has it) look at the first frame.

    Args:
        atoms: a Dataset of atoms.
        selection: such as `"name CA"`, `"resname ALA and not name H*"`.

    Returns:
        Indices, ascending.

    Raises:
        BayescgError: the selection cannot be read, or is empty.

    Example:
        >>> import xarray as xr
        >>> names = {"name": ("atom", ["OW", "HW1"]), "residue": ("atom", [0, 0])}
        >>> zeros = ("atom", [0.0, 0.0])
        >>> position = (("frame", "atom", "dim"), [[[0.0, 0, 0], [0.1, 0, 0]]])
        >>> select_atoms(xr.Dataset({**names, "mass": zeros, "position": position}), "name OW").tolist()
        [0]
    """
    return select(_universe(atoms), selection, names=atoms["name"].to_numpy().astype(str))


def select(universe: Any, selection: str, *, names: NumpyArray) -> NumpyArray:
    """Indices of the atoms of an MDAnalysis Universe that a selection names.

    Args:
        universe: with positions where the selection needs them.
        selection: in MDAnalysis' language.
        names: of all atoms, for the message.

    Returns:
        Indices, ascending.

    Raises:
        BayescgError: the selection cannot be read, or is empty.
    """
    from MDAnalysis.exceptions import NoDataError, SelectionError

    try:
        chosen = universe.select_atoms(selection).indices
    except (SelectionError, NoDataError, AttributeError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BayescgError(
            f"selection must be in MDAnalysis' selection language, got {selection!r}: {reason}. "
            'Write it like "name CA" or "resname ALA and not name H*".'
        ) from error
    known = np.unique(names)
    listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    require(
        len(chosen) > 0,
        f"selection must name at least one atom, got {selection!r}, which names none. "
        f"The atom names are: {listed}.",
    )
    return np.sort(chosen)


def _universe(atoms: xr.Dataset) -> Any:
    import MDAnalysis

    count = atoms.sizes["atom"]
    residue = np.unique(atoms["residue"].to_numpy(), return_inverse=True)[1]
    first = np.unique(residue, return_index=True)[1]
    universe: Any = MDAnalysis.Universe.empty(
        count,
        n_residues=len(first),
        atom_resindex=residue,
        residue_segindex=np.zeros(len(first), dtype=int),
        trajectory=True,
    )
    universe.add_TopologyAttr("names", atoms["name"].to_numpy().astype(str))
    universe.add_TopologyAttr("masses", atoms["mass"].to_numpy())
    universe.add_TopologyAttr("resids", atoms["residue"].to_numpy()[first] + 1)
    if "residue_name" in atoms:
        universe.add_TopologyAttr("resnames", atoms["residue_name"].to_numpy().astype(str)[first])
    if "bond" in atoms:
        universe.add_TopologyAttr("bonds", atoms["bond"].to_numpy())
    universe.atoms.positions = atoms["position"][0].to_numpy() / ANGSTROM
    if "box" in atoms:
        universe.dimensions = [*(atoms["box"][0].to_numpy() / ANGSTROM), 90.0, 90.0, 90.0]
    return universe
