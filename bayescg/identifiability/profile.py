"""Profile likelihood: how far a function of the parameters can be moved while the others adapt.

    P(g0) = max { log L(u) : g(u) = g0 } - log L at its maximum,

traced outwards from the maximum on both sides. Its intervals need no Gaussian: P falls by chi²_{1,0.95}/2 =
1.92 at the ends of a 95% interval. A profile that never falls shows a function that the data do not
determine, however the likelihood curves at one point.

References:
    A. Raue et al., Bioinformatics 25, 1923 (2009), doi:10.1093/bioinformatics/btp358.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.stats import chi2

from bayescg._checks import BayescgError, require, require_x64, whole
from bayescg._typing import Array, Float, NumpyArray
from bayescg.identifiability.constrained_maximum import ConstrainedMaximum, constrained_maximum
from bayescg.identifiability.experiment import Experiment
from bayescg.numerics.host_loop import HostLoop

LEVEL = 0.95
"""Probability of the interval that decides the class."""

FLAT = 0.01
"""Nats: a profile that falls by less over its whole range is flat."""

BARRIER = 0.05
"""Nats that a profile must rise again, inside, to count as having a second maximum."""

CLASSES = {
    "bounded": "the data bound it on both sides",
    "one-sided": "the data bound it on one side only",
    "flat": "the data do not determine it",
    "multimodal": "the data allow separate ranges",
    "hit-bound": "it is not bounded within the range that was looked at",
}


class Profile(NamedTuple):
    """A profile likelihood.

    Attributes:
        dataset: over `value`, ascending: `log_likelihood` less its maximum, `point` (value, parameter), and
            `left`, an estimate of the nats that a better maximization might have gained there.
        kind: bounded, one-sided, flat, multimodal or hit-bound.
        interval: ends of the interval at the level; infinite where none is found.
    """

    dataset: xr.Dataset
    kind: str
    interval: tuple[float, float]

    @property
    def sentence(self) -> str:
        """The class in words.

        Example:
            >>> Profile(xr.Dataset(), "flat", (-np.inf, np.inf)).sentence
            'flat: the data do not determine it.'
        """
        low, high = self.interval
        text = f"{self.kind}: {CLASSES[self.kind]}"
        text = f"{text}, {low:.4g} to {high:.4g}." if np.isfinite([low, high]).all() else f"{text}."
        missed = int(np.sum(~(self.dataset["left"].values <= FLAT))) if "left" in self.dataset else 0
        if missed:
            text += f" At {missed} points the maximum was not found: the profile may be higher there."
        return text


def profile(
    experiment: Experiment,
    function: Callable[[Array], Array] | int,
    *,
    low: float,
    high: float,
    points: int = 30,
    checkpoint: str | FilePath | None = None,
    progress: bool = False,
) -> Profile:
    """Profile likelihood of a function of the parameters.

    Args:
        experiment: of `Identified.experiment`; its log likelihood must be known.
        function: of the vector u, to one number, in JAX; or the number of a parameter.
        low: end of the range on the left, inside which the point of the experiment lies.
        high: end on the right.
        points: on every side.
        checkpoint: folder; a call with the same arguments goes on where it was stopped.
        progress: whether to show a bar.

    Raises:
        BayescgError: no likelihood, or a range that does not hold the maximum.

    Example:
        >>> import bayescg as bcg
        >>> found = bcg.identify.from_log_density(lambda t: -t[0] ** 2 / 2, [0.0], names=["a"])
        >>> curve = profile(found.experiment, 0, low=-4.0, high=4.0)
        >>> curve.kind, round(curve.interval[1], 2)
        ('bounded', 1.96)
    """
    require_x64("A profile likelihood")
    if experiment.log_likelihood is None:
        raise BayescgError(
            "a profile needs the likelihood away from the point, got a table of derivatives. Take "
            "bayescg.identify.from_prediction or from_log_density."
        )
    index = function
    g: Any = (lambda u: u[index]) if isinstance(function, int) else function
    maximum = constrained_maximum(experiment, g)
    start, top, first = maximum.climb(np.asarray(experiment.point, dtype=float), wanted=None)
    middle = maximum.value(start)
    require(
        low < middle < high,
        f"low and high must hold the maximum, at {middle:.6g}, between them, got {low:g} and {high:g}.",
    )
    count = whole("points", points, minimum=4)
    loop = HostLoop(checkpoint, progress, _fingerprint(experiment, maximum, start, (low, high, count, top)))
    left = _side(maximum, loop, "left", start, np.linspace(middle, low, count + 1)[1:])
    right = _side(maximum, loop, "right", start, np.linspace(middle, high, count + 1)[1:])
    values = np.concatenate([left["value"][::-1], [middle], right["value"]])
    heights = np.concatenate([left["height"][::-1], [top], right["height"]])
    track = np.concatenate([left["point"][::-1], start[None], right["point"]])
    left_over = np.concatenate([left["left"][::-1], [first], right["left"]])
    relative = heights - heights.max()
    kind, interval = classify(values, relative)
    dataset = xr.Dataset(
        {
            "log_likelihood": ("value", relative, {"units": "nats", "long_name": "profile log likelihood"}),
            "point": (("value", "parameter"), track),
            "left": ("value", left_over, {"units": "nats", "long_name": "left to gain, estimated"}),
        },
        coords={"value": values, "parameter": list(experiment.names)},
        attrs={"level": LEVEL, "kind": kind},
    )
    return Profile(dataset, kind, interval)


def classify(
    values: Float[NumpyArray, " value"], heights: Float[NumpyArray, " value"]
) -> tuple[str, tuple[float, float]]:
    """Class and interval of a profile.

    Args:
        values: ascending.
        heights: log likelihood less its maximum.

    Example:
        >>> x = np.linspace(-4, 4, 81)
        >>> classify(x, -(x**2) / 2)[0], classify(x, -np.exp(-x) / 10 + 0.0018)[0], classify(x, 0 * x)[0]
        ('bounded', 'one-sided', 'flat')
    """
    threshold = -0.5 * float(chi2.ppf(LEVEL, 1))
    inside = heights > threshold
    if heights.min() > -FLAT:
        return "flat", (-np.inf, np.inf)
    low = -np.inf if inside[0] else _crossing(values, heights, threshold, first=True)
    high = np.inf if inside[-1] else _crossing(values, heights, threshold, first=False)
    runs = int(np.sum(np.diff(np.concatenate([[0], inside.astype(int)])) == 1))
    if runs > 1 or _has_two_maxima(heights, threshold):
        return "multimodal", (low, high)
    if np.isfinite([low, high]).all():
        return "bounded", (low, high)
    if np.isfinite(low) or np.isfinite(high):
        end = heights[-1] - heights[-2] if np.isfinite(low) else heights[0] - heights[1]
        levelled = abs(end) < FLAT
        return ("one-sided" if levelled else "hit-bound"), (low, high)
    return "hit-bound", (low, high)


def _side(
    maximum: ConstrainedMaximum, loop: HostLoop, name: str, start: NumpyArray, values: NumpyArray
) -> dict[str, NumpyArray]:
    """Points of one side, one after the other, each from its neighbour; resumable."""

    def step(carry: Any, length: int) -> tuple[Any, dict[str, Any]]:
        place, u = int(carry["place"]), np.asarray(carry["point"])
        rows: dict[str, list[Any]] = {"value": [], "height": [], "point": [], "left": []}
        for _ in range(length):
            wanted = float(values[min(place, len(values) - 1)])
            u, height, left = maximum.climb(u, wanted=wanted)
            for key, item in zip(rows, (maximum.value(u), height, u, left), strict=True):
                rows[key].append(item)
            place += 1
        return {"place": jnp.asarray(place), "point": jnp.asarray(u)}, {
            k: np.stack(v) for k, v in rows.items()
        }

    carry = {"place": jnp.asarray(0), "point": jnp.asarray(start)}
    return loop.run(name, step, carry, total=len(values), chunk=1).records


def _crossing(values: NumpyArray, heights: NumpyArray, threshold: float, *, first: bool) -> float:
    """Where the profile meets the threshold, by a parabola's root in sqrt(-height)."""
    depth = np.sqrt(np.maximum(-heights, 0.0))
    level = np.sqrt(-threshold)
    inside = np.flatnonzero(heights > threshold)
    i, o = (inside[0], inside[0] - 1) if first else (inside[-1], inside[-1] + 1)
    share = (level - depth[i]) / (depth[o] - depth[i])
    return float(values[i] + share * (values[o] - values[i]))


def _has_two_maxima(heights: NumpyArray, threshold: float) -> bool:
    """Whether two maxima inside the interval are parted by a barrier."""
    peak = int(np.argmax(heights))
    for side in (heights[peak:], heights[: peak + 1][::-1]):
        lowest = np.minimum.accumulate(side)
        if np.any((side - lowest > BARRIER) & (side > threshold)):
            return True
    return False


def _fingerprint(
    experiment: Experiment, maximum: ConstrainedMaximum, start: NumpyArray, settings: tuple[float, ...]
) -> str:
    """Of the data (prior, information, maximum), the function (at two points) and the settings."""
    digest = hashlib.sha256(repr((experiment.names, settings)).encode())
    information = [one.matrix for one in experiment.informations(experiment.point)]
    away = start + experiment.deviations
    slopes = [maximum.slope(u) for u in (start, away)]
    for array in (experiment.precision, *information, start, *slopes, np.array([maximum.value(away)])):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
