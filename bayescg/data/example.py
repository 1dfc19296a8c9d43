"""Atomistic files to start from: what a user's own engine would have written."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from bayescg._checks import BayescgError

FILES = ("topol.tpr", "traj.trr")


def example(folder: str | Path = ".") -> tuple[Path, Path]:
    """Write a small atomistic water trajectory, topol.tpr and traj.trr, into a folder.

    31 frames, 10 ps apart, of 510 rigid SPC/E waters at 300 K with positions, velocities and forces, as
    GROMACS writes them; bayescg/data/files/README.md says how they were made.

    Args:
        folder: existing or new; files of these names in it are kept if they are the same.

    Returns:
        Paths of topology and trajectory.

    Raises:
        BayescgError: the folder holds other files of these names.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in example(folder)]
        ['topol.tpr', 'traj.trr']
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with as_file(files("bayescg.data") / "files" / "water_atoms") as source:
        for name in FILES:
            if (target / name).exists() and (target / name).read_bytes() != (source / name).read_bytes():
                raise BayescgError(
                    f"folder must not hold another {name}, but {target} does. Choose an empty folder."
                )
        for name in FILES:
            shutil.copyfile(source / name, target / name)
    return target / FILES[0], target / FILES[1]
