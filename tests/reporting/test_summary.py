"""The terminal summary fits on a screen and says what the result says."""

import numpy as np
import pytest
import xarray as xr

from bayescg.reporting import sections, summary
from bayescg.reporting.potential import potential_table, sandwich_sentence
from bayescg.reporting.sentences import explained_sentences, sampling_sentence, worst_of
from tests.synthetic_result import explained, make_reference, make_result, make_simulated


def test_it_fits_on_a_terminal(result, identified, simulated, reference):
    lines = summary(result, identified, simulated, reference=reference).splitlines()
    assert max(map(len, lines)) <= 88
    assert len(lines) <= 30


def test_many_types_fit_as_well(identified):
    lines = summary(make_result(("A", "B", "C")), identified).splitlines()
    assert len(lines) <= 30
    assert "and 3 more pairs of types" in "\n".join(lines)


def test_it_names_every_part(result, identified, simulated, reference):
    lines = summary(result, identified, simulated, reference=reference).splitlines()
    names = [line[:11].strip() for line in lines if line[0] != " "]
    assert names == ["data", "SOL-SOL", "sampling", "explained", "directions", "g(r)", "warnings"]


def test_warnings_of_the_simulation_are_shown(result):
    simulated = make_simulated()
    simulated.attrs["warnings"] = '["2 of 40 simulations exploded."]'
    assert "2 of 40 simulations exploded." in summary(result, None, simulated)


def test_numbers_are_told_beside_the_data_and_drawn_in_the_report(result):
    """A pressure that the data contradict, and coordination numbers that have no data."""
    simulated, quantiles = make_simulated(), [0.025, 0.25, 0.5, 0.75, 0.975]
    for name, dims, labels in (("pressure", (), {}), ("number", ("pair",), {"pair": ["A-A", "A-B"]})):
        values = np.full([2] * len(dims), 5.0)
        node = xr.Dataset(
            {key: (dims, values, {"units": "bar"}) for key in ("mean", "between_draw_sd")}, labels
        )
        node["within_draw_sd"] = node["mean_error"] = 0.1 * node["between_draw_sd"]
        node["band"] = (
            xr.DataArray([4.0, 4.5, 5.0, 5.5, 6.0], {"quantile": quantiles}, "quantile") * node["mean"] / 5
        )
        simulated[f"summary/{name}"] = xr.DataTree(node)
    data = make_reference(2.5).assign(pressure=9.0, pressure_error=0.5)
    text = " ".join(summary(result, None, simulated, reference=data).split())
    assert "5 [3.02, 6.98] bar, data 9 [8.02, 9.98] bar, outside the 95 % band" in text
    title, parts = sections.structure(simulated, data)
    page = "".join(parts)
    assert title == "Simulations with posterior draws"
    assert page.count("<img") + page.count("<svg") >= 3
    assert "pressure: 5 [3.02, 6.98] bar simulated, 9 [8.02, 9.98] bar in the data, which lie outside" in page
    assert "shown apart (right). Black: the data." in page


def test_table_holds_the_median_and_half_the_interval(result):
    curves = result["potential_curves"]
    for pair, r, (u, width, _, _) in potential_table(result):
        draws = curves["pair_energy"].sel(type_pair=pair, distance=r).values
        assert u == pytest.approx(float(draws.astype(float).reshape(-1).mean()), abs=5 * width / 20)
        inside = abs(draws - u) < width
        assert 0.93 < inside.mean() < 0.97


def test_table_stays_within_the_sampled_distances(result):
    distances = [r for _, r, _ in potential_table(result)]
    assert 0.245 < min(distances) < max(distances) < 0.9


def test_twofold_sandwich_is_called_twofold(result):
    assert "2.00 times as wide" in sandwich_sentence(result)


def test_a_gap_to_the_ceiling_is_called_missing_force():
    tree = xr.DataTree.from_dict({"explained_force": explained(["SOL"], 0.57, 0.60)})
    assert "at least 3.0 % is mean force that this potential misses" in explained_sentences(tree)[0]


def test_a_gap_within_the_errors_is_not():
    tree = xr.DataTree.from_dict({"explained_force": explained(["SOL"], 0.57, 0.574)})
    assert "no missing mean force could be shown" in explained_sentences(tree)[0]


def test_bad_sampling_is_called_bad(result):
    good = worst_of(result)
    assert sampling_sentence(good._replace(r_hat=1.005)).startswith("The chains agree")
    assert "cannot be trusted" in sampling_sentence(good._replace(r_hat=1.2))
    assert "cannot be trusted" in sampling_sentence(good._replace(r_hat=1.005, divergences=7))


def test_diagnostics_are_computed_where_the_result_has_none(result):
    bare = xr.DataTree.from_dict({"posterior": result["posterior"].to_dataset()})
    assert worst_of(bare).r_hat == pytest.approx(worst_of(result).r_hat)
