"""Water as one bead with memory: potential from forces, memory given it, then refined by simulations.

    python model.py

Fits potential and memory of the shipped water, simulates both posteriors, prints diffusion and velocity
correlations beside the atomistic ones and writes output/water_gle.png and output/report.html.
BAYESCG_SMALL=1 asks for the smallest size.
"""

import os
from pathlib import Path

import jax
import numpy as np

import bayescg as bcg

SMALL = "BAYESCG_SMALL" in os.environ
OUTPUT = Path("output")

bcg.enable_x64()
forces = bcg.data.water(frames=32 if SMALL else None)
motion = bcg.data.water_dynamics(frames=60 if SMALL else None)
model = bcg.Model(
    bcg.potentials.PairSpline(cutoff=0.9, knots=12 if SMALL else 24),
    memory=bcg.memory.OscillatoryProny(modes=1 if SMALL else 2),
)
terms = bcg.likelihoods.ForceMatching().on(forces) + bcg.likelihoods.Path(observed="velocities").on(motion)
problem = bcg.Problem(model, bcg.priors.default(model), terms)
sampler = bcg.Cut(bcg.Conjugate(chains=2 if SMALL else 4), draws=6 if SMALL else 12)
posterior = bcg.sample(problem, sampler, key=jax.random.key(0), progress=False)

observable = bcg.observables.VACF(maximum=0.1 if SMALL else 1.0)
runs = {"draws": 2 if SMALL else 8, "steps": 200 if SMALL else 5_000, "progress": False}
STEP = {"timestep": 0.01}  # ps, as the frames of the motion; every step is measured
data = bcg.predict.evaluate(observable, motion)


def show(name, found):
    """Print diffusion and correlation beside the data's; return the simulation."""
    simulated = bcg.simulate(
        problem,
        found,
        observables=[observable, bcg.observables.RDF()],
        key=jax.random.key(1),
        temperature=motion.attrs["temperature"],
        measure_every=1,
        **STEP,
        **runs,
    )
    curve = simulated["summary/velocity_correlation"]["mean"].values
    target = data["velocity_correlation"].values
    lags = data["lag_time"].values
    early = lags <= 0.5 + 1e-9
    difference = np.sqrt(np.mean((curve / curve[0] - target / target[0])[early] ** 2))
    for end in (0.5, 1.0):
        part = lags <= end + 1e-9
        ratio = np.trapezoid(curve[part], lags[part]) / np.trapezoid(target[part], lags[part])
        print(f"{name}: D over {end} ps, {ratio:.3f} times the data's")
    peak = simulated["summary/radial_distribution"]["mean"].values.max()
    print(f"{name}: root mean square difference of the velocity autocorrelation, 0-0.5 ps, {difference:.3f}")
    print(f"{name}: peak of g(r) {peak:.2f}")
    print(f"{name}: warnings of the simulation: {simulated.attrs['warnings']}")
    return simulated


show("cut posterior", posterior)
refined = bcg.refine(
    problem,
    posterior,
    motion,
    key=jax.random.key(2),
    maximum=0.1 if SMALL else 1.0,
    iterations=2 if SMALL else 5,
    draws=2,
    steps=200 if SMALL else 3_000,
    **STEP,
    sampler=bcg.NUTS(chains=2, warmup=20, draws=10) if SMALL else None,
    progress=False,
)
print("rms difference by iteration:", np.round(refined["refinement"]["rms_difference"].values, 3))
simulated = show("refined", refined)

OUTPUT.mkdir(exist_ok=True)
bcg.viz.plot_memory(refined).savefig(OUTPUT / "memory.png", dpi=150)
figure = bcg.viz.plot_observable(simulated, "velocity_correlation", reference=data)
figure.savefig(OUTPUT / "water_gle.png", dpi=150)
bcg.report(OUTPUT / "report.html", refined, None, simulated, reference=forces)
