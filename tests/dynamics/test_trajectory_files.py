"""Files of trajectories: what is read back, frames told twice, other runs' files, disks that are full."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.data.atoms import read_topology
from bayescg.dynamics import Trajectory, TrajectoryError, trajectory_gromacs, trajectory_h5md
from bayescg.dynamics.trajectory_draws import draw_path

BEADS, DRAWS, INTERVAL = 12, 2, 0.5
MASSES = np.linspace(10.0, 21.0, BEADS)
ENDINGS = ["zarr", "xtc", "trr", "h5md"]
ROUNDING = {"xtc": 0.51e-4}
"""Half of the last digit of a position, nm, and a float32's rounding; the others keep float32 as it is."""


@pytest.fixture(scope="module")
def beads():
    """Two kinds, two molecules of which one is a chain of three."""
    return xr.Dataset(
        {
            "position": (("frame", "bead", "dim"), np.zeros((1, BEADS, 3)), {"units": "nm"}),
            "box": (("frame", "dim"), np.full((1, 3), 3.0), {"units": "nm"}),
            "type": ("bead", np.array(["long name", *["B"] * (BEADS - 1)])),
            "mass": ("bead", MASSES, {"units": "amu"}),
            "molecule": ("bead", np.array([0, 0, 0, *range(1, BEADS - 2)])),
            "bond": (("bond", "end"), np.array([[0, 1], [1, 2]])),
        },
        {"dim": list("xyz")},
        {"temperature": 310.0, "excluded_bonds": 1},
    )


def frames_of(draw, first, count):
    """Frames that are told apart by their numbers."""
    rng = np.random.default_rng([draw, 7])
    everything = {
        "position": rng.uniform(0, 3, (40, BEADS, 3)),
        "velocity": rng.normal(size=(40, BEADS, 3)) * np.sqrt(2.577 / MASSES)[:, None],  # of 310 K
        "box": rng.uniform(2.9, 3.1, (40, 3)),
    }
    return {name: values[first : first + count] for name, values in everything.items()}


def opened(beads, path, *, resume=False, fingerprint="this run", every=1):
    trajectory = Trajectory(path, velocities=path.suffix != ".xtc", every=every)
    settings = {"draws": DRAWS, "interval": INTERVAL, "together": 5}
    return trajectory.open(beads, fingerprint=fingerprint, resume=resume, **settings)


def told(writer, *batches):
    """Tell frames (first, count) of both draws."""
    for first, count in batches:
        for draw in range(DRAWS):
            writer.write(draw, first, frames_of(draw, first, count))
        writer.commit()


def read(path, draw):
    if path.suffix == ".zarr":
        return xr.open_zarr(path).isel(draw=draw).load()
    return bcg.read_trajectory(path.with_suffix(".psf"), draw_path(path, draw))


def check(path, count):
    """Every frame up to the count is there, once."""
    for draw in range(DRAWS):
        found, expected = read(path, draw), frames_of(draw, 0, count)
        assert found.sizes["frame"] == count
        tolerance = ROUNDING.get(path.suffix[1:], 0.0) + 3.0 * np.finfo(np.float32).eps
        np.testing.assert_allclose(found.position, expected["position"], rtol=0, atol=tolerance)
        np.testing.assert_allclose(found.box, expected["box"], rtol=1e-6)
        np.testing.assert_allclose(found.time, INTERVAL * np.arange(1, count + 1), rtol=1e-6)
        if "velocity" in found:
            np.testing.assert_allclose(found.velocity, expected["velocity"], rtol=1e-5, atol=1e-6)
        else:
            assert path.suffix == ".xtc"


@pytest.mark.parametrize("ending", ENDINGS)
def test_frames_are_read_back_with_their_beads(beads, tmp_path, ending):
    path = tmp_path / "new" / f"run.{ending}"
    told(opened(beads, path), (0, 5), (5, 5), (10, 3))
    check(path, 13)
    found = read(path, 1)
    np.testing.assert_allclose(found.mass, beads.mass, rtol=1e-6)
    assert found.bond.values.tolist() == [[0, 1], [1, 2]]
    assert np.array_equal(found.molecule, beads.molecule)
    if ending != "zarr":
        assert found.name.values[:2].tolist() == ["long_name", "B"]
        _, universe = read_topology(path.with_suffix(".psf"), None)
        assert universe.angles.indices.tolist() == [[0, 1, 2]]
        assert universe.residues.resnames[:2].tolist() == ["MOL", "B"]


def test_one_draw_of_a_store_is_a_dataset_of_beads(beads, tmp_path):
    """It passes validation, lazily too, is mapped again and measured."""
    path = tmp_path / "run.zarr"
    told(opened(beads, path), (0, 5), (5, 5))
    store = xr.open_zarr(path)
    assert store.frames_written.values.tolist() == [10, 10]
    for one in (store.isel(draw=0), store.isel(draw=0).load()):
        one = bcg.data.validate(one, needs=("position", "velocity", "box", "mass", "time", "temperature"))
        assert one.attrs["temperature"] == 310.0
        topology = bcg.data.topology(one)
        assert topology.type_names == ("long name", "B")
        assert topology.excluded.shape == (BEADS, 2)  # bonded ones alone, as excluded_bonds says
    found = bcg.predict.evaluate(bcg.observables.MSD(maximum=1.0), one)
    assert found.lag_time.values.tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("ending", ENDINGS)
def test_frames_that_are_told_again_stand_once(beads, tmp_path, ending):
    """A run that goes on from a checkpoint tells frames again that were written after it."""
    path = tmp_path / f"run.{ending}"
    writer = opened(beads, path)
    wrong = {name: values + 0.5 for name, values in frames_of(0, 5, 9).items()}
    told(writer, (0, 5))
    for draw in range(DRAWS):
        writer.write(draw, 5, wrong)
    writer.commit()
    later = opened(beads, path, resume=True)  # another process
    assert [later.held(draw) for draw in range(DRAWS)] == [14, 14]
    told(later, (5, 5), (10, 4))
    check(path, 14)
    shorter = opened(beads, path, resume=True)
    told(shorter, (3, 2))
    assert shorter.held(0) == 5
    if ending == "zarr":
        assert np.isnan(xr.open_zarr(path).position[:, 5:]).all()
    else:
        check(path, 5)


@pytest.mark.parametrize("ending", ENDINGS)
def test_frames_that_are_lost_are_named(beads, tmp_path, ending):
    writer = opened(beads, tmp_path / f"run.{ending}")
    told(writer, (0, 5))
    with pytest.raises(BayescgError, match=r"holds 5 frames of draw 1.*goes on after 6.*lost"):
        writer.write(1, 6, frames_of(1, 6, 2))


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_that_exist_are_refused_unless_the_same_run_goes_on(beads, tmp_path, ending):
    path = tmp_path / f"run.{ending}"
    told(opened(beads, path), (0, 5))
    with pytest.raises(BayescgError, match="must name a file that does not exist"):
        opened(beads, path)
    with pytest.raises(BayescgError, match="written by another run"):
        opened(beads, path, resume=True, fingerprint="another")
    opened(beads, path, resume=True)
    check(path, 5)


def test_a_file_that_is_no_trajectory_is_not_overwritten(beads, tmp_path):
    for name, file in (("a.zarr", "a.zarr"), ("b.xtc", "b_001.xtc"), ("c.h5md", "c.psf")):
        (tmp_path / file).write_text("notes")
        for resume in (False, True):
            with pytest.raises(BayescgError, match=r"must name a file|written by another run"):
                opened(beads, tmp_path / name, resume=resume)
        assert (tmp_path / file).read_text() == "notes"


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_is_named_and_leaves_what_was_written(beads, tmp_path, ending, monkeypatch):
    path = tmp_path / f"run.{ending}"
    writer = opened(beads, path)
    told(writer, (0, 5))
    with monkeypatch.context() as patch:
        fill_disk(patch, ending)
        with pytest.raises(TrajectoryError, match=r"No space left.*first 5 frames of every draw"):
            told(writer, (5, 5))
    check(path, 5)
    told(opened(beads, path, resume=True), (5, 5))  # after space was freed
    check(path, 10)
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def fill_disk(patch, ending):
    def full(*arguments, **settings):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def half(descriptor, content, place):
        if len(content) < 100:
            full()
        return write(descriptor, content[: len(content) // 2], place)

    write = os.pwrite
    if ending == "zarr":
        from zarr.storage import _local

        patch.setattr(_local, "_put", full)
    elif ending == "h5md":
        patch.setattr(trajectory_h5md.os, "posix_fallocate", full)
    else:
        patch.setattr(trajectory_gromacs.os, "pwrite", half)


LIMITED = """
import resource, sys
import numpy as np, xarray as xr
from bayescg.dynamics import Trajectory, TrajectoryError

beads = xr.Dataset(
    {"position": (("frame", "bead", "dim"), np.zeros((1, 500, 3))), "mass": ("bead", np.ones(500))}
)
x = np.random.default_rng(0).uniform(size=(1500, 500, 3)).astype(np.float32)
writers = [Trajectory(path).open(beads, draws=1, interval=1.0, together=1500) for path in sys.argv[1:]]
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, resource.RLIM_INFINITY))
for writer in writers:
    try:
        for first in range(0, 1500, 100):
            writer.write(0, first, {"position": x[first : first + 100]})
            writer.commit()
    except TrajectoryError as error:
        print(first, error)
"""


def test_the_kernel_refuses_a_write_and_the_files_are_whole(tmp_path):
    """A limit of 4 MB on the size of any file, in a process of its own: real failures in real writes."""
    paths = [tmp_path / f"run.{ending}" for ending in ("zarr", "xtc")] + [tmp_path / "other.h5md"]
    command = [sys.executable, "-c", LIMITED, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = np.random.default_rng(0).uniform(size=(1500, 500, 3)).astype(np.float32)
    for path, line in zip(paths, done.stdout.splitlines(), strict=True):
        first, message = line.split(" ", 1)
        assert "File too large" in message
        assert f"first {first} frames of every draw are whole" in message
        found = read(path, 0)
        assert found.sizes["frame"] == int(first) >= 100
        np.testing.assert_allclose(found.position, expected[: int(first)], atol=0.51e-4)


def test_what_cannot_be_written_is_refused_before_the_run(beads, tmp_path):
    with pytest.raises(BayescgError, match=r"must end in one of .zarr, .xtc"):
        Trajectory("run.dcd")
    with pytest.raises(BayescgError, match="every must be a whole number"):
        Trajectory("run.xtc", every=0)
    with pytest.raises(BayescgError, match="XTC has none"):
        Trajectory(tmp_path / "run.xtc", velocities=True).open(beads, draws=1, interval=1.0)
    angle = beads.drop_vars(["position", "box"]).isel(dim=[0])
    with pytest.raises(BayescgError, match=r"must be points in space.*zarr"):
        Trajectory(tmp_path / "run.h5md").open(angle, draws=1, interval=1.0)


def test_a_missing_package_is_named_with_its_remedy(beads, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(BayescgError, match=r"pip install 'bayescg\[trajectories\]'"):
        Trajectory(tmp_path / "run.zarr").open(beads, draws=1, interval=1.0)
