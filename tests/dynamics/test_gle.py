"""The integrator of the generalized Langevin equation against exact laws of linear systems and of Boltzmann.

Independent walkers are beads of one system that do not interact, so that errors follow from their number.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.stats import kstest

from bayescg.dynamics.gle import bath, gle, ornstein_uhlenbeck
from bayescg.memory import Markovian, Prony, extended_drift
from bayescg.units import thermal_energy

TEMPERATURE, MASS = 300.0, 12.0
KT = thermal_energy(TEMPERATURE)
TWO_MODES = Prony(2, times=[0.02, 0.3], frictions=[40.0, 120.0])
WALKERS = 1000


def bath_of(memory, timestep, masses=(MASS,), beads=WALKERS):
    kind = jnp.arange(beads) % len(masses)
    return eqx.filter_jit(bath)(memory, jnp.asarray(masses), kind, temperature=TEMPERATURE, timestep=timestep)


def follow(ou, force, *, timestep, steps, every, key=0, masses=(MASS,), start=0.0):
    """Positions, momenta and auxiliary variables of all walkers, every so many steps."""
    beads = ou.kind.size
    mass = jnp.asarray(masses)[ou.kind]
    init, apply = gle(lambda x, neighbors: force(x), lambda x, dx: x + dx, timestep=timestep, bath=ou)

    @jax.jit
    def run(key):
        def stretch(state, _):
            state = jax.lax.fori_loop(0, every, lambda _, s: apply(s, mass=mass, neighbors=None), state)
            return state, (state.position[:, 0], state.momentum[:, 0], state.auxiliary[:, 0])

        state = init(key, jnp.full((beads, 1), start), mass=mass, neighbors=None)
        return jax.lax.scan(stretch, state, length=steps // every)[1]

    return tuple(np.asarray(a) for a in run(jax.random.key(key)))


def walkers_agree(values, expected, sigmas=4.5):
    """Mean over time, then over independent walkers, against the expected value."""
    per_walker = values.mean(axis=0)
    error = per_walker.std(axis=0, ddof=1) / np.sqrt(per_walker.shape[0])
    return bool((np.abs(per_walker.mean(axis=0) - expected) < sigmas * error).all())


def accumulated_noise(A, D, time):
    """Q of dQ/dt = D - A Q - Q A', Q(0) = 0."""

    def rate(_, flat):
        Q = flat.reshape(A.shape)
        return (D - A @ Q - Q @ A.T).ravel()

    solved = solve_ivp(rate, (0, time), np.zeros(A.size), rtol=1e-10, atol=1e-14, method="LSODA")
    return solved.y[:, -1].reshape(A.shape)


@pytest.mark.parametrize("timestep", [1e-3, 0.1, 30.0])
@pytest.mark.parametrize("memory", [Markovian(50.0), TWO_MODES, TWO_MODES + Markovian(5.0)])
def test_ou_step_is_exact_and_keeps_equilibrium_at_any_timestep(memory, timestep):
    masses = (4.0, 40.0)
    found = bath_of(memory, timestep, masses, beads=2)
    for index, mass in enumerate(masses):
        A, D, C = (np.asarray(part) for part in extended_drift(memory, mass, TEMPERATURE))
        to_momentum = np.diag(np.r_[mass, np.ones(len(A) - 1)])
        E = to_momentum @ expm(-A * timestep) @ np.linalg.inv(to_momentum)
        scale = np.asarray(found.width[index])
        np.testing.assert_allclose(
            np.asarray(found.transition[index]) * scale / scale[:, None],
            E * scale / scale[:, None],
            atol=1e-13,
        )
        S = np.asarray(found.noise[index]) / scale[:, None]
        E = E * scale / scale[:, None]
        # fluctuation-dissipation: E C E' + S S' = C, with C = 1 in thermal units
        np.testing.assert_allclose(E @ E.T + S @ S.T, np.eye(len(A)), atol=1e-14)
        # the noise against its own integral, ∫ exp(-As) D exp(-A's) ds, as an ordinary differential equation
        width = np.sqrt(np.diag(C))
        A, D = A * width / width[:, None], D / width / width[:, None]
        if timestep <= 0.1:
            np.testing.assert_allclose(S @ S.T, accumulated_noise(A, D, timestep), atol=1e-8)
    if timestep == 30.0:  # a hundred times the slowest time: nothing is remembered
        assert np.abs(E).max() < 1e-4


def test_each_mass_gets_its_own_step():
    """Beads of three masses in one program, against one mass alone."""
    masses = (4.0, 12.0, 40.0)
    together = bath_of(TWO_MODES, 0.05, masses, beads=6)
    rng = np.random.default_rng(0)
    p, z = jnp.asarray(rng.normal(size=(6, 3))), jnp.asarray(rng.normal(size=(6, 3, 2)))
    found = ornstein_uhlenbeck(together, p, z, jax.random.key(1))
    for index, mass in enumerate(masses):
        alone = bath_of(TWO_MODES, 0.05, (mass,), beads=6)
        for mixed, pure in zip(found, ornstein_uhlenbeck(alone, p, z, jax.random.key(1)), strict=True):
            np.testing.assert_allclose(mixed[index::3], pure[index::3], rtol=1e-12)
    assert np.abs(found[0][1] - ornstein_uhlenbeck(alone, p, z, jax.random.key(1))[0][1]).max() > 1e-3


def equipartition(ou):
    """Whether momenta and auxiliary variables of walkers in a harmonic well have their thermal widths."""
    x, p, z = follow(ou, lambda x: -200.0 * x, timestep=0.01, steps=1200, every=10)
    x, p, z = x[20:], p[20:], z[20:]
    # BAOAB samples x of a harmonic well exactly; p is colder by (w dt)²/4 = 4e-4, far below the error
    return (
        walkers_agree(x**2, KT / 200),
        walkers_agree(p**2, MASS * KT),
        walkers_agree(z**2, KT),
        walkers_agree(p[..., None] * z, 0.0),
    )


def test_positions_momenta_and_auxiliary_variables_obey_equipartition():
    assert all(equipartition(bath_of(TWO_MODES, 0.01)))


def test_wrong_noise_fails_equipartition():
    """Negative control: noise 5% too strong."""
    ou = bath_of(TWO_MODES, 0.01)
    louder = eqx.tree_at(lambda b: b.noise, ou, 1.05 * ou.noise)
    assert equipartition(louder)[:3] == (False, False, False)


def test_double_well_with_memory_is_sampled_by_boltzmanns_law():
    minimum = 0.2
    a, b = 8 * KT / minimum**2, 8 * KT / minimum**4  # a barrier of 2 kT

    def energy(x):
        return -a * x**2 / 2 + b * x**4 / 4

    x, _, _ = follow(
        bath_of(TWO_MODES, 0.01),
        lambda x: a * x - b * x**3,
        timestep=0.01,
        steps=6000,
        every=20,
        start=minimum,
    )
    x = x[150:]  # from 30 ps on: they cross within a few ps
    grid = np.linspace(-0.6, 0.6, 8001)
    density = np.exp(-energy(grid) / KT)
    density /= density.sum()
    for power in (1, 2, 4):
        assert walkers_agree(x**power, grid**power @ density)
    test = kstest(x[-1], lambda v: np.interp(v, grid, np.cumsum(density)))
    assert test.pvalue > 1e-4
    # negative control: a Gaussian of the same width is told apart
    other = np.exp(-(grid**2) / (2 * (grid**2 @ density)))
    wrong = kstest(x[-1], lambda v: np.interp(v, grid, np.cumsum(other) / other.sum()))
    assert wrong.pvalue < 1e-4
