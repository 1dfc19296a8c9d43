"""Lagged sums against their definition."""

import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.numerics import correlation
from bayescg.numerics.correlation import CorrelationSums, correlation_sums


def by_definition(series, lags):
    """(lag, j, k): Σ_n s_j(n) s_k(n + lag), term by term."""
    frames, count = series.shape
    sums = np.zeros((lags + 1, count, count))
    for lag in range(min(lags, frames - 1) + 1):
        for n in range(frames - lag):
            sums[lag] += np.outer(series[n], series[n + lag])
    return sums


@pytest.mark.parametrize(("frames", "lags"), [(1, 0), (7, 3), (50, 49), (50, 80), (200, 13)])
def test_sums_are_those_of_the_definition(frames, lags):
    series = np.random.default_rng(frames).normal(size=(frames, 3))
    exact = by_definition(series, lags)
    # FFT rounding: 1e-16 of Σ s² ~ frames
    np.testing.assert_allclose(correlation_sums(series, lags), exact, atol=1e-14 * frames)


def test_blocks_overlap_without_a_seam(monkeypatch):
    monkeypatch.setattr(correlation, "SMALLEST_BLOCK", 32)
    series = np.random.default_rng(0).normal(size=(203, 2))
    np.testing.assert_allclose(correlation_sums(series, 16), by_definition(series, 16), atol=1e-12)


def test_segments_add_and_do_not_see_each_other():
    rng = np.random.default_rng(1)
    long, short = rng.normal(size=(2, 40, 2)), rng.normal(size=(1, 9, 2))
    sums = CorrelationSums(series=2, lags=12, longest=40)
    sums.add(long)
    sums.add(short)
    exact = sum(by_definition(part, 12) for part in (*long, *short))
    np.testing.assert_allclose(sums.result(), exact, atol=1e-12)
    # control: joined end to end they would
    joined = by_definition(np.concatenate([*long, *short]), 12)
    assert np.abs(joined - exact).max() > 0.1


def test_order_of_indices():
    late = np.array([0.0, 0.0, 1.0])
    early = np.array([1.0, 0.0, 0.0])
    sums = correlation_sums(np.stack([early, late], axis=1), 2)
    assert sums[2, 0, 1] == pytest.approx(1.0)
    assert sums[2, 1, 0] == pytest.approx(0.0, abs=1e-15)


def test_another_number_of_series_is_refused():
    with pytest.raises(BayescgError, match="must hold 2 series, got 3"):
        CorrelationSums(series=2, lags=3, longest=5).add(np.zeros((1, 5, 3)))
