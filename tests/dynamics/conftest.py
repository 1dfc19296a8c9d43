"""Small systems with known answers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg._typing import Array
from bayescg.dynamics import simulate_ensemble
from bayescg.interfaces import (
    AbstractObservable,
    AbstractPairPotential,
    AbstractPotential,
    Topology,
)
from bayescg.model import Model
from bayescg.numerics.host_loop import HostLoop

QUIET = HostLoop(progress=False)


class SoftSphere(AbstractPairPotential):
    """u = k (1 - r/c)^3, smooth at the cutoff."""

    stiffness: Array
    cutoff: float = eqx.field(static=True)

    def prepare(self, support):
        return self

    def coordinates(self):
        return {"stiffness": {}}

    def pair_energy(self, distance, first_type, second_type):
        return self.stiffness * jnp.maximum(1 - distance / self.cutoff, 0.0) ** 3


class Tether(AbstractPotential):
    """Every bead on a spring of its own, U = k/2 sum x^2: no pair potential, an open system."""

    stiffness: Array
    cutoff: float = eqx.field(static=True, default=0.1)

    def prepare(self, support):
        return self

    def coordinates(self):
        return {"stiffness": {}}

    def energy(self, configuration):
        return 0.5 * self.stiffness * jnp.sum(configuration.positions**2)


class MeanSquare(AbstractObservable):
    """<x^2> per component, nm^2."""

    name: str = eqx.field(static=True, default="mean_square")
    units: str = eqx.field(static=True, default="nm^2")

    def prepare(self, topology, box):
        return self

    def coordinates(self, topology):
        return {"dim": ["x", "y", "z"]}

    def measure(self, configuration):
        return jnp.mean(configuration.positions**2, axis=0)


@pytest.fixture
def make_topology():
    def make(beads, *, kinds=1, mass=18.0):
        return Topology(
            jnp.arange(beads) % kinds,
            jnp.full(beads, mass),
            jnp.arange(beads),
            jnp.zeros((0, 2), dtype=int),
            tuple("ABC"[:kinds]),
        )

    return make


@pytest.fixture
def lattice():
    def make(side, edge):
        """side^3 beads on a cubic lattice in a box."""
        line = (np.arange(side) + 0.5) * edge / side
        return np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)

    return make


@pytest.fixture
def run(make_topology):
    """simulate_ensemble with everything small."""

    def go(potentials, start, *, box=None, mass=18.0, steps=200, loop=QUIET, memory=None, **settings):
        defaults = {
            "temperature": 300.0,
            "timestep": 0.005,
            "equilibration": 0,
            "friction": 2.0 if memory is None else None,
            "observables": (),
            "measure_every": 10,
            "key": jax.random.key(0),
            "records": 4,
        }
        return simulate_ensemble(
            [Model(potential, memory) for potential in potentials],
            start,
            box=box,
            topology=make_topology(np.shape(start)[1], mass=mass),
            steps=steps,
            loop=loop,
            **(defaults | settings),
        )

    return go


@pytest.fixture
def soft_sphere():
    return lambda stiffness, cutoff: SoftSphere(jnp.asarray(stiffness, float), cutoff)


@pytest.fixture
def tether():
    return lambda stiffness: Tether(jnp.asarray(stiffness, float))


@pytest.fixture
def mean_square():
    return MeanSquare()
