"""summary: a result on one terminal screen."""

import textwrap

import xarray as xr

from bayescg._checks import BayescgError
from bayescg.identifiability import Identified
from bayescg.reporting.deviation import deviations
from bayescg.reporting.motion import Motion, motion_sentences
from bayescg.reporting.potential import potential_table
from bayescg.reporting.reference import reference_of
from bayescg.reporting.sentences import warnings_of, worst_of
from bayescg.viz.observable_layout import axis_unit, curve_axis, observable_label
from bayescg.viz.predictive import observable_summary

WIDTH = 88
"""Columns of a terminal that everybody has."""

MARGIN = 12
"""Columns of the names at the left."""

POINTS = 6
"""Distances of the potential's table."""

MOST_PAIRS = 3
"""Pairs of types that are tabulated; the report has all."""


def summary(
    posterior: xr.DataTree,
    identified: Identified | None = None,
    simulated: xr.DataTree | None = None,
    *,
    reference: xr.Dataset | None = None,
    motion: Motion | None = None,
) -> str:
    """Potential, diagnostics, explained force, directions and simulated structure, in some 25 lines.

    Args:
        posterior: from `bayescg.sample`.
        identified: from `bayescg.identify`.
        simulated: from `bayescg.simulate`.
        reference: beads, or observables from `bayescg.predict.evaluate`.
        motion: memory and its simulations.

    Example:
        >>> import bayescg as bcg, jax
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> posterior = bcg.sample(problem, bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
        >>> max(len(line) for line in summary(posterior).splitlines()) <= 88
        True
    """
    lines = _data(posterior) + _potential(posterior) + _sampling(posterior) + _explained(posterior)
    if identified is not None:
        lines += _item("directions", identified.paragraph.splitlines())
    if simulated is not None:
        lines += _structure(simulated, reference_of(simulated, reference))
    if motion is not None:
        lines += _item("dynamics", motion_sentences(motion))
    found = warnings_of(posterior, simulated)
    if motion is not None:
        found += [f"Memory: {sentence}" for sentence in warnings_of(motion.posterior, motion.simulated)]
    return "\n".join(lines + _item("warnings", found or ["none"]))


def _item(name: str, sentences: list[str]) -> list[str]:
    """A name at the left, wrapped sentences beside it."""
    wrapped = [line for s in sentences for line in textwrap.wrap(s, WIDTH - MARGIN, break_on_hyphens=False)]
    names = [name] + [""] * (len(wrapped) - 1)
    return [f"{first:<{MARGIN}}{line}" for first, line in zip(names, wrapped, strict=True)]


def _data(posterior: xr.DataTree) -> list[str]:
    attrs = posterior.attrs
    text = f"{attrs.get('frames', '?')} frames of {attrs.get('beads', '?')} beads"
    if attrs.get("temperature"):
        text += f" at {attrs['temperature']:g} K"
    if attrs.get("source"):
        text += f", from {attrs['source']}"
    return _item("data", [text])


def _potential(posterior: xr.DataTree) -> list[str]:
    try:
        rows = potential_table(posterior, POINTS)
    except BayescgError:
        return []
    pairs = list(dict.fromkeys(pair for pair, _, _ in rows))
    lines: list[str] = []
    for pair in pairs[:MOST_PAIRS]:
        chosen = [(r, numbers) for name, r, numbers in rows if name == pair]
        columns = {
            "r (nm)": [f"{r:.3f}" for r, _ in chosen],
            "u (kJ/mol)": [f"{numbers[0]:.2f}" for _, numbers in chosen],
            "± 95 %": [f"{numbers[1]:.2f}" for _, numbers in chosen],
        }
        for index, (name, cells) in enumerate(columns.items()):
            first = pair[: MARGIN - 1] if index == 0 else ""
            lines.append(f"{first:<{MARGIN}}{name:<11}" + "".join(f"{cell:>10}" for cell in cells))
    if len(pairs) > MOST_PAIRS:
        lines += _item("", [f"and {len(pairs) - MOST_PAIRS} more pairs of types in the report"])
    return lines


def _sampling(posterior: xr.DataTree) -> list[str]:
    worst = worst_of(posterior)
    diverged = "" if worst.divergences is None else f"; {worst.divergences} divergences"
    return _item(
        "sampling",
        [
            f"{worst.chains} chains x {worst.draws} draws: R-hat at most {worst.r_hat:.3f}, ESS at least "
            f"{worst.ess_bulk:.0f} (bulk), {worst.ess_tail:.0f} (tail){diverged}"
        ],
    )


def _explained(posterior: xr.DataTree) -> list[str]:
    if "explained_force" not in posterior.children:
        return []
    table = posterior["explained_force"].to_dataset()
    sentences = []
    for kind in table["type"].values:
        row = {str(name): 100 * float(values.sel(type=kind)) for name, values in table.data_vars.items()}
        sentences.append(
            f"{kind}: {row['r_squared_held_out']:.1f} ± {row['r_squared_held_out_error']:.1f} % of the mean "
            f"square force, held out; noise ceiling at least {row['ceiling_at_least']:.1f} ± "
            f"{row['ceiling_at_least_error']:.1f} %"
        )
    return _item("explained", sentences)


def _structure(simulated: xr.DataTree, reference: xr.Dataset | None) -> list[str]:
    lines: list[str] = []
    for name in map(str, simulated["summary"].children):
        label = observable_label(name)
        if reference is None or name not in reference:
            draws = simulated["posterior_predictive"].sizes["draw"]
            lines += _item(label[: MARGIN - 1], [f"simulated with {draws} posterior draws"])
            continue
        found = observable_summary(simulated, name)
        axis = curve_axis(found)
        unit = axis_unit(found, axis)
        sentences = [
            f"{one.pair} {one.simulated.value:.4g} [{one.simulated.low:.4g}, {one.simulated.high:.4g}] "
            f"{unit}, data {one.data.value:.4g} [{one.data.low:.4g}, {one.data.high:.4g}] {unit}, "
            f"{'outside' if one.regions else 'within'} the 95 % band".strip()
            if axis is None
            else f"{one.pair} maximum {one.simulated.value:.2f} [{one.simulated.low:.2f}, "
            f"{one.simulated.high:.2f}] at {one.simulated.place:.3f} {unit}, data {one.data.value:.2f} "
            f"[{one.data.low:.2f}, {one.data.high:.2f}] at {one.data.place:.3f} {unit}; the data leave the "
            f"95 % band at {100 * one.fraction:.0f} % of the points, by {one.largest:+.2f} at most"
            for one in deviations(simulated, name, reference)
        ]
        lines += _item(label[: MARGIN - 1], sentences)
    return lines
