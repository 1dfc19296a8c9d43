"""Profiles: intervals of known likelihoods, every class, resuming; and the faults they name."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import bayescg as bcg
from bayescg.identifiability.profile import classify, profile

TIMES = jnp.arange(1.0, 9.0) * 0.2
NAMES = ["k", "gamma"]


def decay(noise=0.02):
    return bcg.identify.from_prediction(
        lambda theta: jnp.exp(-theta[0] / theta[1] * TIMES),
        [2.0, 3.0],
        names=NAMES,
        positive=NAMES,
        noise=noise,
    )


def test_profile_of_a_gaussian_is_its_marginal():
    covariance = np.array([[2.0, 1.2], [1.2, 1.0]])
    precision = jnp.linalg.inv(covariance)
    found = bcg.identify.from_log_density(lambda t: -0.5 * t @ precision @ t, [0.0, 0.0], names=["a", "b"])
    curve = profile(found.experiment, 0, low=-6.0, high=6.0, points=12)
    assert curve.kind == "bounded"
    reach = norm.ppf(0.975) * np.sqrt(2.0)
    np.testing.assert_allclose(curve.interval, [-reach, reach], rtol=1e-6)
    # the other parameter follows its conditional mean
    track = curve.dataset["point"].values
    np.testing.assert_allclose(track[:, 1], 0.6 * track[:, 0], atol=1e-5)


def test_profile_of_any_function():
    """Of the sum of two independent unit normals: variance two."""
    found = bcg.identify.from_log_density(lambda t: -0.5 * t @ t, [0.0, 0.0], names=["a", "b"])
    curve = profile(found.experiment, lambda u: u[0] + u[1], low=-5.0, high=5.0, points=8)
    np.testing.assert_allclose(curve.dataset["log_likelihood"], -(curve.dataset["value"] ** 2) / 4, atol=1e-6)


def test_unidentified_parameter_is_flat_and_the_ratio_bounded():
    experiment = decay().experiment
    alone = profile(experiment, 0, low=-2.0, high=3.0, points=6)
    assert alone.kind == "flat"
    assert alone.sentence == "flat: the data do not determine it."
    ratio = profile(experiment, lambda u: u[0] - u[1], low=-1.0, high=0.2, points=8)
    assert ratio.kind == "bounded"
    # near linear: a Gaussian of the Cramer-Rao width
    width = 1 / np.sqrt(decay().informations[0].matrix[0, 0])
    np.testing.assert_allclose(np.ptp(ratio.interval), 2 * norm.ppf(0.975) * width, rtol=0.02)


def test_one_sided():
    """A fast rate is seen to be fast, not how fast: y = exp(-theta t) has died out at the first time."""
    found = bcg.identify.from_prediction(
        lambda theta: jnp.exp(-theta * TIMES), [30.0], names=["rate"], positive=["rate"], noise=0.05
    )
    curve = profile(found.experiment, 0, low=0.0, high=8.0, points=16)
    assert curve.kind == "one-sided"
    assert np.isinf(curve.interval[1])


def test_two_maxima():
    found = bcg.identify.from_log_density(lambda t: -0.5 * ((t[0] ** 2 - 4.0) * 1.5) ** 2, [2.0], names=["a"])
    assert profile(found.experiment, 0, low=-4.0, high=4.0, points=30).kind == "multimodal"
    # control: one of the two alone
    assert profile(found.experiment, 0, low=1.0, high=4.0, points=30).kind == "bounded"


def test_range_too_small_is_said():
    x = np.linspace(-1.0, 1.0, 21)
    assert classify(x, -0.5 * x**2)[0] == "hit-bound"


def ratio(u):
    return u[0] - u[1]


def test_a_stopped_profile_goes_on_bit_for_bit(tmp_path, monkeypatch):
    from bayescg.identifiability.constrained_maximum import ConstrainedMaximum
    from bayescg.numerics import host_loop

    experiment = decay().experiment
    ask = {"low": -1.0, "high": 0.2, "points": 5}
    whole = profile(experiment, ratio, **ask)
    climb, calls = ConstrainedMaximum.climb, []

    def counted(stop):
        def step(self, u, *, wanted):
            calls.append(wanted)
            if len(calls) == stop:
                raise RuntimeError("pulled the plug")
            return climb(self, u, wanted=wanted)

        return step

    monkeypatch.setattr(host_loop, "SAVE_INTERVAL", -1.0)  # after every point
    monkeypatch.setattr(ConstrainedMaximum, "climb", counted(stop=8))
    with pytest.raises(RuntimeError, match="pulled the plug"):
        profile(experiment, ratio, checkpoint=tmp_path / "run", **ask)
    calls.clear()
    monkeypatch.setattr(ConstrainedMaximum, "climb", counted(stop=None))
    again = profile(experiment, ratio, checkpoint=tmp_path / "run", **ask)
    assert len(calls) == 1 + 4  # the maximum, and the right side's last four
    for name in ("value", "log_likelihood", "point", "left"):
        np.testing.assert_array_equal(again.dataset[name], whole.dataset[name])


def test_checkpoint_of_other_data_or_another_function_is_refused(tmp_path):
    """The same maximum in data of twice the noise; and a function with the same value and slope there."""
    ask = {"low": -1.0, "high": 0.2, "points": 4, "checkpoint": tmp_path / "run"}
    profile(decay().experiment, ratio, **ask)
    with pytest.raises(bcg.BayescgError, match="checkpoint"):
        profile(decay(noise=0.04).experiment, ratio, **ask)
    with pytest.raises(bcg.BayescgError, match="checkpoint"):
        profile(decay().experiment, lambda u: u[0] - u[1] + 0.1 * (u[0] - np.log(2.0)) ** 2, **ask)


def test_a_maximum_that_was_not_found_is_said(monkeypatch):
    from bayescg.identifiability import constrained_maximum

    experiment = decay().experiment
    ask = {"low": -1.0, "high": 0.2, "points": 4}
    assert (profile(experiment, ratio, **ask).dataset["left"] < 1e-6).all()
    monkeypatch.setattr(constrained_maximum, "ITERATIONS", 1)
    found = bcg.identify.from_prediction(
        lambda t: jnp.stack([t[0], jnp.expm1(3 * t[1]) - 4 * t[0] ** 2]),
        [0.0, 0.0],
        names=["a", "b"],
        noise=0.1,
    )
    assert "the maximum was not found" in profile(found.experiment, 0, low=-2.0, high=2.0, points=4).sentence


def test_a_table_has_no_profile():
    found = bcg.identify.from_jacobian([[1.0]], names=["a"])
    with pytest.raises(bcg.BayescgError, match="needs the likelihood away from the point"):
        profile(found.experiment, 0, low=-1.0, high=1.0)
    with pytest.raises(bcg.BayescgError, match="must hold the maximum"):
        profile(decay().experiment, lambda u: u[0] - u[1], low=1.0, high=2.0)
