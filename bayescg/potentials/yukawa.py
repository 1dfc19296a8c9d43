"""Yukawa: screened charges."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from bayescg._checks import positive
from bayescg._typing import Array, Float, Int
from bayescg.interfaces import AbstractPairPotential, Support
from bayescg.potentials.pair import SWITCH, switch
from bayescg.potentials.pair_parameters import pair_names, pair_place, per_pair


class Yukawa(AbstractPairPotential):
    """u(r) = A exp(-r/lambda)/r S(r).

    S is the switch of `LennardJones`: value, slope and curvature vanish at the cutoff. Charges z e in a
    medium have A = z_i z_j k_B T l_B with the Bjerrum length l_B. An attraction (A < 0) has no core: add
    one, `WCA` for instance.

    Attributes:
        amplitude: A, kJ/mol nm, of either sign; one number for all pairs of types, or one per pair.
        screening_length: lambda, nm; likewise.
        cutoff: nm.
        type_names: bead types; set by `prepare`.

    Raises:
        BayescgError: a length that is not positive, or not one number per pair of types.

    References:
        H. Yukawa, Proc. Phys.-Math. Soc. Japan 17, 48 (1935), doi:10.11429/ppmsj1919.17.0_48.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp
        >>> charges = bcg.potentials.Yukawa(amplitude=-2.0, screening_length=0.5, cutoff=2.0)
        >>> charges = charges.prepare(bcg.interfaces.Support(("A",), (0.28,)))
        >>> float(charges.pair_energy(jnp.array(0.5), jnp.array(0), jnp.array(0)).round(4))
        -1.4715
    """

    amplitude: Float[Array, "*type_pair"]
    screening_length: Float[Array, "*type_pair"]
    cutoff: float = eqx.field(static=True)
    type_names: tuple[str, ...] = eqx.field(static=True, default=())

    def __init__(
        self,
        amplitude: Any = 1.0,
        screening_length: Any = 0.5,
        cutoff: float = 1.0,
        type_names: tuple[str, ...] = (),
    ) -> None:
        self.amplitude = jnp.asarray(amplitude, dtype=float)
        self.screening_length = jnp.asarray(screening_length, dtype=float)
        self.cutoff = positive("cutoff", cutoff, unit="nm")
        self.type_names = type_names

    def prepare(self, support: Support) -> "Yukawa":
        """One amplitude and screening length per pair of types."""
        support.check_types(self.type_names)
        return Yukawa(
            per_pair("amplitude", self.amplitude, support=support, unit="kJ/mol nm", signed=True),
            per_pair("screening_length", self.screening_length, support=support, unit="nm"),
            self.cutoff,
            support.type_names,
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Names of the type pairs."""
        names = pair_names(self.type_names)
        return {path: {"type_pair": names} for path in ("amplitude", "screening_length")}

    def pair_energy(
        self, distance: Float[Array, ""], first_type: Int[Array, ""], second_type: Int[Array, ""]
    ) -> Float[Array, ""]:
        """u(r) of one pair, kJ/mol."""
        pair = pair_place(first_type, second_type, type_names=self.type_names, owner="Yukawa")
        screened = jnp.exp(-distance / self.screening_length[pair]) / distance
        return self.amplitude[pair] * screened * switch(distance, SWITCH * self.cutoff, self.cutoff)
