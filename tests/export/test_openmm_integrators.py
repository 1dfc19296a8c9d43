"""The generalized Langevin equation in OpenMM against the one in JAX, step by step, and its noise."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest
from scipy.linalg import expm

from bayescg._checks import BayescgError
from bayescg.dynamics.gle import GLEState, bath, gle
from bayescg.export.openmm_integrators import openmm_integrator
from bayescg.interfaces import Topology
from bayescg.memory import Prony, extended_drift

MEMORY = Prony(2, times=[0.02, 0.3], frictions=[40.0, 120.0])
SPRING, TIMESTEP = 900.0, 0.01
MASSES = np.array([12.0, 30.0])


def system_of(beads, *, spring):
    masses = np.resize(MASSES, beads)
    force = openmm.CustomExternalForce(f"0.5*{spring}*(x^2 + y^2 + z^2)")
    system = openmm.System()
    for index, mass in enumerate(masses.tolist()):
        system.addParticle(mass)
        force.addParticle(index, [])
    system.addForce(force)
    nobody = jnp.zeros((0, 2), int)
    return system, Topology(jnp.zeros(beads, int), jnp.asarray(masses), jnp.arange(beads), nobody, ("A",))


def begun(system, integrator, x, v, z):
    # through XML, as the engine has it
    integrator = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(integrator))
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(x)
    context.setVelocities(v)
    for mode in range(z.shape[-1]):
        integrator.setPerDofVariableByName(f"z{mode + 1}", z[..., mode].tolist())
    return context, integrator


def state_of(context, integrator, modes=2):
    state = context.getState(getPositions=True, getVelocities=True)
    x, v = state.getPositions(asNumpy=True)._value, state.getVelocities(asNumpy=True)._value
    z = [
        np.array([list(row) for row in integrator.getPerDofVariableByName(f"z{mode + 1}")])
        for mode in range(modes)
    ]
    return x, v, np.stack(z, axis=-1)


@pytest.fixture
def start():
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=(4, 3, 2))


@pytest.mark.parametrize("masses", [1, 2])
def test_cold_steps_are_those_of_the_integrator_in_jax(start, masses):
    """Without noise both are deterministic: positions, velocities and auxiliary variables after 40 steps."""
    system, topology = system_of(4, spring=SPRING)
    if masses == 1:
        topology = eqx.tree_at(lambda t: t.masses, topology, jnp.full(4, MASSES[0]))
        for bead in range(4):
            system.setParticleMass(bead, MASSES[0])
    cold = {"temperature": 1e-30, "timestep": TIMESTEP}
    integrator = openmm_integrator(topology=topology, friction=None, memory=MEMORY, **cold)
    context, integrator = begun(system, integrator, *start)
    integrator.step(40)
    found = state_of(context, integrator)
    kind = jnp.arange(4) % masses
    ou = bath(MEMORY, jnp.asarray(MASSES[:masses]), kind, **cold)
    _, apply = gle(lambda x, neighbors: -SPRING * x, lambda x, dx: x + dx, timestep=TIMESTEP, bath=ou)
    x, v, z = map(jnp.asarray, start)
    m = topology.masses
    state = GLEState(x, m[:, None] * v, -SPRING * x, z, jax.random.key(0))
    state = jax.jit(lambda s: jax.lax.fori_loop(0, 40, lambda _, s: apply(s, mass=m, neighbors=None), s))(
        state
    )
    expected = state.position, state.momentum / m[:, None], state.auxiliary
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)  # rounding of 40 steps


def test_noise_of_one_step_has_the_exact_covariance():
    """Free beads at rest: Cov(v, z) after a step is C - E C E', to the error of the sample."""
    beads, temperature = 4000, 300.0
    system, topology = system_of(beads, spring=0.0)
    integrator = openmm_integrator(
        topology=topology, friction=None, memory=MEMORY, temperature=temperature, timestep=TIMESTEP
    )
    integrator.setRandomNumberSeed(5)
    rest = np.zeros((beads, 3))
    context, integrator = begun(system, integrator, rest, rest, np.zeros((beads, 3, 2)))
    integrator.step(1)
    _, v, z = state_of(context, integrator)
    states = np.concatenate([v[..., None], z], axis=-1)
    for kind, mass in enumerate(MASSES):
        sample = states[kind::2].reshape(-1, 3)
        A, _, C = (np.asarray(part) for part in extended_drift(MEMORY, mass, temperature))
        E = expm(-A * TIMESTEP)
        exact = C - E @ C @ E.T
        size = np.sqrt(np.diag(exact))
        found = sample.T @ sample / len(sample)
        # a covariance's standard error is at most sqrt(2/n) of the product of the widths
        assert (np.abs(found - exact) < 5 * np.sqrt(2 / len(sample)) * np.outer(size, size)).all()
        wrong = np.diag(np.diag(exact))  # negative control: without correlations
        assert not (np.abs(found - wrong) < 5 * np.sqrt(2 / len(sample)) * np.outer(size, size)).all()


def test_thermostats_that_openmm_lacks_are_named():
    _, topology = system_of(2, spring=0.0)
    settings = {"topology": topology, "temperature": 300.0, "timestep": 0.01, "memory": None}
    with pytest.raises(BayescgError, match="'csvr'"):
        openmm_integrator(**settings, friction=1.0, thermostat="csvr")
    names = [
        type(openmm_integrator(**settings, friction=1.0, thermostat=t)).__name__
        for t in ("nose-hoover", None)
    ]
    assert names == ["NoseHooverIntegrator", "VerletIntegrator"]
