"""Where a sampler fails: divergent draws among all draws, along the worst determined directions."""

from matplotlib.figure import Figure

from bayescg._checks import require
from bayescg.identifiability.marginals import Marginals
from bayescg.viz.style import GREY, ORANGE, new_figure, panel_title, styled


def plot_divergences(marginals: Marginals) -> Figure:
    """Draws along the two worst determined directions, the divergent ones marked.

    Args:
        marginals: from `bayescg.identifiability.marginals.marginals`.

    Returns:
        A matplotlib Figure.

    Raises:
        BayescgError: there is one direction only.

    Example:
        >>> import numpy as np, xarray as xr
        >>> z = np.random.default_rng(0).normal(size=(2, 100, 2))
        >>> draws = {
        ...     "draws": (("chain", "draw", "direction"), z),
        ...     "divergent_draws": (("divergent", "direction"), z[0, :3]),
        ... }
        >>> plot_divergences(Marginals(xr.Dataset(draws), ())).axes[0].get_xlabel()
        'direction 1 (prior sd)'
    """
    data = marginals.dataset
    count = data.sizes["direction"]
    require(count > 1, "divergent draws are shown along two directions, got one. Plot its trace.")
    with styled():
        figure = new_figure(3.6)
        axes = figure.add_subplot()
        for name, color, size, label in (
            ("draws", GREY, 2.0, "draws"),
            ("divergent_draws", ORANGE, 4.0, f"divergent ({data.sizes['divergent']})"),
        ):
            x, y = data[name].values.reshape(-1, count).T[-2:]
            axes.plot(x, y, ".", markersize=size, color=color, label=label)
        axes.set_xlabel(f"direction {count - 1} (prior sd)")
        axes.set_ylabel(f"direction {count}, the worst determined (prior sd)")
        panel_title(axes, "Draws along the worst determined directions, from their mean")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
