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
# # A tour with a known answer
#
# Forces of a known pair potential are hidden under noise. We infer the potential, check that the posterior
# covers the truth, see where naive error bars fail, and finally fit real water.

# %%
import os

import jax
import jax.numpy as jnp
import numpy as np

import bayescg as bcg

bcg.enable_x64()
SMALL = "BAYESCG_SMALL" in os.environ  # the test suite runs this notebook with fewer draws

# %% [markdown]
# ## 1. A potential we know
#
# $u(r) = 40\,e^{-(r-0.25)/0.05} - 6\,e^{-((r-0.45)/0.08)^2}$ in kJ/mol, switched off at 0.8 nm: a repulsive
# wall and a well. Each force component carries Gaussian noise of 30 kJ/mol/nm, as the atoms behind the beads
# would add.

# %%
CUTOFF, NOISE = 0.8, 30.0


def truth(distance):
    """Wall and well, ending smoothly at the cutoff."""
    wall = 40.0 * jnp.exp(-(distance - 0.25) / 0.05)
    well = 6.0 * jnp.exp(-(((distance - 0.45) / 0.08) ** 2))
    return (wall - well) * jnp.clip((CUTOFF - distance) / 0.2, 0.0, 1.0) ** 3


beads = bcg.data.synthetic.pair_forces(
    truth, cutoff=CUTOFF, key=jax.random.key(1), frames=40, beads=100, box=2.0, noise=NOISE
)
beads

# %% [markdown]
# ## 2. Model, prior, problem, posterior
#
# The model is a spline; the prior says it is smooth, and the data decide how smooth. `Conjugate` draws the
# coefficients exactly.

# %%
model = bcg.Model(bcg.potentials.PairSpline(cutoff=CUTOFF, knots=28))
problem = bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.ForceMatching().on(beads))
posterior = bcg.sample(
    problem, bcg.Conjugate(draws=250 if SMALL else 1000), key=jax.random.key(2), progress=False
)
noise = posterior["posterior"]["likelihood.noise.scale"].values
print(f"noise {noise.mean():.2f} ± {noise.std():.2f} kJ/mol/nm, true {NOISE}")
assert abs(noise.mean() - NOISE) < 4 * noise.std()

# %% [markdown]
# ## 3. Does the band hold the truth?
#
# Band and truth are compared as forces $-u'(r)$, which is what was measured.

# %%
curves = posterior["potential_curves"]
distance = curves["distance"].values
inside = (distance > problem.joint.potential.starts[0]) & (distance < CUTOFF - 0.01)
draws = curves["pair_force"].isel(type_pair=0).stack(all=("chain", "curve_draw")).values[inside]
low, high = np.quantile(draws, [0.025, 0.975], axis=1)
known = -np.asarray(jax.vmap(jax.grad(truth))(jnp.asarray(distance[inside])))
coverage = np.mean((low < known) & (known < high))
print(f"the 95% band holds the true force at {coverage:.0%} of the distances")
assert coverage > 0.8  # neighbouring distances are correlated, so one draw of the data varies around 95%

# %%
figure = bcg.viz.plot_potential(posterior)
figure

# %% [markdown]
# ## 4. Where naive error bars fail
#
# The two-dimensional system $U = kx^2/2 + c(y - ax^2)^2/2$ seen through $x$ alone has the mean force $-kx$
# exactly, but a noise that grows with $|x|$. The naive standard deviation of $k$ is too small by $\sqrt 3$,
# so a "95%" interval covers 74%. The sandwich, built from the scores of blocks of frames, knows.

# %%
import equinox as eqx
import numpyro.distributions as dist
from bayescg.interfaces import AbstractLinearPotential


class Spring(AbstractLinearPotential):
    """U = stiffness x²/2, a potential of our own."""

    cutoff: float = eqx.field(static=True, default=1.0)
    stiffness: jax.Array = eqx.field(default_factory=lambda: jnp.ones(1))

    def energy(self, configuration):
        return 0.5 * self.stiffness[0] * jnp.sum(configuration.positions**2)

    def prepare(self, support):
        return self

    def coordinates(self):
        return {"stiffness": {"spring": ["x"]}}

    def basis_forces(self, configuration):
        return -configuration.positions[..., None]

    def coefficient_paths(self):
        return ("stiffness",)


quadratic = bcg.data.synthetic.quadratic_pair(frames=2000, key=jax.random.key(3), k=100.0)
spring = bcg.Problem(
    bcg.Model(Spring()),
    {"potential.stiffness": dist.Normal(0.0, 1e3)},
    bcg.likelihoods.ForceMatching().on(quadratic),
)
answer = bcg.sample(spring, bcg.Conjugate(draws=500), key=jax.random.key(4), progress=False)
naive, robust = (
    float(answer[group]["potential.stiffness"].std()) for group in ("posterior", "posterior_sandwich")
)
print(f"sandwich over naive standard deviation: {robust / naive:.2f}, exact {np.sqrt(3):.2f}")
assert abs(robust / naive / np.sqrt(3) - 1) < 0.25  # 256 blocks know a standard deviation to 5-10%

# %% [markdown]
# ## 5. Real water
#
# The shipped trajectory of SPC/E water, mapped to centers of mass. The pair spline explains 57% of the squared
# force; the rest is noise of the mapping and many-body force.

# %%
water = bcg.data.water(frames=40 if SMALL else None)
model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=24))
problem = bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.ForceMatching().on(water))
posterior = bcg.sample(
    problem, bcg.Conjugate(draws=250 if SMALL else 1000), key=jax.random.key(5), progress=False
)
explained = float(posterior["explained_force"]["r_squared_held_out"][0])
print(f"explained mean force, held out: {explained:.3f}")
assert 0.55 < explained < 0.60

# %%
print(bcg.identify(problem, posterior).summary())

# %%
bcg.viz.plot_potential(posterior)
