"""Data of known truth: they have the truth they claim."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg
from bayescg.units import BOLTZMANN


def soft(r):
    return 200.0 * (0.6 - r) ** 3


def test_pair_forces_are_the_gradient_of_the_pair_energy():
    beads = bcg.data.synthetic.pair_forces(soft, cutoff=0.6, frames=2, beads=20, key=jax.random.key(0))
    x, f = beads["position"].to_numpy(), beads["force"].to_numpy()
    for frame in range(2):
        for bead in range(20):
            separation = x[frame, bead] - np.delete(x[frame], bead, axis=0)
            separation -= 2.0 * np.round(separation / 2.0)
            r = np.linalg.norm(separation, axis=1)
            slope = np.where(r < 0.6, -600.0 * (0.6 - r) ** 2, 0.0)
            assert np.allclose(f[frame, bead], -(slope / r) @ separation, atol=1e-9)
    assert np.abs(f).max() > 1.0


def test_pair_configurations_keep_their_distance_and_the_noise_its_scale():
    options = {"cutoff": 0.6, "frames": 10, "beads": 40, "shortest": 0.3, "key": jax.random.key(1)}
    clean = bcg.data.synthetic.pair_forces(soft, **options)
    noisy = bcg.data.synthetic.pair_forces(soft, noise=50.0, **options)
    x = clean["position"].to_numpy()
    separation = x[:, :, None] - x[:, None]
    separation -= 2.0 * np.round(separation / 2.0)
    r = np.linalg.norm(separation, axis=-1) + 9 * np.eye(40)
    assert 0.3 <= r.min() < 0.4
    noise = (noisy["force"] - clean["force"]).to_numpy()
    assert noise.std() == pytest.approx(50.0, rel=5 / np.sqrt(2 * noise.size))
    assert np.abs(clean["force"].sum("bead")).max() < 1e-9
    assert bcg.data.validate(noisy, needs=("force", "box", "mass")).identical(noisy)


def test_quadratic_pair_has_the_mean_force_and_the_noise_it_claims():
    frames, k, c, a = 200_000, 90.0, 150.0, 1.7
    data = bcg.data.synthetic.quadratic_pair(frames=frames, k=k, c=c, a=a, key=jax.random.key(2))
    x, f = (data[name].to_numpy().ravel() for name in ("position", "force"))
    kT = BOLTZMANN * 300
    residual = f + k * x
    assert np.mean(x**2) == pytest.approx(kT / k, rel=5 * np.sqrt(2 / frames))
    # E[residual² | x] = 4 a² c kT x²; relative error of the mean of x² e²: sqrt(8 / frames)
    assert np.mean(residual**2) == pytest.approx(4 * a**2 * c * kT * kT / k, rel=5 * np.sqrt(8 / frames))
    slope = np.sum(x * residual) / np.sum(x**2)
    naive = np.sqrt(np.mean(residual**2) / np.sum(x**2))
    sandwich = np.sqrt(np.sum((x * residual) ** 2)) / np.sum(x**2)
    assert abs(slope) < 5 * sandwich
    # a mean of x⁴ e²: relative variance E[x⁸ e⁴] / E[x⁴ e²]² - 1 = 34; the square root halves the error
    assert sandwich / naive == pytest.approx(np.sqrt(3), rel=5 * 0.5 * np.sqrt(34 / frames))
    assert bcg.data.validate(data, needs=("force",)).sizes["bead"] == 1


def test_rigid_water_is_rigid_and_at_its_temperature():
    atoms = bcg.data.synthetic.rigid_water(frames=50, molecules=20, temperature=350.0)
    q = atoms["position"].to_numpy().reshape(50, 20, 3, 3)
    v = atoms["velocity"].to_numpy().reshape(50, 20, 3, 3)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        bond = q[:, :, i] - q[:, :, j]
        bond -= 2.0 * np.round(bond / 2.0)
        assert np.ptp(np.linalg.norm(bond, axis=-1)) < 1e-12
        # the bond does not stretch
        assert np.abs(np.sum(bond * (v[:, :, i] - v[:, :, j]), axis=-1)).max() < 1e-12
    kinetic = np.sum(atoms["mass"].to_numpy()[:, None] * atoms["velocity"].to_numpy() ** 2) / (50 * 20)
    # six degrees of freedom a molecule; 6000 numbers
    assert kinetic / (6 * BOLTZMANN) == pytest.approx(350.0, rel=5 * np.sqrt(2 / 6000))
    assert jnp.asarray(q).dtype == jnp.float64
