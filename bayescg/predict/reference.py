"""The same observable on data: what a simulation is held against."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require, require_x64, whole
from bayescg._typing import NumpyArray
from bayescg.data import topology, validate
from bayescg.interfaces import AbstractPotential, AbstractTimeObservable, Observable
from bayescg.likelihoods.moments import Measurement, Momentary
from bayescg.predict.ratio import ratio_of_sums
from bayescg.predict.series import totals_of
from bayescg.predict.variance import BLOCKS, block_standard_error


def evaluate(
    observable: Observable,
    beads: xr.Dataset,
    *,
    frames: int | None = None,
    blocks: int = BLOCKS,
    potential: AbstractPotential | None = None,
) -> xr.Dataset:
    """An observable averaged over the frames of a trajectory.

    Observables over time take every frame, begin anew at every gap, and see positions unwrapped: across
    the box, and across the period of a collective variable.

    Args:
        observable: the very object that simulations are measured with; prepared for the data if need be.
        beads: frames of beads.
        frames: number of frames, evenly spaced; None for all. An observable over time needs all.
        blocks: contiguous blocks of the standard error.
        potential: with values, for observables that are an energy or derive from one, such as a pressure;
            those of `problem.model(values).potential`.

    Returns:
        The observable under its name, and its standard error under `<name>_error`; of an observable over
        time also `<name>_weight`, mostly the number of samples.

    Raises:
        BayescgError: fewer than two frames, data that break the schema, no potential where one is needed, or
            a value that is not finite; for an observable over time missing velocities, times that are not
            equally spaced, or a number of frames.

    Example:
        >>> import bayescg as bcg
        >>> water = bcg.predict.evaluate(bcg.observables.RDF(bins=60), bcg.data.water(frames=4))
        >>> dict(water.radial_distribution.sizes)
        {'type_pair': 1, 'distance': 60}
    """
    require_x64("evaluate")
    if isinstance(observable, AbstractTimeObservable):
        return _over_time(observable, beads, frames, blocks)
    return _of_moments(observable, beads, frames, blocks, potential)


def evaluate_all(
    observables: Sequence[Observable],
    beads: xr.Dataset,
    *,
    blocks: int = BLOCKS,
    potential: AbstractPotential | None = None,
) -> xr.Dataset:
    """Several observables of a trajectory in one Dataset: what `bayescg.report` takes as a reference.

    Args:
        observables: those that were simulated, on all frames.
        beads: frames of beads.
        blocks: contiguous blocks of the standard error.
        potential: with values, for a pressure or an energy.

    Raises:
        BayescgError: as for `evaluate`.

    Example:
        >>> import bayescg as bcg
        >>> wanted = [bcg.observables.RDF(bins=60), bcg.observables.Coordination(cutoff=0.35)]
        >>> sorted(bcg.predict.evaluate_all(wanted, bcg.data.water(frames=3)).data_vars)[:2]
        ['coordination_number', 'coordination_number_error']
    """
    found = [evaluate(one, beads, blocks=blocks, potential=potential) for one in observables]
    return xr.merge(found, join="exact", compat="no_conflicts", combine_attrs="drop_conflicts")


def _of_moments(
    observable: Momentary,
    beads: xr.Dataset,
    frames: int | None,
    blocks: int,
    potential: AbstractPotential | None,
) -> xr.Dataset:
    beads = validate(beads)
    total = beads.sizes["frame"]
    count = total if frames is None else min(whole("frames", frames, minimum=2), total)
    require(count >= 2, f"beads must hold at least two frames for a standard error, got {count}.")
    chosen = beads.isel(frame=np.linspace(0, total - 1, count).round().astype(int))
    shared = topology(chosen)
    boxes = chosen["box"].to_numpy().astype(float) if "box" in chosen else None
    ready = observable.prepare(shared, boxes)
    kelvin = chosen.attrs.get("temperature")
    measure = Measurement(ready, shared, temperature=kelvin, potential=potential)
    values = measure.of_frames(chosen["position"].to_numpy(), boxes)
    _check_finite(ready.name, values)
    labels = ready.coordinates(shared)
    units = {"units": ready.units}
    return xr.Dataset(
        {
            ready.name: (tuple(labels), values.mean(axis=0), units),
            f"{ready.name}_error": (tuple(labels), block_standard_error(values, blocks=blocks), units),
        },
        coords=labels,
        attrs={"frames": count} | ({} if kelvin is None else {"temperature": kelvin}),
    )


def _check_finite(name: str, values: NumpyArray) -> None:
    bad = np.flatnonzero(~np.isfinite(values.reshape(values.shape[0], -1)).all(axis=1))
    if bad.size:
        raise BayescgError(
            f"{name} must be finite, got NaN or infinity in {bad.size} of {values.shape[0]} frames, the "
            f"first is {bad[0]}. Look at this frame; for an ADF give more neighbors, for a Custom look at "
            "its function."
        )


def _over_time(
    observable: AbstractTimeObservable, beads: xr.Dataset, frames: int | None, blocks: int
) -> xr.Dataset:
    if frames is not None:
        raise BayescgError(
            f"frames must be None for an observable over time, got {frames}: it needs every frame. Give a "
            "contiguous part of the trajectory instead, as in beads.isel(frame=slice(1000))."
        )
    beads = validate(beads, needs=("time", observable.quantity))
    require(
        beads.sizes["frame"] >= 2,
        f"beads must hold at least two frames for a standard error, got {beads.sizes['frame']}.",
    )
    shared = topology(beads)
    ready, sums, weights = totals_of(observable, beads, shared, blocks)
    found, labels = ratio_of_sums(sums, weights, blocks=blocks), ready.coordinates(shared)
    units = {"units": ready.units}
    return xr.Dataset(
        {
            ready.name: (tuple(labels), found.value, units),
            f"{ready.name}_error": (tuple(labels), found.error, units),
            f"{ready.name}_weight": (tuple(labels), found.weight),
        },
        coords=labels,
        attrs={"frames": beads.sizes["frame"]},
    )
