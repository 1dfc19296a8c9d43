"""A path's sums with the potential given: its features become one, the force itself.

With the coefficients theta fixed the force is one known series, so lagged sums of it, once mixed, serve any
number of memories:

    C_ab = Σ_jk M_ja C_jk M_kb,        M = diag(1, ..., 1, theta).
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.linalg import block_diag

from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractLinearPotential, Configuration, LinearSum, Sum, Support
from bayescg.likelihoods.path_correlations import Group
from bayescg.likelihoods.path_forces import forces_of
from bayescg.numerics.condensed_ends import condensed


class KnownForce(AbstractLinearPotential):
    """A force that is one series of the data: it has no energy of its own.

    Attributes:
        cutoff: zero.
        coefficients: one.
    """

    cutoff: float = eqx.field(static=True, default=0.0)
    coefficients: Float[Array, " feature"] = eqx.field(default_factory=lambda: jnp.ones(1))

    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Not known."""
        raise NotImplementedError("a known force has no energy")

    def basis_forces(self, configuration: Configuration) -> Float[Array, "bead dim feature"]:
        """Not known beyond the data."""
        raise NotImplementedError("a known force is known along the data only")

    def prepare(self, support: Support) -> "KnownForce":
        """Nothing to allocate."""
        return self

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """One number without a label."""
        return {}

    def coefficient_paths(self) -> tuple[str, ...]:
        """The one coefficient."""
        return ("coefficients",)


def given_potential(
    potential: Any, groups: tuple[Group, ...], *, observed: str
) -> tuple[Any, tuple[Group, ...]]:
    """Potential and groups with the linear coefficients at their values; in jit.

    Args:
        potential: prepared, with values.
        groups: of a path likelihood.
        observed: "positions" or "velocities".

    Returns:
        A potential of one feature and groups mixed for it: the log likelihood of any memory is as before.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=8), bcg.memory.Prony(modes=1))
        >>> path = bcg.likelihoods.Path(observed="velocities")
        >>> beads = bcg.data.water_dynamics(frames=20)
        >>> model, path = path.prepare(model, beads)
        >>> seen = path.observe(model, beads)
        >>> potential, groups = given_potential(model.potential, seen.groups, observed="velocities")
        >>> groups[0].total.zero.shape, potential.coefficients.shape
        ((3, 3), (1,))
    """
    forces = forces_of(potential)
    if forces.linear is None:
        return potential, groups
    known = groups[0].pieces.heads.known.shape[-1]
    behind = 2 if observed == "velocities" and forces.springs else 0
    features = block_diag(forces.theta()[:, None], jnp.eye(behind))
    mixing = block_diag(jnp.eye(known), features)
    terms = (KnownForce(), *forces.springs)
    whole = terms[0] if len(terms) == 1 else _joined(terms)
    return whole, tuple(_mixed(group, mixing, features) for group in groups)


def _mixed(
    group: Group, mixing: Float[Array, "series channel"], features: Float[Array, "feature channel"]
) -> Group:
    """A group with its series mixed."""

    def square(sums: Array) -> Array:
        return mixing.T @ sums @ mixing

    sums, total = (
        part._replace(zero=square(part.zero), lags=square(part.lags)) for part in (group.sums, group.total)
    )
    pieces = group.pieces
    ends = tuple(
        end._replace(features=end.features @ features) for end in (pieces.heads, pieces.tails, pieces.start)
    )
    pieces = condensed(eqx.tree_at(lambda p: (p.heads, p.tails, p.start), pieces, ends))
    return eqx.tree_at(lambda g: (g.sums, g.total, g.pieces), group, (sums, total, pieces))


def _joined(terms: tuple[Any, ...]) -> Any:
    kind = LinearSum if all(isinstance(term, AbstractLinearPotential) for term in terms) else Sum
    return kind(max(term.cutoff for term in terms), terms)
