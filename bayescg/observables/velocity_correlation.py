"""The velocity autocorrelation function.

    C(t) = <v(s) . v(s + t)>,        C(0) = d kT/m  in d dimensions,

averaged over beads and over all times s. Its integral over d is the diffusion coefficient.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, positive
from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractTimeObservable, Snapshot, Topology, Totals
from bayescg.observables.lags import Ring, empty_ring, lag_count, members


class Correlation(NamedTuple):
    """What is added up.

    Attributes:
        ring: the last moments.
        sums: of the products, per curve and lag.
        counts: of the products.
    """

    ring: Ring
    sums: Float[Array, "type lag"]
    counts: Float[Array, "type lag"]


class VACF(AbstractTimeObservable):
    """Velocity autocorrelation over time lags, from velocities at equal intervals.

    Attributes:
        maximum: largest lag, ps; rounded to whole intervals.
        normalized: whether to divide by the value at lag zero.
        by_type: one curve per bead type instead of one of all beads.
        interval: between moments, ps; set by `prepare`.
        beads: which beads belong to which curve; set by `prepare`.

    Raises:
        BayescgError: a maximum that is not positive or shorter than an interval.

    References:
        D. Chandler, Introduction to Modern Statistical Mechanics, Oxford (1987), chapter 8.

    Example:
        >>> import bayescg as bcg
        >>> observable = bcg.observables.VACF(maximum=0.5)
        >>> observable.name, observable.units
        ('velocity_correlation', 'nm^2/ps^2')
    """

    maximum: float = eqx.field(static=True)
    normalized: bool = eqx.field(static=True)
    by_type: bool = eqx.field(static=True)
    interval: float | None = eqx.field(static=True)
    beads: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    name: str = eqx.field(static=True)
    units: str = eqx.field(static=True)
    quantity: str = eqx.field(static=True)

    def __init__(
        self,
        maximum: float = 1.0,
        normalized: bool = False,
        by_type: bool = False,
        interval: float | None = None,
        beads: tuple[tuple[int, ...], ...] = (),
    ) -> None:
        self.maximum = positive("maximum", maximum, unit="ps")
        self.normalized, self.by_type = normalized, by_type
        self.interval, self.beads = interval, beads
        self.name, self.quantity = "velocity_correlation", "velocity"
        self.units = "1" if normalized else "nm^2/ps^2"

    def prepare(self, topology: Topology, interval: float) -> "VACF":
        """Fix the lags and the beads of every curve."""
        lag_count(self.maximum, interval)
        chosen = members(topology, by_type=self.by_type)
        return VACF(self.maximum, self.normalized, self.by_type, float(interval), chosen)

    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """Bead types where they are told apart, and lags in ps."""
        lags = self._interval() * np.arange(self._lags())
        axis = {"lag_time": xr.Variable("lag_time", lags, {"units": "ps"})}
        return {"type": list(topology.type_names), **axis} if self.by_type else axis

    def begin(self, beads: int, dims: int) -> Correlation:
        """Nothing seen yet."""
        nothing = jnp.zeros((len(self.beads), self._lags()), float)
        return Correlation(empty_ring(self._lags(), beads, dims), nothing, nothing)

    def update(self, accumulator: Correlation, snapshot: Snapshot) -> Correlation:
        """Products of the velocities now with those at every lag."""
        v = snapshot.velocities.astype(float)
        ring = accumulator.ring.push(v)
        chosen = jnp.asarray(self.beads, float)
        products = jnp.einsum("lbd,bd,kb->lk", ring.values, v, chosen)
        counts = jnp.sum(chosen, axis=1)[:, None] * ring.known
        return Correlation(
            ring,
            accumulator.sums + ring.by_lag(products).T * ring.known,
            accumulator.counts + counts,
        )

    def totals(self, accumulator: Correlation) -> Totals:
        """Products and their number; where normalised, the number times the value at lag zero."""
        sums, counts = accumulator.sums, accumulator.counts
        if self.normalized:
            counts = counts * sums[:, :1] / jnp.maximum(counts[:, :1], 1.0)
        return Totals(sums, counts) if self.by_type else Totals(sums[0], counts[0])

    def restart(self, accumulator: Correlation) -> Correlation:
        """Sums at zero; the last velocities are kept."""
        return Correlation(
            accumulator.ring, jnp.zeros_like(accumulator.sums), jnp.zeros_like(accumulator.counts)
        )

    def _interval(self) -> float:
        if self.interval is None:
            raise BayescgError(
                f"{type(self).__name__} has no interval yet. Call prepare with topology and interval, in ps."
            )
        return self.interval

    def _lags(self) -> int:
        return lag_count(self.maximum, self._interval())
