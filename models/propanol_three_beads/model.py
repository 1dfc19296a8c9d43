"""1-Propanol as three beads: bonds, angle and all pairs from forces at once, then simulated.

    python model.py

Fits the shipped beads, simulates draws of the posterior, prints how far every distribution is from the
atomistic one and writes output/propanol_three_beads.png. BAYESCG_SMALL=1 asks for the smallest size.
"""

import os
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import numpyro.distributions as dist

import bayescg as bcg

SMALL = "BAYESCG_SMALL" in os.environ
OUTPUT = Path("output")

bcg.enable_x64()
beads = bcg.data.propanol(frames=8 if SMALL else None)
model = bcg.Model(
    bcg.potentials.BondSpline(knots=6 if SMALL else 12)
    + bcg.potentials.AngleSpline(knots=6 if SMALL else 16)
    + bcg.potentials.PairSpline(cutoff=0.9 if SMALL else 1.2, knots=7 if SMALL else 24)
)
prior = bcg.priors.default(model)
if SMALL:  # without the roughness of every pair of types, whose sampling takes most of the time
    prior = prior | {"potential.terms.2.coefficients": dist.Normal(0.0, 10.0)}
problem = bcg.Problem(model, prior, bcg.likelihoods.ForceMatching().on(beads))
sampler = bcg.Conjugate(chains=2, draws=100) if SMALL else bcg.Conjugate(warmup=1000)
posterior = bcg.sample(problem, sampler, key=jax.random.key(0), progress=False)

observables = [
    bcg.observables.BondLength(minimum=0.13, maximum=0.24, bins=110),
    bcg.observables.BondAngle(minimum=1.3, maximum=2.6, bins=65),
    bcg.observables.RDF(maximum=1.2, bins=120, intermolecular=True),
]
# the bond of CH2 and OH has a period of 34 fs
simulated = bcg.simulate(
    problem,
    posterior,
    draws=2 if SMALL else 8,
    steps=40 if SMALL else 40_000,
    timestep=0.002,
    measure_every=10 if SMALL else 50,
    observables=observables,
    key=jax.random.key(1),
    progress=False,
)

figure, axes = plt.subplots(3, 3, figsize=(12, 10), layout="constrained")
panels = iter(axes.ravel())
for observable in observables:
    data = bcg.predict.evaluate(observable, beads)
    found = simulated[f"summary/{observable.name}"].to_dataset()
    rows, axis = data[observable.name].dims
    x = data[axis]
    for kind in data[rows].values:
        curve, value = found.sel({rows: kind}), data[observable.name].sel({rows: kind})
        error = 1.96 * data[f"{observable.name}_error"].sel({rows: kind})
        panel = next(panels)
        panel.fill_between(x, value - error, value + error, color="0.7", label="atomistic, 95 % error")
        panel.plot(x, value, "k--", label="atomistic")
        band = curve["band"].transpose("quantile", axis)
        panel.fill_between(x, band[0], band[-1], color="C0", alpha=0.4, label="95 % of draws")
        panel.plot(x, band[2], color="C0", label="median of draws")
        unit = x.attrs.get("units", "nm")
        panel.set_ylabel("g(r)" if rows == "type_pair" else f"density (1/{unit})")
        panel.set(
            title=f"{observable.name.replace('_', ' ')}, {kind}", xlabel=f"{axis.replace('_', ' ')} ({unit})"
        )
        shown = np.flatnonzero(value.values > 1e-3 * value.values.max())
        panel.set_xlim(float(x[max(shown[0] - 4, 0)]), float(x[min(shown[-1] + 4, x.size - 1)]))
        if rows == "type_pair":
            at, of = int(np.argmax(band[2].values)), int(np.argmax(value.values))
            print(f"g(r) {kind}: peak {band[2].values[at]:.2f} at {float(x[at]):.3f} nm, ", end="")
            print(f"atomistic {value.values[of]:.2f} at {float(x[of]):.3f} nm")
        else:
            width = float(x[1] - x[0])
            overlap = np.minimum(curve["mean"], value).sum() * width
            print(f"{observable.name} {kind}: overlap with the atomistic one {float(overlap):.3f}")
axes[0, 0].legend(fontsize=7)
explained = posterior["explained_force"]["r_squared_held_out"]
for name, part in zip(explained["type"].values, explained.values, strict=True):
    print(f"explained part of the mean square force on {name}: {part:.3f} (held out)")
for warning in (posterior.attrs["warnings"], simulated.attrs["warnings"]):
    print("warnings:", warning)

OUTPUT.mkdir(exist_ok=True)
figure.savefig(OUTPUT / "propanol_three_beads.png", dpi=110)
