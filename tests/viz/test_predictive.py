"""The figure of a simulated observable: the posterior's band, the data, and their difference."""

import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg import viz
from bayescg.reporting.deviation import deviations
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


def test_a_number_is_no_curve(simulated):
    tree = xr.DataTree.from_dict({"summary/pressure": xr.Dataset({"mean": 1.0})})
    with pytest.raises(bcg.BayescgError, match="must be a curve"):
        viz.plot_observable(tree, "pressure")
