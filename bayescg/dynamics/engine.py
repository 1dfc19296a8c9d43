"""All draws, record after record: on threads or vmapped, and again where a neighbour list failed.

On a CPU every draw is a program of its own and the draws share a pool of threads, one per core: a
draw's lists and coordinates stay in its core's cache, and it rebuilds its neighbours when it must.
On an accelerator the draws are one vmapped program.

Records that used a stale or an overfull neighbour list are run again from the state before them, with
earlier rebuilds or a wider list. What decides that (capacity, reach) is part of the state, so that a
resumed simulation takes the same steps bit for bit.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, NumpyArray
from bayescg.dynamics.langevin import Record, advance
from bayescg.dynamics.neighbors import find_neighbors, roomy_capacity
from bayescg.dynamics.pair_forces import ForceField
from bayescg.dynamics.walker import System, Thermostat, Walker, begin
from bayescg.interfaces import AbstractObservable

REACH = 0.8
"""A list is rebuilt once a bead has moved by this part of half the skin; the rest is for the next step."""

SHRINK = 0.5
"""Factor on the reach of a draw that outran its list; below a twentieth it is zero: rebuilt every step."""


class Ensemble(NamedTuple):
    """State of all draws between records: the carry of the host loop.

    Attributes:
        walkers: every array with a leading draw axis.
        record: records done.
        capacity: width of the neighbour matrices.
        reach: per draw, see `REACH`.
        stale: per draw, records run again because a bead outran the list.
        overflows: per draw, records run again because the list was too narrow.
    """

    walkers: Walker
    record: NumpyArray
    capacity: NumpyArray
    reach: NumpyArray
    stale: NumpyArray
    overflows: NumpyArray


class Engine:
    """Runs records of all draws; the state is in `Ensemble`, here is only what never changes."""

    def __init__(
        self,
        fields: ForceField,
        system: System,
        thermostat: Thermostat,
        observables: Sequence[AbstractObservable],
        warmup: int,
    ) -> None:
        self.fields, self.system, self.thermostat = fields, system, thermostat
        self.observables, self.warmup = observables, warmup
        self.draws = jax.tree.leaves(fields)[0].shape[0]
        self.pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
        self.batched = jax.default_backend() != "cpu"
        self._programs: dict[int, Any] = {}

    def begin(self, positions: Array, key: Array, capacity: int | None) -> Ensemble:
        """All draws at their start, with a neighbour matrix that is wide enough."""
        keys = jax.random.split(key, self.draws)
        width = self._room(positions) if capacity is None else capacity
        while True:
            program = jax.jit(jax.vmap(lambda x, k, f, width=width: self._begin_one(x, k, f, width)))
            walkers, widest = program(positions, keys, self.fields)
            if int(widest.max()) <= width:
                break
            width = roomy_capacity(int(widest.max()), positions.shape[1])
        return Ensemble(
            walkers=walkers,
            record=np.zeros((), np.int64),
            capacity=np.full((), width, np.int64),
            reach=np.full(self.draws, REACH),
            stale=np.zeros(self.draws, np.int64),
            overflows=np.zeros(self.draws, np.int64),
        )

    def step(self, ensemble: Ensemble, length: int) -> tuple[Ensemble, dict[str, NumpyArray]]:
        """`length` records of all draws, for the host loop."""
        rows: list[dict[str, NumpyArray]] = []
        for _ in range(length):
            ensemble, row = self._record(ensemble)
            rows.append(row)
        return ensemble, {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _record(self, ensemble: Ensemble) -> tuple[Ensemble, dict[str, NumpyArray]]:
        """One record of all draws; draws whose neighbour list failed run again until it holds."""
        capacity = int(ensemble.capacity)
        reach, stale, overflows = (np.array(a) for a in (ensemble.reach, ensemble.stale, ensemble.overflows))
        results: dict[int, tuple[Walker, Record]] = {}
        while pending := [draw for draw in range(self.draws) if draw not in results]:
            fresh = self._run(ensemble, pending, capacity, reach)
            widest = max(int(record.widest) for _, record in fresh.values())
            for draw, (walker, record) in fresh.items():
                if int(record.widest) > capacity:
                    overflows[draw] += 1
                elif bool(record.stale):
                    stale[draw] += 1
                    reach[draw] = _shrunk(reach[draw])
                else:
                    results[draw] = walker, record
            if widest > capacity:
                capacity = roomy_capacity(widest, ensemble.walkers.position.shape[1])
        walkers, records = stack([results[draw] for draw in range(self.draws)])
        row = {"temperature": np.asarray(records.temperature)}
        row |= {f"mean_{index}": np.asarray(mean) for index, mean in enumerate(records.means)}
        row["exploded"] = np.asarray(walkers.exploded)
        counted = np.asarray(ensemble.record) + 1
        return Ensemble(walkers, counted, np.full((), capacity, np.int64), reach, stale, overflows), row

    def _run(
        self, ensemble: Ensemble, draws: list[int], capacity: int, reach: NumpyArray
    ) -> dict[int, tuple[Walker, Record]]:
        program = self._program(capacity)
        measure = np.asarray(int(ensemble.record) >= self.warmup)
        inputs = ensemble.walkers, self.fields, reach
        if self.batched:
            outcome = program(*inputs, measure)
            return {draw: _pick(outcome, draw) for draw in draws}

        def run_one(draw: int) -> tuple[Walker, Record]:
            return jax.block_until_ready(program(*_pick(inputs, draw), measure))

        return dict(zip(draws, self.pool.map(run_one, draws), strict=True))

    def _program(self, capacity: int) -> Any:
        """Compiled once per capacity."""
        if capacity not in self._programs:

            def one(walker: Walker, field: ForceField, reach: Array, measure: Array) -> tuple[Walker, Record]:
                return advance(
                    walker,
                    field,
                    system=self.system,
                    thermostat=self.thermostat,
                    observables=self.observables,
                    capacity=capacity,
                    reach=jnp.asarray(reach, walker.position.dtype),
                    measure=measure,
                )

            self._programs[capacity] = jax.jit(
                jax.vmap(one, in_axes=(0, 0, 0, None)) if self.batched else one
            )
        return self._programs[capacity]

    def _room(self, positions: Array) -> int:
        """Capacity from the first draw's start."""
        count = jax.jit(
            lambda x: (
                find_neighbors(
                    x,
                    box=self.system.box,
                    topology=self.system.topology,
                    reach=self.fields.cutoff + self.thermostat.skin,
                    capacity=1,
                ).widest
            )
        )
        return roomy_capacity(int(count(positions[0])), positions.shape[1])

    def _begin_one(self, positions: Array, key: Array, field: ForceField, capacity: int) -> Any:
        return begin(positions, key, field, system=self.system, thermostat=self.thermostat, capacity=capacity)


def _shrunk(reach: float) -> float:
    smaller = reach * SHRINK
    return smaller if smaller > 0.05 else 0.0


def stack(trees: Sequence[Any]) -> Any:
    """One tree of arrays from many, with a new leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _pick(tree: Any, draw: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[draw], tree)
