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
    if frames is None:
        return beads
    count = beads.sizes["frame"]
    require(
        whole("frames", frames) <= count,
        f"frames must be at most the {count} that ship, got {frames}. Read a longer trajectory of your own.",
    )
    return beads.isel(frame=_evenly(count, frames))


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
    count = beads.sizes["frame"]
    require(
        frames is None or whole("frames", frames) <= count,
        f"frames must be at most the {count} that ship, got {frames}. Read a longer trajectory of your own.",
    )
    return beads.isel(frame=slice(frames))


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
    count = beads.sizes["frame"]
    require(
        frames is None or whole("frames", frames) <= count,
        f"frames must be at most the {count} that ship, got {frames}. Read a longer trajectory of your own.",
    )
    return beads if frames is None else beads.isel(frame=_evenly(count, frames))


def _evenly(count: int, wanted: int) -> np.ndarray:
    return np.linspace(0, count - 1, wanted).round().astype(int)
