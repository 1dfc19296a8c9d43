"""Simulations with a memory, and observables over time measured while they run, against exact laws."""

import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from bayescg._checks import BayescgError
from bayescg.dynamics import simulate_ensemble
from bayescg.dynamics.engine import Engine, stack
from bayescg.dynamics.gle import bath
from bayescg.dynamics.pair_forces import force_field
from bayescg.dynamics.walker import Motion, System, Thermostat
from bayescg.memory import Markovian, Prony, extended_drift, with_spring
from bayescg.model import Model
from bayescg.numerics.host_loop import HostLoop, Interrupted
from bayescg.observables import MSD, VACF, Density, Diffusion, FirstPassage
from bayescg.potentials import DoubleWell, Harmonic
from bayescg.predict.ratio import ratio_of_sums
from bayescg.units import thermal_energy

TEMPERATURE, MASS = 300.0, 18.0
KT = thermal_energy(TEMPERATURE)
MEMORY = Prony(2, times=[0.02, 0.2], frictions=[40.0, 120.0])


def curve(run, name):
    """Mean and standard error over all draws, each with errors from its blocks."""
    found = [
        ratio_of_sums(run[f"{name}_sum"].to_numpy()[draw], run[f"{name}_weight"].to_numpy()[draw])
        for draw in range(run.sizes["draw"])
    ]
    errors = np.sqrt(np.sum([f.error**2 for f in found], axis=0)) / len(found)
    return np.mean([f.value for f in found], axis=0), errors


def exact_velocity_correlation(times, stiffness, dims):
    """d [exp(-A t) C]_vv of the linear system (x, v, z)."""
    extended = extended_drift(MEMORY, MASS, TEMPERATURE)
    if stiffness:
        A = np.asarray(with_spring(extended, MASS, stiffness).drift)
        C = np.diag(np.r_[KT / stiffness, np.diag(extended.stationary)])
        return np.array([dims * (expm(-A * t) @ C)[1, 1] for t in times])
    A, C = np.asarray(extended.drift), np.asarray(extended.stationary)
    return np.array([dims * (expm(-A * t) @ C)[0, 0] for t in times])


def test_velocity_correlation_in_a_well_is_that_of_the_linear_system(run):
    stiffness = 900.0
    found = run(
        [Harmonic(stiffness, 0.0)] * 2,
        np.zeros((2, 200, 3)),
        memory=MEMORY,
        steps=6000,
        equilibration=600,
        measure_every=8,
        records=20,
        observables=[VACF(maximum=0.8)],
    )
    mean, error = curve(found, "velocity_correlation")
    times = found["lag_time"].to_numpy()
    expected = exact_velocity_correlation(times, stiffness, 3)
    np.testing.assert_allclose(times, 0.04 * np.arange(21), rtol=1e-12)
    # velocities of BAOAB are off by (w dt)²/4 = 3e-4 of the value at zero; errors are ten times that.
    # 21 lags from 20 blocks: Student's t with 38 degrees of freedom exceeds 4.5 once in 700 runs
    assert (abs(mean - expected) < 4.5 * error + 1e-3 * expected[0]).all()
    # negative control: a free bead's correlation is ruled out, and so is its decay without memory
    assert (abs(mean - exact_velocity_correlation(times, 0.0, 3)) > 10 * error).sum() > 10
    assert found["velocity_correlation"].attrs["units"] == "nm^2/ps^2"
    assert found["lag_time"].attrs["units"] == "ps"


def test_free_beads_diffuse_by_the_integral_of_the_kernel_across_the_box(run):
    """Displacements go on where a bead leaves the box, which is small against them."""
    edge = 0.2
    found = run(
        [Harmonic(0.0001, 0.0)] * 2,
        np.random.default_rng(0).uniform(0, edge, size=(2, 200, 3)),
        memory=MEMORY,
        box=[edge] * 3,
        steps=8000,
        equilibration=200,
        timestep=0.01,
        measure_every=10,
        records=20,
        observables=[MSD(maximum=4.0), Diffusion(minimum=2.0, maximum=4.0)],
    )
    mean, error = curve(found, "mean_square_displacement")
    times = found["lag_time"].to_numpy()
    fine = np.linspace(0, 4.0, 401)
    rate = exact_velocity_correlation(fine, 0.0, 3)
    # M(t) = 2 ∫ (t - s) C(s) ds
    expected = np.array([2 * np.trapezoid((t - fine) * rate * (fine <= t), fine) for t in times])
    # trapezoids of 0.01 ps: below 1%
    assert (abs(mean - expected)[1:] < 4.5 * error[1:] + 0.01 * expected[1:]).all()
    assert mean[-1] > (2 * edge) ** 2
    diffusion, of_diffusion = curve(found, "diffusion_coefficient")
    einstein = KT / float(MEMORY.integral())
    assert abs(diffusion - einstein) < 4.5 * of_diffusion
    assert of_diffusion < 0.1 * einstein


def mean_first_passage(energy, start, end, friction):
    """Overdamped: T = (gamma/kT) ∫_start^end dy e^{U/kT} ∫_-inf^y dz e^{-U/kT}."""
    # the energy is 60 kT at the left end
    grid = np.linspace(start - 0.8 * (end - start), end, 40_001)
    weight = np.exp(-energy(grid) / KT)
    inner = np.cumsum(weight) * (grid[1] - grid[0])
    outer = np.where(grid >= start, inner / weight, 0.0)
    return friction / KT * np.trapezoid(outer, grid)


def test_first_passage_over_a_barrier_takes_the_overdamped_time(run):
    minimum, friction = 0.2, 100.0
    a, b = 8 * KT / minimum**2, 8 * KT / minimum**4  # 2 kT
    found = run(
        [DoubleWell(coefficients=[a, b])] * 2,
        np.full((2, 300, 1), -minimum),
        memory=Markovian(friction),
        mass=1.0,
        steps=12_000,
        timestep=0.005,
        measure_every=1,
        records=20,
        observables=[FirstPassage(-minimum, minimum)],
    )
    expected = mean_first_passage(lambda x: -a * x**2 / 2 + b * x**4 / 4, -minimum, minimum, friction)
    passages = float(found["first_passage_time_weight"].sum())
    tau = float(found["first_passage_time_sum"].sum()) / passages
    # passages are nearly exponential: relative error 1/sqrt(n). Inertia slows the crossing by about
    # (w m/gamma)² = 5%, w² = a/m at the top of the barrier; a moment sees the end late by less than 1%
    assert abs(tau / expected - 1) < 4.5 / np.sqrt(passages) + 0.06
    assert passages > 1000
    # negative control: without the barrier it would take a third of the time
    flat = mean_first_passage(lambda x: 0.25 * (-a * x**2 / 2 + b * x**4 / 4), -minimum, minimum, friction)
    assert abs(tau / flat - 1) > 0.3


def test_pairs_sites_and_memory_in_one_system(run, soft_sphere, lattice):
    """A field on beads that repel each other: momenta stay at the temperature, beads gather in the field."""
    found = run(
        [soft_sphere(30.0, 0.5) + Harmonic(40.0, 0.75)] * 4,
        np.tile(lattice(3, 1.5), (4, 1, 1)),
        memory=MEMORY,
        box=[1.5] * 3,
        steps=3000,
        equilibration=600,
        observables=[Density(0.0, 1.5, bins=6)],
    )
    per_draw = found["kinetic_temperature"].mean("record").to_numpy()
    error = per_draw.std(ddof=1) / 2
    # Student's t with 3 degrees of freedom exceeds 8 once in 250
    assert abs(per_draw.mean() - TEMPERATURE) < 8 * error + 1
    density = found["probability_density"].mean(("draw", "record")).to_numpy()
    np.testing.assert_allclose(density.sum() * 0.25, 1.0, rtol=1e-6)
    assert density[2:4].mean() > 1.3 * density[[0, 5]].mean()


def test_resumed_simulation_with_memory_is_bit_identical(run, soft_sphere, lattice, tmp_path, monkeypatch):
    start, potentials = np.tile(lattice(3, 1.5), (2, 1, 1)), [soft_sphere(10.0, 0.6), soft_sphere(30.0, 0.6)]
    settings = {
        "box": [1.5] * 3,
        "memory": MEMORY,
        "steps": 200,
        "equilibration": 50,
        "observables": [VACF(maximum=0.2)],
    }
    whole = run(potentials, start, **settings)
    loop = HostLoop(tmp_path / "run", False, "memory")
    record, done = Engine._record, []

    def pressing(self, ensemble):
        done.append(None)
        if len(done) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return record(self, ensemble)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_record", pressing)
        with pytest.raises(Interrupted):
            run(potentials, start, loop=loop, **settings)
    resumed = run(potentials, start, loop=loop, **settings)
    for name in whole.data_vars:
        np.testing.assert_array_equal(resumed[name], whole[name])
    # correlations reach across records: all but the first lags' beginnings are counted
    weight = whole["velocity_correlation_weight"].sum("record").to_numpy()[0]
    np.testing.assert_array_equal(weight, 27 * (20 - np.arange(5)))


def test_draws_on_threads_equal_draws_in_one_program(soft_sphere, lattice, make_topology):
    """The accelerator's way of running draws with memory, held against the CPU's."""
    positions = jnp.asarray(np.tile(lattice(3, 1.5), (3, 1, 1)))
    topology = make_topology(27)
    ou = bath(MEMORY, jnp.full(1, MASS), jnp.zeros(27, int), temperature=300.0, timestep=0.005)
    motions = stack([Motion(force_field(soft_sphere(k, 0.6), 1), ou) for k in (10.0, 20.0, 30.0)])
    system = System(topology, jnp.full(3, 1.5))
    thermostat = Thermostat(300.0, 0.005, None, 0.1, 10, 2)
    outcomes = []
    for batched in (False, True):
        engine = Engine(
            motions, system, thermostat, [VACF(maximum=0.1).prepare(topology, 0.05)], draws=3, warmup=0
        )
        engine.batched = batched
        outcomes.append(engine.step(engine.begin(positions, jax.random.key(0), None), 2))
        engine.pool.shutdown()
    (threads, rows), (program, same_rows) = outcomes
    # 40 steps in float64: rounding only
    np.testing.assert_allclose(threads.walkers.position, program.walkers.position, atol=1e-10)
    np.testing.assert_allclose(rows["sum_0"], same_rows["sum_0"], atol=1e-9)
    assert rows["sum_0"].shape == (2, 3, 3)


def test_thermostat_is_the_memory_or_a_friction_but_not_both(run, make_topology):
    with pytest.raises(BayescgError, match="friction must not be given where the model has a memory"):
        run([Harmonic(10.0, 0.0)], np.zeros((1, 2, 1)), memory=MEMORY, friction=1.0)
    with pytest.raises(BayescgError, match="friction must be a positive number, got None"):
        run([Harmonic(10.0, 0.0)], np.zeros((1, 2, 1)), friction=None)
    with pytest.raises(BayescgError, match="models must all have a memory or none"):
        simulate_ensemble(
            [Model(Harmonic(10.0, 0.0)), Model(Harmonic(10.0, 0.0), MEMORY)],
            np.zeros((2, 2, 1)),
            box=None,
            topology=make_topology(2),
            temperature=300.0,
            timestep=0.01,
            steps=10,
            equilibration=0,
            observables=[],
            measure_every=1,
            key=jax.random.key(0),
            loop=HostLoop(progress=False),
        )
