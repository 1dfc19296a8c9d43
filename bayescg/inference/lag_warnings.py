"""A warning where the posterior of a memory ends at the lags that were kept, not where the data end it.

A path likelihood in lagged sums is minus infinity for kernels whose filter rings on at lags left out (see
`Path.left_out`). Where draws come near that edge, the posterior is cut off there.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array
from bayescg.inference.problem import Problem
from bayescg.inference.thinning import evenly
from bayescg.likelihoods.path import MOST_NEGLECTED, Path, PathSums

DRAWS_LOOKED_AT = 64
"""Of all chains, spread evenly."""

NEAR = 0.1
"""Part of the largest bound allowed from which a draw counts as near the edge."""


def lag_warnings(problem: Problem, values: Mapping[str, Any]) -> list[str]:
    """A sentence where draws lie near the edge beyond which lags left out would matter.

    Args:
        problem: the posterior.
        values: path -> values, (chain, draw, ...).

    Example:
        >>> import bayescg as bcg
        >>> term = bcg.likelihoods.Path(observed="velocities").on(bcg.data.water_dynamics(frames=20))
        >>> spline = bcg.potentials.PairSpline(cutoff=0.9, knots=8)
        >>> model = bcg.Model(spline, memory=bcg.memory.Markovian(friction=500.0))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> values = {"memory.friction": 500.0, "potential.coefficients": np.zeros((1, 7))}
        >>> draws = {path: np.broadcast_to(v, (2, 3, *np.shape(v))) for path, v in values.items()}
        >>> lag_warnings(problem, draws)
        []
    """
    looked_at = [
        index
        for index in problem.terms
        if isinstance(problem.joint.likelihoods[index], Path)
        and isinstance(problem.observations[index], PathSums)
    ]
    if not looked_at:
        return []
    flat = {path: np.asarray(v).reshape(-1, *np.shape(v)[2:]) for path, v in values.items()}
    count = len(next(iter(flat.values())))
    kept = evenly(count, DRAWS_LOOKED_AT)
    chosen = {path: jnp.asarray(v[kept]) for path, v in flat.items()}
    bounds = np.asarray(_left_out(problem, chosen, tuple(looked_at)))
    near = int((bounds > NEAR * MOST_NEGLECTED).sum())
    if not near:
        return []
    return [
        f"{near} of {kept.size} draws have kernels whose filter rings on until lags that were left out "
        f"(bounds up to {bounds.max():.2g} of the log likelihood; above {MOST_NEGLECTED:g} the density is "
        "taken as zero): the posterior may be cut off there. Save frames further apart, or give the "
        "memory's times a prior that ends earlier."
    ]


@eqx.filter_jit
def _left_out(problem: Problem, values: dict[str, Array], terms: tuple[int, ...]) -> Array:
    def of_draw(draw: dict[str, Array]) -> Array:
        joint, bounds = problem.with_values(draw), []
        for index in terms:
            likelihood = joint.likelihoods[index]
            assert isinstance(likelihood, Path)
            bounds.append(likelihood.left_out(joint.model, problem.observations[index]))
        return jnp.max(jnp.stack(bounds))

    return jax.lax.map(of_draw, values)
