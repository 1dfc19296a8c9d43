"""The figure of a simulated observable: the posterior's band, the data, and their difference."""

import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg import viz
from bayescg.reporting.deviation import deviations
from bayescg.reporting.sentences import deviation_sentences
from tests.synthetic_result import make_reference, make_simulated


@pytest.fixture(scope="module")
def simulated():
    return make_simulated()


def panels(figure, part=0):
    """Curve, difference and spread of one pair of types."""
    return figure.subfigs[part].axes


def test_axes_name_quantity_and_unit(simulated):
    curve, difference, spread = panels(viz.plot_observable(simulated, reference=make_reference(2.5)))
    assert (curve.get_xlabel(), curve.get_ylabel()) == ("distance r (nm)", "g(r) (1)")
    assert difference.get_ylabel() == "simulated −\ndata (1)"
    assert spread.get_ylabel() == "standard\ndeviation (1)"


def test_band_is_the_spread_between_draws(simulated):
    curve = panels(viz.plot_observable(simulated))[0]
    labels = [str(band.get_label()) for band in curve.collections]
    assert labels == ["95 % of posterior draws", "50 % of posterior draws"]
    draws = simulated["posterior_predictive"]["radial_distribution"].values[:, 0]
    top = curve.collections[0].get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(np.quantile(draws, 0.975, axis=0).max())


def test_difference_is_zero_for_the_median_itself_and_not_for_another_curve(simulated):
    median = simulated["summary/radial_distribution"]["band"].values[2]
    same = make_reference(2.5)
    same["radial_distribution"][:] = median
    _, equal, _ = panels(viz.plot_observable(simulated, reference=same))
    _, other, _ = panels(viz.plot_observable(simulated, reference=make_reference(3.0)))
    assert np.abs(equal.lines[0].get_ydata()).max() == 0
    assert other.lines[0].get_ydata().min() == pytest.approx(-0.5, abs=0.03)


def test_monte_carlo_error_is_shown_apart(simulated):
    noisy = simulated.copy(deep=True)
    noisy["summary/radial_distribution"]["within_draw_sd"][:] = 0.07
    spread = panels(viz.plot_observable(noisy))[2]
    by_label = {line.get_label(): line.get_ydata() for line in spread.lines}
    assert (by_label["Monte Carlo error of one draw"] == 0.07).all()
    between = simulated["summary/radial_distribution"]["between_draw_sd"].values[0]
    np.testing.assert_array_equal(by_label["between draws (0: below Monte Carlo error)"], between)


def test_every_pair_of_types_has_its_row():
    pairs = ("A-A", "A-B")
    figure = viz.plot_observable(make_simulated(pairs), reference=make_reference(2.5, pairs))
    assert [panels(figure, part)[0].get_title(loc="left") for part in range(2)] == list(pairs)


def test_every_kind_of_bond_has_its_row_and_its_deviation_from_the_data():
    """Curves over kinds of bonds are drawn and judged as those over pairs of types are."""
    pairs, name = ("A-A", "A-B"), "bond_length_distribution"
    axes = {"type_pair": "bond_type", "distance": "bond_length"}
    node = make_simulated(pairs)["summary/radial_distribution"].to_dataset().rename(axes)
    bonds = xr.DataTree.from_dict({f"summary/{name}": node})
    data = make_reference(2.5, pairs).rename(
        axes | {"radial_distribution": name, "radial_distribution_error": f"{name}_error"}
    )
    figure = viz.plot_observable(bonds, name, reference=data)
    assert [panels(figure, part)[0].get_title(loc="left") for part in range(2)] == list(pairs)
    assert panels(figure)[0].get_ylabel() == "probability density (1)"
    assert [found.pair for found in deviations(bonds, name, data)] == list(pairs)


def test_an_observable_that_was_not_measured_is_refused(simulated):
    with pytest.raises(bcg.BayescgError, match="'radial_distribution', got 'angles'"):
        viz.plot_observable(simulated, "angles")


def test_a_reference_with_other_points_is_refused(simulated):
    reference = make_reference(2.5)
    reference = reference.assign_coords(distance=reference["distance"] + 0.001)
    with pytest.raises(bcg.BayescgError, match="points of the simulated curve"):
        viz.plot_observable(simulated, reference=reference)


def test_a_reference_without_the_observable_is_refused(simulated):
    with pytest.raises(bcg.BayescgError, match=r"reference must hold 'radial_distribution'.*evaluate"):
        viz.plot_observable(simulated, reference=xr.Dataset({"x": 1.0}))


def summary_of(values, dims, coords, units="bar"):
    """Draws (draw, ...) as `bayescg.simulate` summarises them."""
    quantiles = [0.025, 0.25, 0.5, 0.75, 0.975]
    parts = {name: (dims, values.std(axis=0), {"units": units}) for name in ("between_draw_sd", "mean_error")}
    parts["within_draw_sd"] = (dims, 0.1 * values.std(axis=0), {"units": units})
    parts["mean"] = (dims, values.mean(axis=0), {"units": units})
    parts["band"] = (("quantile", *dims), np.quantile(values, quantiles, axis=0))
    return xr.Dataset(parts, coords | {"quantile": quantiles})


def drawn(name, node, reference=None):
    return viz.plot_observable(xr.DataTree.from_dict({f"summary/{name}": node}), name, reference=reference)


def test_a_number_is_drawn_as_an_interval_beside_the_data():
    draws = np.random.default_rng(0).normal(10.0, 2.0, 400)
    node = summary_of(draws, (), {})
    data = xr.Dataset({"pressure": 13.0, "pressure_error": 0.5})
    values, spread = drawn("pressure", node, data).axes
    assert values.get_xlabel() == "pressure (bar)"
    assert spread.get_xlabel() == "standard deviation (bar)"
    band = values.lines[0].get_xdata()
    assert band == pytest.approx(np.quantile(draws, [0.025, 0.975]))
    named = dict(zip(*values.get_legend_handles_labels()[::-1], strict=True))
    assert named["data (95 % error)"].lines[0].get_xdata() == [13.0]
    assert len(drawn("pressure", node).axes[0].lines) < len(values.lines)


def test_numbers_of_pairs_have_a_line_each_and_the_data_are_found_by_their_label():
    pairs = ["A-A", "A-B"]
    draws = np.random.default_rng(0).normal([4.0, 8.0], 0.1, size=(400, 2))
    node = summary_of(draws, ("center_neighbor",), {"center_neighbor": pairs}, units="1")
    data = xr.Dataset(
        {"n": ("center_neighbor", [9.0, 4.0]), "n_error": ("center_neighbor", [0.1, 0.1])},
        {"center_neighbor": pairs[::-1]},
    )
    values, _ = drawn("n", node, data).axes
    assert [tick.get_text() for tick in values.get_yticklabels()] == pairs
    tree = xr.DataTree.from_dict({"summary/n": node})
    same, other = deviations(tree, "n", data)
    assert (same.pair, same.regions, same.fraction) == ("A-A", [], 0.0)
    assert other.fraction == 1.0
    assert other.largest == pytest.approx(-1.0, abs=0.05)
    sentences = deviation_sentences([same, other], "number", "1")
    assert sentences[0].startswith("A-A number: 3.989 [")
    assert "within the 95 % band" in sentences[0]
    assert "outside the 95 % band" in sentences[1]
    with pytest.raises(bcg.BayescgError, match="must have the labels"):
        drawn("n", node, data.assign_coords(center_neighbor=["A-A", "B-B"]))


def test_any_dimensions_are_drawn_as_curves_along_the_last_numeric_one():
    x, y, kinds = [0.1, 0.2], np.linspace(1, 2, 5), ["a", "b"]
    draws = np.random.default_rng(0).normal(size=(50, 2, 2, 5))
    node = summary_of(draws, ("kind", "x", "y"), {"kind": kinds, "x": x, "y": ("y", y, {"units": "rad"})})
    figure = drawn("map", node)
    titles = [panels(figure, part)[0].get_title(loc="left") for part in range(4)]
    assert titles == ["a, x 0.1", "a, x 0.2", "b, x 0.1", "b, x 0.2"]
    assert panels(figure)[0].get_xlabel() == "y (rad)"
    with pytest.raises(bcg.BayescgError, match="must have the dimensions"):
        drawn("map", node, xr.Dataset({"map": ("y", y)}, {"y": y}))
