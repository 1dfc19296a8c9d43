"""Draws of a posterior that go on to other work (simulations, files of other programs), and their models."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require, whole
from bayescg._typing import NumpyArray
from bayescg.inference.problem import Problem
from bayescg.model import Model


class Selection(NamedTuple):
    """Draws of a posterior, evenly thinned over all chains.

    Attributes:
        chain: index of the chain of every draw.
        draw: index within its chain.
        values: path -> (draw, ...) values.
    """

    chain: NumpyArray
    draw: NumpyArray
    values: dict[str, NumpyArray]


def select_draws(posterior: xr.DataTree, *, draws: int, group: str | None = None) -> Selection:
    """Evenly thinned draws of a posterior.

    Args:
        posterior: with a group of variables (chain, draw, ...).
        draws: how many.
        group: its name; None for `posterior_sandwich` where there is one, else `posterior`.

    Raises:
        BayescgError: no such group, or fewer draws than wanted.

    Example:
        >>> import numpy as np
        >>> tree = xr.DataTree.from_dict(
        ...     {"posterior": xr.Dataset({"a": (("chain", "draw"), np.arange(8.0).reshape(2, 4))})}
        ... )
        >>> select_draws(tree, draws=4).values["a"].tolist()
        [1.0, 3.0, 5.0, 7.0]
    """
    dataset = posterior[group_of(posterior, group)].to_dataset()
    chains, length = dataset.sizes["chain"], dataset.sizes["draw"]
    wanted = whole("draws", draws)
    require(
        wanted <= chains * length,
        f"draws must be at most the {chains * length} of the posterior, got {wanted}. "
        "Sample more, or ask for fewer.",
    )
    flat = ((np.arange(wanted) + 0.5) * chains * length / wanted).astype(int)
    chain, draw = np.divmod(flat, length)
    return these_draws(dataset, chain, draw)


def these_draws(dataset: xr.Dataset, chain: NumpyArray, draw: NumpyArray) -> Selection:
    """Draws of a posterior by their places.

    Args:
        dataset: a group of variables (chain, draw, ...).
        chain: index of the chain of every draw.
        draw: index within its chain.

    Example:
        >>> group = xr.Dataset({"a": (("chain", "draw"), np.arange(8.0).reshape(2, 4))})
        >>> these_draws(group, np.array([1]), np.array([3])).values["a"].tolist()
        [7.0]
    """
    values = {
        str(name): variable.transpose("chain", "draw", ...).to_numpy()[chain, draw]
        for name, variable in dataset.data_vars.items()
    }
    return Selection(chain, draw, values)


def group_of(posterior: xr.DataTree, group: str | None) -> str:
    """The group of draws that is meant.

    Args:
        posterior: result of `bayescg.sample`.
        group: its name; None for `posterior_sandwich` where there is one, else `posterior`.

    Raises:
        BayescgError: no such group.

    Example:
        >>> group_of(xr.DataTree.from_dict({"posterior": xr.Dataset()}), None)
        'posterior'
    """
    if group is None:
        return "posterior_sandwich" if "posterior_sandwich" in posterior.children else "posterior"
    if group not in posterior.children:
        raise BayescgError(
            f"group must be one of {', '.join(map(repr, posterior.children))}, got {group!r}. "
            "Leave it out for the default."
        )
    return group


def models_of(problem: Problem, chosen: Selection) -> list[Model]:
    """The model of every draw.

    Args:
        problem: that the posterior belongs to.
        chosen: from `select_draws`.

    Example:
        >>> from types import SimpleNamespace
        >>> linear = SimpleNamespace(model=lambda values: float(values["a"]))
        >>> models_of(linear, Selection(np.zeros(2), np.arange(2), {"a": np.array([1.0, 2.0])}))
        [1.0, 2.0]
    """
    return [
        problem.model({path: values[index] for path, values in chosen.values.items()})
        for index in range(len(chosen.chain))
    ]


def spread_frames(beads: xr.Dataset, count: int) -> tuple[NumpyArray, NumpyArray, NumpyArray | None]:
    """Evenly spaced frames, their positions (run, bead, dim) in nm, and one box for all.

    Where the box fluctuates, all frames are scaled to its mean.

    Args:
        beads: valid.
        count: how many; frames repeat where there are fewer.

    Example:
        >>> import bayescg as bcg
        >>> frames, positions, box = spread_frames(bcg.data.water(frames=4), 2)
        >>> frames.tolist(), positions.shape, box.shape
        ([1, 3], (2, 510, 3), (3,))
    """
    total = beads.sizes["frame"]
    frames = ((np.arange(count) + 0.5) * total / count).astype(int)
    positions = (
        beads["position"].transpose("frame", "bead", "dim").isel(frame=frames).to_numpy().astype(float)
    )
    if "box" not in beads:
        return frames, positions, None
    boxes = beads["box"].transpose("frame", "dim").to_numpy().astype(float)
    mean = boxes.mean(axis=0)
    return frames, positions * (mean / boxes[frames])[:, None], mean
