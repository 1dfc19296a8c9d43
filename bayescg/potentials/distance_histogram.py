"""Pair energies as sums over a histogram of distances: one pass over the pairs serves every pair potential.

    U = Σ_ab Σ_k H_abk u_ab(r_k),        H_abk = Σ_pairs hat((r_ij - r_k)/h),

distances being shared out between the two nodes beside them. What is left out is h² u''/8 a pair, with
h = cutoff/4096; in differences between potentials, which agree on steep cores, far less.
"""

from typing import Any

import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.interfaces import (
    AbstractPairPotential,
    Configuration,
    LinearSum,
    Sum,
    type_pair_index,
    type_pairs,
)

NODES = 4096
"""Intervals of the histogram, from zero to the cutoff."""

HIGHEST = 1e8
"""kJ/mol; where a pair energy is infinite or higher, at zero distance say. No frame comes there."""

NEAREST = 1e-6
"""nm; where the energy of two beads at one place is looked up."""


def terms_of(potential: Any) -> tuple[Any, ...]:
    """The terms of a sum, or the potential alone.

    Args:
        potential: any.

    Example:
        >>> import bayescg as bcg
        >>> len(terms_of(bcg.potentials.PairSpline(cutoff=0.9) + bcg.potentials.HarmonicBond()))
        2
    """
    return potential.terms if isinstance(potential, Sum | LinearSum) else (potential,)


def histogram_nodes(cutoff: float) -> Float[Array, " node"]:
    """Distances r_k of the nodes, nm.

    Args:
        cutoff: nm.

    Example:
        >>> histogram_nodes(0.9).shape
        (4097,)
    """
    return jnp.linspace(0.0, cutoff, NODES + 1)


def pair_table(
    potential: AbstractPairPotential, nodes: Float[Array, " node"], kinds: int
) -> Float[Array, "type_pair node"]:
    """Pair energies at some nodes, kJ/mol; differentiable in the parameters.

    Args:
        potential: prepared.
        nodes: distances, nm.
        kinds: number of bead types.

    Example:
        >>> import bayescg as bcg
        >>> argon = bcg.potentials.LennardJones([0.9], [0.34], 1.2, ("Ar",))
        >>> pair_table(argon, histogram_nodes(1.2), 1).shape
        (1, 4097)
    """

    def of_pair(first: int, second: int) -> Array:
        one = jax.vmap(lambda r: potential.pair_energy(r, jnp.asarray(first), jnp.asarray(second)))
        values = jnp.where(nodes < potential.cutoff, one(jnp.maximum(nodes, NEAREST)), 0.0)
        return jnp.clip(jnp.nan_to_num(values, nan=HIGHEST), -HIGHEST, HIGHEST)

    return jnp.stack([of_pair(a, b) for a, b in type_pairs(kinds)])


def distance_histogram(configuration: Configuration, cutoff: float) -> Float[Array, " place"]:
    """H of one configuration, every pair once; type pairs one after another.

    Args:
        configuration: with neighbours valid for the cutoff.
        cutoff: nm.

    Example:
        >>> import bayescg as bcg
        >>> beads = bcg.data.topology(bcg.data.water(frames=1).isel(bead=[0, 1]))
        >>> x = jnp.array([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0]])
        >>> two = Configuration(x, None, jnp.array([[1], [0]]), beads)
        >>> float(distance_histogram(two, 0.6).sum())
        1.0
    """
    positions, neighbors, box = configuration.positions, configuration.neighbors, configuration.box
    beads, topology = positions.shape[0], configuration.topology
    other = jnp.minimum(neighbors, beads - 1)
    squared = jnp.zeros(neighbors.shape)
    for axis in range(positions.shape[1]):
        column = positions[:, axis]
        step = column.at[other].get(mode="promise_in_bounds") - column[:, None]
        if box is not None:
            step -= box[axis] * jnp.round(step / box[axis])
        squared += step * step
    kinds = len(topology.type_names)
    kind = type_pair_index(topology.types[:, None], topology.types[other], kinds)
    place = jnp.sqrt(squared) * (NODES / cutoff)
    inside = (neighbors < beads) & (place < NODES)
    left = jnp.where(inside, place, 0).astype(jnp.int32)
    share = jnp.where(inside, place - left, 0.0)
    half = jnp.where(inside, 0.5, 0.0)  # every pair stands in two rows
    at = kind * (NODES + 1) + left
    empty = jnp.zeros(len(type_pairs(kinds)) * (NODES + 1))
    filled = empty.at[at].add(half * (1 - share), mode="promise_in_bounds")
    return filled.at[at + 1].add(half * share, mode="promise_in_bounds")
