"""ThreeBodySpline: an energy of pairs of neighbours and the angle between them, linear in its coefficients.

    U = sum_i sum_{j<k} sum_{nn'l} theta_nn'l [R_n(r_ij) R_n'(r_ik) + R_n'(r_ij) R_n(r_ik)] P_l(cos theta_jik)

(a product with n = n' once), for every type of bead i and every pair of types of j and k. R_n are cubic
B-splines, bumps four grid intervals wide; the last ends at the cutoff with its value, slope and curvature.
P_l are Legendre polynomials. In the moments A of the neighbour density

    sum_{jk} R_n(r_ij) R_n'(r_ik) P_l = sum_m A_n,lm A_n',lm,

and the terms j = k, which are a pair potential, are taken away: two beads alone have no energy here.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, positive, require, whole
from bayescg._typing import Array, Float, NumpyArray
from bayescg.interfaces import AbstractLinearPotential, Configuration, Support
from bayescg.potentials.neighbor_density import Factor, NeighborDensity, neighbor_density


class ThreeBodySpline(AbstractLinearPotential):
    """A three-body potential for every central type and pair of neighbours' types.

    Attributes:
        cutoff: of both sides of the angle, nm; energy and its first two derivatives vanish there.
        radial: number of radial functions.
        angular: largest degree of the Legendre polynomials.
        start: center of the first radial function, nm; None for the shortest distance in the data.
        first: center in use, nm; set by `prepare`.
        type_names: bead types; set by `prepare`.
        coefficients: kJ/mol; set by `prepare`.

    Raises:
        BayescgError: fewer than two radial functions, or a start not inside the cutoff.

    References:
        L. Larini, L. Lu, G. A. Voth, J. Chem. Phys. 132, 164107 (2010), doi:10.1063/1.3394863.
        R. Drautz, Phys. Rev. B 99, 014104 (2019), doi:10.1103/PhysRevB.99.014104.

    Example:
        >>> import bayescg as bcg
        >>> angles = bcg.potentials.ThreeBodySpline(cutoff=0.45, radial=4, angular=3)
        >>> angles.prepare(bcg.interfaces.Support(("W",), (0.25,))).coefficients.shape
        (1, 10, 4)
    """

    cutoff: float = eqx.field(static=True)
    radial: int = eqx.field(static=True, default=4)
    angular: int = eqx.field(static=True, default=3)
    start: float | None = eqx.field(static=True, default=None)
    first: float | None = eqx.field(static=True, default=None)
    type_names: tuple[str, ...] = eqx.field(static=True, default=())
    coefficients: Float[Array, "type channel_pair degree"] | None = None

    def __check_init__(self) -> None:
        positive("cutoff", self.cutoff, unit="nm")
        whole("radial", self.radial, minimum=2)
        whole("angular", self.angular, minimum=0)
        for start in (self.start, self.first):
            require(
                start is None or 0 <= start < self.cutoff,
                f"start must lie between 0 and the cutoff of {self.cutoff} nm, got {start} nm. Give the "
                "shortest distance that the beads reach, or a larger cutoff.",
            )

    def prepare(self, support: Support) -> "ThreeBodySpline":
        """Allocate the coefficients: zeros."""
        support.check_types(self.type_names)
        first = self.start
        if first is None:
            known = [value for value in support.shortest if np.isfinite(value)]
            known += [] if self.first is None else [self.first]  # prepared for other data before
            require(
                bool(known),
                "ThreeBodySpline needs the shortest distance of the data, got none. Give a start in nm.",
            )
            first = min(known)
        count = len(support.type_names)
        shape = (count, len(_channel_pairs(count * self.radial)), self.angular + 1)
        return ThreeBodySpline(
            self.cutoff,
            self.radial,
            self.angular,
            self.start,
            first,
            support.type_names,
            jnp.zeros(shape, dtype=float),
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Central type, the two neighbours' types with their radial functions, degree of the polynomial."""
        channels = [f"{name}{n}" for name in self.type_names for n in range(self.radial)]
        pairs = [f"{channels[c]}-{channels[d]}" for c, d in _channel_pairs(len(channels))]
        labels = {
            "type": list(self.type_names),
            "channel_pair": pairs,
            "degree": np.arange(self.angular + 1),
        }
        return {"coefficients": labels}

    def coefficient_paths(self) -> tuple[str, ...]:
        """The coefficients are the features."""
        return ("coefficients",)

    def descriptors(self, configuration: Configuration) -> Float[Array, "bead channel_pair degree"]:
        """What every bead multiplies the coefficients of its type with."""
        first, second = self._pairs()
        density = self._density(configuration)
        products = [jnp.sum(A[:, first] * A[:, second], axis=-1) for A in density.moments()]
        same = self._same(configuration).moments()[0][..., 0]
        alone = jnp.zeros_like(products[0]).at[:, self._alone()].set(same)
        return self._weights() * (jnp.stack(products, axis=-1) - alone[..., None])

    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Sum over triples of beads, kJ/mol; shape ()."""
        theta = self._allocated()[configuration.topology.types]
        return jnp.sum(self.descriptors(configuration) * theta)

    def basis_forces(self, configuration: Configuration) -> Float[Array, "bead dim feature"]:
        """Forces of the basis, 1/nm."""
        first, second = self._pairs()
        density, degrees = self._density(configuration), self.angular + 1
        channel, number = np.append(first, second), np.tile(np.arange(first.size), 2)
        factors = [
            Factor(l, channel, degrees * number + l, A[:, np.append(second, first)])
            for l, A in enumerate(density.moments())
        ]
        products = density.descriptor_forces(factors, first.size * degrees)
        forces = products.reshape(*products.shape[:-1], -1, degrees)
        same = self._same(configuration)
        one = jnp.ones_like(same.moments()[0])
        channel = np.arange(one.shape[1])
        alone = same.descriptor_forces([Factor(0, channel, channel, one)], channel.size)
        forces = self._weights() * forces.at[..., self._alone(), :].add(-alone[..., None])
        return forces.reshape(*configuration.positions.shape, -1)

    def radial_functions(self, distance: Float[Array, ""]) -> Float[Array, " radial"]:
        """R_n of one distance in nm."""
        first = self.cutoff if self.first is None else self.first
        width = (self.cutoff - first) / (self.radial + 1)
        y = jnp.abs((distance - first) / width - jnp.arange(self.radial))
        near, far = jnp.maximum(1 - y, 0.0), jnp.maximum(2 - y, 0.0)
        return (far**3 - 4 * near**3) / 6

    def _pairs(self) -> NumpyArray:
        """Channels of the first and the second neighbour of every pair, (2, channel_pair)."""
        return np.array(_channel_pairs(len(self.type_names) * self.radial)).T

    def _alone(self) -> NumpyArray:
        """Places of the pairs of one type of neighbour, which may be the same bead twice."""
        first, second = self._pairs()
        return np.flatnonzero(first // self.radial == second // self.radial)

    def _weights(self) -> Array:
        """One half where both neighbours stand in the same channel: each pair of them is met twice."""
        first, second = self._pairs()
        return jnp.asarray(np.where(first == second, 0.5, 1.0))[:, None]

    def _density(self, configuration: Configuration) -> NeighborDensity:
        self._allocated()
        return neighbor_density(
            configuration,
            self.radial_functions,
            cutoff=self.cutoff,
            degree=self.angular,
            type_count=len(self.type_names),
        )

    def _same(self, configuration: Configuration) -> NeighborDensity:
        """The density in products R_n R_n': one neighbour counted as both."""
        first, second = np.array(_channel_pairs(self.radial)).T

        def products(distance: Array) -> Array:
            values = self.radial_functions(distance)
            return values[first] * values[second]

        return neighbor_density(
            configuration, products, cutoff=self.cutoff, degree=0, type_count=len(self.type_names)
        )

    def _allocated(self) -> Array:
        if self.coefficients is None:
            raise BayescgError(
                "ThreeBodySpline has no coefficients yet. Put the model into a bayescg.Problem with data, or "
                "call prepare with the bead types."
            )
        return self.coefficients


def _channel_pairs(channels: int) -> list[tuple[int, int]]:
    """Every unordered pair of channels, the lower one first."""
    return [(c, d) for c in range(channels) for d in range(c, channels)]
