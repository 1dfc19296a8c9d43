"""Finished draws of another program's simulations, each a NetCDF file that is whole or not there."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import equinox as eqx
import xarray as xr

from bayescg._checks import BayescgError, require


class DrawStore(eqx.Module):
    """A folder with a file per finished draw, and a working folder per draw that runs.

    Attributes:
        folder: made when the first draw begins.
        fingerprint: of problem, settings, key and program; a file with another one is refused.

    Example:
        >>> import tempfile
        >>> store = DrawStore(Path(tempfile.mkdtemp()), "oscillator")
        >>> store.save(3, xr.Dataset({"a": ("record", [1.0, 2.0])}))
        >>> store.load(range(5))[3].a.values.tolist()
        [1.0, 2.0]
    """

    folder: Path = eqx.field(converter=Path, static=True)
    fingerprint: str = eqx.field(static=True)

    def save(self, draw: int, result: xr.Dataset) -> None:
        """Write a finished draw beside its place and move it there in one step.

        Args:
            draw: number of the draw.
            result: its records.

        Raises:
            OSError: the file cannot be written; none is left.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / f".draw_{draw:04d}.{os.getpid()}"
        try:
            result.assign_attrs(fingerprint=self.fingerprint).to_netcdf(beside, engine="h5netcdf")
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(beside, self._path(draw))
        finally:
            beside.unlink(missing_ok=True)

    def load(self, draws: Iterable[int]) -> dict[int, xr.Dataset]:
        """The finished draws among these.

        Args:
            draws: numbers.

        Raises:
            BayescgError: a file is damaged, or belongs to another simulation.
        """
        return {draw: self._read(self._path(draw)) for draw in draws if self._path(draw).exists()}

    def workplace(self, draw: int) -> Path:
        """An empty folder for a draw that is to run.

        Args:
            draw: its number.

        Raises:
            OSError: it cannot be made.
        """
        place = self.folder / f"running_{draw:04d}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def _path(self, draw: int) -> Path:
        return self.folder / f"draw_{draw:04d}.nc"

    def _read(self, path: Path) -> xr.Dataset:
        try:
            with xr.open_dataset(path, engine="h5netcdf") as file:
                result = file.load()
        except (OSError, ValueError, KeyError) as error:
            raise BayescgError(
                f"checkpoint {path} cannot be read, it is damaged ({error}). Delete it, and its draw is run "
                "again."
            ) from error
        require(
            result.attrs.pop("fingerprint", "") == self.fingerprint,
            f"checkpoint {path.parent} was made for another problem, setting, program or key. Give another "
            "checkpoint folder, or delete this one to start again.",
        )
        return result
