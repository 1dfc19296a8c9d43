"""Diagnostics of innovations: a right model passes at the stated rate, a wrong one does not."""

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from bayescg._checks import BayescgError
from bayescg.inference.innovations import held_out_score, innovation_tests

REPLICATES = 200


def verdicts(make, replicates=REPLICATES, **options):
    """Part of the replicates that each test rejects."""
    found = [innovation_tests(make(np.random.default_rng(seed)), **options) for seed in range(replicates)]
    return {
        name: np.mean([tests.attrs[name].startswith("Not") for tests in found])
        for name in ("white", "gaussian", "scaled")
    }


@pytest.mark.parametrize("false_alarm", [0.05, 0.2])
def test_a_right_model_is_rejected_at_the_stated_rate(false_alarm):
    rates = verdicts(lambda rng: rng.normal(size=600), false_alarm=false_alarm)
    for name, rate in rates.items():
        # of 200 replicates; beyond the 0.1% ends of the binomial, once in 80 runs of six rates
        low, high = scipy.stats.binom(REPLICATES, false_alarm).ppf([0.001, 0.999]) / REPLICATES
        assert low <= rate <= high, name


def test_stretches_and_components_are_pooled_without_pairs_across_gaps():
    def make(rng):
        return [rng.normal(size=(steps, 2)) for steps in (40, 80, 200)]

    rates = verdicts(make)
    low, high = scipy.stats.binom(REPLICATES, 0.05).ppf([0.001, 0.999]) / REPLICATES
    assert all(low <= rate <= high for rate in rates.values())
    # against the definition, pair by pair
    stretches = make(np.random.default_rng(7))
    tests = innovation_tests(stretches, lags=3)
    mean = np.concatenate([one.ravel() for one in stretches]).mean()
    for lag in (1, 3):
        pairs = sum(np.sum((one[:-lag] - mean) * (one[lag:] - mean)) for one in stretches)
        power = sum(np.sum((one - mean) ** 2) for one in stretches)
        np.testing.assert_allclose(tests["autocorrelation"].sel(lag=lag), pairs / power, rtol=1e-10)


def test_one_series_gives_the_statistic_of_ljung_and_box():
    e = np.random.default_rng(3).normal(size=300)
    c = e - e.mean()
    r = np.array([c[:-lag] @ c[lag:] for lag in range(1, 11)]) / (c @ c)
    expected = 300 * 302 * np.sum(r**2 / (300 - np.arange(1, 11)))
    tests = innovation_tests(e, lags=10, fitted=3)
    np.testing.assert_allclose(tests["ljung_box"], expected)
    np.testing.assert_allclose(tests["ljung_box_p"], scipy.stats.chi2.sf(expected, 7))


def test_shape_is_judged_by_anderson_and_darling():
    e = np.random.default_rng(4).normal(size=500)
    z = np.sort((e - e.mean()) / e.std(ddof=1))
    cdf, i = scipy.stats.norm.cdf(z), np.arange(1, 501)
    expected = -500 - np.mean((2 * i - 1) * (np.log(cdf) + np.log(1 - cdf[::-1])))
    tests = innovation_tests(e)
    np.testing.assert_allclose(tests["anderson_darling"], expected)
    assert float(tests["skewness"]) == pytest.approx(scipy.stats.skew(e))
    assert float(tests["excess_kurtosis"]) == pytest.approx(scipy.stats.kurtosis(e))
    # published critical values: 0.752 at 5%, 1.035 at 1% (Stephens 1974)
    from bayescg.inference.innovations import _anderson_darling

    stars = []
    for seed in range(400):
        square, p = _anderson_darling(np.random.default_rng(seed).normal(size=400))
        stars.append((square * (1 + 0.75 / 400 + 2.25 / 400**2), p))
    stars = np.array(stars)
    assert ((stars[:, 0] > 0.752) == (stars[:, 1] < 0.05)).mean() > 0.99


def test_weak_correlation_is_found():
    def ar(rng):
        e = rng.normal(size=8000)
        for step in range(1, e.size):
            e[step] += 0.1 * e[step - 1]
        return e

    rates = verdicts(ar, replicates=10)
    assert rates["white"] == 1.0
    found = innovation_tests(ar(np.random.default_rng(0)))
    # r_1 = 0.1 ± 0.011
    assert float(found["autocorrelation"][0]) == pytest.approx(0.1, abs=0.05)
    assert abs(float(found["autocorrelation"][0])) > float(found["band"][0])
    assert "at lag 1." in found.attrs["white"]
    assert found.attrs["passed"] == 0


def test_heavy_tails_are_found():
    rates = verdicts(lambda rng: rng.standard_t(5, size=2000) / np.sqrt(5 / 3), replicates=10)
    assert rates["gaussian"] == 1.0
    assert rates["white"] < 0.5


def test_a_wrong_scale_or_mean_is_found_and_changes_neither_shape_nor_whiteness():
    e = np.random.default_rng(5).normal(size=4000)
    for wrong in (1.1 * e, e + 0.1):
        tests = innovation_tests(wrong)
        assert tests.attrs["scaled"].startswith("Not scaled")
        assert float(tests["ljung_box"]) == pytest.approx(float(innovation_tests(e)["ljung_box"]))
        assert tests.attrs["gaussian"].startswith("Gaussian")


@pytest.mark.parametrize(
    ("innovations", "options", "message"),
    [
        (np.ones(10), {}, "must number at least 50, got 10"),
        (np.append(np.zeros(99), np.nan), {}, r"innovations must be finite.*step 99"),
        (np.zeros(100), {"lags": 100}, "lags must be above the 0 fitted parameters and below the 100 steps"),
        ([], {}, "at least one stretch"),
        (3.0, {}, "must be an array or several, got float"),
    ],
)
def test_bad_innovations_are_refused(innovations, options, message):
    with pytest.raises(BayescgError, match=message):
        innovation_tests(innovations, **options)


def test_held_out_score_is_the_mean_with_its_standard_error():
    rng = np.random.default_rng(6)
    errors = []
    for _ in range(300):
        score = held_out_score(xr.DataArray(rng.normal(-3.0, 2.0, 40), dims="block"))
        errors.append((float(score["score"]) + 3.0) / float(score["error"]))
    # Student t of 39 degrees
    assert scipy.stats.kstest(errors, scipy.stats.t(39).cdf).pvalue > 1e-3


def test_a_block_is_scored_by_its_density_averaged_over_draws():
    densities = np.log(np.arange(1.0, 25.0)).reshape(2, 3, 4)  # chain, draw, block
    score = held_out_score(densities)
    np.testing.assert_allclose(score["block_score"], np.log(np.exp(densities).mean(axis=(0, 1))))


def test_a_gap_restores_the_error_that_correlation_hides():
    def scores(rng):
        e = rng.normal(size=2000)
        return np.convolve(e, np.ones(4) / 2, mode="valid")[:400]  # correlated over three neighbours

    def spread(gap):
        found = [held_out_score(scores(np.random.default_rng(seed)), gap=gap) for seed in range(200)]
        return np.std([float(s["score"]) / float(s["error"]) for s in found]), found[0]

    # without a gap the error is too small by sqrt(1 + 2 (3 + 2 + 1)/4) = 2; a standard deviation of 200: 5%
    assert spread(0)[0] == pytest.approx(2.0, rel=0.25)
    assert spread(3)[0] == pytest.approx(1.0, rel=0.25)
    assert float(spread(0)[1]["neighbor_correlation"]) > 0.5 > float(spread(3)[1]["neighbor_correlation"])


def test_too_few_blocks_are_refused():
    with pytest.raises(BayescgError, match=r"at least 4 blocks must count, got 3 of 9 with a gap of 2"):
        held_out_score(np.zeros(9), gap=2)
