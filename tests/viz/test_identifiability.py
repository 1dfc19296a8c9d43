"""Figures of identifiability: contraction, loadings where they act, profiles, ellipses."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from matplotlib.path import Path

import bayescg as bcg
from bayescg import viz
from bayescg.identifiability.marginals import Marginals
from tests.synthetic_result import KNOTS, make_identified


def test_points_are_the_contractions(result):
    identified = make_identified()
    spectrum = viz.plot_spectrum(identified, result).axes[0]
    drawn = next(line for line in spectrum.lines if line.get_label() == "direction")
    np.testing.assert_array_equal(drawn.get_ydata(), identified.spectrum["contraction"].values)
    assert spectrum.get_ylabel() == "posterior sd / prior sd (1)"


def test_loadings_stand_at_the_distances_of_their_coefficients(result):
    _, best, worst = viz.plot_spectrum(make_identified(), result).axes
    places = result["potential_curves"]["coefficient_distance"].values[0]
    for axes, loaded in ((best, 0), (worst, KNOTS - 2)):
        curve = axes.lines[-1]
        np.testing.assert_allclose(curve.get_xdata(), places)
        assert np.flatnonzero(curve.get_ydata()).tolist() == [loaded]
        assert axes.get_xlabel() == "distance r at which the coefficient acts (nm)"


def test_without_distances_loadings_are_numbered():
    _, best, _ = viz.plot_spectrum(make_identified()).axes
    assert best.get_xlabel() == "number of the parameter (1)"


def test_every_pair_of_types_has_its_line(result_of_two_types):
    _, best, _ = viz.plot_spectrum(make_identified(pairs=3), result_of_two_types).axes
    labels = [line.get_label() for line in best.lines if "[" in str(line.get_label())]
    assert labels == [f"potential.coefficients[{pair}]" for pair in range(3)]


NAMES = ["stiffness", "friction"]


@pytest.fixture(scope="module")
def ratio_only():
    return bcg.identify.from_prediction(
        lambda theta: jnp.exp(-theta[0] / theta[1] * jnp.arange(1.0, 9.0)),
        [2.0, 3.0],
        names=NAMES,
        positive=NAMES,
        noise=0.02,
    )


def test_loadings_are_shown_for_every_direction_and_parameter(ratio_only):
    axes = viz.plot_directions(ratio_only).axes[0]
    shown = axes.images[0].get_array()
    np.testing.assert_allclose(np.abs(shown), 1.0, atol=1e-9)
    np.testing.assert_allclose(np.prod(shown, axis=1), [-1.0, 1.0], atol=1e-9)  # k/gamma, then both
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [f"log {name}" for name in NAMES]
    assert [text.get_text() for text in axes.texts] == ["+1.00", "-1.00", "+1.00", "+1.00"]


def test_of_many_directions_both_ends_are_shown():
    axes = viz.plot_directions(make_identified(), directions=6).axes[0]
    numbers = [tick.get_text().split()[0] for tick in axes.get_yticklabels()]
    assert numbers == ["1", "2", "3", str(KNOTS - 3), str(KNOTS - 2), str(KNOTS - 1)]


def test_profile_shows_its_interval(ratio_only):
    curve = ratio_only.profile(lambda u: u[0] - u[1], low=-1.0, high=0.2, points=8)
    axes = viz.plot_profile(curve, label="log stiffness/friction").axes[0]
    ends = [line.get_xdata()[0] for line in axes.lines[1:3]]
    np.testing.assert_allclose(ends, curve.interval)
    assert "bounded" in axes.get_title(loc="left")


def test_ellipse_of_data_and_prior_holds_95_percent(ratio_only):
    information = ratio_only.informations[0].matrix
    root = np.linalg.cholesky(np.linalg.inv(information + np.eye(2)))
    draws = ratio_only.experiment.point + np.random.default_rng(0).normal(size=(4000, 2)) @ root.T
    axes = viz.plot_ellipses(ratio_only, draws, (0, 1)).axes[0]
    ellipse = next(line for line in axes.lines if "prior" in str(line.get_label()))
    inside = Path(np.stack(ellipse.get_data(), axis=-1)).contains_points(draws)
    # 4,000 draws: a standard error of 0.34 percent
    assert abs(inside.mean() - 0.95) < 0.012
    assert axes.get_xlabel() == "log stiffness"


def test_marginals_show_posterior_laplace_and_bound():
    widths = {"posterior": [0.1, 0.9], "laplace": [0.1, 1.0], "cramer_rao": [0.1, np.inf]}
    dataset = xr.Dataset({name: ("direction", values) for name, values in widths.items()})
    axes = viz.plot_marginals(Marginals(dataset, ())).axes[0]
    drawn = {str(line.get_label()): line.get_ydata() for line in axes.lines}
    np.testing.assert_array_equal(drawn["posterior draws"], widths["posterior"])
    np.testing.assert_array_equal(drawn["Cramér-Rao (no prior)"], [0.1, np.nan])  # nothing beyond all scales


def test_divergent_draws_are_marked_among_all():
    z = np.random.default_rng(0).normal(size=(2, 50, 3))
    dataset = xr.Dataset(
        {
            "draws": (("chain", "draw", "direction"), z),
            "divergent_draws": (("divergent", "direction"), z[1, :4]),
        }
    )
    axes = viz.plot_divergences(Marginals(dataset, ())).axes[0]
    drawn = {str(line.get_label()): np.stack(line.get_data(), axis=-1) for line in axes.lines}
    np.testing.assert_array_equal(drawn["draws"], z.reshape(-1, 3)[:, 1:])
    np.testing.assert_array_equal(drawn["divergent (4)"], z[1, :4, 1:])
    assert axes.get_ylabel() == "direction 3, the worst determined (prior sd)"
