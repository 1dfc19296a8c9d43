"""Force matching against VOTCA's csg_fmatch: CPU time, curve, explained force, memory.

One run, one file: 510 SPC/E waters as centers of mass, a pair force from 0.24 to 1.0 nm on 39 grid
points. Both forces are piecewise cubic with 39 coefficients: csg_fmatch's natural splines, bayescg's the
slope of an energy of degree 4. csg_fmatch gives a curve; bayescg gives a posterior (4 chains of 1000
draws). Every measurement is a process of its own; times are CPU seconds of all threads, user and system.

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
from common import curves, votca
from common.machine import describe
from common.water_fit import GRID, MEASUREMENTS

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
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

BEYOND = "beyond 0.27"
REGIONS = {
    BEYOND: (0.27, 1.01),
    "0.27-0.35": (0.27, 0.35),
    "0.35-0.90": (0.35, 0.90),
    "0.90-1.00": (0.90, 1.01),
}
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


def _compare(curve: dict[str, list[float]], theirs: dict[str, Any]) -> dict[str, Any]:
    """Root mean square differences of force, kJ/mol/nm, beyond 0.27 nm and region by region."""
    distance, reference = np.asarray(theirs["distance"]), np.asarray(theirs["force"])
    assert np.allclose(distance, curve["distance"], atol=1e-6)
    found: dict[str, Any] = {"distance": curve["distance"], "votca": theirs["force"], **curve}
    gaps = {
        name: np.asarray(curve[name]) - reference for name in ("posterior_mean", "least_squares", "cubic")
    }
    for grid in ("half grid", "half grid, cubic"):
        gaps[f"votca from {grid}"] = reference - np.asarray(curve[grid])
        gaps[f"bayescg from {grid}"] = np.asarray(curve["posterior_mean"]) - np.asarray(curve[grid])
    gaps["votca error"] = np.asarray(theirs["error"])
    gaps["posterior deviation"] = np.asarray(curve["posterior_deviation"])
    for name, gap in gaps.items():
        for region, value in curves.rms_by_region(gap, distance, REGIONS).items():
            found[f"{name}: {region}"] = value
    return found


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
        _row("  loops over pairs, loaded or compiled by numba", run["loops"], reference)
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
    difference = curve[f"posterior_mean: {BEYOND}"]
    print(f"aim: force difference beyond 0.27 nm at most {AIM_DIFFERENCE} kJ/mol/nm: ", end="")
    print(f"{difference:.3f} {_word(difference <= AIM_DIFFERENCE)}")
    titles = {
        "posterior_mean": "posterior mean",
        "least_squares": "least squares",
        "cubic": "least squares, cubic energy",
    }
    for name, title in titles.items():
        inside = [region for region in REGIONS if region != BEYOND]
        parts = ", ".join(f"{curve[f'{name}: {region}']:.3f} in {region} nm" for region in inside)
        print(f"  {title}: {curve[f'{name}: {BEYOND}']:.3f}, of which {parts}")
    print(f"  csg_fmatch's own error {curve[f'votca error: {BEYOND}']:.3f}, ", end="")
    print(f"posterior standard deviation {curve[f'posterior deviation: {BEYOND}']:.3f}")
    for grid in ("half grid", "half grid, cubic"):
        print(f"  from least squares on {grid}: ", end="")
        print(f"csg_fmatch {curve[f'votca from {grid}: {BEYOND}']:.3f}, ", end="")
        print(f"bayescg {curve[f'bayescg from {grid}: {BEYOND}']:.3f}")
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
