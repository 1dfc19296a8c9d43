"""Warm starts: an earlier posterior's draws as places where a sampler begins.

Of use where data grow, a model gains a term, or a dear sampler follows a cheap one. Only the way to the
posterior is shorter; the posterior is the same.
"""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray
from bayescg.inference.problem import Problem
from bayescg.inference.thinning import evenly

MOST_STARTS = 64
"""Draws of the earlier posterior that are kept, evenly."""


def warm_start(problem: Problem, earlier: xr.DataTree) -> NumpyArray:
    """Unconstrained vectors of a problem from the draws of an earlier posterior.

    Parameters of the same name and shape are taken from it, the others from the prior.

    Args:
        problem: to be sampled.
        earlier: a result of `bayescg.sample`, of any problem that shares parameters with this one.

    Returns:
        (start, parameter), finite.

    Raises:
        BayescgError: no parameter in common, or no draw that this problem's prior allows.

    Example:
        >>> import bayescg as bcg, jax
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=8))
        >>> def problem(frames):
        ...     term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=frames))
        ...     return bcg.Problem(model, bcg.priors.default(model), term)
        >>> few = bcg.sample(problem(16), bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
        >>> warm_start(problem(32), few).shape
        (64, 9)
    """
    draws = {
        str(name): variable.values.reshape(-1, *variable.shape[2:])
        for name, variable in earlier["posterior"].dataset.data_vars.items()
    }
    shapes = dict(problem.shapes)
    known = jax.eval_shape(problem.constrain, jax.ShapeDtypeStruct((problem.dimension,), float))
    shared = [name for name in known if name in draws and draws[name].shape[1:] == known[name].shape]
    require(
        bool(set(shared) & set(shapes)),
        f"start must share a random variable with the problem, got {', '.join(draws)} and the problem has "
        f"{', '.join(shapes)}. Give a result of the same model, or leave start out.",
    )
    chosen = evenly(len(draws[shared[0]]), MOST_STARTS)
    keys = jax.random.split(jax.random.key(0), chosen.size)

    def unconstrained(given: tuple[dict[str, jax.Array], jax.Array]) -> jax.Array:
        taken, key = given
        return problem.unconstrain(problem.constrain(problem.initial(key)) | taken)

    taken = {name: jnp.asarray(draws[name][chosen]) for name in shared}
    starts = np.asarray(jax.jit(lambda given: jax.lax.map(unconstrained, given))((taken, keys)))
    usable = starts[np.isfinite(starts).all(axis=1)]
    if not len(usable):
        raise BayescgError(
            "start must have a draw that the problem's prior allows, got none: all fall outside the support "
            f"of {', '.join(shared)}. Widen the prior, or leave start out."
        )
    return usable
