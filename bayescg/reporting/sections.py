"""The sections of the report, each a heading and its parts in HTML."""

import json
from typing import Any

import xarray as xr

from bayescg import viz
from bayescg._checks import BayescgError
from bayescg.identifiability import Identified
from bayescg.reporting.deviation import deviations
from bayescg.reporting.page import bullets, facts, figure, paragraph, table
from bayescg.reporting.potential import potential_table, sandwich_sentence
from bayescg.reporting.sentences import (
    WHY_DEVIATION,
    convergence_table,
    deviation_sentences,
    explained_sentences,
    sampling_sentence,
    warnings_of,
    worst_of,
)
from bayescg.viz.observable_layout import axis_unit, curve_axis, observable_label
from bayescg.viz.posterior import parameter_unit
from bayescg.viz.predictive import observable_summary
from bayescg.viz.stored import distance_counts, first_sampled, pair_curves, temperature

Section = tuple[str, list[str]]

REPORT_POINTS = 10
"""Distances of the table of the potential."""

PROVENANCE = (
    ("source", "data"),
    ("source_hash", "hash of the data"),
    ("frames", "frames"),
    ("beads", "beads"),
    ("mapping", "map"),
    ("force_mapping", "map of the forces"),
    ("temperature", "temperature (K)"),
    ("potential", "potential"),
    ("cutoff", "cutoff (nm)"),
    ("sampler", "sampler"),
    ("sampling_seconds", "seconds of sampling"),
    ("key", "random key"),
    ("problem", "hash of model, prior and data"),
    ("versions", "versions"),
    ("units", "units"),
)
"""Attributes of a result that the report shows, and how it calls them."""


def verdict(
    posterior: xr.DataTree,
    identified: Identified | None,
    simulated: xr.DataTree | None,
    reference: xr.Dataset | None,
    of_memory: list[str],
) -> Section:
    """What came out, in plain words; `of_memory` are the warnings about a memory fitted apart."""
    named = {"Sampling": warnings_of(posterior, simulated), "Dynamics": of_memory}
    kind = "warning" if any(named.values()) else "good"
    counted = [
        f"{len(found)} warning{'s' * (len(found) != 1)}, named under {place}."
        for place, found in named.items()
        if found
    ]
    closing = " ".join(counted) or "No warnings."
    parts = [paragraph(f"{sampling_sentence(worst_of(posterior))} {closing}", kind)]
    parts += [paragraph(sentence, "lead") for sentence in explained_sentences(posterior)]
    if identified is not None:
        parts.append(paragraph(identified.paragraph.splitlines()[0], "lead"))
    if simulated is not None and reference is not None:
        parts += [paragraph(sentence, "lead") for sentence in _compared(simulated, reference)]
    return "Verdict", parts


def fitted(posterior: xr.DataTree) -> Section:
    """Data, map, model, sampler, versions."""
    rows = [(name, _readable(posterior.attrs[key])) for key, name in PROVENANCE if posterior.attrs.get(key)]
    return "What was fitted", [facts(rows)]


def potential(posterior: xr.DataTree) -> Section:
    """Figure and table of the pair potential."""
    try:
        pairs = [str(name) for name in pair_curves(posterior)["type_pair"].values]
    except BayescgError:
        return "Potential", [paragraph("The model has no pair potential, so there is no curve to show.")]
    counts = distance_counts(posterior)
    unsampled = "" if counts is None else " Shaded: no pair was sampled, the curve is extrapolation."
    sentence = sandwich_sentence(posterior)
    rows = [
        [pair, f"{r:.3f}", f"{u:.3f} ± {du:.3f}", f"{f:.2f} ± {df:.2f}"]
        for pair, r, (u, du, f, df) in potential_table(posterior, REPORT_POINTS)
    ]
    return "Potential", [
        figure(
            viz.plot_potential(posterior),
            name="potential",
            alt=f"Pair energy and pair force over distance for {', '.join(pairs)}, with posterior bands, "
            "the width of the bands and the number of sampled pairs.",
            caption="Top: median with 50 % and 95 % bands; the steep core is cut off. Middle: half-width of "
            "the 95 % bands on a logarithmic axis. Bottom: pairs per bin of distance in the data."
            + unsampled,
        ),
        *([] if sentence is None else [paragraph(sentence)]),
        table(
            "Median ± half-width of the 95 % interval",
            ["pair", "r (nm)", "u (kJ/mol)", "−u′ (kJ/mol/nm)"],
            rows,
        ),
    ]


def sampling(posterior: xr.DataTree, simulated: xr.DataTree | None) -> Section:
    """Warnings, table of diagnostics, rank and trace plots."""
    found = warnings_of(posterior, simulated)
    parts = [paragraph(sentence, "warning") for sentence in found]
    parts.append(paragraph(sampling_sentence(worst_of(posterior))))
    elements = convergence_table(posterior)
    names = [str(label).split("[")[0] for label in elements["element"].values]
    rows = []
    for name in dict.fromkeys(names):
        part = elements.isel(element=[index for index, other in enumerate(names) if other == name])
        unit = parameter_unit(name).removeprefix("value").strip(" ()")
        rows.append(
            [
                name,
                unit,
                str(part.sizes["element"]),
                f"{float(part['r_hat'].max()):.3f}",
                f"{float(part['ess_bulk'].min()):.0f}",
                f"{float(part['ess_tail'].min()):.0f}",
            ]
        )
    header = ["parameter", "unit", "elements", "largest R-hat", "least ESS, bulk", "least ESS, tail"]
    parts.append(table("Worst element of every parameter (ESS: effective sample size)", header, rows))
    parts += [
        figure(
            viz.plot_rank(posterior),
            name="rank",
            alt="Rank plots: deviation of every chain's ranks from uniform ranks.",
            caption="Ranks of every chain among all draws, less what is expected. Well-mixed chains stay "
            "inside the grey envelope with 99 % probability. Draws before the sandwich.",
        ),
        figure(
            viz.plot_trace(posterior),
            name="trace",
            alt="Trace plots: draws of every chain in their order.",
            caption="Draws in their order. Chains that agree lie on top of each other. Draws before the "
            "sandwich.",
        ),
    ]
    return "Sampling", parts


def identifiability(identified: Identified, posterior: xr.DataTree) -> Section:
    """What the data determine."""
    has_curves = any("pair_energy" in group.data_vars for group in posterior.children.values())
    return "What the data determine", [
        *[paragraph(line) for line in identified.paragraph.splitlines()],
        figure(
            viz.plot_spectrum(identified, posterior if has_curves else None),
            name="identifiability",
            alt="Posterior over prior standard deviation per direction; loadings of best and worst "
            "direction.",
            caption="Left: how much narrower the posterior is than the prior, per direction of parameter "
            "space, with hyperparameters held. Right: what the best and the worst determined direction are "
            "made of.",
        ),
    ]


def structure(simulated: xr.DataTree, reference: xr.Dataset | None) -> Section:
    """Simulated observables beside the data."""
    parts = [paragraph(_settings(simulated))]
    for name in map(str, simulated["summary"].children):
        held = reference if reference is not None and name in reference else None
        found, label = observable_summary(simulated, name), observable_label(name)
        parts.append(
            figure(
                viz.plot_observable(simulated, name, reference=held),
                name=name,
                alt=f"{label} simulated with posterior draws{'' if held is None else ', beside the data'}.",
                caption=_caption(label, numbers=curve_axis(found) is None, compared=held is not None),
            )
        )
    if reference is not None:
        parts.append(bullets(_compared(simulated, reference)))
        if any(
            one.regions
            for name in _names(simulated, reference)
            for one in deviations(simulated, name, reference)
        ):
            parts.append(paragraph(WHY_DEVIATION))
    return "Simulations with posterior draws", parts


def limits(posterior: xr.DataTree, simulated: xr.DataTree | None) -> Section:
    """What this result does not say."""
    kelvin = temperature(posterior)
    at = "" if kelvin is None else f" of {kelvin:g} K"
    items = [
        f"The potential is a free energy at the temperature{at} and density of the data. At other states it "
        "is an extrapolation, and one temperature cannot tell energy from entropy.",
        "Bands are conditional on the model: they hold what the data leave open among potentials of this "
        "form, not the error of the form itself.",
        "The explained force says how good the mean force is, not how good the simulated structure is.",
    ]
    counts = distance_counts(posterior)
    if counts is not None:
        begins = ", ".join(
            f"{pair} {first_sampled(counts.sel(type_pair=pair)):.3f} nm"
            for pair in map(str, counts["type_pair"].values)
        )
        items.append(
            f"Below the shortest sampled distances ({begins}) the potential is made up, not measured."
        )
    if "posterior_sandwich" not in posterior.children:
        items.append(
            "There are no sandwich intervals: the bands take forces of different beads and frames for "
            "independent, which they are not, and can be too narrow or too wide."
        )
    if simulated is not None:
        items.append(
            "The thermostat's friction was chosen, not fitted: structure can be compared with the data, "
            "times and rates cannot."
        )
    return "Limits", [bullets(items)]


def _compared(simulated: xr.DataTree, reference: xr.Dataset) -> list[str]:
    """Where each observable leaves the data."""
    sentences = []
    for name in _names(simulated, reference):
        found = observable_summary(simulated, name)
        unit, label = axis_unit(found, curve_axis(found)), observable_label(name)
        sentences += deviation_sentences(deviations(simulated, name, reference), label, unit)
    return sentences


def _caption(label: str, *, numbers: bool, compared: bool) -> str:
    """Of the figure of an observable."""
    text = (
        f"{label}: spread between posterior draws, freed from the Monte Carlo error of the finite "
        f"simulations, which is shown apart ({'right' if numbers else 'right, below'})."
    )
    if compared:
        text += (
            " Black: the data."
            if numbers
            else " Right, above: difference from the data, their 95 % error in grey."
        )
    return text


def _names(simulated: xr.DataTree, reference: xr.Dataset) -> list[str]:
    """Observables that were simulated and are known of the data."""
    return [name for name in map(str, simulated["summary"].children) if name in reference]


def _settings(simulated: xr.DataTree) -> str:
    attrs = simulated.attrs
    draws = simulated["posterior_predictive"].sizes["draw"]
    checks = simulated["diagnostics"].to_dataset() if "diagnostics" in simulated.children else xr.Dataset()
    exploded = int(checks["exploded"].sum()) if "exploded" in checks else 0
    text = f"{draws} draws"
    if "steps" in attrs:
        text += (
            f", each simulated for {attrs['steps']} steps of {1000 * attrs['timestep']:g} fs after "
            f"{attrs['equilibration']} steps of equilibration, at {attrs['temperature']:g} K with a Langevin "
            f"thermostat of friction {attrs['friction']:g} per ps"
        )
    return f"{text}. {exploded or 'No'} simulation{'s' * (exploded != 1)} exploded."


def _readable(value: Any) -> str:
    """JSON objects as lists of name and value."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value).strip("'\"")
    if not text.startswith("{"):
        return text
    return ", ".join(f"{name} {entry}" for name, entry in json.loads(text).items())
