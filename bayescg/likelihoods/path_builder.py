"""Groups of series as they are collected: lagged sums block after block, and the ends of every piece.

A series without a gap is a segment, cut into pieces so that a group has at least `FEWEST_BLOCKS` blocks for
scores and held-out densities.
"""

import itertools
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float, NumpyArray
from bayescg.numerics.correlation import CorrelationSums
from bayescg.numerics.innovations import Ends, LagSums, Pieces
from bayescg.numerics.lags import LagGrid

FEWEST_BLOCKS, MOST_BLOCKS = 8, 64
"""Blocks of a group, where it has the frames."""

FEWEST_ROWS = 32
"""Of a piece: shorter segments are not cut."""

LONGEST_LAG = 2**16
"""Lags kept, in frames: where memory is longer than that, the frames can be thinned."""

LAGGED_NUMBERS = 2**23
"""Lags times squared number of series, at most, while sums are taken: 128 MiB of spectra."""

FEW_SERIES, DENSE_FEW, DENSE_MANY = 8, 256, 128
"""Lags that stand alone, with few series and with many: what oscillates must die out within some of them."""

MANY_ENDS, COARSE = 64, (32, 12)
"""Pieces above which their ends are gathered on a coarser grid: each counts for less, and all cost time."""


class Group(eqx.Module):
    """Series of one filter.

    Attributes:
        sums: lagged sums of every block.
        total: their sum.
        pieces: ends of all pieces.
        mass: amu; None where it is a parameter of the likelihood.
        grid: of lags.
        temperature: K.
        interval: ps.
        origin: subtracted from positions, in their unit.
        reference: stiffness of a spring that kicks take back; None for none.
    """

    sums: LagSums
    total: LagSums
    pieces: Pieces
    mass: Float[Array, ""] | None
    grid: LagGrid
    temperature: float = eqx.field(static=True)
    interval: float = eqx.field(static=True)
    origin: Float[Array, ""]
    reference: Float[Array, ""] | None


class Plan(NamedTuple):
    """What the series of a group are made of.

    Attributes:
        observed: "positions" or "velocities".
        positions: whether the position itself and one are series: beside the displacements where there
            is a spring, and behind the features of velocities.
        features: number of linear coefficients.
        origin: subtracted from positions.
        reference: stiffness of a spring that kicks take back; None for none.
    """

    observed: str
    positions: bool
    features: int
    origin: float
    reference: float | None

    @property
    def known(self) -> int:
        """Number of series that are no features."""
        return 2 if self.observed == "velocities" else 1 + 2 * self.positions

    @property
    def series(self) -> int:
        """Number of series."""
        springs = 2 * (self.positions and self.observed == "velocities")
        return self.known + self.features + springs


class Key(NamedTuple):
    """What the series of a group share."""

    temperature: float
    interval: float
    mass: float | None


class GroupBuilder:
    """Collects the segments of one group, block after block."""

    def __init__(self, key: Key, plan: Plan, lengths: NumpyArray) -> None:
        self._key, self._plan = key, plan
        segments = lengths.size
        wanted = -(-FEWEST_BLOCKS // segments)
        self._count = max(min(wanted, int(lengths.min()) // FEWEST_ROWS), 1)
        self._cuts = np.stack([np.linspace(0, n, self._count + 1).astype(int) for n in lengths])
        pieces = segments * self._count
        self._block = (np.arange(pieces) * min(pieces, MOST_BLOCKS) // pieces).reshape(segments, -1)
        self._longest = int(np.diff(self._cuts, axis=1).max())
        few = plan.series <= FEW_SERIES
        most = min(LONGEST_LAG, LAGGED_NUMBERS // plan.series**2, self._longest)
        self._grid = LagGrid(length=most, dense=DENSE_FEW if few else DENSE_MANY)
        many = segments * self._count > MANY_ENDS
        self._end_grid = LagGrid(most, *(COARSE if many else (self._grid.dense, self._grid.nodes_per_panel)))
        self._open, self._open_block, self._rows = self._new(), 0, 0
        self._sums: list[LagSums] = []
        self._heads: list[NumpyArray] = []
        self._tails: list[NumpyArray] = []
        self._starts: list[NumpyArray] = []
        self._added = 0

    def add(self, rows: NumpyArray, start: NumpyArray) -> None:
        """Add segments of one length."""
        segments = np.arange(self._added, self._added + len(rows))
        self._starts.append(start)
        # one series after the other where each is cut; else all of a block together
        batches = (
            np.split(segments, len(segments))
            if self._count > 1
            else np.split(segments, np.flatnonzero(np.diff(self._block[segments, 0])) + 1)
        )
        for batch in batches:
            part = rows[batch - self._added]
            cuts = self._cuts[batch[0]]
            pieces = [part[:, a:b] for a, b in itertools.pairwise(cuts)]
            for index, piece in enumerate(pieces):
                self._accumulate(piece, int(self._block[batch[0], index]))
            self._heads.append(np.stack([self._ends(piece) for piece in pieces], axis=2))
            self._tails.append(np.stack([self._ends(piece[:, ::-1]) for piece in pieces], axis=2))
        self._added += len(rows)

    def result(self) -> Group:
        """The group."""
        self._close()
        columns = [np.stack(column) for column in zip(*self._sums, strict=True)]
        sums = LagSums(*(jnp.asarray(column) for column in columns))
        total = LagSums(*(jnp.asarray(column.sum(axis=0)) for column in columns))
        lengths, offsets = np.diff(self._cuts, axis=1), self._cuts[:, :-1]
        exponents, places = np.unique(
            np.concatenate([lengths, offsets, self._cuts[:, -1:]], axis=1), return_inverse=True
        )
        places = places.reshape(len(lengths), -1)
        count = self._count
        pieces = Pieces(
            self._split(np.concatenate(self._heads, axis=1)),
            self._split(np.concatenate(self._tails, axis=1)),
            self._split(np.concatenate(self._starts)[None, :, None]),
            jnp.asarray(places[:, :count]),
            jnp.asarray(places[:, count : 2 * count]),
            jnp.asarray(places[:, -1]),
            jnp.asarray(self._block),
            tuple(int(n) for n in exponents),
            self._longest,
            self._end_grid,
            alike=bool((self._cuts == self._cuts[0]).all()),
        )
        mass = None if self._key.mass is None else jnp.asarray(self._key.mass)
        return Group(
            sums,
            total,
            pieces,
            mass,
            self._grid,
            self._key.temperature,
            self._key.interval,
            jnp.asarray(self._plan.origin),
            None if self._plan.reference is None else jnp.asarray(self._plan.reference),
        )

    def _new(self) -> CorrelationSums:
        return CorrelationSums(series=self._plan.series, lags=self._grid.length, longest=self._longest)

    def _accumulate(self, piece: NumpyArray, block: int) -> None:
        if block != self._open_block:
            self._close()
            self._open, self._open_block, self._rows = self._new(), block, 0
        self._open.add(piece)
        self._rows += piece.shape[0] * piece.shape[1]

    def _close(self) -> None:
        lagged = self._open.result()
        self._sums.append(LagSums(lagged[0], self._grid.gather(lagged[1:]), float(self._rows)))  # type: ignore[arg-type]

    def _ends(self, piece: NumpyArray) -> NumpyArray:
        """(node, segment, series) of the first rows."""
        return self._end_grid.gather(np.moveaxis(piece[:, : self._end_grid.length], 1, 0))

    def _split(self, ends: NumpyArray) -> Ends:
        known = self._plan.known
        return Ends(jnp.asarray(ends[..., :known]), jnp.asarray(ends[..., known:]))
