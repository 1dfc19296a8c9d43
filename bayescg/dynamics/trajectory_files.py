"""Which measured moments of a simulation go to files, and where.

| ends in | files                         | holds                                           | needs    |
|---------|-------------------------------|-------------------------------------------------|----------|
| .zarr   | one store of all draws        | positions, velocities, box; opened by xarray    | zarr     |
| .xtc    | one per draw and a PSF file   | positions to 1e-4 nm, box                       |          |
| .trr    | one per draw and a PSF file   | positions, velocities, box                      |          |
| .h5md   | one per draw and a PSF file   | positions, velocities, box                      |          |

Positions are float32, in nm, wrapped into the box; velocities nm/ps; times count from the end of the
equilibration.
"""

from pathlib import Path

import equinox as eqx
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require, whole
from bayescg.dynamics.trajectory_gromacs import GromacsWriter
from bayescg.dynamics.trajectory_h5md import H5MDWriter
from bayescg.dynamics.trajectory_writer import AbstractTrajectoryWriter, Layout
from bayescg.dynamics.trajectory_zarr import ZarrWriter

WRITERS = {".zarr": ZarrWriter, ".xtc": GromacsWriter, ".trr": GromacsWriter, ".h5md": H5MDWriter}
"""By the ending of the path."""

STATIC = ("type", "mass", "molecule", "bond", "angle", "dihedral", "period")
"""What of a Dataset of beads does not change from frame to frame."""

KEPT = ("temperature", "mapping", "excluded_bonds")
"""Attributes of a Dataset of beads that hold for simulated ones too."""


class Trajectory(eqx.Module):
    """Where the trajectories of all draws are written, and how much of them.

    Attributes:
        path: ending in .zarr, .xtc, .trr or .h5md.
        every: of the measured moments, every how manyth is written.
        velocities: whether velocities are written too; XTC has none.

    Raises:
        BayescgError: another ending, or a number that is not positive.

    Example:
        >>> Trajectory("run.zarr", every=5).path.suffix
        '.zarr'
    """

    path: Path = eqx.field(converter=Path, static=True)
    every: int = eqx.field(default=1, static=True)
    velocities: bool = eqx.field(default=False, static=True)

    def __check_init__(self) -> None:
        whole("every", self.every)
        if self.path.suffix not in WRITERS:
            raise BayescgError(
                f"trajectory must end in one of {', '.join(WRITERS)}, got {self.path.name!r}. Rename it."
            )

    @property
    def fields(self) -> tuple[str, ...]:
        """What of every moment is wanted, beside the box."""
        return ("position", "velocity") if self.velocities else ("position",)

    def open(
        self,
        beads: xr.Dataset,
        *,
        draws: int,
        interval: float,
        together: int = 100,
        fingerprint: str = "",
        resume: bool = False,
    ) -> AbstractTrajectoryWriter:
        """Make the files, or find those of a run that goes on.

        Args:
            beads: Dataset of beads, with types and masses; with a box where the system is periodic.
            draws: number of runs, replicas counted.
            interval: between measured moments, ps.
            together: written frames of one draw that will come together.
            fingerprint: of the run, so that a file of another one is refused.
            resume: whether there is a checkpoint to go on from; otherwise files that exist are refused.

        Raises:
            BayescgError: files that exist, of another run or without a checkpoint; velocities in XTC; a
                package that is missing.

        Example:
            >>> import bayescg as bcg, numpy as np, tempfile
            >>> water = bcg.data.water(frames=2)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     writer = Trajectory(folder + "/water.xtc").open(water, draws=1, interval=0.1)
            ...     writer.write(0, 0, {"position": water.position.values, "box": water.box.values})
            ...     writer.commit()
            ...     read = bcg.read_trajectory(folder + "/water.psf", folder + "/water_000.xtc")
            >>> dict(read.sizes)["frame"], read.time.values.round(3).tolist()
            (2, [0.1, 0.2])
        """
        static = beads[[name for name in STATIC if name in beads]].drop_vars("time", errors="ignore")
        static.attrs = {name: beads.attrs[name] for name in KEPT if name in beads.attrs}
        if "dim" not in static.coords:
            static = static.assign_coords(dim=list("xyz")[: beads.sizes["dim"]])
        if "type" not in static:
            static = static.assign(type=("bead", np.full(beads.sizes["bead"], "bead")))
        if "molecule" not in static:
            static = static.assign(molecule=("bead", np.arange(beads.sizes["bead"])))
        require(
            draws > 0 and together > 0, f"draws and together must be positive, got {draws} and {together}."
        )
        layout = Layout(
            path=self.path,
            beads=static.compute(),
            draws=draws,
            fields=(*self.fields, *(["box"] if "box" in beads else [])),
            interval=float(f"{interval * self.every:.12g}"),
            together=together,
            fingerprint=fingerprint,
        )
        return WRITERS[self.path.suffix](layout, resume=resume)
