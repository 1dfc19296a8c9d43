"""What bayescg spends and finds on the water trajectory; every function is run in a process of its own.

Each prints one line of JSON. Heavy imports stand inside, because their time is measured.
"""

import argparse
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from common import curves
from common.votca import Grid

TEMPERATURE = 300.0
GRID = Grid(start=0.24, cutoff=1.0, step=0.02)
DEGREE = 4
"""Of the energy: its force is a piecewise cubic, as csg_fmatch's is."""

CHUNK = 50
"""Frames per chunk where the trajectory is read lazily."""


def _model(knots: int = GRID.points, degree: int = DEGREE) -> Any:
    import bayescg as bcg

    return bcg.Model(
        bcg.potentials.PairSpline(cutoff=GRID.cutoff, knots=knots, start=GRID.start, degree=degree)
    )


def _problem(beads: Any) -> Any:
    import bayescg as bcg

    model = _model()
    return bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.ForceMatching().on(beads))


def _read(arguments: argparse.Namespace, **options: Any) -> Any:
    import bayescg as bcg

    files = [arguments.trajectory] * arguments.repeat
    frames = slice(arguments.frames * arguments.repeat)
    return bcg.read_trajectory(arguments.topology, files, temperature=TEMPERATURE, frames=frames, **options)


def _imported() -> Any:
    """Everything the path needs, imported, machine code of its loops included; returns the clock."""
    from common.clock import Clock

    import bayescg as bcg

    bcg.enable_x64()
    clock = Clock()
    import MDAnalysis.coordinates.TRR
    import MDAnalysis.topology.TPRParser  # noqa: F401

    _ = bcg.read_trajectory, bcg.mapping, bcg.Problem, bcg.Conjugate, bcg.priors, bcg.potentials
    with clock.stage("loops"):  # numba: imported, and its loops compiled, or loaded where they are kept
        _load_loops()
    return clock


def _load_loops() -> None:
    """Two beads are enough to have the loops over pairs compiled."""
    import bayescg as bcg
    from bayescg.likelihoods.design import Frame, design
    from bayescg.numerics.pairs import pairs_within

    x = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.5]])
    beads = bcg.interfaces.Topology(
        np.zeros(2, dtype=int), np.ones(2), np.arange(2), np.zeros((0, 2), dtype=int), ("SOL",)
    )
    potential = _model().potential.prepare(bcg.interfaces.Support(("SOL",), (GRID.start,)))
    design(potential, Frame(x, None, pairs_within(x, None, GRID.cutoff), beads))


def posterior(arguments: argparse.Namespace) -> None:
    """From the file to 4 x 1000 draws, twice in one process, and the pass over the frames in parts."""
    import time

    clock = _imported()
    imports = time.process_time() - clock.total("work") - clock.total("compilation")
    loops = clock.stages["loops"]["work"]
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
        "loops": loops,
        "first": passes[0],
        "second": passes[1],
        "parts": _parts(clock, beads),
        "curve": {**_curves(problem, draws), **_other_splines(beads)},
    }
    print(json.dumps(report))


def _parts(clock: Any, beads: Any) -> dict[str, float]:
    """CPU seconds of the parts of building the problem, each run by itself."""
    from threadpoolctl import threadpool_limits

    import bayescg as bcg
    from bayescg.likelihoods.design import Frame, design
    from bayescg.likelihoods.statistics import frame_sums
    from bayescg.numerics.pairs import pairs_within

    clock.stages = {}
    model = _model()
    with clock.stage("prepare"):
        model, matching = bcg.likelihoods.ForceMatching().prepare(model, beads)
    with clock.stage("observe, all"):
        matching.observe(model, beads)
    positions = beads["position"].values.astype(float)
    forces, boxes = beads["force"].values.astype(float), beads["box"].values.astype(float)
    topology = bcg.data.topology(beads)
    types = np.asarray(topology.types)
    with threadpool_limits(1, user_api="blas"):  # as in the library
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

    distance = _distance()
    rows = curves.force_rows(problem.joint.potential, distance)
    values = jax.vmap(lambda u: problem.constrain(u)["potential.coefficients"].ravel())
    theta = np.asarray(values(jnp.asarray(draws.positions.reshape(-1, problem.dimension))))
    return {
        "distance": distance.tolist(),
        "posterior_mean": (rows @ theta.mean(axis=0)).tolist(),
        "posterior_deviation": (theta @ rows.T).std(axis=0).tolist(),
        "least_squares": (rows @ curves.least_squares(problem.observations[0])).tolist(),
    }


def _other_splines(beads: Any) -> dict[str, list[float]]:
    """Least squares with a cubic energy, and on half the grid spacing, which is closer to the mean force."""
    import bayescg as bcg

    found = {}
    half = 2 * GRID.points - 1
    for name, knots, degree in (
        ("cubic", GRID.points, 3),
        ("half grid, cubic", half, 3),
        ("half grid", half, DEGREE),
    ):
        model, matching = bcg.likelihoods.ForceMatching().prepare(_model(knots, degree), beads)
        theta = curves.least_squares(matching.observe(model, beads))
        found[name] = (curves.force_rows(model.potential, _distance()) @ theta).tolist()
    return found


def _distance() -> np.ndarray:
    """csg_fmatch's output grid, nm."""
    return np.arange(GRID.start, GRID.cutoff + 0.005, 0.01)


def result(arguments: argparse.Namespace) -> None:
    """`bayescg.sample` with everything it adds to the draws, after the problem is built."""
    clock = _imported()
    import jax

    import bayescg as bcg

    problem = _problem(bcg.mapping.CenterOfMass(by="residue")(_read(arguments)))
    with clock.stage("sample"):
        bcg.sample(problem, bcg.Conjugate(), key=jax.random.key(0), progress=False)
    print(json.dumps(clock.stages["sample"]))


def explained(arguments: argparse.Namespace) -> None:
    """R² from 0.24 to 0.9 nm, in and out of sample, and what a richer regression reaches."""
    _imported()
    import bayescg as bcg
    from bayescg.likelihoods.explained import explained_force

    beads = bcg.mapping.CenterOfMass(by="residue")(_read(arguments))
    model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=34, start=0.24))
    model, matching = bcg.likelihoods.ForceMatching().prepare(model, beads)
    found = explained_force(model.potential, matching.observe(model, beads), beads)
    print(json.dumps({name: float(values[0]) for name, values in found.data_vars.items()}))


def memory(arguments: argparse.Namespace) -> None:
    """Growth of the peak resident size while statistics are taken from a lazily read trajectory."""
    _imported()
    from common.clock import peak_memory

    import bayescg as bcg

    atoms = _read(arguments, chunks=CHUNK)
    beads = bcg.mapping.CenterOfMass(by="residue")(atoms)
    model = _model()
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


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "posterior": posterior,
    "result": result,
    "explained": explained,
    "memory": memory,
}
