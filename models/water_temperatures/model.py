"""Energy and entropy of a pair force field for SPC/E water, from forces at three temperatures.

    python model.py

Fits U = A - T B to 280, 300 and 340 K, predicts the forces at 320 K, compares them with a force field fitted
at 320 K itself, and writes output/water_temperatures.png. BAYESCG_SMALL=1 asks for the smallest size.
"""

import os
from pathlib import Path

import jax
import xarray as xr

import bayescg as bcg

SMALL = "BAYESCG_SMALL" in os.environ
OUTPUT = Path("output")
DRAWS = 50 if SMALL else 1000
NOISE = "likelihood.noise.scale"

bcg.enable_x64()
at280, at300, at320, at340 = bcg.data.water_temperatures(frames=16 if SMALL else None)
half = at320.sizes["frame"] // 2
own_frames, held_out = at320.isel(frame=slice(0, half)), at320.isel(frame=slice(half, None))
spline = bcg.potentials.PairSpline(cutoff=0.9, knots=10 if SMALL else 24)
thermal = bcg.Model(bcg.potentials.Thermodynamic(energy=spline, entropy=spline))


def problem_of(model: bcg.Model, points: list[xr.Dataset]) -> bcg.Problem:
    """Default priors and force matching of any number of temperatures."""
    return bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.ForceMatching().on(points))


def fitted(problem: bcg.Problem, seed: int) -> xr.DataTree:
    """Exact posterior."""
    return bcg.sample(problem, bcg.Conjugate(draws=DRAWS), key=jax.random.key(seed), progress=False)


problem, own = problem_of(thermal, [at280, at300, at340]), problem_of(bcg.Model(spline), [own_frames])
posterior, at_its_own = fitted(problem, 0), fitted(own, 1)


def score(others: xr.DataTree) -> str:
    """Log predictive density of the held-out frames at 320 K, less that of the fit at 320 K."""
    names = {"three other temperatures": problem, "fitted at 320 K": own}
    trees = dict(zip(names, (others, at_its_own), strict=True))
    settings = {"draws": 20 if SMALL else 200, "blocks": 8, "progress": False}
    table = bcg.compare(names.get, trees, held_out=held_out, key=jax.random.key(2), **settings).table
    there, here = (float(table["difference"].sel(sampler=name)) for name in names)
    error = float(table["difference_error"].max())  # of paired frames; zero for the better one
    explained = " and ".join(f"{100 * float(table['explained'].sel(sampler=name)):.2f}" for name in names)
    return f"{there - here:+.2f} ± {error:.2f} per frame; {explained} % of the mean square force explained"


print("held out at 320 K, three other temperatures less the fit at 320 K")
print("  forces and noise:", score(posterior))
noise = at_its_own["posterior"][NOISE].mean()
alike = posterior["posterior"].to_dataset()
alike[NOISE] = alike[NOISE] * 0 + noise  # of the fit at 320 K: what is left to compare is the mean force
print("  mean force:      ", score(xr.DataTree.from_dict(posterior.to_dict() | {"/posterior": alike})))

for points in ([at300], [at280, at300, at340]):
    data = problem_of(thermal, points)
    found = bcg.identify(data, posterior["posterior"].to_dataset().mean(("chain", "draw")).data_vars)
    print(f"\n{len(points)} temperature(s), A and B a spline each:\n{found.paragraph}")

OUTPUT.mkdir(exist_ok=True)
figure = bcg.viz.plot_thermodynamic(posterior, temperatures=(280.0, 310.0, 340.0))
figure.savefig(OUTPUT / "water_temperatures.png", dpi=150)
