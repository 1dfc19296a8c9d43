"""Draws run by another program: one process each, as many at once as there are cores, measured as they run.

What a program needs is an `AbstractExternalEngine`; here is what they share. A draw is finished when all
of its frames are measured; with a checkpoint folder it is then a file, and a later call runs only the others.
Ctrl-C ends the processes and keeps what is finished. A draw whose process dies, or whose beads explode, is
named with the program's own last words; its records are NaN from there on, and the others go on.
"""

import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from bayescg._checks import BayescgError, require_x64
from bayescg._typing import Array, Float, NumpyArray
from bayescg.dynamics import TrajectoryRecorder
from bayescg.interfaces import Observable
from bayescg.model import Model
from bayescg.numerics.cores import cores
from bayescg.numerics.host_loop import HostLoop
from bayescg.numerics.interruption import Interrupted, Patience
from bayescg.potentials import at_temperature
from bayescg.predict.draw_records import Recorder
from bayescg.predict.external import AbstractExternalEngine, Plan
from bayescg.predict.external_process import RunningDraw, Task
from bayescg.predict.external_results import draw_result, together
from bayescg.predict.external_store import DrawStore
from bayescg.predict.measured_frames import Meter

LARGEST_SEED = 899_999_999
"""That LAMMPS takes."""

SHORTEST_WAIT, LONGEST_WAIT = 0.005, 0.05
"""Seconds between looks for new frames."""


def simulate_externally(
    models: Sequence[Model],
    start: Float[NumpyArray, "draw bead dim"],
    plan: Plan,
    engine: AbstractExternalEngine,
    *,
    observables: Sequence[Observable],
    key: Array,
    loop: HostLoop,
    workers: int | None = None,
    trajectory: TrajectoryRecorder | None = None,
) -> xr.Dataset:
    """Run every model in a process of its own and measure it.

    Args:
        models: one per draw.
        start: positions, nm.
        plan: of the run.
        engine: the program.
        observables: measured on the frames.
        key: source of the seeds.
        loop: checkpoint folder, progress and fingerprint.
        workers: processes at once; None for the cores of this machine.
        trajectory: takes in the measured frames; None for none.

    Returns:
        Block means as `bayescg.dynamics.simulate_ensemble` gives them, and `failure`: why a draw did not
        finish, empty where it did.

    Raises:
        BayescgError: the program is missing or cannot run this; no draw finished.
        Interrupted: Ctrl-C.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp
        >>> from bayescg.interfaces import Topology
        >>> from bayescg.predict.lammps_engine import Lammps
        >>> argon = bcg.Model(bcg.potentials.LennardJones([0.997], [0.34], 0.9, ("Ar",)))
        >>> nobody = jnp.zeros((0, 2), int)
        >>> beads = Topology(jnp.zeros(8, int), jnp.full(8, 39.9), jnp.arange(8), nobody, ("Ar",))
        >>> cube = np.stack(np.meshgrid(*[[0.5, 1.5]] * 3), -1).reshape(1, 8, 3)
        >>> plan = Plan(beads, np.full(3, 2.0), 300.0, 0.005, 10, 2, 1, 3, 1.0)
        >>> run = simulate_externally(
        ...     [argon], cube, plan, Lammps(), observables=[], key=jax.random.key(0),
        ...     loop=HostLoop(progress=False),
        ... )
        >>> run.kinetic_temperature.shape
        (1, 3)
    """
    require_x64("simulate")
    models = [Model(at_temperature(model.potential, plan.temperature), model.memory) for model in models]
    engine.check(models, plan)
    keys = jax.random.split(key, len(models))
    seeds = np.asarray(jax.vmap(lambda k: jax.random.randint(k, (), 1, LARGEST_SEED))(keys))
    measure = Meter(observables, plan, dims=start.shape[2])
    with _store(loop, engine) as store:
        crew = _Crew(engine, plan, store, measure, workers or cores(), trajectory)
        found = crew.work(models, start, seeds.tolist(), loop)
    if all(found[draw].attrs["failure"] for draw in found):
        raise BayescgError(
            f"none of {len(found)} simulations with {engine.name} finished. The first ended with: "
            f"{found[0].attrs['failure']}"
        )
    return together(found, measure, plan)


class _Crew:
    """Processes at work, and what they have brought so far."""

    def __init__(
        self,
        engine: AbstractExternalEngine,
        plan: Plan,
        store: DrawStore,
        measure: Meter,
        workers: int,
        trajectory: TrajectoryRecorder | None,
    ) -> None:
        self.engine, self.plan, self.store, self.meter, self.workers = engine, plan, store, measure, workers
        self.trajectory = trajectory
        self.running: list[RunningDraw] = []
        self.found: dict[int, xr.Dataset] = {}

    def work(
        self, models: Sequence[Model], start: NumpyArray, seeds: Sequence[int], loop: HostLoop
    ) -> dict[int, xr.Dataset]:
        """Run what is not finished yet; draw -> records."""
        self.found = self.store.load(range(len(models)))
        queue = [
            Task(draw, model, start[draw], seeds[draw])
            for draw, model in enumerate(models)
            if draw not in self.found
        ]
        frames = len(self.plan.measured_steps)
        with (
            Patience() as patience,
            tqdm(
                total=frames * len(models),
                initial=frames * len(self.found),
                desc=self.engine.name,
                unit="frame",
                disable=not loop.progress,
                file=sys.stderr,
            ) as bar,
        ):
            try:
                self._loop(queue, patience, bar)
            finally:
                for run in self.running:
                    run.end()
        if patience.tried:
            raise Interrupted(self._farewell(len(models), loop))
        return dict(sorted(self.found.items()))

    def _loop(self, queue: list[Task], patience: Patience, bar: Any) -> None:
        waited = SHORTEST_WAIT
        while (queue or self.running) and not patience.tried:
            while queue and len(self.running) < self.workers:
                self._begin(queue.pop(0), bar)
            taken = sum(self._look(run, bar) for run in list(self.running))
            waited = SHORTEST_WAIT if taken else min(2 * waited, LONGEST_WAIT)
            if not taken:
                time.sleep(waited)

    def _begin(self, task: Task, bar: Any) -> None:
        try:
            self.running.append(RunningDraw(task, self.engine, self.plan, self.store, self.meter))
        except (BayescgError, OSError) as error:
            recorder = Recorder(self.meter, self.plan, task.model.potential, *task.start.shape)
            self._keep(
                task.draw, draw_result(recorder, (task.start, self.plan.box), self.meter, str(error)), bar
            )

    def _look(self, run: RunningDraw, bar: Any) -> int:
        """Measure what a run has written; take leave of one that has ended."""
        ended = run.process.poll() is not None  # before the frames, so that none is missed
        taken = run.measure(self.trajectory)
        bar.update(taken)
        if run.recorder.exploded >= 0 or run.complete:
            self._leave(run, "", bar)
        elif ended and not taken:
            self._leave(run, run.last_words(), bar)
        return taken

    def _leave(self, run: RunningDraw, failure: str, bar: Any) -> None:
        run.end()
        self.running.remove(run)
        self._keep(run.task.draw, draw_result(run.recorder, run.last, self.meter, failure), bar)
        if not failure:
            shutil.rmtree(run.folder, ignore_errors=True)

    def _keep(self, draw: int, result: xr.Dataset, bar: Any) -> None:
        self.found[draw] = result
        if not result.attrs["failure"]:
            try:
                self.store.save(draw, result)
            except OSError as error:
                # what is measured is not lost: it stays in memory and says so
                result.attrs["unsaved"] = str(error)
        failed = sum(bool(one.attrs["failure"]) for one in self.found.values())
        done = f"{len(self.found) - failed} draws done" + (f", {failed} failed" if failed else "")
        bar.set_postfix_str(done, refresh=False)

    def _farewell(self, draws: int, loop: HostLoop) -> str:
        done = sum(not one.attrs["failure"] for one in self.found.values())
        count = f"{done} of {draws} simulations with {self.engine.name}"
        if loop.checkpoint is None:
            return (
                f"Interrupted after {count}; nothing is kept, because no checkpoint was given. "
                "With checkpoint='folder' the next run can go on with the others."
            )
        return (
            f"Interrupted: {count} are kept in {loop.checkpoint}. Call again with "
            f"checkpoint={str(loop.checkpoint)!r} and the same problem, settings and key for the others."
        )


@contextlib.contextmanager
def _store(loop: HostLoop, engine: AbstractExternalEngine) -> Iterator[DrawStore]:
    """In the checkpoint folder, or in one that is gone afterwards."""
    fingerprint = f"{loop.fingerprint}:{engine.name}"
    if loop.checkpoint is not None:
        yield DrawStore(Path(loop.checkpoint), fingerprint)
        return
    with tempfile.TemporaryDirectory(prefix="bayescg_", ignore_cleanup_errors=True) as folder:
        yield DrawStore(Path(folder), fingerprint)
