"""Records before equilibrium are left out of means and errors, and runs that are not sound are named."""

import numpy as np
import pytest
import xarray as xr

from bayescg.predict.equilibrium import equilibrium, statistics_warnings
from bayescg.predict.summary import diagnostics, predictive

RUNS, RECORDS, ELEMENTS = 12, 100, 30


def blocks(transient, seed=0, correlation=0.0):
    """A curve of independent elements around one, and a temperature, both with the same transient."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(RUNS, RECORDS, ELEMENTS + 1))
    for t in range(1, RECORDS):
        noise[:, t] = correlation * noise[:, t - 1] + np.sqrt(1 - correlation**2) * noise[:, t]
    values = 1 + noise + transient[:, None]
    values[..., 3] = 7.0  # a bin that never changes
    nothing = ("draw", np.zeros(RUNS, int))
    return xr.Dataset(
        {
            "curve": (("draw", "record", "distance"), values[..., :-1], {"units": "1"}),
            "kinetic_temperature": (("draw", "record"), 300 + values[..., -1]),
            "exploded_step": nothing,
            "stale_redone": nothing,
            "overflow_redone": nothing,
        },
        {"draw": np.arange(RUNS), "frame": nothing},
    )


def judged(run):
    settled = equilibrium(run, ["curve"])
    draws = predictive(run, ["curve"], start=settled["equilibrated_record"].to_numpy())
    checks = diagnostics(run, temperature=300.0, settled=settled)
    return draws, checks, statistics_warnings(checks, draws, ["curve"])


def test_a_transient_is_left_out_of_means_and_errors():
    run = blocks(6 * np.exp(-np.arange(RECORDS) / 6))
    draws, checks, warnings = judged(run)
    assert ((checks["equilibrated_record"] > 8) & (checks["equilibrated_record"] < 50)).all()
    varies = np.arange(ELEMENTS) != 3
    deviation = ((draws["curve"] - 1) / draws["curve_error"]).values[:, varies]
    # 348 deviations of Student's t with 19 degrees of freedom, variance 1.12; of the means 1/sqrt(348)
    assert abs(deviation.mean()) < 5 / np.sqrt(deviation.size)
    assert 0.8 < (deviation**2).mean() < 1.5
    assert float(checks["kinetic_temperature"].mean()) == pytest.approx(301.0, abs=0.2)
    assert warnings == []
    # negative control: with all records the mean is off by three errors
    wrong = predictive(run, ["curve"])
    assert ((wrong["curve"] - 1) / wrong["curve_error"]).values[:, varies].mean() > 1.0


def test_a_stationary_run_loses_little_and_is_not_named():
    draws, checks, warnings = judged(blocks(np.zeros(RECORDS), seed=1))
    assert float(checks["equilibrated_record"].mean()) < 0.05 * RECORDS
    assert float(checks["effective_samples"].min()) > 30  # of 100, the slowest of three series
    assert warnings == []
    assert abs(draws["curve_error"].attrs["block_correlation"]) < 0.05


def test_what_is_not_sound_is_named():
    _, _, drifting = judged(blocks(np.linspace(0, 20, RECORDS), seed=2))
    assert "No equilibrium for half of its length" in drifting[0]
    assert "in 12 of 12 simulations: draws 0, 1" in drifting[0]
    draws, _, correlated = judged(blocks(np.zeros(RECORDS), seed=3, correlation=0.9))
    assert any("Neighbouring blocks of curve are correlated" in w for w in correlated)
    # blocks of five records and 9.5 of correlation time
    assert 0.3 < draws["curve_error"].attrs["block_correlation"] < 0.7


def test_runs_that_exploded_are_judged_apart():
    run = blocks(6 * np.exp(-np.arange(RECORDS) / 6), seed=4)
    values = run["curve"].to_numpy().copy()
    values[5, 40:] = np.nan
    found = equilibrium(run.assign(curve=(run["curve"].dims, values)), ["curve"])
    assert found["equilibrated_record"].values[5] == 0
    assert np.isnan(found["effective_samples"].values[5])
    assert (np.delete(found["equilibrated_record"].values, 5) > 8).all()


def test_a_run_that_drifts_by_itself_costs_the_others_little():
    run = blocks(np.zeros(RECORDS), seed=6)
    values = run["curve"].to_numpy().copy()
    values[5] += 100 * np.linspace(0, 1, RECORDS)[:, None]
    found = equilibrium(run.assign(curve=(run["curve"].dims, values)), ["curve"])
    # a straight line has as few samples wherever it begins
    assert found["effective_samples"].values[5] < 10
    assert np.delete(found["equilibrated_record"].values, 5).mean() < 10
    assert np.delete(found["effective_samples"].values, 5).min() > 30


def test_few_records_are_all_taken():
    found = equilibrium(blocks(np.linspace(0, 20, RECORDS)).isel(record=slice(10)), ["curve"])
    assert (found["equilibrated_record"] == 0).all()
    assert np.isnan(found["effective_samples"]).all()
