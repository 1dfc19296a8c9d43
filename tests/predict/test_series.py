"""Observables over time on data, and in simulations of a posterior."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy.linalg import expm

from bayescg._checks import BayescgError
from bayescg.memory import Prony, extended_drift, with_spring
from bayescg.model import Model
from bayescg.observables import MSD, VACF, FirstPassage
from bayescg.potentials import Harmonic
from bayescg.predict import evaluate, simulate
from bayescg.predict.ratio import ratio_of_sums
from bayescg.units import thermal_energy

KT, MASS, STIFFNESS = thermal_energy(300.0), 10.0, 250.0
MEMORY = Prony(1, times=[0.1], frictions=[60.0])
DT = 0.05


def exact_trajectory(frames, beads, seed=0):
    """(x, v) of independent oscillators with memory, exact at every frame."""
    extended = extended_drift(MEMORY, MASS, 300.0)
    A = np.asarray(with_spring(extended, MASS, STIFFNESS).drift)
    C = np.diag(np.r_[KT / STIFFNESS, np.diag(extended.stationary)])
    E = expm(-A * DT)
    L, root = np.linalg.cholesky(C), np.linalg.cholesky(C - E @ C @ E.T)
    rng = np.random.default_rng(seed)
    w = np.empty((frames, beads, 3))
    w[0] = rng.normal(size=(beads, 3)) @ L.T
    for n in range(1, frames):
        w[n] = w[n - 1] @ E.T + rng.normal(size=(beads, 3)) @ root.T
    return w, A, C


def dataset(x, v=None, *, box=None, time=None, **extra):
    variables = {
        "position": (("frame", "bead", "dim"), x, {"units": "nm"}),
        "mass": ("bead", np.full(x.shape[1], MASS), {"units": "amu"}),
    } | extra
    if v is not None:
        variables["velocity"] = (("frame", "bead", "dim"), v, {"units": "nm/ps"})
    if box is not None:
        variables["box"] = (("frame", "dim"), np.full((len(x), x.shape[2]), box), {"units": "nm"})
    time = DT * np.arange(len(x)) if time is None else time
    coordinates = {"time": ("frame", time, {"units": "ps"}), "dim": list("xyz")[: x.shape[2]]}
    return xr.Dataset(variables, coordinates, {"temperature": 300.0})


W, DRIFT, STATIONARY = exact_trajectory(1500, 40)
BEADS = dataset(W[..., :1], W[..., 1:2])


def exact_curve(times):
    return np.array([(expm(-DRIFT * t) @ STATIONARY)[1, 1] for t in times])


def test_correlation_of_data_and_its_error_are_right():
    found = evaluate(VACF(maximum=0.5), BEADS)
    assert found["velocity_correlation"].dims == ("lag_time",)
    deviation = (found["velocity_correlation"] - exact_curve(found["lag_time"].to_numpy())) / found[
        "velocity_correlation_error"
    ]
    # Student's t with 19 degrees of freedom: 11 values within 5, their mean square about 1.1 (correlated)
    assert abs(deviation).max() < 5
    assert 0.05 < float((deviation**2).mean()) < 5
    # negative control: the curve of white velocities is ruled out
    assert float(abs(found["velocity_correlation"][1]) / found["velocity_correlation_error"][1]) > 10
    np.testing.assert_array_equal(found["velocity_correlation_weight"], 40 * (1500 - np.arange(11)))


def test_gaps_and_runs_are_not_bridged():
    """Two runs one after the other count as two, whether by their index or by their times."""
    half = 750
    times = BEADS["time"].to_numpy().copy()
    times[half:] += 10.0
    index = BEADS.assign(trajectory=("frame", np.repeat([0, 1], half)))
    gap = BEADS.assign_coords(time=("frame", times, {"units": "ps"}))
    apart = [evaluate(VACF(0.5), BEADS.isel(frame=part)) for part in (slice(half), slice(half, None))]
    name, weight = "velocity_correlation", "velocity_correlation_weight"
    total = sum(part[weight] for part in apart)
    expected = sum(part[name] * part[weight] for part in apart) / total
    for beads in (index, gap):
        found = evaluate(VACF(0.5), beads)
        np.testing.assert_allclose(found[name], expected, rtol=1e-10)
        np.testing.assert_array_equal(found[weight], total)
    assert (evaluate(VACF(0.5), BEADS)[weight][1:] > total[1:]).all()


def test_positions_are_unwrapped_across_the_box_and_the_period():
    rng = np.random.default_rng(1)
    path = np.cumsum(rng.normal(0, 0.1, size=(300, 4, 2)), axis=0)
    free = evaluate(MSD(0.5), dataset(path))
    boxed = evaluate(MSD(0.5), dataset(np.mod(path, 1.0), box=1.0))
    np.testing.assert_allclose(
        boxed["mean_square_displacement"], free["mean_square_displacement"], rtol=1e-10
    )
    period = {"period": ("dim", np.full(2, 1.0), {"units": "nm"})}
    angle = evaluate(MSD(0.5), dataset(np.mod(path, 1.0), **period))
    np.testing.assert_allclose(
        angle["mean_square_displacement"], free["mean_square_displacement"], rtol=1e-10
    )
    # negative control: wrapped positions as they are give another answer
    naive = evaluate(MSD(0.5), dataset(np.mod(path, 1.0)))
    assert (naive["mean_square_displacement"][1:] > 1.5 * free["mean_square_displacement"][1:]).all()


@pytest.mark.parametrize(
    ("beads", "observable", "settings", "words"),
    [
        (dataset(W[:10, :, :1]), VACF(0.1), {}, "velocity must be given"),
        (BEADS, VACF(0.5), {"frames": 10}, "frames must be None for an observable over time"),
        (BEADS.isel(frame=[3]), MSD(0.5), {}, "at least two frames"),
        (
            BEADS.isel(frame=slice(4)).assign(trajectory=("frame", np.arange(4))),
            MSD(0.5),
            {},
            "frames must follow each other",
        ),
    ],
)
def test_data_that_do_not_serve_are_refused(beads, observable, settings, words):
    with pytest.raises(BayescgError, match=words):
        evaluate(observable, beads, **settings)


def test_error_of_a_ratio_is_that_of_a_mean_where_weights_are_equal():
    values = np.random.default_rng(2).normal(size=(40, 3))
    found = ratio_of_sums(5 * values, np.full((40, 3), 5.0), blocks=40)
    np.testing.assert_allclose(found.value, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.error, values.std(axis=0, ddof=1) / np.sqrt(40), rtol=1e-12)
    nothing = ratio_of_sums(np.zeros(4), np.array([0.0, 0, 0, 0]))
    assert np.isnan(nothing.value)
    assert np.isnan(nothing.error)


@pytest.fixture(scope="module")
def simulated():
    problem = SimpleNamespace(
        temperature=300.0,
        fingerprint="oscillators",
        beads=BEADS,
        model=lambda values: Model(Harmonic(values["potential.stiffness"], 0.0), MEMORY),
    )
    stiffness = {"potential.stiffness": (("chain", "draw"), np.full((1, 8), STIFFNESS))}
    posterior = xr.DataTree.from_dict({"posterior": xr.Dataset(stiffness)})
    return simulate(
        problem,
        posterior,
        draws=4,
        steps=20_000,
        timestep=0.01,
        observables=[VACF(maximum=0.5), FirstPassage(-0.1, 0.1)],
        key=jax.random.key(0),
        progress=False,
    )


def test_a_posterior_with_memory_is_simulated_without_a_friction(simulated):
    """Measured at the data's interval: 5 steps."""
    assert simulated.attrs["measure_every"] == 5
    assert simulated.attrs["dynamics"] == "generalized Langevin"
    found = simulated["posterior_predictive"].to_dataset()
    np.testing.assert_allclose(found["lag_time"], DT * np.arange(11))
    expected = exact_curve(found["lag_time"].to_numpy())
    deviation = (found["velocity_correlation"] - expected) / found["velocity_correlation_error"]
    assert abs(deviation).max() < 6
    # alike draws: what they differ by is Monte Carlo error
    summary = simulated["summary/velocity_correlation"].to_dataset()
    assert (summary["between_draw_sd"] < 2 * summary["within_draw_sd"]).all()
    np.testing.assert_allclose(
        summary["mean"], evaluate(VACF(0.5), BEADS)["velocity_correlation"], atol=0.03 * expected[0]
    )


def test_passages_are_counted_per_draw(simulated):
    found = simulated["posterior_predictive"].to_dataset()
    data = evaluate(FirstPassage(-0.1, 0.1), BEADS)
    assert (found["first_passage_time_weight"] > 1000).all()
    difference = found["first_passage_time"].mean() - data["first_passage_time"]
    error = np.hypot(
        float(data["first_passage_time_error"]), float(found["first_passage_time_error"].mean()) / 2
    )
    assert abs(difference) < 5 * error


def test_a_collective_variable_gets_its_density(simulated, tmp_path):
    """One bead, one component; written to a file as any result."""
    beads = BEADS.isel(bead=[0])
    problem = SimpleNamespace(
        temperature=300.0,
        fingerprint="one",
        beads=beads,
        model=lambda values: Model(Harmonic(jnp.asarray(values["potential.stiffness"]), 0.0), MEMORY),
    )
    stiffness = {"potential.stiffness": (("chain", "draw"), np.full((1, 8), STIFFNESS))}
    posterior = xr.DataTree.from_dict({"posterior": xr.Dataset(stiffness)})
    found = simulate(
        problem, posterior, draws=2, steps=20_000, timestep=0.01, key=jax.random.key(0), progress=False
    )
    density = found["posterior_predictive"]["probability_density"]
    assert density.dims == ("draw", "value")
    width = float(np.diff(density["value"])[0])
    variance = float((density.mean("draw") * density["value"] ** 2).sum() * width)
    # 40,000 steps of 0.01 ps hold some 800 correlation times: a variance known to 5%
    assert variance == pytest.approx(KT / STIFFNESS, rel=0.25)
    found.to_netcdf(tmp_path / "simulated.nc", engine="h5netcdf")
