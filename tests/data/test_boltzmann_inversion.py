"""Boltzmann inversion gives back the energies that samples were drawn from; without Jacobians it does not."""

import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.data.boltzmann_inversion import invert, sampled_internal
from bayescg.numerics.internal_coordinates import ANGLE, BOND, COSINE, DIHEDRAL
from bayescg.units import thermal_energy

SAMPLES = 200_000
KT = thermal_energy(300.0)


def drawn(energy, jacobian, low, high, temperature=300.0, seed=0):
    """Samples of p ∝ J exp(-u/kT) by inversion of its distribution function on a fine grid."""
    q = np.linspace(low, high, 20001)
    p = jacobian(q) * np.exp(-energy(q) / thermal_energy(temperature))
    distribution = np.concatenate([[0.0], np.cumsum(0.5 * (p[1:] + p[:-1]))])
    u = np.random.default_rng(seed).uniform(size=SAMPLES)
    return np.interp(u, distribution / distribution[-1], q)


STIFFNESS, LENGTH = 2500.0, 0.25
BEND, ANGLE_AT = 40.0, 2.2
CASES = {
    "bond": (BOND, STIFFNESS, LENGTH, lambda r: r**2, (0.05, 0.5)),
    "angle": (ANGLE, BEND, ANGLE_AT, np.sin, (0.0, np.pi)),
}


@pytest.mark.parametrize("temperature", [300.0, 150.0])
@pytest.mark.parametrize("name", CASES)
def test_a_harmonic_energy_sampled_exactly_comes_back(name, temperature):
    """Errors of mean and variance: sigma/sqrt(N) and sqrt(2/N); four of them, and 0.3% for the bins."""
    coordinate, k, rest, jacobian, ends = CASES[name]
    q = drawn(lambda q: 0.5 * k * (q - rest) ** 2, jacobian, *ends, temperature)
    kT = thermal_energy(temperature)
    sigma = np.sqrt(kT / k)
    # the weights 1/J add to the scatter: less than a factor of 2 here
    shift, relative = 8 * sigma / np.sqrt(SAMPLES), 8 * np.sqrt(2 / SAMPLES) + 3e-3
    found = invert(coordinate, q, thermal_energy=kT)
    assert found.center == pytest.approx(rest, abs=shift)
    assert found.stiffness == pytest.approx(k, rel=relative)
    # control: without the Jacobian the rest position is off, by 2 sigma²/r for a bond
    wrong = invert(coordinate, q, thermal_energy=kT, jacobian=False)
    assert abs(wrong.center - rest) > 5 * shift
    if name == "bond":
        assert wrong.center - rest == pytest.approx(2 * sigma**2 / rest, rel=0.1)
    # control: the temperature is the scale of the energy
    assert invert(coordinate, q, thermal_energy=2 * kT).stiffness == pytest.approx(
        2 * found.stiffness, rel=1e-12
    )


def test_an_energy_of_any_form_comes_back():
    """u(phi) = 3 cos phi + 2 cos 3 phi; -kT ln p of 3,300 samples a bin or fewer: kT/sqrt(n) each."""
    phi = drawn(lambda q: 3 * np.cos(q) + 2 * np.cos(3 * q), np.ones_like, -np.pi, np.pi)
    found = invert(DIHEDRAL, phi, thermal_energy=KT, limits=(-np.pi, np.pi))
    true = 3 * np.cos(found.values) + 2 * np.cos(3 * found.values)
    counts = np.histogram(phi, np.linspace(-np.pi, np.pi, 61))[0]
    error = KT / np.sqrt(counts) + 0.03  # the middle of a bin is not its mean: u'' h²/24
    difference = found.energy - true
    difference -= np.average(difference, weights=counts)
    assert np.abs(difference / error).max() < 4.5


def test_nothing_sampled_is_infinite_and_nothing_that_varies_is_refused():
    q = np.concatenate([np.full(10, 0.2), np.full(10, 0.3)]) + 1e-3 * np.arange(20)
    assert np.isinf(invert(BOND, q, thermal_energy=KT, bins=10).energy).any()
    for coordinate in (BOND, COSINE):
        with pytest.raises(BayescgError, match="must vary in the data"):
            invert(coordinate, np.full(9, 0.3), thermal_energy=KT)


@pytest.fixture(scope="module")
def molecules():
    """Three beads A-B-A, bonds of STIFFNESS and free angles, at random places in a box."""
    rng = np.random.default_rng(1)
    frames, count = 40, 60

    def bond():
        length = drawn(
            lambda r: 0.5 * STIFFNESS * (r - LENGTH) ** 2, lambda r: r**2, 0.05, 0.5, seed=rng.integers(99)
        )
        way = rng.normal(size=(frames, count, 3))
        return rng.choice(length, (frames, count, 1)) * way / np.linalg.norm(way, axis=-1, keepdims=True)

    middle = rng.uniform(0, 3, size=(frames, count, 3))
    x = np.stack([middle + bond(), middle, middle + bond()], axis=2).reshape(frames, -1, 3)
    place = 3 * np.arange(count)[:, None]
    return xr.Dataset(
        {
            "position": (("frame", "bead", "dim"), x, {"units": "nm"}),
            "box": (("frame", "dim"), np.full((frames, 3), 3.0), {"units": "nm"}),
            "type": ("bead", np.tile(["A", "B", "A"], count)),
            "molecule": ("bead", np.repeat(np.arange(count), 3)),
            "bond": (("bond", "end"), np.concatenate([place + np.array([0, 1]), place + np.array([1, 2])])),
        },
        attrs={"temperature": 300.0},
    )


def test_of_beads_every_kind_of_chain_is_inverted(molecules):
    found = bcg.data.boltzmann_inversion(molecules, bins=40)
    assert found["bond_type"].values.tolist() == ["A-B"]
    assert found["angle_type"].values.tolist() == ["A-B-A"]
    assert "dihedral_energy" not in found
    # 4,800 bonds: relative errors of 2% in k and sigma/sqrt(N) in the length, times four
    assert float(found["bond_stiffness"][0]) == pytest.approx(STIFFNESS, rel=0.09)
    assert float(found["bond_center"][0]) == pytest.approx(LENGTH, abs=4 * np.sqrt(KT / STIFFNESS / 4800))
    # free angles have no energy: bins of 20 samples or more, each to kT/sqrt(n)
    angle = found["angle_energy"].values[0]
    inner = np.abs(found["bond_angle"].values[0] - np.pi / 2) < 1.2
    assert angle[inner].std() < 0.25 * KT
    assert found["bond_energy"].attrs["units"] == "kJ/mol"
    with pytest.raises(BayescgError, match="must have bonds"):
        bcg.data.boltzmann_inversion(molecules.drop_vars("bond"))


def test_a_potential_learns_range_and_start_of_every_kind(molecules):
    entries = {one.coordinate: one for one in sampled_internal(bcg.data.validate(molecules))}
    assert set(entries) == {"bond", "angle", "cosine"}
    assert entries["bond"].kind == (0, 1)
    assert entries["angle"].kind == (0, 1, 0)
    inverted = bcg.data.boltzmann_inversion(molecules)
    assert entries["bond"].stiffness == pytest.approx(float(inverted["bond_stiffness"][0]), rel=1e-12)
    assert np.cos(entries["angle"].highest) == pytest.approx(entries["cosine"].lowest, abs=1e-12)
    # a third of the temperature is a third of the stiffness
    colder = sampled_internal(bcg.data.validate(molecules.assign_attrs(temperature=100.0)))
    assert colder[0].stiffness == pytest.approx(entries["bond"].stiffness / 3, rel=1e-12)
