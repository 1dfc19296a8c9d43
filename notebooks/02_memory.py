# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Memory and noise with a known answer
#
# A particle coupled to many oscillators obeys a generalized Langevin equation exactly,
# $$m\ddot x = -U'(x) - \int_0^t K(t-s)\,\dot x(s)\,ds + R(t),\qquad \langle R(t)R(0)\rangle = k_BT\,K(t),$$
# so kernel and noise are tied by the fluctuation-dissipation theorem. We watch the tie, then infer potential and
# kernel from positions alone, and see what finite differences would have told us.

# %%
import os

import jax
import jax.numpy as jnp
import numpy as np

import bayescg as bcg

bcg.enable_x64()
SMALL = "BAYESCG_SMALL" in os.environ  # the test suite runs this notebook with less data
WELL, TIMES, FRICTIONS, MASS = (1100.0, 49_000.0), (0.05, 0.5), (60.0, 60.0), 20.0

# %% [markdown]
# ## 1. A memory is a drift
#
# A kernel is given by a matrix $A_s$ and a coupling $a$, $K(t) = a^T e^{-A_s t} a$; the noise of the auxiliary
# variables follows, $B_sB_s^T = k_BT(A_s + A_s^T)$. Whatever $A_s$ and $a$ are, Boltzmann's law is invariant:
# $A C + C A^T = D$ with $C = \mathrm{diag}(k_BT/m, k_BT, \dots)$.

# %%
memory = bcg.memory.Prony(modes=2, times=TIMES, frictions=FRICTIONS)
A, D, C = bcg.memory.extended_drift(memory, MASS, 300.0)
print("largest violation of A C + C A' = D:", float(jnp.abs(A @ C + C @ A.T - D).max()))
assert jnp.allclose(A @ C + C @ A.T, D, atol=1e-9)
broken = A.at[0, 1].multiply(-1.0)  # a coupling of the wrong sign: friction that heats
assert not jnp.allclose(broken @ C + C @ broken.T, D, atol=1e-9)

# %% [markdown]
# ## 2. Microscopic data
#
# A double well among oscillators, integrated from canonical initial conditions. No noise is put in by hand.

# %%
beads = bcg.data.harmonic_bath(
    key=jax.random.key(0),
    trajectories=10 if SMALL else 60,
    frames=600 if SMALL else 1000,
    coefficients=WELL,
    mass=MASS,
    times=TIMES,
    frictions=FRICTIONS,
)
kinetic = MASS * float((beads["velocity"] ** 2).mean())
print(f"m <v²> = {kinetic:.2f} kJ/mol, kT = {bcg.units.thermal_energy(300.0):.2f} kJ/mol")

# %% [markdown]
# ## 3. Posterior from positions
#
# Velocities and the bath are integrated out exactly; the well's two coefficients too, given the kernel.

# %%
model = bcg.Model(bcg.potentials.DoubleWell(center=0.0), memory=bcg.memory.Prony(modes=2))
seen = beads.drop_vars(["velocity", "force", "total_energy"])
problem = bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.Path(observed="positions").on(seen))
posterior = bcg.sample(
    problem, bcg.Conjugate(draws=150 if SMALL else 1000), key=jax.random.key(1), progress=False
)
draws = posterior["posterior"]
for name, truth in {
    "potential.coefficients": WELL,
    "memory.times": TIMES,
    "memory.frictions": FRICTIONS,
}.items():
    for index, true in enumerate(truth):
        values = draws[name].values[..., index]
        print(f"{name}[{index}]: {values.mean():.4g} ± {values.std():.2g}, true {true:g}")
friction = posterior["memory_curves"]["friction"].values
print(f"integral of the kernel: {friction.mean():.1f} ± {friction.std():.1f} amu/ps, true {sum(FRICTIONS):g}")
assert abs(friction.mean() - sum(FRICTIONS)) < 4 * friction.std()

# %% [markdown]
# ## 4. The kernel with its band, and the truth

# %%
figure = bcg.viz.plot_memory(posterior, truth=memory)
figure

# %% [markdown]
# ## 5. Are the residuals noise?
#
# If the model holds, standardized innovations are independent normal numbers. A model without memory fails.


# %%
def verdict(model, path):
    """Whiteness of the innovations of a model."""
    segments = [part.reshape(-1) for part in path.innovations(model, seen)]
    return bcg.inference.innovation_tests(segments)


values = {name: jnp.asarray(draws[name].mean(("chain", "draw")).values) for name in draws.data_vars}
with_memory = verdict(problem.model(values), problem.joint.likelihood)
plain = bcg.Model(problem.model(values).potential, bcg.memory.Markovian(friction=float(friction.mean())))
without = verdict(plain, problem.joint.likelihood)
print("memory of two exponentials:", with_memory.attrs)
print("friction without memory:  ", without.attrs)
assert with_memory.attrs["passed"]
assert not without.attrs["passed"]

# %% [markdown]
# ## 6. How many modes?
#
# Sequential Monte Carlo gives the evidence of one, two and three exponentials. The evidence weighs the prior too, so
# trajectories that were kept aside give a second opinion: their log density under each posterior.

# %%
half = seen.sizes["frame"] // 2
used, aside = seen.isel(frame=slice(0, half)), seen.isel(frame=slice(half, None))
swarm = bcg.SMC(particles=32, runs=2, move="random_walk") if SMALL else bcg.SMC(particles=128, runs=2)


def fitted(modes):
    """Posterior of a kernel of some exponentials, and log densities of the trajectories kept aside."""
    model = bcg.Model(bcg.potentials.DoubleWell(center=0.0), memory=bcg.memory.Prony(modes=modes))
    problem = bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.Path().on(used))
    found = bcg.sample(problem, swarm, key=jax.random.key(modes), progress=False)
    path = problem.joint.likelihood
    kept = path.observe(problem.joint.model, aside)
    values = {name: jnp.asarray(found["posterior"][name].values) for name in problem.sites}
    values = {name: v.reshape(-1, *v.shape[2:])[::4] for name, v in values.items()}
    return found, jax.lax.map(lambda one: path.blocks(problem.model(one), kept), values)


results = {f"{modes} modes": fitted(modes) for modes in ((2,) if SMALL else (1, 2, 3))}
table = bcg.inference.compare_evidence(
    {name: found for name, (found, _) in results.items()},
    held_out={name: densities for name, (_, densities) in results.items()},
)
for name in table["model"].values:
    row = table.sel(model=name)
    print(
        f"{name}: log evidence {float(row['difference']):.1f} ± {float(row['difference_error']):.1f}, held-out score "
        f"per block {float(row['held_out_difference']):.2f} ± {float(row['held_out_difference_error']):.2f} (to the best)"
    )
if not SMALL:  # so few frames do not tell
    assert float(table["difference"].sel(model="1 modes")) < -10

# %% [markdown]
# The evidence rules one exponential out by a factor of a million, and the frames kept aside lean the same way, by
# more than a standard error. A third adds nothing that the data could tell from two: its evidence stays within a few
# nats, and so do kernel and integral. Report those, not the amplitudes.

# %%
for name, (found, _) in results.items():
    friction = found["memory_curves"]["friction"].values
    print(f"{name}: integral of the kernel {friction.mean():.1f} ± {friction.std():.1f} amu/ps")

# %% [markdown]
# ## 7. What finite differences say
#
# Velocities as differences of positions, and friction from the covariance of two neighbouring accelerations as if
# there were no memory: a number, but not the friction.

# %%
x = seen["position"].values[: (600 if SMALL else 1000), 0, 0]
v = np.diff(x) / 0.01
rate = -np.log(np.mean(v[1:] * v[:-1]) / np.mean(v**2)) / 0.01
print(f"friction from differences, taken for Langevin: {MASS * rate:.1f} amu/ps, true {sum(FRICTIONS):g}")
