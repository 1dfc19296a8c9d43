"""Trajectories of running ensembles: every frame once, whatever is run again, breaks off or explodes."""

import errno
import os

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from bayescg._checks import BayescgError, BayescgWarning
from bayescg.dynamics import Trajectory, TrajectoryError
from bayescg.dynamics import engine as engine_module
from bayescg.dynamics import ensemble as ensemble_module
from bayescg.dynamics.trajectory_zarr import ZarrWriter
from bayescg.numerics import host_loop
from bayescg.numerics.host_loop import HostLoop
from bayescg.observables import Pressure
from bayescg.units import BAR, thermal_energy

EDGE, SIDE = 2.4, 3
SETTINGS = {
    "box": [EDGE] * 3,
    "steps": 200,
    "equilibration": 40,
    "temperature": 600.0,
    "skin": 0.08,
    "precision": jnp.float64,
    "friction": 1.0,
    "measure_every": 5,
    "records": 8,
}
"""40 measured moments in 8 records, after one or two of warm-up; in float64 runs agree to rounding."""


@pytest.fixture
def simulated(run, soft_sphere, lattice, tmp_path):
    """Two draws of a dilute gas, the first softer; the Dataset and the opened store."""
    start = np.tile(lattice(SIDE, EDGE), (2, 1, 1))
    beads = xr.Dataset(
        {
            "position": (("frame", "bead", "dim"), start[:1], {"units": "nm"}),
            "box": (("frame", "dim"), np.full((1, 3), EDGE), {"units": "nm"}),
            "mass": ("bead", np.full(SIDE**3, 18.0), {"units": "amu"}),
        },
        {"dim": list("xyz")},
    )

    def go(name, *, stiffness=(20.0, 5.0), checkpoint=None, every=1, **changes):
        trajectory = Trajectory(tmp_path / f"{name}.zarr", velocities=True, every=every)
        loop = HostLoop(checkpoint, progress=False, fingerprint="gas")
        potentials = [soft_sphere(k, 0.7) for k in stiffness]
        result = run(potentials, start, trajectory=trajectory, beads=beads, loop=loop, **SETTINGS | changes)
        return result, xr.open_zarr(trajectory.path).load()

    return go


def same(one, other, *, frames=slice(None)):
    """Up to the rounding of float32 numbers of order 2."""
    for name in ("position", "velocity", "box"):
        np.testing.assert_allclose(one[name].isel(frame=frames), other[name].isel(frame=frames), atol=1e-6)


def test_every_measured_moment_is_a_frame(simulated):
    result, store = simulated("all")
    assert store.frames_written.values.tolist() == [40, 40]
    np.testing.assert_allclose(store.time, 0.025 * np.arange(1, 41))
    np.testing.assert_allclose(store.box, EDGE, rtol=1e-7)
    np.testing.assert_allclose(store.position.isel(frame=-1), np.mod(result.position, EDGE), atol=1e-6)
    assert float(store.position.min()) >= 0
    assert float(store.position.max()) < EDGE
    # velocities are those of the positions: beads hardly meet, so x(t + dt) - x(t) = v dt to within the
    # forces
    step = store.position.diff("frame").to_numpy()
    step -= EDGE * np.round(step / EDGE)
    mean = 0.5 * (store.velocity.to_numpy()[:, 1:] + store.velocity.to_numpy()[:, :-1])
    assert np.corrcoef(step.ravel(), mean.ravel())[0, 1] > 0.99
    _, some = simulated("some", every=7)
    assert some.frames_written.values.tolist() == [5, 5]
    same(some, store.isel(frame=slice(6, None, 7)))
    np.testing.assert_allclose(some.time, store.time[6::7])


def test_records_that_are_run_again_are_written_once(simulated, monkeypatch):
    _, good = simulated("good", stiffness=(20.0, 8.0))
    monkeypatch.setattr(engine_module, "REACH", 30.0)  # the list is hardly ever rebuilt, and is outrun
    result, redone = simulated("redone", stiffness=(20.0, 8.0))
    assert result.stale_redone.sum() > 0
    assert redone.frames_written.values.tolist() == [40, 40]
    same(redone, good)


def test_a_run_that_broke_off_on_a_full_disk_goes_on_without_a_gap(simulated, tmp_path, monkeypatch):
    """Against the same run without a break; also where frames were written after the last checkpoint."""
    monkeypatch.setattr(host_loop, "SAVE_INTERVAL", 0.0)
    monkeypatch.setattr(host_loop, "SAVE_FRACTION", 0.0)
    expected, whole = simulated("whole")
    folder, replace = tmp_path / "checkpoint", ZarrWriter.replace

    def full(writer, draw, first, arrays):
        if first == 20 and draw == 1:  # the first draw's frames of this record are written
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(writer, draw, first, arrays)

    with monkeypatch.context() as patch:
        patch.setattr(ZarrWriter, "replace", full)
        message = r"No space left.*first 20 frames of every draw are whole.*same checkpoint to go on"
        with pytest.raises(TrajectoryError, match=message):
            simulated("broken", checkpoint=folder)
    kept = xr.open_zarr(tmp_path / "broken.zarr").load()
    assert kept.frames_written.values.tolist() == [20, 20]
    same(kept, whole, frames=slice(20))
    with pytest.raises(BayescgError, match="must name a file that does not exist"):
        simulated("broken")  # without its checkpoint
    result, store = simulated("broken", checkpoint=folder)
    same(store, whole)
    assert store.sizes == whole.sizes
    np.testing.assert_array_equal(result.kinetic_temperature, expected.kinetic_temperature)
    # a finished run that is called again writes nothing, and its files stay
    _, store = simulated("broken", checkpoint=folder)
    same(store, whole)
    with pytest.raises(BayescgError, match="are lost"):
        simulated("elsewhere", checkpoint=folder)


def test_without_a_checkpoint_the_run_outlives_its_trajectory(simulated, monkeypatch):
    expected, _ = simulated("fine")

    def full(writer, draw, first, arrays):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(ZarrWriter, "replace", full)
    with pytest.warns(BayescgWarning, match=r"No space left.*goes on without a trajectory"):
        result, store = simulated("full")
    assert "No space left" in result.attrs["trajectory_failure"]
    assert expected.attrs["trajectory_failure"] == ""
    assert store.sizes["frame"] == 0
    np.testing.assert_array_equal(result.kinetic_temperature, expected.kinetic_temperature)


def test_a_draw_that_explodes_has_the_frames_before(simulated):
    result, store = simulated("exploding", stiffness=(20.0, 5e9), equilibration=0)
    count = (int(result.exploded_step[1]) - 1) // 5
    assert 0 < count < 40  # beads meet on the way
    assert store.frames_written.values.tolist() == [40, count]
    assert np.isfinite(store.position[0]).all()
    assert np.isfinite(store.position[1, :count]).all()
    assert np.isnan(store.position[1, count:]).all()


def test_frames_held_in_memory_are_few_however_long_a_record_is(simulated, monkeypatch):
    _, expected = simulated("expected")
    moment = 4 * 2 * 2 * SIDE**3 * 3  # bytes of positions and velocities of two draws
    monkeypatch.setattr(ensemble_module, "TOGETHER_BYTES", 5 * moment)
    result, store = simulated("short", records=1)
    assert result.sizes["record"] == 8
    xr.testing.assert_identical(store, expected)


def test_at_constant_energy_the_pressure_takes_the_temperature_that_there_is(simulated):
    """Beads that do not feel each other: P V = 2 K/3, with K of the velocities that were written."""
    settings = {"ensemble": "NVE", "friction": None, "observables": [Pressure()]}
    result, store = simulated("free", stiffness=(1e-12, 1e-12), **settings)
    kinetic = 0.5 * 18.0 * (store.velocity**2).sum(("bead", "dim")).mean("frame")
    expected = 2 * kinetic / (3 * EDGE**3 * BAR)
    found = result.pressure.mean("record")
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    ideal = SIDE**3 * thermal_energy(600.0) / (EDGE**3 * BAR)
    assert (abs(found - ideal) > 0.002 * ideal).all()  # negative control: the temperature that was asked for
