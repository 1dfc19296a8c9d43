"""The virial of one draw's forces, from the tables where there are tables.

    W = sum over pairs of r F(r)  =  -1/2 sum_i sum_j u'(r_ij) r_ij,

and for every other potential the derivative of its energy when positions and box grow evenly,

    W = -dU((1 + s) x, (1 + s) L)/ds   at s = 0.

The pressure in d dimensions is (N kT + W/d)/V.
"""

import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.dynamics.neighbors import Neighbors
from bayescg.dynamics.pair_forces import ForceField
from bayescg.interfaces import Configuration, Topology, neighbor_distances


def virial(
    field: ForceField,
    positions: Float[Array, "bead dim"],
    *,
    box: Float[Array, " dim"],
    neighbors: Neighbors,
    topology: Topology,
) -> Float[Array, ""]:
    """W, kJ/mol, summed in float64.

    Args:
        field: from `bayescg.dynamics.pair_forces.force_field`.
        positions: nm.
        box: edge lengths, nm.
        neighbors: a list that is valid at these positions.
        topology: for potentials without tables.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.dynamics.neighbors import find_neighbors
        >>> from bayescg.dynamics.pair_forces import force_field
        >>> field = force_field(bcg.potentials.LennardJones([0.997], [0.34], 1.2, ("Ar",)), 1)
        >>> pair = Topology(jnp.zeros(2, int), jnp.ones(2), jnp.arange(2), jnp.zeros((0, 2), int), ("Ar",))
        >>> x, box = jnp.array([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0]]), jnp.full(3, 3.0)
        >>> near = find_neighbors(x, box=box, topology=pair, reach=1.2, capacity=1)
        >>> round(float(virial(field, x, box=box, neighbors=near, topology=pair)))  # 0.3 nm times 547
        164
    """
    total = jnp.zeros((), float)
    if field.tables:
        in_places = Configuration(positions[neighbors.order], box, neighbors.rows, topology)
        distance, present = neighbor_distances(in_places)
        for table in field.tables:
            slope = table.slope(distance, neighbors.pairs)
            within = present & (distance > 0) & (distance < table.cutoff)
            total -= 0.5 * jnp.sum(jnp.where(within, slope * distance, 0.0), dtype=float)
    for potential in field.others:

        def energy(positions: Array, box: Array, potential=potential) -> Array:
            return potential.energy(Configuration(positions, box, neighbors.indices, topology))

        _, growth = jax.jvp(energy, (positions, box), (positions, box))
        total -= growth.astype(float)
    return total
