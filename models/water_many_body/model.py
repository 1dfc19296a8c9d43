"""How much of the mean force of SPC/E water is many-body: pairs alone, and pairs beside a cluster expansion.

    python model.py

Fits both to the shipped trajectory, scores them on frames held out, and writes
output/water_many_body.png. BAYESCG_SMALL=1 asks for the smallest size.
"""

import os
from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure

import bayescg as bcg

SMALL = "BAYESCG_SMALL" in os.environ
OUTPUT = Path("output")

bcg.enable_x64()
beads = bcg.data.water(frames=24 if SMALL else None)
cut = 2 * beads.sizes["frame"] // 3
train, held_out = beads.isel(frame=slice(0, cut)), beads.isel(frame=slice(cut, None))

pairs = bcg.potentials.PairSpline(cutoff=0.9, knots=10 if SMALL else 24)
radial, angular = (2, 1) if SMALL else (4, 3)
many = pairs + bcg.potentials.ACE(cutoff=0.45, radial=radial, angular=angular, order=2)
problems = {}
for name, potential in {"pairs": pairs, "pairs and ACE": many}.items():
    model = bcg.Model(potential)
    term = bcg.likelihoods.ForceMatching().on(train)
    problems[name] = bcg.Problem(model, bcg.priors.default(model), term)

found = bcg.compare(
    problems.__getitem__,
    {name: bcg.Conjugate(draws=50 if SMALL else 1000) for name in problems},
    held_out=held_out,
    key=jax.random.key(0),
    draws=4 if SMALL else 40,
    blocks=8 if SMALL else 20,
    progress=False,
)
print(found.summary())
table = found.table
margin = 100 * (table["explained"].sel(sampler="pairs and ACE") - table["explained"].sel(sampler="pairs"))
print(f"explained mean square force, held out: {float(margin):.2f} % more with three-body terms")
behind, error = (float(table[name].sel(sampler="pairs")) for name in ("difference", "difference_error"))
print(f"log predictive density of pairs alone, per frame: {behind:.1f} ± {error:.1f}")

OUTPUT.mkdir(exist_ok=True)
figure = Figure(figsize=(7.6, 3.0), layout="constrained")
left, right = figure.subplots(1, 2)
names = [str(name) for name in table["sampler"].values]
bars = left.bar(names, 100 * table["explained"].values, color=["#0072B2", "#D55E00"], width=0.6)
left.bar_label(bars, fmt="%.1f")
left.set_ylabel("explained mean square force,\nheld out (%)")
left.set_ylim(0, 100)
levels = 100 * table["level"].values
for name, color in zip(names, ("#0072B2", "#D55E00"), strict=True):
    held, error = (100 * table[key].sel(sampler=name).values for key in ("coverage", "coverage_error"))
    right.errorbar(levels, held - levels, yerr=2 * error, fmt="o", color=color, label=f"{name}, ± 2 s.e.")
right.axhline(0.0, color="#767676", linewidth=0.7)
right.set_xlabel("level of the predictive interval (%)")
right.set_ylabel("forces inside less level (%)")
right.set_xticks(np.asarray(levels))
right.legend(fontsize=7)
figure.savefig(OUTPUT / "water_many_body.png", dpi=150)
