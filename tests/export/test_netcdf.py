"""Draws as NetCDF: what is read is what was written, and what was written are the model's own numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from bayescg import export, potentials
from bayescg._checks import BayescgError
from bayescg.inference import models_of, select_draws
from bayescg.memory import Markovian, Prony
from tests import bonded_chains as chains

MEMORY = Prony(2, times=[0.05, 0.5], frictions=[40.0, 60.0]) + Markovian(friction=5.0)


@pytest.fixture(scope="module")
def setting():
    terms = potentials.PairSpline(cutoff=0.9, knots=12), potentials.BondSpline(), potentials.HarmonicAngle()
    problem, posterior = chains.problem_and_posterior(chains.total(*terms), MEMORY, draws=5)
    return problem, posterior, models_of(problem, select_draws(posterior, draws=3))


@pytest.fixture(scope="module")
def written(setting, tmp_path_factory):
    path = tmp_path_factory.mktemp("netcdf") / "draws.nc"
    problem, posterior, _ = setting
    return path, export.netcdf(problem, posterior, path, draws=3, distances=np.linspace(0.2, 0.95, 60))


def test_what_is_read_is_what_was_written(written):
    path, dataset = written
    with xr.open_dataset(path) as found:
        xr.testing.assert_identical(found.load(), dataset)
        assert all("units" in found[name].attrs for name in found if not name.startswith("potential."))
        assert found["distance"].attrs["units"] == "nm"
    assert not list(path.parent.glob("*.part"))


def test_parameters_are_those_of_the_draws(written, setting):
    _, dataset = written
    _, posterior, _ = setting
    path = "potential.terms.0.coefficients"
    chosen = posterior["posterior"][path].values[0][dataset["posterior_draw"].values]
    np.testing.assert_array_equal(dataset[path], chosen)
    assert dataset["posterior_draw"].values.tolist() == [0, 2, 4]


def test_pair_curves_are_energies_and_forces_of_the_model(written, setting):
    _, dataset = written
    distances = jnp.asarray(dataset["distance"].values)
    for draw, model in enumerate(setting[2]):
        for row, pair in enumerate(((0, 0), (0, 1), (1, 1))):
            energy, slope = pair_curve(model.potential.terms[0], distances, jnp.array(pair))
            np.testing.assert_allclose(dataset["pair_energy"][draw, row], energy, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(dataset["pair_force"][draw, row], -slope, rtol=1e-12, atol=1e-12)
            assert np.abs(slope).max() > 1.0  # so that the sign is seen


def test_bonded_curves_belong_to_their_kinds(written, setting):
    _, dataset = written
    _, bonds, angles = setting[2][1].potential.terms
    assert dataset["bond_type"].values.tolist() == ["A-A", "A-B"]
    for name, term, grid in (("bond", bonds, "bond_length"), ("angle", angles, "angle")):
        for place in range(len(term.kinds)):
            energy, slope = chain_curve(term, jnp.asarray(dataset[grid].values), jnp.array(place))
            np.testing.assert_allclose(dataset[f"{name}_energy"][1, place], energy, rtol=1e-12, atol=1e-9)
            np.testing.assert_allclose(dataset[f"{name}_force"][1, place], -slope, rtol=1e-12, atol=1e-9)


@eqx.filter_jit
def pair_curve(potential, distances, kind):
    """Value and slope over a grid; the types are arrays, so that one program serves all."""
    return jax.vmap(jax.value_and_grad(lambda r: potential.pair_energy(r, kind[0], kind[1])))(distances)


@eqx.filter_jit
def chain_curve(potential, q, kind):
    """The same of a bonded term."""
    return jax.vmap(jax.value_and_grad(lambda q: potential.chain_energy(q, kind)))(q)


def test_memory_is_kernel_spectrum_and_drift(written):
    """K(t) = sum gamma/tau exp(-t/tau), spectrum sum gamma/(1 + (w tau)²); the same from the matrix."""
    _, dataset = written
    times, frictions = np.array([0.05, 0.5]), np.array([40.0, 60.0])
    lag, w = dataset["lag"].values, 2 * np.pi * dataset["frequency"].values
    kernel = (frictions / times) @ np.exp(-lag / times[:, None])
    spectrum = 5.0 + frictions @ (1 / (1 + (w * times[:, None]) ** 2))
    for draw in range(3):
        np.testing.assert_allclose(dataset["memory_kernel"][draw], kernel, rtol=1e-9)
        np.testing.assert_allclose(dataset["memory_spectrum"][draw], spectrum, rtol=1e-9)
        values, vectors = np.linalg.eig(dataset["memory_matrix"].values[draw])
        a = dataset["memory_coupling"].values[draw]
        left, right = a @ vectors, np.linalg.solve(vectors, a)
        again = np.real((left * right) @ np.exp(-values[:, None] * lag))
        np.testing.assert_allclose(again, kernel, rtol=1e-9)
    np.testing.assert_allclose(dataset["memory_friction"], 5.0)


def test_terms_that_are_no_curves_are_named_and_bad_requests_refused(tmp_path, setting):
    many = chains.total(potentials.HarmonicBond(), potentials.StillingerWeber())
    problem, posterior = chains.problem_and_posterior(many)
    dataset = export.netcdf(problem, posterior, tmp_path / "many.nc", draws=2)
    assert dataset.attrs["not_tabulated"] == "StillingerWeber"
    assert "pair_energy" not in dataset
    problem, posterior, _ = setting
    with pytest.raises(BayescgError, match="distances must be numbers above zero"):
        export.netcdf(problem, posterior, tmp_path / "a.nc", draws=2, distances=[0.0, 0.5])
    with pytest.raises(BayescgError, match="cannot be written"):
        export.netcdf(problem, posterior, tmp_path / "nowhere" / "a.nc", draws=2)
