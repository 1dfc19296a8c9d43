"""Fisher information: how sharply observations determine parameters, term by term, by exact derivatives.

    observed    F = -∂²l/∂u²              of the data at hand,
    expected    F = E[s s'] = J'J         over data that the model would give, s the score.

Both are in the parameters u of the problem, unconstrained: positive quantities by their logarithms. The
sum over the data of s s', which is neither, is not used. Expected information is positive semidefinite
and is kept as J, so that small singular values are not squared away; it is used where a likelihood says
how (`expected_rows`), observed information elsewhere.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float, NumpyArray
from bayescg.identifiability.information import Information, check_digits, check_finite
from bayescg.inference.information_product import rows_of
from bayescg.numerics.batches import map_in_batches

TANGENTS = 128
"""Derivatives computed together: enough to share the work of one pass, few enough for memory."""

BLOCK_HESSIANS = 16
"""Parameters up to which the observed information of every single block is computed: its cost is p²."""


def term_information(
    problem: Any, u: Float[Array, " parameter"], *, observed: bool = False
) -> list[Information]:
    """Fisher information of every term of a problem; their matrices add up to that of the problem.

    Args:
        problem: the posterior.
        u: unconstrained point.
        observed: take the negative Hessian also where the expected information is known.

    Raises:
        BayescgError: a derivative is not finite.

    Example:
        >>> import bayescg as bcg, jax
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> found = term_information(problem, problem.initial(jax.random.key(0)))
        >>> [(one.term, one.expected, one.matrix.shape) for one in found]
        [('ForceMatching', True, (13, 13))]
    """
    u = jnp.asarray(u)
    found = []
    for place, name in enumerate(term_names(problem)):
        if observed or eqx.filter_eval_shape(rows_of, problem, place, u) is None:
            found.append(_observed(problem, place, u, name))
        else:
            found.append(_expected(problem, place, u, name))
    return found


def information_matrix(problem: Any, u: Float[Array, " parameter"], *, observed: bool = False) -> NumpyArray:
    """Fisher information of all terms together, (parameter, parameter).

    Args:
        problem: the posterior.
        u: unconstrained point.
        observed: take the negative Hessian also where the expected information is known.

    Example:
        >>> import bayescg as bcg, jax
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> information_matrix(problem, problem.initial(jax.random.key(0))).shape
        (13, 13)
    """
    return np.sum([one.matrix for one in term_information(problem, u, observed=observed)], axis=0)


def all_rows(problem: Any, u: Float[Array, " parameter"]) -> Float[Array, " row"] | None:
    """Rows of all terms, whose Jacobian J gives F = J'J; pure.

    Args:
        problem: the posterior.
        u: unconstrained point.

    Returns:
        None where a term's rows are no predictions, or it knows its observed information only.

    Example:
        >>> import bayescg as bcg, jax
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=4))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> all_rows(problem, problem.initial(jax.random.key(0))).shape  # 4 frames, 11 and 1 rows each
        (48,)
    """
    found = [rows_of(problem, place, u) for place in range(len(problem.terms))]
    known = [one.values for one in found if one is not None and one.embedding]
    return jnp.concatenate([jnp.ravel(one) for one in known]) if len(known) == len(found) else None


def term_names(problem: Any) -> list[str]:
    """Name of every term that counts: its likelihood's class, numbered where several terms add.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=2))
        >>> term_names(bcg.Problem(model, bcg.priors.default(model), term))
        ['ForceMatching']
    """
    kinds = [type(likelihood).__name__ for likelihood, _ in problem.scored]
    return [
        kind if kinds.count(kind) == 1 else f"{kind}.{index}"
        for kind, index in zip(kinds, problem.terms, strict=True)
    ]


def jacobian_of(function: Callable[[Array], Array], u: Float[Array, " parameter"]) -> Array:
    """Derivative of a function by every parameter, in forward mode, a batch of parameters at a time; pure.

    Args:
        function: of u, any shape.
        u: the point.

    Returns:
        The function's shape with one axis of parameters more, the last.

    Example:
        >>> jacobian_of(lambda u: u**2, jnp.array([1.0, 2.0])).tolist()
        [[2.0, 0.0], [0.0, 4.0]]
    """

    def column(unit: Array) -> Array:
        return jax.jvp(function, (u,), (unit,))[1]

    columns = map_in_batches(column, jnp.eye(u.size, dtype=u.dtype), TANGENTS)
    return jnp.moveaxis(columns, 0, -1)


def _log_likelihood(problem: Any, place: int, u: Array) -> Array:
    return problem.term_log_likelihoods(problem.constrain(u))[place]


@eqx.filter_jit
def _row_jacobian(problem: Any, place: int, u: Array) -> tuple[Array, Any]:
    def rows(u: Array) -> Array:
        found = rows_of(problem, place, u)
        assert found is not None
        return found.values

    found = rows_of(problem, place, u)
    assert found is not None
    return jacobian_of(rows, u), (found.error, found.sampled)


@eqx.filter_jit
def _hessian(problem: Any, place: int, u: Array) -> Array:
    return -jacobian_of(jax.grad(lambda u: _log_likelihood(problem, place, u)), u)


@eqx.filter_jit
def _block_hessians(problem: Any, place: int, u: Array) -> Array:
    def densities(u: Array) -> Array:
        return problem.blocks(problem.constrain(u))[place]

    # forward over forward: a few parameters, many blocks
    return -jacobian_of(lambda u: jacobian_of(densities, u), u)


def _expected(problem: Any, place: int, u: Array, name: str) -> Information:
    jacobian, (error, sampled) = _row_jacobian(problem, place, u)
    check_digits(f"the Jacobian of {name}", np.asarray(jacobian))
    check_finite(np.asarray(jacobian), problem.labels, what=f"the Jacobian of {name}")
    return Information(name, True, jacobian=np.asarray(jacobian), error=float(error), sampled=bool(sampled))


def _observed(problem: Any, place: int, u: Array, name: str) -> Information:
    hessian = np.asarray(_hessian(problem, place, u))
    check_digits(f"the Hessian of {name}", hessian)
    check_finite(hessian, problem.labels, what=f"the Hessian of {name}")
    blocks = None
    if u.size <= BLOCK_HESSIANS:
        blocks = np.asarray(_block_hessians(problem, place, u))
        check_finite(blocks, problem.labels, what=f"the Hessian of a block of {name}")
    error = u.size * float(np.finfo(float).eps)
    return Information(name, False, hessian=(hessian + hessian.T) / 2, hessians=blocks, error=error)
