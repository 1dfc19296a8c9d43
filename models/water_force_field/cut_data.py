"""Cut the water trajectory that ships with the package from an atomistic run.

    python cut_data.py spce.tpr spce_300K.trr water_spce_300K.nc

Maps 510 SPC/E waters to their centers of mass, keeps every second frame, positions and forces, in float32.
"""

import argparse
from pathlib import Path

import bayescg as bcg

TEMPERATURE = 300.0
"""Of the run, K."""


def cut(topology: Path, trajectory: Path, output: Path) -> Path:
    """Write centers of mass and forces of every second frame.

    Args:
        topology: of the run.
        trajectory: of the run, with forces.
        output: netCDF file.

    Returns:
        Path of the file.
    """
    every_second = slice(None, None, 2)
    atoms = bcg.data.read_trajectory(topology, trajectory, temperature=TEMPERATURE, frames=every_second)
    beads = bcg.data.mapping.CenterOfMass(by="residue")(atoms.drop_vars("velocity"))
    return bcg.data.to_file(beads, output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("topology", "trajectory", "output"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    print(cut(given.topology, given.trajectory, given.output))
