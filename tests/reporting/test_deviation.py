"""A curve deviates where the data leave the band by more than the errors of both allow."""

import numpy as np
import pytest

from bayescg.reporting.deviation import deviations
from tests.synthetic_result import make_reference, make_simulated

NAME = "radial_distribution"


def test_another_peak_is_found_where_it_is():
    (found,) = deviations(make_simulated(), NAME, make_reference(3.0))
    assert found.regions
    assert any(begin <= 0.3 <= end for begin, end in found.regions)
    assert found.largest == pytest.approx(-0.5, abs=0.03)
    assert found.place == pytest.approx(0.3, abs=0.011)
    assert found.simulated.value == pytest.approx(2.5, abs=0.03)
    # the points next to 0.3 nm lie half a bin away: 2 exp(-0.1²) + 1 = 2.98
    assert found.data.value == pytest.approx(2.98, abs=0.005)


def test_the_curve_itself_does_not_deviate():
    (found,) = deviations(make_simulated(), NAME, make_reference(2.5))
    assert found.regions == []
    assert found.fraction == 0.0


def test_an_uncertain_reference_hides_the_difference():
    (found,) = deviations(make_simulated(), NAME, make_reference(3.0, error=0.5))
    assert found.regions == []


def test_monte_carlo_error_of_the_mean_hides_the_difference():
    simulated = make_simulated()
    simulated["summary/radial_distribution"]["mean_error"][:] = 0.5
    (found,) = deviations(simulated, NAME, make_reference(3.0))
    assert found.regions == []
    assert found.simulated.high - found.simulated.low > 1.9


def test_interval_of_the_peak_is_that_of_the_draws():
    simulated = make_simulated(draws=400)
    (found,) = deviations(simulated, NAME, make_reference(2.5))
    heights = simulated["posterior_predictive"][NAME].values[:, 0].max(axis=1)
    error = float(simulated["summary/radial_distribution"]["mean_error"].max())
    low, high = np.quantile(heights, (0.025, 0.975))
    assert found.simulated.low == pytest.approx(low - 1.96 * error, abs=0.01)
    assert found.simulated.high == pytest.approx(high + 1.96 * error, abs=0.01)


def test_points_where_both_are_zero_are_not_compared():
    (found,) = deviations(make_simulated(), NAME, make_reference(3.0))
    compared = int((make_reference(3.0)[NAME].values > 0).sum())
    outside = sum(round((end - begin) / 0.01) + 1 for begin, end in found.regions)
    assert found.fraction == pytest.approx(outside / compared)


def test_every_pair_of_types_is_compared():
    pairs = ("A-A", "A-B")
    found = deviations(make_simulated(pairs), NAME, make_reference(2.5, pairs))
    assert [one.pair for one in found] == list(pairs)
