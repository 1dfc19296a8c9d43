"""The same observable on data: what a simulation is held against."""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require, require_x64, whole
from bayescg.data import topology, validate
from bayescg.interfaces import AbstractObservable, AbstractTimeObservable, Configuration
from bayescg.predict.ratio import ratio_of_sums
from bayescg.predict.series import totals_of
from bayescg.predict.variance import BLOCKS, block_standard_error


def evaluate(
    observable: AbstractObservable | AbstractTimeObservable,
    beads: xr.Dataset,
    *,
    frames: int | None = None,
    blocks: int = BLOCKS,
) -> xr.Dataset:
    """An observable averaged over the frames of a trajectory.

    Observables over time take every frame, begin anew at every gap, and see positions unwrapped: across
    the box, and across the period of a collective variable.

    Args:
        observable: the very object that simulations are measured with; prepared for the data if need be.
        beads: frames of beads.
        frames: number of frames, evenly spaced; None for all. An observable over time needs all.
        blocks: contiguous blocks of the standard error.

    Returns:
        The observable under its name, and its standard error under `<name>_error`; of an observable over
        time also `<name>_weight`, mostly the number of samples.

    Raises:
        BayescgError: fewer than two frames, or data that break the schema; for an observable over time
            missing velocities, times that are not equally spaced, or a number of frames.

    Example:
        >>> import bayescg as bcg
        >>> water = bcg.predict.evaluate(bcg.observables.RDF(bins=60), bcg.data.water(frames=4))
        >>> dict(water.radial_distribution.sizes)
        {'type_pair': 1, 'distance': 60}
    """
    require_x64("evaluate")
    if isinstance(observable, AbstractTimeObservable):
        return _over_time(observable, beads, frames, blocks)
    beads = validate(beads)
    total = beads.sizes["frame"]
    count = total if frames is None else min(whole("frames", frames, minimum=2), total)
    require(count >= 2, f"beads must hold at least two frames for a standard error, got {count}.")
    chosen = beads.isel(frame=np.linspace(0, total - 1, count).round().astype(int))
    shared = topology(chosen)
    boxes = chosen["box"].to_numpy().astype(float) if "box" in chosen else None
    ready = observable.prepare(shared, boxes)
    nobody = jnp.zeros((chosen.sizes["bead"], 0), jnp.int32)
    measure = jax.jit(lambda x, box: ready.measure(Configuration(x, box, nobody, shared)))
    values = np.stack(
        [
            measure(
                jnp.asarray(chosen["position"].isel(frame=index).to_numpy(), float),
                None if boxes is None else jnp.asarray(boxes[index]),
            )
            for index in range(count)
        ]
    ).astype(np.float64)
    labels = ready.coordinates(shared)
    units = {"units": ready.units}
    return xr.Dataset(
        {
            ready.name: (tuple(labels), values.mean(axis=0), units),
            f"{ready.name}_error": (tuple(labels), block_standard_error(values, blocks=blocks), units),
        },
        coords=labels,
        attrs={"frames": count},
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
