"""The maximum of a likelihood where a function of the parameters has a given value.

Sequential quadratic programming in coordinates w = L'u in which data and prior are round, so that directions
that the data leave open cost no more steps than others. How good a maximum is, is told by the part of the
gradient that lies along the constraint: half its square is what there is left to gain, in nats, where the
curvature is one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from bayescg._typing import Array, Float, NumpyArray
from bayescg.identifiability.experiment import Experiment

ITERATIONS = 200
"""Of sequential quadratic programming per point, started from the neighbour's optimum."""

TOLERANCE = 1e-9
"""Nats at which a maximization stops."""

WALL = 1e12
"""Cost where the likelihood is not finite: the line search steps back from it."""

TINY = float(np.finfo(float).tiny)


class Summit(NamedTuple):
    """A maximum.

    Attributes:
        point: u.
        height: log likelihood there.
        left: nats that a better maximization might gain, estimated.
    """

    point: Float[NumpyArray, " parameter"]
    height: float
    left: float


class ConstrainedMaximum(eqx.Module):
    """Maximizes a likelihood where a function has a given value.

    Attributes:
        density: log likelihood at u.
        function: of u, with its derivative.
        to: L', from u to w.
        back: its inverse.
    """

    density: Callable[[Any], Any]
    function: Callable[[Array], tuple[Array, Array]]
    to: Float[NumpyArray, "parameter parameter"]
    back: Float[NumpyArray, "parameter parameter"]

    def value(self, u: Float[NumpyArray, " parameter"]) -> float:
        """The function at a point.

        Args:
            u: the point.
        """
        return float(self.function(jnp.asarray(u))[0])

    def slope(self, u: Float[NumpyArray, " parameter"]) -> Float[NumpyArray, " parameter"]:
        """Derivative of the function by w.

        Args:
            u: the point.
        """
        return np.asarray(self.function(jnp.asarray(u))[1]) @ self.back

    def climb(self, u: Float[NumpyArray, " parameter"], *, wanted: float | None) -> Summit:
        """The maximum near a point.

        Args:
            u: the point.
            wanted: value of the function; None where it may have any.

        Example:
            >>> import bayescg as bcg
            >>> found = bcg.identify.from_log_density(lambda t: -t @ t / 2, [0.0, 0.0], names=["a", "b"])
            >>> maximum = constrained_maximum(found.experiment, lambda u: u[0] + u[1])
            >>> summit = maximum.climb(np.zeros(2), wanted=2.0)
            >>> summit.point.round(6).tolist(), round(summit.height, 6)
            ([1.0, 1.0], -1.0)
        """
        base = float(_value_and_gradient(self.density, jnp.asarray(u))[0])

        def cost(w: NumpyArray) -> tuple[float, NumpyArray]:
            height, gradient = _value_and_gradient(self.density, jnp.asarray(self.back @ w))
            if not np.isfinite(height):
                return WALL, np.zeros_like(w)
            return base - float(height), -np.asarray(gradient) @ self.back

        def gap(w: NumpyArray) -> float:
            assert wanted is not None
            return self.value(self.back @ w) - wanted

        start = self.to @ u
        if wanted is not None:
            along = self.slope(u)
            start = start - along * gap(start) / max(float(along @ along), TINY)
        constraint = {"type": "eq", "fun": gap, "jac": lambda w: self.slope(self.back @ w)}
        found = scipy.optimize.minimize(
            cost,
            start,
            jac=True,
            method="SLSQP",
            constraints=[] if wanted is None else [constraint],
            options={"maxiter": ITERATIONS, "ftol": TOLERANCE},
        )
        point = self.back @ found.x
        return Summit(point, base - float(found.fun), self._left(point, wanted))

    def _left(self, u: NumpyArray, wanted: float | None) -> float:
        gradient = np.asarray(_value_and_gradient(self.density, jnp.asarray(u))[1]) @ self.back
        if wanted is not None:
            normal = self.slope(u)
            normal = normal / max(float(np.linalg.norm(normal)), TINY)
            gradient = gradient - normal * (normal @ gradient)
        return 0.5 * float(gradient @ gradient)


def constrained_maximum(experiment: Experiment, function: Callable[[Array], Array]) -> ConstrainedMaximum:
    """Maximizer of an experiment's likelihood.

    Args:
        experiment: whose log likelihood is known.
        function: of u, to one number, in JAX.

    Example:
        >>> import bayescg as bcg
        >>> found = bcg.identify.from_log_density(lambda t: -t @ t / 2, [0.0, 0.0], names=["a", "b"])
        >>> constrained_maximum(found.experiment, lambda u: u[0] + u[1]).value(np.ones(2))
        2.0
    """
    assert experiment.log_likelihood is not None
    information = np.sum([one.matrix for one in experiment.informations(experiment.point)], axis=0)
    values, vectors = np.linalg.eigh(experiment.precision + (information + information.T) / 2)
    # an observed information may curve the wrong way: its size is what matters here
    sizes = np.sqrt(np.maximum(np.abs(values), TINY))
    both = eqx.filter_jit(jax.value_and_grad(lambda u: jnp.reshape(function(u), ())))
    return ConstrainedMaximum(experiment.log_likelihood, both, (vectors * sizes).T, vectors / sizes)


@eqx.filter_jit
def _value_and_gradient(density: Any, u: Array) -> tuple[Array, Array]:
    return jax.value_and_grad(lambda u: jnp.reshape(density(u), ()))(u)
