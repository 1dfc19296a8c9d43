"""The records of one draw: frames taken in piece after piece, block means kept."""

from typing import Any, NamedTuple

import jax
import numpy as np

from bayescg._typing import Float, NumpyArray
from bayescg.dynamics.langevin import hottest
from bayescg.interfaces import AbstractPotential, Totals
from bayescg.likelihoods.reading import listed_pairs
from bayescg.numerics.pair_histogram import count_pairs
from bayescg.numerics.pairs import neighbor_matrix
from bayescg.observables import RDF
from bayescg.predict.external import Frames, Plan
from bayescg.predict.measured_frames import Meter

FRAMES_AT_ONCE = 64
"""Frames measured by one call of the compiled program."""

NUMBERS_AT_ONCE = 1 << 21
"""Coordinates and velocities held in memory together, at most: 16 MB."""

ROOM = 1.3
"""Places for neighbours of one bead, over those of the bead that had most."""


class Records(NamedTuple):
    """Finished records of one draw.

    Attributes:
        temperature: K.
        volume: nm^3, or whatever the box has; NaN in an open system.
        means: one array per observable of single moments.
        totals: one pair of sums per observable over time.
    """

    temperature: Float[NumpyArray, " record"]
    volume: Float[NumpyArray, " record"]
    means: tuple[NumpyArray, ...]
    totals: tuple[Totals, ...]


def pieces(plan: Plan, beads: int, dims: int, *, joined: bool = False) -> list[range]:
    """Steps of the frames that are measured together: of a part of one record, or of whole records.

    Args:
        plan: of the run.
        beads: their number.
        dims: of positions.
        joined: whether short records may be measured together, which saves calls; nothing may be followed
            over time then. All pieces are of one length, because every length is compiled.

    Example:
        >>> from bayescg.interfaces import Topology
        >>> nobody = np.zeros((0, 2), int)
        >>> one = Topology(np.zeros(1, int), np.ones(1), np.zeros(1, int), nobody, ("A",))
        >>> pieces(Plan(one, None, 300.0, 0.005, 10, 3, 0, 2, 1.0), 1, 3)
        [range(10, 40, 10), range(40, 70, 10)]
        >>> pieces(Plan(one, None, 300.0, 0.005, 10, 3, 0, 2, 1.0), 1, 3, joined=True)
        [range(10, 70, 10)]
    """
    longest = max(1, min(FRAMES_AT_ONCE, NUMBERS_AT_ONCE // (2 * beads * dims)))
    steps, found, length = plan.measured_steps, [], plan.measurements
    if joined:
        fitting = range(1, min(plan.records, longest // length) + 1)
        length *= max((many for many in fitting if plan.records % many == 0), default=1)
    for first in range(0, len(steps), length):
        record = steps[first : first + length]
        found += [record[start : start + longest] for start in range(0, len(record), longest)]
    return found


class Recorder:
    """Takes in the frames of one draw, piece after piece, and keeps block means.

    Attributes:
        frames: taken in so far.
        exploded: step after the warm-up of the first frame with an absurd temperature or a position that is
            not finite; -1 for none.
    """

    def __init__(self, meter: Meter, plan: Plan, potential: AbstractPotential, beads: int, dims: int) -> None:
        self.frames, self.exploded = 0, -1
        self.plan, self._meter, self._potential = plan, meter, potential
        self._accumulators = tuple(observable.begin(beads, dims) for observable in meter.series)
        self._bound = hottest(plan.temperature, beads * dims)
        self._sums: list[Any] = []
        self._records: list[tuple[Any, ...]] = []
        self._capacity = 0

    def add(self, frames: Frames) -> None:
        """Measure a piece.

        Args:
            frames: that follow those before; of one record, or of whole records.
        """
        sound = np.isfinite(frames.positions).all(axis=(1, 2))
        if not sound.all():
            before = int(np.argmin(sound))
            self.exploded = self._step(before)
            whole = before // self.plan.measurements * self.plan.measurements
            if whole == 0:
                return
            box = None if frames.box is None else frames.box[:whole]
            frames = Frames(frames.positions[:whole], frames.velocities[:whole], box)
        found = self._meter.measure(self._accumulators, self._arrays(frames), self._potential)
        self._accumulators, values, temperatures = found
        hot = np.flatnonzero(~(temperatures <= self._bound))  # NaN counts as hot
        sizes = np.full(len(temperatures), np.nan) if frames.box is None else frames.box.prod(axis=1)
        length = min(self.plan.measurements, len(temperatures))
        for first in range(0, len(temperatures), length):
            rows = slice(first, first + length)
            self._sums.append([column[rows].sum(axis=0) for column in (temperatures, sizes, *values)])
            if hot.size and hot[0] < first + length:
                self.exploded = self._step(int(hot[0]) - first)
                return
            self.frames += length
            if self.frames % self.plan.measurements == 0:
                self._close()

    def records(self) -> Records:
        """All records that are complete; NaN for those that are not."""
        names = len(self._meter.moments)
        temperature, volume = np.full((2, self.plan.records), np.nan)
        each = zip(self._meter.series, self._accumulators, strict=True)
        shapes = [jax.eval_shape(o.totals, a).sum.shape for o, a in each]
        means = [np.full((self.plan.records, *shape), np.nan) for shape in self._shapes()]
        totals: list[Any] = [
            Totals(*np.full((2, self.plan.records, *shape), np.nan))  # type: ignore[arg-type]
            for shape in shapes
        ]
        for index, (kelvin, size, *values) in enumerate(self._records):
            temperature[index], volume[index] = kelvin, size
            for mean, value in zip(means, values[:names], strict=True):
                mean[index] = value
            for total, value in zip(totals, values[names:], strict=True):
                total.sum[index], total.weight[index] = value.sum, value.weight
        return Records(temperature, volume, tuple(means), tuple(totals))

    def _step(self, frame: int) -> int:
        """Of a frame, counted from those taken in."""
        return (self.frames + frame + 1) * self.plan.measure_every

    def _close(self) -> None:
        """End a record."""
        sums = [sum(parts) / self.plan.measurements for parts in zip(*self._sums, strict=True)]
        totals, self._accumulators = self._meter.close(self._accumulators)
        self._records.append((*sums, *totals))
        self._sums = []

    def _shapes(self) -> list[tuple[int, ...]]:
        topology = self._meter.topology
        return [tuple(len(axis) for axis in o.coordinates(topology).values()) for o in self._meter.moments]

    def _arrays(self, frames: Frames) -> tuple[Any, ...]:
        """Wrapped and unwrapped positions, velocities, boxes, neighbours and counts of pairs."""
        x, box = frames.positions, frames.box
        wrapped = x if box is None else x - box[:, None] * np.floor(x / box[:, None])
        precision = np.float64 if box is None else np.float32
        near = self._neighbors(wrapped, box) if self._meter.needs_energy else None
        inside = wrapped.astype(precision)
        counts = tuple(self._counts(observable, inside, box) for observable in self._meter.moments)
        return inside, x, frames.velocities, box, near, counts

    def _counts(self, observable: object, positions: NumpyArray, box: NumpyArray | None) -> NumpyArray | None:
        """Pairs in every bin of a radial distribution function, (frame, kind, bin); None for others."""
        if not isinstance(observable, RDF) or box is None or observable.maximum is None:
            return None
        host = self._meter.host
        return np.stack(
            [
                count_pairs(
                    x,
                    edges,
                    kinds=host.kinds,
                    types=host.types,
                    bins=observable.bins,
                    reach=observable.maximum,
                    molecules=host.molecules if observable.intermolecular else None,
                )
                for x, edges in zip(positions, box, strict=True)
            ]
        )

    def _neighbors(self, positions: NumpyArray, box: NumpyArray | None) -> NumpyArray:
        """Rows for the potential, (frame, bead, neighbor)."""
        beads, cutoff = positions.shape[1], self._potential.cutoff
        edges = [None] * len(positions) if box is None else box
        pairs = [
            listed_pairs(x, edge, cutoff, self._meter.topology)
            for x, edge in zip(positions, edges, strict=True)
        ]
        widest = max(
            int(np.bincount(np.concatenate([p.first, p.second]), minlength=beads).max()) for p in pairs
        )
        if widest > self._capacity:
            self._capacity = min(int(ROOM * widest) + 1, beads)
        return np.stack([neighbor_matrix(p, beads, self._capacity) for p in pairs])
