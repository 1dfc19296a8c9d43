"""OscillatoryProny: a sum of damped oscillations.

    K(t) = sum_k c exp(-g t) (cos w t + b sin w t)

with a block of two variables for every mode, W² = w² + g² and s = b w/g:

    A_s = [[0, -W], [W, 2g]],        a = sqrt(c/2) (sqrt(1+s), sqrt(1-s)).

The spectrum of a mode is positive at all frequencies if and only if |b| w <= g, that is |s| <= 1, and
then the embedding is real. Its integral is c g (1+s)/W².
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._checks import whole
from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractMemory, Drift, Timescales
from bayescg.memory.parameters import allocated, given_positive, given_times, given_within, or_start
from bayescg.memory.timescales import kept, merged, spaced_times


class OscillatoryProny(AbstractMemory):
    """Damped oscillations, the fastest decay first; they reach below zero as the kernels of liquids do.

    Attributes:
        modes: number of oscillations; two auxiliary variables each.
        times: 1/g, decay time of the envelope, ps; increasing.
        frequencies: w/(2 pi), 1/ps, as in `spectrum`.
        frictions: integral of every mode, amu/ps; their sum is that of the kernel.
        asymmetries: s = b w/g between -1 and 1; towards 1 the kernel starts flat, towards -1 the
            spectrum vanishes at zero frequency.
        timescales: of the data; set by `prepare`.

    Raises:
        BayescgError: no modes, a number that is not positive, times out of order, or |s| >= 1.

    References:
        M. Ceriotti, G. Bussi, M. Parrinello, J. Chem. Theory Comput. 6, 1170 (2010), doi:10.1021/ct900563s.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp
        >>> memory = bcg.memory.OscillatoryProny(
        ...     times=[0.1], frequencies=[5.0], frictions=[20.0], asymmetries=[0.0]
        ... )
        >>> bool(memory.kernel(jnp.array([0.1]))[0] < 0)
        True
    """

    modes: int = eqx.field(static=True)
    times: Float[Array, " mode"] | None
    frequencies: Float[Array, " mode"] | None
    frictions: Float[Array, " mode"] | None
    asymmetries: Float[Array, " mode"] | None
    timescales: Timescales | None

    def __init__(
        self,
        modes: int = 1,
        times: Any = None,
        frequencies: Any = None,
        frictions: Any = None,
        asymmetries: Any = None,
        timescales: Timescales | None = None,
    ) -> None:
        self.modes = whole("modes", modes, remedy="Take Markovian() for friction without memory.")
        shape = (self.modes,)
        self.times = given_times(times, shape)
        remedy = "Take Prony for a mode that does not oscillate."
        self.frequencies = given_positive("frequencies", frequencies, shape, unit="1/ps", remedy=remedy)
        remedy = "The integral of a kernel with a positive spectrum is positive."
        self.frictions = given_positive("frictions", frictions, shape, unit="amu/ps", remedy=remedy)
        remedy = (
            "Beyond |b| w = g the spectrum is negative at some frequency: no noise has it. Give |b w/g| < 1."
        )
        self.asymmetries = given_within("asymmetries", asymmetries, shape, bounds=(-1.0, 1.0), remedy=remedy)
        self.timescales = kept(timescales)

    def drift(self) -> Drift:
        """Blocks [[0, -W], [W, 2g]] side by side, gamma0 = 0."""
        tau, nu, frictions, s = allocated(self, "times", "frequencies", "frictions", "asymmetries")
        g, w = 1 / tau, 2 * jnp.pi * nu
        W = jnp.sqrt(w**2 + g**2)
        first = jnp.sqrt(frictions / (2 * g)) * W  # sqrt(c (1+s)/2) with c = frictions W²/(g (1+s))
        second = first * jnp.sqrt((1 - s) / (1 + s))
        blocks = jnp.stack([jnp.stack([0 * W, -W], axis=-1), jnp.stack([W, 2 * g], axis=-1)], axis=-2)
        mode = np.arange(self.modes)
        matrix = jnp.zeros((self.modes, 2, self.modes, 2), W.dtype).at[mode, :, mode, :].set(blocks)
        states = 2 * self.modes
        return Drift(
            matrix.reshape(states, states),
            jnp.stack([first, second], axis=-1).ravel(),
            jnp.zeros((), W.dtype),
        )

    def prepare(self, timescales: Timescales) -> "OscillatoryProny":
        """Start from spread times, w = g, equal frictions and s = 0, unless given."""
        known = merged(self.timescales, timescales)
        times = or_start(self.times, spaced_times(known, self.modes))
        return OscillatoryProny(
            self.modes,
            times,
            or_start(self.frequencies, 1 / (2 * np.pi * times)),
            or_start(self.frictions, np.full(self.modes, known.friction / self.modes)),
            or_start(self.asymmetries, np.zeros(self.modes)),
            known,
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Modes by number, the fastest decay is 0."""
        paths = ("times", "frequencies", "frictions", "asymmetries")
        return {path: {"mode": np.arange(self.modes)} for path in paths}
