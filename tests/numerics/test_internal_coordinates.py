"""Lengths, angles and dihedrals against MDAnalysis, and what happens where three beads lie in a line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from MDAnalysis.lib import distances

from bayescg.configuration import Configuration, Topology
from bayescg.numerics.internal_coordinates import (
    ANGLE,
    BOND,
    COSINE,
    DIHEDRAL,
    dihedral_weight,
    internal_values,
    kind_names,
    kind_places,
    kinds_of,
    steps_along,
)

CHAINS = 40
BOX = np.array([1.125, 1.25, 1.375])
GRID = 2.0**20
"""Positions are multiples of its inverse: the same numbers in float32, which the other program takes."""


@pytest.fixture(scope="module")
def chains():
    """Chains of four beads in the open; types vary along and between chains."""
    rng = np.random.default_rng(0)
    steps = 0.25 * rng.normal(size=(CHAINS, 4, 3)) / np.sqrt(3)
    x = np.round(np.cumsum(steps, axis=1).reshape(-1, 3) * GRID) / GRID
    place = 4 * np.arange(CHAINS)[:, None]
    bonds = np.concatenate([place + np.array([0, 1]), place + np.array([1, 2]), place + np.array([3, 2])])
    topology = Topology(
        jnp.asarray(rng.integers(0, 3, 4 * CHAINS)),
        jnp.ones(4 * CHAINS),
        jnp.repeat(jnp.arange(CHAINS), 4),
        jnp.asarray(bonds),
        ("A", "B", "C"),
        angles=jnp.asarray(np.concatenate([place + np.array([0, 1, 2]), place + np.array([3, 2, 1])])),
        dihedrals=jnp.asarray(place + np.array([0, 1, 2, 3])),
    )
    return Configuration(jnp.asarray(x), None, jnp.zeros((4 * CHAINS, 0), int), topology)


def test_values_are_those_of_another_program(chains):
    x = np.asarray(chains.positions)
    programs = {BOND: distances.calc_bonds, ANGLE: distances.calc_angles, DIHEDRAL: distances.calc_dihedrals}
    for coordinate, program in programs.items():
        members = np.asarray(coordinate.members(chains.topology))
        expected = program(*(x[members[:, place]] for place in range(members.shape[1])))
        # rounding of float64, a hundred times larger where angles are nearly straight
        np.testing.assert_allclose(internal_values(coordinate, chains), expected, atol=1e-11)
        # control: chains read from the third bead on are others
        moved = program(*(x[np.roll(members, 1, axis=0)[:, place]] for place in range(members.shape[1])))
        assert np.abs(moved - expected).max() > 0.05
    np.testing.assert_allclose(
        internal_values(COSINE, chains), np.cos(internal_values(ANGLE, chains)), atol=1e-14
    )


def test_chains_may_lie_in_any_image(chains):
    shifts = np.random.default_rng(1).integers(-2, 3, size=chains.positions.shape) * BOX
    scattered = Configuration(chains.positions + shifts, jnp.asarray(BOX), chains.neighbors, chains.topology)
    for coordinate in (BOND, ANGLE, COSINE, DIHEDRAL):
        whole = internal_values(coordinate, chains)
        np.testing.assert_allclose(internal_values(coordinate, scattered), whole, atol=1e-12)
        # control: without the box they are torn apart
        torn = Configuration(scattered.positions, None, chains.neighbors, chains.topology)
        assert np.abs(internal_values(coordinate, torn) - whole).max() > 0.5


def test_the_sign_of_a_dihedral_is_that_of_the_convention_and_turns_in_the_mirror():
    """Looking along the middle bond, clockwise from the first to the last bead is positive."""
    x = jnp.array([[0.0, 1, 0], [0.0, 0, 0], [0.0, 0, 1], [np.sin(0.7), np.cos(0.7), 1.0]])
    phi = float(DIHEDRAL.value(steps_along(x, None)))
    assert abs(phi) == pytest.approx(0.7, abs=1e-14)
    assert phi == pytest.approx(float(distances.calc_dihedrals(*np.asarray(x))), abs=1e-7)
    assert float(DIHEDRAL.value(steps_along(x * jnp.array([-1.0, 1, 1]), None))) == pytest.approx(
        -phi, abs=1e-14
    )


def bent(angle):
    return jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [jnp.cos(angle), jnp.sin(angle), 0.0]])


@pytest.mark.parametrize("coordinate", [ANGLE, COSINE], ids=lambda c: c.name)
def test_derivatives_are_finite_at_every_angle(coordinate):
    value = jax.jit(lambda x: coordinate.value(steps_along(x, None)))
    slope, curvature = jax.jit(jax.grad(value)), jax.jit(jax.hessian(value))
    for angle in (0.0, 1e-9, 1e-4, 1.0, np.pi - 1e-4, np.pi - 1e-9, np.pi):
        x = bent(angle)
        assert float(value(x)) == pytest.approx(angle if coordinate is ANGLE else np.cos(angle), abs=1e-12)
        assert np.abs(slope(x)).max() < 4.0  # of order one over a bond
        assert np.isfinite(curvature(x)).all()
    # the cosine's second derivative is that of -1 + (y/2)² y-displacements: exact at the line itself
    if coordinate is COSINE:
        assert float(curvature(bent(np.pi))[0, 1, 0, 1]) == pytest.approx(1.0, abs=1e-12)


def test_a_dihedral_fades_where_an_angle_is_straight():
    """w cos phi has finite first and second derivatives on the line; without w they diverge (control)."""

    def chain(bend):
        return jnp.array(
            [[-1.0, 0.3, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1 + jnp.cos(bend), 0.0, jnp.sin(bend)]]
        )

    def energy(x, weighted):
        steps = steps_along(x, None)
        return jnp.cos(DIHEDRAL.value(steps)) * (dihedral_weight(steps) if weighted else 1.0)

    slope = jax.jit(jax.grad(energy), static_argnums=1)
    curvature = jax.jit(jax.hessian(energy), static_argnums=1)
    for bend in (0.0, 1e-6, 1e-3, 0.02, 0.1, 0.17, 0.18, 0.5):
        # S' is at most 2 / sin² 10° per unit of sin²; S'' ten times as much
        assert np.abs(slope(chain(bend), True)).max() < 20
        assert np.abs(curvature(chain(bend), True)).max() < 1000
    assert np.abs(slope(chain(1e-3), False)).max() > 500
    assert float(dihedral_weight(steps_along(chain(0.5), None))) == 1.0
    assert float(dihedral_weight(steps_along(chain(0.0), None))) == 0.0


def test_kinds_do_not_depend_on_the_direction_a_chain_is_read_in(chains):
    topology = chains.topology
    for coordinate in (BOND, ANGLE, DIHEDRAL):
        kinds = kinds_of(coordinate, topology)
        types = np.asarray(topology.types)[np.asarray(coordinate.members(topology))]
        expected = [kinds.index(min(tuple(row), tuple(row[::-1]))) for row in types.tolist()]
        assert kind_places(coordinate, topology, kinds).tolist() == expected
        assert len(set(expected)) == len(kinds) > 3
        # a kind that is not listed stands at the end
        fewer = kind_places(coordinate, topology, kinds[1:])
        assert (np.asarray(fewer) == len(kinds) - 1).tolist() == [place == 0 for place in expected]
    assert kind_names(((0, 2), (1, 1)), topology.type_names) == ["A-C", "B-B"]
