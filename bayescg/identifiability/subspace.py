"""The likelihood-informed subspace: directions in which the data outweigh the prior, and by how much.

With the curvature F of the log likelihood and the prior precision P at the posterior mean,

    F v = lambda P v,        posterior sd / prior sd along v = 1/sqrt(1 + lambda).

Hyperparameters are held at their posterior mean. Scale parameters enter by their logarithms.

References:
    T. Cui et al., Inverse Probl. 30, 114015 (2014), doi:10.1088/0266-5611/30/11/114015.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.linalg import eigh

from bayescg._checks import BayescgError, require_x64
from bayescg._typing import Array, NumpyArray
from bayescg.inference.problem import Problem
from bayescg.inference.result import check_same_problem, draw_values
from bayescg.interfaces import LinearSum, Sum
from bayescg.potentials import PairSpline
from bayescg.potentials.spline import basis

NULL = 1.0
"""Directions with lambda below this are left to the prior: the data halve its variance at best."""

LARGE = 0.3
"""Loadings above this part of the largest are named."""


class Identified(eqx.Module):
    """What the data determine at a point.

    Attributes:
        spectrum: Dataset over `direction`, best determined first: `information` (lambda),
            `contraction` (posterior over prior standard deviation), `loadings` (direction, parameter) in
            units of the unconstrained parameters, largest element one.
        places: what every parameter of `spectrum` is, in words.
    """

    spectrum: xr.Dataset = eqx.field(static=True)
    places: tuple[str, ...] = eqx.field(static=True)

    @property
    def effective_dimension(self) -> float:
        """Σ lambda/(1 + lambda): the number of parameters that the data determine."""
        information = self.spectrum["information"].values
        return float(np.sum(information / (1 + information)))

    @property
    def information_gain(self) -> float:
        """Σ log(1 + lambda)/2, nats."""
        return float(0.5 * np.sum(np.log1p(self.spectrum["information"].values)))

    @property
    def null_directions(self) -> xr.Dataset:
        """The directions that the data leave to the prior."""
        return self.spectrum.isel(direction=self.spectrum["information"].values < NULL)

    @property
    def best(self) -> str:
        """The best determined direction, in words."""
        return self._sentence(0)

    @property
    def worst(self) -> str:
        """The worst determined direction, in words."""
        return self._sentence(-1)

    def summary(self) -> str:
        """A paragraph.

        Example:
            >>> import bayescg as bcg, jax
            >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
            >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
            >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
            >>> summary = bcg.identify(problem, problem.initial(jax.random.key(0))).summary()
            >>> summary[:18]
            'The data determine'
        """
        null = self.null_directions.sizes["direction"]
        left = "no direction is" if null == 0 else f"{null} direction{'s are' if null > 1 else ' is'}"
        return (
            f"The data determine {self.effective_dimension:.1f} of {len(self.places)} parameters and add "
            f"{self.information_gain:.0f} nats to the prior; {left} left to the prior.\n"
            f"Best determined: {self.best}.\nWorst determined: {self.worst}."
        )

    def _sentence(self, direction: int) -> str:
        row = self.spectrum.isel(direction=direction)
        loadings = row["loadings"].values
        large = np.flatnonzero(np.abs(loadings) > LARGE)
        if large.size > 3:
            signs = "with one sign" if np.ptp(np.sign(loadings[large])) == 0 else "with changing sign"
            ends = f"{self.places[large[0]]} to {self.places[large[-1]]}"
            terms = f"{large.size} parameters together, {ends}, {signs}"
        else:
            terms = ", ".join(f"{loadings[i]:+.2f} {self.places[i]}" for i in large)
        return f"{terms} (prior standard deviation divided by {1 / float(row['contraction']):.3g})"


def identify(problem: Problem, at: Any) -> Identified:
    """Which directions of parameter space the data determine.

    Args:
        problem: the posterior.
        at: a result of `bayescg.sample` (its posterior mean is taken) or an unconstrained vector.

    Raises:
        BayescgError: float64 is off, the result is of another problem, or the prior curves upwards there.

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
    u = _point(problem, at)
    information, precision, chosen = _curvatures(problem, u)
    lower = np.linalg.cholesky(precision)
    white = np.linalg.solve(lower, np.linalg.solve(lower, information).T)
    values, vectors = eigh(0.5 * (white + white.T))
    order = np.argsort(-values)
    # below rounding noise of the largest, an eigenvalue is zero, never negative information
    floor = values.size * np.finfo(float).eps * values.max()
    spectrum = np.where(values[order] > floor, values[order], 0.0)
    directions = np.linalg.solve(lower.T, vectors[:, order]).T
    largest = directions[np.arange(len(directions)), np.argmax(np.abs(directions), axis=1)]
    labels = [problem.labels[i] for i in chosen]
    dataset = xr.Dataset(
        {
            "information": ("direction", spectrum, {"long_name": "information of the data over the prior"}),
            "contraction": (
                "direction",
                1 / np.sqrt(1 + spectrum),
                {"long_name": "posterior over prior standard deviation", "units": "1"},
            ),
            "loadings": (("direction", "parameter"), directions / largest[:, None]),
        },
        coords={"parameter": labels},
        attrs={"noise_floor": floor, "problem": problem.fingerprint},
    )
    return Identified(dataset, tuple(map(_places(problem), labels)))


def _point(problem: Problem, at: Any) -> Array:
    if not isinstance(at, xr.DataTree):
        return jnp.asarray(at)
    check_same_problem(problem, at)
    values = draw_values(at, group="posterior")
    flat = {path: jnp.asarray(v).reshape(-1, *v.shape[2:]) for path, v in values.items()}
    return jnp.mean(jax.lax.map(problem.unconstrain, flat), axis=0)


def _curvatures(problem: Problem, u: Array) -> tuple[NumpyArray, NumpyArray, NumpyArray]:
    """Curvature of log likelihood and log prior over the parameters that enter the likelihood."""

    def log_likelihood(u: Array) -> Array:
        return problem.log_likelihood(problem.constrain(u))

    information, gradient = jax.jit(lambda u: (-jax.hessian(log_likelihood)(u), jax.grad(log_likelihood)(u)))(
        u
    )
    precision = np.asarray(jax.jit(jax.hessian(lambda u: -problem.log_prior(u)))(u))
    if not np.isfinite(np.asarray(information)).all():
        raise BayescgError("the curvature of the log likelihood must be finite, got NaN or infinity.")
    enters = np.any(np.asarray(information) != 0, axis=0) | (np.asarray(gradient) != 0)
    chosen = np.flatnonzero(enters | ~_hyperparameters(problem))
    precision = precision[np.ix_(chosen, chosen)]
    if np.linalg.eigvalsh(precision).min() <= 0:
        raise BayescgError(
            "the prior must be log-concave at the point, but it is flat or curves upwards there. Give every "
            "parameter a proper prior, or another point."
        )
    return np.asarray(information)[np.ix_(chosen, chosen)], precision, chosen


def _hyperparameters(problem: Problem) -> NumpyArray:
    """True for elements of random variables that are no parameter of model or likelihood."""
    known = set(problem.parameter_paths)
    return np.array([label.split("[")[0] not in known for label in problem.labels])


def _places(problem: Problem) -> Callable[[str], str]:
    """What a label stands for in words: of a spline's coefficient, the distance at which it acts."""
    potential = problem.joint.potential
    terms = potential.terms if isinstance(potential, Sum | LinearSum) else (potential,)
    found: dict[str, str] = {}
    for index, term in enumerate(terms):
        if not isinstance(term, PairSpline):
            continue
        prefix = f"potential.terms.{index}" if len(terms) > 1 else "potential"
        pairs = term.coordinates()["coefficients"]["type_pair"]
        for pair, (name, start, width) in enumerate(zip(pairs, term.starts, term.widths, strict=True)):
            for k, center in enumerate(basis(term.knots).centers):
                label = f"{prefix}.coefficients[{pair}, {k}]"
                found[label] = f"u_{name}({start + center * width:.3f} nm)"
    return lambda label: found.get(label) or label
