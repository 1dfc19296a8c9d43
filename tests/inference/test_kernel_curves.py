"""Curves of the memory: the closed forms of the kernel, on one grid for all draws, with bands."""

from types import SimpleNamespace

import equinox as eqx
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg.inference.kernel_curves import DRAWS_KEPT, frame_interval, memory_curves

INTERVAL = 0.01


def problem_of(memory, paths):
    """A problem whose memory is this one with the parameters at these paths replaced."""

    def model(values):
        found = memory
        for path, where in paths.items():
            found = eqx.tree_at(where, found, values[path])
        return bcg.Model(None, found)

    return SimpleNamespace(model=model)


PRONY = bcg.memory.Prony(modes=2, times=[0.05, 1.0], frictions=[10.0, 20.0])
PATHS = {"t": lambda m: m.times, "f": lambda m: m.frictions}


def draws_of(chains, draws, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "t": np.array([0.05, 1.0]) * np.exp(0.1 * rng.normal(size=(chains, draws, 2))),
        "f": np.array([10.0, 20.0]) * np.exp(0.3 * rng.normal(size=(chains, draws, 2))),
    }


@pytest.fixture(scope="module")
def prony():
    values = draws_of(2, 40)
    return values, memory_curves(problem_of(PRONY, PATHS), values, interval=INTERVAL)


def test_kernel_spectrum_and_friction_are_the_closed_forms(prony):
    values, curves = prony
    tau, friction = values["t"][..., None], values["f"][..., None]
    t, w = curves["lag"].values, 2 * np.pi * curves["frequency"].values
    np.testing.assert_allclose(
        curves["kernel"], np.sum(friction / tau * np.exp(-t / tau), axis=2), rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(curves["spectrum"], np.sum(friction / (1 + (w * tau) ** 2), axis=2), rtol=1e-9)
    np.testing.assert_allclose(curves["friction"], values["f"].sum(axis=-1))
    np.testing.assert_allclose(curves["initial_value"], (values["f"] / values["t"]).sum(axis=-1))


def test_grids_reach_from_half_an_interval_to_several_of_the_slowest_times(prony):
    values, curves = prony
    lags, frequencies = curves["lag"].values, curves["frequency"].values
    assert lags[0] == pytest.approx(INTERVAL / 2)
    assert lags[-1] == pytest.approx(5 * np.median(values["t"][..., 1]))
    assert frequencies[-1] == pytest.approx(0.5 / INTERVAL)
    np.testing.assert_allclose(np.diff(np.log(lags)), np.diff(np.log(lags))[0])


def test_bands_are_quantiles_over_all_draws_and_units_are_named(prony):
    _, curves = prony
    flat = curves["kernel"].values.reshape(80, -1)
    np.testing.assert_allclose(
        curves["kernel_band"].sel(quantile=[0.025, 0.5, 0.975]),
        np.quantile(flat, [0.025, 0.5, 0.975], axis=0),
    )
    np.testing.assert_allclose(
        curves["friction_band"].sel(quantile=0.75), np.quantile(curves["friction"].values, 0.75)
    )
    units = {
        name: curves[name].attrs["units"] for name in ("kernel", "spectrum", "friction", "initial_value")
    }
    assert units == {
        "kernel": "amu/ps^2", "spectrum": "amu/ps", "friction": "amu/ps", "initial_value": "amu/ps^2",
    }  # fmt: skip
    assert curves["lag"].attrs["units"] == "ps"


def test_many_draws_are_thinned_evenly_from_the_first_to_the_last():
    curves = memory_curves(problem_of(PRONY, PATHS), draws_of(4, 777), interval=INTERVAL)
    kept = curves["draw"].values
    assert (kept.size, kept[0], kept[-1]) == (DRAWS_KEPT // 4, 0, 776)
    assert np.diff(kept).max() <= 4


def test_friction_without_memory_is_in_the_spectrum_only():
    memory = bcg.memory.Markovian(friction=3.0) + PRONY
    paths = {"t": lambda m: m.terms[1].times}
    values = {"t": draws_of(1, 3)["t"]}
    with_friction = memory_curves(problem_of(memory, paths), values, interval=INTERVAL)
    without = memory_curves(problem_of(PRONY, {"t": PATHS["t"]}), values, interval=INTERVAL)
    np.testing.assert_allclose(with_friction["kernel"], without["kernel"])
    np.testing.assert_allclose(with_friction["spectrum"], without["spectrum"] + 3.0)
    np.testing.assert_allclose(with_friction["friction"], without["friction"] + 3.0)
    alone = memory_curves(
        problem_of(bcg.memory.Markovian(friction=3.0), {"f": lambda m: m.friction}),
        {"f": np.full((1, 2), 5.0)},
        interval=INTERVAL,
    )
    np.testing.assert_allclose(alone["spectrum"], 5.0)
    np.testing.assert_allclose(alone["kernel"], 0.0)


def test_a_model_without_memory_has_no_curves_and_no_values_are_refused():
    problem = SimpleNamespace(model=lambda values: bcg.Model(None, None))
    assert memory_curves(problem, {"f": np.zeros((1, 2))}, interval=INTERVAL) is None
    with pytest.raises(bcg.BayescgError, match="values must hold"):
        memory_curves(problem, {}, interval=INTERVAL)


def test_interval_is_the_shortest_step_that_goes_forward():
    beads = xr.Dataset(coords={"time": ("frame", [0.0, 0.2, 0.4, 0.0, 0.2])})
    assert frame_interval(beads) == pytest.approx(0.2)
    with pytest.raises(bcg.BayescgError, match="time must rise"):
        frame_interval(beads.isel(frame=slice(1)))
    with pytest.raises(bcg.BayescgError, match="coordinate time"):
        frame_interval(xr.Dataset())
