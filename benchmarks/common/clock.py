"""CPU seconds of all threads of this process, with JAX's compilation apart.

JAX announces the begin and the end of tracing, of lowering to MLIR and of XLA's compilation
(`jax.monitoring`). The CPU time between the two, nested spans counted once, is "compilation";
everything else is "work". Dispatching a compiled program, reading a cache and importing are work.
"""

import re
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

COMPILING = "/jax/core/compile/"


class Clock:
    """Stages of a run; make one per process, before the first compilation."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}
        self._compiling = 0.0
        self._spans: list[float] = []
        jax.monitoring.register_scalar_listener(self._begin)
        jax.monitoring.register_event_duration_secs_listener(self._end)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block; stages of one name add up."""
        cpu, wall, compiling = time.process_time(), time.perf_counter(), self._compiling
        yield
        spent = {
            "compilation": self._compiling - compiling,
            "work": time.process_time() - cpu - (self._compiling - compiling),
            "wall": time.perf_counter() - wall,
        }
        before = self.stages.get(name, dict.fromkeys(spent, 0.0))
        self.stages[name] = {kind: before[kind] + seconds for kind, seconds in spent.items()}

    def total(self, kind: str) -> float:
        """Sum over the stages."""
        return sum(stage[kind] for stage in self.stages.values())

    def _begin(self, event: str, value: float, **_: Any) -> None:
        if event.startswith(COMPILING):
            self._spans.append(time.process_time())

    def _end(self, event: str, duration: float, **_: Any) -> None:
        if event.startswith(COMPILING) and self._spans:
            begun = self._spans.pop()
            if not self._spans:
                self._compiling += time.process_time() - begun


def fastest(function: Callable[[], Any], repeats: int = 3) -> float:
    """Seconds of the fastest call after one that compiles."""
    jax.block_until_ready(function())
    spent = []
    for _ in range(repeats):
        begun = time.perf_counter()
        jax.block_until_ready(function())
        spent.append(time.perf_counter() - begun)
    return min(spent)


def peak_memory() -> float:
    """Largest resident size of this program, MB.

    From Linux's own status where there is one: rusage counts what the parent held when it started this one.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
    return int(kilobytes) / 1024
