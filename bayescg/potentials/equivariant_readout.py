"""Readout of the equivariant potential: from invariants of a bead to its energy.

    e_i = a_{t_i} . D_i/n^1/2 + sum_h v_{t_i,h} silu(w_h . D_i/n^1/2)/H^1/2,        silu(x) = x/(1 + e^-x)

D_i are the n products of degree zero. A bead without neighbours has no energy: there are no constants.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float


class Readout(eqx.Module):
    """Energy of a bead of a given type.

    Attributes:
        linear: a.
        hidden: w; None for a linear readout.
        output: v; None likewise.

    Example:
        >>> Readout(jnp.ones((1, 4)), None, None).energies(jnp.ones((2, 4)), jnp.ones((2, 1))).tolist()
        [2.0, 2.0]
    """

    linear: Float[Array, "type descriptor"]
    hidden: Float[Array, "descriptor neuron"] | None
    output: Float[Array, "type neuron"] | None

    def energies(
        self, descriptors: Float[Array, "bead descriptor"], own: Float[Array, "bead type"]
    ) -> Float[Array, " bead"]:
        """Energy of every bead, in the potential's scale.

        Args:
            descriptors: D.
            own: 1 for the type of the bead, 0 for other types.
        """
        inner = descriptors / math.sqrt(descriptors.shape[-1])
        energies = jnp.einsum("id,td,it->i", inner, self.linear, own)
        if self.hidden is None or self.output is None:
            return energies
        neurons = jax.nn.silu(inner @ self.hidden) / math.sqrt(self.hidden.shape[-1])
        return energies + jnp.einsum("ih,th,it->i", neurons, self.output, own)
