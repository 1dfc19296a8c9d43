"""Correlation functions as data: closed forms, calibrated scatter, and what they do not know."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import xarray as xr
from scipy.linalg import expm, solve_continuous_lyapunov

import bayescg as bcg
from bayescg.likelihoods.correlation import Correlation, overdamped_drift
from bayescg.likelihoods.correlation_data import bartlett_covariance
from tests.likelihoods.gle_data import free_velocity_autocovariance

KT = bcg.units.thermal_energy(300.0)
STIFFNESS, FRICTION, INTERVAL = 50.0, 30.0, 0.1
TIMES = tuple(np.round(np.arange(1, 11) * 0.2, 6))
MODEL = bcg.Model(bcg.potentials.Harmonic(STIFFNESS, 0.0), bcg.memory.Markovian(FRICTION))
PRIOR = {"potential.stiffness": dist.LogNormal(4.0, 1.0), "memory.friction": dist.LogNormal(3.0, 1.0)}
TRUTH = {"potential.stiffness": STIFFNESS, "memory.friction": FRICTION}


def linear_series(drift, covariance, frames, seed, components=1):
    """Exact samples of a linear system at equal intervals, its first component, (frame, component)."""
    rng = np.random.default_rng(seed)
    F = expm(-np.asarray(drift) * INTERVAL)
    Q = covariance - F @ covariance @ F.T
    root, first = np.linalg.cholesky(Q), np.linalg.cholesky(covariance)
    u = first @ rng.normal(size=(len(F), components))
    found = np.empty((frames, len(F), components))
    for n in range(frames):
        found[n] = u
        u = F @ u + root @ rng.normal(size=u.shape)
    return found


def beads(positions, velocities=None, mass=1.0):
    frames, count = positions.shape
    variables = {"position": (("frame", "bead", "dim"), positions[..., None], {"units": "nm"})}
    if velocities is not None:
        variables["velocity"] = (("frame", "bead", "dim"), velocities[..., None], {"units": "nm/ps"})
    variables |= {
        "mass": ("bead", np.full(count, mass), {"units": "amu"}),
        "type": ("bead", np.full(count, "A")),
        "molecule": ("bead", np.arange(count)),
        "trajectory": ("frame", np.zeros(frames, dtype=int)),
    }
    time = ("frame", np.arange(frames) * INTERVAL, {"units": "ps"})
    return xr.Dataset(variables, coords={"time": time, "dim": ["x"]}, attrs={"temperature": 300.0})


def overdamped(frames=4000, seed=0):
    drift, covariance = np.array([[STIFFNESS / FRICTION]]), np.array([[KT / STIFFNESS]])
    return beads(linear_series(drift, covariance, frames, seed)[:, 0])


def underdamped(frames=4000, seed=0, mass=10.0, friction=8.0):
    drift = np.array([[0.0, -1.0], [STIFFNESS / mass, friction / mass]])
    u = linear_series(drift, np.diag([KT / STIFFNESS, KT / mass]), frames, seed)
    return beads(u[:, 0], u[:, 1], mass)


def observed(likelihood, data, model=MODEL):
    model, likelihood = likelihood.prepare(model, data)
    return model, likelihood, likelihood.observe(model, data)


def test_prediction_is_that_of_the_linear_system():
    """With memory, against the stationary covariance of scipy's Lyapunov solver."""
    memory = bcg.memory.Prony(1, [0.5], [20.0]) + bcg.memory.Markovian(3.0)
    model = bcg.Model(bcg.potentials.Harmonic(STIFFNESS, 0.0), memory)
    extended = bcg.memory.extended_drift(memory, 10.0, 300.0)
    A, D = (np.asarray(part) for part in bcg.memory.with_spring(extended, 10.0, STIFFNESS))
    C = solve_continuous_lyapunov(A, D)
    for of, place in (("position", 0), ("velocity", 1)):
        prepared, likelihood = Correlation(of, normalized=False, times=TIMES).prepare(model, underdamped())
        decay, scale = likelihood.function(prepared, jnp.asarray(TIMES), temperature=300.0)
        expected = [(expm(-A * t) @ C)[place, place] for t in TIMES]
        np.testing.assert_allclose(scale * decay, expected, rtol=1e-9)


def test_velocities_of_free_beads_need_no_well():
    """Without a potential, against scipy's exponential; the mass alone gives the value at zero."""
    memory = bcg.memory.Prony(1, [0.5], [20.0]) + bcg.memory.Markovian(3.0)
    likelihood = Correlation("velocity", normalized=False, times=TIMES)
    found = []
    for potential in (None, MODEL.potential):
        prepared, ready = likelihood.prepare(bcg.Model(potential, memory), underdamped())
        decay, scale = ready.function(prepared, jnp.asarray(TIMES), temperature=300.0)
        found.append(scale * decay)
    expected = free_velocity_autocovariance(memory, 10.0, TIMES)
    np.testing.assert_allclose(found[0], expected, rtol=1e-9)
    # control: in a well it is another function
    assert np.abs(found[1] - expected).max() > 0.01 * expected[0]
    with pytest.raises(bcg.BayescgError, match="or for velocities a memory alone"):
        observed(Correlation("position"), underdamped(), bcg.Model(None, memory))


def test_overdamped_memory_is_the_limit_of_a_small_mass():
    memory = bcg.memory.Prony(1, [0.5], [20.0]) + bcg.memory.Markovian(3.0)
    A = np.asarray(overdamped_drift(memory.drift(), STIFFNESS))
    mass = 1e-7
    full = bcg.memory.with_spring(bcg.memory.extended_drift(memory, mass, 300.0), mass, STIFFNESS).drift
    slow = np.sort(np.linalg.eigvals(np.asarray(full)).real)[:2]
    np.testing.assert_allclose(np.sort(np.linalg.eigvals(A).real), slow, rtol=1e-5)


@pytest.mark.calibration
@pytest.mark.parametrize("normalized", [True, False])
def test_scatter_is_as_bartlett_says(normalized):
    """The squared whitened gap has the mean and variance of chi² with as many degrees as lags."""
    likelihood = Correlation(normalized=normalized, times=TIMES, overdamped=True, blocks_kept=1)
    squares = []
    for seed in range(60):
        model, ready, seen = observed(likelihood, overdamped(seed=seed))
        values, predicted = np.asarray(seen.values), np.asarray(ready.predicted(model, seen))
        gap = values - predicted * (float(seen.scale) if normalized else 1.0)
        squares.append(float(seen.frames[0] * np.sum((gap @ np.asarray(seen.whitening).T) ** 2)))
    # 10 degrees: standard error of the mean over 60 is 0.58; c is itself estimated from 200 decay times
    assert abs(np.mean(squares) - 10) < 3.5 * np.sqrt(20 / 60)
    # control: covariance of white noise would be far off
    white = bartlett_covariance(np.eye(1, 50)[0], np.arange(3))
    assert abs(white[0, 1]) < 1e-12


def test_bartlett_covariance_is_that_of_simulated_estimates():
    series = linear_series(np.array([[1.5]]), np.eye(1), 500, 1, components=3000)[:, 0].T
    estimates = np.stack([np.mean(series[:, : 500 - p] * series[:, p:], axis=1) for p in (0, 3, 8)])
    truth = np.exp(-1.5 * INTERVAL * np.arange(400))
    expected = bartlett_covariance(truth, np.array([0, 3, 8])) / 500
    # 3,000 replicas: 2.6% of a variance; ends of the series change a percent
    np.testing.assert_allclose(np.cov(estimates), expected, rtol=0.12)


def test_blocks_add_up():
    model, likelihood, seen = observed(Correlation(overdamped=True), overdamped())
    blocks = likelihood.blocks(model, seen)
    assert blocks.size > 4
    np.testing.assert_allclose(blocks.sum(), likelihood.log_likelihood(model, seen), rtol=1e-12)


@pytest.fixture(scope="module")
def long_run():
    """Data, and the terms of the normalized function and of the variance."""
    data = overdamped(20000)
    function = Correlation(overdamped=True).on(data)
    return data, function, Correlation(overdamped=True, normalized=False, times=(0.0,)).on(data)


@pytest.fixture(scope="module")
def function_and_variance(long_run):
    """A problem with both terms, and what they determine at the truth."""
    _, function, variance = long_run
    made = bcg.Problem(MODEL, PRIOR, function + variance)
    return made, bcg.identify(made, TRUTH)


def test_posterior_holds_the_truth(function_and_variance):
    """Normalized function and variance together: a Gaussian around the truth."""
    made, found = function_and_variance
    gradient = jax.grad(lambda u: made.log_likelihood(made.constrain(u)))(jnp.asarray(found.experiment.point))
    step = np.linalg.solve(found.matrix, gradient)
    # Newton's step from the truth is the error of the estimate: chi² of 2 degrees, above 13.8 once in 1,000
    assert gradient @ step < 13.8


@pytest.mark.calibration
def test_rate_is_estimated_without_bias_in_any_number_of_blocks():
    """Standardized errors of the rate over 100 replicas have mean zero and variance one."""

    def density(rate, likelihood, seen):
        model = bcg.Model(bcg.potentials.Harmonic(STIFFNESS, 0.0), MODEL.memory)
        model = eqx.tree_at(lambda m: m.potential.stiffness, model, rate * FRICTION)
        return likelihood.log_likelihood(model, seen)

    derivatives = eqx.filter_jit(lambda *a: (jax.grad(density)(*a), -jax.hessian(density)(*a)))
    for blocks in (1, 16):
        errors = []
        for seed in range(100):
            likelihood = Correlation(overdamped=True, times=TIMES, blocks_kept=blocks)
            _, likelihood, seen = observed(likelihood, overdamped(seed=seed))
            rate = jnp.asarray(STIFFNESS / FRICTION)
            for _ in range(4):
                slope, curvature = derivatives(rate, likelihood, seen)
                rate = rate + slope / curvature
            errors.append(float((rate - STIFFNESS / FRICTION) * jnp.sqrt(curvature)))
        # standard errors 0.1 and 0.07; the bias is of order 1/sqrt(670 relaxation times)
        assert abs(np.mean(errors)) < 0.35
        assert 0.75 < np.std(errors) < 1.25


def test_normalized_function_sees_stiffness_over_friction_alone(long_run, function_and_variance):
    data, function, variance = long_run
    found = bcg.identify(bcg.Problem(MODEL, PRIOR, function), TRUTH)
    one = found.combinations[0]
    assert (one.text, one.label) == ("potential.stiffness^1 memory.friction^-1", "certified")
    longer = Correlation(overdamped=True, times=(1.0, 3.0)).on(data)
    answer = found.which_breaks({"longer lags": longer, "position variance": variance})
    assert "is identified by position variance" in answer.sentence
    assert float(answer.candidates["information"].sel(candidate="longer lags")) < 1e-9
    assert {one.text for one in function_and_variance[1].combinations} == {
        "potential.stiffness^1",
        "memory.friction^1",
    }


def test_underdamped_null_direction_scales_mass_stiffness_and_friction():
    model = bcg.Model(bcg.potentials.Harmonic(STIFFNESS, 0.0), bcg.memory.Markovian(8.0))
    prior = PRIOR | {"likelihood.mass": dist.LogNormal(2.3, 1.0)}
    made = bcg.Problem(model, prior, Correlation().on(underdamped()))
    found = bcg.identify(made, {**TRUTH, "memory.friction": 8.0, "likelihood.mass": 10.0})
    np.testing.assert_allclose(found.null_directions["loadings"], [[1.0, 1.0, 1.0]], atol=1e-6)
    assert {one.label for one in found.combinations} == {"certified"}
    # control: the mass known, both others are identified
    names = list(found.experiment.names)
    others = [names.index(name) for name in PRIOR]
    known = bcg.identify.from_matrix(found.matrix[np.ix_(others, others)], names=list(PRIOR))
    assert known.null_directions.sizes["direction"] == 0


def test_the_observable_of_simulations_says_what_is_compared():
    data, free = underdamped(frames=2000), bcg.Model(None, bcg.memory.Markovian(8.0))
    vacf = bcg.observables.VACF(maximum=2.0, normalized=True)
    times = tuple(np.round(np.linspace(1, 20, 16)).astype(int) * INTERVAL)
    named = [Correlation(vacf), Correlation("velocity", normalized=True, times=times)]
    found = [observed(likelihood, data, free) for likelihood in named]
    densities = [float(one[1].log_likelihood(one[0], one[2])) for one in found]
    assert densities[0] == pytest.approx(densities[1], rel=1e-12)
    # control: without the division by the value at zero it is another number
    other = observed(Correlation(bcg.observables.VACF(maximum=2.0)), data, free)
    assert float(other[1].log_likelihood(other[0], other[2])) != pytest.approx(densities[0], rel=1e-3)
    with pytest.raises(bcg.BayescgError, match="at least the interval"):
        observed(Correlation(bcg.observables.VACF(maximum=0.01)), data, free)
    with pytest.raises(bcg.BayescgError, match="got one by type"):
        Correlation(bcg.observables.VACF(by_type=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"of": "force"}, "of must be one of"),
        ({"of": "velocity", "overdamped": True}, "velocities have no correlation in time"),
        ({"times": (-1.0,)}, "times must be lags of at least zero"),
        ({"times": ()}, "times must be lags"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(bcg.BayescgError, match=message):
        Correlation(**settings)


@pytest.mark.parametrize(
    ("likelihood", "model", "message"),
    [
        (Correlation(times=(0.13,)), MODEL, "must be multiples of the interval"),
        (Correlation(times=(300.0,)), MODEL, "must be at most 1/20 of the data"),
        (
            Correlation(),
            bcg.Model(bcg.potentials.Harmonic(1.0, 0.0)),
            "must be a bayescg.potentials.Harmonic",
        ),
        (
            Correlation(overdamped=True),
            bcg.Model(bcg.potentials.Harmonic(1.0, 0.0), bcg.memory.Prony(1)),
            "must have an instantaneous friction",
        ),
    ],
)
def test_data_and_models_that_do_not_fit_are_refused(likelihood, model, message):
    with pytest.raises(bcg.BayescgError, match=message):
        observed(likelihood, overdamped(), model)
