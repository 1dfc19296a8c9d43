"""identify: the question what data determine, asked of a problem or of any object of a user's own.

    bcg.identify(problem, posterior)                      a posterior, a point, or the prior
    bcg.identify.from_jacobian(J, names=..., noise=...)   derivatives of predictions
    bcg.identify.from_matrix(F, names=...)                an information matrix
    bcg.identify.from_prediction(function, at, ...)       a function that predicts data
    bcg.identify.from_log_density(function, at, ...)      a log likelihood

`identify` is the one instance of `Identify`: a function with the other ways to ask as its attributes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import require_x64
from bayescg._typing import Array, NumpyArray, PRNGKeyArray
from bayescg.identifiability import own_experiments
from bayescg.identifiability.experiment import Experiment, experiment_of
from bayescg.identifiability.identified import Identified
from bayescg.identifiability.leading import leading
from bayescg.identifiability.parameter_places import places_of
from bayescg.identifiability.subspace import spectrum_of
from bayescg.inference.problem import Problem
from bayescg.inference.result import check_same_problem, draw_values
from bayescg.priors import Prior

DENSE_LIMIT = 2000
"""Parameters up to which the whole spectrum is computed; beyond, the leading directions by Lanczos."""

LEADING = 50
"""Directions computed where there are more parameters."""

PRIOR_DRAWS = 256
"""Draws whose mean stands for the prior."""


class Identify(eqx.Module):
    """Which directions of parameter space the data determine. Call `bayescg.identify`, its one instance."""

    def __call__(
        self,
        problem: Problem,
        at: Any,
        *,
        observed: bool = False,
        directions: int | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Identified:
        """Which directions of parameter space the data determine.

        Args:
            problem: the posterior.
            at: a result of `bayescg.sample` (its posterior mean is taken), an unconstrained vector, values
                by path (random variables left out take the prior's mean), or a prior (its mean).
            observed: take the negative Hessian of the log likelihood even where the expected information
                is known.
            directions: how many of the best to compute by Lanczos' method; None for all, beyond 2,000
                parameters for 50.
            key: of the start vector of Lanczos' method.

        Raises:
            BayescgError: float64 is off, the result is of another problem, the prior curves upwards there,
                or a derivative is not finite.

        Example:
            >>> import bayescg as bcg, jax
            >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
            >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
            >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
            >>> found = bcg.identify(problem, problem.initial(jax.random.key(0)))
            >>> found.spectrum.sizes["direction"]
            12
        """
        require_x64("Identifiability")
        u = point_of(problem, at)
        if directions is not None or problem.dimension > DENSE_LIMIT:
            key = jax.random.key(0) if key is None else key
            dataset, vectors = leading(problem, u, count=directions or LEADING, key=key)
            dataset.attrs["problem"] = problem.fingerprint
            return Identified(dataset, tuple(problem.labels), directions=vectors)
        experiment = experiment_of(problem, jnp.asarray(u), observed=observed)
        found = identified(experiment, places=places_of(problem, experiment.names))
        found.spectrum.attrs["problem"] = problem.fingerprint
        return found

    def from_jacobian(
        self,
        jacobian: Any,
        *,
        names: Sequence[str],
        noise: Any = 1.0,
        prior: Any = None,
        positive: Sequence[str] = (),
    ) -> Identified:
        """Of a table of derivatives of predictions.

        Args:
            jacobian: (row, parameter); by the logarithm of parameters listed in `positive`.
            names: of the parameters.
            noise: standard deviation of all rows or of each, or their covariance.
            prior: standard deviations or covariance of the parameters; None for one.
            positive: parameters by whose logarithm the derivatives are.

        Raises:
            BayescgError: float32, NaN, or shapes that do not fit.

        Example:
            >>> import bayescg as bcg
            >>> names = ["k", "gamma"]
            >>> found = bcg.identify.from_jacobian([[1.0, -1.0]], names=names, positive=names)
            >>> found.combinations[0].text, found.combinations[0].label
            ('k^1 gamma^-1', 'local')
        """
        return identified(own_experiments.of_jacobian(jacobian, names, noise, prior, positive))

    def from_matrix(
        self, matrix: Any, *, names: Sequence[str], prior: Any = None, positive: Sequence[str] = ()
    ) -> Identified:
        """Of a Fisher information matrix.

        Args:
            matrix: (parameter, parameter), symmetric.
            names: of the parameters.
            prior: standard deviations or covariance of the parameters; None for one.
            positive: parameters that enter by their logarithm.

        Raises:
            BayescgError: float32, NaN, not symmetric, or shapes that do not fit.

        Example:
            >>> import bayescg as bcg
            >>> bcg.identify.from_matrix([[4.0, 0.0], [0.0, 0.0]], names=["a", "b"]).ranks.numerical
            1
        """
        return identified(own_experiments.of_matrix(matrix, names, prior, positive))

    def from_prediction(
        self,
        function: Callable[[Array], Array],
        at: Any,
        *,
        names: Sequence[str],
        noise: Any = 1.0,
        prior: Any = None,
        positive: Sequence[str] = (),
    ) -> Identified:
        """Of a function that predicts data with Gaussian noise; differentiated exactly.

        Args:
            function: parameters, in `names`' order and on their own scale, to predictions; in JAX.
            at: values of the parameters.
            names: of the parameters.
            noise: standard deviation of all predictions or of each, or their covariance.
            prior: standard deviations or covariance of the parameters (of logarithms where positive).
            positive: parameters that enter by their logarithm.

        Raises:
            BayescgError: float64 is off, NaN, or shapes that do not fit.

        Example:
            >>> import bayescg as bcg
            >>> line = lambda theta: theta[0] + theta[1] * jnp.arange(3.0)
            >>> bcg.identify.from_prediction(line, [1.0, 2.0], names=["a", "b"], noise=0.1).ranks.bayesian
            2
        """
        return identified(own_experiments.of_prediction(function, at, names, noise, prior, positive))

    def from_log_density(
        self,
        function: Callable[[Array], Array],
        at: Any,
        *,
        names: Sequence[str],
        prior: Any = None,
        positive: Sequence[str] = (),
    ) -> Identified:
        """Of a log likelihood: its observed information.

        Args:
            function: parameters, in `names`' order and on their own scale, to the log likelihood; in JAX.
            at: values of the parameters.
            names: of the parameters.
            prior: standard deviations or covariance of the parameters (of logarithms where positive).
            positive: parameters that enter by their logarithm.

        Raises:
            BayescgError: float64 is off, NaN, or shapes that do not fit.

        Example:
            >>> import bayescg as bcg
            >>> density = lambda theta: -0.5 * (theta[0] + theta[1]) ** 2
            >>> found = bcg.identify.from_log_density(density, [0.0, 0.0], names=["a", "b"])
            >>> [(one.text, one.label) for one in found.combinations]
            [('a + b', 'certified')]
        """
        return identified(own_experiments.of_log_density(function, at, names, prior, positive))


identify = Identify()


def identified(experiment: Experiment, *, places: Sequence[str] | None = None) -> Identified:
    """What an experiment determines at its point.

    Args:
        experiment: with its Fisher information.
        places: what every parameter is, in words; None for its name.

    Example:
        >>> experiment = own_experiments.of_matrix([[4.0]], ["a"], None, ())
        >>> identified(experiment).spectrum["information"].values.tolist()
        [4.0]
    """
    require_x64("Identifiability")
    informations = experiment.informations(experiment.point)
    spectrum = spectrum_of(informations, experiment.precision, experiment.names)
    return Identified(
        spectrum.dataset,
        tuple(places or experiment.names),
        spectrum.ranks,
        spectrum.directions,
        experiment,
        tuple(informations),
    )


def point_of(problem: Problem, at: Any) -> NumpyArray:
    """The unconstrained vector of a point in any of its forms.

    Args:
        problem: the posterior.
        at: a result, a vector, values by path, or a prior.

    Raises:
        BayescgError: the result is of another problem.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=2))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> point_of(problem, problem.prior).shape
        (13,)
    """
    if isinstance(at, xr.DataTree):
        check_same_problem(problem, at)
        values = draw_values(at, group="posterior")
        flat = {path: jnp.asarray(v).reshape(-1, *v.shape[2:]) for path, v in values.items()}
        return np.asarray(jnp.mean(jax.lax.map(problem.unconstrain, flat), axis=0))
    if isinstance(at, Prior | Mapping):
        mean = np.asarray(_prior_mean(problem))
        if isinstance(at, Prior):
            return mean
        values = problem.constrain(jnp.asarray(mean)) | {path: jnp.asarray(v) for path, v in at.items()}
        return np.asarray(problem.unconstrain(values))
    return np.asarray(at, dtype=float)


@eqx.filter_jit
def _prior_mean(problem: Problem) -> Array:
    return jnp.mean(jax.lax.map(problem.initial, jax.random.split(jax.random.key(0), PRIOR_DRAWS)), axis=0)
