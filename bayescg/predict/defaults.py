"""What a simulation of a posterior takes where nothing is said: key, temperature, observables, stride."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, positive
from bayescg._typing import Array, NumpyArray
from bayescg.inference import Problem, Selection
from bayescg.interfaces import AbstractPotential, AbstractTimeObservable, Observable
from bayescg.observables import RDF, Density
from bayescg.potentials.thermodynamic import depends_on_temperature

MEASURE_EVERY = 20
"""Steps between measurements, where none are given and the data do not set an interval."""

Observables = Sequence[Observable]


def key_after(posterior: xr.DataTree) -> Array:
    """A key of its own for the simulation of a posterior.

    Args:
        posterior: with the key that it was sampled with.

    Raises:
        BayescgError: it holds none.

    Example:
        >>> tree = xr.DataTree(xr.Dataset(attrs={"key": "[0, 7]"}))
        >>> key_after(tree).shape
        ()
    """
    if "key" not in posterior.attrs:
        raise BayescgError(
            "key must be given where the posterior does not hold the key it was sampled with, got None. "
            "Pass key=jax.random.key(1)."
        )
    data = jnp.asarray(json.loads(posterior.attrs["key"]), dtype=jnp.uint32)
    return jax.random.fold_in(jax.random.wrap_key_data(data), 1)


def default_observables(beads: xr.Dataset) -> Observables:
    """What can be measured on any data of the kind.

    Args:
        beads: valid.

    Example:
        >>> import bayescg as bcg
        >>> default_observables(bcg.data.water(frames=1))[0].name
        'radial_distribution'
    """
    if "box" in beads:
        return (RDF(),)
    x = beads["position"]
    lowest, highest = float(x.min()), float(x.max())
    unit = x.attrs.get("units", "nm")
    if "period" in beads and float(beads["period"].max()) > 0:
        period = float(beads["period"].max())
        return (Density(lowest, lowest + period, period=period, unit=unit),)
    margin = 0.1 * (highest - lowest)
    return (Density(lowest - margin, highest + margin, unit=unit),)


def default_stride(wanted: int | None, observables: Observables, beads: xr.Dataset, timestep: float) -> int:
    """Steps between measurements: as in the data, where curves over time are to be compared with them.

    Args:
        wanted: if it is not None, this.
        observables: of moments, or over time.
        beads: the data.
        timestep: ps.

    Example:
        >>> import bayescg as bcg
        >>> default_stride(None, [bcg.observables.RDF()], bcg.data.water(frames=1), 0.005)
        20
    """
    if wanted is not None:
        return wanted
    if not any(isinstance(o, AbstractTimeObservable) for o in observables) or "time" not in beads:
        return MEASURE_EVERY
    steps = np.diff(beads["time"].to_numpy().astype(float))
    forward = steps[steps > 0]
    ratio = float(np.median(forward)) / timestep if forward.size else 0.0
    return round(ratio) if ratio > 0.5 and abs(ratio - round(ratio)) < 1e-3 * ratio else MEASURE_EVERY


def default_temperature(problem: Problem, potential: AbstractPotential | None, wanted: float | None) -> float:
    """Kelvin, those of the data where none are wanted; data of a `Thermodynamic` may have several.

    Args:
        problem: of the data.
        potential: of a draw.
        wanted: K, or None.

    Raises:
        BayescgError: none wanted for a `Thermodynamic`, or not positive.

    Example:
        >>> from types import SimpleNamespace
        >>> default_temperature(SimpleNamespace(temperature=300.0), None, None)
        300.0
    """
    if wanted is None and potential is not None and depends_on_temperature(potential):
        raise BayescgError(
            "temperature must be given where the potential is a Thermodynamic, got None. Give one in kelvin, "
            "as in temperature=320.0."
        )
    return positive("temperature", problem.temperature if wanted is None else wanted, unit="K")


def run_fingerprint(identity: list[Any], chosen: Selection, frames: NumpyArray) -> str:
    """Of everything that a run depends on.

    Args:
        identity: problem, settings, key: whatever has a `repr` of its own.
        chosen: draws.
        frames: of the data, that it begins from.

    Example:
        >>> nothing = Selection(np.zeros(1), np.zeros(1), {"a": np.zeros(1)})
        >>> len(run_fingerprint(["x"], nothing, np.zeros(1)))
        64
    """
    digest = hashlib.sha256(repr(identity).encode())
    for path in sorted(chosen.values):
        digest.update(path.encode())
        digest.update(np.ascontiguousarray(chosen.values[path]).tobytes())
    digest.update(frames.tobytes())
    return digest.hexdigest()
