"""StillingerWeber: pairs and angles, as for silicon and monatomic water.

    U = sum_{i<j} phi2(r_ij) + sum_i sum_{j<k} phi3(r_ij, r_ik, theta_jik)
    phi2 = A eps_ij [B (s_ij/r)^p - (s_ij/r)^q] h(s_ij, r)
    phi3 = lambda_ijk (eps_ij eps_ik)^1/2 (cos theta - c_ijk)² h(gamma s_ij, r_ij) h(gamma s_ik, r_ik)
    h(s, r) = exp[s/(r - cutoff)] inside the cutoff, 0 outside

The paper's cutoff is a sigma; here it stays where it is while sigma moves, so that a neighbour list serves
every draw. h has an essential zero: all derivatives vanish at the cutoff. The sum over pairs of neighbours
is a quadratic form in the moments of g_j = (eps_ij)^1/2 h(gamma s_ij, r_ij) and unit vectors u_j,

    sum_{j<k} = sum_{jk}/2 - sum_{j=k}/2,        sum_{jk} = T:T - 2 c V.V + c² S²,
    S = sum_j g_j,    V = sum_j g_j u_j,    T = sum_j g_j u_j u_j',

so its cost is linear in the number of neighbours.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, positive, require
from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractPotential, Configuration, Support, type_pair_index, type_pairs
from bayescg.potentials.neighborhood import neighborhood
from bayescg.potentials.pair_parameters import pair_names, per_pair

SILICON = {"A": 7.049556277, "B": 0.6022245584, "p": 4.0, "q": 0.0, "gamma": 1.20}
"""Constants of the paper, equation 2.8."""


class StillingerWeber(AbstractPotential):
    """Two- and three-body potential with a preferred angle, by bead types.

    Attributes:
        epsilon: eps, depth of phi2 where the cutoff is 1.8 sigma, kJ/mol; one number or one per pair of
            types.
        sigma: s, nm; likewise.
        three_body_strength: lambda; one number, or one per central type and pair of neighbours' types.
        cos_angle: c, the preferred cosine; likewise, shape (type, type_pair).
        cutoff: nm; None for 1.8 times sigma, the paper's a.
        prefactor, repulsion, repulsive_power, attractive_power, decay: A, B, p, q and gamma of the paper,
            constants.
        type_names: bead types; set by `prepare`.

    Raises:
        BayescgError: a number that is not positive, a cosine outside -1 to 1, or not as many numbers as
            there are pairs of types.

    References:
        F. H. Stillinger, T. A. Weber, Phys. Rev. B 31, 5262 (1985), doi:10.1103/PhysRevB.31.5262.
        V. Molinero, E. B. Moore, J. Phys. Chem. B 113, 4008 (2009), doi:10.1021/jp805227c.

    Example:
        >>> import bayescg as bcg
        >>> water = bcg.potentials.StillingerWeber(epsilon=25.895, sigma=0.23925, three_body_strength=23.15)
        >>> round(water.cutoff, 5), water.prepare(bcg.interfaces.Support(("W",), (0.25,))).cos_angle.shape
        (0.43065, (1, 1))
    """

    epsilon: Float[Array, "*type_pair"]
    sigma: Float[Array, "*type_pair"]
    three_body_strength: Float[Array, "*triple"]
    cos_angle: Float[Array, "*triple"]
    cutoff: float = eqx.field(static=True)
    prefactor: float = eqx.field(static=True)
    repulsion: float = eqx.field(static=True)
    repulsive_power: float = eqx.field(static=True)
    attractive_power: float = eqx.field(static=True)
    decay: float = eqx.field(static=True)
    type_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        epsilon: Any = 25.0,
        sigma: Any = 0.24,
        three_body_strength: Any = 21.0,
        cos_angle: Any = -1 / 3,
        cutoff: float | None = None,
        prefactor: float = SILICON["A"],
        repulsion: float = SILICON["B"],
        repulsive_power: float = SILICON["p"],
        attractive_power: float = SILICON["q"],
        decay: float = SILICON["gamma"],
        type_names: tuple[str, ...] = (),
    ) -> None:
        self.epsilon, self.sigma = jnp.asarray(epsilon, dtype=float), jnp.asarray(sigma, dtype=float)
        self.three_body_strength = jnp.asarray(three_body_strength, dtype=float)
        self.cos_angle = jnp.asarray(cos_angle, dtype=float)
        reach = 1.8 * float(np.max(np.asarray(sigma))) if cutoff is None else cutoff
        self.cutoff = positive("cutoff", reach, unit="nm")
        self.prefactor = positive("prefactor", prefactor)
        self.repulsion = positive("repulsion", repulsion)
        self.repulsive_power, self.attractive_power = float(repulsive_power), float(attractive_power)
        self.decay = positive("decay", decay)
        self.type_names = type_names
        require(
            self.repulsive_power > self.attractive_power >= 0,
            "repulsive_power must exceed attractive_power, and neither be negative, got "
            f"{repulsive_power} and {attractive_power}. The paper has 4 and 0.",
        )

    def prepare(self, support: Support) -> "StillingerWeber":
        """One value per pair of types, or per central type and pair of types."""
        support.check_types(self.type_names)
        kinds = len(support.type_names)
        shape = (kinds, len(type_pairs(kinds)))
        for name in ("three_body_strength", "cos_angle"):
            value = getattr(self, name)
            require(
                value.shape in ((), shape),
                f"{name} must be one number or of shape {shape}, one per central type and pair of types, "
                f"got shape {value.shape}.",
            )
        require(
            bool(jnp.all(self.three_body_strength > 0) & jnp.all(jnp.abs(self.cos_angle) <= 1)),
            "three_body_strength must be positive and cos_angle lie between -1 and 1, got "
            f"{self.three_body_strength.tolist()} and {self.cos_angle.tolist()}.",
        )
        return StillingerWeber(
            per_pair("epsilon", self.epsilon, support=support, unit="kJ/mol"),
            per_pair("sigma", self.sigma, support=support, unit="nm"),
            jnp.broadcast_to(self.three_body_strength, shape),
            jnp.broadcast_to(self.cos_angle, shape),
            self.cutoff,
            self.prefactor,
            self.repulsion,
            self.repulsive_power,
            self.attractive_power,
            self.decay,
            support.type_names,
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Names of the type pairs, and of the central types of the angles."""
        pairs = pair_names(self.type_names)
        of_pairs = {path: {"type_pair": pairs} for path in ("epsilon", "sigma")}
        labels = {"type": list(self.type_names), "type_pair": pairs}
        return of_pairs | {path: dict(labels) for path in ("three_body_strength", "cos_angle")}

    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Sum over pairs and angles, kJ/mol; shape ()."""
        if not self.type_names:
            raise BayescgError(
                "StillingerWeber has no bead types yet. Put the model into a bayescg.Problem with data, or "
                "call prepare with the bead types."
            )
        types, kinds = configuration.topology.types, len(self.type_names)
        around = neighborhood(configuration, self.cutoff, kinds)
        pair = type_pair_index(types[:, None], types[around.other], kinds)
        pairs = 0.5 * jnp.sum(self._two_body(around.distance, pair))
        weight = jnp.sqrt(self.epsilon[pair]) * self._decay(self.decay * self.sigma[pair], around.distance)
        g = weight[..., None] * around.kinds
        return pairs + jnp.sum(jax.vmap(self._angles)(g, around.unit, types))

    def _decay(self, sigma: Array, r: Array) -> Array:
        """h(s, r), zero at the cutoff itself, where padding stands."""
        gap = jnp.minimum(r - self.cutoff, -1e-12 * self.cutoff)
        return jnp.exp(sigma / gap)

    def _two_body(self, r: Array, pair: Array) -> Array:
        sigma = self.sigma[pair]
        x = sigma / r
        powers = self.repulsion * x**self.repulsive_power - x**self.attractive_power
        return self.prefactor * self.epsilon[pair] * powers * self._decay(sigma, r)

    def _angles(self, g: Array, unit: Array, central_type: Array) -> Array:
        """phi3 of one bead; g is (neighbor, neighbor's type), unit (neighbor, dim)."""
        kinds = len(self.type_names)
        of_types = type_pair_index(jnp.arange(kinds)[:, None], jnp.arange(kinds), kinds)
        strength = self.three_body_strength[central_type][of_types]
        c = self.cos_angle[central_type][of_types]
        S, V = jnp.sum(g, axis=0), jnp.einsum("jb,jx->bx", g, unit)
        T = jnp.einsum("jb,jx,jy->bxy", g, unit, unit)
        all_pairs = jnp.einsum("bxy,axy->ba", T, T) - 2 * c * (V @ V.T) + c**2 * jnp.outer(S, S)
        # j = k has cos theta = 1 and stands in the double sum once
        same = jnp.diag(jnp.sum(g**2, axis=0)) * (1 - c) ** 2
        return 0.5 * jnp.sum(strength * (all_pairs - same))
