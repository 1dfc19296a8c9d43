"""Data of several temperatures in one term, and what a temperature-dependent potential asks of data."""

import equinox as eqx
import jax
import numpy as np
import pytest
import scipy.stats

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


def noise_at(kelvin, count=40, scale=80.0):
    """Frames of a gas whose forces are noise alone, of variance proportional to temperature."""
    beads = gas(kelvin, frames=count, seed=int(kelvin))
    rng = np.random.default_rng(int(kelvin))
    noise = scale * np.sqrt(kelvin / 300.0) * rng.normal(size=beads["force"].shape)
    return beads.assign(force=beads["force"].copy(data=noise))


def scored_forces(points, noise, scale):
    """Log density of forces and its blocks, at coefficients of zero."""
    matching = ForceMatching(noise=noise)
    model, ready = matching.prepare(Model(MODEL.potential.energy_part), points)
    ready = eqx.tree_at(lambda m: m.noise.scale, ready, np.full(2, scale))
    seen = ready.observe(model, points)
    return float(ready.log_likelihood(model, seen)), np.asarray(ready.blocks(model, seen)), ready, seen


def test_noise_grows_with_the_root_of_temperature():
    """Against the normal density of all components, each with its own standard deviation."""
    points = [noise_at(280.0), noise_at(340.0)]
    found, blocks, matching, _ = scored_forces(points, ForceMatching().noise, 70.0)
    assert matching.reference_temperature == 310.0
    exact = sum(
        scipy.stats.norm.logpdf(beads["force"].values, scale=70.0 * np.sqrt(kelvin / 310.0)).sum()
        for beads, kelvin in zip(points, KELVINS, strict=True)
    )
    assert found == pytest.approx(exact, rel=1e-12)
    assert blocks.sum() == pytest.approx(exact, rel=1e-12)
    # control: one scale for all
    alike = sum(scipy.stats.norm.logpdf(beads["force"].values, scale=70.0).sum() for beads in points)
    assert abs(found - alike) > 0.01


def test_noise_of_frames_grows_likewise():
    points = [noise_at(280.0), noise_at(340.0)]
    found, blocks, _, seen = scored_forces(points, StudentT(degrees=5.0), 70.0)
    exact = sum(
        scipy.stats.t.logpdf(beads["force"].values, 5.0, scale=70.0 * np.sqrt(kelvin / 310.0)).sum()
        for beads, kelvin in zip(points, KELVINS, strict=True)
    )
    assert found == pytest.approx(exact, rel=1e-12)
    assert blocks.sum() == pytest.approx(exact, rel=1e-12)
    np.testing.assert_allclose(seen.mean_square(), 80.0**2 * 310.0 / 300.0, rtol=0.05)


def test_the_scale_of_a_single_temperature_is_its_own():
    _, _, matching, seen = scored_forces([noise_at(340.0)], ForceMatching().noise, 70.0)
    assert matching.reference_temperature == 340.0
    forces = noise_at(340.0)["force"].values
    assert seen.mean_square().mean() == pytest.approx(np.square(forces).mean(), rel=0.01)


def test_held_out_forces_have_the_noise_of_their_temperature():
    """Noise fitted at 300 K alone leaves central intervals honest at 600 K."""
    model = Model(MODEL.potential.energy_part)
    prior = {"potential.coefficients": PRIOR["potential.energy_part.coefficients"]}
    problem = bcg.Problem(model, prior, ForceMatching().on(noise_at(300.0)))
    tree = bcg.sample(problem, bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
    far = noise_at(600.0)

    def covered(held_out):
        names = {"exact": problem}
        settings = {"draws": 50, "progress": False, "key": jax.random.key(1)}
        table = bcg.compare(names.get, {"exact": tree}, held_out=held_out, **settings).table
        return float(table["coverage"].sel(sampler="exact", level=0.9))

    assert covered(far) == pytest.approx(0.9, abs=0.02)  # of 40 frames of beads: 0.01 is one standard error
    # control: the same forces, said to be of the temperature that was fitted; 0.755 is expected
    assert covered(far.assign_attrs(temperature=300.0)) == pytest.approx(0.755, abs=0.02)
