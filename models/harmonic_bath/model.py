"""Potential and memory of a particle in a bath of oscillators, from its positions alone; both are known.

    python model.py

Simulates the microscopic bath, infers a double well and a kernel of two exponentials, prints intervals beside
the truth and writes output/harmonic_bath.png. BAYESCG_SMALL=1 asks for the smallest size.
"""

import os
from pathlib import Path

import jax
import numpy as np

import bayescg as bcg

SMALL = "BAYESCG_SMALL" in os.environ
OUTPUT = Path("output")
WELL, TIMES, FRICTIONS = (1100.0, 49_000.0), (0.05, 0.5), (60.0, 60.0)

bcg.enable_x64()
beads = bcg.data.harmonic_bath(
    key=jax.random.key(0),
    trajectories=10 if SMALL else 100,
    frames=600 if SMALL else 1000,
    coefficients=WELL,
    times=TIMES,
    frictions=FRICTIONS,
)
model = bcg.Model(bcg.potentials.DoubleWell(center=0.0), memory=bcg.memory.Prony(modes=2))
term = bcg.likelihoods.Path(observed="positions").on(beads.drop_vars(["velocity", "force", "total_energy"]))
problem = bcg.Problem(model, bcg.priors.default(model), term)
posterior = bcg.sample(
    problem, bcg.Conjugate(draws=150 if SMALL else 1000), key=jax.random.key(1), progress=False
)

draws = posterior["posterior"]
truth = {"potential.coefficients": WELL, "memory.times": TIMES, "memory.frictions": FRICTIONS}
for name, values in truth.items():
    for index, true in enumerate(values):
        low, high = np.quantile(draws[name].values[..., index], [0.025, 0.975])
        print(f"{name}[{index}]: true {true:g}, 95% between {low:.4g} and {high:.4g}")
friction = posterior["memory_curves"]["friction"].values
low, high = np.quantile(friction, [0.025, 0.975])
print(f"integral of the kernel: true {sum(FRICTIONS):g} amu/ps, 95% between {low:.4g} and {high:.4g}")

OUTPUT.mkdir(exist_ok=True)
known = bcg.memory.Prony(modes=2, times=TIMES, frictions=FRICTIONS)
bcg.viz.plot_memory(posterior, truth=known).savefig(OUTPUT / "harmonic_bath.png", dpi=150)
