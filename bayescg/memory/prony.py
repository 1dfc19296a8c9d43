"""Prony: a sum of decaying exponentials.

K(t) = sum_k c_k exp(-t/tau_k),        A_s = diag(1/tau_k),        a_k = sqrt(c_k).
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._checks import whole
from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractMemory, Drift, Timescales
from bayescg.memory.parameters import allocated, given_positive, given_times, or_start
from bayescg.memory.timescales import kept, merged, spaced_times


class Prony(AbstractMemory):
    """Exponentials, the fastest first. `Markovian() + Prony(2)` has an instantaneous part besides.

    Attributes:
        modes: number of exponentials.
        times: tau_k, ps; increasing, so that modes do not exchange names.
        frictions: c_k tau_k, amu/ps; their sum is the integral of the kernel.
        timescales: of the data; set by `prepare`.

    Raises:
        BayescgError: no modes, a number that is not positive, or times out of order.

    References:
        M. Ceriotti, G. Bussi, M. Parrinello, J. Chem. Theory Comput. 6, 1170 (2010), doi:10.1021/ct900563s.

    Example:
        >>> import bayescg as bcg
        >>> memory = bcg.memory.Prony(modes=2, times=[0.1, 1.0], frictions=[30.0, 10.0])
        >>> round(float(memory.integral()), 10), round(float(memory.initial_value()), 10)
        (40.0, 310.0)
    """

    modes: int = eqx.field(static=True)
    times: Float[Array, " mode"] | None
    frictions: Float[Array, " mode"] | None
    timescales: Timescales | None

    def __init__(
        self, modes: int = 1, times: Any = None, frictions: Any = None, timescales: Timescales | None = None
    ) -> None:
        self.modes = whole("modes", modes, remedy="Take Markovian() for friction without memory.")
        self.times = given_times(times, (self.modes,))
        remedy = "A negative one would need noise of negative variance; OscillatoryProny dips below zero."
        self.frictions = given_positive("frictions", frictions, (self.modes,), unit="amu/ps", remedy=remedy)
        self.timescales = kept(timescales)

    def drift(self) -> Drift:
        """A_s = diag(1/tau_k), a_k = sqrt(c_k), gamma0 = 0."""
        tau, frictions = allocated(self, "times", "frictions")
        c = frictions / tau
        return Drift(jnp.diag(1 / tau), jnp.sqrt(c), jnp.zeros((), c.dtype))

    def prepare(self, timescales: Timescales) -> "Prony":
        """Start from times spread over what the data resolve and equal frictions, unless given."""
        known = merged(self.timescales, timescales)
        return Prony(
            self.modes,
            or_start(self.times, spaced_times(known, self.modes)),
            or_start(self.frictions, np.full(self.modes, known.friction / self.modes)),
            known,
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Modes by number, the fastest is 0."""
        return {path: {"mode": np.arange(self.modes)} for path in ("times", "frictions")}
