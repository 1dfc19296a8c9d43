"""The one host loop: jitted chunks on the device, everything a person sees around them.

A long computation is a few named stages (`whiten`, `warmup`, `sample`), each a pure step repeated::

    carry, records = step(carry, length)        length iterations, jitted by the caller

The loop calls the step chunk after chunk, moves the records to host memory, shows progress, writes
the checkpoint and stops cleanly on Ctrl-C. A stage that is resumed goes on from the very bits it was
left with, so its result equals the uninterrupted one. Every call has the same length, so the step is
compiled once; where the length does not divide the total, the last chunk runs past it and the surplus
records are dropped.

A stage may end before its total, once `enough(records)` holds. That is a pure function of the records so far,
asked after every chunk and after a checkpoint is read, so a resumed stage ends where an uninterrupted one
does; and a stage that ended goes on from there when more is asked of it.
"""

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

from bayescg._checks import require, whole
from bayescg._typing import NumpyArray
from bayescg.numerics.checkpoint import Checkpoint, is_key
from bayescg.numerics.interruption import Interrupted, Patience, wait

Step = Callable[[Any, int], tuple[Any, dict[str, Any]]]
Describe = Callable[[dict[str, NumpyArray]], str]
Enough = Callable[[dict[str, NumpyArray]], bool]

SAVE_INTERVAL = 5.0
"""Seconds between checkpoints, so that short chunks do not spend their time on the disk."""

SAVE_FRACTION = 0.01
"""A long stage saves less often: a crash loses at most this part of the time it has taken."""


class Stage(NamedTuple):
    """A finished stage.

    Attributes:
        carry: state after the last chunk.
        records: name -> values of every iteration, along the leading axis `iteration`.
    """

    carry: Any
    records: dict[str, NumpyArray]


class HostLoop(eqx.Module):
    """Runs stages with a progress bar, a checkpoint and a clean Ctrl-C.

    Attributes:
        checkpoint: folder that keeps finished stages and the chunks of the running one; None keeps nothing.
        progress: whether to show a bar on standard error (terminal or notebook).
        fingerprint: of the problem, the settings and the key; a checkpoint with another one is refused.

    Example:
        >>> import jax
        >>> def walk(position, length):
        ...     return jax.lax.scan(lambda x, _: (x + 1, {"x": x + 1}), position, length=length)
        >>> stage = HostLoop(progress=False).run("walk", walk, jnp.zeros(()), total=6, chunk=2)
        >>> stage.records["x"].tolist()
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    """

    checkpoint: str | Path | None = eqx.field(default=None, static=True)
    progress: bool = eqx.field(default=True, static=True)
    fingerprint: str = eqx.field(default="", static=True)

    def run(
        self,
        name: str,
        step: Step,
        carry: Any,
        *,
        total: int,
        chunk: int,
        describe: Describe | None = None,
        keep: bool = True,
        enough: Enough | None = None,
    ) -> Stage:
        """Run one stage, or what an earlier call has left of it.

        Args:
            name: of the stage; a Python identifier.
            step: `(carry, length) -> (carry, records)`, records a dictionary of arrays whose leading
                axis counts the iterations.
            carry: initial state: arrays, PRNG keys, numbers.
            total: iterations of the stage.
            chunk: iterations per call of the step.
            describe: short status from all records so far (from the last chunk's where `keep` is off).
            keep: whether the records are returned and written to the checkpoint.
            enough: whether the stage may end, from all records so far; must depend on nothing else. None runs
                to the total. Needs `keep`.

        Returns:
            Final carry and all records, fewer than the total where they were enough.

        Raises:
            Interrupted: Ctrl-C was pressed; the message says what is kept and how to go on.
            BayescgError: the checkpoint is damaged, cannot be written or belongs to another computation.
        """
        require(name.isidentifier(), f"name of a stage must be an identifier, got {name!r}.")
        require(
            enough is None or keep,
            "keep must be True where a stage may end early, got False: `enough` is asked with all records.",
        )
        total, chunk = whole("total", total), whole("chunk", chunk)
        store = None if self.checkpoint is None else Checkpoint(Path(self.checkpoint), self.fingerprint)
        saved = None if store is None else store.load(name, jax.tree.map(_plain, carry))
        run = _Run(name, total, store, keep, enough)
        if saved is None:
            run.carry = jax.tree.map(_plain, carry)
        else:
            run.restore(saved.carry, saved.done, saved.records)
        if not run.finished():
            self._advance(run, step, chunk, describe)
        return Stage(run.carry, run.so_far())

    def _advance(self, run: "_Run", step: Step, chunk: int, describe: Describe | None) -> None:
        with (
            Patience() as patience,
            tqdm(
                total=run.total, initial=run.done, desc=run.name, disable=not self.progress, file=sys.stderr
            ) as bar,
        ):
            finished = False
            while not finished:
                carry, records = wait(step(run.carry, chunk), patience, bar.set_postfix_str)
                before = run.done
                latest = run.extend(carry, records, chunk)
                bar.update(run.done - before)
                if describe is not None:
                    bar.set_postfix_str(describe(run.so_far() if run.keep else latest), refresh=False)
                finished = run.finished()
                if finished or patience.tried or run.due():
                    run.save(end=finished)
                if patience.tried:
                    raise Interrupted(self._farewell(run))

    def _farewell(self, run: "_Run") -> str:
        count = f"{run.done} of {run.total} iterations of stage {run.name!r}"
        if self.checkpoint is None:
            return (
                f"Interrupted after {count}; nothing is kept, because no checkpoint was given. "
                "With checkpoint='folder' the next run can go on where it was stopped."
            )
        return (
            f"Interrupted: {count} are kept in {self.checkpoint}. Call again with "
            f"checkpoint={str(self.checkpoint)!r} and the same problem, settings and key to go on from there."
        )


def chunk_length(*totals: int, longest: int) -> int:
    """The chunk of at most `longest` iterations that wastes least: iterations beyond the totals, and calls.

    Example:
        >>> chunk_length(500, 1000, longest=50), chunk_length(97, longest=50)
        (50, 49)
    """

    def waste(chunk: int) -> int:
        return sum(-total % chunk + math.ceil(total / chunk) for total in totals)

    return min(range(longest, 0, -1), key=waste)


class _Run:
    """A stage under way: the carry and the records kept so far."""

    def __init__(
        self, name: str, total: int, store: Checkpoint | None, keep: bool, enough: Enough | None
    ) -> None:
        self.name, self.total, self.store, self.keep, self.enough = name, total, store, keep, enough
        self.carry: Any = None
        self.done = 0
        self.records: dict[str, NumpyArray] = {}
        self.started = self.saved = time.monotonic()

    def restore(self, carry: Any, done: int, records: dict[str, NumpyArray]) -> None:
        """Go on from a checkpoint."""
        require(
            done <= self.total,
            f"checkpoint of stage {self.name!r} holds {done} iterations, more than the {self.total} "
            "asked for. Ask for as many as before, or give another checkpoint folder.",
        )
        self.carry, self.done = carry, done
        self._store(records, 0)

    def extend(self, carry: Any, records: dict[str, Any], chunk: int) -> dict[str, NumpyArray]:
        """Take in a chunk; return its records without those beyond the total."""
        lengths = {name: np.shape(values)[:1] for name, values in records.items()}
        require(
            all(length == (chunk,) for length in lengths.values()),
            f"records of stage {self.name!r} must have a leading axis of {chunk} iterations, got {lengths}.",
        )
        fresh = min(chunk, self.total - self.done)
        latest = {name: np.asarray(values)[:fresh] for name, values in records.items()}
        if self.keep:
            self._store(latest, self.done)
        self.carry, self.done = carry, self.done + fresh
        return latest

    def so_far(self) -> dict[str, NumpyArray]:
        """Records of the iterations done."""
        return {name: values[: self.done] for name, values in self.records.items()}

    def finished(self) -> bool:
        """Whether the total is reached, or the records are enough."""
        if self.done == self.total:
            return True
        return self.enough is not None and self.done > 0 and bool(self.enough(self.so_far()))

    def due(self) -> bool:
        """Whether the last save is long enough ago."""
        now = time.monotonic()
        return now - self.saved > max(SAVE_INTERVAL, SAVE_FRACTION * (now - self.started))

    def save(self, *, end: bool) -> None:
        """Write the checkpoint, if there is one; `end` joins its parts."""
        if self.store is not None:
            self.store.save(self.name, self.carry, done=self.done, records=self.records, end=end)
        self.saved = time.monotonic()

    def _store(self, records: dict[str, NumpyArray], start: int) -> None:
        for name, values in records.items():
            if name not in self.records:
                self.records[name] = np.empty((self.total, *values.shape[1:]), values.dtype)
            self.records[name][start : start + len(values)] = values


def _plain(leaf: Any) -> Any:
    """As an array without JAX's weak type.

    A checkpoint cannot keep a weak type, and the first chunk would be compiled apart from the others.
    """
    if is_key(leaf) or (isinstance(leaf, jax.Array) and not leaf.weak_type):
        return leaf
    return jnp.asarray(np.asarray(leaf))
