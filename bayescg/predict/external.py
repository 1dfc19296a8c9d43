"""What a program outside of Python's own process must offer to run the draws of a posterior.

    check(models, plan)                         can it run this at all? raise what is missing, and the remedy
    prepare(folder, model, start, plan, seed)   write one draw's files; return the command that runs them
    take(folder, plan, steps)                   the measured frames of these steps, if they are all there
    failure(folder)                             the program's own last words

One process runs one draw in a folder of its own, as many at once as there are cores. While they run, the
frames that they write are taken away and measured (`bayescg.predict.measured_frames`), so neither memory
nor disk grows with the length of the run. What is common to all programs (processes, progress, Ctrl-C,
checkpoint, a draw that dies) is in `bayescg.predict.external_runs`; what one program needs is a subclass of
`AbstractExternalEngine`.
"""

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import numpy as np

from bayescg._typing import Float, NumpyArray
from bayescg.interfaces import Topology
from bayescg.model import Model


class Plan(eqx.Module):
    """What is the same for every draw: the system, and how it is to be moved and measured.

    A run is `warmup_steps` steps that are not looked at, then `records` blocks of `record_steps`, with a
    frame at the end of every `measure_every` steps: `measured_steps`, counted from the end of the warm-up.

    Attributes:
        topology: types, masses (amu), bonds, exclusions.
        box: (dim,) edge lengths at the start, nm; None for an open system.
        temperature: K.
        timestep: ps.
        measure_every: steps between measured frames.
        measurements: frames of one record.
        warmup: records before anything is measured.
        records: that are measured.
        friction: of the thermostat, 1/ps; None where the models have a memory.
        ensemble: "NVT", "NVE" or "NPT".
        thermostat: "langevin", "nose-hoover" or "csvr"; None where the memory is one, or for NVE.
        pressure: bar; None but for NPT.
    """

    topology: Topology
    box: NumpyArray | None
    temperature: float = eqx.field(static=True)
    timestep: float = eqx.field(static=True)
    measure_every: int = eqx.field(static=True)
    measurements: int = eqx.field(static=True)
    warmup: int = eqx.field(static=True)
    records: int = eqx.field(static=True)
    friction: float | None = eqx.field(static=True, default=None)
    ensemble: str = eqx.field(static=True, default="NVT")
    thermostat: str | None = eqx.field(static=True, default="langevin")
    pressure: float | None = eqx.field(static=True, default=None)

    @property
    def record_steps(self) -> int:
        """Steps of one record."""
        return self.measure_every * self.measurements

    @property
    def warmup_steps(self) -> int:
        """Steps before the first measured record."""
        return self.warmup * self.record_steps

    @property
    def steps(self) -> int:
        """Steps of all measured records."""
        return self.records * self.record_steps

    @property
    def measured_steps(self) -> range:
        """Steps, counted from the end of the warm-up, at which a frame is measured."""
        return range(self.measure_every, self.steps + 1, self.measure_every)

    @property
    def interval(self) -> float:
        """Time between measured frames, ps, without the rounding of a product of floats."""
        return float(f"{self.measure_every * self.timestep:.12g}")


class Job(NamedTuple):
    """How one draw is run.

    Attributes:
        command: of the process, started in the draw's folder.
        environment: variables added to those of this process.
    """

    command: tuple[str, ...]
    environment: dict[str, str]


class Frames(NamedTuple):
    """A few measured frames, one after another.

    Attributes:
        positions: nm, unwrapped: a bead that leaves the box goes on.
        velocities: nm/ps, at the same time as the positions.
        box: edge lengths of every frame, nm; None for an open system.
    """

    positions: Float[NumpyArray, "frame bead dim"]
    velocities: Float[NumpyArray, "frame bead dim"]
    box: Float[NumpyArray, "frame dim"] | None


def written(frames: Frames, plan: Plan, exploded: int, before: int) -> dict[str, NumpyArray]:
    """The frames as a trajectory takes them: in the box, and none from an explosion on.

    Args:
        frames: that follow those before.
        plan: of the run.
        exploded: step, from the end of the warm-up, of the first frame that is absurd; -1 for none.
        before: how many frames came before.

    Example:
        >>> two = Frames(np.array([[[1.5]], [[0.5]]]), np.zeros((2, 1, 1)), np.ones((2, 1)))
        >>> nobody = np.zeros((0, 2), int)
        >>> one = Topology(np.zeros(1, int), np.ones(1), np.zeros(1, int), nobody, ("A",))
        >>> plan = Plan(one, np.ones(1), 300.0, 0.005, 10, 2, 0, 1, 1.0)
        >>> written(two, plan, -1, 0)["position"].ravel().tolist()
        [0.5, 0.5]
    """
    count = len(frames.positions)
    kept = count if exploded < 0 else min(count, max(0, exploded // plan.measure_every - 1 - before))
    x, box = frames.positions[:kept], None if frames.box is None else frames.box[:kept]
    arrays = {"position": x if box is None else x - box[:, None] * np.floor(x / box[:, None])}
    return arrays | {"velocity": frames.velocities[:kept]} | ({} if box is None else {"box": box})


class AbstractExternalEngine(eqx.Module):
    """A program that runs one draw per process and writes frames into the draw's folder."""

    name: eqx.AbstractVar[str]

    @abc.abstractmethod
    def check(self, models: Sequence[Model], plan: Plan) -> None:
        """Raise `BayescgError` where the program is missing, or cannot run these models or this plan.

        Args:
            models: one per draw, at the plan's temperature.
            plan: of the run.
        """

    @abc.abstractmethod
    def prepare(
        self, folder: Path, model: Model, start: Float[NumpyArray, "bead dim"], plan: Plan, *, seed: int
    ) -> Job:
        """Write everything one draw needs, and say how it is run.

        Args:
            folder: of this draw; exists and is empty.
            model: of this draw.
            start: positions, nm.
            plan: of the run.
            seed: of this draw's random numbers, from 1 to 899,999,999.
        """

    @abc.abstractmethod
    def take(self, folder: Path, plan: Plan, steps: Sequence[int]) -> Frames | None:
        """The frames of these steps, removed from the folder; None, at once, while one is not complete.

        Called again and again while the process runs, and once more after its end; a file that is still being
        written must not be read.

        Args:
            folder: of the draw.
            plan: of the run.
            steps: consecutive items of `plan.measured_steps`, following those of the call before.
        """

    @abc.abstractmethod
    def failure(self, folder: Path) -> str:
        """The program's last error message, one line; empty where it left none.

        Args:
            folder: of a draw whose process ended badly or left frames out.
        """
