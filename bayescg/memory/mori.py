"""Mori: a chain of variables, each driven by the next, the last one damped.

    A_s = [  0   -r_1              ]        a = (a_1, 0, ..., 0)
          [ r_1   0    -r_2        ]
          [      r_2    0     ...  ]
          [            ...     g   ],

Mori's continued fraction ended after some levels:

    ∫ K(t) exp(-s t) dt = a_1² / (s + r_1² / (s + r_2² / ( ... / (s + g)))).

With every further level one more odd derivative of K vanishes at t = 0, as in a time-reversible dynamics
all do.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._checks import whole
from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractMemory, Drift, Timescales
from bayescg.memory.parameters import allocated, given_positive, or_start
from bayescg.memory.timescales import kept, merged, spaced_times


class Mori(AbstractMemory):
    """A chain with `levels + 1` numbers: friction, rates and damping.

    Attributes:
        levels: number of auxiliary variables, at least two; one would be `Prony(1)`.
        rates: r_k between successive levels, 1/ps; levels - 1 of them.
        damping: g of the last level, 1/ps.
        friction: integral of the kernel, amu/ps; it fixes a_1.
        timescales: of the data; set by `prepare`.

    Raises:
        BayescgError: fewer than two levels, or a number that is not positive.

    References:
        H. Mori, Prog. Theor. Phys. 34, 399 (1965), doi:10.1143/PTP.34.399.

    Example:
        >>> import bayescg as bcg
        >>> memory = bcg.memory.Mori(levels=2, rates=[20.0], damping=10.0, friction=30.0)
        >>> round(float(memory.initial_value()), 6), round(float(memory.integral()), 6)
        (1200.0, 30.0)
    """

    levels: int = eqx.field(static=True)
    rates: Float[Array, " link"] | None
    damping: Float[Array, ""] | None
    friction: Float[Array, ""] | None
    timescales: Timescales | None

    def __init__(
        self,
        levels: int = 2,
        rates: Any = None,
        damping: Any = None,
        friction: Any = None,
        timescales: Timescales | None = None,
    ) -> None:
        self.levels = whole("levels", levels, minimum=2, remedy="Take Prony(1) for a single exponential.")
        remedy = "A level that is not coupled, or a chain without damping, does not decay; give rates > 0."
        self.rates = given_positive("rates", rates, (self.levels - 1,), unit="1/ps", remedy=remedy)
        self.damping = given_positive("damping", damping, (), unit="1/ps", remedy=remedy)
        remedy = "The integral of a kernel with a positive spectrum is positive."
        self.friction = given_positive("friction", friction, (), unit="amu/ps", remedy=remedy)
        self.timescales = kept(timescales)

    def drift(self) -> Drift:
        """Tridiagonal A_s, skew but for the damping of the last level; gamma0 = 0."""
        r, g, friction = allocated(self, "rates", "damping", "friction")
        matrix = jnp.diag(r, -1) - jnp.diag(r, 1)
        resistance = g  # the continued fraction at s = 0, from its end
        for rate in r[::-1]:
            resistance = rate**2 / resistance
        coupling = jnp.zeros(self.levels, g.dtype).at[0].set(jnp.sqrt(friction * resistance))
        return Drift(matrix.at[-1, -1].add(g), coupling, jnp.zeros((), g.dtype))

    def prepare(self, timescales: Timescales) -> "Mori":
        """Start from one rate for all links, damped critically, unless given."""
        known = merged(self.timescales, timescales)
        rate = 1 / spaced_times(known, 1)[0]
        return Mori(
            self.levels,
            or_start(self.rates, np.full(self.levels - 1, rate)),
            or_start(self.damping, 2 * rate),
            or_start(self.friction, known.friction),
            known,
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Links between levels by number; damping and friction are single numbers."""
        return {"rates": {"link": np.arange(self.levels - 1)}, "damping": {}, "friction": {}}
