"""The mean number of neighbours within a distance, for every ordered pair of bead types.

    N_ab = (1/N_a) Σ_{i of a} Σ_{j of b, j ≠ i} s(r_ij),

with s = 1 up to the cutoff and 0 beyond, or falling smoothly in between. For the sharp one it is the integral
of the radial distribution function, N_ab = n_b ∫_0^cutoff g_ab(r) 4 pi r² dr, n_b being the density of the
beads b that a bead a can see: (N_b - 1)/V where a = b.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._checks import BayescgError, positive
from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractObservable, Configuration, Topology
from bayescg.observables.neighborhood import check_reach, displacements_to


class Coordination(AbstractObservable):
    """Coordination numbers; the label A-B counts the beads B around a bead A.

    All pairs are looked at, N(N-1)/2 distances per measurement, as for an `RDF`.

    Attributes:
        cutoff: nm, mostly at the first minimum of g(r).
        smooth_from: where s begins to fall, as 1 - 10 y^3 + 15 y^4 - 6 y^5, nm; None for a sharp cutoff.
        intermolecular: True leaves out pairs of one molecule.

    Raises:
        BayescgError: a cutoff beyond half the box, or a fall that does not begin before it.

    Example:
        >>> import bayescg as bcg
        >>> water = bcg.predict.evaluate(bcg.observables.Coordination(cutoff=0.35), bcg.data.water(frames=2))
        >>> bool(4 < water.coordination_number.sel(center_neighbor="SOL-SOL") < 6)
        True
    """

    cutoff: float = eqx.field(static=True)
    smooth_from: float | None = eqx.field(static=True, default=None)
    intermolecular: bool = eqx.field(static=True, default=False)
    name: str = eqx.field(static=True, default="coordination_number", init=False)
    units: str = eqx.field(static=True, default="1", init=False)

    def __check_init__(self) -> None:
        positive("cutoff", self.cutoff, unit="nm")
        if self.smooth_from is not None and not 0 <= self.smooth_from < self.cutoff:
            raise BayescgError(
                f"smooth_from must be between zero and the cutoff of {self.cutoff} nm, got "
                f"{self.smooth_from} nm. Leave it out for a sharp cutoff."
            )

    def prepare(self, topology: Topology, box: Any) -> "Coordination":
        """Check the cutoff.

        Args:
            topology: bead types.
            box: edge lengths, nm, (dim,) or (frame, dim); None for an open system.
        """
        check_reach("cutoff", self.cutoff, box)
        return self

    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """Names of a bead and of its neighbours."""
        names = topology.type_names
        return {"center_neighbor": [f"{a}-{b}" for a in names for b in names]}

    def measure(self, configuration: Configuration) -> Float[Array, " center_neighbor"]:
        """Numbers of one configuration; zero for a type that has no bead."""
        topology, beads = configuration.topology, configuration.positions.shape[0]
        kinds = jax.nn.one_hot(topology.types, len(topology.type_names), dtype=float)
        first = jnp.arange(beads, dtype=jnp.int32)

        def add(shift: Array, sums: Array) -> Array:
            """Bead i with bead i + shift, every pair once."""
            second = (first + shift) % beads
            r = jnp.sqrt(jnp.sum(displacements_to(configuration, second) ** 2, axis=-1))
            # for even N the last shift gives each pair twice
            used = first < jnp.where(2 * shift == beads, beads // 2, beads)
            if self.intermolecular:
                used &= topology.molecules != topology.molecules[second]
            weights = jnp.where(used, self._counted(r), 0.0).astype(float)
            found = (kinds * weights[:, None]).T @ kinds[second]
            return sums + found + found.T

        sums = jax.lax.fori_loop(1, beads // 2 + 1, add, jnp.zeros((kinds.shape[1],) * 2, float))
        return (sums / jnp.maximum(kinds.sum(axis=0), 1.0)[:, None]).ravel()

    def _counted(self, r: Float[Array, " pair"]) -> Float[Array, " pair"]:
        """s(r)."""
        if self.smooth_from is None:
            return (r < self.cutoff).astype(r.dtype)
        y = jnp.clip((r - self.smooth_from) / (self.cutoff - self.smooth_from), 0.0, 1.0)
        return 1 - y**3 * (10 - 15 * y + 6 * y**2)
