"""The output folder: whole or not at all, and nobody else's files are touched."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bayescg._checks import BayescgError

MARKER = ".bayescg-output"
"""File that says a folder was written here and may be replaced."""

FILES = {
    MARKER,
    "posterior.nc",
    "simulated.nc",
    "report.html",
    "summary.txt",
    "settings.toml",
    "potential.png",
    "rank.png",
    "trace.png",
    "identifiability.png",
    "radial_distribution.png",
}
"""Everything a run may write."""


@contextlib.contextmanager
def output_folder(path: str | Path) -> Iterator[Path]:
    """A folder beside `path` to write into; it becomes `path` at the end, and vanishes on an error.

    Args:
        path: of the folder; what an earlier run wrote there is replaced.

    Yields:
        The folder to write into.

    Raises:
        BayescgError: the path holds something that was not written by bayescg, or cannot be written.

    Example:
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     with output_folder(parent + "/out") as folder:
        ...         _ = (folder / "summary.txt").write_text("done")
        ...     sorted(file.name for file in Path(parent, "out").iterdir())
        ['.bayescg-output', 'summary.txt']
    """
    target = Path(path).absolute()
    _check_free(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part"))
    except OSError as error:
        raise BayescgError(
            f"output must be a folder that can be written, got {str(path)!r}: {error.strerror}. Choose "
            "another one."
        ) from None
    try:
        yield part
        (part / MARKER).write_text("Written by bayescg; the next run with this output replaces the folder.\n")
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o777 & ~mask)
        _check_free(target)  # a person may have put a file there meanwhile
        _replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _check_free(target: Path) -> None:
    """Raise unless the target is absent, an empty folder, or ours and nothing else."""
    if not target.exists() and not target.is_symlink():
        return
    if not target.is_dir() or target.is_symlink():
        raise BayescgError(f"output must be a folder, got the file {str(target)!r}. Choose another one.")
    names = {entry.name for entry in target.iterdir()}
    if names and MARKER not in names:
        raise BayescgError(
            f"output {str(target)!r} exists and was not written by bayescg, so it is left alone. "
            "Choose another folder, or remove this one."
        )
    if foreign := sorted(names - FILES):
        raise BayescgError(
            f"output {str(target)!r} holds files that bayescg did not write ({', '.join(foreign[:3])}), so "
            "it is "
            "left alone. Move them elsewhere, or choose another folder."
        )


def _replace(part: Path, target: Path) -> None:
    """Put the new folder in the place of the old one; the old one comes back if that fails."""
    if not target.exists():
        os.rename(part, target)
        return
    aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".old"))
    os.rename(target, aside / target.name)
    try:
        os.rename(part, target)
    except OSError:
        os.rename(aside / target.name, target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
