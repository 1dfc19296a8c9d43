"""The shape of a correlation function as a model has it, fitted to estimates; their covariance follows."""

from collections.abc import Callable
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from bayescg._typing import Array, NumpyArray
from bayescg.likelihoods.correlation_data import normalized_covariance, whitening
from bayescg.model import Model, parameters, with_values

LAGS = 16
"""Lags that are fitted, evenly up to the span."""

ROUNDS = 2
"""Fits, the second with the covariance of the first."""

HOLD = 1e-2
"""Weight, per factor e, that keeps parameters which do not matter for the shape where they are."""


def fitted_shape(
    model: Model,
    shape: Callable[[Model, Array], Array],
    estimate: NumpyArray,
    *,
    span: int,
    frames: float,
    interval: float,
) -> NumpyArray:
    """The model's normalized correlation function, times the estimate's value at zero.

    Args:
        model: where the fit starts; positive parameters are fitted by their logarithms.
        shape: model and times to the normalized correlation function; in JAX.
        estimate: at lags 0, 1, 2, ...
        span: lags that matter.
        frames: that the estimate is taken from.
        interval: ps.

    Returns:
        At the lags of the estimate.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.Harmonic(2.0, 0.0), bcg.memory.Markovian(1.0))
        >>> decay = lambda model, t: jnp.exp(-model.potential.stiffness / model.memory.friction * t)
        >>> t = 0.1 * np.arange(40)
        >>> found = fitted_shape(model, decay, np.exp(-3 * t), span=10, frames=1e4, interval=0.1)
        >>> bool(np.allclose(found, np.exp(-3 * t), atol=1e-4))
        True
    """
    start = parameters(model)
    positive = {path: bool(np.all(np.asarray(value) > 0)) for path, value in start.items()}
    u0 = {path: jnp.log(value) if positive[path] else value for path, value in start.items()}
    flat, unravel = jax.flatten_util.ravel_pytree(u0)

    def at(u: Array, times: Array) -> Array:
        values = {path: jnp.exp(v) if positive[path] else v for path, v in unravel(u).items()}
        return shape(with_values(model, values), times)

    steps = np.unique(np.round(np.linspace(0, span, LAGS + 1)).astype(int))
    times, data = jnp.asarray(steps[1:] * interval), estimate[steps[1:]] / estimate[0]
    value, slope = jax.jit(at), jax.jit(jax.jacfwd(at))
    u, current = np.asarray(flat), estimate / estimate[0]
    for _ in range(ROUNDS):
        W = np.sqrt(frames) * whitening(normalized_covariance(current, steps))

        def gap(u: NumpyArray, W: NumpyArray = W) -> NumpyArray:
            return np.concatenate([W @ (np.asarray(value(u, times)) - data), HOLD * (u - np.asarray(flat))])

        def derivative(u: NumpyArray, W: NumpyArray = W) -> NumpyArray:
            return np.concatenate([W @ np.asarray(slope(u, times)), HOLD * np.eye(u.size)])

        solver: Any = scipy.optimize.least_squares
        found = solver(gap, u, jac=derivative, method="trf")
        u = found.x
        current = np.asarray(value(u, jnp.arange(estimate.size) * interval))
    return estimate[0] * current
