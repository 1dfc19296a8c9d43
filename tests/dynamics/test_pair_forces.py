"""Tabulated pair forces against automatic differentiation of the energy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg.dynamics import pair_forces
from bayescg.dynamics.neighbors import find_neighbors
from bayescg.dynamics.pair_forces import force_field, forces
from bayescg.dynamics.pair_tables import pair_table
from bayescg.interfaces import Configuration, Support
from bayescg.potentials import LennardJones, PairSpline

CUTOFF = 0.8
BOX = jnp.full(3, 2.0)


def spline(kinds, seed=0, degree=3):
    support = Support(tuple("ABC"[:kinds]), tuple(0.2 + 0.02 * i for i in range(kinds * (kinds + 1) // 2)))
    ready = PairSpline(cutoff=CUTOFF, knots=12, degree=degree).prepare(support)
    values = np.random.default_rng(seed).normal(size=ready.coefficients.shape)
    return eqx.tree_at(lambda p: p.coefficients, ready, jnp.asarray(values))


def lennard_jones(kinds):
    numbers = np.arange(kinds * (kinds + 1) // 2)
    potential = LennardJones(epsilon=0.6 + 0.1 * numbers, sigma=0.3 - 0.02 * numbers, cutoff=CUTOFF)
    return potential.prepare(Support(tuple("ABC"[:kinds]), (0.2,) * numbers.size))


def positions_of(beads, closest, seed=1):
    """Random, but no pair nearer than `closest`."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < beads:
        trial = rng.uniform(0, 2, 3)
        steps = np.array(found).reshape(-1, 3) - trial
        if (np.linalg.norm(steps - 2 * np.round(steps / 2), axis=1) > closest).all():
            found.append(trial)
    return jnp.asarray(found)


@eqx.filter_jit
def forces_both_ways(potential, positions, topology, dtype):
    table = force_field(potential, len(topology.type_names))
    neighbors = find_neighbors(positions, box=BOX, topology=topology, reach=CUTOFF, capacity=len(positions))
    fast = forces(
        table, positions.astype(dtype), box=BOX.astype(dtype), neighbors=neighbors, topology=topology
    )
    return fast, potential.forces(Configuration(positions, BOX, neighbors.indices, topology))


def both(potential, positions, topology, dtype):
    """Force by table and by autodiff."""
    fast, exact = forces_both_ways(potential, positions, topology, dtype)
    assert fast.dtype == dtype
    return np.asarray(fast, float), np.asarray(exact)


@pytest.mark.parametrize(("kinds", "degree"), [(1, 3), (2, 3), (3, 3), (2, 4)])
def test_spline_table_is_exact(kinds, degree, make_topology):
    # 0.15 nm reaches below the start of 0.2 nm, into the core
    positions = positions_of(40, 0.15)
    fast, exact = both(spline(kinds, degree=degree), positions, make_topology(40, kinds=kinds), jnp.float64)
    np.testing.assert_allclose(fast, exact, rtol=1e-10, atol=1e-9)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="loops in machine code are for processors")
@pytest.mark.parametrize(("kinds", "dims", "boxed"), [(1, 3, True), (2, 2, True), (2, 1, False)])
def test_loops_give_what_arrays_give(kinds, dims, boxed, make_topology):
    rng, beads = np.random.default_rng(5), 60
    positions = jnp.asarray(rng.uniform(-2, 4, size=(beads, dims)))
    positions = positions.at[1].set(positions[0])  # coincident beads pull at each other in no direction
    box, topology = jnp.full(dims, 2.0) if boxed else None, make_topology(beads, kinds=kinds)
    field = eqx.filter_jit(force_field)(spline(kinds) + lennard_jones(kinds), kinds)
    near = find_neighbors(positions, box=box, topology=topology, reach=CUTOFF, capacity=beads)
    arguments = field.tables, positions, box, near
    loops, arrays = pair_forces._in_loops(*arguments), pair_forces._in_arrays(*arguments)
    np.testing.assert_allclose(loops, arrays, rtol=1e-12, atol=1e-9 * float(abs(arrays).max()))
    np.testing.assert_array_equal(forces(field, positions, box=box, neighbors=near, topology=topology), loops)
    # what is not finite shows: an explosion is noticed by it, whatever the compiler may reorder
    torn = field.tables, positions.at[0].set(jnp.nan), box, near
    lost = jnp.isnan(pair_forces._in_loops(*torn))
    assert lost[0].all()
    np.testing.assert_array_equal(lost, jnp.isnan(pair_forces._in_arrays(*torn)))


def test_spline_table_in_float32_is_good_to_rounding(make_topology):
    fast, exact = both(spline(1), positions_of(40, 0.2), make_topology(40), jnp.float32)
    # positions of 2 nm are known to 1.2e-7 nm, and force constants reach a few 1e3 kJ/mol/nm^2 here
    assert abs(fast - exact).max() < 1e-2
    assert abs(fast - exact).max() > 1e-9  # negative control: float32 it is


@pytest.mark.parametrize("kinds", [1, 2])
def test_interpolated_table_keeps_to_its_stated_error(kinds, make_topology):
    potential = lennard_jones(kinds)
    table = eqx.filter_jit(pair_table)(potential, kinds)
    positions = positions_of(40, 0.27)
    fast, exact = both(potential, positions, make_topology(40, kinds=kinds), jnp.float64)
    # each force is a sum over at most 39 neighbours, each off by at most the stated error
    assert abs(fast - exact).max() <= 39 * float(table.error)
    assert 0 < float(table.error) < 1e-2  # of 1e4 where it is largest


def test_stated_error_is_the_theoretical_one():
    potential = lennard_jones(1)
    table = eqx.filter_jit(pair_table)(potential, 1)
    zero = jnp.array(0)

    def energy(distance):
        return potential.pair_energy(distance, zero, zero)

    fourth = energy
    for _ in range(4):
        fourth = jax.grad(fourth)
    grid = jnp.linspace(float(table.starts[0]), CUTOFF * (1 - 1e-6), 4001)
    reached = jax.vmap(energy)(grid) < 50.0
    largest = jnp.max(jnp.where(reached, abs(jax.jit(jax.vmap(fourth))(grid)), 0.0))
    bound = 3**0.5 / 216 * float(table.widths[0]) ** 3 * float(largest)
    # the bound is attained where u'''' varies slowly over an interval
    assert 0.5 * bound < float(table.error) < 1.05 * bound


def test_sums_add_tables_and_other_forces(make_topology, tether):
    topology, positions = make_topology(30), positions_of(30, 0.27)
    potential = spline(1) + lennard_jones(1) + tether(20.0)
    field = eqx.filter_jit(force_field)(potential, 1)
    assert (len(field.tables), len(field.others)) == (2, 1)
    fast, exact = both(potential, positions, topology, jnp.float64)
    np.testing.assert_allclose(fast, exact, atol=1e-2)
    assert abs(exact).max() > 10


def test_forces_of_pairs_add_to_zero(make_topology):
    fast, _ = both(spline(2), positions_of(40, 0.2), make_topology(40, kinds=2), jnp.float64)
    assert abs(fast.sum(axis=0)).max() < 1e-9


def test_force_beyond_the_cutoff_is_zero(make_topology):
    topology = make_topology(2)
    apart = jnp.array([[0.1, 1.0, 1.0], [0.1 + CUTOFF + 1e-9, 1.0, 1.0]])
    fast, _ = both(spline(1), apart, topology, jnp.float64)
    np.testing.assert_array_equal(fast, 0.0)
