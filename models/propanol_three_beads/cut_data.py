"""Map the atomistic run of 1-propanol to three beads a molecule and cut what ships with the package.

    python cut_data.py propanol.tpr propanol_300K.trr propanol_300K.nc

Keeps every third frame (1.5 ps apart), positions rounded to 1e-4 nm and forces to 1 kJ/mol/nm, stored as
16-bit integers. The stiffest bond fluctuates by 3e-3 nm and forces scatter by 300 kJ/mol/nm and more about
their mean: rounding adds less than 1e-4 to either variance.
"""

import argparse
from pathlib import Path

import numpy as np

import bayescg as bcg

BEADS = {"C2H5": range(7), "CH2": range(7, 10), "OH": range(10, 12)}
"""Places of the atoms of every bead in a molecule: CH3, CH2, CH2(-O), O, H."""

EVERY = 3
"""Frames to the next one that is kept."""

STEPS = {"position": 1e-4, "force": 1.0}
"""Resolution, nm and kJ/mol/nm."""


def cut(topology: Path, trajectory: Path, output: Path) -> Path:
    """Write the beads.

    Args:
        topology: .tpr of the run.
        trajectory: .trr with forces.
        output: netCDF file.

    Returns:
        Path of the file.
    """
    atoms = bcg.read_trajectory(topology, trajectory, temperature=300.0)
    mapping = bcg.mapping.CenterOfMass(by={name: list(places) for name, places in BEADS.items()})
    beads = mapping(atoms).drop_vars("velocity").isel(frame=slice(None, None, EVERY))
    beads["position"] = beads["position"] % beads["box"].astype("float32")
    for name in ("position", "force", "box", "mass"):
        beads[name].attrs["units"] = bcg.units.UNITS[name]
    beads["box"] = beads["box"].astype("float32")
    beads.attrs["source"] = "150 1-propanol, OPLS-AA, GROMACS 2022.5, NVT at 300 K, one frame every 1.5 ps"
    encoding = {
        name: {
            "dtype": "int16",
            "_FillValue": np.iinfo(np.int16).min,
            "scale_factor": step,
            "zlib": True,
            "complevel": 9,
            "shuffle": True,
            "chunksizes": beads[name].shape,
        }
        for name, step in STEPS.items()
    }
    beads.transpose("frame", "bead", "dim", ...).to_netcdf(output, engine="h5netcdf", encoding=encoding)
    return output


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("topology", "trajectory", "output"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    print(cut(given.topology, given.trajectory, given.output))
