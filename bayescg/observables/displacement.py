"""How far beads get: mean square displacement and the diffusion coefficient.

    M(t) = <|x(s + t) - x(s)|²>,        D = lim dM/dt / 2d  in d dimensions.

Between two lags, [M(t2) - M(t1)] / 2d (t2 - t1) is the average over t in [t1, t2] of (1/d) ∫_0^t C ds
with C the velocity autocorrelation: the Green-Kubo integral without error from its discretisation.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, positive, require
from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractTimeObservable, Snapshot, Topology, Totals
from bayescg.observables.lags import Ring, empty_ring, lag_count, members


class Displacement(NamedTuple):
    """What is added up.

    Attributes:
        ring: the last moments.
        sums: of the squared displacements, per curve and lag.
        counts: of the displacements.
    """

    ring: Ring
    sums: Float[Array, "type lag"]
    counts: Float[Array, "type lag"]

    def restarted(self) -> "Displacement":
        """Sums at zero."""
        return Displacement(self.ring, jnp.zeros_like(self.sums), jnp.zeros_like(self.counts))


class MSD(AbstractTimeObservable):
    """Mean square displacement over time lags, of unwrapped positions at equal intervals.

    Attributes:
        maximum: largest lag, ps; rounded to whole intervals.
        by_type: one curve per bead type instead of one of all beads.
        interval: between moments, ps; set by `prepare`.
        beads: which beads belong to which curve; set by `prepare`.

    Raises:
        BayescgError: a maximum that is not positive or shorter than an interval.

    References:
        D. Frenkel, B. Smit, Understanding Molecular Simulation, Academic Press (2002), section 4.4.

    Example:
        >>> import bayescg as bcg
        >>> observable = bcg.observables.MSD(maximum=5.0)
        >>> observable.name, observable.units
        ('mean_square_displacement', 'nm^2')
    """

    maximum: float = eqx.field(static=True, default=1.0)
    by_type: bool = eqx.field(static=True, default=False)
    interval: float | None = eqx.field(static=True, default=None)
    beads: tuple[tuple[int, ...], ...] = eqx.field(static=True, default=())
    name: str = eqx.field(static=True, default="mean_square_displacement", init=False)
    units: str = eqx.field(static=True, default="nm^2", init=False)
    quantity: str = eqx.field(static=True, default="position", init=False)

    def __check_init__(self) -> None:
        positive("maximum", self.maximum, unit="ps")

    def prepare(self, topology: Topology, interval: float) -> "MSD":
        """Fix the lags and the beads of every curve."""
        lag_count(self.maximum, interval)
        return MSD(self.maximum, self.by_type, float(interval), members(topology, by_type=self.by_type))

    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """Bead types where they are told apart, and lags in ps."""
        interval = _prepared(self, self.interval)
        lags = interval * np.arange(lag_count(self.maximum, interval))
        axis = {"lag_time": xr.Variable("lag_time", lags, {"units": "ps"})}
        return {"type": list(topology.type_names), **axis} if self.by_type else axis

    def begin(self, beads: int, dims: int) -> Displacement:
        """Nothing seen yet."""
        lags = lag_count(self.maximum, _prepared(self, self.interval))
        nothing = jnp.zeros((len(self.beads), lags), float)
        return Displacement(empty_ring(lags, beads, dims), nothing, nothing)

    def update(self, accumulator: Displacement, snapshot: Snapshot) -> Displacement:
        """Squared displacements since every lag."""
        ring = accumulator.ring.push(snapshot.positions)
        chosen = jnp.asarray(self.beads, float)
        squares = jnp.sum((ring.values - snapshot.positions) ** 2, axis=-1) @ chosen.T
        return Displacement(
            ring,
            accumulator.sums + ring.by_lag(squares).T * ring.known,
            accumulator.counts + jnp.sum(chosen, axis=1)[:, None] * ring.known,
        )

    def totals(self, accumulator: Displacement) -> Totals:
        """Squared displacements and their number."""
        sums, counts = accumulator.sums, accumulator.counts
        return Totals(sums, counts) if self.by_type else Totals(sums[0], counts[0])

    def restart(self, accumulator: Displacement) -> Displacement:
        """Sums at zero; the last positions are kept."""
        return accumulator.restarted()


class Diffusion(AbstractTimeObservable):
    """Diffusion coefficient [M(maximum) - M(minimum)] / 2d (maximum - minimum), of all beads.

    The velocity correlation must have decayed at `minimum`; look at `MSD` or `VACF` where in doubt.

    Attributes:
        minimum: smaller lag, ps; rounded to whole intervals.
        maximum: larger lag, ps.
        interval: between moments, ps; set by `prepare`.

    Raises:
        BayescgError: lags that are not positive, not in order, or closer than an interval.

    References:
        D. Frenkel, B. Smit, Understanding Molecular Simulation, Academic Press (2002), section 4.4.

    Example:
        >>> import bayescg as bcg
        >>> bcg.observables.Diffusion(minimum=2.0, maximum=5.0).units
        'nm^2/ps'
    """

    minimum: float = eqx.field(static=True, default=1.0)
    maximum: float = eqx.field(static=True, default=2.0)
    interval: float | None = eqx.field(static=True, default=None)
    name: str = eqx.field(static=True, default="diffusion_coefficient", init=False)
    units: str = eqx.field(static=True, default="nm^2/ps", init=False)
    quantity: str = eqx.field(static=True, default="position", init=False)

    def __check_init__(self) -> None:
        positive("minimum", self.minimum, unit="ps")
        require(
            self.minimum < self.maximum,
            f"minimum must be below maximum, got {self.minimum} and {self.maximum} ps. Exchange them.",
        )

    def prepare(self, topology: Topology, interval: float) -> "Diffusion":
        """Fix the two lags."""
        first, last = lag_count(self.minimum, interval), lag_count(self.maximum, interval)
        require(
            first < last,
            f"minimum and maximum must be at least one interval of {interval:.6g} ps apart, got "
            f"{self.minimum} and {self.maximum} ps. Measure more often, or raise maximum.",
        )
        return Diffusion(self.minimum, self.maximum, float(interval))

    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """One number."""
        return {}

    def begin(self, beads: int, dims: int) -> Displacement:
        """Nothing seen yet."""
        lags = lag_count(self.maximum, _prepared(self, self.interval))
        nothing = jnp.zeros((1, 1), float)
        return Displacement(empty_ring(lags, beads, dims), nothing, nothing)

    def update(self, accumulator: Displacement, snapshot: Snapshot) -> Displacement:
        """Difference of the squared displacements at the two lags, once both are known."""
        interval, x = _prepared(self, self.interval), snapshot.positions
        near, far = lag_count(self.minimum, interval) - 1, lag_count(self.maximum, interval) - 1
        ring = accumulator.ring.push(x)
        size = ring.values.shape[0]
        squares = [jnp.sum((x - ring.values[(ring.newest - lag) % size]) ** 2) for lag in (near, far)]
        weight = 2 * x.size * (far - near) * interval
        return Displacement(
            ring,
            accumulator.sums + (squares[1] - squares[0]) * ring.known[far],
            accumulator.counts + weight * ring.known[far],
        )

    def totals(self, accumulator: Displacement) -> Totals:
        """Differences of squares, and 2 (t2 - t1) for every component of every bead."""
        return Totals(accumulator.sums[0, 0], accumulator.counts[0, 0])

    def restart(self, accumulator: Displacement) -> Displacement:
        """Sums at zero; the last positions are kept."""
        return accumulator.restarted()


def _prepared(observable: AbstractTimeObservable, interval: float | None) -> float:
    if interval is None:
        raise BayescgError(
            f"{type(observable).__name__} has no interval yet. Call prepare with topology and interval, ps."
        )
    return interval
