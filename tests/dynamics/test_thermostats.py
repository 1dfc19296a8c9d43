"""The integrators of constant energy and of the thermostats that scale momenta, against exact laws."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, ncx2, norm

from bayescg.dynamics.thermostats import (
    LINKS,
    constant_energy,
    kinetic_energy,
    nose_hoover,
    rescaling_factor,
)
from bayescg.units import thermal_energy

KT, MASS = thermal_energy(300.0), jnp.asarray([12.0, 18.0, 30.0, 18.0])
RELAXATION = 0.2


def energy_of(x):
    """Four beads, springs between all of them that stiffen: smooth, and nothing from outside."""
    step = x[:, None] - x[None]
    squared = jnp.sum(step**2, axis=-1)
    return 0.25 * jnp.sum(100.0 * squared + 2000.0 * squared**2)


def integrator_of(method, timestep):
    def force(x, neighbors):
        return -jax.grad(energy_of)(x)

    verlet = constant_energy(force, lambda x, dx, **_: x + dx, timestep=timestep, thermal_energy=KT)
    if method == "constant energy":
        return verlet
    return nose_hoover(verlet, timestep=timestep, thermal_energy=KT, relaxation=RELAXATION, conserved=3)


def conserved(state, method):
    """Energy, with a Nosé-Hoover chain's: K + U + sum p²/2Q + f kT xi_1 + kT (xi_2 + ...)."""
    total = kinetic_energy(state.momentum, MASS) + energy_of(state.position)
    if method == "constant energy":
        return total
    xi, momenta = state.auxiliary
    freedom = 3 * MASS.size - 3
    inertia = KT * RELAXATION**2 * jnp.asarray([freedom] + [1.0] * (LINKS - 1))
    return total + jnp.sum(momenta**2 / (2 * inertia)) + KT * (freedom * xi[0] + jnp.sum(xi[1:]))


@partial(jax.jit, static_argnames="method")
def follow(method, timestep, steps):
    """Conserved quantity and total momentum at ten moments, and the state at the end."""
    init, apply = integrator_of(method, timestep)
    x = jnp.asarray(np.random.default_rng(0).normal(0, 0.1, (4, 3)))

    def stretch(state, _):
        state = jax.lax.fori_loop(0, steps // 10, lambda _, s: apply(s, mass=MASS, neighbors=None), state)
        return state, (conserved(state, method), jnp.sum(state.momentum, axis=0))

    state = init(jax.random.key(1), x, mass=MASS, neighbors=None)
    state, (energy, momentum) = jax.lax.scan(stretch, state, length=10)
    return conserved(init(jax.random.key(1), x, mass=MASS, neighbors=None), method), energy, momentum, state


@pytest.mark.parametrize("method", ["constant energy", "nose-hoover"])
def test_what_newtons_equations_conserve_is_kept_to_second_order(method):
    start, coarse, momentum, state = follow(method, 0.004, 500)
    _, fine, _, _ = follow(method, 0.002, 1000)
    error, half = (np.abs(values - start) for values in (coarse, fine))
    # Richardson: four times smaller at half the step, to the next order, (w dt)² = 1% of it, and where the
    # first order passes through zero
    assert error.max() / half.max() == pytest.approx(4, rel=0.1)
    assert error.max() < 0.01 * KT
    # no drift: the last half of 2 ps is no worse than the first
    assert error[5:].max() < 2 * error[:5].max()
    assert np.abs(momentum).max() < 1e-11
    assert np.abs(state.momentum).max() > 1
    if method == "nose-hoover":  # negative control: without the chain's part it is not conserved
        plain = kinetic_energy(state.momentum, MASS) + energy_of(state.position)
        assert abs(plain - start) > 100 * error.max()


@pytest.mark.parametrize("freedom", [1, 3, 78])
def test_rescaled_kinetic_energy_follows_the_law_of_velocities_that_relax(freedom):
    """K after a time of f velocities with friction 1/2tau each: noncentral chi-squared, whatever its size."""
    start, elapsed, c = 0.9 * freedom * KT, 0.3, np.exp(-0.3)
    keys = jax.random.split(jax.random.key(0), 3000)
    factor = jax.jit(
        jax.vmap(
            lambda key: rescaling_factor(
                jnp.asarray(start), key=key, freedom=freedom, thermal_energy=KT, elapsed=elapsed
            )
        )
    )(keys)
    unit = 0.5 * KT * (1 - c)
    found, law = start * np.asarray(factor) ** 2 / unit, ncx2(freedom, c * start / unit)
    assert kstest(found, law.cdf).pvalue > 1e-4
    # negative control: another relaxation time is told apart
    assert kstest(found, ncx2(freedom, 0.9 * c * start / unit).cdf).pvalue < 1e-4
    # of one velocity the sign is its own; of many it hardly ever turns
    turned = np.mean(np.asarray(factor) < 0)
    if freedom == 1:
        expected = norm.cdf(-np.sqrt(c * start / unit))
        assert abs(turned - expected) < 4.5 * np.sqrt(expected / 3000) + 1e-3
    else:
        assert turned < 0.05
