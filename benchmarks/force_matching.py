"""Force matching against VOTCA's csg_fmatch: CPU time, curve, explained force, memory.

One run, one file: 510 SPC/E waters as centers of mass, a pair force from 0.24 to 1.0 nm on 39 grid
points. csg_fmatch gives a curve; bayescg gives a posterior (4 chains of 1000 draws). Every measurement
is a process of its own; times are CPU seconds of all threads, user and system.

    python benchmarks/force_matching.py [--topology X.tpr --trajectory X.trr] [--frames N] [--output X.json]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import votca
from common.machine import describe

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TEMPERATURE = 300.0
GRID = votca.Grid(start=0.24, cutoff=1.0, step=0.02)
BLOCKS = 7
"""csg_fmatch's blocks, 43 frames each of 301: its default way to get an error."""

SINGLE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
REPEATS = (1, 4, 10)
"""How often the trajectory is read, one copy after the other, to see memory grow with the frames."""

PATIENCE = 300
"""Seconds after which a measurement is given up: all take well under a minute on a quiet machine."""

CHUNK = 50
"""Frames per chunk where the trajectory is read lazily."""

REGIONS = {"0.27-0.35": (0.27, 0.35), "0.35-0.90": (0.35, 0.90), "0.90-1.00": (0.90, 1.01)}
AIM_RATIO, AIM_DIFFERENCE, AIM_EXPLAINED = 0.1, 0.4, (0.55, 0.60)


def main() -> None:
    """Run everything and print one table."""
    arguments = _arguments()
    if arguments.measure:
        MEASUREMENTS[arguments.measure](arguments)
        return
    if not votca.installed():
        sys.exit("csg_fmatch is missing: run scripts/install_engines.sh, or apt-get install votca")
    found: dict[str, Any] = {"machine": {**describe(), "votca": votca.version()}}
    with tempfile.TemporaryDirectory() as folder:
        found["votca"] = _run_votca(Path(folder), arguments)
    found["posterior"] = _child("posterior", arguments)
    found["posterior, one thread"] = _child("posterior", arguments, SINGLE_THREAD)
    found["result"] = _child("result", arguments, SINGLE_THREAD)
    found["explained"] = _child("explained", arguments, SINGLE_THREAD)
    found["memory"] = {f"{n}x": _child("memory", arguments, SINGLE_THREAD, repeat=n) for n in REPEATS}
    found["curve"] = _compare(found["posterior"].pop("curve"), found["votca"])
    found["posterior, one thread"].pop("curve")
    _print(found)
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--topology", type=Path, default=DATA / "spce.tpr")
    parser.add_argument("--trajectory", type=Path, default=DATA / "spce_300K.trr")
    parser.add_argument("--frames", type=int, default=301, help="the first so many")
    parser.add_argument("--output", type=Path, help="JSON file for all figures")
    parser.add_argument("--measure", choices=sorted(MEASUREMENTS), help=argparse.SUPPRESS)
    parser.add_argument("--repeat", type=int, default=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for path in (arguments.topology, arguments.trajectory):
        if not path.is_file():
            sys.exit(f"{path} does not exist: name the files with --topology and --trajectory")
    return arguments


def _run_votca(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    curve = votca.run(
        folder,
        arguments.topology,
        arguments.trajectory,
        frames_per_block=max(arguments.frames // BLOCKS, 1),
        grid=GRID,
        mapping=votca.water_mapping(),
        frames=arguments.frames,
    )
    return {name: np.asarray(value).tolist() for name, value in curve._asdict().items()}


def _child(
    measure: str, arguments: argparse.Namespace, environment: dict[str, str] | None = None, *, repeat: int = 1
) -> dict[str, Any]:
    """Measure in a fresh process."""
    command = [sys.executable, __file__, "--measure", measure, "--repeat", str(repeat)]
    command += ["--topology", str(arguments.topology), "--trajectory", str(arguments.trajectory)]
    command += ["--frames", str(arguments.frames)]
    done = subprocess.run(
        command,
        env={**os.environ, "TQDM_DISABLE": "1", **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _problem(beads: Any) -> Any:
    import bayescg as bcg

    model = bcg.Model(bcg.potentials.PairSpline(cutoff=GRID.cutoff, knots=GRID.points, start=GRID.start))
    return bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.ForceMatching().on(beads))


def _read(arguments: argparse.Namespace, **options: Any) -> Any:
    import bayescg as bcg

    files = [arguments.trajectory] * arguments.repeat
    frames = slice(arguments.frames * arguments.repeat)
    return bcg.read_trajectory(arguments.topology, files, temperature=TEMPERATURE, frames=frames, **options)


def _imported() -> Any:
    """Everything the path needs, imported; the clock starts at zero before and is returned."""
    from common.clock import Clock

    import bayescg as bcg

    bcg.enable_x64()
    clock = Clock()
    import MDAnalysis.coordinates.TRR
    import MDAnalysis.topology.TPRParser  # noqa: F401

    _ = bcg.read_trajectory, bcg.mapping, bcg.Problem, bcg.Conjugate, bcg.priors, bcg.potentials
    return clock


def _measure_posterior(arguments: argparse.Namespace) -> None:
    """From the file to 4 x 1000 draws, twice in one process, and the pass over the frames in parts."""
    import time

    clock = _imported()
    imports = time.process_time()
    import jax

    import bayescg as bcg
    from bayescg.numerics.host_loop import HostLoop

    passes = []
    for number in range(2):
        clock.stages = {}
        with clock.stage("read"):
            atoms = _read(arguments)
        with clock.stage("map"):
            beads = bcg.mapping.CenterOfMass(by="residue")(atoms)
        with clock.stage("problem"):
            problem = _problem(beads)
        with clock.stage("draws"):
            loop = HostLoop(None, False, "benchmark")
            draws = bcg.Conjugate(chains=4, draws=1000).draw(problem, key=jax.random.key(number), loop=loop)
        kinds = ("work", "compilation", "wall")
        passes.append({"stages": clock.stages, **{kind: clock.total(kind) for kind in kinds}})
    report = {
        "imports": imports,
        "first": passes[0],
        "second": passes[1],
        "parts": _parts(clock, beads),
        "curve": {**_curves(problem, draws), "half_grid": _half_grid(beads)},
    }
    print(json.dumps(report))


def _parts(clock: Any, beads: Any) -> dict[str, float]:
    """CPU seconds of the parts of building the problem, each run by itself."""
    import bayescg as bcg
    from bayescg.likelihoods.design import Frame, design
    from bayescg.likelihoods.statistics import frame_sums
    from bayescg.numerics.pairs import pairs_within

    clock.stages = {}
    model = bcg.Model(bcg.potentials.PairSpline(cutoff=GRID.cutoff, knots=GRID.points, start=GRID.start))
    with clock.stage("prepare"):
        model, matching = bcg.likelihoods.ForceMatching().prepare(model, beads)
    with clock.stage("observe, all"):
        matching.observe(model, beads)
    positions = beads["position"].values.astype(float)
    forces, boxes = beads["force"].values.astype(float), beads["box"].values.astype(float)
    topology = bcg.data.topology(beads)
    types = np.asarray(topology.types)
    for x, f, box in zip(positions, forces, boxes, strict=True):
        with clock.stage("pair search"):
            pairs = pairs_within(x, box, GRID.cutoff)
        with clock.stage("design"):
            rows = design(model.potential, Frame(x, box, pairs, topology))
        with clock.stage("statistics"):
            frame_sums(rows, f.T, types, 1)
    return {name: seconds["work"] for name, seconds in clock.stages.items()}


def _curves(problem: Any, draws: Any) -> dict[str, list[float]]:
    """-u'(r) of the posterior mean and of least squares on csg_fmatch's grid, with posterior errors."""
    import jax
    import jax.numpy as jnp

    distance, rows = _rows(problem.joint.potential)
    values = jax.vmap(lambda u: problem.constrain(u)["potential.coefficients"].ravel())
    theta = np.asarray(values(jnp.asarray(draws.positions.reshape(-1, problem.dimension))))
    return {
        "distance": distance.tolist(),
        "posterior_mean": (rows @ theta.mean(axis=0)).tolist(),
        "posterior_deviation": (theta @ rows.T).std(axis=0).tolist(),
        "least_squares": (rows @ _least_squares(problem.observations[0])).tolist(),
    }


def _half_grid(beads: Any) -> list[float]:
    """Least squares on a grid of half the spacing: closer to the mean force than either program's curve."""
    import bayescg as bcg

    knots = 2 * GRID.points - 1
    model = bcg.Model(bcg.potentials.PairSpline(cutoff=GRID.cutoff, knots=knots, start=GRID.start))
    model, matching = bcg.likelihoods.ForceMatching().prepare(model, beads)
    return (_rows(model.potential)[1] @ _least_squares(matching.observe(model, beads))).tolist()


def _rows(potential: Any) -> tuple[np.ndarray, np.ndarray]:
    """Distances, nm, and -B_k'(r) there, (distance, coefficient)."""
    import jax
    import jax.numpy as jnp

    from bayescg.model import with_values

    distance, zero = jnp.arange(GRID.start, GRID.cutoff + 0.005, 0.01), jnp.asarray(0)

    def force(theta: Any) -> Any:
        ready = with_values(potential, {"coefficients": theta.reshape(potential.coefficients.shape)})
        return -jax.vmap(jax.grad(lambda r: ready.pair_energy(r, zero, zero)))(distance)

    return np.asarray(distance), np.asarray(jax.jacfwd(force)(jnp.zeros(potential.coefficients.size)))


def _least_squares(observations: Any) -> np.ndarray:
    gram, projection = (np.asarray(part[0]) for part in observations.total[:2])
    return np.linalg.solve(gram, projection)


def _measure_result(arguments: argparse.Namespace) -> None:
    """`bayescg.sample` with everything it adds to the draws, after the problem is built."""
    clock = _imported()
    import jax

    import bayescg as bcg

    problem = _problem(bcg.mapping.CenterOfMass(by="residue")(_read(arguments)))
    with clock.stage("sample"):
        bcg.sample(problem, bcg.Conjugate(), key=jax.random.key(0), progress=False)
    print(json.dumps(clock.stages["sample"]))


def _measure_explained(arguments: argparse.Namespace) -> None:
    """R² from 0.24 to 0.9 nm, in and out of sample, and what a richer regression reaches."""
    _imported()
    import bayescg as bcg
    from bayescg.likelihoods.explained import explained_force

    beads = bcg.mapping.CenterOfMass(by="residue")(_read(arguments))
    model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=34, start=0.24))
    model, matching = bcg.likelihoods.ForceMatching().prepare(model, beads)
    found = explained_force(model.potential, matching.observe(model, beads), beads)
    print(json.dumps({name: float(values[0]) for name, values in found.data_vars.items()}))


def _measure_memory(arguments: argparse.Namespace) -> None:
    """Growth of the peak resident size while statistics are taken from a lazily read trajectory."""
    _imported()
    from common.clock import peak_memory

    import bayescg as bcg

    atoms = _read(arguments, chunks=CHUNK)
    beads = bcg.mapping.CenterOfMass(by="residue")(atoms)
    model = bcg.Model(bcg.potentials.PairSpline(cutoff=GRID.cutoff, knots=GRID.points, start=GRID.start))
    before = peak_memory()
    model, matching = bcg.likelihoods.ForceMatching().prepare(model, beads)
    seen = matching.observe(model, beads)
    report = {
        "frames": int(seen.frames.sum()),
        "imports_mb": before,
        "growth_mb": peak_memory() - before,
        "data_mb": sum(atoms[name].nbytes for name in ("position", "velocity", "force")) / 1e6,
    }
    print(json.dumps(report))


def _compare(curve: dict[str, list[float]], theirs: dict[str, Any]) -> dict[str, Any]:
    """Root mean square differences of force, kJ/mol/nm, beyond 0.27 nm and region by region."""
    distance, reference = np.asarray(theirs["distance"]), np.asarray(theirs["force"])
    assert np.allclose(distance, curve["distance"], atol=1e-6)
    found: dict[str, Any] = {"distance": curve["distance"], "votca": theirs["force"], **curve}
    for name in ("posterior_mean", "least_squares"):
        gap = np.asarray(curve[name]) - reference
        found[f"{name}: beyond 0.27"] = _rms(gap[distance > 0.2701])
        for region, (low, high) in REGIONS.items():
            inside = (distance > low + 1e-4) & (distance < high + 1e-4)
            found[f"{name}: {region}"] = _rms(gap[inside])
    beyond = distance > 0.2701
    fine = np.asarray(curve["half_grid"])
    found["votca from half grid"] = _rms((reference - fine)[distance > 0.2701])
    found["bayescg from half grid"] = _rms((np.asarray(curve["posterior_mean"]) - fine)[distance > 0.2701])
    found["votca error"] = _rms(np.asarray(theirs["error"])[beyond])
    found["posterior deviation"] = _rms(np.asarray(curve["posterior_deviation"])[beyond])
    return found


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


MEASUREMENTS = {
    "posterior": _measure_posterior,
    "result": _measure_result,
    "explained": _measure_explained,
    "memory": _measure_memory,
}


def _print(found: dict[str, Any]) -> None:
    """The table of `RESULTS.md`."""
    for name, value in found["machine"].items():
        print(f"{name:10s} {value}")
    reference = found["votca"]["cpu_seconds"]
    print(f"\n{'CPU seconds (user + system, all threads)':52s}{'seconds':>9s}{'ratio':>8s}")
    _row("csg_fmatch, whole program: one curve", reference, reference)
    for name, title in {"posterior": "all threads", "posterior, one thread": "one thread"}.items():
        run = found[name]
        print(f"bayescg, {title}: TRR to 4 x 1000 draws")
        for which in ("first", "second"):
            part = run[which]
            _row(f"  {which} pass, compilation apart", part["work"], reference)
            _row(f"  {which} pass, compilation", part["compilation"], reference)
        for stage, seconds in run["second"]["stages"].items():
            _row(f"    second pass: {stage}", seconds["work"], reference)
        for stage, seconds in run["parts"].items():
            _row(f"      problem, by itself: {stage}", seconds, reference)
        _row("  imports", run["imports"], reference)
    _row("bayescg.sample, one thread: all diagnostics too", found["result"]["work"], reference)
    _row("bayescg.sample, one thread: compilation", found["result"]["compilation"], reference)
    _print_quality(found)


def _row(title: str, seconds: float, reference: float) -> None:
    print(f"{title:52s}{seconds:9.2f}{seconds / reference:8.3f}")


def _print_quality(found: dict[str, Any]) -> None:
    curve, explained = found["curve"], found["explained"]
    print(f"\naim: at most {AIM_RATIO} of csg_fmatch's CPU time, compilation and imports apart")
    for name in ("posterior, one thread", "posterior"):
        for which in ("first", "second"):
            ratio = found[name][which]["work"] / found["votca"]["cpu_seconds"]
            print(f"  {name}, {which} pass: {ratio:.3f} {_word(ratio <= AIM_RATIO)}")
    difference = curve["posterior_mean: beyond 0.27"]
    print(f"aim: force difference beyond 0.27 nm at most {AIM_DIFFERENCE} kJ/mol/nm: ", end="")
    print(f"{difference:.3f} {_word(difference <= AIM_DIFFERENCE)}")
    for name in ("posterior_mean", "least_squares"):
        parts = ", ".join(f"{curve[f'{name}: {region}']:.3f} in {region} nm" for region in REGIONS)
        print(f"  {name.replace('_', ' ')}: {curve[f'{name}: beyond 0.27']:.3f}, of which {parts}")
    print(f"  csg_fmatch's own error {curve['votca error']:.3f}, ", end="")
    print(f"posterior standard deviation {curve['posterior deviation']:.3f}")
    print(
        f"  from least squares on half the grid spacing: csg_fmatch {curve['votca from half grid']:.3f}, ",
        end="",
    )
    print(f"bayescg {curve['bayescg from half grid']:.3f}")
    low, high = AIM_EXPLAINED
    r_squared = explained["r_squared"]
    print(f"aim: R² from 0.24 to 0.9 nm in {low}-{high}: {r_squared:.4f} {_word(low <= r_squared <= high)}")
    held_out, error = explained["r_squared_held_out"], explained["r_squared_held_out_error"]
    ceiling = explained["ceiling_at_least"]
    print(f"  held out {held_out:.4f} ± {error:.4f}; any potential of the beads: at least {ceiling:.4f}")
    print("aim: memory flat in the number of frames")
    for run in found["memory"].values():
        print(
            f"  {run['frames']:5d} frames, {run['data_mb']:6.1f} MB of data: peak grows by "
            f"{run['growth_mb']:6.1f} MB beyond the {run['imports_mb']:.0f} MB of imports"
        )


def _word(held: bool) -> str:
    return "(held)" if held else "(MISSED)"


if __name__ == "__main__":
    main()
