"""Evidence of a model: its value and error from independent runs, and models side by side.

    Z = p(data) = ∫ p(data | u) p(u) du,        log(Z_1 / Z_2) = log Bayes factor.

Sequential Monte Carlo estimates Z without bias, so runs are averaged as Z, not as log Z; the error is that of
the mean of R runs. Evidence depends on the width of the prior even where the posterior does not: compare
models whose priors are meant, and look at a held-out score beside it.

References:
    R. E. Kass, A. E. Raftery, J. Am. Stat. Assoc. 90, 773 (1995), doi:10.1080/01621459.1995.10476572.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray
from bayescg.inference.innovations import held_out_score

LEAST_ACCEPTANCE = 0.1
"""Below, most particles stand still at some temperature."""

LARGEST_CORRELATION = 0.6
"""Above, particles remember where they were; the evidence is then off by more than the runs' spread shows."""

LARGEST_ERROR = 1.0
"""Of the log evidence; above, the average over runs is that of the luckiest run."""

SAME_DATA = ("source_hash", "mapping", "frames", "beads", "temperature")
"""Attributes of a result that say which data it is of."""


def log_evidence(of_runs: NumpyArray) -> tuple[float, float]:
    """Log of the mean evidence of independent runs, and its standard error.

    Args:
        of_runs: (run,) log evidence.

    Example:
        >>> value, error = log_evidence(np.array([-10.1, -9.9]))
        >>> round(value, 2), round(error, 2)
        (-10.0, 0.1)
    """
    runs = np.asarray(of_runs, dtype=float)
    top = runs.max()
    spread = float(runs.std(ddof=1)) if runs.size > 1 else float("inf")
    return float(top + np.log(np.mean(np.exp(runs - top)))), spread / runs.size**0.5


def evidence_attributes(sample_stats: xr.Dataset) -> tuple[dict[str, float], list[str]]:
    """What a result keeps of the evidence, and what to be told about it.

    Args:
        sample_stats: of a sampler; without `log_evidence` there is nothing to keep.

    Returns:
        `log_evidence` and `log_evidence_error`; named warnings.

    Example:
        >>> evidence_attributes(xr.Dataset())
        ({}, [])
    """
    if "log_evidence" not in sample_stats:
        return {}, []
    value, error = log_evidence(sample_stats["log_evidence"].values[:, 0])
    least = float(sample_stats["least_acceptance"].min())
    correlation = float(sample_stats["move_correlation"].max())
    sentences = []
    if least < LEAST_ACCEPTANCE:
        sentences.append(
            f"Acceptance of the particles' moves fell to {least:.2f} at some temperature, below "
            f"{LEAST_ACCEPTANCE}. Raise particles, effective_fraction or integration_steps."
        )
    if correlation > LARGEST_CORRELATION:
        sentences.append(
            f"Particles keep a correlation of {correlation:.2f} with where they stood before their moves, "
            f"above {LARGEST_CORRELATION}: modes are apart, or the moves are too few and the evidence is off "
            "by more than its error. Raise moves and see whether the evidence stays."
        )
    if error > LARGEST_ERROR:
        sentences.append(
            f"The standard error of the log evidence is {error:.1f}, above {LARGEST_ERROR:.0f}. "
            "Raise particles or moves."
        )
    return {"log_evidence": value, "log_evidence_error": error}, sentences


def compare_evidence(
    posteriors: Mapping[str, xr.DataTree], *, held_out: Mapping[str, Any] | None = None
) -> xr.Dataset:
    """Log evidences of models of the same data, best first.

    Args:
        posteriors: name of the model -> what `bayescg.sample` returned for `bayescg.SMC()`.
        held_out: name -> log densities of held-out blocks as for `held_out_score`; the same blocks for all.

    Returns:
        Dataset over `model`: `log_evidence` and `_error`; `difference` from the best (zero or below) and
        `difference_error`; `probability` where all models are equally likely beforehand. With `held_out` also
        `held_out` (mean per block), `held_out_error`, `held_out_difference` from the best model by evidence
        and its error from paired blocks.

    Raises:
        BayescgError: a result without evidence, results of different data, or held-out scores missing.

    Example:
        >>> trees = {}
        >>> for name, value in (("Prony", -10.0), ("Markovian", -14.0)):
        ...     trees[name] = xr.DataTree()
        ...     trees[name].attrs |= {"log_evidence": value, "log_evidence_error": 0.3}
        >>> table = compare_evidence(trees)
        >>> table["model"].values.tolist(), table["difference"].values.tolist()
        (['Prony', 'Markovian'], [0.0, -4.0])
        >>> round(float(table["difference_error"][1]), 2)
        0.42
    """
    require(len(posteriors) > 0, "posteriors must hold at least one result, got none.")
    for name, tree in posteriors.items():
        if "log_evidence" not in tree.attrs:
            raise BayescgError(
                f"posteriors must have been drawn by a sampler that gives the evidence, but {name!r} has "
                "none. Sample with bayescg.SMC()."
            )
    _check_same_data(posteriors)
    names = sorted(posteriors, key=lambda name: -float(posteriors[name].attrs["log_evidence"]))
    value = np.array([float(posteriors[name].attrs["log_evidence"]) for name in names])
    error = np.array([float(posteriors[name].attrs["log_evidence_error"]) for name in names])
    weight = np.exp(value - value[0])
    columns = {
        "log_evidence": value,
        "log_evidence_error": error,
        "difference": value - value[0],
        "difference_error": np.where(np.arange(value.size) == 0, 0.0, np.hypot(error, error[0])),
        "probability": weight / weight.sum(),
    }
    if held_out is not None:
        columns |= _held_out(names, held_out)
    return xr.Dataset({k: ("model", column) for k, column in columns.items()}, coords={"model": names})


def _held_out(names: list[str], held_out: Mapping[str, Any]) -> dict[str, NumpyArray]:
    missing = [name for name in names if name not in held_out]
    require(
        not missing, f"held_out must hold every model, got none for {', '.join(missing)}. Score them too."
    )
    scores = [held_out_score(held_out[name]) for name in names]
    blocks = [score["block_score"].values for score in scores]
    require(
        len({block.size for block in blocks}) == 1,
        f"held_out must be of the same blocks for all models, got {[block.size for block in blocks]} blocks.",
    )
    paired = [held_out_score(block - blocks[0]) for block in blocks]
    return {
        "held_out": np.array([float(score["score"]) for score in scores]),
        "held_out_error": np.array([float(score["error"]) for score in scores]),
        "held_out_difference": np.array([float(score["score"]) for score in paired]),
        "held_out_difference_error": np.array([float(score["error"]) for score in paired]),
    }


def _check_same_data(posteriors: Mapping[str, xr.DataTree]) -> None:
    for attribute in SAME_DATA:
        found = {name: tree.attrs[attribute] for name, tree in posteriors.items() if attribute in tree.attrs}
        values = {str(value) for value in found.values()}
        require(
            len(values) <= 1,
            f"posteriors must be of the same data, got different {attribute}: {found}. "
            "Evidence says nothing across data.",
        )
