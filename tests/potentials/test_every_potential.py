"""Every exported potential stands under a contract of its kind: none can be added and forgotten."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg
from bayescg.interfaces import AbstractPotential, LinearSum, Sum
from tests.potentials import (
    test_ace,
    test_bonded,
    test_contract,
    test_equivariant,
    test_local_density,
    test_nonbonded,
    test_stillinger_weber,
    test_thermodynamic,
    test_threebody,
)
from tests.potentials.test_contract import TOLERANCE, configuration, energy_of, forces_of


def held():
    """What the contracts of these files run on: potentials, some with their types beside them."""
    return [
        *test_contract.CASES.values(),
        *test_contract.SITES.values(),
        *test_nonbonded.CASES.values(),
        *test_threebody.CASES.values(),
        *test_ace.CASES.values(),
        *test_local_density.CASES.values(),
        *test_stillinger_weber.CASES.values(),
        *test_bonded.POTENTIALS.values(),
        test_equivariant.network(("A",)),
        test_thermodynamic.LINEAR,
        test_thermodynamic.GENERAL,
        bcg.potentials.at_temperature(test_thermodynamic.GENERAL, 300.0),
    ]


def kinds(potential):
    """The classes of a potential and of what it is made of."""
    parts = potential if isinstance(potential, tuple) else (potential,)
    potentials = [part for part in parts if isinstance(part, AbstractPotential)]
    inner = [child for one in potentials for child in vars(one).values() if not isinstance(child, str)]
    below = [child for child in inner if isinstance(child, AbstractPotential | tuple)]
    return {type(one) for one in potentials}.union(*(kinds(child) for child in below))


def exported():
    found = [getattr(bcg.potentials, name) for name in bcg.potentials.__all__]
    return {one for one in found if inspect.isclass(one) and issubclass(one, AbstractPotential)}


def forgotten(potentials):
    known = {one.__name__ for one in set().union(*map(kinds, potentials))}
    return {one.__name__ for one in exported()} - known


def test_every_exported_potential_is_under_a_contract():
    assert forgotten(held()) == set()


def test_a_forgotten_potential_is_seen():
    assert "Morse" in forgotten([one for one in held() if bcg.potentials.Morse not in kinds(one)])


def test_a_network_beside_a_spline_adds_its_energy_and_forces():
    network, types = test_equivariant.network(("A", "B")), ("A", "B")
    spline, _ = test_contract.CASES["spline-two-types"]
    both, frame = spline + network, configuration(types, periodic=True)
    assert isinstance(both, Sum)
    assert not isinstance(both, LinearSum)
    apart = float(energy_of(spline, frame)) + float(energy_of(network, frame))
    assert float(energy_of(both, frame)) == pytest.approx(apart, rel=1e-12)
    forces = np.asarray(forces_of(spline, frame) + forces_of(network, frame))
    np.testing.assert_allclose(forces_of(both, frame), forces, atol=TOLERANCE * np.abs(forces).max())
    assert np.abs(jnp.sum(forces_of(both, frame), axis=0)).max() <= TOLERANCE * np.abs(forces).max()
