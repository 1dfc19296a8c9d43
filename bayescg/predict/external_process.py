"""One draw in a process of its own: started, its frames measured as they appear, ended."""

import os
import signal
import subprocess
from typing import NamedTuple

import numpy as np

from bayescg._typing import NumpyArray
from bayescg.dynamics import TrajectoryRecorder
from bayescg.model import Model
from bayescg.predict.draw_records import Recorder, pieces
from bayescg.predict.external import AbstractExternalEngine, Plan, written
from bayescg.predict.external_store import DrawStore
from bayescg.predict.measured_frames import Meter

LAST_WORDS = 300
"""Characters of a failure that are kept."""


class Task(NamedTuple):
    """One draw to run.

    Attributes:
        draw: its number.
        model: with values.
        start: positions, nm.
        seed: of its random numbers.
    """

    draw: int
    model: Model
    start: NumpyArray
    seed: int


class RunningDraw:
    """A process, its folder, and what is measured of it.

    Attributes:
        task: the draw.
        folder: it works in.
        process: the program.
        recorder: of the measured frames.
        last: positions in the box and edges, nm, of the last frame that was measured.

    Raises:
        BayescgError: its files cannot be written.
        OSError: nor its folder, or the program does not start.
    """

    def __init__(
        self, task: Task, engine: AbstractExternalEngine, plan: Plan, store: DrawStore, measure: Meter
    ) -> None:
        self.task, self.engine, self.plan = task, engine, plan
        self.folder, self.last = store.workplace(task.draw), (task.start, plan.box)
        self.recorder = Recorder(measure, plan, task.model.potential, *task.start.shape)
        self._take = engine.take  # a method of a module is made anew at every access, which takes a while
        self._pieces = pieces(plan, *task.start.shape, joined=not measure.series)
        job = engine.prepare(self.folder, task.model, task.start, plan, seed=task.seed)
        with (self.folder / "output.txt").open("wb") as output:
            self.process = subprocess.Popen(
                job.command,
                cwd=self.folder,
                env=dict(os.environ) | job.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for us: we end the processes ourselves
                start_new_session=True,
            )

    @property
    def complete(self) -> bool:
        """Whether all frames are measured."""
        return not self._pieces

    def measure(self, trajectory: TrajectoryRecorder | None) -> int:
        """Measure the next piece if it is there, and hand it on; the number of its frames."""
        if not self._pieces:
            return 0
        frames = self._take(self.folder, self.plan, self._pieces[0])
        if frames is None and self.process.poll() is not None:
            # nothing more will come: the records that are whole are taken one by one
            piece, length = self._pieces[0], self.plan.measurements
            self._pieces[:1] = [piece[first : first + length] for first in range(0, len(piece), length)]
            frames = self._take(self.folder, self.plan, self._pieces[0])
        if frames is None:
            return 0
        self._pieces.pop(0)
        before = self.recorder.frames
        self.recorder.add(frames)
        if trajectory is not None:
            trajectory.take(
                before, {self.task.draw: written(frames, self.plan, self.recorder.exploded, before)}
            )
        x, box = frames.positions[-1], None if frames.box is None else frames.box[-1]
        self.last = (x if box is None else x - box * np.floor(x / box), box)
        return len(frames.positions)

    def last_words(self) -> str:
        """Why the process ended, in one line."""
        code = self.process.returncode
        words = self.engine.failure(self.folder)[:LAST_WORDS]
        if not words:
            words = (
                "it left no message" if code else "it ended, but frames are not complete: is the disk full?"
            )
        how = _named(-code) if code < 0 else f"exit status {code}"
        return f"{words} ({how}, after {self.recorder.frames} of {len(self.plan.measured_steps)} frames)"

    def end(self) -> None:
        """End the process, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def _named(number: int) -> str:
    try:
        return f"ended by {signal.Signals(number).name}"
    except ValueError:
        return f"ended by signal {number}"
