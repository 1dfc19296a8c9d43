"""Edges of models whose simpler limits are known."""

import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg

TIMES = jnp.linspace(0.1, 3.0, 12)


def boundary(function, at, names, noise=0.1):
    return bcg.identify.from_prediction(function, at, names=names, positive=names, noise=noise).boundary()


def test_saturation_far_away_leaves_a_ratio():
    found = boundary(
        lambda theta: theta[0] * TIMES / (theta[1] + TIMES), [40.0, 20.0], ["rate", "saturation"], noise=0.05
    )
    assert found.limit == "rate and saturation -> infinity together, their ratio fixed"
    # at the edge the ratio is what the data have seen: 2 TIMES, nearly
    end = np.exp(found.path["point"].values[-1])
    assert 1.7 < end[0] / end[1] < 2.1


def test_two_like_rates_become_one():
    found = boundary(
        lambda theta: jnp.exp(-theta[0] * TIMES) + jnp.exp(-theta[1] * TIMES), [1.0, 1.3], ["first", "second"]
    )
    assert found.limit == "first -> second"
    assert "give both one value" in found.sentence
    start, end = found.path["point"].values[0], found.path["point"].values[-1]
    assert abs(end[0] - end[1]) < 0.05
    # the mean rate, which the data see, stays
    np.testing.assert_allclose(end.mean(), start.mean(), atol=0.05)


def test_a_mode_faster_than_the_data_goes_to_infinity():
    found = boundary(
        lambda theta: jnp.exp(-theta[0] * TIMES) + jnp.exp(-theta[1] * TIMES), [0.8, 25.0], ["slow", "fast"]
    )
    assert found.limit == "fast -> infinity"
    effect = found.path["effect"].values
    assert effect[-1] < 0.011 * effect[0]


def test_speed_along_the_path_is_constant():
    """Length is distance in the space of data: successive predictions are that far apart."""

    def decays(theta):
        return (jnp.exp(-theta[0] * TIMES) + jnp.exp(-theta[1] * TIMES)) / 0.1

    path = boundary(lambda theta: decays(theta) * 0.1, [0.8, 25.0], ["slow", "fast"]).path
    data = np.array([decays(np.exp(u)) for u in path["point"].values])
    walked = np.cumsum(np.linalg.norm(np.diff(data, axis=0), axis=1))
    # chords are shorter than the curve, here by less than a percent
    np.testing.assert_allclose(walked, path["length"].values[1:], rtol=0.01)


def test_a_straight_model_has_no_edge():
    found = boundary(lambda theta: jnp.log(theta[0]) + TIMES * jnp.log(theta[1]), [1.0, 2.0], ["a", "b"])
    assert found.limit == ""
    assert found.sentence.startswith("No edge within")


def test_a_table_has_no_edge():
    with pytest.raises(bcg.BayescgError, match="found from its predictions"):
        bcg.identify.from_jacobian([[1.0]], names=["a"]).boundary()


def test_the_nearer_of_two_edges_is_found():
    """One decay: too fast for the first time or too slow for the last, whichever is nearer."""
    for rate, limit in ((6.0, "rate -> infinity"), (0.03, "rate -> 0")):
        found = boundary(lambda theta: jnp.exp(-theta[0] * TIMES), [rate], ["rate"])
        assert found.limit == limit
        # the edges of one decay lie where all data are zero or one: a geodesic of one parameter is arc length
        data = np.array([np.exp(-np.exp(u[0]) * TIMES) / 0.1 for u in found.path["point"].values])
        walked = np.linalg.norm(np.diff(data, axis=0), axis=1).sum()
        np.testing.assert_allclose(found.path["length"].values[-1], walked, rtol=0.02)
        ends = [np.zeros_like(TIMES), np.ones_like(TIMES)]
        gaps = [np.linalg.norm(data[0] - end / 0.1) for end in ends]
        assert (gaps[0] < gaps[1]) == (limit == "rate -> infinity")
