"""Deviation of forces over draws against linear algebra, and what is flagged as extrapolation."""

import jax
import numpy as np
import pytest

import bayescg as bcg
from bayescg.likelihoods.design import design
from bayescg.likelihoods.reading import frames_of
from bayescg.predict import force_uncertainty
from tests.inference.small_problems import CUTOFF, gaussian_prior, pair_data, problem

PRIOR = gaussian_prior() | {"likelihood.noise.scale": 5.0}
DRAWS = 400


@pytest.fixture(scope="module")
def posed():
    return problem(PRIOR)


@pytest.fixture(scope="module")
def posterior(posed):
    return bcg.sample(posed, bcg.Conjugate(chains=2, draws=300), key=jax.random.key(0), progress=False)


@pytest.fixture(scope="module")
def found(posed, posterior):
    return force_uncertainty(posed, posterior, pair_data(), draws=DRAWS, group="posterior")


def test_deviation_is_that_of_the_coefficients(posed, posterior, found):
    """Φ V Φ' with the sample covariance of the very same draws, frame by frame."""
    from bayescg.predict import select_draws

    theta = select_draws(posterior, draws=DRAWS, group="posterior").values["potential.coefficients"][:, 0]
    V, m = np.cov(theta.T), theta.mean(axis=0)
    for index, (frame, _) in enumerate(frames_of(pair_data(), CUTOFF)):
        rows = np.moveaxis(design(posed.joint.potential, frame), 0, 1)  # (bead, dim, feature)
        variance = np.einsum("bdf,fg,bdg->bd", rows, V, rows)
        np.testing.assert_allclose(found["force_deviation"][index], np.sqrt(variance), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found["force_mean"][index], rows @ m, rtol=1e-6, atol=1e-6)
    # control: half the covariance is another deviation
    assert np.abs(np.sqrt(0.5 * variance) - found["force_deviation"][-1]).max() > 1e-3


def test_the_data_are_not_flagged(found):
    assert not found["extrapolated"].any()
    assert float(found["limit"][0]) > 0


def test_beads_closer_than_any_in_the_data_are_flagged_and_others_not(posed, posterior):
    beads = pair_data().isel(frame=slice(0, 3)).copy(deep=True)
    first, second = beads["position"].values[1, :2]
    away = second - first
    away -= 1.3 * np.round(away / 1.3)
    shortest = float(min(posed.joint.potential.starts))
    beads["position"].values[1, 1] = first + 0.6 * shortest * away / np.linalg.norm(away)
    found = force_uncertainty(posed, posterior, beads.drop_vars("force"), draws=50)
    assert found["frame_extrapolated"].values.tolist() == [False, True, False]
    assert found["extrapolated"].values[1, :2].all()


def test_a_long_lever_is_flagged_by_deviation_alone(posterior, posed, found):
    """Control of the rule of distances: twice the posterior's width flags data of the narrow one."""
    wide = posterior.copy(deep=True)
    draws = wide["posterior"]["potential.coefficients"]
    wide["posterior"]["potential.coefficients"] = draws.mean(("chain", "draw")) + 2 * (
        draws - draws.mean(("chain", "draw"))
    )
    doubled = force_uncertainty(posed, wide, pair_data(), draws=DRAWS, group="posterior")
    np.testing.assert_allclose(doubled["bead_deviation"], 2 * found["bead_deviation"], rtol=1e-6)
    assert (doubled["bead_deviation"] > found["limit"].values[0]).any()


def test_other_beads_are_refused(posed, posterior):
    other = pair_data().assign(type=("bead", np.full(24, "X")))
    with pytest.raises(bcg.BayescgError, match=r"beads must have the types .* got \('X',\)"):
        force_uncertainty(posed, posterior, other)
