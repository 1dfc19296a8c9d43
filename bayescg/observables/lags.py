"""Moments kept for as long as a correlation reaches: a ring of the last ones, of fixed size."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, positive
from bayescg._typing import Array, Float, Int
from bayescg.interfaces import Topology


class Ring(NamedTuple):
    """The last moments of a trajectory.

    Attributes:
        values: one place per lag, the newest at `newest`.
        newest: place of the newest moment.
        held: number of moments held.
    """

    values: Float[Array, "lag bead dim"]
    newest: Int[Array, ""]
    held: Int[Array, ""]

    def push(self, value: Float[Array, "bead dim"]) -> "Ring":
        """The ring with one moment more; the oldest is forgotten where it is full."""
        size = self.values.shape[0]
        place = (self.newest + 1) % size
        return Ring(
            self.values.at[place].set(value.astype(self.values.dtype)),
            place,
            jnp.minimum(self.held + 1, size),
        )

    def by_lag(self, values: Float[Array, "lag *rest"]) -> Float[Array, "lag *rest"]:
        """Numbers made of every place, in the order of their lag from the newest."""
        lags = jnp.arange(self.values.shape[0])
        return values[(self.newest - lags) % lags.size]

    @property
    def known(self) -> Float[Array, " lag"]:
        """One where a moment of that lag is held, zero elsewhere."""
        return (jnp.arange(self.values.shape[0]) < self.held).astype(float)


def empty_ring(lags: int, beads: int, dims: int) -> Ring:
    """A ring of this many moments, none held.

    Example:
        >>> ring = empty_ring(2, 1, 1).push(jnp.ones((1, 1)))
        >>> ring.known.tolist()
        [1.0, 0.0]
    """
    nothing = jnp.zeros((), jnp.int32)
    return Ring(jnp.zeros((lags, beads, dims), float), nothing - 1, nothing)


def lag_count(maximum: float, interval: float) -> int:
    """Number of lags up to the largest, zero included.

    Args:
        maximum: largest lag, ps.
        interval: between moments, ps.

    Raises:
        BayescgError: the interval is not positive, or the largest lag is shorter than it.

    Example:
        >>> lag_count(1.0, 0.1)
        11
    """
    positive("interval", interval, unit="ps", remedy="Measure at equal intervals of time.")
    lags = round(maximum / interval)
    if lags < 1:
        raise BayescgError(
            f"maximum must reach at least one interval between moments, got {maximum} ps against "
            f"{interval:.6g} ps. Measure more often, or raise maximum."
        )
    return lags + 1


def members(topology: Topology, *, by_type: bool) -> tuple[tuple[int, ...], ...]:
    """Which beads belong to a curve, one row per type, or one row of all beads.

    Example:
        >>> nothing = jnp.zeros((0, 2), int)
        >>> beads = Topology(jnp.array([0, 1, 0]), jnp.ones(3), jnp.arange(3), nothing, ("A", "B"))
        >>> members(beads, by_type=True)
        ((1, 0, 1), (0, 1, 0))
    """
    types = np.asarray(topology.types).tolist()
    if not by_type:
        return ((1,) * len(types),)
    return tuple(tuple(int(t == kind) for t in types) for kind in range(len(topology.type_names)))
