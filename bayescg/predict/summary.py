"""From block means of many runs to a posterior predictive summary."""

from typing import Any

import numpy as np
import xarray as xr

from bayescg._typing import NumpyArray
from bayescg.predict.ratio import ratio_of_sums
from bayescg.predict.variance import BLOCKS, QUANTILES, block_correlation, block_standard_error, decompose

FEW_RUNS = 4
"""Fewer do not show how far they scatter."""


def predictive(run: xr.Dataset, names: list[str], *, start: NumpyArray | None = None) -> xr.Dataset:
    """Mean of every observable for every draw, with its Monte Carlo standard error.

    Replicas of a draw are averaged, their errors combined; those that exploded are left out, and a draw
    is NaN where all did. Observables over time weight every block by its samples.

    Args:
        run: block means (draw, record, ...) from `bayescg.dynamics.simulate_ensemble`; the coordinate
            `draw` repeats where a draw has replicas.
        names: of the observables.
        start: per run the records that are left out, being before equilibrium; None for none.

    Returns:
        `<name>` and `<name>_error`, (draw, ...); of observables over time also `<name>_weight`. Attributes of
        the error: `block_correlation` of neighbouring blocks, mean over the runs, and its standard error.

    Example:
        >>> blocks = xr.Dataset({"a": (("draw", "record"), [[1.0, 3.0], [2.0, 2.0]])}, {"draw": [0, 1]})
        >>> predictive(blocks, ["a"]).a_error.values.tolist()
        [1.0, 0.0]
    """
    which = run["draw"].to_numpy()
    draws = np.unique(which)
    begin = np.zeros(which.size, dtype=int) if start is None else np.asarray(start)
    variables, coordinates = {}, {"draw": draws}
    for name in names:
        blocks = run[name]
        labels = blocks.dims[2:]
        means, errors, correlation = (
            np.stack(part)
            for part in zip(*[_of_run(run, name, i, n) for i, n in enumerate(begin)], strict=True)
        )
        sound = np.asarray(np.isfinite(means.reshape(means.shape[0], -1)).all(axis=1))
        groups = [(which == draw) & (sound | ~sound[which == draw].any()) for draw in draws]
        mean = np.stack([means[group].mean(axis=0) for group in groups])
        error = np.stack([_of_mean(errors[group]) for group in groups])
        variables[name] = (("draw", *labels), mean, blocks.attrs)
        variables[f"{name}_error"] = (
            ("draw", *labels),
            error,
            blocks.attrs | correlation_attributes(correlation),
        )
        coordinates |= {label: run[label] for label in labels if label in run.coords}
        if f"{name}_weight" in run:
            weights = run[f"{name}_weight"].to_numpy()
            weight = np.stack([of_run[n:].sum(axis=0) for of_run, n in zip(weights, begin, strict=True)])
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
        monte_carlo_dominates, where longer simulations would say more than more data. Where draws were
        reweighted from the same frames, shared_sd: the error that moves all of them together, which is in
        mean_error and not in the band. Attributes: `draws`, and `monte_carlo_part`, see `monte_carlo_part`.

    Example:
        >>> draws = xr.Dataset({"a": ("draw", [1.0, 3.0]), "a_error": ("draw", [0.0, 0.0])})
        >>> float(summary(draws, "a").between_draw_sd.round(4))
        1.4142
    """
    means, errors = draws[name], draws[f"{name}_error"]
    labels = means.dims[1:]
    together = draws[f"{name}_shared"].to_numpy() if f"{name}_shared" in draws else None
    parts = decompose(means.to_numpy(), errors.to_numpy(), shared=together)
    alive = int(np.isfinite(means.to_numpy()).reshape(means.shape[0], -1).all(axis=1).sum())
    variables = {
        "mean": parts.mean,
        "mean_error": np.sqrt(parts.mean_variance),
        "between_draw_sd": np.sqrt(parts.between),
        "within_draw_sd": np.sqrt(parts.within),
    }
    if together is not None:
        variables["shared_sd"] = np.sqrt(np.maximum(parts.shared, 0.0))
    coordinates = {label: means[label] for label in labels if label in means.coords}
    return xr.Dataset(
        {key: (labels, value, means.attrs) for key, value in variables.items()}
        | {
            "band": (("quantile", *labels), parts.bands, means.attrs),
            "monte_carlo_dominates": (labels, parts.within > parts.between),
        },
        coords=coordinates | {"quantile": np.asarray(QUANTILES)},
        attrs={"draws": alive, "monte_carlo_part": monte_carlo_part(parts.between, parts.within)},
    )


def monte_carlo_part(between: NumpyArray, within: NumpyArray) -> float:
    """Part of a band that is Monte Carlo error, over a whole curve.

        p = sqrt(mean over elements of within / (between + within)),

    elements that never vary, an empty bin say, left out.

    Args:
        between: variance of the posterior, every element.
        within: Monte Carlo variance of one draw.

    Returns:
        Between 0 and 1; NaN where nothing varies, or for a single draw.

    Example:
        >>> monte_carlo_part(np.array([3.0, 3.0, 0.0]), np.array([1.0, 1.0, 0.0]))
        0.5
    """
    total = np.asarray(between) + np.asarray(within)
    varies = np.isfinite(total) & (total > 0)
    if not varies.any():
        return float("nan")
    return float(np.sqrt(np.mean(np.asarray(within)[varies] / total[varies])))


def diagnostics(run: xr.Dataset, *, temperature: float, settled: xr.Dataset | None = None) -> xr.Dataset:
    """How every simulation went, replicas apart.

    Args:
        run: as in `predictive`.
        temperature: target, K.
        settled: from `bayescg.predict.equilibrium.equilibrium`; None for records that are all equal.

    Returns:
        exploded, exploded_step, kinetic_temperature with its error, counts of records run again, error of
        the force table, and the frame every run began from; in NPT `volume` with its error and `collapsed`,
        in NVE `energy_drift`; where equilibrium was looked for, the
        `equilibrated_record` and the `effective_samples`. Attributes: `temperature`, `records`.

    Example:
        >>> counts = {name: ("draw", [0]) for name in ("stale_redone", "overflow_redone")}
        >>> run = xr.Dataset(
        ...     {"kinetic_temperature": (("draw", "record"), [[299.0, 301.0]]), **counts},
        ...     {"draw": [0], "frame": ("draw", [7])},
        ... ).assign(exploded_step=("draw", [-1]))
        >>> diagnostics(run, temperature=300.0).kinetic_temperature.item()
        300.0
    """
    whole = run["kinetic_temperature"].to_numpy()
    begin = np.zeros(len(whole), dtype=int) if settled is None else settled["equilibrated_record"].to_numpy()
    kinetic = [values[first:] for values, first in zip(whole, begin, strict=True)]
    units = {"units": "K"}
    kept = ["exploded_step", "stale_redone", "overflow_redone"]
    kept += [
        name for name in ("table_error", "energy_drift", "collapsed", "failure", "unsaved") if name in run
    ]
    variables: dict[str, Any] = {name: ("run", run[name].to_numpy(), run[name].attrs) for name in kept}
    variables["exploded"] = ("run", run["exploded_step"].to_numpy() >= 0)
    variables["kinetic_temperature"] = ("run", np.array([values.mean() for values in kinetic]), units)
    errors = np.array([block_standard_error(values) for values in kinetic])
    variables["kinetic_temperature_error"] = ("run", errors, units)
    if "volume" in run:
        volumes = [values[first:] for values, first in zip(run["volume"].to_numpy(), begin, strict=True)]
        variables["volume"] = ("run", np.array([values.mean() for values in volumes]), run["volume"].attrs)
        errors = np.array([block_standard_error(values) for values in volumes])
        variables["volume_error"] = ("run", errors, run["volume"].attrs)
    if settled is not None:
        variables |= {str(key): ("run", value.to_numpy()) for key, value in settled.data_vars.items()}
    labels = {name: ("run", run[name].to_numpy()) for name in ("draw", "frame")}
    about = {"temperature": temperature, "records": run.sizes["record"]}
    return xr.Dataset(variables, coords=labels, attrs=about)


def correlation_attributes(correlation: NumpyArray) -> dict[str, float]:
    """How far neighbouring blocks are correlated, as attributes of an error.

    Args:
        correlation: of every run, from `bayescg.predict.variance.block_correlation`.

    Returns:
        Mean over the runs, and its standard error from their scatter; of few runs from theory, 1/sqrt(B).

    Example:
        >>> correlation_attributes(np.array([0.1, np.nan]))["block_correlation"]
        0.1
    """
    known = correlation[np.isfinite(correlation)]
    if known.size == 0:
        return {}
    spread = known.std(ddof=1) if known.size >= FEW_RUNS else BLOCKS**-0.5
    return {
        "block_correlation": float(known.mean()),
        "block_correlation_error": float(spread / np.sqrt(known.size)),
    }


def _of_run(run: xr.Dataset, name: str, index: int, start: int) -> tuple[NumpyArray, NumpyArray, float]:
    """Mean and standard error of one simulation, and the correlation of its blocks."""
    if f"{name}_weight" not in run:
        values = run[name].to_numpy()[index, start:]
        return values.mean(axis=0), block_standard_error(values), block_correlation(values)
    sums, weights = (run[f"{name}_{part}"].to_numpy()[index, start:] for part in ("sum", "weight"))
    found = ratio_of_sums(sums, weights)
    return found.value, found.error, block_correlation(sums - found.value * weights)


def _of_mean(errors: np.ndarray) -> np.ndarray:
    """Standard error of the mean of independent replicas."""
    return np.sqrt(np.sum(errors**2, axis=0)) / errors.shape[0]
