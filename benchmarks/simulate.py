"""Simulations of a posterior against hand-written LAMMPS runs of the same potentials.

Draws of the posterior of 510-bead water (a pair spline to 0.9 nm, force matching), Langevin dynamics at
300 K, 5 fs. LAMMPS runs `pair_style table spline` with a table of the same spline, `fix nve` and
`fix langevin`, the fastest of a few skins, one serial process per core. Programs take turns; figures are
medians over rounds. One run prints, each against its peer:

(a) bead-steps/s of engine="jax-md", g(r) measured every 20 steps, over LAMMPS, nothing measured;
(b) time of engine="lammps" over hand-written runs that write the same frames;
(c) time of the reweighted band over that of simulating every draw, at equal error of a draw's g(r);
(d) time per bead-step from 510 to 50,000 beads, of bayescg and of LAMMPS.

Compilation is apart: every program of ours runs once before it is timed. Rates come twice: by the clock,
and by the time a core was had, which holds where the machine is shared.

    python benchmarks/simulate.py [--draws 32] [--steps 20000] [--skip rate,lammps,reweight,sizes]
        [--output X.json]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from common.clock import peak_memory
from common.fitted_water import (
    EVERY,
    FRICTION,
    TEMPERATURE,
    TIMESTEP,
    copies_of_water,
    fitted_water,
)
from common.hand_written import Peer
from common.machine import describe

import bayescg as bcg

ROUNDS = 3
COPIES = ((1, 1, 1), (2, 2, 2), (3, 3, 3), (5, 5, 4))
"""Of the box of 510 waters: up to 51,000 beads."""

LONG = 20_000
"""Steps of (c) at least, as many as `bcg.simulate` takes by itself; fewer leave draws too few samples."""

BEAD_STEPS = 12e6
"""Of every timed run in (d): what is done once a run, 7 us a bead for 51,000, is then below 4 % of it."""

AIMS = {"rate": 0.7, "engine": 1.1, "reweighting": 0.1, "growth": 1.0}


def main() -> None:
    """Run everything and print it."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    arguments = _arguments()
    bcg.enable_x64()
    if arguments.size is not None:
        print(json.dumps(_own_size(arguments.size)))
        return
    found: dict[str, Any] = {"machine": describe()}
    for name, value in found["machine"].items():
        print(f"{name}: {value}")
    problem, posterior = fitted_water()
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(Path(folder), problem, posterior, draws=arguments.draws)
        if "rate" not in arguments.skip:
            found["rate"] = _rates(problem, posterior, arguments, peer)
        if "lammps" not in arguments.skip:
            found["engine"] = _engine(problem, posterior, arguments, peer)
        if "reweight" not in arguments.skip:
            found["reweighting"] = _reweighting(problem, posterior, arguments)
        if "sizes" not in arguments.skip:
            found["sizes"] = _sizes(peer)
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1))


def _simulate(
    problem: Any, posterior: Any, arguments: argparse.Namespace, engine: str, measure: Any
) -> tuple[Any, float]:
    """The result, and the seconds of processor time of this process and its children."""
    before = sum(os.times()[:4])
    result = bcg.simulate(
        problem,
        posterior,
        key=jax.random.key(1),
        draws=arguments.draws,
        steps=arguments.steps,
        timestep=TIMESTEP,
        friction=FRICTION,
        temperature=TEMPERATURE,
        observables=[measure],
        measure_every=EVERY,
        engine=engine,
        progress=False,
    )
    return result, sum(os.times()[:4]) - before


def _rates(problem: Any, posterior: Any, arguments: argparse.Namespace, peer: Peer) -> dict[str, Any]:
    """(a): every draw in jax-md and in LAMMPS."""
    measure = bcg.observables.RDF()
    begun = time.perf_counter()
    first, _ = _simulate(problem, posterior, arguments, "jax-md", measure)
    compiling = time.perf_counter() - begun
    rows = []
    for _ in range(ROUNDS):
        ours, cpu = _simulate(problem, posterior, arguments, "jax-md", measure)
        taken = ours.attrs["bead_steps_per_second"] * ours.attrs["seconds"]
        theirs = peer.run(arguments.steps)
        work = arguments.draws * arguments.steps * len(peer.positions)
        rows.append(
            (taken / ours.attrs["seconds"], work * peer.cores / theirs.loop, taken / cpu, work / theirs.cpu)
        )
    wall, wall_peer, core, core_peer = np.median(rows, axis=0)
    by_clock, by_core = _ratios(rows)
    print(
        f"(a) {arguments.draws} draws of {len(peer.positions)} beads, "
        f"{arguments.steps} steps, {ROUNDS} rounds;"
    )
    print(f"    first call {compiling:.1f} s, compilation included, later ones {ours.attrs['seconds']:.1f} s")
    print(
        f"    bayescg {wall:.3g} bead-steps/s, LAMMPS {wall_peer:.3g}, skin {peer.skin} nm, its own loop time"
    )
    print(f"    per second of a core: {core:.3g} and {core_peer:.3g}")
    print(f"    ratio {by_clock:.2f} by the clock, {by_core:.2f} by processor time (aim {AIMS['rate']})")
    temperature = float(first["diagnostics"].kinetic_temperature.mean())
    print(f"    kinetic temperature {temperature:.1f} K")
    return {
        "bayescg": wall,
        "LAMMPS": wall_peer,
        "per core": [core, core_peer],
        "ratio": by_clock,
        "ratio by processor time": by_core,
        "rounds": rows,
        "first call, s": compiling,
        "skin of LAMMPS, nm": peer.skin,
    }


def _ratios(rows: list[tuple[float, float, float, float]]) -> tuple[float, float]:
    """Medians of the ratios of the first to the second and of the third to the fourth."""
    table = np.array(rows)
    return float(np.median(table[:, 0] / table[:, 1])), float(np.median(table[:, 2] / table[:, 3]))


def _engine(problem: Any, posterior: Any, arguments: argparse.Namespace, peer: Peer) -> dict[str, Any]:
    """(b): what engine="lammps" adds to LAMMPS: every run of ours against the hand-written ones around it."""
    work = 1.1 * arguments.draws * arguments.steps * len(peer.positions)

    def hand_written() -> np.ndarray:
        before = sum(os.times()[:4])
        wall = peer.run(arguments.steps, dump=True).wall
        return np.array([wall, sum(os.times()[:4]) - before]) / work

    rows, before = [], hand_written()
    for _ in range(ROUNDS):
        ours, cpu = _simulate(problem, posterior, arguments, "lammps", bcg.observables.RDF())
        taken = ours.attrs["bead_steps_per_second"] * ours.attrs["seconds"]
        after = hand_written()
        wall_peer, cpu_peer = 0.5 * (before + after)
        rows.append((ours.attrs["seconds"] / taken, wall_peer, cpu / taken, cpu_peer))
        before = after
    by_clock, by_core = _ratios(rows)
    print(f"(b) engine='lammps': {by_clock:.2f} times as long as hand-written runs by the clock,")
    print(f"    {by_core:.2f} by processor time (aim {AIMS['engine']}); their skin is {peer.skin} nm")
    return {"ratio": by_clock, "ratio by processor time": by_core, "rounds": rows}


def _reweighting(problem: Any, posterior: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    """(c): seconds times mean squared error of a draw's g(r), which does not depend on the length of runs."""
    measure, results = bcg.observables.RDF(), {}
    arguments = argparse.Namespace(**vars(arguments) | {"steps": max(arguments.steps, LONG)})
    runs: dict[str, Callable[[], Any]] = {
        "simulated": lambda: _simulate(problem, posterior, arguments, "jax-md", measure)[0],
        "reweighted": lambda: bcg.reweight(
            problem,
            posterior,
            key=jax.random.key(1),
            draws=arguments.draws,
            steps=arguments.steps,
            timestep=TIMESTEP,
            friction=FRICTION,
            temperature=TEMPERATURE,
            observables=[measure],
            measure_every=EVERY,
            progress=False,
        ),
    }
    for name, run in runs.items():
        run()  # compiles
        before = sum(os.times()[:4])
        result = run()
        error = result["posterior_predictive"].radial_distribution_error.values
        results[name] = {
            "s": result.attrs["seconds"],
            "processor, s": sum(os.times()[:4]) - before,
            "error": float(np.sqrt(np.nanmean(error**2))),
            "band": result["summary/radial_distribution"].between_draw_sd.values,
        }
    ours, theirs = results["reweighted"], results["simulated"]
    kept = float(result["reweighting"].reweighted.mean())
    costs = [
        ours[clock] * ours["error"] ** 2 / (theirs[clock] * theirs["error"] ** 2)
        for clock in ("s", "processor, s")
    ]
    gap = float(np.sqrt(np.mean((ours["band"] - theirs["band"]) ** 2)))
    print(
        f"(c) reweighted {ours['s']:.1f} s, error {ours['error']:.2g} "
        f"({100 * kept:.0f}% of the draws by weights);"
    )
    print(f"    every draw simulated {theirs['s']:.1f} s, error {theirs['error']:.2g}")
    print(
        f"    at equal error {costs[0]:.3f} of the time, {costs[1]:.3f} of processor time "
        f"(aim {AIMS['reweighting']})"
    )
    width = float(np.sqrt(np.mean(theirs["band"] ** 2)))
    print(f"    standard deviation between draws, root mean square {width:.2g}; the two differ by {gap:.2g}")
    plain = {name: {k: v for k, v in row.items() if k != "band"} for name, row in results.items()}
    return {**plain, "ratio": costs[0], "ratio by processor time": costs[1], "by weights": kept}


def _sizes(peer: Peer) -> dict[str, Any]:
    """(d): one draw, boxes of copies side by side, one core's time per bead-step."""
    rows: dict[int, dict[str, Any]] = {}
    for _ in range(ROUNDS):
        for number, copies in enumerate(COPIES):
            beads = len(peer.positions) * int(np.prod(copies))
            steps = max(20, int(BEAD_STEPS / beads) // 20 * 20)
            own = _child(number)
            theirs = peer.run(steps, draws=1, copies=copies).cpu / steps / beads
            row = rows.setdefault(beads, {"ours": [], "LAMMPS": [], "memory, MB": own["memory, MB"]})
            row["ours"].append(own["seconds"] / own["bead-steps"])
            row["LAMMPS"].append(theirs)
    print("(d) processor time per bead-step, one draw, us; g(r) to the cutoff measured by ours")
    for beads, row in rows.items():
        ours, theirs = (1e6 * float(np.median(row[name])) for name in ("ours", "LAMMPS"))
        print(
            f"    {beads:6d} beads: bayescg {ours:.2f}, LAMMPS {theirs:.2f}; "
            f"memory {row['memory, MB']:.0f} MB"
        )
    smallest, *_, largest = rows.values()
    growth = {name: _growth(largest[name], smallest[name]) for name in ("ours", "LAMMPS")}
    print(
        f"    largest over smallest: {growth['ours']:.2f} (aim {AIMS['growth']}), "
        f"LAMMPS {growth['LAMMPS']:.2f}"
    )
    return {"rows": rows, "growth": growth}


def _growth(largest: list[float], smallest: list[float]) -> float:
    return float(np.median(np.array(largest) / np.array(smallest)))


def _child(number: int) -> dict[str, float]:
    """A size in a process of its own, for its peak memory."""
    command = [sys.executable, __file__, "--size", str(number)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _own_size(number: int) -> dict[str, float]:
    """One draw of copies of the box: processor time of the second of two runs, the first compiles."""
    problem, posterior = fitted_water()
    copies = COPIES[number % len(COPIES)]
    total = len(problem.beads["mass"]) * int(np.prod(copies))
    steps = max(20, int(BEAD_STEPS / total) // 20 * 20)
    run = copies_of_water(problem, posterior, copies, steps=steps)
    run()
    before = time.process_time()
    run()
    seconds = time.process_time() - before
    return {"seconds": seconds, "bead-steps": steps * total, "memory, MB": peak_memory()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--draws", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--skip", type=lambda text: text.split(","), default=[])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
