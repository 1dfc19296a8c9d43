"""Methods of inference side by side on water: held-out log predictive density, calibration and cost.

A pair spline's posterior from two thirds of the frames, scored on those that follow, by every sampler of the
package that serves sums over frames. The exact answer is `Conjugate`'s, so what a method loses is its own.

    python benchmarks/methods.py [--frames 151] [--draws 100]
"""

import argparse

import jax
from common.machine import describe

import bayescg as bcg

KNOTS = 16


def main() -> None:
    """Run all methods and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=151)
    parser.add_argument("--draws", type=int, default=100, help="that the score averages over")
    arguments = parser.parse_args()
    bcg.enable_x64()
    for name, value in describe().items():
        print(f"{name}: {value}")
    beads = bcg.data.water(frames=arguments.frames)
    cut = 2 * arguments.frames // 3
    train, held_out = beads.isel(frame=slice(0, cut)), beads.isel(frame=slice(cut, None))
    model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=KNOTS))
    term = bcg.likelihoods.ForceMatching().on(train)
    problem = bcg.Problem(model, bcg.priors.default(model), term)
    methods = {
        "Conjugate": bcg.Conjugate(),
        "NUTS": bcg.NUTS(),
        "MCLMC": bcg.MCLMC(),
        "Laplace": bcg.Laplace(),
        "SVI, mean field": bcg.SVI(guide="mean_field"),
        "SVI, low rank": bcg.SVI(guide="low_rank"),
        "SVI, flow": bcg.SVI(guide="flow"),
        "deep ensemble": bcg.DeepEnsemble(members=5),
    }
    found = bcg.compare(
        problem, methods, held_out=held_out, key=jax.random.key(0), draws=arguments.draws, progress=False
    )
    print(found.summary())


if __name__ == "__main__":
    main()
