"""Files of our own schema: netCDF (several state points too) and npz."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require
from bayescg.data.dataset import site_dimension

ATTRIBUTES = "attributes"
"""Name of the array that holds the attributes in npz files."""

COMPRESSION = {"zlib": True, "complevel": 4, "shuffle": True}
"""Compression of the arrays in netCDF files: lossless."""

CHUNK_NUMBERS = 250_000
"""Numbers stored together in netCDF files: 1 MB in float32, read in one piece."""


def to_file(data: xr.Dataset | xr.DataTree, path: str | Path) -> Path:
    """Write atoms or beads.

    Args:
        data: a Dataset, or for netCDF a DataTree of state points.
        path: ending in `.nc` (netCDF, compressed) or `.npz`.

    Returns:
        The path.

    Raises:
        BayescgError: the ending is unknown, or npz is asked for a DataTree.

    Example:
        >>> import bayescg as bcg, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = to_file(bcg.data.water(frames=2), folder + "/water.nc")
        ...     read(path).sizes["bead"]
        510
    """
    path = Path(path)
    if path.suffix == ".npz" and isinstance(data, xr.Dataset):
        np.savez_compressed(path, allow_pickle=False, **_arrays(data))
    elif path.suffix == ".nc" and isinstance(data, xr.DataTree):
        data.to_netcdf(path, engine="h5netcdf")
    elif path.suffix == ".nc":
        encoding = {
            name: COMPRESSION | {"chunksizes": _stored_chunk(variable)}
            for name, variable in data.data_vars.items()
            if variable.size and variable.ndim and variable.dtype.kind in "fiu"
        }
        data.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    else:
        raise BayescgError(
            f"path must end in .nc, or in .npz for a single Dataset, got {path.name!r}. Rename the file."
        )
    return path


def read(path: str | Path, *, chunks: int | None = None) -> xr.Dataset:
    """Read atoms or beads of our own schema.

    Args:
        path: a `.nc` or `.npz` file written by `to_file`.
        chunks: frames per lazy chunk; None reads everything now. npz files are always read whole.

    Returns:
        The Dataset.

    Raises:
        BayescgError: the file is not of our schema.

    Example:
        >>> import bayescg as bcg, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = to_file(bcg.data.water(frames=2), folder + "/water.npz")
        ...     read(path).attrs["temperature"]
        300.0
    """
    path = Path(path)
    try:
        dataset = _read_npz(path) if path.suffix == ".npz" else _read_netcdf(path, chunks)
        site_dimension(dataset)
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise BayescgError(
            f"{path.name} must hold a Dataset of atoms or beads, but it does not: {error}. "
            "Write such files with bayescg.data.to_file."
        ) from error
    require(
        "position" in dataset,
        f"{path.name} must hold positions, got the variables {', '.join(map(str, dataset.data_vars))}. "
        "Write such files with bayescg.data.to_file.",
    )
    return dataset if path.suffix == ".nc" or chunks is None else dataset.chunk(frame=chunks)


def _stored_chunk(variable: xr.DataArray) -> tuple[int, ...]:
    """Whole frames, about as many as `CHUNK_NUMBERS` allows."""
    first, *others = variable.shape
    return (min(first, max(1, CHUNK_NUMBERS // int(np.prod(others)))), *others)


def _arrays(dataset: xr.Dataset) -> dict[str, np.ndarray]:
    """Every variable under its name, with its dims and units beside it."""
    arrays = {}
    for name, variable in dataset.variables.items():
        arrays[str(name)] = variable.to_numpy()
        kind = "coordinate" if name in dataset.coords else "variable"
        note = [kind, str(variable.attrs.get("units", "")), *map(str, variable.dims)]
        arrays[f"{name}:note"] = np.array(note)
    numbers = {k: v for k, v in dataset.attrs.items() if not isinstance(v, str)}
    texts = {k: v for k, v in dataset.attrs.items() if isinstance(v, str)}
    arrays[ATTRIBUTES] = np.array([[k, v] for k, v in texts.items()], dtype=str).reshape(-1, 2)
    return arrays | {f"{ATTRIBUTES}:{k}": np.asarray(v) for k, v in numbers.items()}


def _read_npz(path: Path) -> xr.Dataset:
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    variables, coordinates = {}, {}
    for name in [name.removesuffix(":note") for name in arrays if name.endswith(":note")]:
        kind, units, *dims = arrays[f"{name}:note"].tolist()
        target = coordinates if kind == "coordinate" else variables
        target[name] = (dims, arrays[name], {"units": units} if units else {})
    prefix = f"{ATTRIBUTES}:"
    attrs = {str(k): str(v) for k, v in arrays[ATTRIBUTES]}
    numbers = {k.removeprefix(prefix): v.item() for k, v in arrays.items() if k.startswith(prefix)}
    return xr.Dataset(variables, coordinates, attrs | numbers)


def _read_netcdf(path: Path, chunks: int | None) -> xr.Dataset:
    lazy = None if chunks is None else {}
    dataset = xr.open_dataset(path, engine="h5netcdf", chunks=lazy, decode_times=False)
    if chunks is None:
        with dataset:
            dataset = dataset.load()
    else:
        dataset = dataset.chunk(frame=chunks)
    for name, variable in dataset.variables.items():
        if variable.dtype.kind in "OT":
            dataset[name] = variable.dims, variable.to_numpy().astype(str), variable.attrs
        variable.encoding.clear()
    numbers = {k: v.item() for k, v in dataset.attrs.items() if isinstance(v, np.generic)}
    dataset.attrs.update(numbers)
    return dataset
