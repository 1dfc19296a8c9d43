"""Design: what breaks a degeneracy is named, and criteria are those of dense algebra."""

import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg
from bayescg.identifiability.design import which_breaks
from tests.inference.small_problems import gaussian_prior, pair_data, problem

NAMES = ["stiffness", "friction"]
TIMES = jnp.arange(1.0, 9.0) * 0.2


def ask(function, noise=0.02):
    return bcg.identify.from_prediction(
        function, [2.0, 3.0], names=NAMES, positive=NAMES, noise=noise, prior=1.5
    )


def autocorrelation(theta):
    return jnp.exp(-theta[0] / theta[1] * TIMES)


CANDIDATES = {
    "the same at other times": ask(lambda theta: jnp.exp(-theta[0] / theta[1] * 3 * TIMES)),
    "position variance": ask(lambda theta: 2.5 / theta[:1], noise=0.05),
    "diffusion constant, roughly": ask(lambda theta: 2.5 / theta[1:], noise=0.5),
}


def test_position_variance_breaks_the_degeneracy():
    found = ask(autocorrelation).which_breaks(CANDIDATES)
    assert found.candidates["candidate"].values[0] == "position variance"
    assert found.candidates["information"].values[-1] < 1e-12  # the same ratio again
    assert found.sentence.startswith("log stiffness + log friction is identified by position variance")
    nothing = ask(autocorrelation).which_breaks({"the same": CANDIDATES["the same at other times"]})
    assert nothing.sentence.startswith("None of the candidates identifies")


def test_a_candidate_that_sees_a_direction_mixed_with_another_does_not_identify_it():
    """a + b measured sharply halves the variance of a at best; a alone, or a + b and b, identifies it."""
    base = bcg.identify.from_jacobian([[0.0, 0.0, 1.0]], names=["a", "b", "c"])
    mixed = 1e4 * np.outer([1.0, 1.0, 0.0], [1.0, 1.0, 0.0])
    candidates = {"a + b": mixed, "a + b, and b": mixed + np.diag([0.0, 9.0, 0.0])}
    direction = np.array([1.0, 0.0, 0.0])
    answer = which_breaks(base.experiment, base.informations, direction, candidates, made_of="a")
    assert answer.sentence.startswith("a is identified by a + b, and b")
    for name, matrix in candidates.items():
        variance = np.linalg.inv(np.eye(3) + base.matrix + matrix)[0, 0]
        found = answer.candidates.sel(candidate=name)
        np.testing.assert_allclose(found["contraction"], np.sqrt(variance), rtol=1e-9)
    assert float(answer.candidates["information"].sel(candidate="a + b")) < 1
    # control: v'F v, which does not free the others, would call it identified
    assert direction @ mixed @ direction > 1


def test_negative_eigenvalues_of_a_candidate_are_no_information():
    base = bcg.identify.from_jacobian([[1.0, 0.0]], names=["a", "b"])
    noisy = {"noisy": np.array([[9.0, 0.0], [0.0, -3.0]]), "noisier": np.array([[-9.0, 0.0], [0.0, 3.0]])}
    answer = base.which_breaks(noisy)
    np.testing.assert_allclose(answer.candidates["information"], 0.0, atol=1e-12)
    ranked = base.rank_candidates(noisy)
    np.testing.assert_allclose(
        ranked["bayesian_d"].sel(candidate="noisier"), base.information_gain, rtol=1e-9
    )
    # control: the same eigenvalue without the negative one is
    clean = base.which_breaks({"clean": np.array([[0.0, 0.0], [0.0, 3.0]])})
    np.testing.assert_allclose(clean.candidates["information"], 3.0, rtol=1e-9)


def test_criteria_are_those_of_dense_algebra():
    base = ask(autocorrelation)
    ranked = base.rank_candidates(CANDIDATES, target=[1.0, 0.0])
    M = sum(one.informations[0].matrix for one in (base, CANDIDATES["position variance"])) * 1.5**2
    row = ranked.sel(candidate="position variance")
    np.testing.assert_allclose(row["d"], np.linalg.slogdet(M)[1], rtol=1e-9)
    np.testing.assert_allclose(row["a"], np.trace(np.linalg.inv(M)), rtol=1e-9)
    np.testing.assert_allclose(row["e"], np.linalg.eigvalsh(M)[0], rtol=1e-9)
    np.testing.assert_allclose(row["c"], 1.5**2 * np.linalg.inv(M)[0, 0], rtol=1e-9)
    np.testing.assert_allclose(row["bayesian_d"], 0.5 * np.linalg.slogdet(np.eye(2) + M)[1], rtol=1e-9)
    alone = ranked.sel(candidate="nothing")
    assert np.isneginf(alone["d"])
    assert np.isposinf(alone["a"])
    assert np.isposinf(alone["c"])
    assert float(alone["e"]) == 0.0


@pytest.mark.parametrize("criterion", ["d", "a", "e", "c", "bayesian_d"])
def test_every_criterion_puts_the_variance_first(criterion):
    ranked = ask(autocorrelation).rank_candidates(CANDIDATES, criterion=criterion, target=[1.0, 0.0])
    assert ranked["candidate"].values[0] == "position variance"


def test_more_data_of_one_kind_are_a_term():
    """Twelve frames beside eight: information grows by what the regression says."""
    made = problem(gaussian_prior() | {"likelihood.noise.scale": 5.0}, pair_data(frames=8))
    found = bcg.identify(made, made.prior)
    further = bcg.likelihoods.ForceMatching().on(pair_data(frames=12))
    ranked = found.rank_candidates({"longer": further})
    assert ranked["candidate"].values.tolist() == ["longer", "nothing"]
    np.testing.assert_allclose(ranked["bayesian_d"][1], found.information_gain, rtol=1e-9)


def test_other_parameters_are_refused():
    other = bcg.identify.from_jacobian([[1.0]], names=["a"])
    with pytest.raises(bcg.BayescgError, match="must have the parameters stiffness, friction"):
        ask(autocorrelation).which_breaks({"other": other})
    with pytest.raises(bcg.BayescgError, match="a candidate must be in float64"):
        ask(autocorrelation).which_breaks({"rough": np.eye(2, dtype=np.float32)})
    with pytest.raises(bcg.BayescgError, match="criterion must be one of"):
        ask(autocorrelation).rank_candidates(CANDIDATES, criterion="g")
