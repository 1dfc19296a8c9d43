"""WCA: the repulsive part of the Lennard-Jones potential."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from bayescg._checks import positive
from bayescg._typing import Array, Float, Int
from bayescg.interfaces import AbstractPairPotential, Support
from bayescg.potentials.pair import SWITCH, switch
from bayescg.potentials.pair_parameters import pair_names, pair_place, per_pair


class WCA(AbstractPairPotential):
    """u(r) = {4 epsilon [(sigma/r)^12 - (sigma/r)^6] + epsilon} S(r) up to 2^(1/6) sigma, zero beyond.

    Value and slope vanish at 2^(1/6) sigma, where the curvature falls from 57 epsilon/sigma² to zero: that
    is the potential's definition. S is the switch of `LennardJones`, from 1 at 0.9 cutoff to 0 at the
    cutoff with value, slope and curvature; it acts only on a sigma above 0.8 cutoff, which a prior may draw.

    Attributes:
        epsilon: strength, kJ/mol; one number for all pairs of types, or one per pair.
        sigma: diameter, nm; likewise.
        cutoff: nm; at least 2^(1/6) sigma, so that the switch does nothing.
        type_names: bead types; set by `prepare`.

    Raises:
        BayescgError: a number that is not positive, or not one per pair of types.

    References:
        J. D. Weeks, D. Chandler, H. C. Andersen, J. Chem. Phys. 54, 5237 (1971), doi:10.1063/1.1674820.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp
        >>> core = bcg.potentials.WCA(epsilon=2.0, sigma=0.3, cutoff=0.5)
        >>> core = core.prepare(bcg.interfaces.Support(("A",), (0.28,)))
        >>> float(core.pair_energy(jnp.array(0.3), jnp.array(0), jnp.array(0)).round(6))
        2.0
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

    def prepare(self, support: Support) -> "WCA":
        """One epsilon and sigma per pair of types."""
        support.check_types(self.type_names)
        return WCA(
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
        pair = pair_place(first_type, second_type, type_names=self.type_names, owner="WCA")
        sixth = (self.sigma[pair] / distance) ** 6
        # 4 (s² - s) + 1 = (2 s - 1)²: no cancellation near the minimum
        core = self.epsilon[pair] * (2 * sixth - 1) ** 2
        return jnp.where(sixth > 0.5, core, 0.0) * switch(distance, SWITCH * self.cutoff, self.cutoff)
