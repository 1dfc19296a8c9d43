"""Path likelihoods against dense Gaussian algebra and the exact filter, on series of known origin."""

import equinox as eqx
import numpy as np
import pytest
import scipy.linalg

import bayescg as bcg
from bayescg.likelihoods import Path
from bayescg.memory import DriftMatrix, Markovian, Mori, OscillatoryProny, PowerLaw, Prony
from bayescg.model import Model, with_values
from tests.likelihoods.gle_data import autocovariance, dataset, free_velocity_autocovariance

MASS, STIFFNESS, CENTER, NOISE = 18.0, 400.0, 0.7, 0.03

MEMORIES = {
    "markovian": Markovian(50.0),
    "prony": Prony(2, times=[0.1, 1.0], frictions=[30.0, 10.0]),
    "markovian and prony": Markovian(5.0) + Prony(1, times=[0.3], frictions=[30.0]),
    "oscillatory": OscillatoryProny(1, times=[0.2], frequencies=[9.0], frictions=[20.0], asymmetries=[0.3]),
    "mori": Mori(2, rates=[6.0], damping=10.0, friction=30.0),
    "power law": PowerLaw(4, times=[0.02, 2.0], exponent=0.5, friction=60.0),
    "drift matrix": DriftMatrix(2, factor=[2.0, 0.5, 1.5], rotation=[3.0], coupling=[12.0, 5.0]),
}


def gaussian_series(covariance, seed, count=1):
    root = np.linalg.cholesky(scipy.linalg.toeplitz(covariance))
    return root @ np.random.default_rng(seed).normal(size=(len(covariance), count))


def conditional_log_density(covariance, x):
    """Of x[1:] given x[0], by Cholesky factors."""
    root = np.linalg.cholesky(scipy.linalg.toeplitz(covariance))
    white = np.linalg.solve(root, x)
    return (
        -0.5 * white[1:] @ white[1:]
        - np.log(np.diag(root))[1:].sum()
        - 0.5 * (len(x) - 1) * np.log(2 * np.pi)
    )


def observed(model, data, **arguments):
    path = Path(arguments.pop("observed", "positions"), **arguments)
    model, path = path.prepare(model, data)
    return model, path, path.observe(model, data)


@eqx.filter_jit
def total_of(path, model, seen):
    return path.log_likelihood(model, seen)


@eqx.filter_jit
def blocks_of(path, model, seen):
    return path.blocks(model, seen)


@pytest.mark.parametrize("name", MEMORIES)
@pytest.mark.parametrize("noise", [None, NOISE])
def test_harmonic_positions_have_the_dense_log_density(name, noise):
    memory, frames, interval = MEMORIES[name], 260, 0.07
    covariance, _ = autocovariance(memory, MASS, STIFFNESS, interval * np.arange(frames))
    covariance[0] += 0.0 if noise is None else noise**2
    x = gaussian_series(covariance, 0)
    dense = conditional_log_density(covariance, x[:, 0])
    model = Model(bcg.potentials.Harmonic(STIFFNESS, CENTER), memory)
    data = dataset(CENTER + x, interval, mass=MASS)
    model, path, seen = observed(model, data, measurement_noise=noise)
    total = float(total_of(path, model, seen))
    assert total == pytest.approx(dense, rel=1e-8)
    # two programs round differently; a frame that is lost or counted twice would move the sum by 1e-3
    assert float(blocks_of(path, model, seen).sum()) == pytest.approx(total, rel=1e-10)


def test_a_wrong_mass_is_not_the_dense_log_density():
    memory, interval = MEMORIES["prony"], 0.07
    covariance, _ = autocovariance(memory, MASS, STIFFNESS, interval * np.arange(260))
    x = gaussian_series(covariance, 0)
    model = Model(bcg.potentials.Harmonic(STIFFNESS, CENTER), memory)
    model, path, seen = observed(model, dataset(CENTER + x, interval, mass=1.3 * MASS))
    dense = conditional_log_density(covariance, x[:, 0])
    assert float(total_of(path, model, seen)) != pytest.approx(dense, rel=1e-3)


@pytest.mark.parametrize("name", ["markovian", "prony", "oscillatory"])
def test_free_velocities_have_the_dense_log_density(name):
    memory, frames, interval = MEMORIES[name], 260, 0.03
    covariance = free_velocity_autocovariance(memory, MASS, interval * np.arange(frames))
    v = gaussian_series(covariance, 1)
    data = dataset(np.zeros_like(v), interval, v=v, mass=MASS)
    model, path, seen = observed(Model(None, memory), data, observed="velocities")
    total = total_of(path, model, seen)
    assert float(total) == pytest.approx(conditional_log_density(covariance, v[:, 0]), rel=1e-8)


def test_segments_and_datasets_add():
    memory, interval = MEMORIES["markovian and prony"], 0.05
    covariance, _ = autocovariance(memory, MASS, STIFFNESS, interval * np.arange(300))
    x = gaussian_series(covariance, 2)
    model = Model(bcg.potentials.Harmonic(STIFFNESS, 0.0), memory)
    one, other = dataset(x[:180], interval, mass=MASS), dataset(x[180:], interval, mass=MASS, begin=17.0)
    alone = sum(total_of(path, m, seen) for m, path, seen in (observed(model, part) for part in (one, other)))
    gap = dataset(x, interval, mass=MASS)
    gap = gap.assign_coords(
        time=("frame", gap["time"].values + 3.0 * (np.arange(300) >= 180), {"units": "ps"})
    )
    runs = dataset(x, interval, mass=MASS).assign(trajectory=("frame", (np.arange(300) >= 180).astype(int)))
    for data in ([one, other], gap, runs):
        m, path, seen = observed(model, data)
        assert float(total_of(path, m, seen)) == pytest.approx(float(alone), abs=1e-8)
    # control: without the gap the frames in the middle say something of each other
    m, path, seen = observed(model, dataset(x, interval, mass=MASS))
    assert abs(float(total_of(path, m, seen) - alone)) > 1.0


def test_beads_of_different_mass_have_filters_of_their_own():
    memory, interval = MEMORIES["markovian"], 0.05
    series, exact = [], 0.0
    for seed, mass in enumerate((18.0, 40.0, 18.0)):
        covariance, _ = autocovariance(memory, mass, STIFFNESS, interval * np.arange(200))
        series.append(gaussian_series(covariance, seed)[:, 0])
        exact += conditional_log_density(covariance, series[-1])
    data = dataset(np.stack(series, axis=1), interval, mass=np.array([18.0, 40.0, 18.0]))
    model, path, seen = observed(Model(bcg.potentials.Harmonic(STIFFNESS, 0.0), memory), data)
    assert len(seen.groups) == 2
    assert float(total_of(path, model, seen)) == pytest.approx(exact, rel=1e-8)


def test_a_turning_angle_moves_smoothly():
    memory, interval, period = Markovian(50.0), 0.05, 2 * np.pi
    steps = np.random.default_rng(3).normal(size=(400, 1)) * 0.5
    smooth = np.cumsum(steps, axis=0)
    wrapped = (smooth + np.pi) % period - np.pi
    assert np.abs(np.diff(wrapped, axis=0)).max() > 5.0
    data = dataset(wrapped, interval, mass=MASS).assign(period=("dim", [period], {"units": "nm"}))
    model = Model(None, memory)
    found = []
    for one in (data, dataset(smooth, interval, mass=MASS)):
        m, path, seen = observed(model, one)
        found.append(float(total_of(path, m, seen)))
    assert found[0] == pytest.approx(found[1], rel=1e-10)


def test_mass_of_a_variable_without_one_is_a_parameter():
    covariance, _ = autocovariance(MEMORIES["prony"], MASS, STIFFNESS, 0.02 * np.arange(300))
    data = dataset(gaussian_series(covariance, 4), 0.02)
    model = Model(bcg.potentials.Harmonic(STIFFNESS, 0.0), MEMORIES["prony"])
    m, path, seen = observed(model, data)
    assert set(path.default_priors(seen)) == {"mass"}
    right = with_values(path, {"mass": MASS})
    exact = conditional_log_density(covariance, data["position"].values[:, 0, 0])
    assert float(total_of(right, m, seen)) == pytest.approx(exact, rel=1e-8)
    # a number given is a constant
    m, path, seen = observed(model, data, mass=MASS)
    assert path.default_priors(seen) == {}
    assert float(total_of(path, m, seen)) == pytest.approx(exact, rel=1e-8)
