"""NUTS samples the posterior, and says where it does not."""

import json
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arviz_stats.base import array_stats

from bayescg._checks import BayescgError
from bayescg.inference.nuts import NUTS
from bayescg.numerics import host_loop
from bayescg.numerics.host_loop import HostLoop, Interrupted
from tests.inference.targets import Funnel, Gaussian, Mixed, TwoModes, rotated_covariance

ENGINES = ("blackjax", "numpyro")
QUIET = HostLoop(progress=False)
KEY = jax.random.key(11)

DEVIATIONS = np.geomspace(1.0, 1e-3, 4)  # condition number 1e6
COVARIANCE = rotated_covariance(DEVIATIONS)
MEAN = np.array([100.0, -2.0, 0.0, 5.0])
MIXED = Mixed(Gaussian(jnp.asarray(MEAN), jnp.asarray(COVARIANCE)))


def sampler(engine):
    return NUTS(chains=4, warmup=400, draws=800, engine=engine)


@pytest.fixture(scope="module")
def draws():
    return {engine: sampler(engine).draw(MIXED, key=KEY, loop=QUIET) for engine in ENGINES}


def functions(positions):
    """name -> (values of shape (chain, draw), exact mean)."""
    gaussian = positions[..., :4]
    a, b, logit = np.moveaxis(positions[..., 4:], -1, 0)
    p = 1 / (1 + np.exp(-logit))
    axes = np.linalg.eigh(COVARIANCE)
    along = (gaussian - MEAN) @ axes[1] / np.sqrt(axes[0])  # N(0, I)
    known = {f"mean {i}": (along[..., i], 0.0) for i in range(4)}
    known |= {f"variance {i}": (along[..., i] ** 2, 1.0) for i in range(4)}
    known |= {"covariance": (along[..., 0] * along[..., 3], 0.0)}
    # banana: E b = E a²/2 = 1/2, Var b = Var(a²)/4 + 1 = 3/2, E ab = E a³/2 = 0
    known |= {
        "a": (a, 0.0),
        "a²": (a**2, 1.0),
        "b": (b, 0.5),
        "Var b": ((b - 0.5) ** 2, 1.5),
        "ab": (a * b, 0.0),
    }
    # Beta(3, 2): mean 3/5, variance 6 / (25 * 6)
    return known | {"p": (p, 0.6), "Var p": ((p - 0.6) ** 2, 0.04)}


@pytest.mark.parametrize("engine", ENGINES)
def test_moments_are_those_of_the_closed_form(draws, engine):
    for name, (values, exact) in functions(draws[engine].positions).items():
        error = array_stats.mcse(values, chain_axis=0, draw_axis=1)
        # 16 functions, two engines, four standard errors: by chance once in 500 seeds
        assert abs(values.mean() - exact) < 4 * error, name
        assert error < 0.1 * max(abs(exact), 1.0), name
        assert array_stats.rhat(values, chain_axis=0, draw_axis=1) < 1.01, name
        assert array_stats.ess(values, chain_axis=0, draw_axis=1) > 400, name


def test_both_engines_agree(draws):
    first, second = (functions(draws[engine].positions) for engine in ENGINES)
    for name in first:
        values, others = first[name][0], second[name][0]
        errors = [array_stats.mcse(v, chain_axis=0, draw_axis=1) for v in (values, others)]
        assert abs(values.mean() - others.mean()) < 4 * np.hypot(*errors), name


@pytest.mark.parametrize("engine", ENGINES)
def test_the_result_is_complete(draws, engine):
    result = draws[engine]
    assert result.positions.shape == (4, 800, MIXED.dimension)
    assert result.positions.dtype == np.float64
    assert set(result.statistics) == {
        "lp", "diverging", "acceptance_rate", "tree_depth", "n_steps", "energy", "step_size",
    }  # fmt: skip
    for name, values in result.statistics.items():
        assert values.shape == (4, 800), name
        assert np.isfinite(values).all(), name
    statistics = result.statistics
    lp = jax.vmap(jax.vmap(MIXED.log_density))(result.positions)
    np.testing.assert_allclose(statistics["lp"], lp, rtol=1e-6, atol=1e-6)
    assert statistics["diverging"].dtype == bool
    assert statistics["diverging"].mean() < 0.01
    # the step size is adapted for each chain, then left alone; acceptance ends above its target, 0.8, because
    # dual averaging averages the logarithm of the step size and acceptance is concave in it
    assert (statistics["step_size"] == statistics["step_size"][:, :1]).all()
    assert len(set(statistics["step_size"][:, 0])) == 4
    assert 0.78 < statistics["acceptance_rate"].mean() < 0.97
    assert (statistics["n_steps"] < 2 ** statistics["tree_depth"]).all()
    assert (statistics["n_steps"] >= 2 ** (statistics["tree_depth"] - 1)).all()
    # H = -lp + |momentum|²/2 >= -lp; the kinetic energy of d momenta has mean d/2 and, for independent draws,
    # standard error sqrt(3.5 / 3200) = 0.033; the integrator adds its energy error to it
    kinetic = statistics["energy"] + statistics["lp"]
    assert kinetic.min() > 0
    assert abs(kinetic.mean() - MIXED.dimension / 2) < 0.3


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_key_gives_the_same_bits_and_another_does_not(draws, engine):
    again = sampler(engine).draw(MIXED, key=KEY, loop=QUIET)
    np.testing.assert_array_equal(again.positions, draws[engine].positions, strict=True)
    other = sampler(engine).draw(MIXED, key=jax.random.key(12), loop=QUIET)
    assert not np.isin(other.positions[..., 0], draws[engine].positions[..., 0]).any()
    chains = again.positions[..., 0]
    assert len(np.unique(chains[:, -1])) == 4  # no two chains share their randomness


def interrupt_wait(monkeypatch, *, call):
    """Press Ctrl-C while the chunk number `call` of the run is under way."""
    real, calls = host_loop.wait, []

    def wait(outcome, patience, tell):
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return real(outcome, patience, tell)

    monkeypatch.setattr(host_loop, "wait", wait)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("call", "stage"), [(1, "whiten"), (4, "warmup"), (13, "sample")])
def test_an_interrupted_run_resumes_bit_for_bit(draws, tmp_path, monkeypatch, engine, call, stage):
    loop = HostLoop(tmp_path, progress=False, fingerprint="mixed")
    with monkeypatch.context() as patch:
        interrupt_wait(patch, call=call)
        with pytest.raises(Interrupted, match=f"of stage '{stage}' are kept"):
            sampler(engine).draw(MIXED, key=KEY, loop=loop)
    resumed = sampler(engine).draw(MIXED, key=KEY, loop=loop)
    np.testing.assert_array_equal(resumed.positions, draws[engine].positions, strict=True)
    for name, values in draws[engine].statistics.items():
        np.testing.assert_array_equal(resumed.statistics[name], values, strict=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_full_mass_matrix_and_a_short_warmup_sample_too(engine):
    # fewer than 20 iterations have no window for the mass matrix; odd totals end in a partial chunk
    settings = NUTS(chains=2, warmup=17, draws=997, engine=engine, dense_mass=True)
    result = settings.draw(
        Gaussian(jnp.zeros(2), jnp.asarray(rotated_covariance([1.0, 1e-2]))), key=KEY, loop=QUIET
    )
    assert result.positions.shape == (2, 997, 2)
    along = result.positions @ np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))[0] / [1.0, 1e-2]
    for values in np.moveaxis(along**2, -1, 0):
        assert abs(values.mean() - 1) < 4 * array_stats.mcse(values, chain_axis=0, draw_axis=1)


@pytest.mark.parametrize("engine", ENGINES)
def test_divergences_show_in_a_funnel(engine):
    # negative control of every "no divergences": the neck cannot be entered with one step size
    funnel = NUTS(chains=4, warmup=200, draws=500, engine=engine, target_acceptance=0.6)
    result = funnel.draw(Funnel(), key=KEY, loop=QUIET)
    assert result.statistics["diverging"].sum() > 10
    # and it is not: 2000 draws of v ~ N(0, 3²) would reach below -2.5 deviations 12 times
    assert (result.positions[..., 0] < -7.5).sum() < 3


def test_chains_stuck_in_separate_modes_show_in_r_hat():
    result = NUTS(chains=4, warmup=100, draws=100).draw(TwoModes(), key=jax.random.key(0), loop=QUIET)
    modes = np.sign(result.positions[..., 0])
    assert (modes == modes[:, :1]).all()  # no chain has ever crossed
    assert len(set(modes[:, 0])) == 2
    rhat = [array_stats.rhat(result.positions[..., i], chain_axis=0, draw_axis=1) for i in range(2)]
    assert rhat[0] > 1.5
    assert rhat[1] < 1.1  # the other coordinate mixes


def test_whitening_is_what_makes_bad_scales_cheap(draws):
    # without it, NUTS needs about sqrt(condition number) = 1000 steps; with it a few
    for engine in ENGINES:
        assert draws[engine].statistics["n_steps"].mean() < 30


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"chains": 0}, "chains must be a whole number of at least 1, got 0"),
        ({"draws": 2.5}, "draws must be a whole number of at least 1, got 2.5"),
        ({"engine": "stan"}, "engine must be one of 'blackjax', 'numpyro', got 'stan'"),
        ({"target_acceptance": 1.0}, r"target_acceptance must lie between 0 and 1, got 1\.0"),
    ],
)
def test_settings_that_cannot_run_are_refused(settings, message):
    with pytest.raises(BayescgError, match=message):
        NUTS(**settings)


def test_settings_are_plain_and_complete():
    settings = NUTS(draws=7, dense_mass=True).settings()
    assert json.loads(json.dumps(settings)) == settings
    assert {name: settings[name] for name in ("draws", "dense_mass", "engine")} == {
        "draws": 7, "dense_mass": 1, "engine": "blackjax",
    }  # fmt: skip


def test_float32_is_refused():
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(BayescgError, match=r"NUTS needs float64.*enable_x64"):
            NUTS().draw(MIXED, key=KEY, loop=QUIET)
    finally:
        jax.config.update("jax_enable_x64", True)
