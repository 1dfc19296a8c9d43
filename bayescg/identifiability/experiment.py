"""Experiment: what is asked about, as functions of one vector of parameters.

A problem with its hyperparameters held, or any object of a user's own: a table of derivatives, a matrix,
a density, a prediction. What an experiment cannot do (a table knows one point only) is None there, and
conclusions that need it are not drawn.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpyro.distributions import biject_to
from numpyro.distributions.transforms import ExpTransform, IdentityTransform, IndependentTransform

from bayescg._checks import BayescgError, finite, require
from bayescg._typing import Array, Float, NumpyArray, PRNGKeyArray
from bayescg.identifiability.fisher import all_rows, term_information
from bayescg.identifiability.further_data import further_information
from bayescg.identifiability.information import Information

LOGARITHM, IDENTITY, OTHER = "logarithm", "identity", "other"
"""How an element of the vector stands to the quantity itself."""

REACH = 0.5
"""Random points lie this many prior standard deviations away, at most a factor e^0.5 where positive."""


class Experiment(eqx.Module):
    """Data of some kind as functions of a vector u.

    Attributes:
        names: of the elements of u.
        scales: of the elements: `LOGARITHM` of a positive quantity, `IDENTITY`, or `OTHER`.
        point: u where the question is asked.
        precision: of the prior at the point; of unit width where no prior was given.
        has_prior: whether one was given.
        informations: Fisher information of every term at u.
        log_likelihood: at u; None where it is not known.
        log_prior: at u, with the volume of the transformation; None where it is not known.
        anywhere: whether `informations` knows other points than the one.
        rows: predictions over their noise, a function of u whose Jacobian is J; None where not known.
        of_term: Fisher information of a further term at the point; None where there is no problem.
    """

    names: tuple[str, ...]
    scales: tuple[str, ...]
    point: Float[NumpyArray, " parameter"]
    precision: Float[NumpyArray, "parameter parameter"]
    has_prior: bool = True
    informations: Callable[[NumpyArray], list[Information]] = eqx.field(default=lambda u: [])
    log_likelihood: Callable[[Any], Any] | None = None
    log_prior: Callable[[Any], Any] | None = None
    anywhere: bool = True
    rows: Callable[[Any], Any] | None = None
    of_term: Callable[[Any], Information] | None = None

    @property
    def deviations(self) -> NumpyArray:
        """Prior standard deviation of every parameter, the others free."""
        return np.sqrt(np.diag(np.linalg.inv(self.precision)))

    @property
    def widths(self) -> NumpyArray:
        """Typical prior standard deviation of the random variable every parameter belongs to."""
        deviations = np.log(self.deviations)
        groups = np.array([name.split("[")[0] for name in self.names])
        return np.exp([deviations[groups == group].mean() for group in groups])

    def draw(self, key: PRNGKeyArray) -> NumpyArray:
        """A random point around the point, well within the prior."""
        widest = np.where(np.array(self.scales) == IDENTITY, np.inf, 1.0)
        spread = REACH * np.minimum(self.deviations, widest)
        return self.point + spread * np.asarray(jax.random.normal(key, (len(self.names),)))


def experiment_of(problem: Any, u: Float[Array, " parameter"], *, observed: bool = False) -> Experiment:
    """A problem around a point, hyperparameters that enter no likelihood held there.

    Args:
        problem: the posterior.
        u: unconstrained point.
        observed: use the observed information also where the expected one is known.

    Raises:
        BayescgError: the prior is not log-concave at the point, or a derivative is not finite.

    Example:
        >>> import bayescg as bcg, jax
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> len(experiment_of(problem, problem.initial(jax.random.key(0))).names)
        12
    """
    base = np.asarray(u, dtype=float)
    places = _entering(problem, base)
    labels, scales = problem.labels, _scales(problem, base)

    def whole(part: NumpyArray) -> Array:
        point = base.copy()
        point[places] = part
        return jnp.asarray(point)

    def informations(part: NumpyArray) -> list[Information]:
        return [one.only(places) for one in term_information(problem, whole(part), observed=observed)]

    precision = np.asarray(_prior_curvature(problem, jnp.asarray(base)))[np.ix_(places, places)]
    check_prior(precision)
    return Experiment(
        tuple(labels[i] for i in places),
        tuple(scales[i] for i in places),
        base[places],
        precision,
        True,
        informations,
        eqx.Partial(_log_likelihood, problem, base, places),
        eqx.Partial(_log_prior, problem, base, places),
        rows=_rows_of(problem, base, places),
        of_term=lambda term: further_information(problem, term, base).only(places),
    )


def check_prior(precision: NumpyArray) -> None:
    """Raise unless a prior's precision is finite and positive definite.

    Args:
        precision: (parameter, parameter).

    Raises:
        BayescgError: it is not.

    Example:
        >>> check_prior(np.eye(2))
    """
    if not np.isfinite(precision).all() or np.linalg.eigvalsh(precision).min() <= 0:
        raise BayescgError(
            "the prior must be log-concave at the point, but it is flat or curves upwards there. Give every "
            "parameter a proper prior, or another point."
        )


def prior_precision(prior: Any, count: int) -> tuple[NumpyArray, bool]:
    """Precision of a prior given as standard deviations or as a covariance.

    Args:
        prior: one standard deviation for all parameters, one each, or a covariance; None for unit width.
        count: of parameters.

    Returns:
        The precision, and whether a prior was given.

    Raises:
        BayescgError: another shape, or not positive.

    Example:
        >>> prior_precision([1.0, 2.0], 2)[0].tolist()
        [[1.0, 0.0], [0.0, 0.25]]
    """
    if prior is None:
        return np.eye(count), False
    array = np.asarray(prior, dtype=float)
    finite("prior", array, axis_name="parameter")
    require(
        array.shape in ((), (count,), (count, count)),
        f"prior must be standard deviations of shape () or ({count},), or a covariance of shape ({count}, "
        f"{count}), got shape {array.shape}. Give one number per name.",
    )
    if array.ndim < 2:
        require(bool((array > 0).all()), f"prior standard deviations must be positive, got {array.min():g}.")
        return np.diag(np.broadcast_to(array, (count,)) ** -2.0), True
    check_prior(array)
    return np.linalg.inv(array), True


def scales_of(names: Sequence[str], positive: Sequence[str]) -> tuple[str, ...]:
    """Scale of every parameter, from the names of those that enter by their logarithm.

    Args:
        names: of all parameters.
        positive: of those.

    Raises:
        BayescgError: a name that is not among all.

    Example:
        >>> scales_of(["k", "x"], ["k"])
        ('logarithm', 'identity')
    """
    unknown = sorted(set(positive) - set(names))
    require(not unknown, f"positive must name parameters, got {unknown}. The names are: {', '.join(names)}.")
    return tuple(LOGARITHM if name in set(positive) else IDENTITY for name in names)


@eqx.filter_jit
def _log_likelihood(problem: Any, base: Array, places: Array, part: Array) -> Array:
    return problem.log_likelihood(problem.constrain(jnp.asarray(base).at[places].set(part)))


def _rows_of(problem: Any, base: NumpyArray, places: NumpyArray) -> Callable[[Any], Any] | None:
    """Rows of all terms; None where a term knows its observed information only."""
    held = eqx.Partial(_rows, problem, base, places)
    return None if eqx.filter_eval_shape(held, base[places]) is None else held


@eqx.filter_jit
def _rows(problem: Any, base: Array, places: Array, part: Array) -> Array | None:
    return all_rows(problem, jnp.asarray(base).at[places].set(part))


@eqx.filter_jit
def _log_prior(problem: Any, base: Array, places: Array, part: Array) -> Array:
    return problem.log_prior(jnp.asarray(base).at[places].set(part))


@eqx.filter_jit
def _prior_curvature(problem: Any, u: Array) -> Array:
    return -jax.hessian(problem.log_prior)(u)


@eqx.filter_jit
def _reached(problem: Any, u: Array) -> Array:
    """Derivative of all parameters of model and likelihoods by u, summed without signs."""
    known = set(problem.parameter_paths)

    def values(u: Array) -> Array:
        found = problem.constrain(u)
        return jnp.concatenate([jnp.ravel(value) for path, value in found.items() if path in known])

    return jnp.sum(jnp.abs(jax.jacfwd(values)(u)), axis=0)


def _entering(problem: Any, u: NumpyArray) -> NumpyArray:
    """Places of the elements that move a parameter of the model or a likelihood: all but hyperparameters."""
    return np.flatnonzero(np.asarray(_reached(problem, jnp.asarray(u))) != 0)


def _scales(problem: Any, u: NumpyArray) -> list[str]:
    found: list[str] = []

    def record(u: Array) -> Array:
        laws = problem.site_distributions(problem.constrain(u))
        for name, shape in problem.shapes:
            found.extend([_scale(biject_to(laws[name].support))] * int(np.prod(shape, dtype=int)))
        return u

    jax.eval_shape(record, jnp.asarray(u))  # supports alone are wanted: nothing is computed
    return found


def _scale(transform: Any) -> str:
    while isinstance(transform, IndependentTransform):
        transform = transform.base_transform
    if isinstance(transform, ExpTransform):
        return LOGARITHM
    return IDENTITY if isinstance(transform, IdentityTransform) else OTHER
