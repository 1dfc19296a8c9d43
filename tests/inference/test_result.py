"""The result is complete, self-describing, readable by others, and the same for the same key."""

import json

import jax
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg.inference import draw_values
from bayescg.inference.diagnostics import convergence, named_warnings
from tests.inference.small_problems import pair_data, problem, spline_model

GROUPS = {
    "posterior",
    "posterior_sandwich",
    "sample_stats",
    "convergence",
    "prior",
    "log_likelihood",
    "observed_data",
    "constant_data",
    "explained_force",
    "potential_curves",
}


@pytest.fixture(scope="module")
def made():
    return problem(bcg.priors.default(spline_model()), pair_data(frames=24))


@pytest.fixture(scope="module")
def tree(made):
    return bcg.sample(made, bcg.Conjugate(draws=200), key=jax.random.key(0), progress=False)


def test_result_has_every_group(tree):
    assert set(tree.children) == GROUPS
    assert dict(tree["posterior"].sizes) == {
        "chain": 4,
        "draw": 200,
        "type": 1,
        "type_pair": 1,
        "coefficient": 7,
    }
    assert tree["posterior"]["type_pair"].values.tolist() == ["A-A"]


def test_attributes_say_where_it_came_from(made, tree):
    assert tree.attrs["problem"] == made.fingerprint
    assert json.loads(tree.attrs["versions"])["bayescg"] == bcg.__version__
    assert json.loads(tree.attrs["units"])["force"] == "kJ/mol/nm"
    assert json.loads(tree.attrs["sampler"])["sampler"] == "Conjugate"
    assert json.loads(tree.attrs["key"]) == [0, 0]
    assert tree.attrs["temperature"] == 300.0


def test_netcdf_round_trip_and_arviz(tree, tmp_path):
    import arviz_stats

    tree.to_netcdf(tmp_path / "posterior.nc")
    with xr.open_datatree(tmp_path / "posterior.nc") as again:
        xr.testing.assert_equal(again["posterior"].to_dataset(), tree["posterior"].to_dataset())
        table = arviz_stats.summary(again, var_names=["likelihood.noise.scale"])
    mean = float(tree["posterior"]["likelihood.noise.scale"].mean())
    assert abs(float(table["mean"].iloc[0]) - mean) < 0.05


def test_block_log_likelihoods_sum_to_the_log_likelihood(made, tree):
    values = {path: draws[1, 5] for path, draws in draw_values(tree, group="posterior").items()}
    total = float(tree["log_likelihood"]["ForceMatching"][1, 5].sum())
    np.testing.assert_allclose(total, float(made.log_likelihood(values)), rtol=1e-10)


def test_curves_are_the_draws_potentials(made, tree):
    curves = tree["potential_curves"]
    place = int(curves["curve_draw"][3])
    values = {path: draws[2, place] for path, draws in draw_values(tree).items()}
    energy = made.model(values).potential.pair_energy
    at = curves["distance"].values[[20, 90, 150]]
    expected = [float(energy(jax.numpy.asarray(r), jax.numpy.array(0), jax.numpy.array(0))) for r in at]
    found = curves["pair_energy"].isel(chain=2, curve_draw=3, type_pair=0).values[[20, 90, 150]]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)  # stored in float32


def test_same_key_same_bits(made, tree):
    again = bcg.sample(made, bcg.Conjugate(draws=200), key=jax.random.key(0), progress=False)
    xr.testing.assert_equal(again["posterior"].to_dataset(), tree["posterior"].to_dataset())
    other = bcg.sample(made, bcg.Conjugate(draws=200), key=jax.random.key(1), progress=False)
    assert not other["posterior"].to_dataset().equals(tree["posterior"].to_dataset())


def test_unknown_group_is_named(tree):
    with pytest.raises(bcg.BayescgError, match=r"group must be one of .* got 'posteriors'"):
        draw_values(tree, group="posteriors")


def test_disagreeing_chains_are_named():
    rng = np.random.default_rng(0)
    good = rng.normal(size=(4, 1000))
    stuck = good + np.array([0.0, 0.0, 0.0, 3.0])[:, None]
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((4, 1000), dtype=bool))})
    assert named_warnings(convergence(xr.Dataset({"x": (("chain", "draw"), good)})), stats) == []
    sentences = named_warnings(convergence(xr.Dataset({"x": (("chain", "draw"), stuck)})), stats)
    assert any("R-hat" in s and "x" in s for s in sentences)
    stats["diverging"][0, :7] = True
    sentences = named_warnings(convergence(xr.Dataset({"x": (("chain", "draw"), good)})), stats)
    assert sentences == [s for s in sentences if s.startswith("7 of 4000 transitions diverged")]
    assert sentences


def test_few_draws_are_not_taken_for_chains_that_disagree():
    few = np.random.default_rng(0).normal(size=(4, 10))
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((4, 10), dtype=bool))})
    [sentence] = named_warnings(convergence(xr.Dataset({"x": (("chain", "draw"), few)})), stats)
    assert sentence.startswith("10 draws per chain are too few")


def test_slow_chains_are_named():
    walk = np.cumsum(np.random.default_rng(1).normal(size=(4, 1000)), axis=1)
    stats = xr.Dataset(coords={"chain": np.arange(4)})
    sentences = named_warnings(convergence(xr.Dataset({"x": (("chain", "draw"), walk)})), stats)
    assert any("bulk effective sample size" in s for s in sentences)


def test_short_trajectories_say_why_there_is_no_sandwich():
    few = problem(bcg.priors.default(spline_model()), pair_data(frames=4))
    tree = bcg.sample(few, bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
    assert "posterior_sandwich" not in tree.children
    assert any("No sandwich intervals" in s and "at least 8" in s for s in json.loads(tree.attrs["warnings"]))
