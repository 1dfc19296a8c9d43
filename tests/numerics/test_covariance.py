"""Covariances from few frames."""

import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.numerics.covariance import shrunk_covariance


def test_the_shrinkage_is_that_of_its_definition():
    """Against sums over all pairs of elements, written out."""
    x = np.random.default_rng(0).normal(size=(12, 5)) @ np.random.default_rng(1).normal(size=(5, 5))
    n, p = x.shape
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    above = below = 0.0
    for i in range(p):
        for j in range(p):
            if i != j:
                w = z[:, i] * z[:, j]
                above += n / (n - 1) ** 3 * np.sum((w - w.mean()) ** 2)
                below += (n / (n - 1) * w.mean()) ** 2
    sample = np.cov(x.T)
    expected = above / below * np.diag(np.diag(sample)) + (1 - above / below) * sample
    assert 0.05 < above / below < 0.95
    np.testing.assert_allclose(shrunk_covariance(x), expected, rtol=1e-10)


def test_it_is_closer_than_the_sample_covariance_and_has_an_inverse():
    rng = np.random.default_rng(2)
    truth = 0.6 ** np.abs(np.subtract.outer(np.arange(30), np.arange(30)))
    root = np.linalg.cholesky(truth)
    errors = []
    for _ in range(20):
        x = rng.normal(size=(25, 30)) @ root.T
        found = shrunk_covariance(x)
        assert np.linalg.cond(found) < 1e4
        errors.append([np.linalg.norm(found - truth), np.linalg.norm(np.cov(x.T) - truth)])
    shrunk, sample = np.mean(errors, axis=0)
    assert shrunk < 0.8 * sample
    many = rng.normal(size=(40_000, 30)) @ root.T
    np.testing.assert_allclose(shrunk_covariance(many), np.cov(many.T), atol=0.01)


def test_elements_that_never_vary_have_no_covariance_and_correlated_frames_shrink_more():
    x = np.random.default_rng(3).normal(size=(50, 4))
    x[:, 2] = 7.0
    assert not shrunk_covariance(x)[2].any()
    x[:, 1] += x[:, 0]
    alone, repeated = shrunk_covariance(x), shrunk_covariance(x, inefficiency=5.0)
    assert abs(repeated[0, 1]) < abs(alone[0, 1])
    with pytest.raises(BayescgError, match="at least two frames"):
        shrunk_covariance(x[:1])
