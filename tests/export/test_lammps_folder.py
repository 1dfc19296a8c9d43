"""Folders that LAMMPS runs as they are: every ensemble, a memory, and what cannot be written."""

import re
import subprocess
from types import SimpleNamespace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg._typing import Array
from bayescg.export.lammps_gle import gle_matrix
from bayescg.export.lammps_program import find_lammps
from bayescg.interfaces import AbstractPotential, Sampled, Support
from bayescg.model import Model

MEMORY = bcg.memory.Prony(modes=2, times=[0.05, 0.5], frictions=[20.0, 40.0])


class Field(AbstractPotential):
    """On single beads: no table holds it."""

    strength: Array
    cutoff: float = eqx.field(static=True, default=0.0)

    def prepare(self, support):
        return self

    def coordinates(self):
        return {"strength": {}}

    def energy(self, configuration):
        return self.strength * jnp.sum(configuration.positions)


def pairs_of_beads(count=20, edge=2.5):
    """Dimers of two masses on a lattice, as data."""
    line = (np.arange(3) + 0.5) * edge / 3
    centers = np.stack(np.meshgrid(line, line, line), axis=-1).reshape(-1, 3)[:count]
    x = (centers[:, None] + np.array([[0.0, 0, 0], [0.25, 0, 0]])).reshape(1, -1, 3)
    variables = {
        "position": (("frame", "bead", "dim"), np.repeat(x, 3, axis=0), {"units": "nm"}),
        "box": (("frame", "dim"), np.full((3, 3), edge), {"units": "nm"}),
        "mass": ("bead", np.tile([15.0, 30.0], count), {"units": "amu"}),
        "type": ("bead", np.tile(["A", "B"], count)),
        "molecule": ("bead", np.repeat(np.arange(count), 2)),
        "bond": (("bond", "end"), np.arange(2 * count).reshape(-1, 2)),
    }
    return bcg.data.validate(xr.Dataset(variables, {"dim": list("xyz")}, {"temperature": 300.0}))


@pytest.fixture
def exported(tmp_path):
    """Exports a posterior of springs of three strengths, with what else the model has."""

    def go(memory=None, more=None, beads=None, **settings):
        beads = pairs_of_beads() if beads is None else beads
        bond = Sampled("bond", (0, 1), 0.2, 0.3, 0.25, 5e3)
        support = Support(("A", "B"), (0.2,) * 3, internal=(bond,))
        spring = bcg.potentials.HarmonicBond().prepare(support)
        soft = bcg.potentials.LennardJones(0.5, 0.3, 0.8).prepare(support)

        def model(values):
            stiff = bcg.potentials.HarmonicBond(stiffness=float(values["k"])).prepare(support)
            return Model(stiff + soft + more if more is not None else stiff + soft, memory)

        assert spring.spring().rest.tolist() == [0.25]
        problem = SimpleNamespace(temperature=300.0, fingerprint="springs", beads=beads, model=model)
        draws = xr.Dataset({"k": (("chain", "draw"), [[4000.0, 5000.0, 6000.0]])})
        tree = xr.DataTree.from_dict({"posterior": draws})
        return bcg.export.lammps(problem, tree, tmp_path / "lammps", draws=3, steps=40, **settings)

    return go


def run(folder):
    program = find_lammps()
    command = [program.command, "-in", "input.lammps", "-screen", "none"]
    done = subprocess.run(command, cwd=folder, env=program.environment(), capture_output=True, text=True)
    return done, (folder / "log.lammps").read_text()


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ({}, "fix thermostat all langevin 300 300 1000 2"),
        ({"ensemble": "NVE"}, "fix motion all nve"),
        ({"thermostat": "nose-hoover", "friction": 2.0}, "fix motion all nvt temp 300 300 500"),
        ({"thermostat": "csvr"}, "fix thermostat all temp/csvr 300 300 1000 2"),
        (
            {"ensemble": "NPT", "thermostat": "nose-hoover", "pressure": 1.01325},
            "fix motion all npt temp 300 300 1000 iso 1 1 10000",
        ),
        ({"ensemble": "NPT", "pressure": 101.325}, "fix motion all nph iso 100 100 10000"),
        ({"memory": MEMORY}, "fix memory_2 mass_2 gle 2 300 300 3 memory_2.A"),
    ],
)
def test_every_folder_runs_as_it_is(settings, command, exported):
    folders = exported(**settings)
    assert [folder.name for folder in folders] == ["draw_0000", "draw_0001", "draw_0002"]
    assert command in (folders[0] / "input.lammps").read_text().splitlines()
    done, log = run(folders[2])
    assert done.returncode == 0, log[-500:]
    # forces are slopes of energies: LAMMPS's check of neighbouring points fails at inflection points alone
    flagged = [int(count) for count in re.findall(r"WARNING: (\d+) of 5000 force values", log)]
    assert sum(flagged) < 5 * 3
    assert log.count("WARNING:") == 2 * len(flagged)
    assert log.count("Total wall time") == 1


def test_every_draw_has_its_own_tables_and_random_numbers(exported):
    folders = exported()
    tables = [np.loadtxt(folder / "bond.table", skiprows=7)[:, 2] for folder in folders]
    # the spring of draw k at 0 nm: k 0.25² / 2 kJ/mol
    heights = np.array([table[0] for table in tables]) * 4.184
    np.testing.assert_allclose(heights, np.array([4000, 5000, 6000]) * 0.25**2 / 2, rtol=1e-12)
    seeds = {(folder / "input.lammps").read_text().split(" create 300 ")[1].split()[0] for folder in folders}
    assert len(seeds) == 3


def test_matrices_hold_the_memory_of_every_mass(exported):
    folder = exported(memory=MEMORY)[0]
    A_s, a, _ = MEMORY.drift()
    for number, mass in ((1, 15.0), (2, 30.0)):
        A = np.loadtxt(folder / f"memory_{number}.A") * 1000
        np.testing.assert_allclose(A[1:, 1:], A_s, rtol=1e-12)
        np.testing.assert_allclose(A[0, 1:], -np.asarray(a) / np.sqrt(mass), rtol=1e-12)
        # its stationary covariance is the unit matrix: A + A' is what noise makes up for
        noise = A + A.T
        assert np.linalg.eigvalsh(noise).min() > -1e-12
        np.testing.assert_allclose(noise[0], 0, atol=1e-15)
        np.testing.assert_array_equal(np.loadtxt(folder / f"memory_{number}.C"), 300 * np.eye(3))


def test_a_memory_without_modes_gets_one_that_does_nothing():
    A = gle_matrix(bcg.memory.Markovian(friction=36.0), 18.0, timestep=0.005)
    np.testing.assert_allclose(A, 1e-3 * np.diag([2.0, 1.0]), rtol=1e-15)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"more": Field(jnp.ones(()))}, "got Field, which no table holds. Simulate it with engine='jax-md'"),
        ({"memory": bcg.memory.Pairwise(MEMORY, cutoff=0.5)}, "must be one of single beads"),
        ({"memory": MEMORY, "friction": 1.0}, "friction and thermostat must not be given"),
        ({"memory": MEMORY, "ensemble": "NPT", "pressure": 1.0}, "constant volume and temperature"),
        ({"ensemble": "NPT"}, "pressure must be given for NPT"),
        ({"ensemble": "NPH"}, "ensemble must be one of"),
        ({"thermostat": "berendsen"}, "thermostat must be one of"),
        ({"temperature": -1.0}, "temperature must be positive"),
        ({"beads": "open"}, "periodic box of three dimensions"),
        ({"beads": "no mass"}, "mass must be positive"),
    ],
)
def test_what_lammps_cannot_hold_is_refused(change, words, exported):
    if "beads" in change:
        dropped = "box" if change["beads"] == "open" else "mass"
        change = {"beads": pairs_of_beads().drop_vars(dropped)}
    with pytest.raises(BayescgError, match=words):
        exported(**change)


def test_a_folder_that_cannot_be_written_is_named(exported, tmp_path):
    (tmp_path / "lammps").write_text("a file in its place")
    with pytest.raises(BayescgError, match="cannot be written"):
        exported()
