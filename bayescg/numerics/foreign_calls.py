"""Loops in machine code (numba) that a jitted program calls on a CPU, without going through Python.

XLA calls a handler with the address of a frame: 64-bit words, of which word 9 points to the buffers of the
arguments and word 14 to those of the results. Word 3 of a buffer is the address of its data, word 4 the
number of its dimensions and word 5 the address of its shape. A handler is asked once which version of this
interface it is written for; a jaxlib that no longer serves that version refuses it, and callers keep to
plain JAX.

    def double(frame):
        if answered(frame):
            return 0
        x, y = vector(argument(frame, 0), np.float64), vector(result(frame, 0), np.float64)
        ...
        return 0

References:
    OpenXLA, "XLA custom calls", https://openxla.org/xla/custom_call; xla/ffi/api/c_api.h, as in jaxlib.
"""

import threading
from collections.abc import Callable
from typing import Any

import jax
import numba
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import carray

VERSION_MAJOR, VERSION_MINOR = 0, 3
"""Of XLA's foreign function interface, that the words above belong to."""

_ONE_AT_A_TIME = threading.Lock()

_REGISTERED: dict[str, Any] = {}
"""The machine code of every handler: XLA keeps its address only."""


def machine_code(loop: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """A loop compiled on first use, kept beside its file for the next process, until that file changes.

    Args:
        loop: a function that numba understands.
        options: of `numba.njit`.

    Example:
        >>> machine_code(lambda n: n + 1)(1)
        2
    """
    try:
        return numba.njit(cache=True, error_model="numpy", **options)(loop)
    except RuntimeError:  # no folder to keep machine code in
        return numba.njit(error_model="numpy", **options)(loop)


def register(name: str, handler: Callable[[int], int], **options: Any) -> bool:
    """Make a handler known to XLA under a name; whether jaxlib takes it.

    Its machine code is kept for the next process if the handler encloses nothing but numbers and types.

    Args:
        name: for `jax.ffi.ffi_call`; a name is registered once.
        handler: from the address of a frame to 0.
        options: of `numba.cfunc`.

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> def halve(frame):
        ...     if answered(frame):
        ...         return 0
        ...     x, y = vector(argument(frame, 0), np.float32), vector(result(frame, 0), np.float32)
        ...     for i in range(x.size):
        ...         y[i] = x[i] / 2
        ...     return 0
        >>> register("bayescg_doctest_halve", halve)
        True
        >>> like = jax.ShapeDtypeStruct((2,), jnp.float32)
        >>> jax.ffi.ffi_call("bayescg_doctest_halve", like)(jnp.array([2.0, 6.0], jnp.float32)).tolist()
        [1.0, 3.0]
    """
    with _ONE_AT_A_TIME:
        if name not in _REGISTERED:
            _REGISTERED[name] = _registered(name, handler, options)
    return _REGISTERED[name] is not None


def _registered(name: str, handler: Callable[[int], int], options: dict[str, Any]) -> Any:
    """The machine code XLA now calls, or None where it does not take it."""
    signature = numba.types.int64(numba.types.int64)
    try:
        jax.local_devices(backend="cpu")  # started before: else a refusal would come as its failure to start
        try:
            compiled = numba.cfunc(signature, cache=True, error_model="numpy", **options)(handler)
        except RuntimeError:  # no folder to keep machine code in
            compiled = numba.cfunc(signature, error_model="numpy", **options)(handler)
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(compiled.ctypes), platform="cpu")
    except (RuntimeError, jax.errors.JaxRuntimeError):  # no CPU backend, or another version of the interface
        return None
    return compiled


def _as_pointer(typing: Any, address: Any) -> Any:
    """An address as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return numba.types.voidptr(numba.types.int64), generate


_pointer: Any = intrinsic(_as_pointer)
_array: Any = carray


@machine_code
def _words(address: Any, count: Any) -> Any:
    return _array(_pointer(address), (count,), numba.int64)


@machine_code
def answered(frame: Any) -> Any:
    """Whether XLA asked for the version only, which is answered here."""
    extension = _words(frame, 2)[1]
    if extension == 0:
        return False
    metadata = _array(_pointer(_words(extension, 4)[3]), (8,), numba.int32)
    metadata[6], metadata[7] = VERSION_MAJOR, VERSION_MINOR
    return True


@machine_code
def argument(frame: Any, place: Any) -> Any:
    """The words of an argument's buffer."""
    return _words(_words(_words(frame, 10)[9], place + 1)[place], 6)


@machine_code
def result(frame: Any, place: Any) -> Any:
    """The words of a result's buffer."""
    return _words(_words(_words(frame, 15)[14], place + 1)[place], 6)


@machine_code
def vector(buffer: Any, dtype: Any) -> Any:
    """A buffer as an array of one dimension; of more, flattened."""
    size = 1
    for extent in _words(buffer[5], buffer[4]):
        size *= extent
    return _array(_pointer(buffer[3]), (size,), dtype)


@machine_code
def matrix(buffer: Any, dtype: Any) -> Any:
    """A buffer as an array of two dimensions."""
    shape = _words(buffer[5], 2)
    return _array(_pointer(buffer[3]), (shape[0], shape[1]), dtype)
