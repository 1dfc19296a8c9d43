"""Long-run covariance from blocks, against the exact one of autoregressive series.

For x_t = rho x_{t-1} + e_t of unit variance, Cov(x_s, x_t) = rho^|s-t|, so the covariance S of block sums
is known. The estimate is a quadratic form s'Ms of Gaussian sums: E = tr(MS), Var = 2 tr(MSMS) exactly.
"""

import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.numerics.blocks import MINIMUM_BLOCKS, long_run_covariance

BLOCKS, REPLICAS = 64, 400


def autoregressive(rng, rho, steps, replicas):
    """(replica, step) stationary series of unit variance."""
    x = np.empty((replicas, steps))
    x[:, 0] = rng.normal(size=replicas)
    for step in range(1, steps):
        x[:, step] = rho * x[:, step - 1] + np.sqrt(1 - rho**2) * rng.normal(size=replicas)
    return x


def covariance_of_sums(rho, length):
    """Exact covariance of the sums over blocks of `length` steps."""
    steps = np.arange(BLOCKS * length)
    full = rho ** np.abs(steps[:, None] - steps[None])
    return full.reshape(BLOCKS, length, BLOCKS, length).sum(axis=(1, 3))


def form():
    """The matrix M of the quadratic form: unit vectors show it, as the estimate is quadratic in the sums."""
    identity = np.eye(BLOCKS)
    centering = identity - 1 / BLOCKS
    lags = int(4 * (BLOCKS / 100) ** (2 / 9))
    lag = np.abs(np.arange(BLOCKS)[:, None] - np.arange(BLOCKS)[None])
    weights = np.maximum(1 - lag / (lags + 1), 0.0)
    return centering @ weights @ centering * BLOCKS / (BLOCKS - 1)


@pytest.mark.parametrize(("rho", "length"), [(0.0, 1), (0.8, 20), (0.5, 1), (-0.5, 4)])
def test_covariance_is_that_of_an_autoregressive_series(rho, length):
    rng = np.random.default_rng(5)
    sums = autoregressive(rng, rho, BLOCKS * length, REPLICAS).reshape(REPLICAS, BLOCKS, length).sum(axis=-1)
    found = np.array([long_run_covariance(s[:, None])[0, 0] for s in sums])
    S, M = covariance_of_sums(rho, length), form()
    # the mean over replicas scatters by the exact standard deviation; 4 of them fail once in 16,000
    expected, error = np.trace(M @ S), np.sqrt(2 * np.trace(M @ S @ M @ S) / REPLICAS)
    assert abs(found.mean() - expected) < 4 * error
    # and the estimator's expectation is near the exact variance of the total. Bartlett weights lose
    # sum_l min(l/(L+1), 1) 2 Γ_l and centring about (L+1)/B of the whole: both bounds are exact sums here
    exact = S.sum()
    lag = np.abs(np.arange(BLOCKS)[:, None] - np.arange(BLOCKS)[None])
    lags = int(4 * (BLOCKS / 100) ** (2 / 9))
    lost = np.sum(np.minimum(lag / (lags + 1), 1.0) * np.abs(S))
    assert abs(expected - exact) <= lost + 1.5 * (lags + 1) / BLOCKS * np.abs(S).sum()


def test_blocks_longer_than_the_correlation_give_the_long_run_variance():
    """Var(total)/N -> (1 + rho)/(1 - rho) = 9 for rho = 0.8; taking steps as independent gives 1."""
    rng = np.random.default_rng(8)
    x = autoregressive(rng, 0.8, BLOCKS * 50, 100)
    blocked = [long_run_covariance(s.reshape(BLOCKS, 50).sum(axis=1)[:, None])[0, 0] for s in x]
    # bias: correlation time 4.5 steps against 50 and (L+1)/B = 6%; scatter sqrt(2 * 4/64 / 100) = 4%
    assert np.mean(blocked) / x.shape[1] == pytest.approx(9.0, rel=0.2)
    naive = np.mean([np.sum((s - s.mean()) ** 2) for s in x]) / x.shape[1]
    assert naive == pytest.approx(1.0, rel=0.1)  # control


@pytest.mark.parametrize("blocks", [8, 9, 33, 200])
@pytest.mark.parametrize("seed", range(4))
def test_covariance_is_positive_semidefinite(blocks, seed):
    rng = np.random.default_rng(seed)
    sums = autoregressive(rng, -0.9, blocks, 6).T @ rng.normal(size=(6, 6))
    covariance = long_run_covariance(sums)
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12 * np.abs(covariance).max())
    eigenvalues = np.linalg.eigvalsh(covariance)
    assert eigenvalues.min() > -1e-12 * eigenvalues.max()


def test_full_weights_would_not_be_positive():
    """Control: the same autocovariances without Bartlett weights go negative for such series."""
    rng = np.random.default_rng(0)
    sums = autoregressive(rng, -0.9, 33, 1)[0]
    centered, lags = sums - sums.mean(), int(4 * 0.33 ** (2 / 9))
    flat = centered @ centered + 2 * sum(centered[:-l] @ centered[l:] for l in range(1, lags + 1))
    assert flat < 0 < long_run_covariance(sums[:, None])[0, 0]


def test_independent_blocks_give_their_covariance():
    rng = np.random.default_rng(2)
    true = np.array([[2.0, 0.6], [0.6, 0.5]])
    sums = rng.multivariate_normal([5.0, -1.0], true, size=20_000)
    # L = 12 lags: relative variance about 2 (2L/3)/B, so a standard deviation of 3%; 4 of them
    np.testing.assert_allclose(long_run_covariance(sums) / 20_000, true, atol=0.12 * 2.0)


def test_covariance_ignores_the_mean_and_turns_with_the_parameters():
    rng = np.random.default_rng(3)
    sums, turn = rng.normal(size=(50, 3)), rng.normal(size=(3, 3))
    base = long_run_covariance(sums)
    np.testing.assert_allclose(long_run_covariance(sums + 100.0), base, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(long_run_covariance(sums @ turn), turn.T @ base @ turn, rtol=1e-9, atol=1e-9)


def test_too_few_blocks_are_refused():
    long_run_covariance(np.ones((MINIMUM_BLOCKS, 1)))
    expected = r"^the number of blocks must be at least 8, got 7\. Give more frames, or shorter blocks\.$"
    with pytest.raises(BayescgError, match=expected):
        long_run_covariance(np.ones((MINIMUM_BLOCKS - 1, 1)))
