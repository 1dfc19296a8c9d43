"""Checks at the border: each error names the argument, the value, the rule and the remedy.

`temperature must be positive, got -300.0 K. Give the temperature the trajectory was run at.`
"""

import math
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


class BayescgError(ValueError):
    """Input that breaks a stated rule; the message says which one and what to do."""


class BayescgWarning(UserWarning):
    """Something the user can act on."""


def require(condition: bool, message: str) -> None:
    """Raise `BayescgError(message)` unless the condition holds."""
    if not condition:
        raise BayescgError(message)


def positive(name: str, value: Any, *, unit: str = "", remedy: str = "") -> float:
    """Return `value` as a float, or raise unless it is a finite number above zero."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BayescgError(_sentence(f"{name} must be a positive number, got {value!r}.", remedy)) from None
    if not (math.isfinite(number) and number > 0):
        suffix = f" {unit}" if unit else ""
        raise BayescgError(_sentence(f"{name} must be positive, got {number}{suffix}.", remedy))
    return number


def whole(name: str, value: Any, *, minimum: int = 1, remedy: str = "") -> int:
    """Return `value` as an int, or raise unless it is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or int(value) < minimum:
        raise BayescgError(
            _sentence(f"{name} must be a whole number of at least {minimum}, got {value!r}.", remedy)
        )
    return int(value)


def finite(name: str, values: Any, *, axis_name: str = "frame", remedy: str = "") -> None:
    """Raise, naming the first offending index along the leading axis, if any value is NaN or infinite."""
    array = np.asarray(values)
    good = np.isfinite(array)
    if good.all():
        return
    bad = np.flatnonzero(~good.reshape(array.shape[0], -1).all(axis=1)) if array.ndim else np.array([0])
    raise BayescgError(
        _sentence(
            f"{name} must be finite, got NaN or infinity in {bad.size} {axis_name}(s), "
            f"the first is {axis_name} {bad[0]}.",
            remedy,
        )
    )


def one_of(name: str, value: Any, allowed: Iterable[Any]) -> Any:
    """Return `value` if it is one of `allowed`, or raise with the choices."""
    choices = list(allowed)
    if value not in choices:
        raise BayescgError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")
    return value


def require_x64(what: str) -> None:
    """Raise where JAX runs in float32, which is too coarse for statistics."""
    if jnp.zeros(()).dtype != jnp.float64 and not jax.config.read("jax_enable_x64"):
        raise BayescgError(
            f"{what} needs float64, but JAX runs in float32. "
            "Call bayescg.enable_x64() before the first computation, or set JAX_ENABLE_X64=1."
        )


def _sentence(rule: str, remedy: str) -> str:
    return f"{rule} {remedy}".rstrip()
