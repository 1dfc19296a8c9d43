"""Rank and trace plots show the draws of the elements asked for, under their dotted names."""

import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg import viz
from bayescg.viz.posterior import MOST_ELEMENTS, choose_elements


def test_trace_shows_the_draws_of_every_chain(result):
    figure = viz.plot_trace(result, elements=["likelihood.noise.scale[0]"])
    (axes,) = figure.axes
    draws = result["posterior"]["likelihood.noise.scale"].values[..., 0]
    assert len(axes.lines) == draws.shape[0]
    for line, chain in zip(axes.lines, draws, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), chain)
    assert axes.get_ylabel() == "value (kJ/mol/nm)"
    assert axes.get_xlabel() == "draw (1)"


def test_element_of_an_array_is_the_one_named(result):
    (axes,) = viz.plot_trace(result, elements=["potential.coefficients[0, 7]"]).axes
    draws = result["posterior"]["potential.coefficients"].values[0, :, 0, 7]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), draws)


@pytest.mark.parametrize("draw", [viz.plot_rank, viz.plot_trace])
def test_every_panel_is_labelled(result, draw):
    figure = draw(result)
    titles = [axes.get_title(loc="left").replace("\n", "") for axes in figure.axes]
    assert titles == choose_elements(result)
    assert all(axes.get_xlabel() for axes in figure.axes)
    assert figure.axes[0].get_ylabel()


@pytest.mark.parametrize(("panels", "first_row"), [(3, 3), (4, 2), (5, 3)])
def test_four_panels_stand_two_by_two(panels, first_row):
    draws = np.random.default_rng(0).normal(size=(panels, 2, 50))
    posterior = xr.Dataset({f"x{i}": (("chain", "draw"), values) for i, values in enumerate(draws)})
    figure = viz.plot_rank(xr.DataTree.from_dict({"posterior": posterior}))
    figure.canvas.draw()
    heights = [round(axes.get_position().y0, 2) for axes in figure.axes]
    assert heights.count(max(heights)) == first_row
    # the first panel of every row has the label
    assert [bool(axes.get_ylabel()) for axes in figure.axes] == [i % first_row == 0 for i in range(panels)]


def test_chains_that_disagree_leave_the_envelope_of_the_rank_plot():
    rng = np.random.default_rng(0)
    agree, disagree = rng.normal(size=(4, 500)), rng.normal(size=(4, 500))
    disagree[0] += 1.0
    posterior = xr.Dataset({"agree": (("chain", "draw"), agree), "disagree": (("chain", "draw"), disagree)})
    figure = viz.plot_rank(xr.DataTree.from_dict({"posterior": posterior}))

    def largest(axes):
        return max(np.abs(line.get_ydata()).max() for line in axes.lines)

    # the 99% envelope of 500 draws is about 0.09 wide; a shift by one standard deviation moves by 0.3
    assert largest(figure.axes[0]) < 0.1 < 0.2 < largest(figure.axes[1])


def test_chosen_elements_hold_the_worst_mixed_and_one_of_every_parameter(result):
    worse = result.copy()
    table = result["convergence"].to_dataset().copy(deep=True)
    table["r_hat"][table["element"] == "potential.coefficients[0, 11]"] = 1.3
    worse["convergence"] = xr.DataTree(table)
    chosen = choose_elements(worse)
    assert chosen[0] == "potential.coefficients[0, 11]"
    assert len(chosen) <= MOST_ELEMENTS
    assert {label.split("[")[0] for label in chosen} == set(map(str, result["posterior"].data_vars))


def test_an_unknown_element_is_refused_with_those_there_are(result):
    with pytest.raises(bcg.BayescgError, match=r"'potential\.epsilon'.*likelihood\.noise\.scale"):
        viz.plot_rank(result, elements=["potential.epsilon"])


def test_a_tree_without_posterior_is_refused():
    with pytest.raises(bcg.BayescgError, match="group posterior"):
        viz.plot_trace(xr.DataTree())


def test_divergent_transitions_are_marked(result):
    diverged = result.copy()
    stats = result["sample_stats"].to_dataset().copy(deep=True)
    stats["diverging"][0, 3] = True
    diverged["sample_stats"] = xr.DataTree(stats)
    elements = ["likelihood.noise.scale[0]"]
    (with_mark,), (without,) = (viz.plot_trace(tree, elements=elements).axes for tree in (diverged, result))
    marks = len(with_mark.lines) + len(with_mark.collections)
    assert marks > len(without.lines) + len(without.collections)
