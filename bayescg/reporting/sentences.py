"""What a result says, in plain words: the sentences of the report and of the terminal summary."""

import json
from typing import NamedTuple

import numpy as np
import xarray as xr

from bayescg.inference.diagnostics import MAXIMUM_RHAT, convergence, named_warnings
from bayescg.reporting.deviation import Deviation

MOST_REGIONS = 4
"""Stretches of a curve that are named one by one."""


class Convergence(NamedTuple):
    """The worst of every diagnostic over all elements.

    Attributes:
        r_hat: largest.
        ess_bulk: smallest.
        ess_tail: smallest.
        divergences: number of divergent transitions; None where the sampler has none.
        chains: number of chains.
        draws: per chain.
    """

    r_hat: float
    ess_bulk: float
    ess_tail: float
    divergences: int | None
    chains: int
    draws: int


def convergence_table(posterior: xr.DataTree) -> xr.Dataset:
    """R-hat and effective sample sizes of every element, as kept in the result or computed anew.

    Example:
        >>> draws = np.random.default_rng(0).normal(size=(4, 100))
        >>> tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"x": (("chain", "draw"), draws)})})
        >>> sorted(convergence_table(tree).data_vars)
        ['ess_bulk', 'ess_tail', 'r_hat']
    """
    if "convergence" in posterior.children:
        return posterior["convergence"].to_dataset()
    return convergence(posterior["posterior"].to_dataset())


def worst_of(posterior: xr.DataTree) -> Convergence:
    """The worst of every diagnostic.

    Example:
        >>> draws = np.random.default_rng(0).normal(size=(4, 100))
        >>> tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"x": (("chain", "draw"), draws)})})
        >>> worst_of(tree).draws
        100
    """
    table, group = convergence_table(posterior), posterior["posterior"].to_dataset()
    diverging = None
    if "sample_stats" in posterior.children and "diverging" in posterior["sample_stats"].data_vars:
        diverging = int(posterior["sample_stats"].to_dataset()["diverging"].sum())
    return Convergence(
        float(table["r_hat"].max()),
        float(table["ess_bulk"].min()),
        float(table["ess_tail"].min()),
        diverging,
        int(group.sizes["chain"]),
        int(group.sizes["draw"]),
    )


def warnings_of(posterior: xr.DataTree, simulated: xr.DataTree | None = None) -> list[str]:
    """Everything that went wrong, each with its remedy.

    Example:
        >>> tree = xr.DataTree()
        >>> tree.attrs["warnings"] = '["R-hat is 1.2"]'
        >>> warnings_of(tree)
        ['R-hat is 1.2']
    """
    if "warnings" in posterior.attrs:
        found = list(json.loads(posterior.attrs["warnings"]))
    else:
        stats = (
            posterior["sample_stats"].to_dataset() if "sample_stats" in posterior.children else xr.Dataset()
        )
        found = named_warnings(convergence_table(posterior), stats)
    if simulated is not None:
        found += json.loads(simulated.attrs.get("warnings", "[]"))
    return found


def sampling_sentence(worst: Convergence) -> str:
    """One sentence on sampling.

    Example:
        >>> sampling_sentence(Convergence(1.002, 1800.0, 1500.0, 0, 4, 1000))[:34]
        'The chains agree: R-hat is at most'
    """
    numbers = (
        f"R-hat is at most {worst.r_hat:.3f}, the effective sample size at least {worst.ess_bulk:.0f} in the "
        f"bulk and {worst.ess_tail:.0f} in the tails"
    )
    if worst.divergences is not None:
        numbers += f", {worst.divergences} transitions diverged"
    sound = worst.r_hat <= MAXIMUM_RHAT and not worst.divergences
    return f"{'The chains agree' if sound else 'The sampling cannot be trusted yet'}: {numbers}."


def explained_sentences(posterior: xr.DataTree) -> list[str]:
    """One sentence per bead type on the explained force and its ceiling; none where not computed.

    Example:
        >>> explained_sentences(xr.DataTree())
        []
    """
    if "explained_force" not in posterior.children:
        return []
    table = posterior["explained_force"].to_dataset()
    sentences = []
    for kind in table["type"].values:
        row = {str(name): 100 * float(values.sel(type=kind)) for name, values in table.data_vars.items()}
        gap = row["ceiling_at_least"] - row["r_squared_held_out"]
        error = float(np.hypot(row["r_squared_held_out_error"], row["ceiling_at_least_error"]))
        verdict = (
            f"so at least {gap:.1f} % is mean force that this potential misses"
            if gap > 2 * error
            else "so no missing mean force could be shown; what remains looks like noise of the mapping"
        )
        sentences.append(
            f"The potential explains {row['r_squared_held_out']:.1f} ± {row['r_squared_held_out_error']:.1f} "
            f"% of the mean square force on {kind} in frames held out. A richer many-body regression reaches "
            f"{row['ceiling_at_least']:.1f} ± {row['ceiling_at_least_error']:.1f} %, a lower bound of what "
            f"any potential of the same beads can reach, {verdict}."
        )
    return sentences


def deviation_sentences(found: list[Deviation], label: str, unit: str) -> list[str]:
    """One sentence per pair of types: where the simulated curve leaves the data, and by how much.

    Args:
        found: from `deviations`.
        label: of the observable, `g(r)`.
        unit: of its axis; of its values where they are numbers.

    Example:
        >>> from bayescg.reporting.deviation import Peak
        >>> peak = Peak(0.28, 2.4, 2.5, 2.6)
        >>> deviation_sentences([Deviation("A-A", [], 0.0, 0.0, 0.3, peak, peak)], "g(r)", "nm")[0][-57:]
        'lies within the band, up to its own error, at all points.'
    """
    sentences = []
    for one in found:
        if np.isnan(one.data.place):
            sentences.append(_number_sentence(one, label, unit))
            continue
        head = (
            f"{one.pair} {label}: the simulated maximum is {one.simulated.value:.2f} "
            f"[{one.simulated.low:.2f}, {one.simulated.high:.2f}] at {one.simulated.place:.3f} {unit}, that "
            f"of the data {one.data.value:.2f} [{one.data.low:.2f}, {one.data.high:.2f}] at "
            f"{one.data.place:.3f} {unit}."
        ).strip()
        if not one.regions:
            sentences.append(
                f"{head} The curve of the data lies within the band, up to its own error, at all points."
            )
            continue
        widest = sorted(sorted(one.regions, key=lambda r: r[0] - r[1])[:MOST_REGIONS])
        named = ", ".join(f"{a:.2f}–{b:.2f}" if b > a else f"{a:.2f}" for a, b in widest)
        more = len(one.regions) - len(widest)
        sentences.append(
            f"{head} The data leave the 95 % band at {100 * one.fraction:.0f} % of the points ({named} "
            f"{unit}{f' and {more} more' if more else ''}); the largest difference is {one.largest:+.2f} at "
            f"{one.place:.2f} {unit}."
        )
    return sentences


def _number_sentence(one: Deviation, label: str, unit: str) -> str:
    verdict = "outside" if one.regions else "within"
    units = f" {unit}" if unit not in ("", "1") else ""
    return (
        f"{one.pair} {label}: {one.simulated.value:.4g} [{one.simulated.low:.4g}, {one.simulated.high:.4g}]"
        f"{units} simulated, {one.data.value:.4g} [{one.data.low:.4g}, {one.data.high:.4g}]{units} in the "
        f"data, which lie {verdict} the 95 % band, up to their own error."
    ).strip()


WHY_DEVIATION = (
    "Force matching makes the mean force right as far as a sum over pairs can; it does not aim at the "
    "structure. The potential of mean force of a liquid has many-body parts that no sum over pairs carries, "
    "so the simulated structure can differ from the data although the potential is sharply determined. The "
    "band shows what the data leave open within the model; it cannot show that the model itself is too "
    "simple, and more data would narrow it but not move it onto the data."
)
"""Why a sharply determined pair potential can still give another structure."""
