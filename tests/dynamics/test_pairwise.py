"""A memory on pairs: momentum is conserved, and equilibrium is Boltzmann's."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.dynamics import simulate_ensemble
from bayescg.dynamics.gle import GLEState
from bayescg.dynamics.pairwise import couple, no_pairs, owned_pairs, pair_bath, pairwise_gle, relist
from bayescg.memory import Markovian, Prony
from bayescg.memory.pairwise import Pairwise
from bayescg.model import Model
from bayescg.numerics.host_loop import HostLoop
from bayescg.observables import VACF
from bayescg.units import thermal_energy

pytestmark = pytest.mark.computing

KT, MASS, EDGE = thermal_energy(300.0), 18.0, 1.6
MEMORY = Pairwise(Prony(2, times=[0.05, 0.3], frictions=[30.0, 60.0]), cutoff=0.6)
BOX = jnp.full(3, EDGE)
BEADS = 48


def positions_of(seed=0, beads=BEADS):
    return jnp.asarray(np.random.default_rng(seed).uniform(0, EDGE, size=(beads, 3)))


def bath_of(memory=MEMORY, timestep=0.01, capacity=24):
    return eqx.filter_jit(pair_bath)(memory, temperature=300.0, timestep=timestep, capacity=capacity)


@pytest.mark.parametrize("beads", [7, 8])
def test_every_pair_belongs_to_one_bead_and_is_found_by_the_other(beads):
    x = positions_of(1, beads)
    bath = bath_of()
    pairs = relist(bath, x, no_pairs(bath, x), box=BOX, reach=0.7, key=jax.random.key(0))
    first, second = np.meshgrid(np.arange(beads), np.arange(beads), indexing="ij")
    owned = np.asarray(owned_pairs(jnp.asarray(first), jnp.asarray(second), beads))
    np.testing.assert_array_equal(owned ^ owned.T, ~np.eye(beads, dtype=bool))
    steps = np.asarray(x)[:, None] - np.asarray(x)
    near = np.linalg.norm(steps - EDGE * np.round(steps / EDGE), axis=-1) < 0.7
    for bead in range(beads):
        partners = np.asarray(pairs.partners[bead])
        assert partners[partners < beads].tolist() == np.flatnonzero(near[bead] & owned[bead]).tolist()
        mirrors = np.asarray(pairs.mirrors[bead])
        places = mirrors[mirrors < beads * bath.capacity]
        np.testing.assert_array_equal(np.asarray(pairs.partners).ravel()[places], bead)
        owners = places // bath.capacity
        assert owners.tolist() == np.flatnonzero(near[bead] & owned[:, bead]).tolist()


def test_pairs_keep_their_variables_when_listed_anew():
    x, bath = positions_of(), bath_of()
    before = relist(bath, x, no_pairs(bath, x), box=BOX, reach=0.7, key=jax.random.key(0))
    moved = x + 0.05 * jax.random.normal(jax.random.key(1), x.shape)
    after = relist(bath, moved, before, box=BOX, reach=0.7, key=jax.random.key(2))

    def by_pair(pairs):
        return {
            (bead, int(other)): np.asarray(pairs.values[bead, place])
            for bead in range(BEADS)
            for place, other in enumerate(np.asarray(pairs.partners[bead]))
            if other < BEADS
        }

    old, new = by_pair(before), by_pair(after)
    both, entered = old.keys() & new.keys(), new.keys() - old.keys()
    assert len(both) > 100
    assert len(entered) > 10
    assert all((old[pair] == new[pair]).all() for pair in both)
    # new ones are from equilibrium: variance kT, known to sqrt(2/n)
    fresh = np.array([new[pair] for pair in entered]).ravel()
    assert abs(np.mean(fresh**2) / KT - 1) < 4.5 * np.sqrt(2 / fresh.size)


def follow(bath, *, steps, force=lambda x: 0.0 * x, timestep=0.01, relist_every=5, key=0, seed=0):
    """Momenta and z after every `relist_every` steps."""
    x = positions_of(seed)
    mass = jnp.full(BEADS, MASS)
    apply = pairwise_gle(
        lambda x, neighbors: force(x),
        lambda x, dx: jnp.mod(x + dx, EDGE),
        timestep=timestep,
        bath=bath,
        box=BOX,
    )

    @jax.jit
    def run(key):
        begin, key = jax.random.split(key)
        p = jnp.sqrt(MASS * KT) * jax.random.normal(begin, x.shape)
        state = GLEState(x, p, force(x), no_pairs(bath, x), key)

        def stretch(state, _):
            fresh = jax.random.fold_in(state.rng, 1)
            pairs = relist(bath, state.position, state.auxiliary, box=BOX, reach=0.75, key=fresh)
            state = state._replace(auxiliary=pairs)
            state = jax.lax.fori_loop(
                0, relist_every, lambda _, s: apply(s, mass=mass, neighbors=None), state
            )
            listed = pairs.partners < BEADS
            z = jnp.sum(jnp.where(listed[..., None], state.auxiliary.values**2, 0.0), axis=(0, 1))
            return state, (state.momentum, z / jnp.sum(listed), pairs.widest)

        return jax.lax.scan(stretch, state, length=steps // relist_every)[1]

    momentum, z, widest = run(jax.random.key(key))
    assert int(widest.max()) <= bath.capacity
    return np.asarray(momentum), np.asarray(z)


def test_total_momentum_is_conserved_to_rounding():
    momentum, _ = follow(bath_of(), steps=200)
    total = momentum.sum(axis=1)
    # sums of 48 numbers of size sqrt(m kT) = 7, over 200 steps
    assert np.abs(total - total[0]).max() < 1e-11
    assert np.abs(momentum - momentum[0]).max() > 1.0  # and yet they move
    # negative control: half of the reaction is not enough
    bath, x = bath_of(), positions_of()
    pairs = relist(bath, x, no_pairs(bath, x), box=BOX, reach=0.75, key=jax.random.key(0))
    lost = pairs._replace(mirrors=pairs.mirrors.at[::2].set(BEADS * bath.capacity))
    after, _ = couple(
        bath, x, jnp.zeros((BEADS, 3)), lost, mass=jnp.full(BEADS, MASS), box=BOX, timestep=0.01
    )
    assert np.abs(after.sum(axis=0)).max() > 1e-3


def equipartition(bath):
    """Deviation, in standard errors, of momenta and of z from their thermal widths."""
    momentum, z = follow(bath, steps=20_000, relist_every=4, timestep=0.01)
    half = len(momentum) // 5
    drift = momentum.mean(axis=1, keepdims=True)
    square = ((momentum - drift) ** 2).mean(axis=(1, 2))[half:] * BEADS / (BEADS - 1)
    found = []
    for series, expected in ((square, MASS * KT), *((z[half:, mode], KT) for mode in range(2))):
        blocks = series[-(len(series) // 20 * 20) :].reshape(20, -1).mean(axis=1)
        found.append((blocks.mean() - expected) / (blocks.std(ddof=1) / np.sqrt(20)))
    return np.array(found)


def test_momenta_and_pair_variables_obey_equipartition():
    # Student's t with 19 degrees of freedom; kicks are off by (w dt)²/4 = 1e-3, w² = 2 K(0) per neighbour/m
    assert (np.abs(equipartition(bath_of())) < 5).all()


def test_wrong_noise_fails_equipartition():
    """Negative control: noise 5% too strong."""
    bath = bath_of()
    assert (equipartition(eqx.tree_at(lambda b: b.noise, bath, 1.05 * bath.noise)) > 5).all()


def test_simulations_with_a_pairwise_memory(make_topology, soft_sphere, lattice):
    """In the engine, beside a pair potential, and another correlation than without it."""
    start = np.tile(lattice(4, EDGE), (2, 1, 1))
    settings = {
        "box": [EDGE] * 3,
        "topology": make_topology(64),
        "temperature": 300.0,
        "timestep": 0.01,
        "steps": 3000,
        "equilibration": 500,
        "observables": [VACF(maximum=0.5)],
        "measure_every": 5,
        "key": jax.random.key(0),
        "loop": HostLoop(progress=False),
        "records": 20,
    }
    model = Model(soft_sphere(20.0, 0.5), MEMORY)
    found = simulate_ensemble([model] * 2, start, **settings)
    # of momenta of 64 beads that add up to zero, which the temperature counts as 63
    per_record = found["kinetic_temperature"].to_numpy().ravel()
    blocks = per_record.reshape(10, -1).mean(axis=1)
    assert abs(blocks.mean() - 300) < 6 * blocks.std(ddof=1) / np.sqrt(10) + 1
    assert blocks.std(ddof=1) / np.sqrt(10) < 8
    curve = found["velocity_correlation"].mean(("draw", "record"))
    assert float(curve[0]) == pytest.approx(3 * KT / MASS * 63 / 64, rel=0.1)
    assert not found["exploded_step"].max() >= 0
    assert float(abs(curve[-1]) / curve[0]) < 0.5


def test_instantaneous_friction_and_wide_cutoffs_are_refused(run, soft_sphere, lattice):
    start = lattice(4, EDGE)[None]
    wide = Pairwise(MEMORY.memory, cutoff=0.9)
    with pytest.raises(BayescgError, match="cutoff must be at most half"):
        run([soft_sphere(20.0, 0.5)], start, box=[EDGE] * 3, memory=wide)
    both = Pairwise(MEMORY.memory + Markovian(1.0), cutoff=0.6)
    with pytest.raises(BayescgError, match="must have no instantaneous friction"):
        run([soft_sphere(20.0, 0.5)], start, box=[EDGE] * 3, memory=both)
    with pytest.raises(BayescgError, match="memory must be one of single variables"):
        Pairwise(MEMORY, cutoff=0.5)
