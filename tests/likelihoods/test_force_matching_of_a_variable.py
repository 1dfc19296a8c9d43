"""Mean forces on a collective variable: potentials of single sites, alone and in sums with other terms."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import xarray as xr
from scipy import stats

import bayescg as bcg
from bayescg.interfaces import Configuration
from bayescg.likelihoods import Correlation, ForceMatching

KT = bcg.units.thermal_energy(300.0)
STIFFNESS, SCATTER, FRAMES = 50.0, 20.0, 400


def variable(scatter=SCATTER, frames=FRAMES, seed=0):
    """x in its harmonic well, with a mapped force that scatters about the mean force."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.3, np.sqrt(KT / STIFFNESS), size=(frames, 1, 1))
    force = -STIFFNESS * (x - 0.3) + scatter * rng.normal(size=x.shape)
    dims = ("frame", "bead", "dim")
    return xr.Dataset(
        {
            "position": (dims, x, {"units": "nm"}),
            "force": (dims, force, {"units": "kJ/mol/nm"}),
            "mass": ("bead", [10.0], {"units": "amu"}),
        },
        coords={"dim": ["q"]},
        attrs={"temperature": 300.0},
    )


def configurations(grid):
    topology, nobody = bcg.data.topology(variable(frames=1)), jnp.zeros((1, 0), int)
    return [Configuration(jnp.full((1, 1), x), None, nobody, topology) for x in grid]


PRIOR = {
    "potential.stiffness": dist.LogNormal(4.0, 1.0),
    "potential.center": dist.Normal(0.0, 1.0),
    "likelihood.noise.scale": 20.0,
}


@pytest.fixture(scope="module")
def problem():
    return bcg.Problem(bcg.Model(bcg.potentials.Harmonic()), PRIOR, ForceMatching().on(variable()))


def test_density_of_a_harmonic_mean_force(problem):
    data = variable()
    x, f = data["position"].values.ravel(), data["force"].values.ravel()
    expected = stats.norm(-40.0 * (x - 0.25), 20.0).logpdf(f).sum()
    values = {
        "potential.stiffness": 40.0,
        "potential.center": 0.25,
        "likelihood.noise.scale": np.array([20.0]),
    }
    assert float(problem.log_likelihood(values)) == pytest.approx(expected, rel=1e-10)
    other = stats.norm(-40.0 * (x - 0.35), 20.0).logpdf(f).sum()
    assert abs(other - expected) > 0.1


def test_a_spline_of_the_variable_is_conjugate_and_finds_the_mean_force():
    model = bcg.Model(bcg.potentials.Spline1D(knots=6))
    problem = bcg.Problem(model, bcg.priors.default(model), ForceMatching().on(variable()))
    posterior = bcg.sample(problem, bcg.Conjugate(chains=2, draws=200), key=jax.random.key(0), progress=False)
    c = posterior["posterior"]["potential.coefficients"].values.reshape(400, -1)
    spline = problem.joint.potential
    grid = np.linspace(0.15, 0.45, 7)
    design = np.concatenate([np.asarray(spline.basis_forces(one)) for one in configurations(grid)])[:, 0]
    forces = design @ c.T
    standard = (forces.mean(1) + STIFFNESS * (grid - 0.3)) / forces.std(1)
    # seven correlated standard scores: beyond 4.5 once in 20,000
    assert np.abs(standard).max() < 4.5
    assert (forces.std(1) < 0.5 * SCATTER).all()


def test_sum_with_a_correlation_function_determines_what_neither_does_alone():
    """Forces give the stiffness, the normalized correlation function stiffness over friction."""
    lags = 0.2 * np.arange(1, 6)
    decay = np.exp(-STIFFNESS / 30.0 * lags)
    table = bcg.data.correlation_table(lags, decay, np.full(5, 0.02), temperature=300.0)
    model = bcg.Model(bcg.potentials.Harmonic(), bcg.memory.Markovian())
    prior = {
        "potential.stiffness": dist.LogNormal(4.0, 1.0),
        "memory.friction": dist.LogNormal(3.0, 1.0),
        "potential.center": 0.3,
    }
    at = {"potential.stiffness": STIFFNESS, "memory.friction": 30.0}
    dynamic = Correlation(overdamped=True).on(table)
    static = ForceMatching().on(variable())
    noise = {"likelihood.1.noise.scale": 20.0}
    both = bcg.identify(bcg.Problem(model, prior | noise, dynamic + static), at)
    alone = bcg.identify(bcg.Problem(model, prior, dynamic), at)
    assert both.null_directions.sizes["direction"] == 0
    assert alone.null_directions.sizes["direction"] == 1
    # in (log k, log gamma): forces k² <(x - x0)²> N/sigma² on the stiffness; the table u² e^-2u on both
    x = variable()["position"].values.ravel()
    stiff = STIFFNESS**2 * np.sum((x - 0.3) ** 2) / 20.0**2
    u = STIFFNESS / 30.0 * lags
    moved = np.sum((u * decay / 0.02) ** 2)
    expected = np.array([[moved, -moved], [-moved, moved + stiff]])  # (friction, stiffness)
    found = np.sort(np.linalg.eigvalsh(expected))
    np.testing.assert_allclose(np.sort(both.spectrum["information"].values), found, rtol=1e-6)


def test_an_exact_term_does_not_hide_the_error_bars_of_a_sampled_one():
    lags = np.array([0.2, 0.4])
    table = bcg.data.correlation_table(lags, np.exp(-lags), np.full(2, 0.02), temperature=300.0)
    model = bcg.Model(bcg.potentials.Harmonic(), bcg.memory.Markovian())
    prior = {"potential.stiffness": dist.LogNormal(4.0, 1.0), "memory.friction": dist.LogNormal(3.0, 1.0)}
    fixed = prior | {"potential.center": 0.3, "likelihood.1.noise.scale": 20.0}
    at = {"potential.stiffness": STIFFNESS, "memory.friction": 30.0}
    terms = Correlation(overdamped=True).on(table) + ForceMatching(blocks_kept=16).on(variable())
    found = bcg.identify(bcg.Problem(model, fixed, terms), at).spectrum
    assert np.isfinite(found["information_error"].values).all()
    assert (found["information_error"].values > 0).any()
