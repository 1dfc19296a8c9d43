"""Where beads come from: the trajectory that ships, or the user's own files through a map."""

import dataclasses
from typing import Any

import xarray as xr

from bayescg import data
from bayescg._checks import BayescgError, require
from bayescg.cli.settings import Settings
from bayescg.data import mapping

MAPS = "residue, molecule, geometry:residue, geometry:molecule, slice:SELECTION, beads"


def own_beads(settings: Settings) -> xr.Dataset:
    """Read a user's trajectory and map it.

    Raises:
        BayescgError: trajectory or temperature are missing, or the data are bad.

    Example:
        >>> own_beads(Settings())
        Traceback (most recent call last):
        ...
        bayescg._checks.BayescgError: trajectory must name at least one file, got none. ...
    """
    require(
        bool(settings.trajectory),
        "trajectory must name at least one file, got none. Give --trajectory, or trajectory in the config "
        "file.",
    )
    chosen = mapping_of(settings.map)
    if settings.temperature is None:
        raise BayescgError(
            "temperature must be given, got none. Give --temperature in K, or temperature in the config file."
        )
    atoms = data.read_trajectory(
        settings.topology,
        list(settings.trajectory),
        temperature=settings.temperature,
        units=settings.units,
        selection=settings.selection,
        frames=_slice(settings.frames),
    )
    return atoms if chosen is None else chosen(atoms)


def own_dynamics(settings: Settings) -> xr.Dataset | None:
    """Read a user's trajectory of velocities and map it; None where there is none.

    Example:
        >>> own_dynamics(Settings()) is None
        True
    """
    if not settings.dynamics:
        return None
    return own_beads(dataclasses.replace(settings, trajectory=settings.dynamics))


def mapping_of(name: Any) -> Any:
    """The map that a setting names; None for data that are beads already.

    Args:
        name: as in the settings; a dictionary goes from bead name to atom names.

    Raises:
        BayescgError: an unknown name.

    Example:
        >>> type(mapping_of("slice:name CA")).__name__
        'AggregatedForces'
    """
    if isinstance(name, dict):
        return mapping.CenterOfMass(by=name)
    head, _, tail = str(name).partition(":")
    match head, tail:
        case (("residue" | "molecule"), ""):
            return mapping.CenterOfMass(by=head)
        case "geometry", ("residue" | "molecule"):
            return mapping.CenterOfGeometry(by=tail)
        case "slice", selection if selection:
            # equal to the plain slice where no rigid bonds join the atoms to others
            return mapping.AggregatedForces(mapping.Slice(selection))
        case "beads", "":
            return None
        case _:
            raise BayescgError(
                f"map must be one of {MAPS}, got {name!r}. For beads of your own give a table in the "
                "config file."
            )


def _slice(text: str | None) -> slice | None:
    """`begin:end:step` as Python reads it."""
    if text is None:
        return None
    try:
        parts = [int(part) if part else None for part in text.split(":")]
    except ValueError:
        parts = []
    if not 2 <= len(parts) <= 3:
        raise BayescgError(f"frames must be begin:end or begin:end:step, got {text!r}. For example 100::2.")
    return slice(*parts)
