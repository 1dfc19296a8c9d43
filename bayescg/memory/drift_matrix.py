"""DriftMatrix: the general embedding, every drift that keeps the Boltzmann law.

    A_s = L L' + (W - W'),        L lower triangular, W strictly lower triangular.

Gauge: the kernel a' exp(-A_s t) a of M modes is fixed by 2M numbers, A_s and a have M² + M. Rotations
z -> R z change A_s and a but neither kernel nor dynamics of the bead (M(M-1)/2 directions), and changes
of metric that leave a alone change the split into damping and rotation (M(M-1)/2 more). So a posterior
over these parameters has flat directions that samplers suffer from: use this memory to carry a matrix
that is known, and one of the others to infer.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._checks import whole
from bayescg._typing import Array, Float, NumpyArray
from bayescg.interfaces import AbstractMemory, Drift, Timescales
from bayescg.memory.parameters import allocated, given, or_start
from bayescg.memory.stability import check_drift
from bayescg.memory.timescales import kept, merged, spaced_times


class DriftMatrix(AbstractMemory):
    """Any stable drift; see the gauge above. `from_drift` gives the one of a known matrix.

    Attributes:
        modes: M, at least two.
        factor: L, its lower triangle row by row, 1/sqrt(ps).
        rotation: W, its strictly lower triangle row by row, 1/ps.
        coupling: a, sqrt(amu)/ps.
        timescales: of the data; set by `prepare`.

    Raises:
        BayescgError: fewer than two modes, a wrong number of entries, or entries that are not finite.

    References:
        M. Ceriotti, G. Bussi, M. Parrinello, J. Chem. Theory Comput. 6, 1170 (2010), doi:10.1021/ct900563s.

    Example:
        >>> import bayescg as bcg
        >>> memory = bcg.memory.DriftMatrix(2, factor=[1.0, 0.0, 2.0], rotation=[3.0], coupling=[5.0, 0.0])
        >>> memory.drift().matrix.tolist()
        [[1.0, -3.0], [3.0, 4.0]]
    """

    modes: int = eqx.field(static=True)
    factor: Float[Array, " entry"] | None
    rotation: Float[Array, " entry"] | None
    coupling: Float[Array, " mode"] | None
    timescales: Timescales | None

    def __init__(
        self,
        modes: int = 2,
        factor: Any = None,
        rotation: Any = None,
        coupling: Any = None,
        timescales: Timescales | None = None,
    ) -> None:
        self.modes = whole("modes", modes, minimum=2, remedy="Take Prony(1) for a single exponential.")
        off_diagonal = modes * (modes - 1) // 2
        self.factor = given("factor", factor, (off_diagonal + modes,), unit="1/sqrt(ps)")
        self.rotation = given("rotation", rotation, (off_diagonal,), unit="1/ps")
        self.coupling = given("coupling", coupling, (modes,), unit="sqrt(amu)/ps")
        self.timescales = kept(timescales)

    def drift(self) -> Drift:
        """L L' + (W - W'), a, gamma0 = 0; add `Markovian` for friction without memory."""
        factor, rotation, a = allocated(self, "factor", "rotation", "coupling")
        empty = jnp.zeros((self.modes, self.modes), factor.dtype)
        L = empty.at[np.tril_indices(self.modes)].set(factor)
        W = empty.at[np.tril_indices(self.modes, -1)].set(rotation)
        return Drift(L @ L.T + W - W.T, a, jnp.zeros((), a.dtype))

    def prepare(self, timescales: Timescales) -> "DriftMatrix":
        """Start from the exponentials that `Prony` starts from, without rotation, unless given."""
        known = merged(self.timescales, timescales)
        times = spaced_times(known, self.modes)
        return DriftMatrix(
            self.modes,
            or_start(self.factor, np.diag(times**-0.5)[np.tril_indices(self.modes)]),
            or_start(self.rotation, np.zeros(self.modes * (self.modes - 1) // 2)),
            or_start(self.coupling, np.sqrt(known.friction / self.modes / times)),
            known,
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Entries as row,column."""
        return {
            "factor": {"factor_entry": _entries(self.modes, 0)},
            "rotation": {"rotation_entry": _entries(self.modes, -1)},
            "coupling": {"mode": np.arange(self.modes)},
        }


def from_drift(matrix: NumpyArray | Array, coupling: NumpyArray | Array) -> DriftMatrix:
    """The memory with this A_s and a, for example fitted elsewhere.

    Args:
        matrix: A_s, 1/ps; its symmetric part must be positive semidefinite.
        coupling: a, sqrt(amu)/ps.

    Raises:
        BayescgError: no noise makes this drift keep the Boltzmann law, or it does not decay.

    Example:
        >>> import bayescg as bcg
        >>> bcg.memory.from_drift([[1.0, -3.0], [3.0, 4.0]], [5.0, 0.0]).factor.round(6).tolist()
        [1.0, 0.0, 2.0]
    """
    A, a = np.asarray(matrix, dtype=float), np.asarray(coupling, dtype=float)
    check_drift(Drift(jnp.asarray(A), jnp.asarray(a), jnp.zeros(())), name="the drift given")
    values, vectors = np.linalg.eigh((A + A.T) / 2)
    # S = V w V' = (Q R)'(Q R) with Q R = sqrt(w) V', so L = R'; S may be singular, where Cholesky fails
    R = np.asarray(np.linalg.qr(np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T, mode="r"))
    L = R.T * np.where(np.diag(R) < 0, -1.0, 1.0)
    rows = len(a)
    rotation = ((A - A.T) / 2)[np.tril_indices(rows, -1)]
    return DriftMatrix(rows, L[np.tril_indices(rows)], rotation, a)


def _entries(modes: int, diagonal: int) -> list[str]:
    return [f"{row},{column}" for row, column in zip(*np.tril_indices(modes, diagonal), strict=True)]
