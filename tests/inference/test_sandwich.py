"""The sandwich: what the scatter over repeated trajectories really is."""

import jax
import numpy as np
import pytest

import bayescg as bcg
from bayescg.inference.sandwich import assemble, repaired, sandwich
from tests.inference.small_problems import pair_data, problem, spline_model
from tests.quadratic import QuadraticStudy


def water_statistics():
    model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12, start=0.25))
    data = bcg.data.water()
    model, matching = bcg.likelihoods.ForceMatching().prepare(model, data)
    return model, matching.observe(model, data)


def test_right_noise_gives_the_naive_covariance():
    data = pair_data(frames=200, beads=16)
    made = problem(bcg.priors.default(spline_model()), data)
    values = bcg.Conjugate(chains=1, draws=200).draw(
        made, key=jax.random.key(0), loop=bcg.numerics.host_loop.HostLoop(progress=False)
    )
    found = sandwich(made, values.positions.reshape(-1, made.dimension).mean(axis=0))
    # the ratio of standard deviations from 200 independent blocks has an error of 1/sqrt(400) = 5%
    ratio = np.sqrt(np.diag(found.robust) / np.diag(found.naive))
    assert np.abs(ratio - 1).max() < 4 * 0.05
    assert abs(found.temper - 1) < 4 * 0.05
    assert found.places.size == 8  # seven coefficients and the noise; not the roughness


def test_quadratic_system_needs_the_square_root_of_three():
    study = QuadraticStudy(frames=4000)
    found = study.sandwich(jax.random.key(1))
    # relative error of the ratio from 256..512 blocks is at most 5%
    assert abs(np.sqrt(found.robust[-1, -1] / found.naive[-1, -1]) / np.sqrt(3) - 1) < 4 * 0.05


def test_sandwich_is_the_scatter_over_independent_pieces_of_real_water():
    """In water the noise is correlated between neighbours: naive errors are too LARGE in the core."""
    _, seen = water_statistics()
    gram, projection = np.asarray(seen.blocks.gram)[:, 0], np.asarray(seen.blocks.projection)[:, 0]
    square, count = np.asarray(seen.blocks.square)[:, 0], np.asarray(seen.blocks.count)[:, 0]

    def fit(frames):
        theta = np.linalg.solve(gram[frames].sum(0), projection[frames].sum(0))
        variance = (square[frames].sum() - theta @ projection[frames].sum(0)) / count[frames].sum()
        return theta, variance * np.linalg.inv(gram[frames].sum(0))

    pieces = [fit(slice(10 * k, 10 * k + 10)) for k in range(15)]
    empirical = np.var([theta for theta, _ in pieces], axis=0, ddof=1)
    naive = np.mean([np.diag(covariance) for _, covariance in pieces], axis=0)
    theta, covariance = fit(slice(None))
    residual = square.sum() - theta @ projection.sum(0)
    scores = (projection - gram @ theta) * count.sum() / residual
    curvature = np.linalg.inv(covariance)
    found = assemble(theta, [scores], curvature, np.zeros_like(curvature))
    of_pieces = empirical / naive
    of_sandwich = np.diag(found.robust) / np.diag(found.naive)
    # log of a variance from 15 pieces scatters by sqrt(2/14) = 0.38; eleven correlated coefficients
    # share the data, so their mean scatters by less than that
    assert abs(np.mean(np.log(of_sandwich / of_pieces))) < 2 * 0.38
    # and naive errors are wrong: the mean log ratio of the first eight coefficients is far below zero
    assert np.mean(np.log(of_pieces[:8])) < -2 * 0.38
    assert np.mean(np.log(of_sandwich[:8])) < -2 * 0.38


def test_repaired_draws_have_the_sandwich_covariance_and_the_same_mean():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 3)) + 3 * np.eye(3)
    scores = rng.normal(size=(400, 3)) @ root.T * 2
    found = assemble(np.array([1.0, 2.0, 3.0]), [scores], 400 * root @ root.T, np.zeros((3, 3)))
    np.testing.assert_allclose(found.repair @ found.naive @ found.repair.T, found.robust, rtol=1e-10)
    draws = rng.multivariate_normal(found.center, found.naive, size=50)
    moved = repaired(found, draws)
    expected = found.center + (draws - found.center) @ found.repair.T
    np.testing.assert_allclose(moved, expected, rtol=1e-12)


def test_directions_without_data_keep_the_prior():
    """One parameter enters the scores only by rounding noise: its variance stays the prior's."""
    rng = np.random.default_rng(0)
    scores = np.stack([rng.normal(size=300) * 3, rng.normal(size=300) * 1e-9], axis=1)
    found = assemble(np.zeros(2), [scores], np.diag([300.0, 3e-16]), np.diag([1.0, 4.0]))
    np.testing.assert_allclose(found.robust[1, 1], 0.25, rtol=1e-6)
    assert found.robust[0, 0] > 5 * found.naive[0, 0]  # nine times, known to 17%


def test_too_few_blocks_are_refused():
    with pytest.raises(bcg.BayescgError, match="number of blocks must be at least 8, got 7"):
        assemble(np.zeros(1), [np.ones((7, 1))], np.eye(1), np.zeros((1, 1)))
