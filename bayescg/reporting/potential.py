"""The potential of a result in numbers: a short table, and how the sandwich widens its bands."""

import numpy as np
import xarray as xr

from bayescg.viz.stored import distance_counts, draws_of, first_sampled, pair_curves
from bayescg.viz.style import INTERVALS, quantile_band

TABLE_POINTS = 6
"""Distances at which a potential is tabulated."""

MARGIN = 0.05
"""The table begins and ends this fraction of the distance inside the sampled range."""


def sandwich_sentence(posterior: xr.DataTree) -> str | None:
    """How wide the sandwich's bands are beside the naive ones, over the sampled distances.

    Example:
        >>> dims = ("chain", "curve_draw", "type_pair", "distance")
        >>> curve = xr.DataArray(np.zeros((1, 2, 1, 3)), dims=dims, coords={"type_pair": ["A-A"]})
        >>> group = {"pair_energy": curve, "pair_force": curve}
        >>> sandwich_sentence(xr.DataTree.from_dict({"potential_curves": xr.Dataset(group)})) is None
        True
    """
    curves = pair_curves(posterior)
    ratios = []
    for pair in curves["type_pair"].values:
        robust, naive = (draws_of(curves, f"pair_force{end}", str(pair)) for end in ("", "_naive"))
        if robust is None or naive is None:
            return None
        widths = [
            high - low for low, high in (quantile_band(draws, INTERVALS[0]) for draws in (robust, naive))
        ]
        inside = (curves["distance"].values >= _first_sampled(posterior, str(pair))) & (widths[1] > 0)
        ratios.append(widths[0][inside] / widths[1][inside])
    low, middle, high = np.quantile(np.concatenate(ratios), (0.05, 0.5, 0.95))
    return (
        "Bands are of the sandwich posterior, which allows for noise that is correlated or of changing size: "
        f"for the force they are {middle:.2f} times as wide as the naive ones in the median over distances "
        f"(90 % of the distances: {low:.2f} to {high:.2f})."
    )


def potential_table(
    posterior: xr.DataTree, points: int = TABLE_POINTS
) -> list[tuple[str, float, list[float]]]:
    """Energy and force at a few sampled distances.

    Args:
        posterior: from `bayescg.sample`.
        points: number of distances per pair of types.

    Returns:
        Per row: pair of types, distance (nm), and [median, half-width of the 95 % interval] of energy
        (kJ/mol) and force (kJ/mol/nm). Distances are denser where they are short.

    Example:
        >>> curve = xr.DataArray(
        ...     np.zeros((1, 2, 1, 9)), dims=("chain", "curve_draw", "type_pair", "distance"),
        ...     coords={"type_pair": ["A-A"], "distance": np.linspace(0.1, 0.9, 9)},
        ... )
        >>> group = {"pair_energy": curve, "pair_force": curve}
        >>> rows = potential_table(xr.DataTree.from_dict({"potential_curves": xr.Dataset(group)}), points=3)
        >>> [round(distance, 2) for _, distance, _ in rows]
        [0.1, 0.3, 0.9]
    """
    curves = pair_curves(posterior)
    r = curves["distance"].values
    rows = []
    for pair in map(str, curves["type_pair"].values):
        begin = max(_first_sampled(posterior, pair), float(r[0]))
        for wanted in np.geomspace((1 + MARGIN) * begin, (1 - MARGIN) * float(r[-1]), points):
            place = int(np.argmin(np.abs(r - wanted)))
            numbers: list[float] = []
            for quantity in ("pair_energy", "pair_force"):
                draws = draws_of(curves, quantity, pair)
                assert draws is not None
                low, high = quantile_band(draws[:, place], INTERVALS[0])
                numbers += [float(np.median(draws[:, place])), float(high - low) / 2]
            rows.append((pair, float(r[place]), numbers))
    return rows


def _first_sampled(posterior: xr.DataTree, pair: str) -> float:
    counts = distance_counts(posterior)
    found = -np.inf if counts is None else first_sampled(counts.sel(type_pair=pair))
    return float(found) if np.isfinite(found) else float(-np.inf)
