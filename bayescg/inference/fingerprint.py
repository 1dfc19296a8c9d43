"""Fingerprint: a hash of what a problem says, the same in every process.

A prior is described by its distributions and their numbers, which takes no time; where it is a program,
by the distributions that one run of it meets and the values it returns.
"""

import dataclasses
import functools
import hashlib
import types
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from numpyro.distributions.util import lazy_property
from numpyro.handlers import seed, trace

from bayescg.priors import Prior

DIGITS = 16
"""Of the hash that are kept, each of four bits."""


def fingerprint(joint: Any, prior: Prior, observations: Any, settings: Any) -> str:
    """Hash of model, prior and data.

    Args:
        joint: model and likelihoods, prepared.
        prior: of their parameters.
        observations: what the likelihoods keep of the data.
        settings: whatever else tells problems apart; strings, numbers and tuples of them.

    Example:
        >>> import numpyro.distributions as dist
        >>> narrow, wide = (Prior({"a": dist.Normal(0.0, scale)}) for scale in (1.0, 2.0))
        >>> fingerprint((), narrow, (), ()) == fingerprint((), wide, (), ())
        False
    """
    digest = hashlib.sha256(repr((joint, settings)).encode())
    for leaf in jax.tree.leaves((joint, observations)):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    for part in described(dict(prior)):
        digest.update(part)
    if prior.program is not None:
        program = seed(prior.program, jax.random.key(0))
        sites = trace(program).get_trace()
        met = {name: (site.get("fn"), site["value"]) for name, site in sites.items()}
        for part in described((met, program())):
            digest.update(part)
    return digest.hexdigest()[:DIGITS]


def described(value: Any) -> Iterator[bytes]:
    """Type, structure and numbers of distributions, modules and containers, to any depth.

    Args:
        value: whatever may stand in a prior.

    Example:
        >>> import numpyro.distributions as dist
        >>> list(described(dist.Normal(0.0, 1.0))) == list(described(dist.Normal(0.0, 1.0)))
        True
    """
    yield f"{type(value).__module__}.{type(value).__qualname__}(".encode()
    if isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield f"{key}:".encode()
            yield from described(value[key])
    elif isinstance(value, tuple | list):
        for one in value:
            yield from described(one)
    elif (attributes := _attributes(value)) is not None:
        yield from described(attributes)
    else:
        array = np.asarray(value)
        yield f"{array.dtype}{array.shape}".encode()
        yield array.tobytes() if array.dtype != object else repr(value).encode()
    yield b")"


def _attributes(value: Any) -> dict[str, Any] | None:
    """What an object is made of; None of a number, an array or a name."""
    if isinstance(value, np.ndarray | np.generic | jax.Array) or not hasattr(value, "__dict__"):
        return None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, functools.partial):
        return {"func": value.func, "args": value.args, "keywords": value.keywords}
    if isinstance(value, types.FunctionType):  # what it does, and what it remembers
        code, cells = value.__code__, value.__closure__ or ()
        constants = [c.co_code if isinstance(c, types.CodeType) else c for c in code.co_consts]
        does = (code.co_code, code.co_names, constants)
        held = [cell.cell_contents for cell in cells]
        return {"does": does, "holds": held, "defaults": (value.__defaults__, value.__kwdefaults__)}
    # what a distribution or a transform works out when it is first asked for is not part of it
    return {
        name: one
        for name, one in vars(value).items()
        if not isinstance(getattr(type(value), name, None), lazy_property)
        and not isinstance(one, weakref.ref)
        and name != "_validate_args"
    }
