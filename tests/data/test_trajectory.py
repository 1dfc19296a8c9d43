"""Reading: every format gives the numbers that were written, eagerly and lazily."""

import warnings

import h5py
import numpy as np
import pytest
import scipy.constants
import xarray as xr
from reference_data import shared
from trajectory_files import FRAMES, WRITERS, waters, write, write_data, write_psf, write_with_mdanalysis

import bayescg as bcg
from bayescg import BayescgWarning
from bayescg.data.unit_systems import UNIT_SYSTEMS, UnitSystem

# Rounding to float32, twice (to angstrom and back), of numbers up to 2 nm, 10 nm/ps, 5000 kJ/mol/nm;
# XTC keeps 0.001 nm, half of which is lost by rounding.
TOLERANCE = {"position": 5e-7, "velocity": 2e-6, "force": 2e-3}
XTC_TOLERANCE = 5.01e-4


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    atoms = waters()
    return atoms, {ending: write(atoms, tmp_path_factory.mktemp(ending), ending) for ending in WRITERS}


def assert_same_numbers(got, wanted, *, position=TOLERANCE["position"]):
    tolerance = TOLERANCE | {"position": position}
    for name in ("position", "velocity", "force"):
        if name in got:
            assert np.abs(got[name].to_numpy() - wanted[name].to_numpy()).max() < tolerance[name]
    assert np.abs(got["box"].to_numpy() - wanted["box"].to_numpy()).max() < 1e-6
    assert np.abs(got["time"].to_numpy() - wanted["time"].to_numpy()).max() < 1e-6


@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_gives_the_numbers_that_were_written(written, ending):
    atoms, files = written
    topology, path, options = files[ending]
    got = bcg.data.read_trajectory(topology, path, temperature=300.0, **options)
    assert_same_numbers(got, atoms, position=XTC_TOLERANCE if ending == "xtc" else TOLERANCE["position"])
    assert ("force" in got) == (ending not in ("xtc", "dcd"))
    assert got.attrs["temperature"] == 300.0
    assert got.sizes["frame"] == FRAMES
    assert got["residue"].to_numpy().tolist() == atoms["residue"].to_numpy().tolist()
    assert np.abs(got["mass"].to_numpy() - atoms["mass"].to_numpy()).max() < 1e-3
    assert got["position"].attrs["units"] == "nm"
    bcg.data.validate(got, needs=("position", "mass", "box", "time", "temperature"))


@pytest.mark.parametrize("ending", WRITERS)
def test_lazy_reading_equals_eager_reading(written, ending):
    topology, path, options = written[1][ending]
    eager = bcg.data.read_trajectory(topology, path, **options)
    lazy = bcg.data.read_trajectory(topology, path, chunks=2, **options)
    assert lazy["position"].chunks is not None
    assert lazy.compute(scheduler="threads", num_workers=4).equals(eager)


def test_a_changed_file_changes_the_hash_and_the_numbers(tmp_path):
    atoms = waters()
    topology, path, _ = write(atoms, tmp_path, "trr")
    before = bcg.data.read_trajectory(topology, path)
    atoms["position"][0, 0] += 0.01
    after = bcg.data.read_trajectory(topology, write(atoms, tmp_path, "trr")[1])
    assert before.attrs["source_hash"] != after.attrs["source_hash"]
    with pytest.raises(AssertionError):
        assert_same_numbers(before, atoms)
    assert_same_numbers(after, atoms)


@pytest.mark.parametrize("ending", ["trr", "nc", "extxyz"])
@pytest.mark.parametrize("chunks", [None, 2])
def test_several_files_are_joined_in_order(written, ending, chunks):
    atoms, files = written
    topology, path, options = files[ending]
    part = slice(3, 8, 2)
    got = bcg.data.read_trajectory(topology, [path, path], frames=part, chunks=chunks, **options)
    numbers = np.tile(np.arange(FRAMES), 2)[part]
    assert_same_numbers(got, atoms.isel(frame=numbers))
    assert got["trajectory"].to_numpy().tolist() == [0, 1, 1]


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("selection", ["name O*", "name OW HW1 and resid 1:4"])
def test_a_selection_keeps_the_selected_atoms_and_their_bonds(written, ending, selection):
    topology, path, options = written[1][ending]
    if ending == "extxyz":
        selection = "name O"
    whole = bcg.data.read_trajectory(topology, path, **options)
    part = bcg.data.read_trajectory(topology, path, selection=selection, **options)
    names = whole["name"].to_numpy()
    few = "HW1" in selection
    expected = np.isin(names, ["OW", "O", "HW1"] if few else ["OW", "O"])
    expected &= (whole["residue"].to_numpy() < 4) | (not few)
    assert np.array_equal(part["position"].to_numpy(), whole["position"].to_numpy()[:, expected])
    assert part.sizes.get("bond", 0) == (4 if few else 0)


def test_a_geometric_selection_looks_at_the_first_frame(written):
    topology, path, _ = written[1]["trr"]
    atoms = bcg.data.read_trajectory(topology, path)
    near = bcg.data.read_trajectory(topology, path, selection="index 0 or around 6.0 index 0")
    separation = atoms["position"][0].to_numpy() - atoms["position"][0, 0].to_numpy()
    separation -= 2.0 * np.round(separation / 2.0)
    assert near.sizes["atom"] == np.sum(np.linalg.norm(separation, axis=1) < 0.6)


def test_no_file_is_left_beside_a_trajectory(tmp_path):
    topology, path, _ = write(waters(), tmp_path, "trr")
    before = sorted(tmp_path.iterdir())
    bcg.data.read_trajectory(topology, path, chunks=2).compute()
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "length", "time", "energy"),
    [
        ("real", scipy.constants.angstrom, 1e-15, 1e3 * scipy.constants.calorie / scipy.constants.N_A),
        ("metal", scipy.constants.angstrom, 1e-12, scipy.constants.eV),
        ("nano", 1e-9, 1e-9, 1e-21 * (1e-9 / 1e-9) ** 2),
    ],
)
def test_unit_systems_agree_with_si(name, length, time, energy):
    units = UNIT_SYSTEMS[name]
    assert units.length == pytest.approx(length / 1e-9, rel=1e-12)
    assert units.time == pytest.approx(time / 1e-12, rel=1e-12)
    assert units.energy == pytest.approx(energy * scipy.constants.N_A / 1e3, rel=1e-9)
    assert units.force == pytest.approx(units.energy / units.length)


@pytest.mark.parametrize("masses", ["real", "nano"])
def test_a_lammps_data_file_names_molecules_bonds_and_masses(tmp_path, masses):
    atoms = waters()
    _, path, options = write(atoms, tmp_path, "lammpstrj")
    topology = write_data(atoms, tmp_path / "water.data", mass_unit=UNIT_SYSTEMS[masses].mass)
    if masses == "nano":
        options = {"units": "nano"}  # the masses alone are looked at: the numbers of the dump are "real"
    got = bcg.data.read_trajectory(topology, path, **options)
    for name in ("residue", "molecule"):
        assert got[name].to_numpy().tolist() == atoms[name].to_numpy().tolist()
    assert np.abs(got["mass"].to_numpy() / atoms["mass"].to_numpy() - 1).max() < 1e-6
    assert got["name"].to_numpy()[:3].tolist() == ["1", "2", "2"]
    if masses == "real":
        assert got["constrained"].all()
        wanted = bcg.mapping.CenterOfMass()(atoms)
        beads = bcg.mapping.CenterOfMass(by="molecule")(got)
        assert np.abs(beads["force"].to_numpy() - wanted["force"].to_numpy()).max() < TOLERANCE["force"]


def test_an_h5md_file_without_units_needs_them(tmp_path):
    atoms = waters()
    topology, path, _ = write(atoms, tmp_path, "h5md")
    with h5py.File(path, "r+") as file:
        file.visititems(lambda _, item: item.attrs.pop("unit", None) and None)
    with pytest.raises(bcg.BayescgError, match=r"units.*units=\"gromacs\""):
        bcg.data.read_trajectory(topology, path)
    got = bcg.data.read_trajectory(topology, path, units=UnitSystem(length=0.1, time=1.0, energy=1.0))
    assert_same_numbers(got, atoms)


@pytest.mark.parametrize("ending", ["trr", "xtc", "lammpstrj"])
def test_a_file_cut_within_a_frame_keeps_its_whole_frames(tmp_path, ending):
    atoms = waters()
    topology, path, options = write(atoms, tmp_path, ending)
    content = path.read_bytes()
    frame = len(content) // FRAMES
    for lost in (20, frame // 2, frame + 20):
        path.write_bytes(content[:-lost])
        whole = FRAMES - 1 - lost // frame
        with pytest.warns(
            BayescgWarning, match=rf"breaks off in the middle of frame {whole}.* {whole} whole"
        ):
            got = bcg.data.read_trajectory(topology, path, **options)
        assert got.sizes["frame"] == whole
        position = XTC_TOLERANCE if ending == "xtc" else TOLERANCE["position"]
        assert_same_numbers(got, atoms.isel(frame=slice(whole)), position=position)


@pytest.mark.parametrize("left", [4, 30, 80, 90])
def test_a_trr_cut_within_a_header_is_noticed(tmp_path, left):
    topology, path, _ = write(waters(), tmp_path, "trr")
    content = path.read_bytes()
    path.write_bytes(content[: 2 * len(content) // FRAMES + left])
    with pytest.warns(BayescgWarning, match="breaks off in the middle of frame 2"):
        assert bcg.data.read_trajectory(topology, path, chunks=1).sizes["frame"] == 2


def test_frames_that_hold_less_are_left_out_with_a_warning(tmp_path):
    atoms = waters()
    topology, path, _ = write(atoms, tmp_path, "trr")
    full = path.read_bytes()
    # a frame of positions alone, as GROMACS writes between frames with forces
    import MDAnalysis

    universe = MDAnalysis.Universe.empty(atoms.sizes["atom"], trajectory=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with MDAnalysis.Writer(str(tmp_path / "less.trr"), atoms.sizes["atom"]) as writer:
            universe.dimensions = [20.0, 20.0, 20.0, 90, 90, 90]
            writer.write(universe.atoms)
    less = (tmp_path / "less.trr").read_bytes()
    frame = len(full) // FRAMES
    path.write_bytes(full[:frame] + less + full[frame:] + less)
    with pytest.warns(BayescgWarning, match="2 of 7 frames that hold less"):
        got = bcg.data.read_trajectory(topology, path)
    assert_same_numbers(got, atoms)


@pytest.mark.parametrize("ending", ["trr", "xtc", "dcd", "lammpstrj"])
def test_rigid_bonds_are_found_and_flexible_ones_are_not(tmp_path, ending):
    atoms = waters(frames=12)
    topology, path, options = write(atoms, tmp_path, ending)
    assert bcg.data.read_trajectory(topology, path, **options)["constrained"].all()
    # the stiffest flexible bonds fluctuate by sqrt(kT/k) = 0.0023 nm at 300 K
    shaken = atoms.copy(deep=True)
    shake = np.random.default_rng(0).normal(scale=0.0023 / np.sqrt(2), size=atoms["position"].shape)
    shaken["position"] = atoms["position"] + shake.astype(np.float32)
    topology, path, options = write(shaken, tmp_path, ending)
    assert not bcg.data.read_trajectory(topology, path, **options)["constrained"].any()


def test_a_single_frame_shows_rigid_bonds_by_their_likeness(tmp_path):
    topology, path, _ = write(waters(frames=1), tmp_path, "trr")
    assert not bcg.data.read_trajectory(topology, path)["constrained"].any()  # nine alike are too few
    atoms = bcg.data.synthetic.rigid_water(frames=1, molecules=20)
    topology, path, _ = write(atoms, tmp_path, "trr")
    assert bcg.data.read_trajectory(topology, path)["constrained"].all()


def test_rigid_groups_are_found_where_the_topology_has_no_bonds(tmp_path):
    atoms = waters(frames=4)
    topology = write_psf(atoms.drop_dims("bond"), tmp_path / "bare.psf")
    got = bcg.data.read_trajectory(topology, write_with_mdanalysis(atoms, tmp_path / "a.trr"))
    assert got.sizes["bond"] == 3 * 9
    assert got["constrained"].all()
    with pytest.raises(bcg.BayescgError, match="AggregatedForces"):
        bcg.mapping.Slice("name OW")(got)
    beads = bcg.mapping.CenterOfMass()(got)
    wanted = bcg.mapping.CenterOfMass()(atoms)
    difference = (beads["position"] - wanted["position"]).to_numpy()
    assert np.abs(difference - 2.0 * np.round(difference / 2.0)).max() < TOLERANCE["position"]


@pytest.mark.filterwarnings("ignore:spce.gro has no masses")
def test_tpr_agrees_with_gro():
    tpr, gro = (bcg.data.read_trajectory(shared(name), _first_frame(), frames=slice(1)) for name in _WATER)
    for name in ("name", "residue_name", "residue", "molecule"):
        assert (tpr[name] == gro[name]).all()
    assert np.abs(tpr["mass"] - gro["mass"]).max() < 0.01
    lines = shared("spce.gro").read_text().splitlines()[2:-1]
    assert tpr["name"].to_numpy().tolist() == [line[10:15].strip() for line in lines]
    assert tpr["residue"].to_numpy().tolist() == [int(line[:5]) - 1 for line in lines]


_WATER = ("spce.tpr", "spce.gro")


def _first_frame():
    return shared("spce_300K.trr")


def test_guessed_masses_are_named_in_a_warning():
    with pytest.warns(BayescgWarning, match="guessed from the atom names: OW 15.999, HW1 1.008"):
        bcg.data.read_trajectory(shared("spce.gro"), _first_frame(), frames=slice(1))


@pytest.mark.parametrize(
    ("topology", "trajectory", "rigid"),
    [
        ("spce.tpr", "spce_300K.trr", lambda first, second: True),
        ("propanol.tpr", "propanol_300K.trr", lambda first, second: False),
        ("alanine_dipeptide.tpr", "alanine_dipeptide.trr", lambda first, second: second.startswith("H")),
    ],
)
def test_the_constraints_of_real_runs_are_found(topology, trajectory, rigid):
    atoms = bcg.data.read_trajectory(shared(topology), shared(trajectory), frames=slice(0, 20))
    names = atoms["name"].to_numpy()[atoms["bond"].to_numpy()]
    assert atoms["constrained"].to_numpy().tolist() == [rigid(*pair) for pair in names]


def test_mdanalysis_universe_agrees_on_a_real_trr(tmp_path):
    import MDAnalysis

    copy = tmp_path / "copy.trr"
    copy.write_bytes(_first_frame().read_bytes()[: 3 * 55200])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = MDAnalysis.Universe(str(shared("spce.tpr")), str(copy))
        got = bcg.data.read_trajectory(shared("spce.tpr"), copy, temperature=300.0)
        for frame in universe.trajectory:
            mine = got.isel(frame=frame.frame)
            assert np.abs(mine["position"].to_numpy() - frame.positions / 10).max() < TOLERANCE["position"]
            assert np.abs(mine["velocity"].to_numpy() - frame.velocities / 10).max() < TOLERANCE["velocity"]
            assert np.abs(mine["force"].to_numpy() - frame.forces * 10).max() < TOLERANCE["force"]
            assert float(mine["time"]) == frame.time
    assert np.abs(got["mass"].to_numpy() - universe.atoms.masses).max() < 1e-12
    assert isinstance(got, xr.Dataset)
