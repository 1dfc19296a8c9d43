"""Configurations whose neighbours are known."""

import jax.numpy as jnp
import numpy as np

from bayescg.interfaces import Configuration, Topology


def cubic(side, edge=1.0, *, basis=((0.0, 0.0, 0.0),)):
    """Positions of a cubic lattice with side^3 cells of this edge, and the box."""
    cells = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    return ((cells + np.asarray(basis)).reshape(-1, 3) + 0.25) * edge, np.full(3, side * edge)


def frame_of(positions, box, types=None, *, molecules=None, temperature=None):
    """A configuration without neighbours."""
    beads = len(positions)
    types = np.zeros(beads, int) if types is None else np.asarray(types)
    topology = Topology(
        jnp.asarray(types),
        jnp.ones(beads),
        jnp.arange(beads) if molecules is None else jnp.asarray(molecules),
        jnp.zeros((0, 2), int),
        tuple("ABC"[: types.max() + 1]),
    )
    edges = None if box is None else jnp.asarray(box, float)
    return Configuration(jnp.asarray(positions), edges, jnp.zeros((beads, 0), int), topology, temperature)
