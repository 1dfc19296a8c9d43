"""Small configurations and allocated potentials that the tests of many-body potentials share."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg.interfaces import Configuration, Support, Topology
from bayescg.model import with_values
from bayescg.numerics.pairs import neighbor_matrix, pairs_within
from tests.potentials.test_contract import CUTOFF, START

ONE, TWO = ("A",), ("A", "B")


def prepared(potential, types, seed=0):
    """Allocated, with random coefficients."""
    potential = potential.prepare(Support(types, (START,) * (len(types) * (len(types) + 1) // 2)))
    drawn = np.random.default_rng(seed).normal(size=potential.coefficients.shape)
    return with_values(potential, {"coefficients": drawn})


def free(positions, type_names=ONE, kinds=None, cutoff=CUTOFF):
    """Beads in the open, with room for all in each other's list."""
    x = np.asarray(positions, dtype=float)
    neighbors = neighbor_matrix(pairs_within(x, None, cutoff), len(x), len(x))
    kinds = np.zeros(len(x), dtype=int) if kinds is None else np.asarray(kinds)
    topology = Topology(
        jnp.asarray(kinds), jnp.ones(len(x)), jnp.arange(len(x)), jnp.zeros((0, 2), dtype=int), type_names
    )
    return Configuration(jnp.asarray(x), None, jnp.asarray(neighbors), topology)


def geometry(frame):
    """Distances and displacements of all pairs, in plain numbers."""
    x = np.asarray(frame.positions)
    step = x[None] - x[:, None]
    if frame.box is not None:
        step = step - np.asarray(frame.box) * np.round(step / np.asarray(frame.box))
    return np.linalg.norm(step, axis=-1), step


@eqx.filter_jit
def rows_of(potential, frame):
    """Basis forces, compiled."""
    return potential.basis_forces(frame)


@eqx.filter_jit
def descriptors_of(potential, frame):
    """Descriptors of every bead, compiled."""
    return potential.descriptors(frame)
