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
# # What do the data determine? Stiffness, friction and their ratio
#
# A particle in a harmonic well, pushed about by a solvent and too sluggish for inertia to matter, is the
# smallest coarse-grained model there is: a stiffness $k$ and a friction $\gamma$. Its normalized position
# autocorrelation function decays as $e^{-kt/\gamma}$. Somebody measures it very well and fits both numbers.
# The fit looks perfect. We ask what it means.

# %%
import os

import jax
import numpy as np
import numpyro.distributions as dist
import xarray as xr

import bayescg as bcg
from bayescg.identifiability.marginals import marginals

bcg.enable_x64()
SMALL = "BAYESCG_SMALL" in os.environ  # the test suite runs this notebook with fewer draws

# %% [markdown]
# ## 1. A trajectory with a known answer
#
# $k = 50$ kJ/mol/nm² and $\gamma = 30$ amu/ps at 300 K, sampled exactly every 0.1 ps:
# $x_{n+1} = e^{-k\,dt/\gamma} x_n + \sqrt{(1-e^{-2k\,dt/\gamma})\,k_BT/k}\;\xi_n$.

# %%
STIFFNESS, FRICTION, INTERVAL, FRAMES = 50.0, 30.0, 0.1, 20_000
THERMAL = bcg.units.thermal_energy(300.0)
rng = np.random.default_rng(7)
decay = np.exp(-STIFFNESS / FRICTION * INTERVAL)
x = np.empty(FRAMES)
x[0] = np.sqrt(THERMAL / STIFFNESS) * rng.normal()
for n, kick in enumerate(np.sqrt((1 - decay**2) * THERMAL / STIFFNESS) * rng.normal(size=FRAMES - 1)):
    x[n + 1] = decay * x[n] + kick

data = xr.Dataset(
    {
        "position": (("frame", "bead", "dim"), x[:, None, None], {"units": "nm"}),
        "mass": ("bead", [1.0], {"units": "amu"}),
        "type": ("bead", ["particle"]),
        "molecule": ("bead", [0]),
        "trajectory": ("frame", np.zeros(FRAMES, dtype=int)),
    },
    coords={"time": ("frame", np.arange(FRAMES) * INTERVAL, {"units": "ps"}), "dim": ["x"]},
    attrs={"temperature": 300.0},
)

# %% [markdown]
# ## 2. Fit both numbers to the normalized correlation function
#
# The priors are wide: a factor of 7 either way.

# %%
model = bcg.Model(bcg.potentials.Harmonic(center=0.0), bcg.memory.Markovian())
prior = {"potential.stiffness": dist.LogNormal(4.0, 1.0), "memory.friction": dist.LogNormal(3.5, 1.0)}
function = bcg.likelihoods.Correlation(of="position", overdamped=True)
problem = bcg.Problem(model, prior, function.on(data))

draws = 100 if SMALL else 1000
sampler = bcg.NUTS(chains=2, warmup=draws, draws=draws)
posterior = bcg.sample(problem, sampler, key=jax.random.key(0), progress=False)
for path in prior:
    values = posterior["posterior"][path].values
    print(f"{path:20s} {values.mean():8.1f} ± {values.std():.1f}")
k, gamma = (posterior["posterior"][path].values for path in prior)
print(f"{'stiffness/friction':20s} {np.mean(k / gamma):8.3f} ± {np.std(k / gamma):.3f} 1/ps (truth 1.667)")

# %% [markdown]
# Both numbers are as uncertain as the prior left them, and their ratio is known to a few percent. Error bars
# alone hint at it; `identify` says it.

# %%
identified = bcg.identify(problem, posterior)
print(identified.summary())

# %%
combination = identified.combinations[0]
print(combination.text, combination.label)
print(combination.certificate)
assert combination.text == "potential.stiffness^1 memory.friction^-1"
assert combination.label == "certified"
assert identified.ranks.numerical == 1

# %% [markdown]
# The certificate: the null direction $(1, 1)$ in $(\log k, \log\gamma)$ is one of whole numbers (residual),
# it is the same at random points far away (invariance), and a move by a factor $e$ along it changes the log
# likelihood by nothing but rounding (flatness). So this is no accident of one point.
#
# In the plane of the two parameters the draws lie along a line. The ellipse of the data alone has no end.

# %%
figure = bcg.viz.plot_directions(identified)

# %%
names = list(identified.experiment.names)
unconstrained = np.log([posterior["posterior"][name].values.ravel() for name in names]).T
labels = ("log friction (amu/ps)", "log stiffness (kJ/mol/nm²)")
figure = bcg.viz.plot_ellipses(identified, unconstrained, (0, 1), labels=labels)

# %% [markdown]
# Draws, Laplace's approximation and the Cramér-Rao bound agree where the data speak. The other direction is
# the prior's, and an unbiased estimate without a prior would have no error bar at all there.

# %%
compared = marginals(problem, identified, posterior)
print(compared.findings or "nothing to report")
figure = bcg.viz.plot_marginals(compared)

# %% [markdown]
# ## 3. Profiles need no Gaussian
#
# The profile likelihood of the ratio is bounded, that of the stiffness flat.

# %%
friction, stiffness = names.index("memory.friction"), names.index("potential.stiffness")
points = 10 if SMALL else 25
ratio = identified.profile(lambda u: u[stiffness] - u[friction], low=0.2, high=0.8, points=points)
alone = identified.profile(stiffness, low=1.0, high=8.0, points=6)
print("log stiffness/friction:", ratio.sentence)
print("log stiffness:", alone.sentence)
assert ratio.kind == "bounded"
assert alone.kind == "flat"
assert abs(np.mean(k / gamma) - STIFFNESS / FRICTION) < 4 * np.std(k / gamma)
figure = bcg.viz.plot_profile(ratio, label="log stiffness/friction (stiffness/friction in 1/ps)")

# %% [markdown]
# ## 4. What would identify them?
#
# Three measurements are on offer: the same function at other lags, a trajectory ten times as long, and the
# variance of the position, $k_BT/k$.

# %%
variance = bcg.likelihoods.Correlation(overdamped=True, normalized=False, times=(0.0,)).on(data)
ten_times = 10 * identified.matrix
offers = {
    "other lags": bcg.likelihoods.Correlation(of="position", overdamped=True, times=(0.3, 2.0)).on(data),
    "ten times as long": ten_times,
    "position variance": variance,
}
answer = identified.which_breaks(offers)
print(answer.sentence)
print(identified.rank_candidates(offers).to_dataframe().round(3))
assert "is identified by position variance" in answer.sentence

# %% [markdown]
# No amount of the same data helps; one number of another kind does. With it, both are identified.

# %%
both = bcg.Problem(model, prior, function.on(data) + variance)
posterior = bcg.sample(both, sampler, key=jax.random.key(1), progress=False)
identified = bcg.identify(both, posterior)
print(identified.summary())
for path, truth in (("potential.stiffness", STIFFNESS), ("memory.friction", FRICTION)):
    values = posterior["posterior"][path].values
    print(f"{path:20s} {values.mean():8.1f} ± {values.std():.1f} (truth {truth:g})")
    assert abs(values.mean() - truth) < 4 * values.std()
assert identified.ranks.numerical == 2
assert identified.ranks.bayesian == 2
