"""The mean first-passage time between two values of a collective variable.

A clock starts when the variable reaches `start` and stops when it reaches `end`, from where it must
come back to `start` before the next passage begins. With E the time that clocks ran, passages
that are still under way included, and n the number of passages completed,

    tau = E / n,

the maximum likelihood estimate where passages are rare events, and free from the bias of
leaving out the long ones that a finite trajectory cuts off.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from bayescg._checks import BayescgError, require
from bayescg._typing import Array, Bool, Float
from bayescg.interfaces import AbstractTimeObservable, Snapshot, Topology, Totals


class Passage(NamedTuple):
    """Clocks and what they measured.

    Attributes:
        running: whether `start` was reached and `end` not yet.
        exposure: ps that clocks ran.
        passages: completed.
    """

    running: Bool[Array, "bead dim"]
    exposure: Float[Array, ""]
    passages: Float[Array, ""]


class FirstPassage(AbstractTimeObservable):
    """Mean first-passage time from `start` to `end`, ps; its weight is the number of passages.

    A passage is seen at the first moment beyond the end, so the interval between moments must be short
    against the time it takes to cross. Every component of every bead is a variable of its own.

    Attributes:
        start: value from which the clock runs, in the variable's unit.
        end: value at which it stops.
        interval: between moments, ps; set by `prepare`.

    Raises:
        BayescgError: start and end are equal.

    References:
        P. Hänggi, P. Talkner, M. Borkovec, Rev. Mod. Phys. 62, 251 (1990), doi:10.1103/RevModPhys.62.251.

    Example:
        >>> import bayescg as bcg
        >>> bcg.observables.FirstPassage(start=-1.0, end=1.0).name
        'first_passage_time'
    """

    start: float = eqx.field(static=True)
    end: float = eqx.field(static=True)
    interval: float | None = eqx.field(static=True, default=None)
    name: str = eqx.field(static=True, default="first_passage_time", init=False)
    units: str = eqx.field(static=True, default="ps", init=False)
    quantity: str = eqx.field(static=True, default="position", init=False)

    def __check_init__(self) -> None:
        require(self.start != self.end, f"start and end must differ, got {self.start} twice.")

    def prepare(self, topology: Topology, interval: float) -> "FirstPassage":
        """Fix the interval."""
        return FirstPassage(self.start, self.end, float(interval))

    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """One number."""
        return {}

    def begin(self, beads: int, dims: int) -> Passage:
        """No clock runs."""
        return Passage(jnp.zeros((beads, dims), bool), jnp.zeros((), float), jnp.zeros((), float))

    def update(self, accumulator: Passage, snapshot: Snapshot) -> Passage:
        """Clocks that ran since the moment before, those that arrive now, and those that start."""
        if self.interval is None:
            raise BayescgError(
                "FirstPassage has no interval yet. Call prepare with topology and interval, in ps."
            )
        gone = (snapshot.positions - self.start) / (self.end - self.start)
        running = accumulator.running
        arrived = running & (gone >= 1)
        return Passage(
            (running & ~arrived) | (gone <= 0),
            accumulator.exposure + self.interval * jnp.sum(running),
            accumulator.passages + jnp.sum(arrived),
        )

    def totals(self, accumulator: Passage) -> Totals:
        """Time on the clocks, and passages."""
        return Totals(accumulator.exposure, accumulator.passages)

    def restart(self, accumulator: Passage) -> Passage:
        """Sums at zero; clocks go on."""
        return Passage(accumulator.running, jnp.zeros((), float), jnp.zeros((), float))
