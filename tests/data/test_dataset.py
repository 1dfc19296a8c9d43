"""The schema: normal form, topology, state points, files, the temperature of velocities."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from reference_data import shared

import bayescg as bcg
from bayescg import BayescgError, BayescgWarning
from bayescg.data.kinetic import kinetic_temperature
from bayescg.units import BOLTZMANN


def beads_at(temperature, *, stated=300.0, frames=40, count=60, seed=0, still=True):
    """Beads with Maxwell-Boltzmann velocities, the total momentum taken out."""
    generator = np.random.default_rng(seed)
    mass = np.tile([10.0, 30.0], count // 2)
    v = generator.normal(size=(frames, count, 3)) * np.sqrt(BOLTZMANN * temperature / mass)[:, None]
    if still:
        v -= np.einsum("fbd,b->fd", v, mass)[:, None] / mass.sum()
    return xr.Dataset(
        {
            "position": (("frame", "bead", "dim"), np.zeros_like(v), {"units": "nm"}),
            "velocity": (("frame", "bead", "dim"), v, {"units": "nm/ps"}),
            "mass": ("bead", mass, {"units": "amu"}),
        },
        attrs={"temperature": stated},
    )


@pytest.mark.parametrize("still", [True, False])
def test_kinetic_temperature_is_that_of_the_velocities(still):
    measured = kinetic_temperature(beads_at(250.0, still=still, frames=400))
    assert measured.degrees_of_freedom == 3 * 60 - (3 if still else 0)
    # standard error T sqrt(2 / (dof frames))
    assert measured.error == pytest.approx(250.0 * np.sqrt(2 / (measured.degrees_of_freedom * 400)), rel=0.6)
    assert abs(measured.value - 250.0) < 4 * measured.error


def test_kinetic_temperature_of_constrained_atoms_comes_from_their_molecules():
    atoms = bcg.data.synthetic.rigid_water(frames=200, molecules=30, temperature=320.0)
    measured = kinetic_temperature(atoms)
    assert measured.degrees_of_freedom == 90
    assert abs(measured.value - 320.0) < 4 * measured.error
    # negative control: counting three degrees of freedom for every atom gives two thirds of it
    naive = kinetic_temperature(atoms.drop_vars("molecule"))
    assert naive.value == pytest.approx(320.0 * 6 / 9, rel=0.03)


def test_velocities_that_do_not_fit_the_temperature_are_named_with_both_numbers():
    with pytest.warns(BayescgWarning, match=r"velocities show 2[78]\d\.\d .*stated as 300\.0 K"):
        bcg.data.validate(beads_at(280.0, frames=400), needs=("velocity", "temperature"))
    with pytest.warns(BayescgWarning, match="velocities show"):
        bcg.data.validate(
            beads_at(300.0).assign(velocity=beads_at(300.0)["velocity"] * 1.1), needs=("velocity",)
        )
    bcg.data.validate(beads_at(300.0, frames=400), needs=("velocity", "temperature"))
    bcg.data.validate(beads_at(290.0, frames=1), needs=("velocity",))  # one frame of 60 beads cannot tell


def test_the_temperature_of_real_runs_is_found():
    dynamics = bcg.data.read_trajectory(None, shared("water_dynamics.nc"))
    bcg.data.validate(dynamics, needs=("velocity", "temperature"))
    stated = dynamics.attrs["kinetic_temperature_of_the_centers"]  # counted with 3N instead of 3N - 3
    assert kinetic_temperature(dynamics).value == pytest.approx(stated * 510 / 509, abs=0.01)
    for nominal in (300.0, 320.0, 340.0):
        path = shared(f"spce_{nominal:.0f}K.trr")
        atoms = bcg.data.read_trajectory(shared("spce.tpr"), path, temperature=nominal, frames=slice(0, 80))
        assert kinetic_temperature(atoms).agrees(nominal)
        assert not kinetic_temperature(atoms).agrees(nominal - 20.0)


def test_the_normal_form_has_every_label_and_the_order_of_the_schema():
    beads = beads_at(300.0).transpose("dim", "bead", "frame")
    normal = bcg.data.validate(beads)
    assert normal["position"].dims == ("frame", "bead", "dim")
    assert set(normal["type"].to_numpy()) == {"bead"}
    assert normal["molecule"].to_numpy().tolist() == list(range(60))
    assert (normal["trajectory"] == 0).all()
    assert bcg.data.validate(normal).identical(normal)


def test_collective_variables_are_beads_with_units_of_their_own():
    dihedrals = bcg.data.read_trajectory(None, shared("alanine_dipeptide_dihedrals.nc"), frames=slice(0, 100))
    assert bcg.data.validate(dihedrals).sizes["dim"] == 2
    dihedrals["position"].attrs.clear()
    with pytest.raises(BayescgError, match="units"):
        bcg.data.validate(dihedrals)


def test_lazy_numbers_are_checked_as_they_are_read():
    beads = bcg.data.water(frames=6)
    beads["force"][4, 7, 1] = np.nan
    checked = bcg.data.validate(beads.chunk(frame=2), needs=("force",))
    assert np.isfinite(checked["force"][:4]).all().compute()
    with pytest.raises(BayescgError, match="force must be finite"):
        checked.compute()


def test_topology_numbers_types_by_first_appearance():
    beads = bcg.data.water(frames=1).isel(bead=slice(0, 4))
    beads["type"] = "bead", ["W", "CA", "W", "A"]
    beads = beads.assign(bond=(("bond", "end"), [[0, 1], [2, 3]]))
    found = bcg.data.topology(beads)
    assert found.type_names == ("W", "CA", "A")
    assert found.types.tolist() == [0, 1, 0, 2]
    assert found.bonds.tolist() == [[0, 1], [2, 3]]
    assert np.allclose(found.masses, beads["mass"])
    bare = bcg.data.topology(beads[["position"]])
    assert bare.type_names == ("bead",)
    assert np.isnan(bare.masses).all()
    assert bare.bonds.shape == (0, 2)


def test_state_points_come_in_any_form():
    cold, hot = bcg.data.water(frames=1), bcg.data.water(frames=2).assign_attrs(temperature=340.0)
    tree = xr.DataTree.from_dict({"/cold": cold, "/hot": hot})
    for data in ([cold, hot], tree, (point for point in (cold, hot)), [tree]):
        points = bcg.data.state_points(data)
        assert [point.attrs["temperature"] for point in points] == [300.0, 340.0]
        assert [point.sizes["frame"] for point in points] == [1, 2]
    assert bcg.data.state_points(cold)[0] is cold
    with pytest.raises(BayescgError, match="at least one state point"):
        bcg.data.state_points([])


@pytest.mark.parametrize("ending", ["nc", "npz"])
@pytest.mark.parametrize("make", [lambda: bcg.data.water(frames=3), lambda: _atoms()])
def test_files_give_back_what_was_written(tmp_path, ending, make):
    data = make()
    again = bcg.data.read(bcg.data.to_file(data, tmp_path / f"data.{ending}"))
    xr.testing.assert_identical(again, data)
    assert {name: v.dtype for name, v in again.variables.items()} == {
        name: v.dtype for name, v in data.variables.items()
    }


def _atoms():
    return bcg.data.synthetic.rigid_water(frames=3, molecules=4)


def test_a_tree_of_state_points_survives_a_file(tmp_path):
    tree = xr.DataTree.from_dict({"/cold": bcg.data.water(frames=1), "/hot": bcg.data.water(frames=2)})
    path = bcg.data.to_file(tree, tmp_path / "tree.nc")
    with xr.open_datatree(path, engine="h5netcdf") as again:
        assert [point.sizes["frame"] for point in bcg.data.state_points(again)] == [1, 2]


def test_the_shipped_water_is_the_mapped_run():
    water = bcg.data.validate(bcg.data.water(), needs=("force", "box", "mass", "time", "temperature"))
    assert dict(water.sizes) == {"frame": 151, "bead": 510, "dim": 3}
    atoms = bcg.data.read_trajectory(
        shared("spce.tpr"), shared("spce_300K.trr"), temperature=300.0, frames=slice(0, 5, 2)
    )
    beads = bcg.mapping.CenterOfMass()(atoms)
    for name in ("position", "force", "box", "mass", "time"):
        assert np.array_equal(beads[name], water[name][:3] if "frame" in water[name].dims else water[name])
    assert np.array_equal(bcg.data.water(frames=3)["time"], [0.0, 150.0, 300.0])


def test_the_shipped_waters_at_four_temperatures_are_the_mapped_runs():
    """The first kept frame of two, to the rounding they ship with; hotter waters feel larger forces."""
    points = bcg.data.water_temperatures()
    assert [point.attrs["temperature"] for point in points] == [280.0, 300.0, 320.0, 340.0]
    assert all(dict(point.sizes) == {"frame": 24, "bead": 510, "dim": 3} for point in points)
    squares = [
        float((bcg.data.validate(p, needs=("force", "box", "mass"))["force"] ** 2).mean()) for p in points
    ]
    assert squares == sorted(squares)
    firsts = [point.isel(frame=0) for point in points]
    for index in (0, 3):
        kelvin = points[index].attrs["temperature"]
        path = shared(f"spce_{kelvin:.0f}K.trr")
        atoms = bcg.data.read_trajectory(shared("spce.tpr"), path, temperature=kelvin, frames=slice(10, 11))
        beads = bcg.mapping.CenterOfMass()(atoms).isel(frame=0)
        for name, rounding in (("position", 1e-4), ("force", 0.1)):
            # half a unit of the last digit kept, and single precision of numbers up to 3 nm, 1000 kJ/mol/nm
            off = [float(abs(beads[name] - first[name]).max()) for first in firsts]
            assert off[index] < 0.51 * rounding
            # control: every other run has forgotten that all began with one configuration
            assert min(np.delete(off, index)) > 100 * rounding


def test_importing_data_leaves_mdanalysis_alone():
    code = "import sys, bayescg.data; sys.exit('MDAnalysis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
