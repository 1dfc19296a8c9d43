"""The figure of the potential shows what the result holds, where the data are, and what its bands are."""

import matplotlib
import matplotlib.pyplot
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg import viz
from bayescg.viz.stored import draws_of, pair_curves


def panels(figure, part=0):
    """Axes of one pair of types by row and column."""
    return np.array(figure.subfigs[part].axes).reshape(3, 2)


def band_edges(collection):
    """Lower and upper edge of a filled band over its points."""
    (path,) = collection.get_paths()
    vertices = path.vertices
    points = (len(vertices) - 3) // 2
    return vertices[1 : points + 1], vertices[points + 2 : 2 * points + 2][::-1]


def test_every_axis_names_its_quantity_and_unit(result):
    axes = panels(viz.plot_potential(result))
    assert [a.get_ylabel() for a in axes[0]] == ["pair energy u(r) (kJ/mol)", "pair force −u′(r) (kJ/mol/nm)"]
    assert [a.get_ylabel() for a in axes[1]] == ["95 % half-width\n(kJ/mol)", "95 % half-width\n(kJ/mol/nm)"]
    assert [a.get_xlabel() for a in axes[2]] == ["distance r (nm)"] * 2
    assert [a.get_ylabel() for a in axes[2]] == ["pairs\nper bin"] * 2


def test_two_bands_say_what_they_are(result):
    axes = panels(viz.plot_potential(result))
    for panel in axes[0]:
        labels = [str(band.get_label()) for band in panel.collections if "%" in str(band.get_label())]
        assert labels == ["95 % of sandwich posterior", "50 % of sandwich posterior"]


def test_bands_are_the_quantiles_of_the_draws(result):
    bands = panels(viz.plot_potential(result))[0, 0].collections
    draws = draws_of(pair_curves(result), "pair_energy", "SOL-SOL")
    for band, probability in zip(bands, (0.95, 0.5), strict=False):
        low, high = band_edges(band)
        expected = np.quantile(draws, [(1 - probability) / 2, (1 + probability) / 2], axis=0)
        found = np.sort([low[:, 1], high[:, 1]], axis=0)
        np.testing.assert_allclose(found, expected)


def test_naive_width_stands_beside_that_of_the_sandwich(result):
    """The result's sandwich draws lie twice as far from their mean, and energies are linear above `start`."""
    robust, naive = panels(viz.plot_potential(result))[1, 0].lines
    assert naive.get_linestyle() == "--"
    inside = robust.get_xdata() > 0.25
    # kept in single precision: energies of a few kJ/mol, widths of 0.1
    np.testing.assert_allclose(robust.get_ydata()[inside][:-5], 2 * naive.get_ydata()[inside][:-5], rtol=1e-3)


def test_naive_width_is_left_out_on_request_and_where_there_is_none(result):
    assert len(panels(viz.plot_potential(result, naive=False))[1, 0].lines) == 1
    alone = result.copy()
    alone["potential_curves"] = xr.DataTree(
        pair_curves(result).drop_vars(["pair_energy_naive", "pair_force_naive"])
    )
    axes = panels(viz.plot_potential(alone))
    assert len(axes[1, 0].lines) == 1
    assert str(axes[0, 0].collections[0].get_label()) == "95 % of posterior"


def test_steps_at_the_bottom_are_the_counts_of_pairs(result):
    counts = result["constant_data"]["pair_distance_count"].values[0]
    (steps,) = panels(viz.plot_potential(result))[2, 1].patches[:1]
    drawn = steps.get_data().values
    np.testing.assert_array_equal(drawn[counts > 0], counts[counts > 0])
    assert (drawn[counts == 0] == steps.get_data().baseline).all()


def test_ground_is_shaded_up_to_the_first_sampled_distance(result):
    counts = result["constant_data"]["pair_distance_count"]
    centers, width = counts["distance"].values, 0.9 / 240
    first = centers[np.flatnonzero(counts.values[0])[0]] - width / 2
    shade = panels(viz.plot_potential(result))[0, 0].patches[-1]
    assert shade.get_x() + shade.get_width() == pytest.approx(first)
    assert f"{first:.3f} nm" in shade.get_label()


def test_without_counts_nothing_is_shaded_and_the_figure_says_so(result):
    unknown = result.copy()
    del unknown["constant_data"]
    axes = panels(viz.plot_potential(unknown))
    assert not axes[0, 0].patches
    assert "not recorded" in axes[2, 0].texts[0].get_text()


def test_a_cut_core_is_named(result):
    energy, force = panels(viz.plot_potential(result))[0]
    assert energy.get_ylim()[1] < 1.1 * 5 * 2.494  # 5 k_B T and the margin
    largest = draws_of(pair_curves(result), "pair_force", "SOL-SOL").max()
    assert force.get_ylim()[1] < largest
    assert "not shown: values above" in force.texts[0].get_text()
    assert not energy.texts  # the result's energies stay below


def test_every_pair_of_types_has_its_own_panels(result_of_two_types):
    figure = viz.plot_potential(result_of_two_types)
    assert [panels(figure, part)[0, 0].get_title(loc="left") for part in range(3)] == [
        "A-A: energy",
        "A-B: energy",
        "B-B: energy",
    ]


def test_a_result_without_curves_is_refused_with_the_remedy(result):
    with pytest.raises(bcg.BayescgError, match=r"pair_energy.*potential_curves"):
        viz.plot_potential(xr.DataTree.from_dict({"posterior": result["posterior"].to_dataset()}))


def test_figures_change_no_global_setting_and_are_not_kept(result):
    before = dict(matplotlib.rcParams)
    viz.plot_potential(result)
    viz.plot_rank(result)
    assert dict(matplotlib.rcParams) == before
    assert matplotlib.pyplot.get_fignums() == []
