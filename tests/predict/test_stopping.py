"""Simulations that end when they are long enough, on one oscillator whose answer is known: <x²> = kT/k."""

import json
import signal
import sys
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from bayescg._checks import BayescgError
from bayescg.interfaces import AbstractObservable
from bayescg.model import Model
from bayescg.numerics.host_loop import HostLoop, Interrupted
from bayescg.potentials import Harmonic
from bayescg.predict import simulate
from bayescg.predict.stopping import FIRST, RECORDS, StoppingRule, looks_at
from bayescg.predict.summary import predictive
from bayescg.units import thermal_energy

KT, DRAWS, PART = thermal_energy(300.0), 12, 0.15
STIFFNESS = 250.0 * np.exp(0.3 * np.random.default_rng(3).normal(size=DRAWS))


class Square(AbstractObservable):
    name: str = eqx.field(static=True, default="square")
    units: str = eqx.field(static=True, default="nm^2")

    def prepare(self, topology, box):
        return self

    def coordinates(self, topology):
        return {}

    def measure(self, configuration):
        return jnp.mean(configuration.positions**2)


@pytest.fixture(scope="module")
def problem():
    positions = np.random.default_rng(0).normal(0, 0.1, size=(DRAWS, 4, 1))
    beads = xr.Dataset(
        {
            "position": (("frame", "bead", "dim"), positions, {"units": "nm"}),
            "mass": ("bead", np.full(4, 10.0), {"units": "amu"}),
        },
        {"dim": ["x"]},
        {"temperature": 300.0},
    )
    return SimpleNamespace(
        temperature=300.0,
        fingerprint="oscillators",
        beads=beads,
        model=lambda values: Model(Harmonic(jnp.asarray(values["potential.stiffness"]), 0.0)),
    )


def run(problem, *, stiffness=STIFFNESS, **settings):
    posterior = xr.DataTree.from_dict(
        {"posterior": xr.Dataset({"potential.stiffness": (("chain", "draw"), stiffness[None])})}
    )
    defaults = {"draws": DRAWS, "steps": 16_000, "until": PART, "timestep": 0.02, "friction": 5.0}
    defaults |= {"observables": [Square()], "key": jax.random.key(0), "progress": False, "measure_every": 10}
    return simulate(problem, posterior, **(defaults | settings))


@pytest.fixture(scope="module")
def stopped(problem):
    return run(problem)


def test_it_stops_when_the_monte_carlo_part_is_small_enough(stopped):
    part = json.loads(stopped.attrs["monte_carlo_part"])["square"]
    assert part <= PART
    assert FIRST * 16_000 // RECORDS < stopped.attrs["measured_steps"] < 16_000
    assert json.loads(stopped.attrs["warnings"]) == []
    assert (stopped["diagnostics"]["effective_samples"] > 10).all()
    found = stopped["summary/square"]
    within, between = found["within_draw_sd"] ** 2, found["between_draw_sd"] ** 2
    assert part == pytest.approx(float(np.sqrt(within / (within + between))))
    # shorter by the last step of 1.25 it was not small enough: within falls as one over the length
    assert part > 0.6 * PART


def test_the_band_is_that_of_the_truth(stopped):
    truth = KT / STIFFNESS
    draws = stopped["posterior_predictive"]
    deviation = (draws["square"] - truth) / draws["square_error"]
    # 12 deviations of Student's t with 19 degrees of freedom
    assert abs(deviation).max() < 4.5
    assert 0.3 < float((deviation**2).mean()) < 2.2
    found = stopped["summary/square"]
    # given these draws the spread of their answers is known; a variance of 12 with a part of 0.15² noise
    assert float(found["between_draw_sd"]) == pytest.approx(truth.std(ddof=1), rel=0.3)
    ends = found["band"].sel(quantile=[0.025, 0.975]).values
    assert ends[0] < np.median(truth) < ends[1]
    assert ends[1] - ends[0] == pytest.approx(np.diff(np.quantile(truth, [0.025, 0.975]))[0], rel=0.35)


def test_an_interrupted_run_stops_at_the_same_bits(problem, stopped, tmp_path, monkeypatch):
    saved = HostLoop.run
    calls = []

    def interrupting(self, name, step, carry, **settings):
        def wrapped(carry, length):
            calls.append(length)
            if len(calls) == 30:
                signal.raise_signal(signal.SIGINT)
            return step(carry, length)

        return saved(self, name, wrapped, carry, **settings)

    monkeypatch.setattr(HostLoop, "run", interrupting)
    with pytest.raises(Interrupted):
        run(problem, checkpoint=tmp_path)
    before = len(calls)
    again = run(problem, checkpoint=tmp_path)
    xr.testing.assert_identical(
        again["posterior_predictive"].to_dataset(), stopped["posterior_predictive"].to_dataset()
    )
    # what is finished is read; for a smaller part it goes on
    done = len(calls)
    run(problem, checkpoint=tmp_path)
    assert len(calls) == done > before
    further = run(problem, checkpoint=tmp_path, until=0.8 * PART)
    assert further.attrs["measured_steps"] > again.attrs["measured_steps"]


def test_draws_that_are_all_alike_never_stop_it_and_are_named(problem, monkeypatch):
    """Negative control: there is no band, so all of it stays Monte Carlo error."""
    monkeypatch.setattr(sys.modules["bayescg.predict.simulate"], "RECORDS", 30)
    found = run(problem, stiffness=np.full(DRAWS, 250.0), steps=1200)  # records as long as above
    assert found.attrs["measured_steps"] == 1200
    assert json.loads(found.attrs["monte_carlo_part"])["square"] > PART
    (words,) = json.loads(found.attrs["warnings"])
    assert "Monte Carlo part of the band was to be 0.15 at most, but is still" in words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"until": 1.5}, "until must lie between 0 and 1, got 1.5"),
        ({"draws": 1}, "draws must number at least two where until is given"),
        ({"engine": "lammps"}, "until needs engine='jax-md', got 'lammps'"),
    ],
)
def test_bad_settings_are_refused(change, words, problem):
    with pytest.raises(BayescgError, match=words):
        run(problem, **change)


@pytest.mark.calibration
def test_errors_cover_where_the_rule_chose_the_length():
    """Runs of known means stop at lengths of their own, some because their errors are small by luck."""
    rng = np.random.default_rng(0)
    draws, pulls, lengths = 12, [], []
    for _ in range(60):
        truth = rng.normal(0, 0.4, size=draws)
        noise = rng.normal(size=(draws, RECORDS))
        run = xr.Dataset({"a": (("draw", "record"), truth[:, None] + noise)})
        run = run.assign(kinetic_temperature=(("draw", "record"), rng.normal(size=noise.shape)))
        rule = StoppingRule(0.4, ("a",), tuple(range(draws)))
        looks = [n for n in range(RECORDS) if looks_at(n)]
        lengths.append(next((n for n in looks if rule(run.isel(record=slice(n)))), RECORDS))
        stopped = run.isel(record=slice(lengths[-1])).assign_coords(draw=np.arange(draws))
        found = predictive(stopped, ["a"])
        pulls.append(((found["a"] - truth) / found["a_error"]).values)
    assert 20 < np.median(lengths) < 100
    # of 720 intervals, 95% to within three binomial deviations and the one percent that the rule may cost
    covered = (abs(np.array(pulls)) < 2.093).mean()
    assert covered > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 720) - 0.01
    # negative control: errors a third too small would be seen
    assert (abs(np.array(pulls)) < 2.093 / 1.5).mean() < 0.95 - 3 * np.sqrt(0.95 * 0.05 / 720) - 0.01
    print(f"coverage {covered:.3f}, median length {np.median(lengths)}")
