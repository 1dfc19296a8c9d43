"""The figure of energy and entropy shows the draws' quantiles at the temperatures asked for, with units."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg import viz
from tests.viz.test_potential import band_edges

KELVINS = (280.0, 310.0, 340.0)


@pytest.fixture(scope="module")
def posterior():
    """A steep core and a shallow well, B small and of opposite course."""
    rng, r = np.random.default_rng(0), np.linspace(0.25, 0.9, 60)
    core, well = 20.0 * np.exp(-(r - 0.25) / 0.03), -np.exp(-(((r - 0.35) / 0.1) ** 2))
    shape = (2, 40, 1, 1)
    energy = core + (2.0 + 0.3 * rng.normal(size=shape)) * well
    entropy = (0.004 + 0.001 * rng.normal(size=shape)) * well
    dims = ("chain", "curve_draw", "type_pair", "distance")
    curves = xr.Dataset(
        {"energy": (dims, energy), "entropy": (dims, entropy)}, coords={"type_pair": ["A-A"], "distance": r}
    )
    return xr.DataTree.from_dict({"thermodynamic_curves": curves})


@pytest.fixture(scope="module")
def panels(posterior):
    parts, whole, change = viz.plot_thermodynamic(posterior, temperatures=KELVINS).subfigs[0].axes
    yield {"parts": parts, "whole": whole, "change": change}
    plt.close("all")


def test_every_axis_names_its_quantity_and_unit(panels):
    assert panels["parts"].get_ylabel() == "pair energy (kJ/mol)"
    assert panels["whole"].get_ylabel() == "u (kJ/mol)"
    assert panels["change"].get_ylabel() == "change of u\n(kJ/mol)"
    assert [panels[name].get_xlabel() for name in ("parts", "change")] == ["distance r (nm)"] * 2


def quantiles(posterior, of_draws):
    curves = posterior["thermodynamic_curves"]
    draws = of_draws(*(curves[name].values.reshape(80, -1) for name in ("energy", "entropy")))
    return np.quantile(draws, [0.025, 0.975], axis=0)


@pytest.mark.parametrize(
    ("panel", "band", "of_draws"),
    [
        ("parts", 0, lambda a, b: a),
        ("parts", 2, lambda a, b: -310.0 * b),
        ("parts", 4, lambda a, b: a - 310.0 * b),
        ("whole", 0, lambda a, b: a - 280.0 * b),
        ("whole", 4, lambda a, b: a - 340.0 * b),
        ("change", 0, lambda a, b: -60.0 * b),
    ],
    ids=["a", "-T b", "u in the middle", "u at the lowest", "u at the highest", "change"],
)
def test_bands_are_the_quantiles_of_the_draws(posterior, panels, panel, band, of_draws):
    low, high = band_edges(panels[panel].collections[band])
    expected = quantiles(posterior, of_draws)
    found = np.sort([low[:, 1], high[:, 1]], axis=0)
    # matplotlib keeps the floats as they are
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    # control: the same at 20 K more is another band
    other = quantiles(posterior, lambda a, b: of_draws(a, b) - 20.0 * b)
    assert np.abs(found - other).max() > 1e-3


def test_a_result_without_the_curves_is_refused(result):
    with pytest.raises(bcg.BayescgError, match="posterior must hold the group thermodynamic_curves"):
        viz.plot_thermodynamic(result, temperatures=KELVINS)


def test_temperatures_are_two_to_four_and_positive(posterior):
    with pytest.raises(bcg.BayescgError, match="temperatures must be two to four, got 1"):
        viz.plot_thermodynamic(posterior, temperatures=(300.0,))
    with pytest.raises(bcg.BayescgError, match="temperatures must be positive"):
        viz.plot_thermodynamic(posterior, temperatures=(300.0, -1.0))
