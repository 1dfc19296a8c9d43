"""compare: scores and coverage are those of the closed-form predictive, and overconfidence shows in both."""

import json

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.inference.held_out_forces import (
    held_out_frames,
    mean_and_error,
    predicted_forces,
)
from bayescg.numerics.host_loop import HostLoop
from tests.inference import small_problems as small

KEY = jax.random.key(71)
SIGMA = 5.0
QUIET = HostLoop(progress=False)
ALL = small.pair_data(frames=44)
FITTED, HELD_OUT = ALL.isel(frame=slice(0, 4)), ALL.isel(frame=slice(4, 44))

# known to a thousandth of a percent, and a random variable all the same
NOISE = dist.LogNormal(np.log(SIGMA), 1e-5)
METHODS = {
    "exact": bcg.Conjugate(chains=2, draws=200),
    "hurried": bcg.SVI(guide="mean_field", chains=2, steps=10, draws=200, whiten=False),
    "last layer": bcg.Laplace(which="last_layer", starts=1, steps=200, chains=2, draws=200),
}


def problem_with(noise):
    return small.problem(small.gaussian_prior() | {"likelihood.noise.scale": noise}, FITTED)


@pytest.fixture(scope="module")
def made():
    return problem_with(NOISE)


@pytest.fixture(scope="module")
def comparison(made):
    return bcg.compare(made, METHODS, held_out=HELD_OUT, key=KEY, draws=400, progress=False)


def exact_prediction(made):
    """Score of every frame and place of every component under N(X m, X V X' + sigma²), by dense algebra."""
    rows, targets = small.dense_rows(made, FITTED)
    size = rows.shape[1]
    prior = np.full(size, 10.0), 200.0**2 * np.eye(size)
    mean, covariance = small.dense_posterior(rows, targets, SIGMA, *prior)
    rows, targets = (part.reshape(40, -1, *part.shape[1:]) for part in small.dense_rows(made, HELD_OUT))
    scores, places = [], []
    for X, f in zip(rows, targets, strict=True):
        predictive = X @ covariance @ X.T + SIGMA**2 * np.eye(len(f))
        scores.append(scipy.stats.multivariate_normal.logpdf(f, X @ mean, predictive))
        places.append(scipy.stats.norm.cdf((f - X @ mean) / np.sqrt(np.diag(predictive))))
    return np.array(scores), np.array(places)


def test_scores_and_coverage_are_those_of_dense_algebra(made, comparison):
    scores, places = exact_prediction(made)
    table = comparison.table.sel(sampler="exact")
    mean, error = mean_and_error(scores, 20)
    # 400 draws average densities that vary by a few tenths of a log: 0.3/sqrt(400) per frame, 40 frames
    assert float(table["score"]) == pytest.approx(mean, abs=0.02)
    assert float(table["score_error"]) == pytest.approx(error, rel=0.02)
    for level in (0.5, 0.9, 0.95):
        covered = (np.abs(places - 0.5) < level / 2).mean()
        found = float(table["coverage"].sel(level=level))
        # 2880 components, a few of which lie so near an end that the draws decide
        assert found == pytest.approx(covered, abs=0.005)
        assert abs(found - level) < 4 * (level * (1 - level) / 2880) ** 0.5


def test_the_table_tells_an_exact_method_from_one_that_is_not(comparison):
    table = comparison.table
    assert set(table["sampler"].values) == set(METHODS)
    difference = table["difference"]
    assert float(difference[0]) == 0.0
    assert (difference <= 0).all()
    # negative control: ten steps from a draw of the prior are no approximation, and every column says so
    assert table["sampler"][-1] == "hurried"
    right, wrong = table.sel(sampler=["exact", "last layer"]), table.sel(sampler="hurried")
    assert np.isnan(right["pareto_k"][0])
    assert float(right["pareto_k"][1]) < 0.7 < float(wrong["pareto_k"])
    assert (abs(right["difference"]) < 0.2).all()
    assert float(wrong["difference"]) < -10 * float(wrong["difference_error"]) < 0
    assert (right["r_hat"] < 1.05).all()
    assert float(wrong["r_hat"]) > 1.05
    assert (right["ess"] > 200).all()
    assert (abs(right["explained"] - right["explained"][0]) < 0.001).all()
    assert float(wrong["explained"]) < float(right["explained"][0]) - 0.1
    assert (table["seconds"] > 0).all()


def test_the_text_holds_every_method(comparison):
    lines = comparison.summary().splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("sampler")
    assert "in 50 90 95 %" in lines[0]
    assert [line.split("  ")[0] for line in lines[1:]] == list(comparison.table["sampler"].values)


def test_a_result_says_what_approximates_and_what_stays_at_the_mode(comparison):
    tree = comparison.posteriors["last layer"]
    assert json.loads(tree.attrs["held_at_mode"]) == ["likelihood.noise.scale"]
    warnings = json.loads(tree.attrs["warnings"])
    assert any("1 parameter stays at the mode" in sentence for sentence in warnings)
    assert any("No sandwich intervals" in sentence for sentence in warnings)
    assert np.ptp(tree["posterior"]["likelihood.noise.scale"].values) == 0
    tree = comparison.posteriors["hurried"]
    assert "held_at_mode" not in tree.attrs
    assert {"pareto_k", "elbo"} <= set(tree.attrs)
    assert any("Pareto k" in sentence for sentence in json.loads(tree.attrs["warnings"]))
    assert "pareto_k" not in comparison.posteriors["exact"].attrs


def test_overconfidence_shows_in_score_and_coverage(made, comparison):
    # negative control: the same draws, with a noise of half the size
    tree = comparison.posteriors["exact"]
    drawn = bcg.inference.draw_values(tree, group="posterior")
    values = {name: array.reshape(400, *array.shape[2:]) for name, array in drawn.items()}
    right = np.asarray(jax.vmap(made.unconstrain)({name: values[name] for name in made.sites}))
    wrong = right.copy()
    wrong[:, made.labels.index("likelihood.noise.scale[0]")] -= np.log(2)
    frames = held_out_frames(made, HELD_OUT)
    good, bad = (predicted_forces(made, u, frames, loop=QUIET) for u in (right, wrong))
    inside = (np.abs(bad.place - 0.5) < 0.45).mean()
    # 90% of N(0, 5²/4) hold 59% of N(0, 5²)
    assert inside == pytest.approx(2 * scipy.stats.norm.cdf(1.645 / 2) - 1, abs=0.04)
    mean, error = mean_and_error(good.score - bad.score, 20)
    assert mean > 10 * error
    # per component: (4 - 1)/2 - log 2 nats
    assert mean == pytest.approx(72 * (1.5 - np.log(2)), rel=0.1)


def test_results_are_taken_as_they_are(made, comparison):
    kept = {"again": comparison.posteriors["exact"]}
    table = bcg.compare(made, kept, held_out=HELD_OUT, key=KEY, draws=400, progress=False).table
    assert float(table["score"][0]) == float(comparison.table["score"].sel(sampler="exact"))
    with pytest.raises(BayescgError, match="the posterior must be of problem"):
        bcg.compare(problem_with(4.0), kept, held_out=HELD_OUT, key=KEY, progress=False)


def test_errors_of_correlated_frames_are_not_understated():
    # an autoregression of 0.8: the error of the mean is three times that of independent frames
    rng = np.random.default_rng(0)
    series = np.zeros(20_000)
    for i, step in enumerate(rng.normal(size=series.size - 1), 1):
        series[i] = 0.8 * series[i - 1] + step
    _, error = mean_and_error(series, 50)
    assert error == pytest.approx(5 / 20_000**0.5, rel=0.35)  # 50 blocks know it to 10%
    assert error > 2 * series.std() / 20_000**0.5


def test_data_and_methods_that_do_not_fit_are_refused(made):
    methods = {"exact": METHODS["exact"]}
    with pytest.raises(BayescgError, match="samplers must hold at least one method"):
        bcg.compare(made, {}, held_out=HELD_OUT, key=KEY)
    with pytest.raises(BayescgError, match="at least 8 frames for a standard error, got 3"):
        bcg.compare(made, methods, held_out=HELD_OUT.isel(frame=slice(0, 3)), key=KEY)
    with pytest.raises(BayescgError, match="held_out must be other frames"):
        bcg.compare(small.problem(), methods, held_out=small.pair_data(), key=KEY)
    with pytest.raises(BayescgError, match="got str for 'NUTS'"):
        bcg.compare(made, {"NUTS": "nuts"}, held_out=HELD_OUT, key=KEY)
    other = HELD_OUT.assign(type=("bead", ["B"] * HELD_OUT.sizes["bead"]))
    with pytest.raises(BayescgError, match="held_out must have the bead types"):
        held_out_frames(made, other)
