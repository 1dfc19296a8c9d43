"""Read trajectories: topology and frames into one Dataset of atoms.

Topologies and all formats but our own go through MDAnalysis; units become nm, ps, amu, kJ/mol here and
nowhere else. Which bonds are rigid is found from the frames (`bayescg.data.constraints`).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, positive, require, whole
from bayescg._typing import NumpyArray
from bayescg.data.atoms import from_columns, read_topology, subset
from bayescg.data.constraints import SAMPLED_FRAMES, mark_rigid
from bayescg.data.extended_xyz import ExtendedXYZFrames, is_extended_xyz, open_extended_xyz
from bayescg.data.frame_source import AbstractFrameSource, lazy_frames, read_frames
from bayescg.data.gromacs import open_gromacs
from bayescg.data.kinetic import warn_if_inconsistent
from bayescg.data.other_formats import open_other
from bayescg.data.schema_files import is_own_schema, read_own_schema, require_frames
from bayescg.data.selection import select, select_atoms
from bayescg.data.unit_systems import UnitSystem
from bayescg.units import ANGSTROM, UNITS

PathLike = str | Path

HASHED_BYTES = 1 << 20
"""Bytes at the start and the end of a file that go into its hash, with its size."""


def read_trajectory(
    topology: PathLike | None,
    trajectory: PathLike | Sequence[PathLike],
    *,
    temperature: float | None = None,
    units: str | UnitSystem | None = None,
    timestep: float | None = None,
    chunks: int | None = None,
    frames: slice | None = None,
    selection: str | None = None,
) -> xr.Dataset:
    """Read an atomistic trajectory.

    Formats: TRR, XTC, DCD, LAMMPS dump, H5MD, extended XYZ and whatever else MDAnalysis reads; npz and
    netCDF of our own schema (`bayescg.data.to_file`).

    Args:
        topology: file with names, masses, bonds, such as .tpr; None for extended XYZ and our own files.
        trajectory: a file, or several, which are joined in order; the variable `trajectory` says which
            file a frame comes from.
        temperature: the run was done at, K.
        units: of files that do not say their own (LAMMPS dump, extended XYZ): "real", "metal", "nano",
            "gromacs", or a `bayescg.data.UnitSystem`.
        timestep: between two integration steps, ps; LAMMPS dumps count steps, and have no time without it.
        chunks: frames per chunk of lazy dask arrays; None reads everything now.
        frames: which frames of all joined ones to read, such as slice(100, None, 2).
        selection: atoms to keep, in MDAnalysis' language, such as "not resname SOL".

    Returns:
        Dataset of atoms (schema: `bayescg.data.dataset`); nm, ps, amu, kJ/mol; float32 as in the files.

    Raises:
        BayescgError: a file is missing, unreadable or does not fit the topology; units are missing; the
            box is not rectangular; nothing is selected.

    Warns:
        BayescgWarning: a file breaks off within a frame; masses were guessed; the velocities do not show
            the temperature.

    Example:
        >>> import bayescg as bcg, tempfile
        >>> water = bcg.data.synthetic.rigid_water(frames=3, molecules=4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = bcg.data.to_file(water, folder + "/water.nc")
        ...     dict(read_trajectory(None, path, frames=slice(1, None)).sizes)
        {'frame': 2, 'atom': 12, 'dim': 3, 'bond': 8, 'end': 2}
    """
    paths = _existing("trajectory", [trajectory] if isinstance(trajectory, str | Path) else list(trajectory))
    frames = slice(None) if frames is None else frames
    chunks = None if chunks is None else whole("chunks", chunks, remedy="Give frames per chunk, or None.")
    if temperature is not None:
        positive("temperature", temperature, unit="K", remedy="Give the temperature of the run.")
    if timestep is not None:
        positive("timestep", timestep, unit="ps", remedy="Give the time between two integration steps.")
    if all(is_own_schema(path) for path in paths):
        dataset = read_own_schema(paths, chunks, frames, selection)
        sources = paths
    else:
        dataset = _read_theirs(topology, paths, units, timestep, chunks, frames, selection)
        sources = [*([] if topology is None else [Path(topology)]), *paths]
    dataset.attrs["source"] = ", ".join(path.name for path in sources)
    dataset.attrs["source_hash"] = _hash(sources)
    if temperature is not None:
        dataset.attrs["temperature"] = float(temperature)
    if "temperature" in dataset.attrs and "velocity" in dataset and bool((dataset["mass"] > 0).all()):
        warn_if_inconsistent(dataset)
    return dataset


def _existing(name: str, given: Sequence[PathLike]) -> list[Path]:
    require(bool(given), f"{name} must name at least one file, got none. Give a path or a list of paths.")
    paths = [Path(path) for path in given]
    for path in paths:
        require(path.is_file(), f"{name} must be a file that exists, got {str(path)!r}. Check the path.")
    return paths


def _read_theirs(
    topology: PathLike | None,
    paths: list[Path],
    units: str | UnitSystem | None,
    timestep: float | None,
    chunks: int | None,
    frames: slice,
    selection: str | None,
) -> xr.Dataset:
    sources = [_open(path, units, timestep) for path in paths]
    if topology is None:
        first = sources[0]
        if not isinstance(first, ExtendedXYZFrames):
            raise BayescgError(
                f"topology must be given for {paths[0].name}, got None: the file does not name its atoms. "
                "Give a file with names, masses and bonds, such as .tpr, .psf or LAMMPS .data."
            )
        atoms, universe, name = from_columns(first.columns()), None, first.path.name
    else:
        (path,) = _existing("topology", [topology])
        (atoms, universe), name = read_topology(path, units), path.name
    _check_sources(sources, atoms.sizes["atom"], name)
    counts = [source.frames for source in sources]
    files = np.repeat(np.arange(len(sources)), counts)[frames]
    numbers = np.concatenate([np.arange(count) for count in counts])[frames]
    require_frames(len(files), frames)
    chosen = None
    if selection is not None:
        chosen = _choose(universe, sources, atoms, selection)
        atoms = subset(atoms, chosen)
    if chunks is None:
        arrays = read_frames(sources, files, numbers, chosen)
        sample = {name: array[_spread(len(files))] for name, array in arrays.items()}
    else:
        arrays = lazy_frames(sources, files, numbers, chosen, chunks)
        looked_at = _spread(min(len(files), 10 * chunks))
        sample = read_frames(sources, files[looked_at], numbers[looked_at], chosen)
    dataset = mark_rigid(
        atoms, sample["position"], sample.get("box"), precision=max(source.precision for source in sources)
    )
    dims = {"time": ("frame",), "box": ("frame", "dim")}
    variables = {
        name: (dims.get(name, ("frame", "atom", "dim")), array, {"units": UNITS[name]})
        for name, array in arrays.items()
    }
    coords = {"dim": list("xyz"), **({"time": variables.pop("time")} if "time" in variables else {})}
    return dataset.assign(variables | {"trajectory": ("frame", files)}).assign_coords(coords)


def _open(path: Path, units: str | UnitSystem | None, timestep: float | None) -> AbstractFrameSource:
    if path.suffix.lower() in (".trr", ".xtc"):
        return open_gromacs(path)
    if is_extended_xyz(path):
        return open_extended_xyz(path, units)
    return open_other(path, units, timestep)


def _check_sources(sources: Sequence[AbstractFrameSource], atoms: int, topology: str) -> None:
    for source in sources:
        require(
            source.atoms == atoms,
            f"trajectory must have the atoms of the topology, got {source.atoms} atoms in {source.path.name} "
            f"and {atoms} in {topology}. Give the topology the trajectory was run with, or one of the same "
            "part of the system (gmx convert-tpr for a trajectory of a group).",
        )
        require(
            source.fields == sources[0].fields,
            f"trajectory files must hold the same quantities to be joined, got {', '.join(source.fields)} in "
            f"{source.path.name} and {', '.join(sources[0].fields)} in {sources[0].path.name}. "
            "Read them one by one.",
        )


def _choose(
    universe: Any, sources: Sequence[AbstractFrameSource], atoms: xr.Dataset, selection: str
) -> NumpyArray:
    """Select atoms; geometric selections look at the first frame."""
    zero = np.zeros(1, dtype=int)
    first = read_frames(sources, zero, zero, None)
    if universe is None:
        frame = {"position": (("frame", "atom", "dim"), first["position"])}
        return select_atoms(atoms.assign(frame), selection)
    box = first.get("box")
    dimensions = None if box is None else np.append(box[0] / ANGSTROM, [90.0, 90.0, 90.0])
    universe.load_new(first["position"] / ANGSTROM, dimensions=dimensions)
    return select(universe, selection, names=atoms["name"].to_numpy().astype(str))


def _spread(count: int) -> NumpyArray:
    """Numbers of frames to look at for rigid bonds."""
    return np.unique(np.linspace(0, count - 1, SAMPLED_FRAMES).round().astype(int))


def _hash(paths: Sequence[Path]) -> str:
    """Fingerprint of files: their sizes, first and last bytes."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(str(size).encode())
        with path.open("rb") as file:
            digest.update(file.read(HASHED_BYTES))
            file.seek(max(0, size - HASHED_BYTES))
            digest.update(file.read(HASHED_BYTES))
    return digest.hexdigest()
