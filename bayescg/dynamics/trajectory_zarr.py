"""A trajectory of all draws in one zarr store: position (draw, frame, bead, dim) and what belongs to it.

The store is what `xarray.open_zarr` reads; one draw of it, `store.isel(draw=0)`, is a Dataset of beads as
mappings and likelihoods take it. Frames that come together are one chunk, and a chunk is a file that is put
in its place whole. The sizes that a reader sees are written last, so a store is readable whenever the run
stops.

`frames_written` (draw) counts the frames of a draw: one that exploded has fewer, and NaN beyond.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray
from bayescg.dynamics.trajectory_writer import AbstractTrajectoryWriter, Layout, check_unclaimed
from bayescg.units import UNITS

FORMAT = 2
"""Of zarr: the one whose text and consolidated metadata every reader knows."""

COUNTS = "frames_written"
"""Name of the number of frames of every draw."""


class ZarrWriter(AbstractTrajectoryWriter):
    """Writes one store.

    Args:
        layout: of the run.
        resume: whether a store that is there may be gone on with.

    Raises:
        BayescgError: zarr is not installed, or the store belongs to another run.
    """

    def __init__(self, layout: Layout, *, resume: bool) -> None:
        super().__init__(layout)
        zarr = _zarr()
        check_unclaimed(_fingerprint(layout.path), layout, resume=resume)
        if not layout.path.exists():
            _create(layout)
        group = zarr.open_group(layout.path, mode="r+", zarr_format=FORMAT, use_consolidated=False)
        self._arrays: dict[str, Any] = {name: group[name] for name in (*layout.fields, "time", COUNTS)}
        self._counts = self._arrays[COUNTS][:]
        self._size = int(self._counts.max())
        self._grow(self._size)  # frames that were written but not counted

    def held(self, draw: int) -> int:
        """How many frames of a draw there are."""
        return int(self._counts[draw])

    def replace(self, draw: int, first: int, arrays: Mapping[str, NumpyArray]) -> None:
        """Put a chunk, or several, in place."""
        before, stop = self.held(draw), first + len(arrays["position"])
        if stop > self._size:
            self._grow(stop)
            self._arrays["time"][self._size : stop] = self.layout.times(self._size, stop - self._size)
            self._size = stop
        for field in self.layout.fields:
            self._arrays[field][draw, first:stop] = arrays[field].astype(np.float32)
            if before > stop:
                self._arrays[field][draw, stop:before] = np.nan
        self._counts[draw] = stop

    def finish(self) -> None:
        """Write how many frames there are, last of all."""
        self._arrays[COUNTS][:] = self._counts
        _zarr().consolidate_metadata(self.layout.path, zarr_format=FORMAT)

    def _grow(self, frames: int) -> None:
        self._arrays["time"].resize((frames,))
        for field in self.layout.fields:
            array = self._arrays[field]
            array.resize((array.shape[0], frames, *array.shape[2:]))


def _zarr() -> Any:
    try:
        import zarr
    except ModuleNotFoundError as error:
        raise BayescgError(
            "a trajectory that ends in .zarr needs the package zarr, which is not installed. Run pip install "
            "'bayescg[trajectories]', or let it end in .xtc or .h5md."
        ) from error
    return zarr


def _fingerprint(path: Path) -> str | None:
    """Of the run a store is from; empty where it says nothing, None where nothing is there."""
    if not path.exists():
        return None
    try:
        group = _zarr().open_group(path, mode="r", zarr_format=FORMAT, use_consolidated=False)
        return str(group.attrs.get("fingerprint", ""))
    except (OSError, KeyError, ValueError):
        return ""


def _create(layout: Layout) -> None:
    """An empty store, beside its place and then moved there: it is whole or not there."""
    beside = layout.path.with_name(f".{layout.path.name}.{os.getpid()}")
    layout.path.parent.mkdir(parents=True, exist_ok=True)
    try:
        beads = layout.beads.assign_attrs(fingerprint=layout.fingerprint)
        counts = xr.Variable("draw", np.zeros(layout.draws, np.int64))
        beads = beads.assign({COUNTS: counts}).assign_coords(draw=np.arange(layout.draws))
        beads.to_zarr(beside, mode="w-", zarr_format=FORMAT, consolidated=False)
        group = _zarr().open_group(beside, mode="r+", zarr_format=FORMAT, use_consolidated=False)
        _array(group, "time", (0,), (max(1024, layout.together),), np.float64, ("frame",))
        for field in layout.fields:
            shape = layout.shape(field)
            dims = ("draw", "frame", *(("dim",) if field == "box" else ("bead", "dim")))
            whole, chunk = (layout.draws, 0, *shape), (1, layout.together, *shape)
            _array(group, field, whole, chunk, np.float32, dims)
        _zarr().consolidate_metadata(beside, zarr_format=FORMAT)
        os.replace(beside, layout.path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _array(
    group: Any, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], kind: Any, dims: tuple[str, ...]
) -> None:
    attributes = {"_ARRAY_DIMENSIONS": list(dims), "units": UNITS[name]}
    if name != "time":
        attributes["coordinates"] = "time"
    group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=kind,
        fill_value=np.nan,
        attributes=attributes,
    )
