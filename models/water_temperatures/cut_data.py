"""Cut the water at four temperatures that ships with the package from atomistic runs.

    python cut_data.py spce.tpr folder water_spce_temperatures.nc

Reads spce_280K.trr, spce_300K.trr, spce_320K.trr and spce_340K.trr in the folder, maps 510 SPC/E waters to
their centers of mass and keeps 24 frames of each, rounded to 1e-4 nm and 0.1 kJ/mol/nm. All runs begin with
one configuration, which is of none of the other temperatures, so the first 10 ps are left out.
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

import bayescg as bcg

TEMPERATURES = (280, 300, 320, 340)
"""Of the runs, K."""

FRAMES = 24
"""Kept of each run, evenly."""

FORGOTTEN = 10.0
"""ps after which a run has forgotten its start; a water turns over in a few."""


def cut(topology: Path, folder: Path, output: Path) -> Path:
    """Write centers of mass and forces, all runs in a row, with the temperature of every frame.

    Args:
        topology: of the runs.
        folder: of the trajectories, with forces.
        output: netCDF file.

    Returns:
        Path of the file.
    """
    points = []
    for index, kelvin in enumerate(TEMPERATURES):
        atoms = bcg.read_trajectory(topology, folder / f"spce_{kelvin}K.trr", temperature=float(kelvin))
        beads = bcg.mapping.CenterOfMass(by="residue")(atoms.drop_vars("velocity"))
        first = int(np.searchsorted(beads["time"].values, FORGOTTEN))
        chosen = np.linspace(first, beads.sizes["frame"] - 1, FRAMES).round().astype(int)
        beads = beads.isel(frame=chosen)
        beads["trajectory"] = ("frame", np.full(FRAMES, index))
        beads["state_temperature"] = ("frame", np.full(FRAMES, float(kelvin)), {"units": "K"})
        points.append(beads)
    every = ("position", "force", "box", "trajectory", "state_temperature")
    joined = xr.concat(
        points, "frame", data_vars=list(every), coords="minimal", compat="override", join="override"
    )
    for name, digits in (("position", 4), ("force", 1)):
        attributes = joined[name].attrs
        joined[name] = (
            joined[name].astype(np.float64).round(digits).astype(np.float32).assign_attrs(attributes)
        )
    source = ", ".join(f"spce_{kelvin}K.trr" for kelvin in TEMPERATURES)
    return bcg.data.to_file(joined.assign_attrs(source=f"spce.tpr, {source}"), output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("topology", "folder", "output"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    print(cut(given.topology, given.folder, given.output))
