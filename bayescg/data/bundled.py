"""The trajectories that ship with the package."""

from importlib.resources import as_file, files

import numpy as np
import xarray as xr

from bayescg._checks import require, whole
from bayescg.data.storage import read


def water(frames: int | None = None) -> xr.Dataset:
    """Centers of mass of 510 rigid SPC/E waters at 300 K, with forces.

    151 frames, 2 ps apart, in a box of 2.48 nm; bayescg/data/files/README.md says how they were made.

    Args:
        frames: how many, evenly from the first to the last; None for all 151.

    Returns:
        Dataset of beads.

    Raises:
        BayescgError: more frames are asked for than there are.

    Example:
        >>> dict(water(frames=3).sizes)
        {'frame': 3, 'bead': 510, 'dim': 3}
    """
    with as_file(files("bayescg.data") / "files" / "water_spce_300K.nc") as path:
        beads = read(path)
    return beads if frames is None else beads.isel(frame=_chosen(beads, frames))


def water_temperatures(frames: int | None = None) -> list[xr.Dataset]:
    """Centers of mass of 510 rigid SPC/E waters at 280, 300, 320 and 340 K, with forces.

    24 frames of each, about 6 ps apart (300 K: 13 ps), in a box of 2.48 nm, from 10 ps after the
    configuration that all runs begin with; bayescg/data/files/README.md says how they were made.

    Args:
        frames: of each, evenly from the first to the last; None for all 24.

    Returns:
        One Dataset of beads for every temperature, in rising order.

    Raises:
        BayescgError: more frames are asked for than there are.

    Example:
        >>> [beads.attrs["temperature"] for beads in water_temperatures(frames=1)]
        [280.0, 300.0, 320.0, 340.0]
    """
    with as_file(files("bayescg.data") / "files" / "water_spce_temperatures.nc") as path:
        beads = read(path)
    points = [
        beads.isel(frame=np.flatnonzero(beads["state_temperature"].values == kelvin))
        .drop_vars("state_temperature")
        .assign_attrs(temperature=float(kelvin))
        for kelvin in np.unique(beads["state_temperature"].values)
    ]
    return points if frames is None else [point.isel(frame=_chosen(point, frames)) for point in points]


def water_dynamics(frames: int | None = None) -> xr.Dataset:
    """Centers of mass of 510 rigid SPC/E waters every 10 fs, positions and velocities, for their memory.

    500 frames (5 ps) of an NVE run in a box of 2.48 nm; its temperature, 294.45 K, is the kinetic one of the
    centers. bayescg/data/files/README.md says how they were made.

    Args:
        frames: how many, from the first on; None for all 500.

    Returns:
        Dataset of beads.

    Raises:
        BayescgError: more frames are asked for than there are.

    Example:
        >>> beads = water_dynamics(frames=3)
        >>> [float(t) for t in beads["time"]]
        [0.0, 0.01, 0.02]
    """
    with as_file(files("bayescg.data") / "files" / "water_dynamics_spce.nc") as path:
        beads = read(path)
    return beads if frames is None else beads.isel(frame=slice(_chosen(beads, frames).size))


def propanol(frames: int | None = None) -> xr.Dataset:
    """150 molecules of 1-propanol at 300 K as three beads each, C2H5-CH2-OH, with forces and bonds.

    101 frames, 1.5 ps apart, in a box of 2.68 nm; bayescg/data/files/README.md says how they were made.

    Args:
        frames: how many, evenly from the first to the last; None for all 101.

    Returns:
        Dataset of beads.

    Raises:
        BayescgError: more frames are asked for than there are.

    Example:
        >>> beads = propanol(frames=3)
        >>> beads.sizes["bead"], beads.sizes["bond"], beads.sizes["angle"]
        (450, 300, 150)
    """
    with as_file(files("bayescg.data") / "files" / "propanol_300K.nc") as path:
        beads = read(path)
    return beads if frames is None else beads.isel(frame=_chosen(beads, frames))


def _chosen(beads: xr.Dataset, frames: int) -> np.ndarray:
    count = beads.sizes["frame"]
    require(
        whole("frames", frames) <= count,
        f"frames must be at most the {count} that ship, got {frames}. Read a longer trajectory of your own.",
    )
    return _evenly(count, frames)


def _evenly(count: int, wanted: int) -> np.ndarray:
    return np.linspace(0, count - 1, wanted).round().astype(int)
