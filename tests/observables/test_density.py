"""The density of a collective variable."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from bayescg._checks import BayescgError
from bayescg.interfaces import Configuration, Topology
from bayescg.observables import Density, free_energy
from bayescg.units import thermal_energy


def measured(observable, values):
    beads = len(values)
    topology = Topology(
        jnp.zeros(beads, int), jnp.ones(beads), jnp.arange(beads), jnp.zeros((0, 2), dtype=int), ("A",)
    )
    nobody = jnp.zeros((beads, 0), int)
    return np.asarray(observable.measure(Configuration(jnp.asarray(values)[:, None], None, nobody, topology)))


def test_density_is_numpys_histogram():
    x = np.random.default_rng(0).normal(size=2000)
    found = measured(Density(-1.0, 2.0, bins=30), x)
    counts, edges = np.histogram(x, bins=30, range=(-1.0, 2.0))
    np.testing.assert_allclose(found, counts / 2000 / np.diff(edges), rtol=1e-12)
    # what falls outside is missing: the bins hold the probability of their range
    assert found.sum() * 0.1 == pytest.approx(norm.cdf(2) - norm.cdf(-1), abs=4.5 * 0.4 / np.sqrt(2000))


def test_a_periodic_variable_is_folded():
    x = np.random.default_rng(1).uniform(-20, 20, size=500)
    folded = measured(Density(-np.pi, np.pi, bins=12, period=2 * np.pi, unit="rad"), x)
    assert folded.sum() * 2 * np.pi / 12 == pytest.approx(1.0)
    np.testing.assert_allclose(
        folded, measured(Density(-np.pi, np.pi, bins=12), np.mod(x + np.pi, 2 * np.pi) - np.pi), rtol=1e-12
    )
    assert Density(-np.pi, np.pi, period=2 * np.pi, unit="rad").units == "1/rad"


def test_free_energy_undoes_boltzmann():
    energy = np.array([3.0, 0.0, 1.0])
    density = xr.DataArray(np.exp(-energy / thermal_energy(300.0)), dims="value")
    np.testing.assert_allclose(free_energy(density, temperature=300.0), energy, atol=1e-12)
    unsampled = free_energy(xr.DataArray([0.0, 1.0], dims="value"), temperature=300.0)
    assert unsampled.values.tolist() == [np.inf, 0.0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Density(1.0, 0.0), "minimum must be below maximum"),
        (lambda: Density(0.0, 1.0, bins=0), "bins must be"),
        (lambda: Density(0.0, 1.0, period=2.0), "the range must be one period"),
    ],
)
def test_bad_settings_are_refused(make, words):
    with pytest.raises(BayescgError, match=words):
        make()
