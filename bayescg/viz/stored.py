"""What figures and reports read from a result: curves, sampled distances, temperature."""

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray

COUNTS = "pair_distance_count"
"""Variable of `constant_data`: number of pairs per bin of distance."""


def pair_curves(posterior: xr.DataTree) -> xr.Dataset:
    """The curves of the pair potential in a result: `pair_energy`, `pair_force` over distance.

    Raises:
        BayescgError: there are none.

    Example:
        >>> pair_curves(xr.DataTree())
        Traceback (most recent call last):
        ...
        bayescg._checks.BayescgError: posterior must hold the variable pair_energy in a group ..., got ...
    """
    for group in posterior.children.values():
        if "pair_energy" in group.data_vars and "pair_force" in group.data_vars:
            return group.to_dataset()
    groups = ", ".join(map(str, posterior.children)) or "none"
    raise BayescgError(
        f"posterior must hold the variable pair_energy in a group potential_curves, got {groups}. "
        "bayescg.sample writes it for models with a pair potential; "
        "bayescg.inference.potential_curves(problem, draws) makes it."
    )


def draws_of(curves: xr.Dataset, quantity: str, pair: str) -> NumpyArray | None:
    """All draws of one curve, (draw, distance), in double precision; None where it is not kept.

    Args:
        curves: from `pair_curves`.
        quantity: `pair_energy`, `pair_force`, or these with `_naive`.
        pair: name of the pair of types.

    Example:
        >>> draws_of(xr.Dataset(), "pair_energy_naive", "A-A") is None
        True
    """
    if quantity not in curves:
        return None
    chosen = curves[quantity].sel(type_pair=pair).transpose("chain", "curve_draw", "distance").values
    return chosen.reshape(-1, chosen.shape[-1]).astype(np.float64)


def distance_counts(posterior: xr.DataTree) -> xr.DataArray | None:
    """Number of pairs per bin of distance in the first term's data; None where not kept.

    Example:
        >>> distance_counts(xr.DataTree()) is None
        True
    """
    if "constant_data" not in posterior.children or COUNTS not in posterior["constant_data"].data_vars:
        return None
    return posterior["constant_data"].to_dataset()[COUNTS]


def first_sampled(count: xr.DataArray) -> float:
    """Left edge of the first bin with a pair in it, nm; infinity where there is none.

    Example:
        >>> count = xr.DataArray([0, 0, 3], dims="distance", coords={"distance": [0.1, 0.3, 0.5]})
        >>> round(first_sampled(count), 3)
        0.4
    """
    centers = count["distance"].values
    filled = np.flatnonzero(count.values > 0)
    return float(centers[filled[0]] - 0.5 * (centers[1] - centers[0])) if filled.size else float("inf")


def posterior_name(curves: xr.Dataset) -> str:
    """What the bands are of: the sandwich posterior where a naive one stands beside it.

    Example:
        >>> posterior_name(xr.Dataset())
        'posterior'
    """
    return "sandwich posterior" if "pair_energy_naive" in curves else "posterior"


def temperature(posterior: xr.DataTree) -> float | None:
    """Temperature of the data, K; None where it is not known.

    Example:
        >>> tree = xr.DataTree()
        >>> tree.attrs["temperature"] = 300.0
        >>> temperature(tree)
        300.0
    """
    value = posterior.attrs.get("temperature")
    return float(value) if value is not None and np.isfinite(value) else None
