"""Between-draw and within-draw variance told apart on series whose variances are known."""

import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.predict.variance import QUANTILES, block_correlation, block_standard_error, decompose


def noisy_draws(between, within, draws=400, numbers=50, seed=0):
    """Draw means with a known posterior spread and a known Monte Carlo error."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(5.0, between, size=(draws, numbers))
    return truth + rng.normal(0.0, within, size=truth.shape), np.full(truth.shape, within)


@pytest.mark.parametrize(("between", "within"), [(0.3, 0.1), (0.1, 0.3), (0.5, 0.0)])
def test_both_parts_are_recovered(between, within):
    parts = decompose(*noisy_draws(between, within))
    # a variance from 400 draws has a relative error of sqrt(2/400) of the total; averaged over 50 numbers
    error = np.sqrt(2 / 400 / 50) * (between**2 + within**2)
    assert abs(parts.between.mean() - between**2) < 4.5 * error
    np.testing.assert_allclose(parts.within, within**2)


def test_no_posterior_spread_is_recognised():
    parts = decompose(*noisy_draws(0.0, 0.2))
    # cut at zero: about half the numbers are exactly zero, the others within the error of a variance
    assert parts.between.max() < 5 * np.sqrt(2 / 400) * 0.2**2
    assert (parts.between == 0).mean() > 0.25
    # negative control: without the subtraction the spread would be taken for the posterior's
    raw = decompose(noisy_draws(0.0, 0.2)[0], np.zeros((400, 50)))
    assert raw.between.min() > 5 * np.sqrt(2 / 400) * 0.2**2


def test_bands_hold_the_posterior_and_not_the_monte_carlo_error():
    parts = decompose(*noisy_draws(0.2, 0.3, draws=4000))
    width = (parts.bands[-1] - parts.bands[0]).mean()
    normal = 2 * 1.959964
    # the quantiles of 4,000 draws are known to about 1%, averaged over 50 numbers
    assert abs(width / (normal * 0.2) - 1) < 0.02
    assert width < 0.6 * normal * np.hypot(0.2, 0.3)
    assert len(QUANTILES) == parts.bands.shape[0]


def test_exploded_draws_are_left_out():
    means, errors = noisy_draws(0.3, 0.1)
    spoilt = means.copy()
    spoilt[7, 3] = np.nan
    parts, expected = decompose(spoilt, errors), decompose(np.delete(means, 7, 0), np.delete(errors, 7, 0))
    for found, wanted in zip(parts, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_one_draw_has_a_mean_and_no_variance():
    parts = decompose(np.array([[1.0, 2.0], [np.nan, 1.0]]), np.ones((2, 2)))
    np.testing.assert_array_equal(parts.mean, [1.0, 2.0])
    assert np.isnan(parts.between).all()
    assert np.isnan(parts.bands).all()


def test_shapes_must_agree():
    with pytest.raises(BayescgError, match="errors must have the shape of means"):
        decompose(np.ones((3, 2)), np.ones(3))


def autoregressive(correlation, series, length, seed=0):
    """Unit variance, so that the mean has variance (1 + c)/(1 - c)/length."""
    rng = np.random.default_rng(seed)
    values = np.empty((length, series))
    values[0] = rng.normal(size=series)
    for t in range(1, length):
        values[t] = correlation * values[t - 1] + np.sqrt(1 - correlation**2) * rng.normal(size=series)
    return values


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_block_standard_error_of_a_correlated_series(correlation):
    length = 4000
    values = autoregressive(correlation, 300, length)
    expected = np.sqrt((1 + correlation) / (1 - correlation) / length)
    found = np.sqrt(np.mean(block_standard_error(values) ** 2))
    # a variance from 20 blocks: sqrt(2/19) relative, over 300 series 2%; blocks of 200 are 3% short for 0.8
    assert abs(found / expected - 1) < 0.06
    # negative control: no blocks, no correlation seen
    naive = np.sqrt(np.mean(block_standard_error(values, blocks=length) ** 2))
    assert (naive < 0.5 * expected) == (correlation > 0)
    # and the very series do scatter as much
    assert abs(values.mean(axis=0).std() / expected - 1) < 4.5 / np.sqrt(2 * 300)


@pytest.mark.parametrize(("correlation", "covered", "flagged"), [(0.5, True, False), (0.97, False, True)])
def test_intervals_cover_where_blocks_are_long_and_are_named_where_not(correlation, covered, flagged):
    """Blocks of 20 values hold 7 correlation times of c = 0.5, and 0.6 of c = 0.97."""
    values = autoregressive(correlation, 400, 400)
    inside = (
        abs(values.mean(axis=0)) < 2.093 * block_standard_error(values)
    ).mean()  # Student's t, 19 degrees
    # 95% to within three binomial deviations and the 2% that blocks of 7 correlation times are short
    assert (abs(inside - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 400) + 0.01) == covered
    assert covered or inside < 0.85
    assert (block_correlation(values) > 0.15) == flagged


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_correlation_of_blocks_is_what_the_error_lacks(correlation):
    length, size = 2000, 100  # values, and of a block
    values = autoregressive(correlation, 600, length)
    tau = 0.5 * (1 + correlation) / (1 - correlation)
    # (1/2)(tau/L) for blocks of many correlation times; exact: the sum of c^|i-j| over the two blocks
    powers = correlation ** np.abs(np.subtract.outer(np.arange(size), np.arange(2 * size)))
    exact = powers[:, size:].sum() / powers[:, :size].sum()
    # one series is known to 20^-1/2, the mean of 600 to 0.009
    assert abs(block_correlation(values) - exact) < 0.03
    assert exact == 0 or abs(exact / (tau / (2 * size)) - 1) < 0.4
    assert np.isnan(block_correlation(np.ones((100, 2))))


def test_an_error_that_draws_share_is_not_taken_from_their_spread():
    """Draws with a common Monte Carlo error s and one of their own o: variance over draws is between + o²."""
    rng = np.random.default_rng(7)
    between, shared, own, draws, numbers = 0.2, 0.3, 0.1, 100, 400
    truth = rng.normal(0, between, size=(draws, numbers))
    means = truth + rng.normal(0, shared, size=numbers) + rng.normal(0, own, size=truth.shape)
    errors = np.full(truth.shape, np.hypot(shared, own))
    parts = decompose(means, errors, shared=np.full(numbers, shared**2))
    # a variance from 100 draws is known to 14%, the mean of 400 to 0.7%
    assert abs(parts.between.mean() / between**2 - 1) < 0.05
    # the error of the mean is that of the mean's scatter about the truth
    scatter = means.mean(axis=0).var()
    assert abs(parts.mean_variance.mean() / scatter - 1) < 4.5 * np.sqrt(2 / numbers)
    # negative control: errors taken for independent ones eat the posterior's spread and overrate the mean
    wrong = decompose(means, errors)
    assert wrong.between.mean() < 0.1 * between**2
    assert wrong.mean_variance.mean() < 0.1 * scatter


def test_blocks_need_two_values():
    with pytest.raises(BayescgError, match="blocks must number at least two"):
        block_standard_error(np.ones(1))


def test_what_does_not_fill_a_block_is_left_out_at_the_beginning():
    values = np.concatenate([[1e6], np.tile([0.0, 2.0], 20)])
    assert block_standard_error(values, blocks=20) == 0.0
