"""U = A - T B: energies and forces at every temperature, and what data at one or several determine."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import xarray as xr

import bayescg as bcg
from bayescg.interfaces import AbstractLinearPotential, Support
from bayescg.likelihoods import ForceMatching, StudentT
from bayescg.likelihoods.force_matching import coefficients
from bayescg.model import parameters, with_values
from bayescg.potentials import LennardJones, PairSpline, Thermodynamic, at_temperature
from tests.potentials.test_contract import CONTRACT, CUTOFF, START, TWO, configuration, energy_of, forces_of

SPLINE = PairSpline(cutoff=CUTOFF, knots=8, start=START)


def ready(energy, entropy, seed=0):
    potential = Thermodynamic(energy=energy, entropy=entropy).prepare(Support(TWO, (START,) * 3))
    rng = np.random.default_rng(seed)
    drawn = {
        path: (0.01 if path.startswith("entropy") else 3.0) * rng.normal(size=value.shape)
        for path, value in parameters(potential).items()
        if path.endswith("coefficients")
    }
    return with_values(potential, drawn)


LINEAR = ready(SPLINE, SPLINE)
GENERAL = ready(LennardJones(cutoff=CUTOFF), SPLINE)
OF_ONE_KIND = ready(
    LennardJones([0.5, 0.8, 0.6], [0.3, 0.32, 0.31], cutoff=CUTOFF, type_names=TWO),
    LennardJones([1e-3, 2e-3, 1e-3], [0.31, 0.3, 0.32], cutoff=CUTOFF, type_names=TWO),
)


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_contract_at_one_temperature(check):
    check(at_temperature(LINEAR, 320.0), TWO)


POTENTIALS = {"linear": LINEAR, "general": GENERAL, "of one kind, not linear": OF_ONE_KIND}


@pytest.mark.parametrize(
    ("name", "kelvin"),
    [("linear", 280.0), ("linear", 340.0), *((n, 340.0) for n in POTENTIALS if n != "linear")],
)
def test_energy_is_a_minus_t_b(name, kelvin):
    potential = POTENTIALS[name]
    frame = configuration(TWO, periodic=True)
    a, b = (energy_of(part, frame) for part in (potential.energy_part, potential.entropy_part))
    here = frame.at(jnp.asarray(kelvin))
    assert float(energy_of(potential, here)) == pytest.approx(float(a - kelvin * b), rel=1e-12)
    forces = forces_of(potential.energy_part, frame) - kelvin * forces_of(potential.entropy_part, frame)
    scale = np.abs(forces).max()
    np.testing.assert_allclose(forces_of(potential, here), forces, atol=1e-10 * scale)
    fixed = at_temperature(potential, kelvin)
    np.testing.assert_allclose(forces_of(fixed, frame), forces, atol=1e-10 * scale)
    # control: twenty kelvin away the forces are others
    assert (
        np.abs(forces_of(fixed, frame) - forces_of(potential, frame.at(kelvin + 20.0))).max() > 1e-3 * scale
    )


def test_the_linear_one_is_its_basis_times_its_coefficients():
    assert isinstance(LINEAR, AbstractLinearPotential)
    assert not isinstance(GENERAL, AbstractLinearPotential)
    frame = configuration(TWO, periodic=True).at(jnp.asarray(310.0))
    rows = LINEAR.basis_forces(frame)
    expected = forces_of(LINEAR, frame)
    np.testing.assert_allclose(rows @ coefficients(LINEAR), expected, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("potential", [LINEAR, GENERAL], ids=["linear", "general"])
def test_two_beads_closer_than_any_of_the_data_repel_each_other(potential):
    """The entropy's own wall, times -T, would pull them together with 300 times the stiffness of a wall."""
    at = jnp.array([[0.0, 0.0, 0.0], [START - 0.02, 0.0, 0.0]])
    near = dataclasses.replace(configuration(TWO, periodic=False), neighbors=jnp.array([[1], [0]]))
    topology = dataclasses.replace(near.topology, types=jnp.zeros(2, int))
    pair = dataclasses.replace(near, positions=at, topology=topology).at(jnp.asarray(300.0))
    zero = jnp.zeros_like(potential.entropy_part.coefficients)
    flat = with_values(potential, {"entropy_part.coefficients": zero})  # B = 0: only its wall is left
    expected = forces_of(flat.energy_part, pair)
    np.testing.assert_allclose(forces_of(flat, pair), expected, rtol=1e-9)
    assert float(expected[1, 0]) > 100.0
    # control: the wall is there in B itself
    assert abs(float(forces_of(flat.entropy_part, pair)[1, 0])) * 300.0 > 10_000.0


def test_a_pair_spline_stays_one_at_one_temperature():
    """So that simulations keep their tables; sums keep their other terms."""
    both = at_temperature(LINEAR + SPLINE.prepare(Support(TWO, (START,) * 3)), 300.0)
    assert [type(term) for term in both.terms] == [PairSpline, PairSpline]
    assert type(at_temperature(GENERAL, 300.0)).__name__ == "AtTemperature"


def test_all_temperatures_share_one_program():
    traced = []

    @eqx.filter_jit
    def energy(potential, frame):
        traced.append(1)
        return potential.energy(frame)

    frame = configuration(TWO, periodic=True)
    for kelvin in (280.0, 300.0, jnp.asarray(340.0)):  # numbers and arrays alike
        energy(LINEAR, frame.at(kelvin))
    assert len(traced) == 1


def gas(kelvin, frames=6, seed=0, truth=None):
    """Few beads of two types whose forces are those of a Thermodynamic, with noise."""
    rng, dims = np.random.default_rng(seed), ("frame", "bead", "dim")
    found, forces = [], []
    for index in range(frames):
        frame = configuration(TWO, periodic=True, seed=100 * seed + index)
        found.append(np.asarray(frame.positions))
        forces.append(
            np.asarray(forces_of(LINEAR if truth is None else truth, frame.at(jnp.asarray(kelvin))))
        )
    x, f = np.stack(found), np.stack(forces)
    types = np.array(TWO)[np.asarray(frame.topology.types)]
    return xr.Dataset(
        {
            "position": (dims, x, {"units": "nm"}),
            "force": (dims, f + 0.5 * rng.normal(size=f.shape), {"units": "kJ/mol/nm"}),
            "box": (("frame", "dim"), np.full((frames, 3), 2.0), {"units": "nm"}),
            "mass": ("bead", np.ones(types.size), {"units": "amu"}),
            "type": ("bead", types),
        },
        coords={"dim": ["x", "y", "z"]},
        attrs={"temperature": kelvin},
    )


MODEL = bcg.Model(Thermodynamic(energy=SPLINE, entropy=SPLINE))
PRIOR = {
    "potential.energy_part.coefficients": dist.Normal(0.0, 10.0),
    "potential.entropy_part.coefficients": dist.Normal(0.0, 0.03),
    "likelihood.noise.scale": 0.5,
}
KELVINS = (280.0, 340.0)


def problem(kelvins, noise=None, **data):
    matching = ForceMatching() if noise is None else ForceMatching(noise=noise)
    points = [gas(kelvin, seed=index, **data) for index, kelvin in enumerate(kelvins)]
    return bcg.Problem(MODEL, PRIOR, matching.on(points))


def test_every_frame_is_scored_at_its_own_temperature():
    """Sums and stored frames against forces evaluated one by one, two temperatures in one term."""
    u = 0.3 * jax.random.normal(jax.random.key(0), (42,))
    sums, frames = problem(KELVINS), problem(KELVINS, noise=StudentT(degrees=1e6))
    values = sums.constrain(u)
    model, residuals = sums.model(values), []
    scales = 0.5 * np.sqrt(np.array(KELVINS) / np.mean(KELVINS))
    for index, kelvin in enumerate(KELVINS):
        data = gas(kelvin, seed=index)
        for step in range(6):
            frame = configuration(TWO, periodic=True, seed=100 * index + step)
            mean = forces_of(model.potential, frame.at(jnp.asarray(kelvin)))
            residuals.append((data["force"].values[step] - np.asarray(mean)) / scales[index])
    r = np.stack(residuals)
    widths = np.repeat(scales, 6)[:, None, None]
    expected = float(np.sum(-0.5 * r**2 - np.log(widths * np.sqrt(2 * np.pi))))
    assert float(sums.log_likelihood(values)) == pytest.approx(expected, rel=1e-9)
    # a Student t of 1e6 degrees is a Gaussian to (r/sigma)^4/4e6 a component
    size = float(np.sum(r**4) / 4e6)
    assert float(frames.log_likelihood(values)) == pytest.approx(expected, abs=2 * size + 1e-4)
    # control: both at one temperature
    wrong = bcg.Problem(
        MODEL,
        PRIOR,
        ForceMatching().on([gas(k, seed=i).assign_attrs(temperature=300.0) for i, k in enumerate(KELVINS)]),
    )
    assert abs(float(wrong.log_likelihood(values)) - expected) > 10


def test_one_temperature_identifies_a_minus_t0_b_and_two_identify_both():
    at = {"potential.energy_part.coefficients": LINEAR.energy_part.coefficients}
    at["potential.entropy_part.coefficients"] = LINEAR.entropy_part.coefficients
    loose = PRIOR | {"potential.entropy_part.coefficients": dist.Normal(0.0, 10.0 / 300.0)}

    def found(kelvins):
        points = [gas(kelvin, frames=20) for kelvin in kelvins]
        return bcg.identify(bcg.Problem(MODEL, loose, ForceMatching().on(points)), at)

    one, two = found((300.0,)), found(KELVINS)
    ranks = [
        int(np.sum(f.spectrum["information"] > 1e-9 * f.spectrum["information"].max())) for f in (one, two)
    ]
    assert ranks[1] == 2 * ranks[0]
    # A + T0 v and B + v say the same at T0: all of that direction is null at one temperature, little at two
    v = np.random.default_rng(5).normal(size=21)
    deviations = np.repeat([10.0, 10.0 / 300.0], 21)
    direction = np.concatenate([300.0 * v, v]) / deviations
    direction /= np.linalg.norm(direction)

    def null_part(identified):
        span, _ = np.linalg.qr((identified.null_directions["loadings"].values / deviations).T)
        return np.linalg.norm(span.T @ direction)

    assert null_part(one) == pytest.approx(1.0, abs=1e-6)
    assert null_part(two) < 0.7


def test_a_missing_temperature_is_named():
    with pytest.raises(bcg.BayescgError, match="needs the temperature of every frame, got none"):
        LINEAR.energy(configuration(TWO, periodic=True))
    with pytest.raises(bcg.BayescgError, match="needs the temperature of every frame, got none"):
        LINEAR.basis_forces(configuration(TWO, periodic=True))


def test_parts_must_be_potentials_without_temperature():
    with pytest.raises(bcg.BayescgError, match="energy must be a potential, got float"):
        Thermodynamic(energy=1.0, entropy=SPLINE)
    with pytest.raises(bcg.BayescgError, match="entropy must not depend on temperature"):
        Thermodynamic(energy=SPLINE, entropy=MODEL.potential)
    with pytest.raises(bcg.BayescgError, match="temperature must be positive"):
        at_temperature(LINEAR, -1.0)
    with pytest.raises(bcg.BayescgError, match="No default prior is known for epsilon of the entropy"):
        bcg.priors.default(bcg.Model(Thermodynamic(SPLINE, LennardJones(cutoff=CUTOFF))))


def test_the_default_prior_of_the_entropy_is_per_kelvin():
    prior = bcg.priors.default(MODEL)
    energy, entropy = (prior[f"potential.{part}_part.coefficients"] for part in ("energy", "entropy"))
    assert entropy.roughness == pytest.approx(energy.roughness / 300.0)
    assert dataclasses.replace(entropy, roughness=energy.roughness) == energy
