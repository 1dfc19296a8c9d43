"""Morse: a well with an exponential wall and tail."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from bayescg._checks import positive
from bayescg._typing import Array, Float, Int
from bayescg.interfaces import AbstractPairPotential, Support
from bayescg.potentials.pair import SWITCH, switch
from bayescg.potentials.pair_parameters import pair_names, pair_place, per_pair


class Morse(AbstractPairPotential):
    """u(r) = D {[1 - exp(-(r - r0)/w)]² - 1} S(r).

    S is the switch of `LennardJones`: value, slope and curvature vanish at the cutoff. The wall is finite
    at r = 0, where it reaches D [exp(2 r0/w) - 2 exp(r0/w)].

    Attributes:
        depth: D, kJ/mol; one number for all pairs of types, or one per pair.
        width: w, nm; the curvature at the minimum is 2 D/w².
        minimum: r0, nm.
        cutoff: nm.
        type_names: bead types; set by `prepare`.

    Raises:
        BayescgError: a number that is not positive, or not one per pair of types.

    References:
        P. M. Morse, Phys. Rev. 34, 57 (1929), doi:10.1103/PhysRev.34.57.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp
        >>> well = bcg.potentials.Morse(depth=3.0, width=0.05, minimum=0.35, cutoff=0.9)
        >>> well = well.prepare(bcg.interfaces.Support(("A",), (0.28,)))
        >>> float(well.pair_energy(jnp.array(0.35), jnp.array(0), jnp.array(0)))
        -3.0
    """

    depth: Float[Array, "*type_pair"]
    width: Float[Array, "*type_pair"]
    minimum: Float[Array, "*type_pair"]
    cutoff: float = eqx.field(static=True)
    type_names: tuple[str, ...] = eqx.field(static=True, default=())

    def __init__(
        self,
        depth: Any = 1.0,
        width: Any = 0.05,
        minimum: Any = 0.35,
        cutoff: float = 1.0,
        type_names: tuple[str, ...] = (),
    ) -> None:
        self.depth = jnp.asarray(depth, dtype=float)
        self.width = jnp.asarray(width, dtype=float)
        self.minimum = jnp.asarray(minimum, dtype=float)
        self.cutoff = positive("cutoff", cutoff, unit="nm")
        self.type_names = type_names

    def prepare(self, support: Support) -> "Morse":
        """One depth, width and minimum per pair of types."""
        support.check_types(self.type_names)
        return Morse(
            per_pair("depth", self.depth, support=support, unit="kJ/mol"),
            per_pair("width", self.width, support=support, unit="nm"),
            per_pair("minimum", self.minimum, support=support, unit="nm"),
            self.cutoff,
            support.type_names,
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Names of the type pairs."""
        names = pair_names(self.type_names)
        return {path: {"type_pair": names} for path in ("depth", "width", "minimum")}

    def pair_energy(
        self, distance: Float[Array, ""], first_type: Int[Array, ""], second_type: Int[Array, ""]
    ) -> Float[Array, ""]:
        """u(r) of one pair, kJ/mol."""
        pair = pair_place(first_type, second_type, type_names=self.type_names, owner="Morse")
        e = jnp.exp(-(distance - self.minimum[pair]) / self.width[pair])
        return self.depth[pair] * e * (e - 2) * switch(distance, SWITCH * self.cutoff, self.cutoff)
