"""How the values of an observable are laid out: curves along an axis, one beside another, or numbers.

The axis of a curve is the last dimension whose labels are numbers (distances, lags, angles). Every other
dimension (pairs of types, kinds of bonds) tells one curve from another. Without an axis the values are
numbers.
"""

from typing import Any

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError

AXIS_UNITS = {"distance": "nm", "lag_time": "ps", "time": "ps", "angle": "rad"}
"""Unit of an axis that carries none."""

NAMES = {
    "radial_distribution": "g(r)",
    "distance": "distance r",
    "velocity_correlation": "velocity autocorrelation",
    "mean_square_displacement": "mean square displacement",
    "lag_time": "time lag",
    "bond_length": "bond length",
    "bond_angle": "bond angle",
    "dihedral_angle": "dihedral angle",
    "bond_length_distribution": "probability density",
    "bond_angle_distribution": "probability density",
    "dihedral_angle_distribution": "probability density",
    "probability_density": "probability density",
    "angular_distribution": "angular distribution",
    "angle": "angle between neighbours",
}
"""How observables and axes are written; others by their own names."""

MOST_CURVES = 12
"""Of one figure; a page holds no more."""


def observable_label(name: str) -> str:
    """How an observable, or an axis, is written.

    Example:
        >>> observable_label("radial_distribution"), observable_label("potential_energy")
        ('g(r)', 'potential energy')
    """
    return NAMES.get(name, name.replace("_", " "))


def curve_axis(found: xr.Dataset) -> str | None:
    """The dimension curves run along; None where the values are numbers.

    Args:
        found: summary of an observable.

    Example:
        >>> pairs = {"type_pair": ["A-A"], "distance": [0.1, 0.2]}
        >>> curve_axis(xr.Dataset({"mean": (("type_pair", "distance"), np.ones((1, 2)))}, pairs))
        'distance'
    """
    numeric = [
        str(dim)
        for dim in found["mean"].dims
        if dim in found.coords and np.issubdtype(found[dim].dtype, np.number)
    ]
    return numeric[-1] if numeric else None


def axis_unit(found: xr.Dataset, axis: str | None) -> str:
    """Unit of an axis; that of the values where there is none.

    Args:
        found: summary of an observable.
        axis: from `curve_axis`.

    Example:
        >>> axis_unit(xr.Dataset({"mean": ((), 1.0, {"units": "bar"})}), None)
        'bar'
    """
    if axis is None:
        return str(found["mean"].attrs.get("units", ""))
    return str(found[axis].attrs.get("units", AXIS_UNITS.get(axis, "")))


def separate(found: xr.Dataset, axis: str | None) -> list[tuple[str, dict[str, Any]]]:
    """Every curve, or every number: what tells it from the others, and where it is.

    Args:
        found: summary of an observable.
        axis: from `curve_axis`.

    Returns:
        Names, and indices for `Dataset.isel`; one empty name where there is one curve.

    Example:
        >>> pairs = {"type_pair": ["A-A", "A-B"], "distance": [0.1]}
        >>> found = xr.Dataset({"mean": (("type_pair", "distance"), np.ones((2, 1)))}, pairs)
        >>> separate(found, "distance")
        [('A-A', {'type_pair': 0}), ('A-B', {'type_pair': 1})]
    """
    dims = [dim for dim in found["mean"].dims if dim != axis]
    places = np.ndindex(*(found.sizes[dim] for dim in dims))
    return [
        (", ".join(_label(found, dim, k) for dim, k in zip(dims, place, strict=True)), _indices(dims, place))
        for place in places
    ]


def aligned_reference(found: xr.Dataset, reference: xr.Dataset, name: str) -> xr.Dataset:
    """The reference on the points of the simulated observable, as `reference` and `reference_error`.

    Args:
        found: summary of the observable.
        reference: from `bayescg.predict.evaluate`.
        name: of the observable.

    Raises:
        BayescgError: it lacks the observable, or has other points or labels.

    Example:
        >>> found = xr.Dataset({"mean": ("distance", [1.0, 2.0])}, {"distance": [0.1, 0.2]})
        >>> data = xr.Dataset({"g": ("distance", [1.0, 2.0])}, {"distance": [0.1, 0.2]})
        >>> sorted(aligned_reference(found, data, "g").data_vars)
        ['reference', 'reference_error']
    """
    if name not in reference:
        listed = ", ".join(map(str, reference.data_vars)) or "none"
        raise BayescgError(
            f"reference must hold {name!r}, got {listed}. "
            "Make it by bayescg.predict.evaluate(observable, beads)."
        )
    value = reference[name]
    error = reference.get(f"{name}_error", xr.zeros_like(value))
    held = xr.Dataset(
        {"reference": value.drop_attrs(deep=False), "reference_error": error.drop_attrs(deep=False)}
    )
    _check_dimensions(found, held, name)
    for dim in map(str, found["mean"].dims):
        if dim not in found.coords:
            continue
        if np.issubdtype(found[dim].dtype, np.number):
            _check_points(found, held, dim)
            held = held.assign_coords({dim: found[dim]})
        else:
            held = _in_order(found, held, dim)
    return held.transpose(*found["mean"].dims)


def _label(found: xr.Dataset, dim: Any, place: int) -> str:
    if dim not in found.coords:
        return f"{dim} {place}"
    value = found[dim].values[place]
    return f"{dim} {value:.4g}" if np.issubdtype(found[dim].dtype, np.number) else str(value)


def _indices(dims: list[Any], place: tuple[int, ...]) -> dict[str, Any]:
    return {str(dim): k for dim, k in zip(dims, place, strict=True)}


def _check_dimensions(found: xr.Dataset, held: xr.Dataset, name: str) -> None:
    if set(held["reference"].dims) != set(found["mean"].dims):
        raise BayescgError(
            f"reference must have the dimensions {found['mean'].dims} of the simulated {name}, got "
            f"{held['reference'].dims}. Evaluate it with the same observable."
        )


def _check_points(found: xr.Dataset, held: xr.Dataset, axis: str) -> None:
    here, there = found[axis].values, held[axis].values
    if here.shape != there.shape or not np.allclose(here, there, rtol=0, atol=1e-6 * abs(here).max()):
        raise BayescgError(
            f"reference must have the points of the simulated curve along {axis}, got {there.size} from "
            f"{there[0]:.4g} to {there[-1]:.4g} against {here.size} from {here[0]:.4g} to {here[-1]:.4g}. "
            "Evaluate it with the same observable."
        )


def _in_order(found: xr.Dataset, held: xr.Dataset, dim: str) -> xr.Dataset:
    wanted, there = found[dim].values.tolist(), held[dim].values.tolist()
    if sorted(map(str, wanted)) != sorted(map(str, there)):
        raise BayescgError(
            f"reference must have the labels {wanted} of the simulated observable along {dim}, got {there}. "
            "Evaluate it with the same observable."
        )
    return held.sel({dim: wanted})
