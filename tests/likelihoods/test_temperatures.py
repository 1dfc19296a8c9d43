"""Data of several temperatures in one term, and what a temperature-dependent potential asks of data."""

import equinox as eqx
import numpy as np
import pytest

import bayescg as bcg
from bayescg.likelihoods import ForceMatching, Path, StudentT
from bayescg.model import Model, with_values
from bayescg.potentials import DoubleWell, Harmonic, Thermodynamic, at_temperature
from tests.likelihoods.gle_data import dataset
from tests.potentials.test_thermodynamic import MODEL, PRIOR, gas

KELVINS, MASS = (280.0, 340.0), 18.0
MEMORY = bcg.memory.Markovian(360.0)
WELL = DoubleWell(center=0.0)
ENERGY, ENTROPY = np.array([1000.0, 6000.0]), np.array([3.0, 20.0])


def paths(seed=0):
    """Two short runs of one bead on a line, at different temperatures."""
    rng, runs = np.random.default_rng(seed), []
    for kelvin in KELVINS:
        v = np.sqrt(bcg.units.thermal_energy(kelvin) / MASS) * rng.normal(size=(300, 1))
        runs.append(dataset(0.05 * np.cumsum(v, axis=0), 0.05, v=v, temperature=kelvin))
    return runs


@eqx.filter_jit
def density(path, model, seen):
    return path.log_likelihood(model, seen)


def scored(potential, data, changes):
    path = Path("velocities", mass=MASS)
    model, path = path.prepare(Model(potential, MEMORY), data)
    model = Model(with_values(model.potential, changes), MEMORY)
    return float(density(path, model, path.observe(model, data)))


def test_every_run_of_a_path_is_scored_at_its_own_temperature():
    """Against paths of one temperature each, with the coefficients a - T b put in by hand."""
    parts = {"energy_part.coefficients": ENERGY, "entropy_part.coefficients": ENTROPY}
    found = scored(Thermodynamic(WELL, WELL), paths(), parts)
    alone = [
        scored(WELL, [run], {"coefficients": ENERGY - kelvin * ENTROPY})
        for run, kelvin in zip(paths(), KELVINS, strict=True)
    ]
    # FFTs of two runs in one sum against one by one: rounding of 600 frames
    assert found == pytest.approx(sum(alone), rel=1e-9)
    # control: the coefficients of the other temperature
    wrong = [
        scored(WELL, [run], {"coefficients": ENERGY - kelvin * ENTROPY})
        for run, kelvin in zip(paths(), reversed(KELVINS), strict=True)
    ]
    assert abs(found - sum(wrong)) > 0.01


def test_a_path_with_a_potential_that_is_not_linear_uses_its_temperature():
    potential, run = Thermodynamic(Harmonic(90.0, 0.1), Harmonic(0.1, 0.3)), paths()[1]
    found = scored(potential, [run], {})
    assert found == pytest.approx(scored(at_temperature(potential, 340.0), [run], {}), rel=1e-12)
    assert abs(found - scored(at_temperature(potential, 280.0), [run], {})) > 0.01


@pytest.mark.parametrize("noise", [None, StudentT()], ids=["sums", "frames"])
def test_the_state_point_without_a_temperature_is_named(noise):
    matching = ForceMatching() if noise is None else ForceMatching(noise=noise)
    points = [gas(280.0), gas(340.0, seed=1)]
    del points[1].attrs["temperature"]
    rule = (
        "a Thermodynamic potential needs the temperature of every state point, got none for the data 2 of 2"
    )
    with pytest.raises(bcg.BayescgError, match=rule):
        bcg.Problem(MODEL, PRIOR, matching.on(points))
    # control: a potential without temperature asks for none
    plain = Model(MODEL.potential.energy_part)
    bcg.Problem(
        plain, {"potential.coefficients": PRIOR["potential.energy_part.coefficients"]}, matching.on(points)
    )


def test_an_impossible_temperature_is_refused():
    with pytest.raises(bcg.BayescgError, match=r"temperature must be positive, got -300\.0 K"):
        bcg.Problem(MODEL, PRIOR, ForceMatching().on(gas(300.0).assign_attrs(temperature=-300.0)))
