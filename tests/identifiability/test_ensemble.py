"""Ensembles: Gaussian closed forms, the bound of the ensemble on its averages, and what to simulate next."""

import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg
from bayescg.identifiability import Ensemble

NAMES = ("A", "B")
POINT = jnp.array([100.0, 0.1])
KT = bcg.units.thermal_energy(300.0)


def energy(theta, x, temperature):
    """(A - T B) x²/2."""
    return 0.5 * (theta[0] - temperature * theta[1]) * x**2


@pytest.fixture(scope="module")
def well():
    """Nodes of a quadrature that is exact for the Gaussian at 300 K, as if 1000 independent samples."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    kept = weights > 1e-200
    x = nodes[kept] * np.sqrt(KT / 70.0)
    return Ensemble(energy, POINT, NAMES, x, 300.0, effective=1000.0 * kept.sum(), weights=weights[kept])


def closed_form(temperature, count):
    """Var(x²/2) = (kT/k)²/2 with k = A - T B."""
    slope = np.array([1.0, -temperature])
    return count / 2 * np.outer(slope, slope) / (100.0 - temperature * 0.1) ** 2


@pytest.mark.parametrize(("temperature", "length"), [(300.0, 1.0), (300.0, 4.0), (310.0, 1.0)])
def test_information_of_a_harmonic_ensemble_has_the_closed_form(well, temperature, length):
    found = well.information(temperature=temperature, length=length)
    expected = closed_form(temperature, length * well.effective)
    np.testing.assert_allclose(found.matrix, expected, rtol=1e-8)
    # x² is all that the energy depends on: its average knows as much
    seen = well.observable_information(lambda x: x**2, temperature=temperature, length=length)
    np.testing.assert_allclose(seen.matrix, expected, rtol=1e-8)
    # control: x is symmetric and knows nothing
    assert np.abs(well.observable_information(lambda x: x, temperature=temperature).matrix).max() < 1e-12


@pytest.fixture(scope="module")
def one_temperature(well):
    return bcg.identify.from_matrix(well.information().matrix, names=NAMES, prior=[100.0, 0.3])


def test_another_temperature_breaks_what_a_longer_run_does_not(well, one_temperature):
    assert one_temperature.ranks.numerical == 1
    null = one_temperature.null_directions["loadings"].values[0]
    np.testing.assert_allclose(null[0] / null[1], 300.0, rtol=1e-6)
    answer = one_temperature.which_breaks(
        {
            "a hundred times as long": well.information(length=100.0),
            "<x²> at 330 K": well.observable_information(lambda x: x**2, temperature=330.0, length=1.0),
            "<x> at 330 K": well.observable_information(lambda x: x, temperature=330.0, length=1.0),
        }
    )
    assert "is identified by <x²> at 330 K" in answer.sentence
    assert "as long" not in answer.sentence
    information = answer.candidates["information"]
    assert float(information.sel(candidate="a hundred times as long")) < 1e-6
    assert float(information.sel(candidate="<x> at 330 K")) < 1e-6


def test_the_farther_temperature_and_the_longer_run_rank_higher(well, one_temperature):
    offers = {
        f"{T:g} K, {length:g} times": well.information(temperature=T, length=length)
        for T in (300.0, 310.0, 330.0)
        for length in (1.0, 3.0)
    }
    ranked = one_temperature.rank_candidates(offers, criterion="d")
    order = [name for name in ranked["candidate"].values if "300" not in name and name != "nothing"]
    assert order == ["330 K, 3 times", "330 K, 1 times", "310 K, 3 times", "310 K, 1 times"]
    # no length makes up for the other temperature
    assert np.isneginf(ranked["d"].sel(candidate="300 K, 3 times"))
    # det F of two temperatures: n n' (T - T')² / (4 k² k'²), in units of the prior
    both = ranked.sel(candidate="330 K, 1 times")
    n = well.effective
    determinant = n**2 * 30.0**2 / (4 * 70.0**2 * 67.0**2) * (100.0 * 0.3) ** 2
    np.testing.assert_allclose(both["d"], np.log(determinant), rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_averages_never_know_more_than_the_ensemble(seed):
    """Random polynomials as energy and as observables: F - F_A is positive semidefinite, up to rounding."""
    rng = np.random.default_rng(seed)
    mix, observed = rng.normal(size=(4, 6)), rng.normal(size=(3, 6))

    def polynomials(x):
        return jnp.cos(jnp.arange(6.0) * x)

    def random_energy(theta, x, temperature):
        return theta @ (mix @ polynomials(x))

    x = np.linspace(-3.0, 3.0, 400)
    at = rng.normal(size=4)
    weights = np.exp(-np.array([random_energy(at, y, 300.0) for y in x]) / KT)
    ensemble = Ensemble(random_energy, jnp.asarray(at), tuple("abcd"), x, 300.0, weights=weights)
    full = ensemble.information().matrix
    seen = ensemble.observable_information(lambda x: observed @ polynomials(x)).matrix
    largest = np.linalg.eigvalsh(full)[-1]
    assert np.linalg.eigvalsh(full - seen)[0] > -1e-12 * largest
    # control: averages taken to be half as noisy would break the bound in their best direction
    best = np.linalg.solve(np.linalg.cholesky(full), seen)
    share = np.linalg.eigvalsh(np.linalg.solve(np.linalg.cholesky(full), best.T))[-1]
    assert share <= 1 + 1e-9 < 4 * share


def test_error_over_blocks_is_that_of_replicas():
    """Covariance of 2,000 samples: its scatter over 60 replicas, against the bootstrap of each."""
    rng = np.random.default_rng(5)
    spectra = []
    for _ in range(60):
        x = rng.normal(size=2000) * np.sqrt(KT / 70.0)
        F = Ensemble(energy, POINT, NAMES, x, 300.0).information()
        spectra.append(F.matrix[0, 0])
    from bayescg.identifiability.ranks import bootstrap_errors

    error = bootstrap_errors(F.matrices()[:, :1, :1])[0]
    # 60 replicas and 32 blocks: a standard deviation to 9% and 13%
    np.testing.assert_allclose(error, np.std(spectra), rtol=0.5)


def test_bad_candidates_are_refused(well):
    x = np.random.default_rng(0).normal(size=100) * np.sqrt(KT / 70.0)
    ensemble = Ensemble(energy, POINT, NAMES, x, 300.0)
    with pytest.raises(bcg.BayescgError, match="must have a Pareto shape below"):
        ensemble.information(temperature=990.0)
    with pytest.raises(bcg.BayescgError, match="must vary independently"):
        ensemble.observable_information(lambda x: jnp.stack([x, 2 * x]))
    with pytest.raises(bcg.BayescgError, match="length must be positive"):
        ensemble.information(length=0.0)
