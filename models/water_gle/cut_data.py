"""Cut the fast water trajectory that ships with the package from the full one.

    python cut_data.py water_dynamics.nc water_dynamics_spce.nc

Keeps the first 500 frames (5 ps) of centers of mass, positions and velocities, rounded to 1e-4 nm and
1e-4 nm/ps and stored as 16-bit integers. The run is NVE; its temperature is the kinetic one of the centers.
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

FRAMES = 500
"""5 ps: the memory of water's centers of mass decays within 1 ps."""

RESOLUTION = 1e-4
"""nm and nm/ps: 0.03% of a thermal velocity."""


def cut(source: Path, output: Path) -> Path:
    """Write the first frames, rounded.

    Args:
        source: netCDF of positions, velocities, box, mass.
        output: netCDF file.

    Returns:
        Path of the file.
    """
    full = xr.open_dataset(source)
    beads = full[["position", "velocity", "box", "mass"]].isel(frame=slice(FRAMES)).load()
    beads.attrs = {
        "temperature": float(full.attrs["kinetic_temperature_of_the_centers"]),
        "source": "510 rigid SPC/E waters, GROMACS 2022.5, NVE, one frame every 10 fs",
        "mapping": "CenterOfMass(by='residue')",
    }
    beads["type"] = ("bead", np.full(beads.sizes["bead"], "SOL"))
    for name, units in (("position", "nm"), ("velocity", "nm/ps"), ("box", "nm"), ("mass", "amu")):
        beads[name].attrs["units"] = units
    beads["time"].attrs["units"] = "ps"
    packed = {
        "dtype": "int16",
        "_FillValue": np.iinfo(np.int16).min,
        "scale_factor": RESOLUTION,
        "zlib": True,
        "complevel": 9,
        "shuffle": True,
        "chunksizes": (FRAMES, 51, 3),
    }
    beads.to_netcdf(output, engine="h5netcdf", encoding={"position": packed, "velocity": packed})
    return output


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("source", "output"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    print(cut(given.source, given.output))
