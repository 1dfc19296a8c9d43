"""Bad input to the data layer: the error names argument, value, rule and remedy; nothing is left behind."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg import BayescgError

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

from trajectory_files import waters, write


def beads(**changes):
    return bcg.data.water(frames=3).assign(**changes)


def with_number(name, index, value):
    data = bcg.data.water(frames=3)
    data[name][index] = value
    return data


def without_units(name, units=None):
    data = bcg.data.water(frames=3)
    data[name].attrs = {} if units is None else {"units": units}
    return data


# what is wrong, the needs, and what the message must hold
FAULTS = {
    "no forces": (lambda: beads().drop_vars("force"), ("force",), r"force must be given.*nstfout"),
    "no velocities": (beads, ("velocity",), r"velocity must be given.*nstvout"),
    "no positions": (lambda: beads().drop_vars("position"), (), "position must be given"),
    "no box": (lambda: beads().drop_vars("box"), ("box",), "box must be given.*edge lengths in nm"),
    "no masses": (lambda: beads().drop_vars("mass"), ("mass",), "mass must be given.*topology"),
    "no time": (lambda: beads().drop_vars("time"), ("time",), "time must be given.*timestep="),
    "no temperature": (
        lambda: _temperature(None),
        ("temperature",),
        r"temperature must be given.*temperature=",
    ),
    "zero temperature": (lambda: _temperature(0.0), (), "temperature must be positive, got 0.0 K"),
    "negative temperature": (lambda: _temperature(-300.0), (), "temperature must be positive, got -300.0 K"),
    "NaN temperature": (lambda: _temperature(np.nan), (), "temperature must be positive, got nan"),
    "NaN frame": (
        lambda: with_number("position", (1, 5, 0), np.nan),
        (),
        r"position must be finite.*frame 1\.",
    ),
    "infinite frame": (lambda: with_number("force", (2, 0), np.inf), (), r"force must be finite.*frame 2\."),
    "NaN box": (lambda: with_number("box", 0, np.nan), (), "box must be finite"),
    "zero box": (lambda: with_number("box", 0, 0.0), (), "box must be positive, got 0.0 nm"),
    "zero mass": (
        lambda: with_number("mass", 4, 0.0),
        (),
        r"mass must be positive, got 0.0 amu for bead 4.*prop mass",
    ),
    "negative mass": (
        lambda: with_number("mass", 4, -1.0),
        (),
        "mass must be positive, got -1.0 amu for bead 4",
    ),
    "NaN mass": (lambda: with_number("mass", 4, np.nan), (), "mass must be positive, got nan amu for bead 4"),
    "no beads": (lambda: beads().isel(bead=[]), (), "at least one bead.*selection"),
    "no frames": (lambda: beads().isel(frame=[]), (), "at least one frame"),
    "no units": (lambda: without_units("force"), (), r"force.attrs\['units'\] must be 'kJ/mol/nm', got None"),
    "wrong units": (
        lambda: without_units("position", "angstrom"),
        (),
        "must be 'nm', got 'angstrom'.*Convert",
    ),
    "no mass units": (lambda: without_units("mass"), (), r"mass.attrs\['units'\]"),
    "wrong dims": (
        lambda: beads().isel(dim=0),
        (),
        r"position must have the dimensions \('frame', 'bead', 'dim'\)",
    ),
    "no sites": (lambda: beads().rename(bead="particle"), (), "dimension bead or atom.*particle"),
    "no Dataset": (lambda: [1, 2], (), "must be an xarray.Dataset, got list"),
    "unknown need": (beads, ("charge",), "needs must be one of .*got 'charge'"),
}


def _temperature(value):
    data = bcg.data.water(frames=3)
    del data.attrs["temperature"]
    return data if value is None else data.assign_attrs(temperature=value)


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_data_are_refused(name):
    make, needs, message = FAULTS[name]
    with pytest.raises(BayescgError, match=message):
        bcg.data.validate(make(), needs=needs)


def test_good_data_pass():
    needs = ("position", "force", "box", "mass", "time", "temperature")
    assert bcg.data.validate(beads(), needs=needs).sizes["frame"] == 3


@pytest.fixture
def trr(tmp_path):
    topology, path, _ = write(waters(), tmp_path, "trr")
    return topology, path


READING_FAULTS = {
    "missing trajectory": (
        lambda t, x: (t, x.with_name("lost.trr"), {}),
        r"trajectory must be a file.*lost\.trr",
    ),
    "missing topology": (
        lambda t, x: (t.with_name("lost.tpr"), x, {}),
        r"topology must be a file.*lost\.tpr",
    ),
    "no topology": (lambda t, x: (None, x, {}), r"topology must be given for water\.trr"),
    "no trajectory": (lambda t, x: (t, [], {}), "trajectory must name at least one file"),
    "zero temperature": (
        lambda t, x: (t, x, {"temperature": 0.0}),
        "temperature must be positive, got 0.0 K",
    ),
    "zero chunks": (lambda t, x: (t, x, {"chunks": 0}), "chunks must be a whole number of at least 1, got 0"),
    "no frames": (
        lambda t, x: (t, x, {"frames": slice(9, None)}),
        r"frames must select at least one.*slice\(9",
    ),
    "empty selection": (
        lambda t, x: (t, x, {"selection": "name XX"}),
        r"got 'name XX', which names none.*HW1, HW2, OW",
    ),
    "unreadable selection": (
        lambda t, x: (t, x, {"selection": "nome OW"}),
        "selection must be in MDAnalysis' .*'nome OW'",
    ),
}


@pytest.mark.parametrize("name", READING_FAULTS)
def test_faulty_reading_is_refused(trr, name):
    make, message = READING_FAULTS[name]
    topology, trajectory, options = make(*trr)
    with pytest.raises(BayescgError, match=message):
        bcg.read_trajectory(topology, trajectory, **options)


def test_atoms_that_do_not_fit_the_topology_are_refused(trr, tmp_path):
    (tmp_path / "other").mkdir()
    more = bcg.data.synthetic.rigid_water(frames=1, molecules=11)
    topology, _, _ = write(more, tmp_path / "other", "trr")
    with pytest.raises(BayescgError, match=r"got 27 atoms in water\.trr and 33 in water\.psf"):
        bcg.read_trajectory(topology, trr[1])


@pytest.mark.parametrize(
    "ending", [".trr", ".xtc", ".dcd", ".h5md", ".lammpstrj", ".extxyz", ".npz", ".nc", ".md"]
)
@pytest.mark.parametrize("content", [b"", b"this is no trajectory\n" * 40])
def test_garbage_is_refused_whatever_its_ending(trr, tmp_path, ending, content):
    path = tmp_path / f"garbage{ending}"
    path.write_bytes(content)
    with pytest.raises(BayescgError, match="garbage"):
        bcg.read_trajectory(trr[0], path, units="real")


@pytest.mark.parametrize("chunks", [None, 1])
def test_a_damaged_frame_in_the_middle_is_named(tmp_path, chunks):
    topology, path, options = write(waters(), tmp_path, "lammpstrj")
    path.write_text(path.read_text().replace("ITEM: TIMESTEP\n1000\n", "ITEM: TIMESTEP\nspoiled\n"))
    with pytest.raises(BayescgError, match=r"frame 2 of water\.lammpstrj .*damaged.*frames=slice\(0, 2\)"):
        bcg.read_trajectory(topology, path, chunks=chunks, **options).compute()
    whole = bcg.read_trajectory(topology, path, frames=slice(0, 2), **options)
    assert whole.sizes["frame"] == 2


def test_a_trr_with_a_spoiled_end_is_kept_up_to_there(trr):
    topology, path = trr
    content = path.read_bytes()
    path.write_bytes(content + b"\xff" * 500)
    with pytest.warns(bcg.BayescgWarning, match=rf"in the middle of frame 5 \(at byte {len(content)} of"):
        assert bcg.read_trajectory(topology, path).sizes["frame"] == 5


@pytest.mark.parametrize("ending", ["trr", "xtc"])
def test_a_file_without_a_whole_frame_is_refused(tmp_path, ending):
    topology, path, _ = write(waters(frames=1), tmp_path, ending)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(BayescgError, match=rf"water\.{ending} must be a GROMACS .* at least one whole frame"):
        bcg.read_trajectory(topology, path)


@pytest.mark.parametrize("ending", ["lammpstrj", "extxyz"])
def test_files_without_units_are_refused_without_units(tmp_path, ending):
    topology, path, _ = write(waters(), tmp_path, ending)
    with pytest.raises(BayescgError, match=r'units must be given for water.*units="real"'):
        bcg.read_trajectory(topology, path)
    with pytest.raises(
        BayescgError, match="units must be one of 'real', 'metal', 'nano', 'gromacs', got 'feet'"
    ):
        bcg.read_trajectory(topology, path, units="feet")
    with pytest.raises(BayescgError, match=r"reduced.*UnitSystem"):
        bcg.read_trajectory(topology, path, units="lj")


def test_triclinic_boxes_are_refused_with_their_vectors(trr, tmp_path):
    import MDAnalysis

    universe = MDAnalysis.Universe.empty(27, trajectory=True)
    universe.dimensions = [20, 20, 20, 60, 60, 90]
    for ending in ("trr", "xtc", "dcd"):
        path = tmp_path / f"tilted.{ending}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with MDAnalysis.Writer(str(path), 27) as writer:
                writer.write(universe.atoms)
        with pytest.raises(
            BayescgError, match=r"rectangular, got the triclinic box vectors \[.*rectangular box"
        ):
            bcg.read_trajectory(trr[0], path)


def test_files_with_other_quantities_are_not_joined(trr, tmp_path):
    topology, path, _ = write(waters(), tmp_path, "xtc")
    with pytest.raises(BayescgError, match=r"same quantities.*water\.xtc.*Read them one by one"):
        bcg.read_trajectory(topology, [trr[1], path])


MAPPING_FAULTS = {
    "unknown group": (
        lambda: bcg.mapping.CenterOfMass(by="chain"),
        "by must be 'residue', 'molecule'.*'chain'",
    ),
    "no such atoms": (lambda: bcg.mapping.CenterOfMass(by={"A": ["XX"]}), "by must name atoms that exist"),
    "half the atoms": (
        lambda: bcg.mapping.CenterOfMass(by={"A": ["OW", "XX"]}),
        r"by\['A'\].*'XX', which residue SOL lacks",
    ),
    "an atom twice": (lambda: bcg.mapping.CenterOfMass(by={"A": ["OW", 0]}), "every atom once"),
    "empty slice": (lambda: bcg.mapping.Slice("name XX"), "which names none"),
    "rows not one": (lambda: bcg.mapping.Linear(np.full((1, 27), 0.5)), "sum to one.*got 13.5 for bead 0"),
    "wrong shape": (lambda: bcg.mapping.Linear(np.eye(3)), r"shape \(bead, 27 atoms\), got \(3, 3\)"),
    "NaN weights": (lambda: bcg.mapping.Linear(np.full((1, 27), np.nan)), "weights must be finite"),
    "wrong names": (
        lambda: bcg.mapping.Linear(np.full((1, 27), 1 / 27), names=["A", "B"]),
        "got 2 for 1 beads",
    ),
    "no forces": (
        lambda: bcg.mapping.OptimizedForces(bcg.mapping.CenterOfMass()),
        "force must be given to optimize",
    ),
}


@pytest.mark.parametrize("name", MAPPING_FAULTS)
def test_faulty_mappings_are_refused(name):
    make, message = MAPPING_FAULTS[name]
    with pytest.raises(BayescgError, match=message):
        make()(waters().drop_vars("force"))


def test_beads_are_not_mapped_again():
    with pytest.raises(BayescgError, match="got beads, which are mapped already"):
        bcg.mapping.CenterOfMass()(bcg.data.water(frames=1))


@pytest.mark.parametrize("scale", [0.0, -0.1, np.nan])
def test_noise_needs_a_width(scale):
    import jax

    with pytest.raises(BayescgError, match="scale must be positive"):
        bcg.mapping.Noised(bcg.mapping.CenterOfMass(), scale=scale, key=jax.random.key(0))


@pytest.mark.parametrize(
    ("data", "ending"),
    [(lambda: bcg.data.water(frames=1), "csv"), (lambda: xr.DataTree(bcg.data.water(frames=1)), "npz")],
)
def test_refused_files_are_not_written(tmp_path, data, ending):
    with pytest.raises(BayescgError, match="path must end in"):
        bcg.data.to_file(data(), tmp_path / f"data.{ending}")
    assert not list(tmp_path.iterdir())


def test_more_shipped_frames_than_there_are_is_refused():
    with pytest.raises(BayescgError, match="at most the 151 that ship, got 152"):
        bcg.data.water(frames=152)
