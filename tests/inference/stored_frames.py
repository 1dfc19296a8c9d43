"""A Gaussian posterior on stored frames, and the checks that samplers of such posteriors share."""

import dataclasses

import numpy as np
import pytest
from arviz_stats import ess

import bayescg as bcg
from bayescg.likelihoods import ForceMatching, StudentT
from bayescg.numerics.host_loop import HostLoop, Interrupted
from tests.inference.small_problems import (
    dense_posterior,
    dense_rows,
    gaussian_prior,
    pair_data,
    spline_model,
)

QUIET = HostLoop(progress=False)
SIGMA, FRAMES = 5.0, 6


def framed(data=None):
    """A posterior on stored frames; a Student t of 1e7 degrees is a Gaussian here to 1e-5 of a nat."""
    matching = ForceMatching(noise=StudentT(degrees=1e7)).on(
        pair_data(frames=FRAMES) if data is None else data
    )
    prior = gaussian_prior() | {"likelihood.noise.scale": SIGMA}
    return bcg.Problem(spline_model(), prior, matching)


def exact_moments(posed):
    """Mean and covariance by dense algebra."""
    rows, targets = dense_rows(posed, pair_data(frames=FRAMES))
    return dense_posterior(rows, targets, SIGMA, np.full(7, 10.0), 200.0**2 * np.eye(7))


def white(draws, exact):
    """Draws in units in which the exact posterior is N(0, 1), (chain, draw, parameter)."""
    mean, covariance = exact
    return (draws.positions - mean) @ np.linalg.inv(np.linalg.cholesky(covariance)).T


def check_moments(z, *, bias):
    """Means within five standard errors; variances within these and the bias that is allowed."""
    for k in range(z.shape[-1]):
        size = float(ess(z[..., k]))
        assert abs(z[..., k].mean()) < 5 / np.sqrt(size)
        size = float(ess(z[..., k] ** 2))
        assert abs(z[..., k].var() - 1) < 5 * np.sqrt(2 / size) + bias


class Stops(HostLoop):
    """Raises in the stage of sampling before its first chunk."""

    def run(self, name, *args, **settings):
        if name == "sample":
            raise Interrupted("stop")
        return super().run(name, *args, **settings)


def check_resumption(sampler, posed, folder, *, key, whole):
    """A shorter run that stops before its draws goes on to the first ones of a whole one, bit for bit."""
    sampler = dataclasses.replace(sampler, draws=100)
    with pytest.raises(Interrupted):
        sampler.draw(posed, key=key, loop=Stops(folder, progress=False, fingerprint="run"))
    again = sampler.draw(posed, key=key, loop=HostLoop(folder, progress=False, fingerprint="run"))
    np.testing.assert_array_equal(again.positions, whole.positions[:, :100])
    assert not np.isclose(again.positions, whole.positions[:, 1:101]).all()  # control: one draw later
