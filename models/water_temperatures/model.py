"""Energy and entropy of a pair force field for SPC/E water, from forces at three temperatures.

    python model.py [spce.tpr folder]

Fits U = A - T B to 280, 300 and 340 K, predicts the forces at 320 K, compares them with a force field fitted
at 320 K itself, and writes output/water_temperatures.png. With the topology and the folder of the atomistic
runs it takes all their frames, not the 24 of each that ship. BAYESCG_SMALL=1 asks for the smallest size.
"""

import os
import sys
from pathlib import Path

import jax
import numpy as np
import xarray as xr

import bayescg as bcg

SMALL = "BAYESCG_SMALL" in os.environ
OUTPUT = Path("output")
DRAWS = 50 if SMALL else 1000
NOISE = "likelihood.noise.scale"

FORGOTTEN = 10.0
"""ps after which a run has forgotten its start (see cut_data.py)."""

bcg.enable_x64()


def whole_runs(topology: str, folder: str) -> list[xr.Dataset]:
    """Centers of mass and forces of every frame, a dataset per temperature."""
    points = []
    for kelvin in (280, 300, 320, 340):
        atoms = bcg.read_trajectory(topology, Path(folder) / f"spce_{kelvin}K.trr", temperature=float(kelvin))
        beads = bcg.mapping.CenterOfMass(by="residue")(atoms.drop_vars("velocity"))
        points.append(beads.isel(frame=slice(int(np.searchsorted(beads["time"].values, FORGOTTEN)), None)))
    return points


if len(sys.argv) == 3:
    at280, at300, at320, at340 = whole_runs(*sys.argv[1:])
else:
    at280, at300, at320, at340 = bcg.data.water_temperatures(frames=16 if SMALL else None)
half = at320.sizes["frame"] // 2
first, last = at320.isel(frame=slice(0, half)), at320.isel(frame=slice(half, None))
spline = bcg.potentials.PairSpline(cutoff=0.9, knots=10 if SMALL else 24)
thermal = bcg.Model(bcg.potentials.Thermodynamic(energy=spline, entropy=spline))


def problem_of(model: bcg.Model, points: list[xr.Dataset]) -> bcg.Problem:
    """Default priors and force matching of any number of temperatures."""
    return bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.ForceMatching().on(points))


def fitted(problem: bcg.Problem, seed: int) -> xr.DataTree:
    """Exact posterior."""
    return bcg.sample(problem, bcg.Conjugate(draws=DRAWS), key=jax.random.key(seed), progress=False)


others = [at280, at300, at340]
problem = problem_of(thermal, others)
posterior = fitted(problem, 0)
to_320 = np.sqrt(320.0 / np.mean([point.attrs["temperature"] for point in others]))


def scored(own_frames: xr.Dataset, held_out: xr.Dataset) -> tuple[str, str]:
    """Log predictive density of frames at 320 K, less that of a fit to others: all, mean force."""
    own = problem_of(bcg.Model(spline), [own_frames])
    at_its_own = fitted(own, 1)
    alike = posterior["posterior"].to_dataset()
    noise = at_its_own["posterior"][
        NOISE
    ].mean()  # of the fit at 320 K; the other's stands for its mean temperature
    alike[NOISE] = alike[NOISE] * 0 + noise / to_320
    names = {"three other temperatures": problem, "fitted at 320 K": own}
    settings = {"draws": 20 if SMALL else 200, "blocks": 8, "progress": False}

    def score(tree: xr.DataTree) -> str:
        trees = dict(zip(names, (tree, at_its_own), strict=True))
        table = bcg.compare(
            names.__getitem__, trees, held_out=held_out, key=jax.random.key(2), **settings
        ).table
        there, here = (float(table["difference"].sel(sampler=name)) for name in names)
        error = float(table["difference_error"].max())  # of paired frames; zero for the better one
        explained = " and ".join(f"{100 * float(table['explained'].sel(sampler=name)):.2f}" for name in names)
        return (
            f"{there - here:+.2f} ± {error:.2f} per frame; {explained} % of the mean square force explained"
        )

    return score(posterior), score(xr.DataTree.from_dict(posterior.to_dict() | {"/posterior": alike}))


print("held out at 320 K, three other temperatures less the fit at 320 K")
for name, own_frames, held_out in [("last", first, last), ("first", last, first)][: 1 if SMALL else 2]:
    both, mean = scored(own_frames, held_out)
    print(f"  {name} {held_out.sizes['frame']} frames held out, forces and noise: {both}")
    print(f"  {name} {held_out.sizes['frame']} frames held out, mean force:       {mean}")

for points in ([at300], [at280, at300, at340]):
    data = problem_of(thermal, points)
    found = bcg.identify(data, posterior["posterior"].to_dataset().mean(("chain", "draw")).data_vars)
    print(f"\n{len(points)} temperature(s), A and B a spline each:\n{found.paragraph}")

OUTPUT.mkdir(exist_ok=True)
figure = bcg.viz.plot_thermodynamic(posterior, temperatures=(280.0, 310.0, 340.0))
figure.savefig(OUTPUT / "water_temperatures.png", dpi=150)
