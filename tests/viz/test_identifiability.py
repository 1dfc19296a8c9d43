"""The figure of the spectrum: contraction per direction, loadings where they act."""

import numpy as np

from bayescg import viz
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
