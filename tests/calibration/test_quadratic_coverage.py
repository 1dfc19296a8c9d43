"""Coverage of 95% intervals over replicates of a system whose answer is known."""

import jax
import numpy as np
import pytest
from scipy import stats

from tests.quadratic import STIFFNESS, QuadraticStudy

NAIVE = 2 * stats.norm.cdf(1.96 / np.sqrt(3)) - 1  # 0.742


def coverage(replicates, frames):
    """Fraction of naive and of sandwich 95% intervals that hold the true stiffness."""
    study = QuadraticStudy(frames)
    hits = []
    for key in jax.random.split(jax.random.key(11), replicates):
        found = study.sandwich(key)
        error = abs(found.center[-1] - STIFFNESS)
        hits.append([error < 1.96 * np.sqrt(c[-1, -1]) for c in (found.naive, found.robust)])
    return np.mean(hits, axis=0)


@pytest.mark.calibration
def test_naive_intervals_cover_74_percent_and_sandwich_intervals_95(record_property):
    replicates = 500
    naive, robust = coverage(replicates, frames=600)
    record_property("measured", f"{replicates} replicates: naive {naive:.3f}, sandwich {robust:.3f}")
    # four binomial standard errors; the sandwich estimated from 600 frames loses up to one percent
    assert abs(naive - NAIVE) < 4 * np.sqrt(NAIVE * (1 - NAIVE) / replicates)
    assert abs(robust - 0.95) < 0.01 + 4 * np.sqrt(0.95 * 0.05 / replicates)
    # control: the bar would catch the naive interval
    assert abs(naive - 0.95) > 0.01 + 4 * np.sqrt(0.95 * 0.05 / replicates)
