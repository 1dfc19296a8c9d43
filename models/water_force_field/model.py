"""A pair force field for SPC/E water from the forces on its centers of mass, with uncertainty and structure.

    python model.py

Fits the shipped trajectory, prints what the data determine, simulates posterior draws and writes
output/water_force_field.png and output/report.html. BAYESCG_SMALL=1 asks for the smallest size.
"""

import os
from pathlib import Path

import jax

import bayescg as bcg

SMALL = "BAYESCG_SMALL" in os.environ
OUTPUT = Path("output")

bcg.enable_x64()
beads = bcg.data.water(frames=40 if SMALL else None)
model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=24))
problem = bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.ForceMatching().on(beads))
posterior = bcg.sample(
    problem, bcg.Conjugate(draws=250 if SMALL else 1000), key=jax.random.key(0), progress=False
)
identified = bcg.identify(problem, posterior)
print(identified.summary())
explained = posterior["explained_force"].isel(type=0)
print(
    f"explained mean square force, held out: {float(explained['r_squared_held_out']):.3f} "
    f"+- {float(explained['r_squared_held_out_error']):.3f}; "
    f"ceiling at least {float(explained['ceiling_at_least']):.3f}"
)
simulated = bcg.simulate(
    problem, posterior, draws=2 if SMALL else 16, steps=100 if SMALL else 4000, progress=False
)
OUTPUT.mkdir(exist_ok=True)
bcg.viz.plot_potential(posterior).savefig(OUTPUT / "water_force_field.png", dpi=150)
bcg.report(OUTPUT / "report.html", posterior, identified, simulated, reference=beads)
