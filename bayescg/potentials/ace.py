"""ACE: the atomic cluster expansion, a many-body energy of every bead, linear in its coefficients.

    U = sum_i sum_f theta_f D_f(i),        A_i,(b n),lm = sum_{j of type b} R_n(r_ij) Y_lm(u_ij),
    R_n(r) = T_n(2 r/cutoff - 1) (1 - r²/cutoff²)³,

T_n being Chebyshev polynomials and D_f the invariant products of one, two (power spectrum) or three
(bispectrum) moments A (`density_products`), for every type of bead i. Every R_n vanishes at the cutoff with
its first two derivatives. A product of nu moments is a sum over nu neighbours: an (nu+1)-body energy. As
usual in this expansion one neighbour may stand for several, so the products hold lower orders as well.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, one_of, positive, require, whole
from bayescg._typing import Array, Float, NumpyArray
from bayescg.interfaces import AbstractLinearPotential, Configuration, Support
from bayescg.potentials.density_products import Group, descriptors, factors, groups
from bayescg.potentials.neighbor_density import NeighborDensity, neighbor_density


class ACE(AbstractLinearPotential):
    """A linear many-body potential for every type of bead.

    Attributes:
        cutoff: nm; energy and its first two derivatives vanish there.
        radial: number of radial functions.
        angular: largest degree of the spherical harmonics.
        order: largest number of moments in a product: 2 for three-body, 3 for four-body energies.
        degree: largest sum of n + l over the moments of a product; None for radial + angular.
        chiral: whether the energy may differ between mirror images; only products of order 3 do.
        type_names: bead types; set by `prepare`.
        coefficients: kJ/mol; set by `prepare`.

    Raises:
        BayescgError: an order other than 1, 2 or 3, a chiral potential of lower order than 3, or a number
            that is not positive.

    References:
        R. Drautz, Phys. Rev. B 99, 014104 (2019), doi:10.1103/PhysRevB.99.014104.
        G. Dusson et al., J. Comput. Phys. 454, 110946 (2022), doi:10.1016/j.jcp.2022.110946.

    Example:
        >>> import bayescg as bcg
        >>> many = bcg.potentials.ACE(cutoff=0.6, radial=4, angular=2, order=2)
        >>> many.prepare(bcg.interfaces.Support(("W",), (0.25,))).coefficients.shape
        (1, 26)
    """

    cutoff: float = eqx.field(static=True)
    radial: int = eqx.field(static=True, default=5)
    angular: int = eqx.field(static=True, default=3)
    order: int = eqx.field(static=True, default=2)
    degree: int | None = eqx.field(static=True, default=None)
    chiral: bool = eqx.field(static=True, default=False)
    type_names: tuple[str, ...] = eqx.field(static=True, default=())
    coefficients: Float[Array, "type descriptor"] | None = None

    def __check_init__(self) -> None:
        positive("cutoff", self.cutoff, unit="nm")
        whole("radial", self.radial)
        whole("angular", self.angular, minimum=0)
        one_of("order", self.order, (1, 2, 3))
        if self.degree is not None:
            whole("degree", self.degree)
        require(
            self.order == 3 or not self.chiral,
            f"chiral needs products of order 3, got order {self.order}: fewer than three neighbours look "
            "the same in a mirror. Take order=3.",
        )

    def prepare(self, support: Support) -> "ACE":
        """Allocate the coefficients: zeros."""
        support.check_types(self.type_names)
        allocated = ACE(
            self.cutoff,
            self.radial,
            self.angular,
            self.order,
            self.degree,
            self.chiral,
            support.type_names,
        )
        shape = (len(support.type_names), allocated.orders.size)
        return eqx.tree_at(
            lambda a: a.coefficients, allocated, jnp.zeros(shape), is_leaf=lambda leaf: leaf is None
        )

    @property
    def products(self) -> tuple[Group, ...]:
        """What the descriptors are products of."""
        return groups(
            types=len(self.type_names),
            radial=self.radial,
            angular=self.angular,
            order=self.order,
            degree=self.radial + self.angular if self.degree is None else self.degree,
            chiral=self.chiral,
        )

    @property
    def orders(self) -> NumpyArray:
        """Number of moments in every descriptor."""
        return np.repeat(
            [len(group.degrees) for group in self.products], [len(group.channels) for group in self.products]
        )

    @property
    def total_degrees(self) -> NumpyArray:
        """Sum of n + l of every descriptor."""
        return np.array(
            [
                sum(group.degrees) + sum(c % self.radial for c in channels)
                for group in self.products
                for channels in group.channels
            ]
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Central type; moments of every descriptor as neighbour's type, n and l."""
        names = [
            " ".join(
                f"{self.type_names[c // self.radial]}:{c % self.radial}:{l}"
                for c, l in zip(channels, group.degrees, strict=True)
            )
            for group in self.products
            for channels in group.channels
        ]
        return {"coefficients": {"type": list(self.type_names), "descriptor": names}}

    def coefficient_paths(self) -> tuple[str, ...]:
        """The coefficients are the features."""
        return ("coefficients",)

    def descriptors(self, configuration: Configuration) -> Float[Array, "bead descriptor"]:
        """D of every bead."""
        return descriptors(self._density(configuration).moments(), self.products)

    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Sum over beads, kJ/mol; shape ()."""
        theta = self._allocated()[configuration.topology.types]
        return jnp.sum(self.descriptors(configuration) * theta)

    def basis_forces(self, configuration: Configuration) -> Float[Array, "bead dim feature"]:
        """Forces of the descriptors, 1/nm."""
        density = self._density(configuration)
        parts = factors(density.moments(), self.products)
        forces = density.descriptor_forces(parts, self.orders.size)
        return forces.reshape(*configuration.positions.shape, -1)

    def radial_functions(self, distance: Float[Array, ""]) -> Float[Array, " radial"]:
        """R_n of one distance in nm."""
        s = distance / self.cutoff
        x = 2 * s - 1
        values = [jnp.ones_like(x), x]
        while len(values) < self.radial:  # T_n+1 = 2 x T_n - T_n-1
            values.append(2 * x * values[-1] - values[-2])
        return jnp.stack(values[: self.radial]) * jnp.maximum(1 - s**2, 0.0) ** 3

    def _density(self, configuration: Configuration) -> NeighborDensity:
        self._allocated()
        return neighbor_density(
            configuration,
            self.radial_functions,
            cutoff=self.cutoff,
            degree=self.angular,
            type_count=len(self.type_names),
        )

    def _allocated(self) -> Array:
        if self.coefficients is None:
            raise BayescgError(
                "ACE has no coefficients yet. Put the model into a bayescg.Problem with data, or call "
                "prepare with the bead types."
            )
        return self.coefficients
