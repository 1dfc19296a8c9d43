"""An average over configurations as data: measured on frames, or given as numbers with their errors."""

from typing import Any, NamedTuple

import equinox as eqx
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require
from bayescg._typing import Array, Float, NumpyArray
from bayescg.data import topology, validate
from bayescg.interfaces import AbstractEnergyObservable, AbstractObservable
from bayescg.likelihoods.moments import Measurement
from bayescg.likelihoods.sampled_frames import SampledFrames
from bayescg.numerics.covariance import shrunk_covariance
from bayescg.numerics.equilibration import principal_series, statistical_inefficiency


class ObservableData(eqx.Module):
    """A measured average, and the frames that a model's average is reweighted from.

    Attributes:
        mean: of the elements that vary.
        covariance: of that mean.
        deviations: what every block of the data's frames adds to the mean; empty for a table.
        scatter: covariance of the elements in one sampled frame.
        frames: that models sampled, of the same elements.
        kept: places of these elements among all of the observable.
        observable: prepared.
    """

    mean: Float[Array, " element"]
    covariance: Float[Array, "element element"]
    deviations: Float[Array, "block element"]
    scatter: Float[Array, "element element"]
    frames: SampledFrames
    kept: Array
    observable: AbstractObservable | AbstractEnergyObservable


class Measured(NamedTuple):
    """What the data say of an observable, its elements in one row.

    Attributes:
        mean: over frames.
        covariance: of the mean.
        deviations: what every block of frames adds to the mean; empty for a table.
        temperature: K.
    """

    mean: NumpyArray
    covariance: NumpyArray
    deviations: NumpyArray
    temperature: float


def has_frames(data: Any) -> bool:
    """Whether data are frames of beads, not a table.

    Args:
        data: of an observable.

    Raises:
        BayescgError: several state points.

    Example:
        >>> import bayescg as bcg
        >>> has_frames(bcg.data.water(frames=1))
        True
    """
    if not isinstance(data, xr.Dataset):
        raise BayescgError(
            f"data of an observable must be one Dataset, got {type(data).__name__}. Give one term for every "
            "state point and add the terms."
        )
    return "position" in data


def measured(
    observable: AbstractObservable | AbstractEnergyObservable, beads: xr.Dataset, blocks: int
) -> Measured:
    """Mean over the frames of a trajectory, and how far it can be trusted.

    Args:
        observable: prepared.
        beads: frames.
        blocks: contiguous blocks of frames kept apart.

    Raises:
        BayescgError: an energy, or fewer than two frames.

    Example:
        >>> import bayescg as bcg
        >>> measured(bcg.observables.Coordination(cutoff=0.35), bcg.data.water(frames=8), 4).deviations.shape
        (4, 1)
    """
    if isinstance(observable, AbstractEnergyObservable):
        raise BayescgError(
            f"data of {observable.name!r} must be a number with its error, got beads: it is no function of "
            f"the positions alone. Give xarray.Dataset({{{observable.name!r}: value, "
            f"'{observable.name}_error': error}}, attrs={{'temperature': 300.0}})."
        )
    beads = validate(beads)
    frames = beads.sizes["frame"]
    require(frames >= 2, f"data must hold at least two frames, got {frames}.")
    boxes = beads["box"].to_numpy() if "box" in beads else None
    measure = Measurement(observable, topology(beads), temperature=beads.attrs["temperature"])
    values = measure.of_frames(beads["position"].to_numpy(), boxes).reshape(frames, -1)
    series = principal_series(values)
    slowest = float(statistical_inefficiency(series).max()) if series.shape[1] else 1.0
    mean, count = values.mean(axis=0), min(blocks, frames)
    block = np.arange(frames) * count // frames
    deviations = np.zeros((count, mean.size))
    np.add.at(deviations, block, (values - mean) / frames)
    covariance = shrunk_covariance(values, inefficiency=slowest) * slowest / frames
    return Measured(mean, covariance, deviations, float(beads.attrs["temperature"]))


def tabulated(
    observable: AbstractObservable | AbstractEnergyObservable, table: xr.Dataset, shared: Any
) -> Measured:
    """Numbers with their standard errors.

    Args:
        observable: prepared.
        table: the observable under its name and `<name>_error`, and a temperature.
        shared: topology of the beads.

    Raises:
        BayescgError: another shape, no error, no temperature, or errors that are negative.

    Example:
        >>> import bayescg as bcg
        >>> table = xr.Dataset({"pressure": 1.0, "pressure_error": 50.0}, attrs={"temperature": 300.0})
        >>> tabulated(bcg.observables.Pressure(), table, None).covariance.tolist()
        [[2500.0]]
    """
    name = observable.name
    for wanted in (name, f"{name}_error"):
        require(
            wanted in table,
            f"data must hold {wanted!r}, got {', '.join(map(repr, table.data_vars)) or 'nothing'}. Give "
            "beads, or what bayescg.predict.evaluate returns.",
        )
    require(
        "temperature" in table.attrs,
        "data must name their temperature, got none. Set attrs['temperature'], K.",
    )
    labels = observable.coordinates(shared)
    shape = tuple(len(getattr(values, "values", values)) for values in labels.values())
    mean, error = (table[key].to_numpy().astype(float) for key in (name, f"{name}_error"))
    require(
        mean.shape == error.shape == shape,
        f"{name} and its error must have shape {shape}, got {mean.shape} and {error.shape}. Measure data and "
        "model with the same observable.",
    )
    require(
        bool(np.isfinite(error).all() and (error >= 0).all()),
        f"{name}_error must be finite and not negative. Give a standard error for every element.",
    )
    return Measured(
        mean.ravel(), np.diag(error.ravel() ** 2), np.zeros((0, mean.size)), float(table.attrs["temperature"])
    )
