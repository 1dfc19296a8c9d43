"""Products with the Fisher information of a problem, matrix-free, for models of any size.

    F v = J'(J v),        J the Jacobian of the rows that the likelihoods give (`likelihoods.expected`),

by one forward and one reverse sweep. Where the rows are a model's predictions over their noise this is the
generalized Gauss-Newton matrix: the curvature without second derivatives of the model, never negative.

References:
    N. N. Schraudolph, Neural Comput. 14, 1723 (2002), doi:10.1162/08997660260028683.
    J. Martens, J. Mach. Learn. Res. 21 (2020) 146, arXiv:1412.1193.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.likelihoods.expected import Rows, expected_rows


def information_product(problem: Any, u: Float[Array, " parameter"], v: Float[Array, " parameter"]) -> Array:
    """F v without F, by one forward and one reverse sweep per term; pure, for models of any size.

    A term that does not give its expected information is taken with the negative Hessian.

    Args:
        problem: the posterior.
        u: unconstrained point.
        v: a direction.

    Example:
        >>> import bayescg as bcg, jax, jax.numpy as jnp
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> u, v = problem.initial(jax.random.key(0)), jnp.ones(13)
        >>> product = eqx.filter_jit(information_product)(problem, u, v)
        >>> product.shape, bool(v @ product > 0)
        ((13,), True)
    """
    total = jnp.zeros_like(v)
    for place in range(len(problem.terms)):
        if eqx.filter_eval_shape(rows_of, problem, place, u) is None:
            gradient = jax.grad(lambda u, place=place: _log_likelihood(problem, place, u))
            total -= jax.jvp(gradient, (u,), (v,))[1]
        else:
            rows, tangent, pull = _linearized(problem, place, u, v)
            total += pull(tangent.astype(rows.dtype))[0]
    return total


def rows_of(problem: Any, place: int, u: Float[Array, " parameter"]) -> Rows | None:
    """Rows of one term at a point, whose Jacobian J gives F = J'J; pure.

    Args:
        problem: the posterior.
        place: of the term among those that count.
        u: unconstrained point.
    """
    index = problem.terms[place]
    joint = problem.with_values(problem.constrain(u))
    return expected_rows(joint.likelihoods[index], joint.model, problem.observations[index])


def _log_likelihood(problem: Any, place: int, u: Array) -> Array:
    return problem.term_log_likelihoods(problem.constrain(u))[place]


def _linearized(problem: Any, place: int, u: Array, v: Array) -> tuple[Array, Array, Any]:
    def rows(u: Array) -> Array:
        found = rows_of(problem, place, u)
        assert found is not None
        return found.values

    values, pull = jax.vjp(rows, u)
    return values, jax.jvp(rows, (u,), (v,))[1], pull
