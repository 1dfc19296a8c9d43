"""The harmonic bath: energy, equipartition, fluctuation and dissipation, the exact correlation function."""

import importlib

import jax
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

import bayescg as bcg
from bayescg.data.harmonic_bath import Bath, _normal_modes, _starts, prony_bath
from bayescg.units import thermal_energy

module = importlib.import_module("bayescg.data.harmonic_bath")

TIMES, FRICTIONS, MASS = (0.05, 0.5), (60.0, 60.0), 20.0
THERMAL = thermal_energy(300.0)
FRAMES, INTERVAL = 500, 0.01
OPTIONS = {"frames": FRAMES, "interval": INTERVAL, "times": TIMES, "frictions": FRICTIONS, "oscillators": 500}


def prony(t):
    return sum(f / tau * np.exp(-np.asarray(t) / tau) for tau, f in zip(TIMES, FRICTIONS, strict=True))


def by_trajectory(beads, name):
    return beads[name].to_numpy().reshape(-1, FRAMES)


@pytest.fixture(scope="module")
def double_well():
    return bcg.data.harmonic_bath(key=jax.random.key(0), trajectories=128, **OPTIONS)


def test_data_keep_to_the_schema_and_name_their_truth(double_well):
    beads = bcg.data.validate(double_well, needs=("velocity", "force", "mass", "time", "temperature"))
    assert dict(beads.sizes) == {"frame": 128 * FRAMES, "bead": 1, "dim": 1}
    assert beads.attrs["memory_times"] == list(TIMES)
    assert beads.attrs["memory_frictions"] == list(FRICTIONS)
    time, index = beads["time"].to_numpy(), beads["trajectory"].to_numpy()
    inside = np.diff(index) == 0
    np.testing.assert_allclose(np.diff(time)[inside], INTERVAL)
    assert np.sum(~inside) == 127
    assert (time[1:][~inside] == 0).all()


def test_energy_is_conserved(double_well):
    energy = by_trajectory(double_well, "total_energy")
    # steps of 0.002 ps: the error of Strang splitting oscillates and does not grow
    assert np.abs(energy - energy[:, :1]).max() < 3e-3 * THERMAL
    late, early = (
        np.abs(energy[:, part] - energy[:, :1]).mean() for part in (slice(-100, None), slice(1, 101))
    )
    assert late < 2 * early


def test_a_coarse_step_breaks_energy_conservation(double_well, monkeypatch):
    # negative control
    monkeypatch.setattr(module, "STEP", 10.0)
    coarse = module.harmonic_bath(key=jax.random.key(0), trajectories=8, **OPTIONS)
    assert coarse.attrs["timestep"] == INTERVAL
    energy = by_trajectory(coarse, "total_energy")
    assert np.abs(energy - energy[:, :1]).max() > 4 * 3e-3 * THERMAL


def test_velocity_is_the_derivative_of_position_and_force_that_of_momentum():
    # the fastest oscillator turns by 0.2 rad between frames
    fine = bcg.data.harmonic_bath(key=jax.random.key(4), trajectories=8, **OPTIONS | {"interval": 1e-4})
    t = by_trajectory(fine, "time")[0]
    for quantity, slope, factor in (("position", "velocity", 1.0), ("velocity", "force", MASS)):
        values, rate = (by_trajectory(fine, name) for name in (quantity, slope))
        change = factor * (values[:, -1] - values[:, 0])
        area = scipy.integrate.simpson(rate, x=t, axis=1)
        np.testing.assert_allclose(area, change, atol=1e-4 * np.abs(change).max(), err_msg=quantity)


def test_particle_is_canonical_throughout(double_well):
    a, b = double_well.attrs["potential_coefficients"]
    x = np.linspace(-0.5, 0.5, 20_001)
    weight = np.exp(-(-a * x**2 / 2 + b * x**4 / 4) / THERMAL)
    exact = {2: np.average(x**2, weights=weight), 4: np.average(x**4, weights=weight)}
    position, velocity = (by_trajectory(double_well, name) for name in ("position", "velocity"))
    late = slice(FRAMES // 2, None)
    for values, expected in (
        (position[:, late] ** 2, exact[2]),
        (position[:, late] ** 4, exact[4]),
        (MASS * velocity[:, late] ** 2, THERMAL),
    ):
        means = values.mean(axis=1)  # trajectories are independent
        assert abs(means.mean() - expected) < 4.5 * means.std(ddof=1) / np.sqrt(128)
        assert means.std(ddof=1) / np.sqrt(128) < 0.1 * expected  # the check can see 10%


def test_bath_is_canonical_around_the_particle():
    bath = prony_bath(TIMES, FRICTIONS, duration=5.0, oscillators=100)
    spring, count = 2000.0, 3000
    x = np.linspace(-0.5, 0.5, 20_001)
    frequencies, modes = _normal_modes(bath, MASS, spring)
    density = np.exp(-spring * x**2 / (2 * THERMAL))
    Q, P = _starts(jax.random.key(1), bath, (x, density), modes, mass=MASS, kT=THERMAL, count=count)
    step = 3.7  # any time: a canonical law does not move
    cosine, sine = np.cos(frequencies * step), np.sin(frequencies * step)
    Q, P = cosine * Q + sine / frequencies * P, cosine * P - frequencies * sine * Q
    coordinates, velocities = np.asarray(Q) @ modes.T, np.asarray(P) @ modes.T
    x0 = coordinates[:, 0] / np.sqrt(MASS)
    stretch = coordinates[:, 1:] * bath.frequencies - np.sqrt(bath.strengths) * x0[:, None]
    far = 5 * np.sqrt(2 / count)  # of 200 variances
    np.testing.assert_allclose(stretch.var(axis=0), THERMAL, rtol=far)
    np.testing.assert_allclose(velocities.var(axis=0), THERMAL, rtol=far)
    assert x0.var() == pytest.approx(THERMAL / spring, rel=far)


def test_force_of_the_bath_on_a_fixed_particle_obeys_fluctuation_dissipation():
    # a mass of 1e12 amu moves by 1e-6 of a bath oscillator's amplitude; the spring adds a constant force
    beads = bcg.data.harmonic_bath(
        key=jax.random.key(2), trajectories=2000, mass=1e12, **OPTIONS | {"frames": 60, "oscillators": 200}
    )
    x, force = (beads[name].to_numpy().reshape(2000, 60) for name in ("position", "force"))
    a, b = beads.attrs["potential_coefficients"]
    bath_force = force - (a * x - b * x**3)
    t = np.arange(60) * INTERVAL
    products = bath_force[:, :1] * bath_force
    error = products.std(axis=0, ddof=1) / np.sqrt(2000)
    bath = prony_bath(TIMES, FRICTIONS, duration=59 * INTERVAL, oscillators=200)
    assert (np.abs(products.mean(axis=0) - THERMAL * bath.kernel(t)) < 4.5 * error).all()
    # and Prony's kernel, to the stated error
    allowed = 4.5 * error + beads.attrs["kernel_error"] * THERMAL * prony(0.0)
    assert (np.abs(products.mean(axis=0) - THERMAL * prony(t)) < allowed).all()
    # negative control: half the friction of either mode is far outside
    assert (np.abs(products.mean(axis=0) - THERMAL * prony(t) / 2) > allowed).any()


def embedded_correlation(times, spring, taus, frictions):
    """<x(t) x(0)>/<x²> of the generalized Langevin equation by exp(-A t) of (x, v, z): no bath in it."""
    modes = len(taus)
    A = np.zeros((2 + modes, 2 + modes))
    A[0, 1], A[1, 0] = -1.0, spring / MASS
    coupling = np.sqrt(np.array(frictions) / np.array(taus) / MASS)
    A[1, 2:], A[2:, 1] = -coupling, coupling
    A[2:, 2:] = np.diag(1 / np.array(taus))
    return np.array([scipy.linalg.expm(-A * t)[0, 0] for t in times])


def test_correlation_in_a_harmonic_well_is_that_of_the_markovian_embedding():
    spring, t = 800.0, np.linspace(0, 5.0, 101)
    bath = prony_bath(TIMES, FRICTIONS, duration=5.0, oscillators=1000)
    w, modes = _normal_modes(bath, MASS, spring)
    share = modes[0] ** 2 / w**2
    exact_bath = np.cos(np.outer(t, w)) @ share / share.sum()
    expected = embedded_correlation(t, spring, TIMES, FRICTIONS)
    # the kernel is off by 0.8% of K(0), mostly at frequencies far above the particle's
    np.testing.assert_allclose(exact_bath, expected, atol=2e-3)
    # negative controls: another time, another friction
    for taus, frictions in (((0.05, 0.6), FRICTIONS), (TIMES, (60.0, 70.0))):
        assert np.abs(exact_bath - embedded_correlation(t, spring, taus, frictions)).max() > 0.01
    beads = bcg.data.harmonic_bath(
        key=jax.random.key(3), trajectories=400, coefficients=(-spring, 0.0), **OPTIONS
    )
    assert beads.attrs["timestep"] == INTERVAL  # nothing is left to kick
    x = by_trajectory(beads, "position")
    products = x[:, :1] * x
    error = products.std(axis=0, ddof=1) / 20
    expected = THERMAL / spring * embedded_correlation(np.arange(FRAMES) * INTERVAL, spring, TIMES, FRICTIONS)
    z = (products.mean(axis=0) - expected) / error
    assert np.abs(z).max() < 5


def test_kernel_is_within_the_stated_error_and_recurs_afterwards():
    bath = prony_bath(TIMES, FRICTIONS, duration=5.0, oscillators=1000)
    t = np.linspace(0, 5.0, 5001)
    assert np.abs(bath.kernel(t) - prony(t)).max() < 0.01 * prony(0.0)
    np.testing.assert_allclose(bath.strengths.sum(), prony(0.0))
    assert bath.recurrence == pytest.approx(5.0 + 7 * 0.5)
    # frequencies at odd halves of the spacing turn the sign
    assert bath.kernel(np.array([bath.recurrence]))[0] < -0.5 * FRICTIONS[1] / TIMES[1]
    fewer = prony_bath(TIMES, FRICTIONS, duration=5.0, oscillators=60)
    assert np.abs(fewer.kernel(t) - prony(t)).max() > 0.05 * prony(0.0)
    assert isinstance(bath, Bath)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"oscillators": 20}, r"kernel must be within tolerance = 0\.03 .*20 oscillators.*Raise oscillators"),
        ({"coefficients": (10.0, 0.0)}, "coefficients must confine the particle"),
        ({"frictions": (1.0,)}, "frictions must be as many as times, got 1 and 2"),
        ({"times": (0.1, -1.0)}, "times must be positive, got -1.0 ps"),
        ({"frames": 1}, "frames must be a whole number of at least 2"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(options, message):
    with pytest.raises(bcg.BayescgError, match=message):
        bcg.data.harmonic_bath(key=jax.random.key(0), **OPTIONS | options)
