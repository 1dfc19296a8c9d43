"""Rank uniformity of memory posteriors from positions alone, and coverage of a kernel that is known exactly.

Ranks: parameters from the prior, a trajectory from the exact linear process with those parameters, the rank
of each parameter among thinned posterior draws; under correct inference ranks are uniform (Talts et al.,
arXiv:1804.06788).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import xarray as xr
from scipy import stats

import bayescg as bcg
from bayescg.memory import extended_drift, with_spring
from bayescg.numerics.host_loop import HostLoop
from bayescg.numerics.statespace import van_loan
from bayescg.units import thermal_energy

MASS, STIFFNESS, TEMPERATURE, INTERVAL, FRAMES = 20.0, 800.0, 300.0, 0.02, 500
REPLICATES, DRAWS, KEPT = 100, 380, 19
"""Every twentieth of 380 draws: nearly independent, so a rank is one of 20 numbers."""

FALSE_ALARM = 1e-3
"""Of each uniformity test: twenty tests fail by chance in 2% of runs."""

CASES = {
    "prony1": (
        bcg.memory.Prony(modes=1),
        {"memory.times": dist.LogNormal(-2.0, 0.4), "memory.frictions": dist.LogNormal(4.0, 0.4)},
    ),
    "prony2": (
        bcg.memory.Prony(modes=2),
        {
            "memory.times": bcg.priors.OrderedTimes(dist.LogNormal(-2.0, 0.7)),
            "memory.frictions": dist.LogNormal(4.0, 0.4),
        },
    ),
    "oscillatory1": (
        bcg.memory.OscillatoryProny(modes=1),
        {
            "memory.times": dist.LogNormal(-1.5, 0.4),
            "memory.frequencies": dist.LogNormal(1.0, 0.3),
            "memory.frictions": dist.LogNormal(4.0, 0.4),
            "memory.asymmetries": dist.Uniform(-0.8, 0.8),
        },
    ),
}


def dataset(x):
    return xr.Dataset(
        {
            "position": (("frame", "bead", "dim"), x[:, None, None], {"units": "nm"}),
            "mass": ("bead", [MASS], {"units": "amu"}),
        },
        coords={"time": ("frame", INTERVAL * np.arange(len(x)), {"units": "ps"}), "dim": ["q"]},
        attrs={"temperature": TEMPERATURE},
    )


@jax.jit
def trajectory(memory, key):
    """Positions of the exact linear process of (x, v, z) at equilibrium."""
    kT = thermal_energy(TEMPERATURE)
    extended = extended_drift(memory, MASS, TEMPERATURE)
    drift, diffusion = with_spring(extended, MASS, STIFFNESS)
    step = van_loan(drift, diffusion, INTERVAL)
    size = drift.shape[0]
    noise = jnp.linalg.cholesky(step.noise + 1e-14 * jnp.diag(jnp.diag(step.noise)))
    widths = jnp.concatenate([jnp.sqrt(kT / STIFFNESS)[None], jnp.sqrt(jnp.diag(extended.stationary))])
    start_key, key = jax.random.split(key)

    def advance(state, key):
        return step.matrix @ state + noise @ jax.random.normal(key, (size,)), state[0]

    start = widths * jax.random.normal(start_key, (size,))
    return jax.lax.scan(advance, start, jax.random.split(key, FRAMES))[1]


def problem_of(memory, prior, x):
    model = bcg.Model(bcg.potentials.Harmonic(STIFFNESS, 0.0), memory=memory)
    return bcg.Problem(model, prior, bcg.likelihoods.Path(observed="positions").on(dataset(x)))


def ranks_of(case, replicates, *, wrong=1.0):
    """Ranks (replicate, parameter); `wrong` scales the frictions that the data are made with."""
    memory, prior = CASES[case]
    first = problem_of(memory, prior, np.random.default_rng(0).normal(scale=0.05, size=FRAMES))
    sampler, found = bcg.NUTS(chains=1, warmup=200, draws=DRAWS), []
    for key in jax.random.split(jax.random.key(7), replicates):
        prior_key, data_key, sample_key = jax.random.split(key, 3)
        u = first.initial(prior_key)
        values = first.constrain(u)
        made = {**values, "memory.frictions": wrong * values["memory.frictions"]}
        x = np.asarray(trajectory(first.with_values(made).memory, data_key))
        problem = problem_of(memory, prior, x)
        drawn = sampler.draw(problem, key=sample_key, loop=HostLoop(progress=False))
        thinned = drawn.positions[0, :: DRAWS // KEPT][:KEPT]
        found.append((thinned < np.asarray(u)).sum(axis=0))
    return np.array(found)


def p_values(ranks):
    """Chi-square test of uniformity of every parameter's ranks, in five bins."""
    return np.array([stats.chisquare(np.bincount(column // 4, minlength=5)).pvalue for column in ranks.T])


@eqx.filter_jit
def constrained(problem, positions):
    return jax.lax.map(problem.constrain, positions)


@pytest.mark.calibration
@pytest.mark.parametrize("case", CASES)
def test_ranks_are_uniform(case, record_property):
    found = p_values(ranks_of(case, REPLICATES))
    record_property("measured", f"rank uniformity, {REPLICATES} replicates, p = {np.round(found, 3)}")
    assert (found > FALSE_ALARM).all()


@pytest.mark.calibration
def test_data_of_another_friction_are_seen():
    assert (p_values(ranks_of("prony1", 40, wrong=1.6)) < FALSE_ALARM).any()


@pytest.mark.calibration
def test_intervals_cover_kernel_and_potential_of_a_harmonic_bath(record_property):
    """At least 90% of 95% intervals hold the truth, less two binomial standard errors of 50 replicates."""
    times, frictions, well, lags = (
        (0.05, 0.5),
        (60.0, 60.0),
        (1100.0, 49_000.0),
        np.array([0.02, 0.1, 0.3, 1.0]),
    )
    strengths = np.array(frictions) / np.array(times)
    kernel = np.exp(-lags[:, None] / np.array(times)) @ strengths
    truth = np.concatenate([well, kernel, [sum(frictions)]])
    hits = []
    for key in jax.random.split(jax.random.key(5), 50):
        data_key, sample_key = jax.random.split(key)
        beads = bcg.data.harmonic_bath(key=data_key, trajectories=20, frames=500, coefficients=well)
        model = bcg.Model(bcg.potentials.DoubleWell(center=0.0), memory=bcg.memory.Prony(modes=2))
        seen = beads.drop_vars(["velocity", "force", "total_energy"])
        problem = bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.Path().on(seen))
        drawn = bcg.Conjugate(chains=2, draws=250).draw(
            problem, key=sample_key, loop=HostLoop(progress=False)
        )
        values = constrained(problem, drawn.positions.reshape(500, -1))
        c = np.asarray(values["memory.frictions"] / values["memory.times"])
        curves = np.einsum(
            "dlm,dm->dl", np.exp(-lags[:, None] / np.asarray(values["memory.times"])[:, None]), c
        )
        total = np.asarray(values["memory.frictions"]).sum(axis=1)[:, None]
        draws = np.concatenate([np.asarray(values["potential.coefficients"]), curves, total], axis=1)
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        hits.append((low < truth) & (truth < high))
    covered = np.mean(hits, axis=0)
    record_property(
        "measured",
        f"coverage of 95% intervals, 50 replicates: well {covered[:2]}, K at {lags} ps {covered[2:6]}, "
        f"integral of the kernel {covered[6]}",
    )
    assert (covered >= 0.9 - 2 * np.sqrt(0.95 * 0.05 / 50)).all()
    assert covered.mean() >= 0.9
