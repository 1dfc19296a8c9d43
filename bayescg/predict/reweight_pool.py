"""The frames that all draws are reweighted from: simulations of the references, without their beginnings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import require
from bayescg._typing import Array, NumpyArray
from bayescg.dynamics import simulate_ensemble
from bayescg.dynamics.neighbors import find_neighbors, roomy_capacity
from bayescg.interfaces import Topology
from bayescg.model import Model
from bayescg.numerics.host_loop import HostLoop
from bayescg.predict.equilibrium import equilibrium
from bayescg.predict.reweight_energies import Frames, split_frames
from bayescg.predict.variance import BLOCKS

RECORDS = 100
"""Stretches that a simulation is handed over in, at most: between them it can be interrupted."""

LEAST_BLOCKS = 5
"""Of one simulation, however many there are."""


class Pool(NamedTuple):
    """Frames of all references in equilibrium.

    Attributes:
        curves: observables, each (frame, ...).
        energies: (frame, model) kJ/mol, under draws and references.
        origin: (frame,) place among the references of the one that gave the frame.
        blocks: (frame,) contiguous stretch, numbered from zero.
        runs: place of every simulation among the frames.
        run: what the simulations gave, with the coordinates of its records.
        settled: where they are in equilibrium.
    """

    curves: list[NumpyArray]
    energies: NumpyArray
    origin: NumpyArray
    blocks: NumpyArray
    runs: list[slice]
    run: xr.Dataset
    settled: xr.Dataset


class Stretches(NamedTuple):
    """How measured frames are divided.

    Attributes:
        records: that a simulation is handed over in.
        kept: frames of each.
    """

    records: int
    kept: int


def stretches(steps: int, measure_every: int) -> Stretches:
    """Records and frames of each; their product with `measure_every` is at most `steps`.

    Args:
        steps: measured.
        measure_every: steps between frames.

    Raises:
        BayescgError: too few frames.

    Example:
        >>> stretches(20_000, 20)
        Stretches(records=100, kept=10)
    """
    frames = steps // measure_every
    require(
        frames >= 2 * LEAST_BLOCKS,
        f"steps must hold at least {2 * LEAST_BLOCKS} measurements, got {steps} steps with one every "
        f"{measure_every}. Take more steps.",
    )
    kept = -(-frames // RECORDS)
    return Stretches(frames // kept, kept)


def energies_of(frames: Frames, positions: NumpyArray) -> tuple[NumpyArray, Frames]:
    """Energies (frame, model) of configurations, and the observable with room enough for their neighbours.

    Args:
        frames: the observable.
        positions: (frame, bead, dim), nm, in its box.
    """
    capacity = widest_row(frames, positions)
    roomy = eqx.tree_at(lambda f: f.observables, _with(frames, capacity=capacity), ())
    measure = eqx.filter_jit(Frames.measure)
    numbers = np.stack([np.asarray(measure(roomy, jnp.asarray(x))) for x in positions])
    return split_frames(numbers, [])[1], _with(frames, capacity=capacity)


def widest_row(frames: Frames, positions: NumpyArray) -> int:
    """Width of the neighbour matrix for these configurations, with room.

    Args:
        frames: the observable.
        positions: (frame, bead, dim), nm.
    """
    if frames.energies.cutoff == 0:
        return 1
    count = _widest(frames.topology, frames.box, frames.energies.cutoff)
    return roomy_capacity(max(int(count(jnp.asarray(x))) for x in positions), positions.shape[1])


def simulate_references(
    models: Sequence[Model],
    frames: Frames,
    start: NumpyArray,
    *,
    names: list[str],
    of_model: NumpyArray,
    replicas: int,
    loop: HostLoop,
    key: Array,
    settings: dict[str, Any],
) -> Pool:
    """Simulate the references and pool their frames.

    Args:
        models: one per reference.
        frames: the observable.
        start: (run, bead, dim), nm.
        names: of the observables.
        of_model: place of every reference among the models whose energies are measured.
        replicas: simulations of every reference.
        loop: progress, checkpoint and interruption.
        key: random key.
        settings: of the dynamics.
    """
    ways = stretches(settings["steps"], settings["measure_every"])
    steps = ways.records * ways.kept * settings["measure_every"]
    frames = _with(frames, kept=ways.kept)
    while True:
        run = simulate_ensemble(
            [model for model in models for _ in range(replicas)],
            start,
            box=None if frames.box is None else np.asarray(frames.box),
            topology=frames.topology,
            observables=[frames],
            key=key,
            loop=_for_width(loop, frames.capacity),
            records=ways.records,
            **settings | {"steps": steps},
        )
        widest = np.nanmax(run["frames"].to_numpy()[..., -1], initial=0.0)
        if widest <= frames.capacity:
            break
        frames = _with(frames, capacity=roomy_capacity(int(widest), start.shape[1]))
    origin = np.repeat(np.arange(len(models)), replicas)
    return _pooled(run.assign_coords(reference=("draw", origin)), frames, names, of_model)


def _for_width(loop: HostLoop, capacity: int) -> HostLoop:
    """Rows of another width are another computation, with a folder of its own."""
    folder = None if loop.checkpoint is None else Path(loop.checkpoint) / f"{capacity}_neighbors"
    return HostLoop(folder, loop.progress, loop.fingerprint)


def _pooled(run: xr.Dataset, frames: Frames, names: list[str], of_model: NumpyArray) -> Pool:
    numbers, shapes = run["frames"].to_numpy(), frames.shapes
    origin = run["reference"].to_numpy()
    settled = _equilibrium(run, numbers, shapes, names, of_model[origin])
    # a run that exploded is not a number from there on; an energy alone may be one where a draw has none
    sound = np.flatnonzero(np.isfinite(numbers[..., -1]).all(axis=(1, 2)))
    kept = [
        numbers[i, first:].reshape(-1, numbers.shape[-1])
        for i, first in zip(sound, settled["equilibrated_record"].to_numpy()[sound], strict=True)
    ]
    lengths = np.array([len(part) for part in kept], dtype=int)
    ends = np.cumsum(lengths)
    each = max(LEAST_BLOCKS, -(-BLOCKS // max(1, len(kept))))
    blocks = [np.arange(n) * each // n + index * each for index, n in enumerate(lengths)]
    pooled = np.concatenate(kept) if kept else np.zeros((0, numbers.shape[-1]))
    curves, energies = split_frames(pooled, shapes)
    return Pool(
        curves,
        np.where(np.isnan(energies), np.inf, energies),  # no weight
        np.repeat(origin[sound], lengths),
        np.concatenate(blocks) if kept else np.zeros(0, dtype=int),
        [slice(end - n, end) for end, n in zip(ends, lengths, strict=True)],
        run,
        settled,
    )


def _equilibrium(
    run: xr.Dataset,
    numbers: NumpyArray,
    shapes: list[tuple[int, ...]],
    names: list[str],
    of_model: NumpyArray,
) -> xr.Dataset:
    """From means of the records: observables, the reference's own energy, kinetic temperature."""
    means = numbers.mean(axis=2)
    curves, energies = split_frames(means.reshape(-1, means.shape[-1]), shapes)
    lead = means.shape[:2]
    own = energies.reshape(*lead, -1)[np.arange(lead[0]), :, of_model]
    variables: dict[str, Any] = {
        "kinetic_temperature": (("draw", "record"), run["kinetic_temperature"].to_numpy()),
        "own_energy": (("draw", "record"), own),
    }
    for name, values in zip(names, curves, strict=True):
        variables[name] = (("draw", "record", f"element_{name}"), values.reshape(*lead, -1))
    return equilibrium(xr.Dataset(variables), names)


def _with(frames: Frames, *, kept: int | None = None, capacity: int | None = None) -> Frames:
    return Frames(
        frames.observables,
        frames.energies,
        frames.topology,
        frames.box,
        frames.kept if kept is None else kept,
        frames.capacity if capacity is None else capacity,
        frames.dims,
    )


def _widest(topology: Topology, box: Array | None, cutoff: float) -> Any:
    def count(positions: Array) -> Array:
        return find_neighbors(positions, box=box, topology=topology, reach=cutoff, capacity=1).widest

    return jax.jit(count)
