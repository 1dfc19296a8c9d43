"""Export: draws of a posterior as files that other programs run."""

from bayescg.export.gromacs_folder import gromacs
from bayescg.export.lammps_folder import lammps
from bayescg.export.netcdf_file import netcdf
from bayescg.export.openmm_folder import openmm

__all__ = ["gromacs", "lammps", "netcdf", "openmm"]
