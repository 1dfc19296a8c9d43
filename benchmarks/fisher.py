"""Fisher information: exact derivatives against central finite differences; Lanczos at 10^5 parameters.

One run, one file. First the information of 100 force-field parameters, the coefficients of a pair spline, in
the forces of 510 waters, from the data to the matrix: bayescg against central differences of the same forces,
all compiled before they are timed. Student-t noise, where frames are kept and every force is differentiated,
is timed beside. Then the 50 best determined directions of a network of 10^5 parameters, by products alone.

    python benchmarks/fisher.py [--frames N] [--output X.json]
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from common.machine import describe

PARAMETERS = 100
STEP = 1.0
"""Of the central differences, kJ/mol: forces are linear, so a large step is exact and loses no digits."""

START = 0.24
"""Of the spline, nm, below the shortest distance: a pair in the steep core has a force that is not linear."""

SCALE = 60.0
"""Of the noise, kJ/mol/nm, fixed."""

WIDTH, DEPTH = 315, 3
"""Of the network: 315 x 315 weights between two hidden layers make 10^5 parameters."""

SAMPLES, DIRECTIONS = 1500, 50
REPEATS = 5
"""Of every exact matrix; the fastest counts, and of the differences the fastest column counts for all."""

KINDS = ("Gaussian, with the pass over the data", "Gaussian", "Student-t")
AIM_RATIO, AIM_SECONDS, AIM_GIGABYTES = 20.0, 300.0, 4.0


def main() -> None:
    """Run both and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=151)
    parser.add_argument("--output", type=Path, help="JSON file for all figures")
    parser.add_argument("--measure", choices=sorted(MEASUREMENTS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(MEASUREMENTS[arguments.measure](arguments.frames)))
        return
    found: dict[str, Any] = {"machine": describe()}
    for measure in MEASUREMENTS:
        found[measure] = _child(measure, arguments.frames)
    _print(found)
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1))


def _child(measure: str, frames: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", measure, "--frames", str(frames)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _measure_dense(frames: int) -> dict[str, Any]:
    """The whole information matrix, and the same by differences of forces."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    import bayescg as bcg
    from bayescg.identifiability import information_matrix

    bcg.enable_x64()
    found: dict[str, Any] = {}
    kept = _spline_problem(frames, bcg.likelihoods.StudentT(degrees=4.0))
    u = kept.initial(jax.random.key(0))
    forces = eqx.filter_jit(_forces)
    forces(kept, u), information_matrix(kept, u)  # compile

    def column(i: int) -> np.ndarray:
        up, down = (forces(kept, u.at[i].add(sign * STEP)) for sign in (1, -1))
        return np.asarray(up - down) / (2 * STEP)

    columns, spent = zip(*(_timed(lambda i=i: column(i)) for i in range(u.size)), strict=True)
    J = np.stack(columns, axis=-1)
    by_differences = J.T @ J / SCALE**2
    # as if every column had taken as long as the fastest
    found["differences"] = {clock: u.size * min(one[clock] for one in spent) for clock in spent[0]}
    of_t, found["exact, Student-t"] = _best(lambda: information_matrix(kept, u))

    def from_data() -> np.ndarray:
        return information_matrix(_spline_problem(frames, bcg.likelihoods.Gaussian()), u)

    from_data()  # compile
    gaussian, found["exact, Gaussian, with the pass over the data"] = _best(from_data)
    problem = _spline_problem(frames, bcg.likelihoods.Gaussian())
    _, found["exact, Gaussian"] = _best(lambda: information_matrix(problem, u))
    largest = np.abs(gaussian).max()
    found |= {
        "parameters": int(u.size),
        "rows": int(jnp.size(kept.observations[0].forces)),
        "difference of the two": float(np.abs(by_differences - gaussian).max() / largest),
        "Student-t over Gaussian": float(of_t[5, 5] / gaussian[5, 5]),
    }
    return found


def _forces(problem: Any, u: Any) -> Any:
    """Forces of all frames by the gradient of the energy, as a program without a basis has them."""
    import jax
    import jax.numpy as jnp

    from bayescg.configuration import Configuration

    joint, seen = problem.with_values(problem.constrain(u)), problem.observations[0]

    def of_frame(frame: Any) -> Any:
        return joint.potential.forces(Configuration(*frame, seen.topology))

    return jnp.ravel(jax.lax.map(of_frame, (seen.positions, seen.boxes, seen.neighbors), batch_size=4))


def _spline_problem(frames: int, noise: Any) -> Any:
    import numpyro.distributions as dist

    import bayescg as bcg

    # one coefficient per knot but one
    model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=PARAMETERS + 1, start=START))
    term = bcg.likelihoods.ForceMatching(noise=noise).on(bcg.data.water(frames=frames))
    prior = {"potential.coefficients": dist.Normal(0.0, 10.0), "likelihood.noise.scale": SCALE}
    return bcg.Problem(model, prior, term)


def _measure_lanczos(frames: int) -> dict[str, Any]:
    """The leading directions of a network on positions of a particle in three dimensions."""
    import resource

    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import numpyro.distributions as dist

    import bayescg as bcg
    from bayescg.interfaces import AbstractPotential

    bcg.enable_x64()

    class Network(AbstractPotential):
        """A fully connected network of the position, with smooth activations."""

        weights: tuple[Any, ...]
        cutoff: float = eqx.field(static=True, default=1.0)

        def energy(self, configuration: Any) -> Any:
            """kJ/mol."""
            h = configuration.positions.ravel()
            for W in self.weights[:-1]:
                h = jnp.tanh(W @ h / jnp.sqrt(W.shape[1]))
            return jnp.sum(self.weights[-1] @ h)

        def prepare(self, support: Any) -> "Network":
            """Nothing depends on the data."""
            return self

        def coordinates(self) -> dict[str, Any]:
            """Weights have no labels."""
            return {}

    rng = np.random.default_rng(0)
    shapes = [(WIDTH, 3), (WIDTH, WIDTH), (1, WIDTH)]
    model = bcg.Model(Network(tuple(jnp.asarray(rng.normal(size=shape)) for shape in shapes)))
    prior = {f"potential.weights.{i}": dist.Normal(0.0, 1.0) for i in range(len(shapes))}
    term = bcg.likelihoods.ForceMatching().on(_positions(rng))
    problem = bcg.Problem(model, prior | {"likelihood.noise.scale": 1.0}, term)
    u = problem.initial(jax.random.key(0))
    begun = time.perf_counter()
    found = bcg.identify(problem, u, directions=DIRECTIONS)
    seconds = time.perf_counter() - begun
    residual = found.spectrum["residual"] / found.spectrum["information"]
    return {
        "parameters": int(u.size),
        "directions": int(found.spectrum.sizes["direction"]),
        "seconds": seconds,
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
        "largest relative residual": float(residual.max()),
        "largest": float(found.spectrum["information"][0]),
        "smallest": float(found.spectrum["information"][-1]),
    }


def _positions(rng: Any) -> Any:
    """A particle in space with forces of a known anharmonic well and noise."""
    import xarray as xr

    x = rng.normal(size=(SAMPLES, 1, 3))
    f = -x * (1 + np.sum(x**2, axis=-1, keepdims=True)) + rng.normal(size=x.shape)
    return xr.Dataset(
        {
            "position": (("frame", "bead", "dim"), x, {"units": "nm"}),
            "force": (("frame", "bead", "dim"), f, {"units": "kJ/mol/nm"}),
            "mass": ("bead", [1.0], {"units": "amu"}),
            "type": ("bead", ["A"]),
            "molecule": ("bead", [0]),
            "trajectory": ("frame", np.zeros(SAMPLES, dtype=int)),
        },
        coords={"time": ("frame", np.arange(SAMPLES) * 1.0, {"units": "ps"}), "dim": list("xyz")},
        attrs={"temperature": 300.0},
    )


def _timed(work: Any) -> tuple[Any, dict[str, float]]:
    """What a function returns, and the seconds it took by the wall clock and of the processors."""
    begun = time.perf_counter(), time.process_time()
    found = work()
    ended = time.perf_counter(), time.process_time()
    return found, {"wall": ended[0] - begun[0], "CPU": ended[1] - begun[1]}


def _best(work: Any) -> tuple[Any, dict[str, float]]:
    """The same, the least of several times: a machine that others use makes any one of them long."""
    runs = [_timed(work) for _ in range(REPEATS)]
    return runs[-1][0], {clock: min(spent[clock] for _, spent in runs) for clock in runs[0][1]}


MEASUREMENTS = {"dense": _measure_dense, "lanczos": _measure_lanczos}


def _print(found: dict[str, Any]) -> None:
    for name, value in found["machine"].items():
        print(f"{name:10s} {value}")
    dense, lanczos = found["dense"], found["lanczos"]
    reference = dense["differences"]
    print(f"\ninformation of {dense['parameters']} parameters in {dense['rows']} forces, compiled")
    print(f"  {'seconds':46s} {'wall':>8} {'CPU':>8}   {'times faster':>12}")
    for name in ("differences", *(f"exact, {kind}" for kind in KINDS)):
        spent = dense[name]
        ratios = "" if name == "differences" else "  ".join(f"{reference[c] / spent[c]:7.1f}" for c in spent)
        print(f"  {name:46s} {spent['wall']:8.2f} {spent['CPU']:8.2f}   {ratios}")
    print(f"  largest difference of the two, of the largest element {dense['difference of the two']:.1e}")
    print(f"  aim: {AIM_RATIO:g} times")
    print(f"\n{lanczos['directions']} best directions of {lanczos['parameters']} parameters")
    print(f"  {lanczos['seconds']:.0f} s with compilation (aim {AIM_SECONDS:g})")
    print(f"  {lanczos['gigabytes']:.2f} GB (aim {AIM_GIGABYTES:g})")
    print(f"  largest relative residual {lanczos['largest relative residual']:.1e}")


if __name__ == "__main__":
    main()
