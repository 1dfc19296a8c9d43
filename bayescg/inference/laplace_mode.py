"""The search for the mode of a Laplace approximation, for any number of parameters.

Limited-memory BFGS in units of the prior's width, a fixed number of iterations between two looks at progress,
checkpoint and Ctrl-C. Its memory is dropped there, so that a resumed search takes the very same path. Where
curvatures are known in full, Newton's method with them goes the last of the way (`polished`); what another
step should gain, g'H^-1 g/2, says how near the mode is.

References:
    D. C. Liu, J. Nocedal, Math. Program. 45, 503 (1989), doi:10.1007/BF01589116.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import scipy.optimize

from bayescg._typing import Array, NumpyArray
from bayescg.inference.mode import CONVERGED, LogDensity, value_and_gradient

GRADIENT = 1e-6
"""Largest element of the gradient, in units of the prior's width, at which the search ends."""

CHANGE = 1e-14
"""Relative change of the log density at which it ends too: rounding."""

NEWTON_STEPS = 8
SHORTEST = 1e-6
"""Newton's method takes so many steps at most, none shorter than this part of a full one."""

Inspect = Callable[[NumpyArray], tuple[NumpyArray, float]]


def ascend(
    density: LogDensity, width: NumpyArray, climbers: dict[str, Array], length: int
) -> tuple[dict[str, Array], dict[str, NumpyArray]]:
    """A number of iterations uphill from every start.

    Args:
        density: log density.
        width: of the prior in every coordinate.
        climbers: `u`, (start, parameter).
        length: iterations.

    Returns:
        Where they arrived; `lp` of every start, repeated for every iteration.

    Example:
        >>> climbers = {"u": jnp.zeros((1, 2))}
        >>> there, _ = ascend(lambda u: -jnp.sum((u - 1.0) ** 2), np.ones(2), climbers, 20)
        >>> there["u"].round(6).tolist()
        [[1.0, 1.0]]
    """
    found = [_climbed(density, width, np.asarray(u), length) for u in climbers["u"]]
    heights = np.array([height for _, height in found])
    there = {"u": jnp.asarray(np.stack([u for u, _ in found]))}
    return there, {"lp": np.broadcast_to(heights, (length, heights.size))}


def polished(
    density: LogDensity, u: NumpyArray, places: NumpyArray, inspect: Inspect
) -> tuple[NumpyArray, float]:
    """The mode near a point, by Newton's method, and the log density that another step should gain.

    Args:
        density: log density.
        u: the point.
        places: elements of u that move.
        inspect: Newton's step of those elements at a point, and its gain.

    Example:
        >>> density = lambda u: -jnp.sum((u - 1.0) ** 2)
        >>> newton = lambda u: (1.0 - u, float(np.sum((u - 1.0) ** 2)))
        >>> polished(density, np.zeros(2), np.arange(2), newton)
        (array([1., 1.]), 0.0)
    """
    value = float(value_and_gradient(density, jnp.asarray(u))[0])
    step, gain = inspect(u)
    for _ in range(NEWTON_STEPS):
        length, trial = 1.0, -np.inf
        while length > SHORTEST and gain > CONVERGED:
            further = u.copy()
            further[places] += length * step
            trial = float(value_and_gradient(density, jnp.asarray(further))[0])
            if trial > value + 1e-4 * length * gain:
                break
            length /= 2
        if not trial > value:
            break
        u, value = further, trial
        step, gain = inspect(u)
    return u, gain


def _climbed(
    density: LogDensity, width: NumpyArray, u: NumpyArray, iterations: int
) -> tuple[NumpyArray, float]:
    worst = -np.inf

    def cost(v: NumpyArray) -> tuple[float, NumpyArray]:
        nonlocal worst
        value, gradient = (np.asarray(part) for part in value_and_gradient(density, jnp.asarray(v * width)))
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return worst + 1e3, np.zeros_like(v)  # a wall that the line search steps back from
        worst = max(worst, -float(value))
        return -float(value), -gradient * width

    found = scipy.optimize.minimize(
        cost,
        u / width,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": iterations, "ftol": CHANGE, "gtol": GRADIENT},
    )
    return found.x * width, -float(found.fun)
