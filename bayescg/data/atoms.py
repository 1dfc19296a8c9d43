"""Who the atoms are: names, residues, molecules, masses, bonds."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, BayescgWarning
from bayescg._typing import NumpyArray
from bayescg.data.molecules import components, in_order
from bayescg.data.unit_systems import UnitSystem, unit_system
from bayescg.units import UNITS


def read_topology(path: Path, units: str | UnitSystem | None) -> tuple[xr.Dataset, Any]:
    """Read who the atoms are from any topology MDAnalysis reads.

    Args:
        path: of the file.
        units: of a LAMMPS data file, whose masses they scale.

    Returns:
        Dataset of name, residue_name, residue, molecule, mass and, where the file has them, bond; and the
        MDAnalysis Universe without positions, for selections.

    Raises:
        BayescgError: the file cannot be read.

    Warns:
        BayescgWarning: the file has no masses, and they were guessed from the names.
    """
    import MDAnalysis
    from MDAnalysis.topology.core import get_parser_for

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="MDAnalysis")
        try:
            # the parser alone: a Universe would read the coordinates of the topology too
            with get_parser_for(str(path))(str(path)) as parser:
                parsed = parser.parse()
            universe: Any = MDAnalysis.Universe(parsed, to_guess=())
        except (ValueError, OSError, TypeError, RuntimeError, IndexError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise BayescgError(
                f"topology must be a file MDAnalysis can read (.tpr, .gro, .pdb, .psf, LAMMPS .data, ...), "
                f"got {path.name}: {reason}. Check the ending and that the file is whole."
            ) from error
        known = {attribute.attrname for attribute in parsed.attrs}
        guessed = "masses" not in known
        if guessed:
            universe.guess_TopologyAttrs(to_guess=["types", "masses"])
    atoms = universe.atoms
    masses = atoms.masses.astype(np.float64)
    names = atoms.names if "names" in known else atoms.types
    if guessed:
        _warn_guessed(path, names, masses)
    elif path.suffix.lower() == ".data" and units is not None:
        masses = masses * unit_system(units, file=path.name).mass
    residues = in_order(atoms.resindices)
    bonds = universe.bonds.indices if "bonds" in known else np.zeros((0, 2))
    bonds = np.sort(bonds.astype(np.int64), axis=1)
    if "molnums" in known:
        molecules = in_order(atoms.molnums)
    else:
        molecules = components(len(atoms), bonds) if len(bonds) else residues
    named = "resnames" in known
    residue_names = atoms.resnames if named else _unnamed(np.asarray(names, dtype=str), residues)
    return describe(names, residue_names, residues, molecules, masses, bonds), universe


def describe(
    names: NumpyArray,
    residue_names: NumpyArray,
    residues: NumpyArray,
    molecules: NumpyArray,
    masses: NumpyArray,
    bonds: NumpyArray,
) -> xr.Dataset:
    """Collect what is known of atoms in the schema's variables.

    Example:
        >>> import numpy as np
        >>> zero, none = np.zeros(1, dtype=int), np.zeros((0, 2), dtype=int)
        >>> sorted(describe(np.array(["O"]), np.array(["W"]), zero, zero, np.array([16.0]), none))
        ['mass', 'molecule', 'name', 'residue', 'residue_name']
    """
    dataset = xr.Dataset(
        {
            "name": ("atom", np.asarray(names, dtype=str)),
            "residue_name": ("atom", np.asarray(residue_names, dtype=str)),
            "residue": ("atom", residues),
            "molecule": ("atom", molecules),
            "mass": ("atom", masses, {"units": UNITS["mass"]}),
        }
    )
    return dataset.assign(bond=(("bond", "end"), bonds)) if len(bonds) else dataset


def from_columns(columns: dict[str, NumpyArray]) -> xr.Dataset:
    """Who the atoms are from the columns of an extended XYZ file.

    Args:
        columns: text, by our names.

    Returns:
        As `read_topology`. Without residues all atoms are one residue "MOL".

    Example:
        >>> import numpy as np
        >>> from_columns({"name": np.array(["O"]), "mass": np.array(["16.0"])})["mass"].to_numpy().tolist()
        [16.0]
    """
    names = columns.get("name")
    if names is None:
        raise BayescgError("names must be given, got an extended XYZ file without species. Give a topology.")
    count = len(names)
    residues = in_order(columns.get("residue", np.zeros(count)))
    residue_names = columns.get("residue_name", np.full(count, "MOL"))
    masses = columns["mass"].astype(np.float64) if "mass" in columns else _element_masses(names)
    return describe(names, residue_names, residues, residues, masses, np.zeros((0, 2), dtype=np.int64))


def subset(atoms: xr.Dataset, chosen: NumpyArray) -> xr.Dataset:
    """Keep some atoms, renumbering residues, molecules and bonds.

    Example:
        >>> import numpy as np
        >>> one, none = np.array([0, 1]), np.array([[0, 1]])
        >>> names = np.array(["O", "H"])
        >>> both = describe(names, names, one, one, np.ones(2), none)
        >>> subset(both, np.array([1]))["residue"].to_numpy().tolist()
        [0]
    """
    kept = atoms.drop_dims("bond", errors="ignore").isel(atom=chosen)
    for name in ("residue", "molecule"):
        kept[name] = "atom", in_order(kept[name].to_numpy())
    if "bond" not in atoms:
        return kept
    place = np.full(atoms.sizes["atom"], -1)
    place[chosen] = np.arange(len(chosen))
    bonds = place[atoms["bond"].to_numpy()]
    bonds = bonds[(bonds >= 0).all(axis=1)]
    return kept.assign(bond=(("bond", "end"), bonds)) if len(bonds) else kept


def _unnamed(names: NumpyArray, residues: NumpyArray) -> NumpyArray:
    """Residue names where the file has none: "MOL", numbered by kind where there are several kinds."""
    order = np.argsort(residues, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(residues[order])) + 1)
    kinds: dict[tuple[str, ...], int] = {}
    labels = np.empty(len(names), dtype=np.int64)
    for part in parts:
        labels[part] = kinds.setdefault(tuple(names[part]), len(kinds) + 1)
    return np.array([f"MOL{label}" if len(kinds) > 1 else "MOL" for label in labels])


def _element_masses(names: NumpyArray) -> NumpyArray:
    from MDAnalysis.guesser.tables import masses

    return np.array([masses.get(str(name), masses.get(str(name).capitalize(), np.nan)) for name in names])


def _warn_guessed(path: Path, names: NumpyArray, masses: NumpyArray) -> None:
    seen = {str(name): float(mass) for name, mass in zip(names, masses, strict=True)}
    listed = ", ".join(f"{name} {mass:.3f}" for name, mass in list(seen.items())[:12])
    warnings.warn(
        f"{path.name} has no masses; they were guessed from the atom names: {listed}. "
        "Give a topology with masses (.tpr, .psf, LAMMPS .data) or set the variable mass.",
        BayescgWarning,
        stacklevel=4,
    )
