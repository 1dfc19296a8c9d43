"""All draws, record after record: on threads or vmapped, and again where a neighbour list failed.

On a CPU every draw is a program of its own and the draws share a pool of threads, one per core: a
draw's lists and coordinates stay in its core's cache, and it rebuilds its neighbours when it must.
On an accelerator the draws are one vmapped program.

Records that used a stale or an overfull neighbour list are run again from the state before them, with
earlier rebuilds or a wider list. What decides that (capacity, reach) is part of the state, so that a
resumed simulation takes the same steps bit for bit.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import require
from bayescg._typing import Array, NumpyArray
from bayescg.dynamics.integrators import begin
from bayescg.dynamics.langevin import Record, advance
from bayescg.dynamics.neighbors import find_neighbors, roomy_capacity
from bayescg.dynamics.recorder import TrajectoryRecorder
from bayescg.dynamics.walker import Motion, Observables, System, Thermostat, Walker
from bayescg.numerics.cores import cores

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
        motions: Motion,
        system: System,
        thermostat: Thermostat,
        observables: Observables,
        *,
        draws: int,
        warmup: int,
        recorder: TrajectoryRecorder | None = None,
    ) -> None:
        self.motions, self.system, self.thermostat = motions, system, thermostat
        self.observables, self.warmup = observables, warmup
        self.draws, self.recorder = draws, recorder
        self.pool = ThreadPoolExecutor(cores())
        self.batched = jax.default_backend() != "cpu"
        self._compiled: set[int] = set()

    def begin(self, positions: Array, key: Array, capacity: int | None) -> Ensemble:
        """All draws at their start, with a neighbour matrix that is wide enough."""
        keys = jax.random.split(key, self.draws)
        width = self._room(positions) if capacity is None else capacity
        settings = self.motions, self.system, self.thermostat, self.observables
        while True:
            walkers, widest = cast(Any, _begin_all)(positions, keys, *settings, width)
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
            require(
                not any(bool(record.crowded) for _, record in fresh.values()),
                "beads must not gather far beyond the density of the start where the memory is pairwise, got "
                "more pairs at a bead than there is room for. Start from a frame of the data, or look at the "
                "potential: does it let the beads collapse?",
            )
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
        ordered = [results[draw] for draw in range(self.draws)]
        self._hand_out(int(ensemble.record), [record for _, record in ordered])
        walkers, records = _stacked([(walker, record._replace(recorded=None)) for walker, record in ordered])
        row = {"temperature": np.asarray(records.temperature)}
        row |= {f"mean_{index}": np.asarray(mean) for index, mean in enumerate(records.means)}
        for index, totals in enumerate(records.totals):
            row |= {f"sum_{index}": np.asarray(totals.sum), f"weight_{index}": np.asarray(totals.weight)}
        row |= {
            name: np.asarray(values)
            for name, values in (("volume", records.volume), ("energy", records.energy))
            if values is not None
        }
        row["exploded"] = np.asarray(walkers.exploded)
        counted = np.asarray(ensemble.record) + 1
        return Ensemble(walkers, counted, np.full((), capacity, np.int64), reach, stale, overflows), row

    def _hand_out(self, record: int, outcomes: list[Record]) -> None:
        """The measured moments of a record, to the trajectory."""
        if self.recorder is None or record < self.warmup:
            return
        moments = {}
        for draw, outcome in enumerate(outcomes):
            assert outcome.recorded is not None  # there where there is a recorder
            # a draw that explodes in this record has whole moments before, and none after
            whole = int(np.sum(outcome.recorded.whole))
            moments[draw] = {k: np.asarray(v)[:whole] for k, v in outcome.recorded.arrays.items()}
        self.recorder.take((record - self.warmup) * self.thermostat.measurements, moments)

    def _run(
        self, ensemble: Ensemble, draws: list[int], capacity: int, reach: NumpyArray
    ) -> dict[int, tuple[Walker, Record]]:
        measure = jnp.asarray(int(ensemble.record) >= self.warmup)
        inputs = ensemble.walkers, self.motions, jnp.asarray(reach, ensemble.walkers.position.dtype)
        settings = measure, self.system, self.thermostat, self.observables, capacity
        if self.batched:
            outcome = cast(Any, _record_all)(*inputs, *settings)
            return {draw: _pick(outcome, draw) for draw in draws}

        def run_one(draw: int) -> tuple[Walker, Record]:
            return jax.block_until_ready(cast(Any, _record_one)(*_pick(inputs, draw), *settings))

        # the first draw compiles alone; threads would each compile the same program
        alone = 0 if capacity in self._compiled else 1
        outcomes = [*map(run_one, draws[:alone]), *self.pool.map(run_one, draws[alone:])]
        self._compiled.add(capacity)
        return dict(zip(draws, outcomes, strict=True))

    def _room(self, positions: Array) -> int:
        """Capacity from the first draw's start."""
        reach = self.motions.field.cutoff + self.thermostat.skin
        return roomy_capacity(int(widest_of(positions[0], self.system, reach)), positions.shape[1])


def _one(
    walker: Walker,
    motion: Motion,
    reach: Array,
    measure: Array,
    system: System,
    thermostat: Thermostat,
    observables: Observables,
    capacity: int,
) -> tuple[Walker, Record]:
    """`advance` with positional arguments, for the transformations below."""
    return advance(
        walker,
        motion,
        system=system,
        thermostat=thermostat,
        observables=observables,
        capacity=capacity,
        reach=reach,
        measure=measure,
    )


def _begin(
    positions: Array,
    key: Array,
    motion: Motion,
    system: System,
    thermostat: Thermostat,
    observables: Observables,
    capacity: int,
) -> tuple[Walker, Array]:
    return begin(
        positions,
        key,
        motion,
        system=system,
        thermostat=thermostat,
        observables=observables,
        capacity=capacity,
    )


_record_one = eqx.filter_jit(_one)
_record_all = eqx.filter_jit(eqx.filter_vmap(_one, in_axes=(0, 0, 0, None, None, None, None, None)))
_begin_all = eqx.filter_jit(eqx.filter_vmap(_begin, in_axes=(0, 0, 0, None, None, None, None)))


@eqx.filter_jit
def widest_of(positions: Array, system: System, reach: float) -> Array:
    """Neighbours within reach of the bead that has most."""
    return find_neighbors(positions, box=system.box, topology=system.topology, reach=reach, capacity=1).widest


def _shrunk(reach: float) -> float:
    smaller = reach * SHRINK
    return smaller if smaller > 0.05 else 0.0


def stack(trees: Sequence[Any]) -> Any:
    """One tree of arrays from many, with a new leading axis.

    Example:
        >>> stack([{"a": jnp.zeros(2)}, {"a": jnp.ones(2)}])["a"].shape
        (2, 2)
    """
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _pick(tree: Any, draw: int) -> Any:
    return _at(tree, jnp.asarray(draw))


# one call for all leaves: dispatching each by itself took as long as a short record
_stacked = eqx.filter_jit(stack)
_at = eqx.filter_jit(lambda tree, draw: jax.tree.map(lambda leaf: leaf[draw], tree))
