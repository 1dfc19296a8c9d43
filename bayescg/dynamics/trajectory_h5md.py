"""Trajectories in H5MD, the common format on HDF5: one file per draw.

    particles/beads/position/{value, step, time}, velocity/..., box/edges/{value, step, time}, mass, species

HDF5 leaves a file broken where a write fails half-way. So the room a write needs is taken from the disk
before anything is changed, and a full disk is found then. Only a process that is killed in the very moment
of a write can spoil a file; zarr and XTC stand that too.

References:
    P. de Buyl, P. H. Colberg, F. Höfling, Comput. Phys. Commun. 185, 1546 (2014),
    doi:10.1016/j.cpc.2014.01.018.
"""

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray
from bayescg.dynamics.trajectory_draws import claim, draw_path
from bayescg.dynamics.trajectory_writer import AbstractTrajectoryWriter, Layout

PLACES = {"position": "position", "velocity": "velocity", "box": "box/edges"}
"""Of what is written, below particles/beads."""

H5MD_UNITS = {"position": "nm", "velocity": "nm ps-1", "box": "nm"}
"""As H5MD spells them."""

CHUNK_BYTES = 1 << 20
"""Of one chunk, at most, unless a frame is larger."""

TIMES = 1024
"""Steps and times of one chunk."""

SPARE = 1 << 20
"""Bytes of room beyond the numbers, for what HDF5 writes about them."""


class H5MDWriter(AbstractTrajectoryWriter):
    """Writes one H5MD file per draw.

    Args:
        layout: of the run.
        resume: whether files that are there may be gone on with.

    Raises:
        BayescgError: files of another run are there, or one that cannot be read.
    """

    def __init__(self, layout: Layout, *, resume: bool) -> None:
        super().__init__(layout)
        claim(layout, resume=resume)
        self._paths = [draw_path(layout.path, draw) for draw in range(layout.draws)]
        self._counts = [_frames(path) for path in self._paths]

    def held(self, draw: int) -> int:
        """How many frames of a draw there are."""
        return self._counts[draw]

    def replace(self, draw: int, first: int, arrays: Mapping[str, NumpyArray]) -> None:
        """Cut the arrays, and append."""
        import h5py

        path, count = self._paths[draw], len(arrays["position"])
        if not path.exists():
            _create(path, self.layout)
        chunks = [(self.layout.shape(field), _chunk(self.layout, field)) for field in self.layout.fields]
        _reserve(path, sum(4 * int(np.prod(shape)) * (count + rows) for shape, rows in chunks) + SPARE)
        with h5py.File(path, "r+") as file:
            for field in self.layout.fields:
                group: Any = file[f"particles/beads/{PLACES[field]}"]
                group["value"].resize(first + count, axis=0)
                group["value"][first:] = arrays[field]
            for name, numbers in (
                ("step", np.arange(first + 1, first + count + 1)),
                ("time", self.layout.times(first, count)),
            ):
                shared: Any = file[f"particles/beads/position/{name}"]
                shared.resize(first + count, axis=0)
                shared[first:] = numbers
        self._counts[draw] = first + count

    def finish(self) -> None:
        """Flush every file to the disk."""
        for path in self._paths:
            if path.exists():
                descriptor = os.open(path, os.O_RDWR)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)


def _reserve(path: Path, room: int) -> None:
    """Take room at the end of the file; HDF5 uses it, and gives back what is left when the file is closed."""
    size = path.stat().st_size
    descriptor = os.open(path, os.O_RDWR)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, size, room)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    finally:
        os.close(descriptor)


def _create(path: Path, layout: Layout) -> None:
    """A file without frames, beside its place and then moved there: it is whole or not there."""
    import h5py

    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with h5py.File(beside, "w") as file:
            _describe(file, layout)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _describe(file: Any, layout: Layout) -> None:
    """Everything but the frames."""
    text = np.bytes_
    root = file.create_group("h5md")
    root.attrs["version"] = np.array([1, 1], np.int32)
    root.create_group("author").attrs["name"] = text("unknown")
    creator = root.create_group("creator")
    creator.attrs["name"], creator.attrs["version"] = text("bayescg"), text(version("bayescg"))
    beads = file.create_group("particles/beads")
    box = beads.create_group("box")
    box.attrs["dimension"] = 3
    box.attrs["boundary"] = np.array(["periodic" if "box" in layout.fields else "none"] * 3, "S8")
    for field in layout.fields:
        group, shape = beads.create_group(PLACES[field]), layout.shape(field)
        chunks = (_chunk(layout, field), *shape)
        value = group.create_dataset("value", (0, *shape), np.float32, chunks=chunks, maxshape=(None, *shape))
        value.attrs["unit"] = H5MD_UNITS[field]
        if field == "position":
            group.create_dataset("step", (0,), np.int64, chunks=(TIMES,), maxshape=(None,))
            time = group.create_dataset("time", (0,), np.float64, chunks=(TIMES,), maxshape=(None,))
            time.attrs["unit"] = "ps"
        else:
            group["step"], group["time"] = beads["position/step"], beads["position/time"]
    beads["mass"] = layout.beads["mass"].to_numpy()
    beads["mass"].attrs["unit"] = "amu"
    beads["species"] = np.unique(layout.beads["type"].to_numpy().astype(str), return_inverse=True)[1]


def _chunk(layout: Layout, field: str) -> int:
    """Frames of one chunk: as many as come together, but not more than about 1 MB."""
    return max(1, min(layout.together, CHUNK_BYTES // (4 * int(np.prod(layout.shape(field))))))


def _frames(path: Path) -> int:
    """How many frames a file holds; none where there is no file."""
    import h5py

    if not path.exists():
        return 0
    try:
        with h5py.File(path, "r") as file:
            groups: Any = file["particles/beads"]
            return min(groups[f"position/{name}"].shape[0] for name in ("value", "step", "time"))
    except (OSError, KeyError) as error:
        raise BayescgError(
            f"trajectory {path} cannot be read: {error}. Delete it, and the checkpoint, to start again."
        ) from error
