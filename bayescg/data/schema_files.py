"""Trajectories of our own schema among others: joining files, selecting atoms."""

from pathlib import Path

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require
from bayescg.data.atoms import subset
from bayescg.data.selection import select_atoms
from bayescg.data.storage import read

NETCDF3 = b"CDF"
"""How AMBER's netCDF files begin; ours are HDF5 inside."""


def is_own_schema(path: Path) -> bool:
    """Whether the ending of a file is .npz or .nc, and it is not AMBER's kind of netCDF.

    Example:
        >>> is_own_schema(Path("water.npz"))
        True
    """
    if path.suffix.lower() == ".npz":
        return True
    if path.suffix.lower() not in (".nc", ".netcdf"):
        return False
    with path.open("rb") as file:
        return file.read(len(NETCDF3)) != NETCDF3


def read_own_schema(
    paths: list[Path], chunks: int | None, frames: slice, selection: str | None
) -> xr.Dataset:
    """Read and join files of our own schema.

    Args:
        paths: of the files.
        chunks: frames per lazy chunk; None reads everything now.
        frames: which frames of all joined ones to keep.
        selection: atoms to keep.

    Returns:
        The Dataset.

    Raises:
        BayescgError: the files do not fit together, or nothing is selected.
    """
    parts = [read(path, chunks=chunks) for path in paths]
    for number, part in enumerate(parts):
        if len(parts) > 1 or "trajectory" not in part:
            part["trajectory"] = "frame", np.full(part.sizes["frame"], number)
    dataset = parts[0]
    if len(parts) > 1:
        try:
            dataset = xr.concat(
                parts, "frame", data_vars="minimal", coords="minimal", compat="equals", join="exact"
            )
        except (ValueError, KeyError) as error:
            raise BayescgError(
                f"trajectory files must hold the same atoms and variables to be joined, but they do not: "
                f"{str(error).splitlines()[0]} Read them one by one."
            ) from error
    dataset = dataset.isel(frame=frames)
    require_frames(dataset.sizes["frame"], frames)
    if selection is None:
        return dataset
    chosen = select_atoms(dataset, selection)
    static = [
        name for name in ("name", "residue_name", "residue", "molecule", "mass", "bond") if name in dataset
    ]
    constrained = dataset.get("constrained")
    kept = subset(dataset[static], chosen)
    moving = dataset.drop_vars([*static, "constrained"], errors="ignore").isel(atom=chosen)
    if "bond" in kept and constrained is not None:
        inside = np.isin(dataset["bond"].to_numpy(), chosen).all(axis=1)
        kept["constrained"] = "bond", constrained.to_numpy()[inside]
    return moving.merge(kept)


def require_frames(count: int, frames: slice) -> None:
    """Raise if a slice of frames is empty.

    Example:
        >>> require_frames(3, slice(0, 3))
    """
    require(count > 0, f"frames must select at least one frame, got {frames}, which selects none. Widen it.")
