"""The figure of the memory shows what the result holds, and truth and baseline beside it."""

import matplotlib
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg import viz
from bayescg.inference.kernel_curves import memory_curves
from bayescg.memory.volterra import VolterraKernel
from tests.inference.test_kernel_curves import PATHS, PRONY, draws_of, problem_of


@pytest.fixture(scope="module")
def posterior():
    curves = memory_curves(problem_of(PRONY, PATHS), draws_of(2, 60), interval=0.01)
    return xr.DataTree.from_dict({"memory_curves": curves})


def band(axes, number):
    """Lower and upper edge of a filled band."""
    vertices = axes.collections[number].get_paths()[0].vertices
    points = (len(vertices) - 3) // 2
    edges = vertices[1 : points + 1, 1], vertices[points + 2 : 2 * points + 2, 1][::-1]
    return np.sort(edges, axis=0)


def test_every_axis_names_its_quantity_and_unit(posterior):
    kernel, spectrum, friction = viz.plot_memory(posterior).axes
    assert (kernel.get_xlabel(), kernel.get_ylabel()) == ("time t (ps), logarithmic", "kernel K(t) (amu/ps²)")
    assert spectrum.get_xlabel() == "frequency (1/ps), up to Nyquist's"
    assert spectrum.get_ylabel() == "spectrum (amu/ps)"
    assert friction.get_xlabel() == "friction, integral of K (amu/ps)"
    assert friction.get_ylabel() == "draws per amu/ps"
    assert [text.get_text() for text in kernel.get_legend().get_texts()] == [
        "95 % of posterior draws", "50 % of posterior draws", "median of posterior draws",
    ]  # fmt: skip


def test_bands_are_the_quantiles_of_the_draws(posterior):
    axes = viz.plot_memory(posterior).axes
    curves = posterior["memory_curves"]
    for panel, name in zip(axes, ("kernel", "spectrum"), strict=False):
        draws = curves[name].values.reshape(120, -1)
        for number, probability in enumerate((0.95, 0.5)):
            expected = np.quantile(draws, [(1 - probability) / 2, (1 + probability) / 2], axis=0)
            np.testing.assert_allclose(band(panel, number), expected)
    assert sum(patch.get_height() * patch.get_width() for patch in axes[2].patches[:-1]) == pytest.approx(1.0)


def test_truth_and_baseline_are_drawn_where_they_are(posterior):
    # an estimate on its own grid, without a spectrum
    times = np.linspace(0, 3, 31)
    baseline = VolterraKernel(times, 200 * np.exp(-times), np.linspace(0, 31.0, 31))
    kernel, spectrum, friction = viz.plot_memory(posterior, truth=PRONY, baseline=baseline).axes
    drawn = {line.get_label(): line for line in kernel.lines}
    t = posterior["memory_curves"]["lag"].values
    np.testing.assert_allclose(drawn["truth"].get_ydata(), 200 * np.exp(-t / 0.05) + 20 * np.exp(-t))
    np.testing.assert_allclose(drawn["baseline"].get_ydata(), 200 * np.exp(-times))
    assert {line.get_label() for line in spectrum.lines} >= {"truth"}
    assert "baseline" not in {line.get_label() for line in spectrum.lines}
    marks = {line.get_label(): line.get_xdata()[0] for line in friction.lines}
    assert marks["truth"] == pytest.approx(30.0)
    assert marks["baseline"] == pytest.approx(31.0)


def test_a_value_far_off_is_named_instead_of_squeezing_the_histogram(posterior):
    curves = posterior["memory_curves"].to_dataset()
    known = curves.isel(chain=0, draw=0)[["kernel", "spectrum"]].assign(friction=5000.0)
    friction = viz.plot_memory(posterior, truth=known).axes[2]
    assert friction.texts[0].get_text() == "not shown, truth: 5e+03"
    assert friction.get_xlim()[1] < 200


def test_time_is_linear_where_no_decades_are_spanned():
    curves = memory_curves(problem_of(PRONY, PATHS), draws_of(1, 4), interval=0.6)
    kernel = viz.plot_memory(xr.DataTree.from_dict({"memory_curves": curves})).axes[0]
    assert kernel.get_xscale() == "linear"
    assert kernel.get_xlabel() == "time t (ps)"


def test_what_cannot_be_drawn_is_refused_with_the_remedy(posterior):
    with pytest.raises(bcg.BayescgError, match=r"memory_curves.*bayescg.sample"):
        viz.plot_memory(xr.DataTree())
    with pytest.raises(bcg.BayescgError, match=r"truth must be a memory with values.*got int"):
        viz.plot_memory(posterior, truth=3)


def test_no_global_setting_changes(posterior):
    before = dict(matplotlib.rcParams)
    viz.plot_memory(posterior)
    assert dict(matplotlib.rcParams) == before
