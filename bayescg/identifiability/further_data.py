"""Fisher information of a term that is not among a problem's: what further data would add."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float, NumpyArray
from bayescg.identifiability.fisher import jacobian_of
from bayescg.identifiability.information import Information, check_finite
from bayescg.likelihoods.expected import Rows, expected_rows


def further_information(problem: Any, term: Any, u: Float[Array, " parameter"] | NumpyArray) -> Information:
    """Fisher information of a term that is not among the problem's, its own parameters held as prepared.

    Args:
        problem: the posterior, whose model and parameters are meant.
        term: a likelihood on its data.
        u: unconstrained point.

    Raises:
        BayescgError: a derivative is not finite.

    Example:
        >>> import bayescg as bcg, jax
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> matching = bcg.likelihoods.ForceMatching()
        >>> problem = bcg.Problem(model, bcg.priors.default(model), matching.on(bcg.data.water(frames=8)))
        >>> u = problem.initial(jax.random.key(0))
        >>> further_information(problem, matching.on(bcg.data.water(frames=4)), u).matrix.shape
        (13, 13)
    """
    model, likelihood = term.likelihood.prepare(problem.joint.model, term.data)
    observations, u = likelihood.observe(model, term.data), jnp.asarray(u)
    name = type(likelihood).__name__
    values = _further_rows(problem, likelihood, observations, u)
    if values is not None:
        jacobian, error = values
        check_finite(np.asarray(jacobian), problem.labels, what=f"the Jacobian of {name}")
        return Information(name, True, jacobian=np.asarray(jacobian), error=float(error))
    hessian = np.asarray(_further_hessian(problem, likelihood, observations, u))
    check_finite(hessian, problem.labels, what=f"the Hessian of {name}")
    return Information(name, False, hessian=(hessian + hessian.T) / 2)


@eqx.filter_jit
def _further_rows(problem: Any, likelihood: Any, observations: Any, u: Array) -> Any:
    def rows(u: Array) -> Rows | None:
        return expected_rows(likelihood, problem.model(problem.constrain(u)), observations)

    found = rows(u)
    if found is None:
        return None
    return jacobian_of(lambda u: rows(u).values, u), found.error  # type: ignore[union-attr]


@eqx.filter_jit
def _further_hessian(problem: Any, likelihood: Any, observations: Any, u: Array) -> Array:
    def density(u: Array) -> Array:
        return likelihood.log_likelihood(problem.model(problem.constrain(u)), observations)

    return -jacobian_of(jax.grad(density), u)
