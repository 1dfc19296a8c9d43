"""Parameters of a memory: checked where a user gives them, missing until the data are known."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from bayescg._checks import BayescgError, require
from bayescg._typing import Array


def given(name: str, value: Any, shape: tuple[int, ...], *, unit: str) -> Array | None:
    """The parameter as an array, or None where it is left to `prepare`.

    Values under a transformation of JAX are not looked at, only their shape.

    Args:
        name: of the parameter.
        value: what the user gave.
        shape: what it must have.
        unit: for the message.

    Raises:
        BayescgError: another shape, or numbers that are not finite.

    Example:
        >>> given("times", [0.1, 1.0], (2,), unit="ps").shape
        (2,)
    """
    if value is None:
        return None
    array = jnp.asarray(value, dtype=float)
    remedy = "one number per entry" if shape else "one number"
    require(
        array.shape == shape,
        f"{name} must have shape {shape}, got {array.shape}. Give {remedy}, or None to start from the data.",
    )
    if _concrete(array):
        require(
            bool(np.isfinite(array).all()),
            f"{name} must be finite, got {_listed(array)} {unit}. Give finite numbers, or None to start from "
            "the data.",
        )
    return array


def given_positive(name: str, value: Any, shape: tuple[int, ...], *, unit: str, remedy: str) -> Array | None:
    """As `given`, and every number above zero.

    Example:
        >>> float(given_positive("friction", 20.0, (), unit="amu/ps", remedy=""))
        20.0
    """
    array = given(name, value, shape, unit=unit)
    if array is not None and _concrete(array) and not bool(np.all(np.asarray(array) > 0)):
        raise BayescgError(f"{name} must be positive, got {_listed(array)} {unit}. {remedy}".rstrip())
    return array


def given_friction(value: Any) -> Array | None:
    """One friction in amu/ps that may be zero.

    Raises:
        BayescgError: a negative friction.

    Example:
        >>> float(given_friction(0.0))
        0.0
    """
    array = given("friction", value, (), unit="amu/ps")
    if array is not None and _concrete(array) and not bool(array >= 0):
        raise BayescgError(
            f"friction must not be negative, got {_listed(array)} amu/ps. A negative friction heats without "
            "end; give gamma0 >= 0."
        )
    return array


def given_times(value: Any, shape: tuple[int, ...]) -> Array | None:
    """Decay times in ps: positive and strictly increasing, so that every mode has one name.

    Raises:
        BayescgError: a time that is not positive, or times out of order.

    Example:
        >>> given_times([0.1, 1.0], (2,)).tolist()
        [0.1, 1.0]
    """
    remedy = "Give decay times, in ps, or None to start from the data."
    array = given_positive("times", value, shape, unit="ps", remedy=remedy)
    if array is not None and _concrete(array) and not bool(np.all(np.diff(np.asarray(array)) > 0)):
        raise BayescgError(
            f"times must increase strictly, got {_listed(array)} ps. Sort the modes by their time (all "
            "parameters together), and merge modes of equal times."
        )
    return array


def given_within(
    name: str, value: Any, shape: tuple[int, ...], *, bounds: tuple[float, float], remedy: str
) -> Array | None:
    """As `given`, and every number strictly between two bounds.

    Example:
        >>> float(given_within("exponent", 0.5, (), bounds=(0.0, 2.0), remedy=""))
        0.5
    """
    array = given(name, value, shape, unit="")
    if array is not None and _concrete(array):
        lowest, highest = bounds
        if not bool(np.all((np.asarray(array) > lowest) & (np.asarray(array) < highest))):
            raise BayescgError(
                f"{name} must lie strictly between {lowest:g} and {highest:g}, got {_listed(array)}. "
                f"{remedy}".rstrip()
            )
    return array


def allocated(owner: Any, *names: str) -> tuple[Array, ...]:
    """The parameters of a memory by name, or an error where it has not seen data yet.

    Raises:
        BayescgError: a parameter is None.

    Example:
        >>> import bayescg as bcg
        >>> allocated(bcg.memory.Markovian(friction=20.0), "friction")[0].tolist()
        20.0
    """
    values = tuple(getattr(owner, name) for name in names)
    missing = [name for name, value in zip(names, values, strict=True) if value is None]
    require(
        not missing,
        f"{type(owner).__name__} has no {', '.join(missing)} yet. Put the model into a bayescg.Problem with "
        "data, call prepare with the timescales of the data, or give the values when you build it.",
    )
    return values


def or_start(value: Array | None, start: Any) -> Array:
    """The value if there is one, else where to start.

    Example:
        >>> or_start(None, 2.0).tolist()
        2.0
    """
    return jnp.asarray(start, dtype=float) if value is None else value


def _concrete(array: Array) -> bool:
    return not isinstance(array, Tracer)


def _listed(array: Array) -> str:
    numbers = ", ".join(f"{number:.6g}" for number in np.ravel(np.asarray(array)))
    return f"[{numbers}]" if array.ndim else numbers
