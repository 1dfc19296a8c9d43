"""Pairwise: a memory that acts on the relative velocity of pairs and conserves momentum.

Along the line e_ij between two beads nearer than the cutoff, with v_ij = (v_i - v_j) . e_ij,

    F_i += w(r_ij) a'z_ij e_ij,      F_j -= the same,      dz_ij = (-a w(r_ij) v_ij - A_s z_ij) dt + B_s dW,

A_s, a and B_s being those of one memory for all pairs, so that a pair at rest feels the friction kernel
w² K(t). Since w depends on positions alone, exp(-U/kT) N(v) N(z; 0, kT 1) is invariant for any kernel and
any w: fluctuation-dissipation holds by construction, as it does bead by bead. The weight is

    w(r) = (1 - r²/c²)²,        r < c.

References:
    P. Español, P. Warren, Europhys. Lett. 30, 191 (1995), doi:10.1209/0295-5075/30/4/001.
    Z. Li, X. Bian, X. Li, G. E. Karniadakis, J. Chem. Phys. 143, 243128 (2015), doi:10.1063/1.4935490.
"""

from typing import Any

import equinox as eqx

from bayescg._checks import BayescgError, positive
from bayescg.interfaces import AbstractMemory, Drift, Timescales


class Pairwise(AbstractMemory):
    """The memory of every pair of beads within a cutoff.

    It is simulated; a likelihood of single beads does not apply to it.

    Attributes:
        memory: of a pair, without an instantaneous part: its friction gamma0 must be zero.
        cutoff: c, nm; at most half the box.

    Raises:
        BayescgError: a cutoff that is not positive, or a memory that is pairwise already.

    Example:
        >>> import bayescg as bcg
        >>> memory = bcg.memory.Pairwise(bcg.memory.Prony(1, times=[0.1], frictions=[20.0]), cutoff=0.6)
        >>> round(float(memory.integral()), 6)
        20.0
    """

    memory: AbstractMemory
    cutoff: float = eqx.field(static=True)

    def __check_init__(self) -> None:
        positive("cutoff", self.cutoff, unit="nm")
        if isinstance(self.memory, Pairwise):
            raise BayescgError("memory must be one of single variables, got Pairwise. Wrap it once.")

    def drift(self) -> Drift:
        """Of a pair at distance zero."""
        return self.memory.drift()

    def prepare(self, timescales: Timescales) -> "Pairwise":
        """Prepare the memory of a pair as if it were that of a bead."""
        return Pairwise(self.memory.prepare(timescales), self.cutoff)

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """The memory's labels, by path."""
        return {f"memory.{path}": labels for path, labels in self.memory.coordinates().items()}
