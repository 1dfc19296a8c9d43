"""Frames of another program are measured as data are: the same observables, block by block."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg.data import topology, validate
from bayescg.interfaces import Support
from bayescg.observables import RDF, VACF, PotentialEnergy, Pressure
from bayescg.predict import evaluate
from bayescg.predict.draw_records import Recorder, pieces
from bayescg.predict.external import Frames, Plan
from bayescg.predict.measured_frames import Meter
from bayescg.units import thermal_energy

BEADS, EDGE, EVERY, MEASUREMENTS, RECORDS = 40, 2.2, 4, 7, 3
OBSERVABLES = [RDF(maximum=1.0, bins=11), PotentialEnergy(), Pressure(), VACF(maximum=0.06)]


@pytest.fixture(scope="module")
def frames():
    """A walk of beads of two types, with positions that leave the box, and a box that breathes."""
    rng, count = np.random.default_rng(0), MEASUREMENTS * RECORDS
    x = rng.uniform(0, EDGE, size=(BEADS, 3)) + np.cumsum(rng.normal(0, 0.1, (count, BEADS, 3)), axis=0)
    speed = np.sqrt(thermal_energy(300.0) / 20.0)
    box = EDGE * rng.uniform(1.0, 1.03, size=(count, 1)) * np.ones(3)
    return Frames(x, rng.normal(0, speed, size=x.shape), box)


@pytest.fixture(scope="module")
def beads(frames):
    """The same frames as data, positions in the box."""
    count = len(frames.positions)
    wrapped = frames.positions % frames.box[:, None]
    variables = {
        "position": (("frame", "bead", "dim"), wrapped, {"units": "nm"}),
        "velocity": (("frame", "bead", "dim"), frames.velocities, {"units": "nm/ps"}),
        "box": (("frame", "dim"), frames.box, {"units": "nm"}),
        "mass": ("bead", np.full(BEADS, 20.0), {"units": "amu"}),
        "type": ("bead", np.tile(["A", "B"], BEADS // 2)),
    }
    time = ("frame", 0.02 * np.arange(count), {"units": "ps"})
    return validate(xr.Dataset(variables, {"dim": list("xyz"), "time": time}, {"temperature": 300.0}))


@pytest.fixture(scope="module")
def soft():
    return bcg.potentials.LennardJones(0.5, 0.25, 0.9).prepare(Support(("A", "B"), (0.2,) * 3))


@pytest.fixture(scope="module")
def plan(beads, frames):
    shared = topology(beads)
    return Plan(shared, frames.box[0], 300.0, 0.005, EVERY, MEASUREMENTS, 0, RECORDS, 1.0)


def recorded(frames, plan, potential, observables=OBSERVABLES, *, joined=False):
    meter = Meter(observables, plan, dims=3)
    recorder = Recorder(meter, plan, potential, BEADS, 3)
    for steps in pieces(plan, BEADS, 3, joined=joined):
        own = slice(steps[0] // EVERY - 1, steps[-1] // EVERY)
        recorder.add(Frames(*(part[own] for part in frames)))
    return recorder


def test_records_are_those_of_data(frames, plan, soft, beads):
    records = recorded(frames, plan, soft).records()
    for index, observable in enumerate(OBSERVABLES[:3]):
        blocks = [
            evaluate(observable, beads.isel(frame=slice(start, start + MEASUREMENTS)), potential=soft)
            for start in range(0, MEASUREMENTS * RECORDS, MEASUREMENTS)
        ]
        expected = [block[observable.name].values for block in blocks]
        # the volume of g(r) is in float32
        np.testing.assert_allclose(records.means[index], expected, rtol=1e-9 if index else 1e-6)
    total = records.totals[0]
    found = evaluate(OBSERVABLES[3], beads, potential=soft)["velocity_correlation"]
    np.testing.assert_allclose(total.sum.sum(axis=0) / total.weight.sum(axis=0), found, rtol=1e-12)
    kinetic = 20.0 * np.sum(frames.velocities**2, axis=(1, 2)) / (0.00831446261815324 * 3 * BEADS)
    np.testing.assert_allclose(records.temperature, kinetic.reshape(RECORDS, -1).mean(axis=1), rtol=1e-12)
    volume = np.prod(frames.box, axis=1).reshape(RECORDS, -1).mean(axis=1)
    np.testing.assert_allclose(records.volume, volume, rtol=1e-12)


def test_pieces_do_not_change_the_records(frames, plan, soft, monkeypatch):
    whole = recorded(frames, plan, soft).records()
    monkeypatch.setattr("bayescg.predict.draw_records.FRAMES_AT_ONCE", 3)
    assert [len(piece) for piece in pieces(plan, BEADS, 3)] == [3, 3, 1] * RECORDS
    cut = recorded(frames, plan, soft).records()
    np.testing.assert_allclose(cut.means[0], whole.means[0], rtol=1e-12)
    np.testing.assert_allclose(cut.totals[0].sum, whole.totals[0].sum, rtol=1e-12)


def test_pieces_of_several_records_do_not_change_them(frames, plan, soft):
    assert [len(piece) for piece in pieces(plan, BEADS, 3, joined=True)] == [MEASUREMENTS * RECORDS]
    apart = recorded(frames, plan, soft, OBSERVABLES[:3]).records()
    together = recorded(frames, plan, soft, OBSERVABLES[:3], joined=True).records()
    for one, other in zip(
        (apart.temperature, apart.volume, *apart.means),
        (together.temperature, together.volume, *together.means),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert np.ptp(apart.volume) > 0  # or a shift by a record would not show


@pytest.mark.parametrize(("records", "measured_at_once"), [(100, 50), (97, 10), (2, 20)])
def test_joined_pieces_are_of_one_length(plan, records, measured_at_once):
    found = pieces(dataclasses.replace(plan, records=records, measurements=10), BEADS, 3, joined=True)
    assert {len(piece) for piece in found} == {measured_at_once}
    assert sum(map(len, found)) == 10 * records


@pytest.mark.parametrize("wrong", [np.nan, 1e3])
def test_an_explosion_in_a_piece_of_several_records_leaves_those_before(wrong, frames, plan, soft):
    broken = Frames(*(part.copy() for part in frames))
    part = broken.positions if np.isnan(wrong) else broken.velocities
    part[MEASUREMENTS + 2, 5] = wrong
    recorder = recorded(broken, plan, soft, OBSERVABLES[:3], joined=True)
    assert recorder.exploded == EVERY * (MEASUREMENTS + 3)
    records, whole = recorder.records(), recorded(frames, plan, soft, OBSERVABLES[:3]).records()
    assert np.isfinite(records.temperature).tolist() == [True, False, False]
    np.testing.assert_allclose(records.means[0][0], whole.means[0][0], rtol=1e-12)
    assert np.isnan(records.means[0][1:]).all()


@pytest.mark.parametrize("wrong", [np.nan, 1e3])
def test_an_explosion_ends_the_records(wrong, frames, plan, soft):
    """From the record with a position that is not finite, or an absurd temperature, there is nothing."""
    broken = Frames(*(part.copy() for part in frames))
    part = broken.positions if np.isnan(wrong) else broken.velocities
    part[MEASUREMENTS + 2, 5] = wrong
    recorder = Recorder(Meter(OBSERVABLES, plan, dims=3), plan, soft, BEADS, 3)
    for steps in pieces(plan, BEADS, 3)[:2]:
        own = slice(steps[0] // EVERY - 1, steps[-1] // EVERY)
        recorder.add(Frames(*(values[own] for values in broken)))
    assert recorder.exploded == EVERY * (MEASUREMENTS + 3)
    records = recorder.records()
    assert np.isfinite(records.temperature).tolist() == [True, False, False]
    assert np.isnan(records.means[0][1:]).all()
    assert np.isnan(records.totals[0].sum[1:]).all()


def test_momentum_that_is_conserved_counts_no_temperature(plan):
    assert Meter([], plan, dims=3).freedom == 3 * BEADS
    for change in ({"ensemble": "NVE", "thermostat": None}, {"thermostat": "csvr"}):
        assert Meter([], dataclasses.replace(plan, **change), dims=3).freedom == 3 * (BEADS - 1)
