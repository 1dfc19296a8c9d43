"""Have the chains mixed? Rank and trace plots of a few elements, drawn by arviz-plots.

A rank plot shows, for every chain, how the ranks of its draws among the draws of all chains deviate
from uniform ones (the difference of the two cumulative distributions), with the envelope within which
99% of well-mixed runs stay. A trace plot shows the draws in their order.
"""

from typing import Any

import arviz_plots
import matplotlib.pyplot
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from bayescg._checks import BayescgError
from bayescg.viz.style import BLUE, GREEN, ORANGE, PURPLE, WIDTH, styled

CHAIN_COLORS = (BLUE, ORANGE, GREEN, PURPLE)
"""Of the first four chains; others repeat them."""

MOST_ELEMENTS = 6
"""Panels of a figure that chooses its elements itself."""

MOST_NAMED = 8
"""Chains with an entry in the legend."""

UNITS = {
    "coefficients": "kJ/mol",
    "epsilon": "kJ/mol",
    "sigma": "nm",
    "roughness": "kJ/mol/nm^1.5",
    "noise.scale": "kJ/mol/nm",
}
"""Units of parameters by the end of their paths."""

LINE_LENGTH = 30
"""Letters of a panel's title on one line."""

COLUMNS = 3
"""Of panels; four panels stand two by two."""

ENVELOPES = 300
"""Simulated runs behind the envelope of ranks: its 99% are known to within 0.6%; more would take seconds."""

ROW_HEIGHT = 1.9
"""Inches per row of panels."""


def plot_rank(posterior: xr.DataTree, *, elements: list[str] | None = None) -> Figure:
    """Rank plot of every chain, with the envelope that holds 99% of well-mixed runs.

    Args:
        posterior: a result with the group `posterior`.
        elements: labels like `likelihood.noise.scale[0]`; None for a few chosen by `choose_elements`.

    Returns:
        A matplotlib Figure.

    Raises:
        BayescgError: the group `posterior` is missing, or an element is unknown.

    Example:
        >>> draws = np.random.default_rng(0).normal(size=(2, 50))
        >>> tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"x": (("chain", "draw"), draws)})})
        >>> [axes.get_title(loc="left") for axes in plot_rank(tree).axes]
        ['x']
    """
    chosen = _selection(posterior, elements)
    with styled():
        collection = arviz_plots.plot_rank(
            chosen,
            backend="matplotlib",
            visuals={"remove_axis": False, "xlabel": False, "title": False},
            stats={"ecdf_pit": {"n_simulations": ENVELOPES}},
            **_layout(chosen, same_values=True),
        )
        figure = _finished(collection, chosen, "fraction of all ranks (1)")
        for index, axes in enumerate(figure.axes):
            first = index % _columns(chosen) == 0
            axes.set_ylabel("excess of\ncumulative rank (1)" if first else "")
            axes.tick_params(labelleft=first)
    return figure


def plot_trace(posterior: xr.DataTree, *, elements: list[str] | None = None) -> Figure:
    """Draws of every chain in their order; divergent transitions are marked below.

    Args:
        posterior: a result with the group `posterior`.
        elements: labels like `likelihood.noise.scale[0]`; None for a few chosen by `choose_elements`.

    Returns:
        A matplotlib Figure.

    Raises:
        BayescgError: the group `posterior` is missing, or an element is unknown.

    Example:
        >>> draws = np.random.default_rng(0).normal(size=(2, 50))
        >>> tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"x": (("chain", "draw"), draws)})})
        >>> [axes.get_xlabel() for axes in plot_trace(tree).axes]
        ['draw (1)']
    """
    chosen = _selection(posterior, elements)
    with styled():
        collection = arviz_plots.plot_trace(
            chosen,
            backend="matplotlib",
            visuals={"xlabel": False, "title": False},
            **_layout(chosen, same_values=False),
        )
        figure = _finished(collection, chosen, "draw (1)")
        for label, axes in zip(chosen["posterior"].data_vars, figure.axes, strict=False):
            axes.set_ylabel(parameter_unit(str(label)))
    return figure


def choose_elements(posterior: xr.DataTree) -> list[str]:
    """A few elements worth looking at: all hyperparameters and scales there is room for, and the worst mixed.

    Args:
        posterior: a result; its group `convergence` says which elements mixed worst.

    Example:
        >>> draws = np.random.default_rng(0).normal(size=(2, 50, 9))
        >>> dataset = xr.Dataset({"x": (("chain", "draw", "k"), draws)})
        >>> choose_elements(xr.DataTree.from_dict({"posterior": dataset}))[:2]
        ['x[0]', 'x[3]']
    """
    by_variable: dict[str, list[str]] = {}
    for label in _labels(posterior):
        by_variable.setdefault(label.split("[")[0], []).append(label)
    chosen: list[str] = []
    if "convergence" in posterior.children:
        r_hat = posterior["convergence"].to_dataset()["r_hat"]
        chosen.append(str(r_hat["element"].values[int(np.nanargmax(r_hat.values))]))
    for labels in sorted(by_variable.values(), key=len):
        room = max(1, (MOST_ELEMENTS - len(chosen)) // 2)
        places = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), room + 1)).round().astype(int))
        chosen += [labels[place] for place in places]
    return list(dict.fromkeys(chosen))[:MOST_ELEMENTS]


def parameter_unit(label: str) -> str:
    """How the axis of an element is labelled.

    Example:
        >>> parameter_unit("likelihood.noise.scale[0]")
        'value (kJ/mol/nm)'
    """
    path = label.split("[")[0]
    return next((f"value ({unit})" for end, unit in UNITS.items() if path.endswith(end)), "value")


def _labels(posterior: xr.DataTree) -> list[str]:
    """Label of every element, as `convergence` writes them."""
    if "posterior" not in posterior.children:
        raise BayescgError(
            f"posterior must have the group posterior, got {', '.join(map(str, posterior.children))}. "
            "Give what bayescg.sample returned."
        )
    found = []
    for name, variable in posterior["posterior"].data_vars.items():
        shape = variable.transpose("chain", "draw", ...).shape[2:]
        found += [str(name) + (str(list(place)) if place else "") for place in np.ndindex(*shape)]
    return found


def _selection(posterior: xr.DataTree, elements: list[str] | None) -> xr.DataTree:
    """The chosen elements as scalar variables named by their labels."""
    known = _labels(posterior)
    chosen = choose_elements(posterior) if elements is None else elements
    if unknown := [label for label in chosen if label not in known]:
        raise BayescgError(
            f"elements must be among the {len(known)} of the posterior, got {unknown[0]!r}. "
            f"Its variables are {', '.join(dict.fromkeys(label.split('[')[0] for label in known))}."
        )
    group = posterior["posterior"].to_dataset()
    scalars = {}
    for label in chosen:
        name, _, place = label.partition("[")
        index = tuple(int(i) for i in place.rstrip("]").split(",")) if place else ()
        values = group[name].transpose("chain", "draw", ...).values
        scalars[label] = (("chain", "draw"), values[(slice(None), slice(None), *index)])
    first = next(iter(scalars.values()))[1]
    coords = {"chain": np.arange(first.shape[0]), "draw": np.arange(first.shape[1])}
    groups = {"posterior": xr.Dataset(scalars, coords=coords)}
    if "sample_stats" in posterior.children and "diverging" in posterior["sample_stats"].data_vars:
        diverging = posterior["sample_stats"].to_dataset()["diverging"].transpose("chain", "draw").values
        groups["sample_stats"] = xr.Dataset({"diverging": (("chain", "draw"), diverging)}, coords=coords)
    return xr.DataTree.from_dict(groups)


def _columns(chosen: xr.DataTree) -> int:
    return 2 if len(chosen["posterior"].data_vars) == 4 else COLUMNS


def _layout(chosen: xr.DataTree, *, same_values: bool) -> dict[str, Any]:
    """Size and colours; one chain has one colour in all panels."""
    group = chosen["posterior"].to_dataset()
    count, chains = len(group.data_vars), group.sizes["chain"]
    columns = _columns(chosen)
    rows = -(-count // columns)
    return {
        "col_wrap": columns,
        "color": [CHAIN_COLORS[chain % len(CHAIN_COLORS)] for chain in range(chains)],
        "figure_kwargs": {
            "figsize": (WIDTH, ROW_HEIGHT * rows + 0.3),
            "figsize_units": "inches",
            "layout": "constrained",
            "sharex": True,
            "sharey": same_values,
        },
    }


def _broken(label: str) -> str:
    """A long label on two lines."""
    head, _, tail = label.rpartition(".")
    return f"{head}.\n{tail}" if len(label) > LINE_LENGTH else label


def _finished(collection: Any, chosen: xr.DataTree, x_label: str) -> Figure:
    """Label all panels, and take the figure out of pyplot's hands so that it is not kept alive."""
    figure: Figure = collection.viz["figure"].item()
    handles = []
    for label in chosen["posterior"].data_vars:
        axes = collection.viz["plot"][label].item()
        axes.set_title(_broken(str(label)), loc="left", fontsize=8.0)
        axes.set_xlabel(x_label)
        axes.tick_params(labelbottom=True)
        axes.margins(x=0)
        handles = axes.lines[: chosen["posterior"].sizes["chain"]]
        for line in handles:
            line.set_linewidth(0.7)
    drawn = {collection.viz["plot"][label].item() for label in chosen["posterior"].data_vars}
    for axes in set(figure.axes) - drawn:
        axes.remove()
    names = [f"chain {chain + 1}" for chain in range(len(handles))]
    figure.legend(handles[:MOST_NAMED], names[:MOST_NAMED], loc="outside upper right", ncols=MOST_NAMED)
    matplotlib.pyplot.close(figure)
    return figure
