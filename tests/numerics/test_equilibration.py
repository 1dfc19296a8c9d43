"""Equilibration found on series whose transients and correlations are known."""

import numpy as np
import pytest

from bayescg.numerics import equilibration
from bayescg.numerics.equilibration import equilibrated, principal_series, statistical_inefficiency


def autoregressive(correlation, length, series, rng):
    """Unit variance and mean zero; g = (1 + c)/(1 - c)."""
    values = np.empty((length, series))
    values[0] = rng.normal(size=series)
    for t in range(1, length):
        values[t] = correlation * values[t - 1] + np.sqrt(1 - correlation**2) * rng.normal(size=series)
    return values


def losses(correlation, count=60, length=100):
    rng = np.random.default_rng(0)
    return np.array(
        [equilibrated(autoregressive(correlation, length, 1, rng)).start / length for _ in range(count)]
    )


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_statistical_inefficiency_of_an_autoregressive_series(correlation):
    values = autoregressive(correlation, 4000, 200, np.random.default_rng(1))
    expected = (1 + correlation) / (1 - correlation)
    found = statistical_inefficiency(values)
    # up to 18% for one series, 1.3% for the mean of 200; ending the sum where the noisy function first falls
    # to zero, which is late more often than early, makes it 3% to 6% too large
    assert -0.03 < found.mean() / expected - 1 < 0.09
    assert found.std() / expected < 0.25
    assert statistical_inefficiency(np.full((50, 1), 0.1)).tolist() == [1.0]


@pytest.mark.parametrize("length", [90, 400])
def test_start_and_effective_samples_belong_together_at_any_length(length):
    """Longer series are tried at every few values: a place among the tried starts is no start."""
    rng = np.random.default_rng(7)
    values = rng.normal(size=(length, 1)) + 9 * np.exp(-np.arange(length) / (0.08 * length))[:, None]
    found = equilibrated(values)
    assert 0.1 * length < found.start < 0.6 * length
    kept = length - found.start
    assert found.effective == pytest.approx(kept / statistical_inefficiency(values[found.start :]).max())


@pytest.mark.parametrize(("correlation", "most"), [(0.0, 0.01), (0.5, 0.05), (0.8, 0.12)])
def test_a_stationary_series_keeps_nearly_all_its_values(correlation, most, monkeypatch):
    # 100 records of c = 0.8 are 11 independent ones: what is lost there is noise of the estimate of g
    assert losses(correlation).mean() < most
    # negative control: the largest number of effective samples itself lies anywhere
    monkeypatch.setattr(equilibration, "ENOUGH", 1.0)
    assert losses(correlation).mean() > 2 * losses(0.0).mean() * (correlation > 0)
    assert correlation == 0 or losses(correlation).mean() > 0.05


@pytest.mark.parametrize(("size", "decay"), [(2.0, 5.0), (8.0, 5.0), (4.0, 15.0)])
def test_a_transient_is_left_out(size, decay):
    """Of the mean over 32 runs, whose noise is 32^-1/2."""
    rng = np.random.default_rng(2)
    transient = size * np.exp(-np.arange(100) / decay)
    starts, biases = [], []
    for _ in range(40):
        series = autoregressive(0.3, 100, 32, rng).mean(axis=1) + transient
        starts.append(equilibrated(series[:, None]).start)
        biases.append(transient[starts[-1] :].mean() * np.sqrt(100 - starts[-1]))
    # what is kept begins within six deviations of the noise, and its bias is below the error of a run
    assert transient[min(starts)] < 6 * 32**-0.5
    assert np.sqrt(np.mean(np.square(biases))) < 0.8
    # negative control: with all records the mean is off by more
    assert transient.mean() * 10 > 1.0


def test_a_series_that_drifts_to_its_end_never_equilibrates():
    rng = np.random.default_rng(3)
    found = [equilibrated(rng.normal(size=(100, 1)) + np.linspace(0, 8, 100)[:, None]) for _ in range(10)]
    # either little is left, or what is left holds few independent values
    assert all(one.start > 50 or one.effective < 10 for one in found)
    # negative control: without the drift
    kept = [equilibrated(rng.normal(size=(100, 1))) for _ in range(10)]
    assert not any(one.start > 50 or one.effective < 10 for one in kept)


def test_the_slowest_series_decides():
    rng = np.random.default_rng(4)
    fast, slow = rng.normal(size=(100, 1)), autoregressive(0.8, 100, 1, rng)
    both = equilibrated(np.concatenate([fast, slow], axis=1))
    assert both.effective == pytest.approx(equilibrated(slow).effective)
    assert both.effective < 0.5 * equilibrated(fast).effective


def test_a_transient_of_a_whole_curve_is_its_first_component():
    rng = np.random.default_rng(5)
    transient = 3 * np.exp(-np.arange(100) / 6)
    curve = rng.normal(size=(100, 60)) + transient[:, None]
    curve[:, 0], curve[3, 1] = 7.0, np.nan  # an element that never varies, and one that was not sampled
    first = principal_series(curve)[:, 0]
    assert abs(np.corrcoef(first, transient)[0, 1]) > 0.95
    assert 6 < equilibrated(principal_series(curve)).start < 40
    # negative control: any one element hides it
    assert equilibrated(curve[:, 2:3]).start < 6


@pytest.mark.parametrize("series", [np.zeros((10, 1)), np.full((50, 1), np.nan), np.zeros((50, 0))])
def test_what_tells_nothing_is_kept(series):
    found = equilibrated(series)
    assert found.start == 0
    assert np.isnan(found.effective)


def test_a_constant_series_is_kept():
    found = equilibrated(np.full((40, 1), 0.1))
    assert found == (0, 40.0)
