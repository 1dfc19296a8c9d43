"""Some of many posterior draws, spread evenly: figures and checks need hundreds, not all."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayescg._typing import NumpyArray


def evenly(count: int, wanted: int) -> NumpyArray:
    """Indices of at most `wanted` of `count` draws, the first and the last among them; (index,).

    Example:
        >>> evenly(100, 4).tolist(), evenly(2, 4).tolist()
        ([0, 33, 66, 99], [0, 1])
    """
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int))


def thinned(values: Mapping[str, Any], kept: NumpyArray) -> dict[str, NumpyArray]:
    """The kept draws of all chains along one axis: (chain, draw, ...) -> (chain * kept, ...).

    Example:
        >>> thinned({"a": np.arange(6).reshape(2, 3)}, np.array([0, 2]))["a"].tolist()
        [0, 2, 3, 5]
    """
    chosen = {path: np.asarray(value)[:, kept] for path, value in values.items()}
    return {path: array.reshape(-1, *array.shape[2:]) for path, array in chosen.items()}
