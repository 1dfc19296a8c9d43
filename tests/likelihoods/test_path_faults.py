"""What a path likelihood refuses, each with the remedy."""

import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg
from bayescg._checks import BayescgError, BayescgWarning
from bayescg.likelihoods import Path
from bayescg.memory import Markovian, Prony
from bayescg.model import Model, with_values
from tests.likelihoods.gle_data import dataset

FRAMES, INTERVAL = 200, 0.1
MODEL = Model(None, Markovian(50.0))
EVEN = INTERVAL * np.arange(FRAMES)


def walk(frames=FRAMES, seed=0):
    return np.cumsum(0.01 * np.random.default_rng(seed).normal(size=(frames, 1)), axis=0)


def with_times(times):
    return dataset(walk(), INTERVAL, mass=18.0).assign_coords(time=("frame", times, {"units": "ps"}))


def reduce(data, model=MODEL, path=None):
    path = path or Path()
    model, path = path.prepare(model, data)
    return path.observe(model, data)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (EVEN * np.linspace(1, 2, FRAMES), "equal intervals"),
        (np.zeros(FRAMES), "time must increase"),
        (EVEN[::-1], "time must increase"),
        (EVEN + 5 * INTERVAL * (np.arange(FRAMES) >= 2), "at least 4 frames, got 2 frames from"),
    ],
)
def test_times_that_make_no_path_are_refused(times, message):
    with pytest.raises(BayescgError, match=message):
        reduce(with_times(times))


def test_times_in_single_precision_are_regular():
    times = (1000.0 + EVEN).astype(np.float32).astype(float)
    assert reduce(with_times(times)).groups[0].interval == pytest.approx(INTERVAL, rel=1e-3)


def test_few_frames_for_many_modes_are_refused():
    data = dataset(walk(30), INTERVAL, mass=18.0)
    reduce(data)
    with pytest.raises(BayescgError, match="Take fewer modes"):
        reduce(data, Model(None, Prony(5)))


def test_missing_quantities_are_named():
    data = dataset(walk(), INTERVAL, mass=18.0)
    with pytest.raises(BayescgError, match="velocity must be given"):
        reduce(data, path=Path("velocities"))
    with pytest.raises(BayescgError, match="time must be given"):
        reduce(data.drop_vars("time"))
    del data.attrs["temperature"]
    with pytest.raises(BayescgError, match="temperature must be given"):
        reduce(data)


def test_velocities_of_another_temperature_warn():
    v = 2.0 * np.sqrt(2.494 / 18.0) * np.random.default_rng(0).normal(size=(FRAMES, 1))
    with pytest.warns(BayescgWarning, match="velocities show"):
        Path("velocities").prepare(MODEL, dataset(walk(), INTERVAL, v=v, mass=18.0))


def test_a_model_without_memory_is_refused():
    with pytest.raises(BayescgError, match="model must have a memory"):
        Path().prepare(Model(None), dataset(walk(), INTERVAL, mass=18.0))


def test_arguments_are_checked():
    with pytest.raises(BayescgError, match="observed must be one of"):
        Path("forces")
    with pytest.raises(BayescgError, match="mass must be positive"):
        Path(mass=-1.0)
    with pytest.raises(BayescgError, match="measurement_noise must be None for velocities"):
        Path("velocities", measurement_noise=0.1)


def test_a_spring_on_an_angle_is_refused():
    data = dataset(walk(), INTERVAL, mass=18.0).assign(period=("dim", [2 * np.pi], {"units": "nm"}))
    with pytest.raises(BayescgError, match="Harmonic needs a variable without period"):
        reduce(data, Model(bcg.potentials.Harmonic(40.0, 0.0), Markovian(50.0)))


def test_conjugate_needs_linear_forces():
    data = dataset(walk(), INTERVAL, mass=18.0)
    model, path = Path().prepare(Model(bcg.potentials.Harmonic(40.0, 0.0), Markovian(50.0)), data)
    with pytest.raises(BayescgError, match="linear in its coefficients, got Harmonic"):
        path.quadratic_form(model, path.observe(model, data))


def test_constant_positions_are_refused():
    with pytest.raises(BayescgError, match="positions must move"):
        reduce(dataset(np.zeros((FRAMES, 1)), INTERVAL, mass=18.0))


def test_no_noise_at_all_has_no_density():
    """Without friction nothing is random: the density is no number to be mistaken for one."""
    data = dataset(walk(), INTERVAL, mass=18.0)
    model, path = Path().prepare(MODEL, data)
    seen = path.observe(model, data)
    still = with_values(model, {"memory.friction": jnp.array(0.0)})
    assert not np.isfinite(float(path.log_likelihood(still, seen)))
    assert np.isfinite(float(path.log_likelihood(model, seen)))


class Heating(bcg.interfaces.AbstractMemory):
    """An auxiliary variable that grows: friction of the wrong sign."""

    def drift(self):
        return bcg.interfaces.Drift(jnp.array([[-2.0]]), jnp.array([3.0]), jnp.zeros(()))

    def prepare(self, timescales):
        return self

    def coordinates(self):
        return {}


def test_an_unstable_kernel_is_refused():
    with pytest.raises(bcg.BayescgError, match=r"Heating .*eigenvalue"):
        bcg.likelihoods.Path().prepare(bcg.Model(None, Heating()), dataset(walk(), INTERVAL, mass=18.0))


def test_a_memory_of_pairs_is_refused():
    pairs = bcg.memory.Pairwise(bcg.memory.Prony(1), cutoff=0.5)
    with pytest.raises(bcg.BayescgError, match=r"memory must be one of single beads, got Pairwise"):
        bcg.likelihoods.Path().prepare(bcg.Model(None, pairs), dataset(walk(), INTERVAL, mass=18.0))
