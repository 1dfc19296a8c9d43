"""Mean forces at one temperature determine A - T B, at two both: certified, and with closed forms."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
import xarray as xr

import bayescg as bcg
from bayescg.likelihoods import ForceMatching
from bayescg.potentials import Harmonic, Thermodynamic

SIGMA, WIDTHS = 1.0, np.array([30.0, 0.3])
ENERGY, ENTROPY = "potential.energy_part.stiffness", "potential.entropy_part.stiffness"
MODEL = bcg.Model(Thermodynamic(energy=Harmonic(100.0, 0.0), entropy=Harmonic(0.1, 0.0)))
PRIOR = {
    ENERGY: dist.Normal(100.0, WIDTHS[0]),
    ENTROPY: dist.Normal(0.0, WIDTHS[1]),
    "likelihood.noise.scale": SIGMA,
}


def forces_at(kelvin, seed):
    """A variable in the well (100 - 0.1 T) x²/2, its forces with noise."""
    rng, dims = np.random.default_rng(seed), ("frame", "bead", "dim")
    x = 0.2 * rng.normal(size=(100, 1, 1))
    f = -(100.0 - 0.1 * kelvin) * x + SIGMA * rng.normal(size=x.shape)
    return xr.Dataset(
        {"position": (dims, x, {"units": "nm"}), "force": (dims, f, {"units": "kJ/mol/nm"})},
        coords={"dim": ["q"]},
        attrs={"temperature": kelvin},
    )


def of_temperatures(*kelvins):
    points = [forces_at(kelvin, seed) for seed, kelvin in enumerate(kelvins)]
    problem = bcg.Problem(MODEL, PRIOR, ForceMatching().on(points))
    return points, bcg.identify(problem, problem.initial(jax.random.key(0)))


@pytest.fixture(scope="module")
def one():
    return of_temperatures(300.0)


@pytest.fixture(scope="module")
def two():
    return of_temperatures(280.0, 340.0)


def closed_form(points):
    """Σ x²/σ² [[1, -T], [-T, T²]] over temperatures: F = -(a - T b) x, σ² in proportion to T."""
    kelvins = [point.attrs["temperature"] for point in points]
    rows = [np.array([1.0, -kelvin]) for kelvin in kelvins]
    variances = [SIGMA**2 * kelvin / np.mean(kelvins) for kelvin in kelvins]
    weights = [float((point["position"] ** 2).sum()) / v for point, v in zip(points, variances, strict=True)]
    return sum(weight * np.outer(row, row) for weight, row in zip(weights, rows, strict=True))


@pytest.mark.parametrize("data", ["one", "two"])
def test_information_has_the_closed_form(data, request):
    points, found = request.getfixturevalue(data)
    np.testing.assert_allclose(found.matrix, closed_form(points), rtol=1e-9)


def test_one_temperature_certifies_energy_less_its_temperature_times_entropy(one):
    _, found = one
    assert found.ranks.numerical == 1
    assert found.combinations[0].text == f"{ENERGY} - 300 {ENTROPY}"
    assert found.combinations[0].label == "certified"
    # what is left to the prior is A + T0 v, B + v
    loadings = found.null_directions["loadings"].values
    assert loadings.shape == (1, 2)
    assert loadings[0, 0] / loadings[0, 1] == pytest.approx(300.0, rel=1e-6)


def test_two_temperatures_determine_both(two):
    points, found = two
    assert found.ranks.numerical == found.ranks.bayesian == 2
    assert found.null_directions.sizes["direction"] == 0
    # eigenvalues of the closed form in units of the prior
    whitened = WIDTHS[:, None] * closed_form(points) * WIDTHS
    expected = np.sort(np.linalg.eigvalsh(whitened))[::-1]
    np.testing.assert_allclose(found.spectrum["information"].values, expected, rtol=1e-6)


def test_two_runs_of_one_temperature_are_no_two_temperatures():
    """Control: what separates A and B is the temperature, not the second run."""
    _, found = of_temperatures(300.0, 300.0)
    assert found.ranks.numerical == 1
    assert found.combinations[0].text == f"{ENERGY} - 300 {ENTROPY}"
