"""Pair potentials with few parameters, switched off smoothly at the cutoff."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from bayescg._checks import positive
from bayescg._typing import Array, Float, Int
from bayescg.interfaces import AbstractPairPotential, Support
from bayescg.potentials.pair_parameters import pair_names, pair_place, per_pair

SWITCH = 0.9
"""Fraction of the cutoff at which switching begins."""


class LennardJones(AbstractPairPotential):
    """u(r) = 4 epsilon [(sigma/r)^12 - (sigma/r)^6] S(r) for every pair of bead types.

    S falls from 1 at 0.9 cutoff to 0 at the cutoff as 1 - 10 y^3 + 15 y^4 - 6 y^5, so that energy,
    force and its slope are continuous.

    Attributes:
        epsilon: well depth, kJ/mol; one number for all pairs of types, or one per pair.
        sigma: where u crosses zero, nm; likewise.
        cutoff: nm.
        type_names: bead types; set by `prepare`.

    Raises:
        BayescgError: a number that is not positive, or not one per pair of types.

    References:
        J. E. Jones, Proc. R. Soc. A 106, 463 (1924), doi:10.1098/rspa.1924.0082.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp
        >>> argon = bcg.potentials.LennardJones(epsilon=0.997, sigma=0.34, cutoff=1.2)
        >>> argon = argon.prepare(bcg.interfaces.Support(("Ar",), (0.3,)))
        >>> float(argon.pair_energy(jnp.array(0.34 * 2 ** (1 / 6)), jnp.array(0), jnp.array(0)).round(3))
        -0.997
    """

    epsilon: Float[Array, "*type_pair"]
    sigma: Float[Array, "*type_pair"]
    cutoff: float = eqx.field(static=True)
    type_names: tuple[str, ...] = eqx.field(static=True, default=())

    def __init__(
        self,
        epsilon: Any = 1.0,
        sigma: Any = 0.3,
        cutoff: float = 1.0,
        type_names: tuple[str, ...] = (),
    ) -> None:
        self.epsilon = jnp.asarray(epsilon, dtype=float)
        self.sigma = jnp.asarray(sigma, dtype=float)
        self.cutoff = positive("cutoff", cutoff, unit="nm")
        self.type_names = type_names

    def prepare(self, support: Support) -> "LennardJones":
        """One epsilon and sigma per pair of types."""
        support.check_types(self.type_names)
        return LennardJones(
            per_pair("epsilon", self.epsilon, support=support, unit="kJ/mol"),
            per_pair("sigma", self.sigma, support=support, unit="nm"),
            self.cutoff,
            support.type_names,
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Names of the type pairs."""
        names = pair_names(self.type_names)
        return {path: {"type_pair": names} for path in ("epsilon", "sigma")}

    def pair_energy(
        self, distance: Float[Array, ""], first_type: Int[Array, ""], second_type: Int[Array, ""]
    ) -> Float[Array, ""]:
        """u(r) of one pair, kJ/mol."""
        pair = pair_place(first_type, second_type, type_names=self.type_names, owner="LennardJones")
        epsilon, sigma = self.epsilon[pair], self.sigma[pair]
        sixth = (sigma / distance) ** 6
        return 4 * epsilon * (sixth**2 - sixth) * switch(distance, SWITCH * self.cutoff, self.cutoff)


def switch(distance: Float[Array, ""], start: float, stop: float) -> Float[Array, ""]:
    """1 up to `start`, 0 from `stop` on, twice continuously differentiable between.

    Example:
        >>> import jax.numpy as jnp
        >>> [float(switch(jnp.array(r), 0.5, 1.0)) for r in (0.4, 0.75, 1.2)]
        [1.0, 0.5, 0.0]
    """
    y = jnp.clip((distance - start) / (stop - start), 0.0, 1.0)
    return 1 - y**3 * (10 - 15 * y + 6 * y**2)
