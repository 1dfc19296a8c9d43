"""Energy and entropy of a pair force field for SPC/E water, from forces at three temperatures.

    python model.py

Fits U = A - T B to 280, 300 and 340 K, predicts the forces at 320 K, compares them with a force field fitted
at 320 K itself, and writes output/water_temperatures.png. BAYESCG_SMALL=1 asks for the smallest size.
"""

import os
from pathlib import Path

import jax

import bayescg as bcg

SMALL = "BAYESCG_SMALL" in os.environ
OUTPUT = Path("output")
DRAWS = 50 if SMALL else 1000

bcg.enable_x64()
at280, at300, at320, at340 = bcg.data.water_temperatures(frames=16 if SMALL else None)
half = at320.sizes["frame"] // 2
own_frames, held_out = at320.isel(frame=slice(0, half)), at320.isel(frame=slice(half, None))

spline = bcg.potentials.PairSpline(cutoff=0.9, knots=10 if SMALL else 24)
thermal = bcg.Model(bcg.potentials.Thermodynamic(energy=spline, entropy=spline))
term = bcg.likelihoods.ForceMatching().on([at280, at300, at340])
problem = bcg.Problem(thermal, bcg.priors.default(thermal), term)
posterior = bcg.sample(problem, bcg.Conjugate(draws=DRAWS), key=jax.random.key(0), progress=False)
identified = bcg.identify(problem, posterior)
print(identified.summary())

alone = bcg.Model(spline)
own = bcg.Problem(alone, bcg.priors.default(alone), bcg.likelihoods.ForceMatching().on(own_frames))
at_its_own = bcg.sample(own, bcg.Conjugate(draws=DRAWS), key=jax.random.key(1), progress=False)

names = {"three other temperatures": problem, "fitted at 320 K": own}
found = bcg.compare(
    names.get,
    dict(zip(names, (posterior, at_its_own), strict=True)),
    held_out=held_out,
    key=jax.random.key(2),
    draws=20 if SMALL else 200,
    blocks=8,
    progress=False,
)
print(found.summary())
there, here = (float(found.table["difference"].sel(sampler=name)) for name in names)
error = float(found.table["difference_error"].max())  # of paired frames; zero for the better one
print(f"log predictive density at 320 K, others less own: {there - here:.2f} ± {error:.2f} per frame")

OUTPUT.mkdir(exist_ok=True)
figure = bcg.viz.plot_thermodynamic(posterior, temperatures=(280.0, 310.0, 340.0))
figure.savefig(OUTPUT / "water_temperatures.png", dpi=150)
