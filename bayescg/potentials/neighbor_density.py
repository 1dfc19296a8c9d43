"""NeighborDensity: the beads around every bead, expanded in radial functions and spherical harmonics.

    A_i,(b n),lm = sum_{j of type b} R_n(r_ij) Y_lm(u_ij)

A channel is a neighbour's type b with a radial function n. Products of A summed over m are sums over
several neighbours of one bead, at a cost linear in their number. A descriptor D_f of the centers of type a
has derivatives P_f,i = ∂D_f/∂A_i with respect to the moments it is made of. Newton's third law and the
parity of Y, phi(-d) = (-1)^l phi(d), leave for the force on bead k only sums over its own neighbours:

    F_k = sum_j sum_{nlm} ∇phi_nlm(d_kj) [P_k,(t_j n),lm [t_k = a] + (-1)^l P_j,(t_k n),lm [t_j = a]].
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float, NumpyArray
from bayescg.interfaces import Configuration
from bayescg.potentials.harmonics import harmonics
from bayescg.potentials.neighborhood import Neighborhood, neighborhood

RadialFunctions = Callable[[Array], Array]
"""From one distance, nm, to the values of all radial functions; twice differentiable, zero at the cutoff."""


class Factor(NamedTuple):
    """Descriptors that contain a moment, and their derivative with respect to it.

    Attributes:
        degree: l of the moments.
        channel: (factor,) channel of the moment.
        descriptor: (factor,) number of the descriptor; one that holds several moments stands several times.
        partner: derivative of the descriptor by the moments m = -l..l of the channel.
    """

    degree: int
    channel: NumpyArray
    descriptor: NumpyArray
    partner: Float[Array, "bead factor order"]


class NeighborDensity(NamedTuple):
    """The neighbours of all beads of one frame, and the functions they are expanded in.

    Attributes:
        around: neighbours within the cutoff.
        types: of the beads.
        radial: the radial functions.
        degree: largest l.
    """

    around: Neighborhood
    types: Array
    radial: RadialFunctions
    degree: int

    def moments(self) -> tuple[Float[Array, "bead channel order"], ...]:
        """A of every bead, one array for every l."""
        return tuple(
            jnp.einsum("ijb,ijnm->ibnm", self.around.kinds, part).reshape(part.shape[0], -1, part.shape[-1])
            for part in jax.vmap(jax.vmap(self._functions))(self.around.displacement)
        )

    def descriptor_forces(
        self, factors: Sequence[Factor], count: int
    ) -> Float[Array, "bead dim type descriptor"]:
        """-dD_f/dx, 1/nm, of every descriptor summed over the centers of every type.

        Args:
            factors: all moments that the descriptors are products of, with their derivatives.
            count: number of descriptors.
        """
        gradients = jax.vmap(jax.vmap(jax.jacfwd(self._functions)))(self.around.displacement)
        kinds = self.around.kinds
        own = jax.nn.one_hot(self.types, kinds.shape[-1], dtype=kinds.dtype)
        radials, blocks, places = gradients[0].shape[2], [], []
        for factor in factors:
            for n in range(radials):
                chosen = np.flatnonzero(factor.channel % radials == n)
                if chosen.size == 0:
                    continue
                slopes = gradients[factor.degree][:, :, n]
                partner, kind = factor.partner[:, chosen], factor.channel[chosen] // radials
                as_center = jnp.einsum("kdbm,kfm->kdfb", jnp.einsum("kjmd,kjb->kdbm", slopes, kinds), partner)
                as_center = as_center[..., np.arange(chosen.size), kind]
                as_neighbor = (
                    self._felt(slopes, partner) * ((-1) ** factor.degree * own[:, kind])[:, None, None]
                )
                blocks.append(as_center[:, :, None] * own[:, None, :, None] + as_neighbor)
                places.append(factor.descriptor[chosen])
        rows = jnp.concatenate(blocks, axis=-1)
        forces = jnp.zeros((*rows.shape[:-1], count), rows.dtype)
        return forces.at[..., np.concatenate(places)].add(rows)

    def _felt(self, slopes: Array, partner: Array) -> Array:
        """What the neighbours as centers, by their type, do to every bead; (bead, dim, type, factor)."""
        kinds = self.around.kinds
        gathered = partner[self.around.other]
        of_types = [
            jnp.einsum("kjmd,kjfm->kdf", slopes * kinds[:, :, a, None, None], gathered)
            for a in range(kinds.shape[-1])
        ]
        return jnp.stack(of_types, axis=2)

    def _functions(self, displacement: Array) -> tuple[Array, ...]:
        """phi_nlm of one neighbour, (radial, order) for every l."""
        r = jnp.sqrt(jnp.sum(displacement**2))
        values = self.radial(r)
        return tuple(values[:, None] * part for part in harmonics(displacement / r, self.degree))


def neighbor_density(
    configuration: Configuration, radial: RadialFunctions, *, cutoff: float, degree: int, type_count: int
) -> NeighborDensity:
    """Expand the neighbours of every bead.

    Args:
        configuration: one frame, in three dimensions.
        radial: the radial functions.
        cutoff: nm.
        degree: largest l.
        type_count: number of bead types.

    Example:
        >>> from bayescg.configuration import Topology
        >>> two = jnp.array([0, 0])
        >>> beads = Topology(two, jnp.ones(2), two, jnp.zeros((0, 2), int), ("A",))
        >>> x = jnp.array([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
        >>> frame = Configuration(x, None, jnp.array([[1], [0]]), beads)
        >>> found = neighbor_density(frame, lambda r: (1 - r)[None] ** 3, cutoff=1.0, degree=1, type_count=1)
        >>> found.moments()[1][:, 0].tolist()
        [[0.0, 0.0, 0.125], [0.0, 0.0, -0.125]]
    """
    around = neighborhood(configuration, cutoff, type_count)
    return NeighborDensity(around, configuration.topology.types, radial, degree)
