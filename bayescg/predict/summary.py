"""From block means of many runs to a posterior predictive summary."""

from typing import Any

import numpy as np
import xarray as xr

from bayescg._typing import NumpyArray
from bayescg.predict.ratio import ratio_of_sums
from bayescg.predict.variance import QUANTILES, block_standard_error, decompose


def predictive(run: xr.Dataset, names: list[str]) -> xr.Dataset:
    """Mean of every observable for every draw, with its Monte Carlo standard error.

    Replicas of a draw are averaged, their errors combined; those that exploded are left out, and a draw
    is NaN where all did. Observables over time weight every block by its samples.

    Args:
        run: block means (draw, record, ...) from `bayescg.dynamics.simulate_ensemble`; the coordinate
            `draw` repeats where a draw has replicas.
        names: of the observables.

    Returns:
        `<name>` and `<name>_error`, (draw, ...); of observables over time also `<name>_weight`.

    Example:
        >>> blocks = xr.Dataset({"a": (("draw", "record"), [[1.0, 3.0], [2.0, 2.0]])}, {"draw": [0, 1]})
        >>> predictive(blocks, ["a"]).a_error.values.tolist()
        [1.0, 0.0]
    """
    which = run["draw"].to_numpy()
    draws = np.unique(which)
    variables, coordinates = {}, {"draw": draws}
    for name in names:
        blocks = run[name]
        labels = blocks.dims[2:]
        means, errors = _of_run(run, name)
        sound = np.asarray(np.isfinite(means.reshape(means.shape[0], -1)).all(axis=1))
        groups = [(which == draw) & (sound | ~sound[which == draw].any()) for draw in draws]
        mean = np.stack([means[group].mean(axis=0) for group in groups])
        error = np.stack([_of_mean(errors[group]) for group in groups])
        variables[name] = (("draw", *labels), mean, blocks.attrs)
        variables[f"{name}_error"] = (("draw", *labels), error, blocks.attrs)
        coordinates |= {label: run[label] for label in labels if label in run.coords}
        if f"{name}_weight" in run:
            weight = run[f"{name}_weight"].sum("record", skipna=False).to_numpy()
            variables[f"{name}_weight"] = (
                ("draw", *labels),
                np.stack([weight[group].sum(axis=0) for group in groups]),
            )
    return xr.Dataset(variables, coords=coordinates)


def summary(draws: xr.Dataset, name: str) -> xr.Dataset:
    """What all draws say together about one observable.

    Args:
        draws: from `predictive`.
        name: of the observable.

    Returns:
        mean; mean_error (of the mean over draws); between_draw_sd (the posterior's); within_draw_sd (Monte
        Carlo error of one draw); band (quantile, ...), freed from the Monte Carlo part; and
        monte_carlo_dominates, where longer simulations would say more than more data.

    Example:
        >>> draws = xr.Dataset({"a": ("draw", [1.0, 3.0]), "a_error": ("draw", [0.0, 0.0])})
        >>> float(summary(draws, "a").between_draw_sd.round(4))
        1.4142
    """
    means, errors = draws[name], draws[f"{name}_error"]
    labels = means.dims[1:]
    parts = decompose(means.to_numpy(), errors.to_numpy())
    alive = int(np.isfinite(means.to_numpy()).reshape(means.shape[0], -1).all(axis=1).sum())
    # where the between part is cut at zero the draws' variance is within's at most
    total = parts.between + parts.within
    variables = {
        "mean": parts.mean,
        "mean_error": np.sqrt(total / max(alive, 1)),
        "between_draw_sd": np.sqrt(parts.between),
        "within_draw_sd": np.sqrt(parts.within),
    }
    coordinates = {label: means[label] for label in labels if label in means.coords}
    return xr.Dataset(
        {key: (labels, value, means.attrs) for key, value in variables.items()}
        | {
            "band": (("quantile", *labels), parts.bands, means.attrs),
            "monte_carlo_dominates": (labels, parts.within > parts.between),
        },
        coords=coordinates | {"quantile": np.asarray(QUANTILES)},
        attrs={"draws": alive},
    )


def diagnostics(run: xr.Dataset, *, temperature: float) -> xr.Dataset:
    """How every simulation went, replicas apart.

    Args:
        run: as in `predictive`.
        temperature: target, K.

    Returns:
        exploded, exploded_step, kinetic_temperature with its error, counts of records run again, error of
        the force table, and the frame every run began from.

    Example:
        >>> counts = {name: ("draw", [0]) for name in ("stale_redone", "overflow_redone")}
        >>> run = xr.Dataset(
        ...     {"kinetic_temperature": (("draw", "record"), [[299.0, 301.0]]), **counts},
        ...     {"draw": [0], "frame": ("draw", [7])},
        ... ).assign(exploded_step=("draw", [-1]))
        >>> diagnostics(run, temperature=300.0).kinetic_temperature.item()
        300.0
    """
    kinetic = run["kinetic_temperature"].to_numpy()
    units = {"units": "K"}
    kept = ["exploded_step", "stale_redone", "overflow_redone"]
    kept += ["table_error"] if "table_error" in run else []
    variables: dict[str, Any] = {name: ("run", run[name].to_numpy(), run[name].attrs) for name in kept}
    variables["exploded"] = ("run", run["exploded_step"].to_numpy() >= 0)
    variables["kinetic_temperature"] = ("run", kinetic.mean(axis=1), units)
    variables["kinetic_temperature_error"] = ("run", block_standard_error(kinetic.T), units)
    labels = {name: ("run", run[name].to_numpy()) for name in ("draw", "frame")}
    return xr.Dataset(variables, coords=labels, attrs={"temperature": temperature})


def _of_run(run: xr.Dataset, name: str) -> tuple[NumpyArray, NumpyArray]:
    """Mean and standard error of every simulation."""
    if f"{name}_weight" not in run:
        values = run[name].to_numpy()
        return values.mean(axis=1), block_standard_error(np.moveaxis(values, 1, 0))
    sums, weights = (np.moveaxis(run[f"{name}_{part}"].to_numpy(), 1, 0) for part in ("sum", "weight"))
    found = ratio_of_sums(sums, weights)
    return found.value, found.error


def _of_mean(errors: np.ndarray) -> np.ndarray:
    """Standard error of the mean of independent replicas."""
    return np.sqrt(np.sum(errors**2, axis=0)) / errors.shape[0]
