"""Named warnings about a posterior: what went wrong, and what to do about it."""

import numpy as np
import xarray as xr
from arviz_stats.base.array import array_stats

from bayescg._typing import NumpyArray

MAXIMUM_RHAT = 1.01
"""Above, chains disagree (Vehtari et al. 2021, doi:10.1214/20-BA1221)."""

MINIMUM_ESS_PER_CHAIN = 100
"""Below, R-hat and interval ends are unreliable (same source)."""


def convergence(posterior: xr.Dataset) -> xr.Dataset:
    """R-hat, bulk and tail effective sample size of every element of every parameter.

    Args:
        posterior: variables with dims chain, draw, ...

    Returns:
        Dataset over `element` (label of the element): `r_hat`, `ess_bulk`, `ess_tail`.

    References:
        A. Vehtari et al., Bayesian Anal. 16, 667 (2021), doi:10.1214/20-BA1221.

    Example:
        >>> import numpy as np, xarray as xr
        >>> draws = np.random.default_rng(0).normal(size=(4, 500))
        >>> table = convergence(xr.Dataset({"x": (("chain", "draw"), draws)}))
        >>> bool(table["r_hat"][0] < 1.02)
        True
    """
    rows: dict[str, list[float]] = {"r_hat": [], "ess_bulk": [], "ess_tail": []}
    labels: list[str] = []
    for name, variable in posterior.data_vars.items():
        flat = np.asarray(variable.transpose("chain", "draw", ...).values)
        elements = flat.reshape(*flat.shape[:2], -1)
        places = list(np.ndindex(*flat.shape[2:]))
        for index, place in enumerate(places):
            series = elements[..., index]
            labels.append(str(name) + (str(list(place)) if place else ""))
            for key, value in zip(rows, _of_series(series), strict=True):
                rows[key].append(value)
    return xr.Dataset({key: ("element", values) for key, values in rows.items()}, coords={"element": labels})


def named_warnings(table: xr.Dataset, sample_stats: xr.Dataset) -> list[str]:
    """Sentences that name what is wrong; empty if nothing is.

    Args:
        table: from `convergence`.
        sample_stats: of the same draws.

    Example:
        >>> import xarray as xr
        >>> table = xr.Dataset({k: ("element", [v]) for k, v in (("r_hat", 1.2), ("ess_bulk", 900.0),
        ...     ("ess_tail", 900.0))}, coords={"element": ["x"]}).assign_attrs(chains=4)
        >>> named_warnings(table, xr.Dataset())[0][:27]
        'R-hat is 1.200 for x, above'
    """
    if "is_mode" in sample_stats:
        return [
            f"The {sample_stats['is_mode'].size} draws are modes of an ensemble, no posterior: their spread "
            "is that of where the searches began. Compare with NUTS, MCLMC or Laplace."
        ]
    chains = int(sample_stats.sizes.get("chain", 4))
    draws = int(sample_stats.sizes.get("draw", MINIMUM_ESS_PER_CHAIN))
    worst = int(np.nanargmax(np.asarray(table["r_hat"])))
    largest = float(table["r_hat"][worst])
    if draws < MINIMUM_ESS_PER_CHAIN:
        # R-hat of so few independent draws is above 1.01 by chance alone
        return [
            f"{draws} draws per chain are too few to judge whether the chains agree (R-hat up to "
            f"{largest:.2f}), and ends of intervals are rough. Draw more samples.",
            *_divergences(sample_stats),
        ]
    sentences = []
    if largest > MAXIMUM_RHAT:
        sentences.append(
            f"R-hat is {largest:.3f} for {table['element'].values[worst]}, above {MAXIMUM_RHAT}: the chains "
            "disagree. Run longer, or look for several modes."
        )
    for key, what in (("ess_bulk", "bulk"), ("ess_tail", "tail")):
        least = int(np.nanargmin(np.asarray(table[key])))
        if float(table[key][least]) < MINIMUM_ESS_PER_CHAIN * chains:
            sentences.append(
                f"The {what} effective sample size of {table['element'].values[least]} is "
                f"{float(table[key][least]):.0f}, below {MINIMUM_ESS_PER_CHAIN} per chain. Draw more samples."
            )
    return sentences + _divergences(sample_stats)


def _divergences(sample_stats: xr.Dataset) -> list[str]:
    count = int(sample_stats["diverging"].sum()) if "diverging" in sample_stats else 0
    if not count:
        return []
    return [
        f"{count} of {sample_stats['diverging'].size} transitions diverged: regions of high curvature are "
        "not sampled. Raise target_acceptance, or change the prior's parametrization."
    ]


def _of_series(series: NumpyArray) -> tuple[float, float, float]:
    if np.ptp(series) == 0:  # a constant has no spread to compare
        return 1.0, float(series.size), float(series.size)
    return tuple(
        float(np.asarray(value))
        for value in (
            array_stats.rhat(series, chain_axis=0, draw_axis=1),
            array_stats.ess(series, method="bulk", chain_axis=0, draw_axis=1),
            array_stats.ess(series, method="tail", prob=(0.05, 0.95), chain_axis=0, draw_axis=1),
        )
    )  # type: ignore[return-value]
