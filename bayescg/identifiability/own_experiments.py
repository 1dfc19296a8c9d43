"""Experiments of a user's own: derivatives, an information matrix, a prediction, a log likelihood."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, finite, require, require_x64
from bayescg._typing import Array, NumpyArray
from bayescg.identifiability.experiment import LOGARITHM, Experiment, prior_precision, scales_of
from bayescg.identifiability.fisher import jacobian_of
from bayescg.identifiability.information import Information, check_digits, check_finite, checked_table

SYMMETRY = 1e-8
"""Relative difference of F and F' that rounding explains."""


def of_jacobian(
    jacobian: Any, names: Sequence[str], noise: Any, prior: Any, positive: Sequence[str]
) -> Experiment:
    """Of a table of derivatives; what holds at other points is not known.

    Args:
        jacobian: (row, parameter).
        names: of the parameters.
        noise: standard deviations or covariance of the rows.
        prior: standard deviations or covariance of the parameters; None for one.
        positive: parameters by whose logarithm the derivatives are.

    Raises:
        BayescgError: float32, NaN, or shapes that do not fit.

    Example:
        >>> of_jacobian([[2.0, 0.0]], ["a", "b"], 1.0, None, ()).names
        ('a', 'b')
    """
    table = checked_table("jacobian", jacobian, names)
    require(table.ndim == 2, f"jacobian must have two axes, got {table.ndim}. Give (row, parameter).")
    white = _whitened(table, noise)
    information = Information("data", True, jacobian=white[:, None, :], sampled=False)
    return _at_one_point(information, names, prior, positive)


def of_matrix(matrix: Any, names: Sequence[str], prior: Any, positive: Sequence[str]) -> Experiment:
    """Of an information matrix; what holds at other points is not known.

    Args:
        matrix: (parameter, parameter), symmetric.
        names: of the parameters.
        prior: standard deviations or covariance of the parameters; None for one.
        positive: parameters that enter by their logarithm.

    Raises:
        BayescgError: float32, NaN, not symmetric, or shapes that do not fit.

    Example:
        >>> of_matrix([[2.0]], ["a"], None, ()).has_prior
        False
    """
    F = checked_table("matrix", matrix, names)
    require(
        F.shape == (len(names), len(names)),
        f"matrix must have shape ({len(names)}, {len(names)}), got {F.shape}. Give one name per row.",
    )
    require(
        bool(np.abs(F - F.T).max(initial=0.0) <= SYMMETRY * np.abs(F).max(initial=0.0)),
        "matrix must be symmetric, got one that is not. Give (F + F')/2 if the difference is noise.",
    )
    return _at_one_point(Information("data", False, hessian=(F + F.T) / 2), names, prior, positive)


def of_prediction(
    function: Callable[[Array], Array],
    at: Any,
    names: Sequence[str],
    noise: Any,
    prior: Any,
    positive: Sequence[str],
) -> Experiment:
    """Of predictions with Gaussian noise; data equal to the predictions at the point.

    Args:
        function: parameters to predictions, in JAX.
        at: values of the parameters.
        names: of the parameters.
        noise: standard deviations or covariance of the predictions.
        prior: standard deviations or covariance of the parameters.
        positive: parameters that enter by their logarithm.

    Raises:
        BayescgError: float64 is off, NaN, or shapes that do not fit.

    Example:
        >>> of_prediction(lambda theta: theta**2, [2.0], ["a"], 1.0, None, ["a"]).point.round(3).tolist()
        [0.693]
    """
    point, natural = _transformed(at, names, positive)
    predicted = eqx.filter_jit(lambda u: jnp.ravel(function(natural(u))))
    derivative = eqx.filter_jit(lambda u: jacobian_of(lambda v: jnp.ravel(function(natural(v))), u))
    center = np.asarray(predicted(jnp.asarray(point)))
    check_digits("predictions", center)

    def informations(u: NumpyArray) -> list[Information]:
        table = np.asarray(derivative(jnp.asarray(u)))
        check_finite(table, list(names), what="the Jacobian")
        return [Information("data", True, jacobian=_whitened(table, noise)[:, None, :], sampled=False)]

    white = _whitened(np.eye(center.size), noise)

    def log_likelihood(u: Any) -> Any:
        return -0.5 * jnp.sum((white @ (predicted(jnp.asarray(u)) - center)) ** 2)

    experiment = _experiment(point, names, prior, positive, informations, log_likelihood)
    return eqx.tree_at(
        lambda e: e.rows, experiment, lambda u: white @ predicted(u), is_leaf=lambda leaf: leaf is None
    )


def of_log_density(
    function: Callable[[Array], Array], at: Any, names: Sequence[str], prior: Any, positive: Sequence[str]
) -> Experiment:
    """Of a log likelihood; its observed information.

    Args:
        function: parameters to the log likelihood, in JAX.
        at: values of the parameters.
        names: of the parameters.
        prior: standard deviations or covariance of the parameters.
        positive: parameters that enter by their logarithm.

    Raises:
        BayescgError: float64 is off, NaN, or shapes that do not fit.

    Example:
        >>> of_log_density(lambda theta: -theta[0] ** 2, [2.0], ["a"], None, ()).point.tolist()
        [2.0]
    """
    point, natural = _transformed(at, names, positive)
    density = eqx.filter_jit(lambda u: function(natural(u)))
    curvature = eqx.filter_jit(
        lambda u: -jacobian_of(jax.grad(lambda v: jnp.reshape(function(natural(v)), ())), u)
    )
    error = len(names) * float(np.finfo(float).eps)
    check_digits("the log likelihood", np.asarray(density(jnp.asarray(point))))

    def informations(u: NumpyArray) -> list[Information]:
        hessian = np.asarray(curvature(jnp.asarray(u)))
        check_finite(hessian, list(names), what="the Hessian")
        return [Information("data", False, hessian=(hessian + hessian.T) / 2, error=error)]

    return _experiment(point, names, prior, positive, informations, lambda u: density(jnp.asarray(u)))


def _experiment(
    point: NumpyArray,
    names: Sequence[str],
    prior: Any,
    positive: Sequence[str],
    informations: Any,
    density: Any,
) -> Experiment:
    precision, given = prior_precision(prior, len(names))

    def log_prior(u: Any) -> Any:
        gap = jnp.asarray(u) - point
        return -0.5 * gap @ precision @ gap

    return Experiment(
        tuple(names), scales_of(names, positive), point, precision, given, informations, density,
        log_prior if given else None,
    )  # fmt: skip


def _at_one_point(
    information: Information, names: Sequence[str], prior: Any, positive: Sequence[str]
) -> Experiment:
    precision, given = prior_precision(prior, len(names))
    return Experiment(
        tuple(names),
        scales_of(names, positive),
        np.zeros(len(names)),
        precision,
        given,
        lambda u: [information],
        anywhere=False,
    )


def _transformed(
    at: Any, names: Sequence[str], positive: Sequence[str]
) -> tuple[NumpyArray, Callable[[Array], Array]]:
    """The point in u, and the map from u to the parameters' own scale."""
    require_x64("Identifiability")
    values = np.asarray(at, dtype=float)
    require(
        values.shape == (len(names),),
        f"at must hold one value per name, shape ({len(names)},), got {values.shape}.",
    )
    finite("at", values, axis_name="parameter")
    logarithmic = np.array([scale == LOGARITHM for scale in scales_of(names, positive)])
    bad = [name for name, value, flag in zip(names, values, logarithmic, strict=True) if flag and value <= 0]
    require(not bad, f"positive parameters must be above zero, got values at or below for {', '.join(bad)}.")
    point = np.where(logarithmic, np.log(np.where(logarithmic, values, 1.0)), values)
    return point, lambda u: jnp.where(logarithmic, jnp.exp(jnp.where(logarithmic, u, 0.0)), u)


def _whitened(table: NumpyArray, noise: Any) -> NumpyArray:
    """L^-1 J for noise of covariance L L'."""
    sigma = np.asarray(noise, dtype=float)
    rows = table.shape[0]
    require(
        sigma.shape in ((), (rows,), (rows, rows)),
        f"noise must have shape (), ({rows},) or ({rows}, {rows}), got {sigma.shape}. Give standard "
        "deviations or a covariance.",
    )
    finite("noise", sigma, axis_name="row")
    if sigma.ndim < 2:
        require(bool((sigma > 0).all()), f"noise must be positive, got {sigma.min():g}.")
        return table / np.broadcast_to(sigma, (rows,))[:, None]
    try:
        return np.linalg.solve(np.linalg.cholesky(sigma), table)
    except np.linalg.LinAlgError:
        raise BayescgError("noise must be a positive definite covariance, got one that is not.") from None
