"""Records run again, explosions, resuming, and draws side by side."""

import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.dynamics import engine as engine_module
from bayescg.dynamics import langevin as langevin_module
from bayescg.dynamics.engine import Engine, stack
from bayescg.dynamics.neighbors import find_neighbors
from bayescg.dynamics.pair_forces import force_field
from bayescg.dynamics.walker import Motion, System, Thermostat
from bayescg.numerics.host_loop import HostLoop, Interrupted

SAME = {"precision": jnp.float64, "friction": 1.0}
"""In float64 sums in another order differ by 1e-16, and 200 steps of a dilute gas do not make that grow."""


def dilute_gas(lattice):
    """Beads that see nobody at the start and meet later."""
    return lattice(3, 2.4), [2.4] * 3


def test_overfull_neighbor_lists_are_run_again_with_room(run, soft_sphere, lattice):
    start, box = dilute_gas(lattice)
    potentials = [soft_sphere(20.0, 0.7), soft_sphere(5.0, 0.7)]
    settings = SAME | {"box": box, "steps": 200, "temperature": 600.0, "skin": 0.08, "key": jax.random.key(1)}
    tight = run(potentials, [start] * 2, capacity=1, **settings)
    ample = run(potentials, [start] * 2, capacity=26, **settings)
    assert (tight.overflow_redone > 0).any()
    assert not ample.overflow_redone.any()
    assert tight.attrs["capacity"] > 1
    np.testing.assert_allclose(tight.position, ample.position, atol=1e-9)
    np.testing.assert_allclose(tight.kinetic_temperature, ample.kinetic_temperature, rtol=1e-9)


def test_outrun_neighbor_lists_are_run_again_with_earlier_rebuilds(run, soft_sphere, lattice, monkeypatch):
    start, box = dilute_gas(lattice)
    settings = SAME | {"box": box, "steps": 200, "temperature": 600.0, "skin": 0.08}
    monkeypatch.setattr(engine_module, "REACH", 0.0)  # rebuilt after every step
    good = run([soft_sphere(20.0, 0.7)], [start], **settings)
    monkeypatch.setattr(engine_module, "REACH", 30.0)  # hardly ever rebuilt
    redone = run([soft_sphere(20.0, 0.7)], [start], **settings)
    assert not good.stale_redone.any()
    assert redone.stale_redone.item() > 0
    np.testing.assert_allclose(redone.position, good.position, atol=1e-9)
    # negative control: lists that miss pairs, as outrun ones do, change the trajectory
    monkeypatch.setattr(langevin_module, "neighbors_of", lists_that_miss_pairs)
    # a capacity that no other test has: no program of theirs serves here, and this one serves nowhere else
    wrong = run([soft_sphere(20.0, 0.7)], [start], capacity=25, **settings)
    assert abs(wrong.position - good.position).max() > 1e-4


def lists_that_miss_pairs(positions, field, *, system, thermostat, capacity):
    reach = 0.8 * field.cutoff
    return find_neighbors(positions, box=system.box, topology=system.topology, reach=reach, capacity=capacity)


def test_exploding_draw_is_named_and_the_others_survive(run, soft_sphere, lattice):
    start = np.tile(lattice(3, 1.5), (3, 1, 1))
    potentials = [soft_sphere(k, 0.6) for k in (30.0, 5e8, 60.0)]
    result = run(potentials, start, box=[1.5] * 3)
    assert (result.exploded_step >= 0).values.tolist() == [False, True, False]
    assert 0 < result.exploded_step[1] <= 50
    assert np.isfinite(result.position).all()
    finite = np.isfinite(result.kinetic_temperature).all("record").values.tolist()
    assert finite == [True, False, True]


def test_draw_that_is_not_a_number_explodes_at_once(run, soft_sphere, lattice):
    start = np.tile(lattice(3, 1.5), (2, 1, 1))
    result = run([soft_sphere(np.nan, 0.6), soft_sphere(30.0, 0.6)], start, box=[1.5] * 3, steps=40)
    assert result.exploded_step.values.tolist() == [1, -1]
    assert np.isfinite(result.position).all()


def test_the_same_key_gives_the_same_bits(run, soft_sphere, lattice):
    start = np.tile(lattice(3, 1.5), (3, 1, 1))
    potentials = [soft_sphere(k, 0.6) for k in (10.0, 20.0, 30.0)]
    first, again, other = (
        run(potentials, start, box=[1.5] * 3, steps=40, key=jax.random.key(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.position, again.position)
    assert (first.position != other.position).any()


def test_resumed_simulation_is_bit_identical(run, soft_sphere, lattice, tmp_path, monkeypatch):
    start, potentials = np.tile(lattice(3, 1.5), (2, 1, 1)), [soft_sphere(10.0, 0.6), soft_sphere(30.0, 0.6)]
    settings = {"box": [1.5] * 3, "steps": 200, "equilibration": 50}
    whole = run(potentials, start, **settings)
    loop = HostLoop(tmp_path / "run", False, "soft spheres")
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
    assert len(done) == 3
    for name in whole.data_vars:
        np.testing.assert_array_equal(resumed[name], whole[name])


def test_draws_on_threads_equal_draws_in_one_program(soft_sphere, lattice, make_topology):
    """The accelerator's way of running draws, held against the CPU's."""
    positions = jnp.asarray(np.tile(lattice(3, 1.5), (3, 1, 1)))
    motions = stack([Motion(force_field(soft_sphere(k, 0.6), 1)) for k in (10.0, 30.0, 5e8)])
    system = System(make_topology(27), jnp.full(3, 1.5))
    thermostat = Thermostat(300.0, 0.005, 1.0, 0.1, 10, 2)
    outcomes = []
    for batched in (False, True):
        engine = Engine(motions, system, thermostat, [], draws=3, warmup=0)
        engine.batched = batched
        ensemble = engine.begin(positions, jax.random.key(0), None)
        outcomes.append(engine.step(ensemble, 2))
        engine.pool.shutdown()
    (threads, rows), (program, same_rows) = outcomes
    np.testing.assert_array_equal(rows["exploded"], same_rows["exploded"])
    assert (rows["exploded"][-1] >= 0).tolist() == [False, False, True]
    # 40 steps in float64: rounding only; the exploding draw has amplified it and is left out
    np.testing.assert_allclose(threads.walkers.position[:2], program.walkers.position[:2], atol=1e-10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": -300.0}, "temperature must be positive"),
        ({"timestep": 0.0}, "timestep must be positive"),
        ({"friction": 0.0}, "friction must be positive"),
        ({"steps": 15}, "steps must be at least twice measure_every"),
        ({"box": [1.0] * 3}, "cutoff must be at most half"),
        ({"mass": np.nan}, "mass must be positive"),
        ({"mass": 0.0}, "mass must be positive"),
    ],
)
def test_bad_settings_are_refused(change, words, run, soft_sphere, lattice):
    with pytest.raises(BayescgError, match=words):
        run([soft_sphere(10.0, 0.6)], lattice(3, 1.5)[None], **({"box": [1.5] * 3} | change))


def test_start_must_match_the_draws(run, soft_sphere, lattice):
    with pytest.raises(BayescgError, match="start must have shape"):
        run([soft_sphere(10.0, 0.6)] * 2, lattice(3, 1.5)[None], box=[1.5] * 3)
    with pytest.raises(BayescgError, match="start must be finite"):
        run([soft_sphere(10.0, 0.6)], lattice(3, 1.5)[None] * np.nan, box=[1.5] * 3)
