"""The canonical law of simulated draws: kinetic temperature and known distributions."""

import jax
import numpy as np
import pytest

from bayescg.dynamics.walker import Thermostat
from bayescg.observables import RDF
from bayescg.predict.variance import block_standard_error
from bayescg.units import thermal_energy


def mean_and_error(values):
    """Over draws and records; draws are independent."""
    per_draw = np.asarray(values).reshape(values.shape[0], values.shape[1], -1).mean(axis=(1, 2))
    return per_draw.mean(), per_draw.std(ddof=1) / np.sqrt(per_draw.size)


def test_momenta_obey_equipartition(run, soft_sphere, lattice):
    start = np.tile(lattice(3, 1.5), (8, 1, 1))
    potentials = [soft_sphere(30.0, 0.6)] * 8
    result = run(potentials, start, box=[1.5] * 3, steps=3000, equilibration=400, friction=10.0)
    mean, error = mean_and_error(result.kinetic_temperature)
    # O(dt^2) bias of BAOAB: u'' < 6 k/c^2 = 500 kJ/mol/nm^2, (w dt)^2/4 < 2e-4, below the error
    assert abs(mean - 300) < 4.5 * error
    assert error < 3  # the check can tell 300 K from 315 K


def test_ten_percent_more_momentum_fails_equipartition(run, soft_sphere, lattice):
    """Negative control: a bath of 330 K, as momenta judged with masses 10% too small would look."""
    start = np.tile(lattice(3, 1.5), (8, 1, 1))
    potentials = [soft_sphere(30.0, 0.6)] * 8
    settings = {"steps": 3000, "equilibration": 400, "friction": 10.0, "temperature": 330.0}
    result = run(potentials, start, box=[1.5] * 3, **settings)
    mean, error = mean_and_error(result.kinetic_temperature)
    assert abs(mean - 300) > 4.5 * error


@pytest.mark.parametrize("timestep", [0.005, 0.05])
def test_springs_have_the_known_spread_and_the_known_timestep_error(run, tether, mean_square, timestep):
    stiffness, mass = 5000.0, 18.0  # w = sqrt(k/m) = 16.7 / ps
    result = run(
        [tether(stiffness)] * 4,
        np.zeros((4, 64, 3)),
        mass=mass,
        timestep=timestep,
        friction=10.0,
        steps=8000,
        equilibration=1000,
        measure_every=5,
        observables=[mean_square],
    )
    # BAOAB samples a harmonic well's positions exactly, whatever the timestep
    mean, _ = mean_and_error(result.mean_square)
    blocks = result.mean_square.to_numpy()
    error = np.sqrt(np.mean([block_standard_error(draw.mean(axis=1)) ** 2 for draw in blocks]) / 4)
    assert abs(mean - thermal_energy(300.0) / stiffness) < 4.5 * error
    # and its momenta at a temperature of T (1 - (w dt)^2 / 4): 0.2% and 17% below T
    temperature, error = mean_and_error(result.kinetic_temperature)
    assert abs(temperature - 300 * (1 - stiffness / mass * timestep**2 / 4)) < 5 * error
    assert (abs(temperature - 300) > 5 * error) == (timestep == 0.05)


def test_two_beads_obey_the_boltzmann_factor_of_their_pair_energy(run, soft_sphere):
    """g(r) of two beads in a box is exp(-u/kT) V / ∫exp(-u/kT) dV, at any density."""
    edge, potential = 1.0, soft_sphere(12.0, 0.5)
    start = np.random.default_rng(0).uniform(0, edge, size=(12, 2, 3))
    result = run(
        [potential] * 12,
        start,
        box=[edge] * 3,
        steps=16_000,
        equilibration=400,
        timestep=0.02,
        friction=5.0,
        observables=[RDF(bins=10)],
        measure_every=8,
    )
    # averaged over each bin's shell, on a fine grid
    r = (np.arange(1000) + 0.5) * 0.5 / 1000
    boltzmann = np.exp(
        -np.asarray(jax.vmap(lambda x: potential.pair_energy(x, 0, 0))(r)) / thermal_energy(300.0)
    )
    shells = r**2
    integral = 4 * np.pi * np.sum(boltzmann * shells) * 0.5 / 1000 + edge**3 - np.pi / 6 * edge**3
    weighted = (boltzmann * shells).reshape(10, 100).sum(axis=1) / shells.reshape(10, 100).sum(axis=1)
    expected = weighted * edge**3 / integral
    curves = result.radial_distribution.to_numpy().mean(axis=1)[:, 0]
    mean, error = curves.mean(axis=0), curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
    # Student's t with 11 degrees of freedom exceeds 5.5 once in 5,000; the first bin holds few pairs
    assert (abs(mean - expected)[1:] < 5.5 * error[1:]).all()
    # negative control: an ideal gas is ruled out
    assert (abs(mean - 1) > 5.5 * error)[1:4].all()


def test_thermostat_knows_the_length_of_a_record():
    assert Thermostat(300.0, 0.005, 1.0, 0.1, 20, 5).record_steps == 100
