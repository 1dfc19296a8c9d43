"""The terminal summary fits on a screen and says what the result says."""

import pytest
import xarray as xr

from bayescg.reporting import summary
from bayescg.reporting.potential import potential_table, sandwich_sentence
from bayescg.reporting.sentences import explained_sentences, sampling_sentence, worst_of
from tests.synthetic_result import explained, make_result, make_simulated


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
