"""Manifold boundary: which simpler model the sloppiest direction leads to.

Predictions r(u), whitened by their noise, form a surface with the metric J'J. Its straightest lines obey

    u'' = -(J'J)^-1 J' ∂²r/∂v²,        v = u',        v'J'J v constant,

and along the sloppiest direction they reach, in finite length, an edge at which a combination of parameters
has lost its effect: one goes to zero or infinity, several do together, or two become equal. The model at
the edge has one parameter fewer and predicts almost the same.

References:
    M. K. Transtrum, P. Qiu, Phys. Rev. Lett. 113, 098701 (2014), doi:10.1103/PhysRevLett.113.098701.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.integrate import solve_ivp

from bayescg._checks import BayescgError, require
from bayescg._typing import Array, NumpyArray
from bayescg.identifiability.experiment import LOGARITHM, Experiment

DAMPING = 1e-12
"""Of J'J, of its largest eigenvalue: keeps the last steps before the edge finite."""

LOST = 1e-2
"""The edge is reached when the direction of travel has this part of its initial effect per unit of u."""

NEAR = 1.5
"""Times `LOST` at which a path that stopped is at the edge: the event is located approximately."""

LONGEST = 50.0
"""Length of the path, in standard deviations of the data, after which no edge is reached."""

MOVING = 0.3
"""Part of the fastest parameter's speed at the edge from which a parameter counts as moving."""

TOGETHER = 0.05
"""Relative difference of speeds under which parameters move together; and of equal parameters."""


class Boundary(NamedTuple):
    """The end of a geodesic.

    Attributes:
        path: Dataset over `length` (standard deviations of the data) of `point` and `effect`, the size of
            J v for a unit vector v along the path.
        limit: what happens at the edge, as in `rate_2 -> infinity`; empty where none was reached.
        sentence: the same, with the model that is suggested.
    """

    path: xr.Dataset
    limit: str
    sentence: str


def manifold_boundary(experiment: Experiment, *, longest: float = LONGEST) -> Boundary:
    """Follow the sloppiest direction that has an effect, both ways, to the nearest edge of the model.

    Args:
        experiment: of `Identified.experiment`; its predictions must be known.
        longest: length after which to stop, in standard deviations of the data.

    Raises:
        BayescgError: predictions are not known, or nothing has an effect.

    Example:
        >>> import bayescg as bcg
        >>> x = jnp.arange(1.0, 6.0)  # far below saturation at theta_1
        >>> uptake = lambda theta: theta[0] * x / (theta[1] + x)
        >>> names = ["rate", "saturation"]
        >>> found = bcg.identify.from_prediction(uptake, [60.0, 30.0], names=names, positive=names, noise=0.5)
        >>> manifold_boundary(found.experiment).limit
        'rate and saturation -> infinity together, their ratio fixed'
    """
    if experiment.rows is None:
        raise BayescgError(
            "the edge of a model is found from its predictions, got a density, a path or a table. Ask "
            "bayescg.identify with ForceMatching or Correlation terms alone, or from_prediction."
        )
    start = np.asarray(experiment.point, dtype=float)
    J = np.asarray(_jacobian(experiment.rows, jnp.asarray(start)))
    _, singular, vectors = np.linalg.svd(J, full_matrices=False)
    seen = np.flatnonzero(singular > max(J.shape) * np.finfo(float).eps * singular[0])
    require(
        seen.size > 0 and bool(singular[0] > 0),
        "predictions must depend on the parameters, got none that do.",
    )
    v = vectors[seen[-1]] / singular[seen[-1]]
    # towards where parameters speed up first: the near edge, mostly; then the other way, no farther
    v = v if float(v @ _acceleration(experiment.rows, start, v)) >= 0 else -v
    walk = _walk(experiment.rows, start, v, longest)
    other = _walk(experiment.rows, start, -v, walk.lengths[-1] if walk.reached else longest)
    walk = other if other.reached else walk
    points, lengths = walk.points, walk.lengths
    path = xr.Dataset(
        {
            "point": (("length", "parameter"), np.stack([u for u, _ in points])),
            "effect": ("length", walk.effects, {"long_name": "change of the data per unit of u"}),
        },
        coords={"length": lengths, "parameter": list(experiment.names)},
    )
    if not walk.reached:
        text = (
            f"No edge within {longest:g} standard deviations of the data: no parameter can be left out there."
        )
        return Boundary(path, "", text)
    limit, remedy = _limit(experiment, start, *points[-1])
    return Boundary(
        path, limit, f"{limit}, {lengths[-1]:.3g} standard deviations of the data away: {remedy}."
    )


class _Walk(NamedTuple):
    """Along a geodesic: points and velocities, lengths, effects, and whether its end is an edge."""

    points: list[tuple[NumpyArray, NumpyArray]]
    lengths: NumpyArray
    effects: NumpyArray
    reached: bool


def _walk(rows: Callable[[Array], Array], start: NumpyArray, v: NumpyArray, longest: float) -> _Walk:
    points, lengths = _geodesic(rows, start, v, longest)
    effects = np.array([_effect(rows, u, w) for u, w in points])
    return _Walk(points, lengths, effects, bool(effects[-1] <= NEAR * LOST * effects[0]))


def _geodesic(
    rows: Callable[[Array], Array], start: NumpyArray, v: NumpyArray, longest: float
) -> tuple[list[tuple[NumpyArray, NumpyArray]], NumpyArray]:
    """Points and velocities along the geodesic, up to the edge."""
    size, initial = start.size, _effect(rows, start, v)

    def motion(_: float, state: NumpyArray) -> NumpyArray:
        u, w = state[:size], state[size:]
        return np.concatenate([w, _acceleration(rows, u, w)])

    def edge(_: float, state: NumpyArray) -> float:
        return _effect(rows, state[:size], state[size:]) / initial - LOST

    edge.terminal = True  # type: ignore[attr-defined]
    found = solve_ivp(
        motion,
        (0.0, longest),
        np.concatenate([start, v]),
        events=edge,
        rtol=1e-6,
        atol=1e-9,
        max_step=longest / 20,
    )
    states = found.y.T
    states, times = states[np.isfinite(states).all(axis=1)], found.t[np.isfinite(states).all(axis=1)]
    return [(state[:size], state[size:]) for state in states], times


def _effect(rows: Callable[[Array], Array], u: NumpyArray, w: NumpyArray) -> float:
    unit = w / np.linalg.norm(w)
    return float(jnp.linalg.norm(_along(rows, jnp.asarray(u), jnp.asarray(unit))[0]))


def _acceleration(rows: Callable[[Array], Array], u: NumpyArray, v: NumpyArray) -> NumpyArray:
    J = np.asarray(_jacobian(rows, jnp.asarray(u)))
    bend = np.asarray(_along(rows, jnp.asarray(u), jnp.asarray(v))[1])
    left, singular, right = np.linalg.svd(J, full_matrices=False)
    inverse = singular / (singular**2 + DAMPING * singular[0] ** 2)
    return -right.T @ (inverse * (left.T @ bend))


@eqx.filter_jit
def _jacobian(rows: Any, u: Array) -> Array:
    return jax.jacfwd(rows)(u)


@eqx.filter_jit
def _along(rows: Any, u: Array, v: Array) -> tuple[Array, Array]:
    """First and second derivative of the rows along v."""

    def slope(u: Array) -> Array:
        return jax.jvp(rows, (u,), (v,))[1]

    return slope(u), jax.jvp(slope, (u,), (v,))[1]


def _limit(experiment: Experiment, start: NumpyArray, u: NumpyArray, v: NumpyArray) -> tuple[str, str]:
    """What happens at the edge, and the model without it."""
    names = experiment.names
    speed = v / np.abs(v).max()
    moving = np.flatnonzero(np.abs(speed) > MOVING)
    equal = _equal(experiment, start, u, speed)
    if equal is not None:
        first, second = (names[i] for i in equal)
        return f"{first} -> {second}", f"give both one value and drop {second}"
    ends = ["infinity" if speed[i] > 0 else _lowest(experiment, int(i)) for i in moving]
    if moving.size == 1:
        name = names[moving[0]]
        return f"{name} -> {ends[0]}", f"drop {name}, in the limit"
    listed = " and ".join(names[i] for i in moving)
    sizes = np.abs(speed[moving])
    if len(set(ends)) == 1 and np.ptp(sizes) < TOGETHER * sizes.max() * len(moving):
        return f"{listed} -> {ends[0]} together, their ratio fixed", f"keep the ratio of {listed} alone"
    limits = ", ".join(f"{names[i]} -> {end}" for i, end in zip(moving, ends, strict=True))
    return limits, f"keep what of {listed} stays finite"


def _equal(
    experiment: Experiment, start: NumpyArray, u: NumpyArray, speed: NumpyArray
) -> tuple[int, int] | None:
    """Two parameters of one scale that were apart, meet at the edge and move against each other."""
    for i in range(u.size):
        for j in range(i + 1, u.size):
            before, after = abs(start[i] - start[j]), abs(u[i] - u[j])
            against = speed[i] * speed[j] < 0 and min(abs(speed[i]), abs(speed[j])) > MOVING
            if (
                experiment.scales[i] == experiment.scales[j]
                and against
                and after < TOGETHER * max(before, 1.0)
            ):
                return i, j
    return None


def _lowest(experiment: Experiment, index: int) -> str:
    return "0" if experiment.scales[index] == LOGARITHM else "-infinity"
