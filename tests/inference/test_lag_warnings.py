"""Draws near the edge of the lags that were kept are named; others are not."""

import numpy as np

import bayescg as bcg
from bayescg.inference.lag_warnings import lag_warnings


def problem():
    term = bcg.likelihoods.Path(observed="velocities").on(bcg.data.water_dynamics(frames=400))
    model = bcg.Model(
        bcg.potentials.PairSpline(cutoff=0.9, knots=8), memory=bcg.memory.OscillatoryProny(modes=1)
    )
    return bcg.Problem(model, bcg.priors.default(model), term)


def draws(time, frequency):
    one = np.ones((2, 3, 1))
    return {
        "potential.coefficients": np.zeros((2, 3, 1, 7)),
        "memory.times": time * one,
        "memory.frequencies": frequency * one,
        "memory.frictions": 1e-3 * one,
        "memory.asymmetries": 0.0 * one,
    }


def test_a_kernel_that_rings_between_the_lags_kept_is_named():
    asked = problem()
    # weakly coupled, so that the filter rings as long as the kernel: for 1,000 frames, at a high pitch
    [sentence] = lag_warnings(asked, draws(10.0, 150.0))
    assert "6 of 6 draws" in sentence
    values = {path: v[0, 0] for path, v in draws(10.0, 150.0).items()}
    assert float(asked.log_likelihood(values)) == -np.inf


def test_a_kernel_that_dies_out_is_not():
    asked = problem()
    assert lag_warnings(asked, draws(0.05, 10.0)) == []
    values = {path: v[0, 0] for path, v in draws(0.05, 10.0).items()}
    assert np.isfinite(asked.log_likelihood(values))
