"""Ranks and errors: small singular values are kept, noise is no information, near eigenvalues cluster."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg.identifiability import Information, subspace_distance
from bayescg.identifiability.ranks import bootstrap_errors, clusters
from bayescg.identifiability.subspace import spectrum_of
from bayescg.interfaces import AbstractLikelihood
from tests.inference.small_problems import gaussian_prior, pair_data, problem, spline_model


def graded(smallest, rows=40, seed=0):
    """A Jacobian whose singular values fall from one to `smallest`."""
    rng = np.random.default_rng(seed)
    left, right = np.linalg.qr(rng.normal(size=(rows, 4)))[0], np.linalg.qr(rng.normal(size=(4, 4)))[0]
    return left * np.geomspace(1.0, smallest, 4) @ right.T


def test_jacobian_is_not_squared():
    """A singular value of 1e-10 has an eigenvalue of 1e-20 in J'J, below rounding; by SVD it is there."""
    J = graded(1e-10)
    found = bcg.identify.from_jacobian(J, names=list("abcd"))
    assert found.ranks.numerical == 4
    # rounding of a singular value is eps of the largest: 1e-16/1e-10, squared once more
    np.testing.assert_allclose(found.spectrum["information"][-1], 1e-20, rtol=1e-4)
    # control: the matrix alone has lost it, and says so
    squared = bcg.identify.from_matrix((J.T @ J + (J.T @ J).T) / 2, names=list("abcd"))
    assert squared.ranks.numerical < 4


def test_singular_values_below_rounding_are_null():
    J = graded(1.0)
    J[:, 3] = J[:, :3] @ [1.0, 2.0, 3.0]
    found = bcg.identify.from_jacobian(J, names=list("abcd"))
    assert found.ranks.numerical == 3
    assert float(found.spectrum["information"][-1]) == 0.0
    null = found.null_directions["loadings"].values[-1]
    np.testing.assert_allclose(null, np.array([1.0, 2.0, 3.0, -1.0]) / 3.0, atol=1e-12)


def test_negative_eigenvalues_set_the_floor():
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    matrix = turn @ np.diag([9.0, 0.05, 0.0, -0.1]) @ turn.T
    found = bcg.identify.from_matrix((matrix + matrix.T) / 2, names=list("abcd"))
    np.testing.assert_allclose(found.spectrum["information"], [9.0, 0.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(found.spectrum.attrs["noise_floor"], 0.1, rtol=1e-10)
    assert found.spectrum.attrs["negative"] == 1
    assert found.ranks.numerical == 1
    assert "1 eigenvalue is negative" in found.summary()


def test_bootstrap_errors_are_the_spread_over_replicas():
    """Covariance of 200 Gaussian samples in three dimensions, against 300 independent replicas."""
    rng = np.random.default_rng(2)
    scale = np.array([5.0, 2.0, 0.5])
    samples = rng.normal(size=(300, 200, 3)) * scale
    blocks = samples[..., :, None] * samples[..., None, :]
    truth = np.linalg.eigvalsh(blocks.sum(axis=1))[:, ::-1].std(axis=0)
    errors = np.mean([bootstrap_errors(blocks[i], seed=i) for i in range(10)], axis=0)
    # blocks of 6 in 200 lose 1/33 of the variance; 10 estimates scatter by some percent
    np.testing.assert_allclose(errors, truth, rtol=0.15)


def test_bootstrap_sees_correlation_between_blocks():
    rng = np.random.default_rng(3)
    noise = rng.normal(size=2000)
    slow = np.repeat(noise[:200], 10)  # ten equal neighbours: the error is sqrt(10) times larger
    fast = bootstrap_errors((1 + 0.1 * noise)[:, None, None])
    assert bootstrap_errors((1 + 0.1 * slow)[:, None, None])[0] > 2 * fast[0]


def test_monte_carlo_rank_counts_what_the_blocks_show():
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(64, 1, 3)) * [3.0, 1.0, 0.0]
    rows[5, 0, 2] = 2.0  # a direction seen in one block alone
    found = spectrum_of([Information("data", True, jacobian=rows)], np.eye(3), list("abc"))
    assert found.ranks.numerical == 3
    assert found.ranks.monte_carlo == 2
    assert found.ranks.blocks == 64


def test_rank_of_a_covariance_is_below_the_samples():
    rows = np.random.default_rng(5).normal(size=(64, 1, 20))
    one = Information("ensemble", True, jacobian=rows, samples=8.0)
    assert spectrum_of([one], np.eye(20), [str(i) for i in range(20)]).ranks.monte_carlo == 7


def test_near_eigenvalues_form_one_cluster_and_projectors_agree():
    assert clusters(np.array([5.0, 1.0, 1.0 - 1e-12, 0.1]), None).tolist() == [0, 1, 1, 2]
    rng = np.random.default_rng(6)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    matrices = [turn @ np.diag([4.0, 4.0 + gap, 1.0]) @ turn.T for gap in (1e-7, -1e-7)]
    vectors = [np.linalg.eigh(m)[1].T[::-1] for m in matrices]
    assert subspace_distance(vectors[0][:2], vectors[1][:2]) < 1e-6
    assert subspace_distance(vectors[0][:1], vectors[0][1:2]) == pytest.approx(1.0)


def test_results_are_compared_by_the_spans_of_clusters():
    """Two nearly equal eigenvalues swap places: vectors turn by a right angle, their span stays."""
    turn = np.linalg.qr(np.random.default_rng(6).normal(size=(4, 4)))[0]

    def identified(*information):
        matrix = turn @ np.diag(information) @ turn.T
        return bcg.identify.from_matrix((matrix + matrix.T) / 2, names=list("abcd"))

    one, two = identified(9.0, 4.0, 4.0 + 1e-9, 1.0), identified(9.0, 4.0 + 1e-9, 4.0, 1.0)
    distance = one.distance(two)
    np.testing.assert_allclose(distance, 0.0, atol=1e-8)
    assert list(zip(distance["first"].values, distance["last"].values, strict=True)) == [
        (1, 1),
        (2, 3),
        (4, 4),
    ]
    assert "directions 2 to 3 cannot be told apart" in one.summary()
    # controls: single vectors are far apart; apart, they do count; another direction is found missing
    assert subspace_distance(one.directions[1:2], two.directions[1:2]) > 0.99
    apart = identified(9.0, 4.0, 4.1, 1.0).distance(identified(9.0, 4.1, 4.0, 1.0))
    np.testing.assert_allclose(apart, [0.0, 1.0, 1.0, 0.0], atol=1e-8)
    assert float(one.distance(identified(1.0, 4.0, 4.0 + 1e-9, 9.0))[0]) > 0.99
    with pytest.raises(bcg.BayescgError, match="other must have the parameters a, b, c, d"):
        one.distance(bcg.identify.from_matrix(np.eye(1), names=["a"]))


def test_three_ranks_of_a_problem():
    made = problem(gaussian_prior(scale=1e-3) | {"likelihood.noise.scale": 5.0}, pair_data(frames=16))
    found = bcg.identify(made, made.prior)
    # sixteen frames show all seven coefficients, but a prior this narrow knows them better
    assert found.ranks[:1] + found.ranks[2:3] + found.ranks[4:5] == (7, 7, 0)
    assert (found.spectrum["information_error"] > 0).all()


def test_attribution_adds_up_to_the_information():
    made = problem(gaussian_prior() | {"likelihood.noise.scale": 5.0}, pair_data(frames=16))
    found = bcg.identify(made, made.prior)
    carried = found.attribution()["ForceMatching"]
    assert dict(carried.sizes) == {"block": 16, "direction": 7}
    np.testing.assert_allclose(carried.sum("block"), found.spectrum["information"], rtol=1e-9)


def test_every_form_of_a_point_is_understood():
    made = problem(gaussian_prior() | {"likelihood.noise.scale": 5.0}, pair_data(frames=4))
    vector = np.asarray(made.unconstrain({"potential.coefficients": jnp.full((1, 7), 3.0)}))
    by_path = bcg.identify(made, {"potential.coefficients": jnp.full((1, 7), 3.0)})
    np.testing.assert_allclose(by_path.experiment.point, vector)
    draws = np.random.default_rng(0).normal(size=(2, 50, 1, 7))
    dims = ("chain", "draw", "type_pair", "coefficient")
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"potential.coefficients": (dims, draws)})})
    mean = draws.mean(axis=(0, 1)).ravel()
    np.testing.assert_allclose(bcg.identify(made, tree).experiment.point, mean, rtol=1e-6)


def test_lanczos_finds_the_leading_directions():
    made = problem(gaussian_prior(), pair_data(frames=4), knots=12)
    u = made.initial(jax.random.key(0))
    dense = bcg.identify(made, u)
    few = bcg.identify(made, u, directions=3)
    np.testing.assert_allclose(few.spectrum["information"], dense.spectrum["information"][:3], rtol=1e-8)
    assert few.ranks is None
    assert "at least" in few.summary()
    with pytest.raises(bcg.BayescgError, match="where all are known"):
        _ = few.null_directions


class Curved(AbstractLikelihood):
    """A density of a spline's coefficients that curves as it is told to."""

    curvature: tuple[float, ...] = eqx.field(static=True)

    def prepare(self, model, data):
        return model, self

    def observe(self, model, data):
        return None

    def log_likelihood(self, model, observations):
        return jnp.sum(self.blocks(model, observations))

    def blocks(self, model, observations):
        theta = model.potential.coefficients.ravel()
        return -0.5 * jnp.reshape(theta @ (jnp.asarray(self.curvature) * theta), (1,))

    def default_priors(self, observations):
        return {}

    def coordinates(self, observations):
        return {}

    def datasets(self, observations):
        return {}


@pytest.mark.parametrize(("last", "kept", "negative"), [(-3.0, 1, 1), (0.1, 3, 0)])
def test_lanczos_names_a_matrix_that_is_no_information(last, kept, negative):
    """Curvatures 9, 2, 1 and one below zero: nothing as small as that one is information."""
    data = pair_data(frames=2)
    matching = bcg.likelihoods.ForceMatching().on(data)
    terms = matching + Curved((9.0, 2.0, 1.0, 0.5, 0.0, 0.0, last)).on(data)
    whole = bcg.Problem(spline_model(), gaussian_prior(1.0) | {"likelihood.0.noise.scale": 5.0}, terms)
    few = bcg.identify(whole.part((1,), whole.prior), jnp.zeros(7), directions=3)
    information = few.spectrum["information"].values
    np.testing.assert_allclose(information[:kept], [9.0, 2.0, 1.0][:kept], rtol=1e-8)
    np.testing.assert_array_equal(information[kept:], 0.0)
    assert few.spectrum.attrs["negative"] == negative
    assert ("negative" in few.summary()) == bool(negative)
