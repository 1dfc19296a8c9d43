"""Markovian: friction without memory, K(t) = 2 gamma0 delta(t)."""

from typing import Any

import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractMemory, Drift, Timescales
from bayescg.memory.parameters import allocated, given_friction, or_start
from bayescg.memory.timescales import kept, merged


class Markovian(AbstractMemory):
    """Langevin friction: no modes. Add it to another memory for its instantaneous part.

    Attributes:
        friction: gamma0, amu/ps; gamma0/m is the collision rate. Zero is Newton's equation.
        timescales: of the data; set by `prepare`.

    Raises:
        BayescgError: a negative friction.

    Example:
        >>> import bayescg as bcg
        >>> memory = bcg.memory.Markovian(friction=20.0)
        >>> float(memory.integral())
        20.0
    """

    friction: Float[Array, ""] | None
    timescales: Timescales | None

    def __init__(self, friction: Any = None, timescales: Timescales | None = None) -> None:
        self.friction = given_friction(friction)
        self.timescales = kept(timescales)

    def drift(self) -> Drift:
        """Arrays of no modes, and gamma0."""
        (gamma0,) = allocated(self, "friction")
        return Drift(jnp.zeros((0, 0), gamma0.dtype), jnp.zeros(0, gamma0.dtype), gamma0)

    def prepare(self, timescales: Timescales) -> "Markovian":
        """Start from the friction of the data, unless one was given."""
        known = merged(self.timescales, timescales)
        return Markovian(or_start(self.friction, known.friction), known)

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """One number."""
        return {"friction": {}}
