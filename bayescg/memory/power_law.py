"""PowerLaw: a kernel without a single timescale, as of polymers and crowded media.

    K(t) = sum_k c_k exp(-t/tau_k),    tau_k log-spaced,    c_k ∝ tau_k^-alpha,

which falls as t^-alpha between the two ends: the sum over modes is the integral over log tau of
tau^-alpha exp(-t/tau) = Gamma(alpha) t^-alpha, cut off at both.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._checks import whole
from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractMemory, Drift, Timescales
from bayescg.memory.parameters import allocated, given_positive, given_times, given_within, or_start
from bayescg.memory.timescales import kept, merged, spaced_times

HIGHEST_EXPONENT = 2.0
"""Beyond it nearly all friction sits in the fastest mode, and the exponent says nothing."""


class PowerLaw(AbstractMemory):
    """A power law between two times; four numbers however many modes carry it.

    Attributes:
        modes: exponentials that carry it, at least two; two a decade leave a ripple of 2% or less, one a
            decade 8% at alpha = 1/2.
        times: shortest and longest decay time, ps.
        exponent: alpha, between 0 and 2; below 1 motion is subdiffusive between the ends.
        friction: integral of the kernel, amu/ps.
        timescales: of the data; set by `prepare`.

    Raises:
        BayescgError: fewer than two modes, a number that is not positive, ends out of order, or an
            exponent outside 0 and 2.

    References:
        S. C. Kou, X. S. Xie, Phys. Rev. Lett. 93, 180603 (2004), doi:10.1103/PhysRevLett.93.180603.

    Example:
        >>> import bayescg as bcg
        >>> memory = bcg.memory.PowerLaw(modes=8, times=[0.01, 10.0], exponent=0.5, friction=100.0)
        >>> round(float(memory.integral()), 6)
        100.0
    """

    modes: int = eqx.field(static=True)
    times: Float[Array, " end"] | None
    exponent: Float[Array, ""] | None
    friction: Float[Array, ""] | None
    timescales: Timescales | None

    def __init__(
        self,
        modes: int = 8,
        times: Any = None,
        exponent: Any = None,
        friction: Any = None,
        timescales: Timescales | None = None,
    ) -> None:
        self.modes = whole("modes", modes, minimum=2, remedy="Take Prony for a single exponential.")
        self.times = given_times(times, (2,))
        remedy = "Take Prony where the kernel is no power law."
        bounds = (0.0, HIGHEST_EXPONENT)
        self.exponent = given_within("exponent", exponent, (), bounds=bounds, remedy=remedy)
        remedy = "The integral of a kernel with a positive spectrum is positive."
        self.friction = given_positive("friction", friction, (), unit="amu/ps", remedy=remedy)
        self.timescales = kept(timescales)

    def drift(self) -> Drift:
        """A_s = diag(1/tau_k), a_k = sqrt(c_k), gamma0 = 0."""
        ends, alpha, friction = allocated(self, "times", "exponent", "friction")
        log_tau = jnp.linspace(jnp.log(ends[0]), jnp.log(ends[1]), self.modes)
        shares = jax.nn.softmax((1 - alpha) * log_tau)  # c_k tau_k ∝ tau_k^(1 - alpha)
        c = friction * shares * jnp.exp(-log_tau)
        return Drift(jnp.diag(jnp.exp(-log_tau)), jnp.sqrt(c), jnp.zeros((), c.dtype))

    def prepare(self, timescales: Timescales) -> "PowerLaw":
        """Start from alpha = 1/2 over what the data resolve, unless given."""
        known = merged(self.timescales, timescales)
        return PowerLaw(
            self.modes,
            or_start(self.times, spaced_times(known, 2)),
            or_start(self.exponent, 0.5),
            or_start(self.friction, known.friction),
            known,
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """The two ends; exponent and friction are single numbers."""
        return {"times": {"end": ["shortest", "longest"]}, "exponent": {}, "friction": {}}
