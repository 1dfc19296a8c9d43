"""Ctrl-C with patience: the first one waits for the running chunk, the second stops at once."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

import jax

from bayescg.numerics.checkpoint import is_key

Result = TypeVar("Result")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after the running chunk was finished and kept.

    It is a KeyboardInterrupt, because it is one: `except Exception` in a user's script must not
    swallow it, and shells and notebooks stop at it.
    """


class Patience:
    """A context in which the first SIGINT is noted and the second raises KeyboardInterrupt.

    Python delivers signals to the main thread only; in another one nothing is installed. The handler
    found at the entrance is back in place at the exit.

    Attributes:
        tried: whether a SIGINT has come.

    Example:
        >>> with Patience() as patience:
        ...     signal.raise_signal(signal.SIGINT)
        >>> patience.tried
        True
    """

    def __init__(self) -> None:
        self.tried = False
        self._previous: Any = None

    def __enter__(self) -> "Patience":
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            # an ignored SIGINT (nohup) stays ignored; one set outside Python (None) could not be put back
            if callable(previous) or previous is signal.SIG_DFL:
                self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.tried:
            raise KeyboardInterrupt
        self.tried = True


def wait(outcome: Result, patience: Patience, tell: Callable[[str], object]) -> Result:
    """Wait for the device while leaving Python able to answer a second Ctrl-C at once.

    Blocking on the arrays would hold back every signal until the device is done.

    Args:
        outcome: a pytree of arrays under way; returned when all are there.
        patience: context of the wait.
        tell: shows a sentence after the first Ctrl-C.

    Example:
        >>> import jax.numpy as jnp
        >>> with Patience() as patience:
        ...     wait(jnp.ones(2) + 1, patience, str).tolist()
        [2.0, 2.0]
    """
    start, told = time.monotonic(), False
    arrays = [leaf for leaf in jax.tree.leaves(outcome) if isinstance(leaf, jax.Array) and not is_key(leaf)]
    while not all(array.is_ready() for array in arrays):  # pyright: ignore[reportAttributeAccessIssue]
        if patience.tried and not told:
            tell("finishing this chunk; Ctrl-C again stops at once")
            told = True
        # 2% of the time passed: short chunks are not slowed, long ones are not polled in vain
        time.sleep(min(0.05, 0.0005 + 0.02 * (time.monotonic() - start)))
    return jax.block_until_ready(outcome)
