"""What an accelerator brings, against the processor of the same machine, and whether both say the same.

Each of the two runs the same work in a process of its own (JAX_PLATFORMS), the processor with all its cores:

(a) simulations in jax-md: bead-steps/s of 32 draws of 510 beads of water at once, and of one draw of 51,000
    beads;
(b) a path likelihood, value and gradient: 100,000 frames from their lagged sums, and 10,000 by a filter over
    every frame;
(c) an equivariant potential on 512 beads: energy and forces, and training gradients, in float32 and float64;
(d) draws: `Conjugate`, and NUTS of a spline of 24 coefficients.

Everything is timed after a first call, which compiles. The numbers themselves are compared: log densities,
gradients, energies, forces and the mean g(r).

    python benchmarks/accelerator.py [--quick] [--output X.json]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from common.clock import fastest
from common.double_well import problem_of, scan_filter, trajectory, truth
from common.fitted_water import EVERY, TEMPERATURE, TIMESTEP, copies_of_water, fitted_water
from common.machine import describe
from common.network import BEADS, energy_and_forces, neighbors_of, own, timed, training_gradient, water

import bayescg as bcg

REPEATS = 3
NETWORK = argparse.Namespace(cutoff=0.6, channels=16, degree=2, layers=2)
"""As in potentials.py."""


def main() -> None:
    """Run both and print the ratios."""
    arguments = _arguments()
    if arguments.child:
        bcg.enable_x64()
        print(json.dumps(_work(arguments)))
        return
    for name, value in describe().items():
        print(f"{name}: {value}")
    fast = _child({}, arguments)
    print(f"device: {fast['device']}")
    if fast["device"].startswith("cpu"):
        print("jax finds no accelerator, so there is nothing to compare; see pip install 'jax[cuda13]'")
        return
    slow = _child({"JAX_PLATFORMS": "cpu"}, arguments)
    for name, rate in slow["rates"].items():
        ours = fast["rates"][name]
        print(f"{name}: {ours:.4g} /s, processor {rate:.4g} /s, ratio {ours / rate:.2f}")
    for name, numbers in slow["values"].items():
        right = np.asarray(numbers)
        difference = np.abs(np.asarray(fast["values"][name]) - right).max() / np.abs(right).max()
        print(f"{name}: largest difference {difference:.1e} of the largest value")
    if arguments.output:
        arguments.output.write_text(json.dumps({"accelerator": fast, "processor": slow}, indent=1))


def _child(platform: dict[str, str], arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", *(["--quick"] if arguments.quick else [])]
    done = subprocess.run(command, env=os.environ | platform, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _work(arguments: argparse.Namespace) -> dict[str, Any]:
    rates: dict[str, float] = {}
    values: dict[str, Any] = {}
    (device, *_) = jax.devices()
    described = f"{device.platform} {device.device_kind}"
    if device.platform == "cpu" and os.environ.get("JAX_PLATFORMS") != "cpu":
        return {"device": described}
    for part in (_networks, _paths, _draws, _simulations):
        begun, known = time.perf_counter(), set(rates)
        part(rates, values, quick=arguments.quick)
        # as they come: a run that is ended early has said what it found
        new = {name: float(f"{rate:.4g}") for name, rate in rates.items() if name not in known}
        print(f"{described}, {time.perf_counter() - begun:.0f} s: {new}", file=sys.stderr, flush=True)
    return {"device": described, "rates": rates, "values": values}


def _simulations(rates: dict[str, float], values: dict[str, Any], *, quick: bool) -> None:
    """(a)."""
    problem, posterior = fitted_water()
    steps = 200 if quick else 400

    def run() -> Any:
        return bcg.simulate(
            problem,
            posterior,
            key=jax.random.key(1),
            draws=32,
            steps=steps,
            timestep=TIMESTEP,
            temperature=TEMPERATURE,
            observables=[bcg.observables.RDF()],
            measure_every=EVERY,
            progress=False,
        )

    run()
    found = run()
    rates["32 draws of 510 beads, bead-steps"] = float(found.attrs["bead_steps_per_second"])
    values["mean g(r), its own Monte Carlo error"] = found["summary/radial_distribution"][
        "mean"
    ].values.tolist()
    large = copies_of_water(problem, posterior, (5, 5, 4), steps=20 if quick else 200)
    large()
    begun = time.perf_counter()
    large()
    work = 51_000 * (20 if quick else 200)
    rates["one draw of 51,000 beads, bead-steps"] = work / (time.perf_counter() - begun)


def _paths(rates: dict[str, float], values: dict[str, Any], *, quick: bool) -> None:
    """(b)."""
    frames = 10_000 if quick else 100_000
    with jax.default_device(jax.devices("cpu")[0]):  # one frame after the other
        x = trajectory(frames, jax.random.key(0))
    problem = problem_of(x)
    u = problem.unconstrain(truth())
    function = eqx.filter_jit(lambda problem, u: jax.value_and_grad(problem.log_density)(u))
    value, gradient = function(problem, u)
    values["path log density from lagged sums"] = [float(value)]
    values["its gradient"] = np.asarray(gradient).tolist()
    rates["path log densities with gradients, lagged sums"] = 1 / fastest(lambda: function(problem, u))
    many = jax.jit(jax.vmap(lambda u: jax.value_and_grad(problem.log_density)(u)))
    points = jnp.repeat(u[None], 64, axis=0)
    rates["the same, 64 at once"] = 64 / fastest(lambda: many(points))
    part = jnp.asarray(x[:10_000])
    evaluate = jax.jit(jax.value_and_grad(lambda given: scan_filter(part, *given)))
    given = tuple(truth().values())
    values["path log density by the filter"] = [float(evaluate(given)[0])]
    rates["path log densities with gradients, scan over 10,000 frames"] = 1 / fastest(lambda: evaluate(given))


def _networks(rates: dict[str, float], values: dict[str, Any], *, quick: bool) -> None:
    """(c)."""
    positions, box = water(frames=1)
    near = jnp.asarray(neighbors_of(positions, box, NETWORK.cutoff)[0])
    repeats = 2 if quick else 7
    for dtype in (jnp.float32, jnp.float64):
        x = jnp.asarray(positions[0], dtype)
        forces = jnp.asarray(np.random.default_rng(0).normal(size=x.shape), dtype)
        potential, energy = own(NETWORK, box, dtype, 1)
        name = f"{np.dtype(dtype).name}, {BEADS} beads"
        both = energy_and_forces(energy)
        rates[f"equivariant energy and forces, {name}"] = (
            1 / timed(both, potential, x, near, repeats=repeats)[0]
        )
        rates[f"equivariant training gradients, {name}"] = (
            1 / timed(training_gradient(energy), potential, x, near, forces, repeats=repeats)[0]
        )
        values[f"equivariant forces, {name}"] = (
            np.asarray(jax.jit(both)(potential, x, near)[1]).ravel().tolist()
        )


def _draws(rates: dict[str, float], values: dict[str, Any], *, quick: bool) -> None:
    """(d)."""
    problem, _ = fitted_water()
    size = 50 if quick else 500
    samplers = {
        "Conjugate": bcg.Conjugate(chains=4, draws=size),
        "NUTS": bcg.NUTS(chains=4, warmup=size, draws=size),
    }
    for name, sampler in samplers.items():
        bcg.sample(problem, sampler, key=jax.random.key(2), progress=False)
        begun = time.perf_counter()
        found = bcg.sample(problem, sampler, key=jax.random.key(3), progress=False)
        rates[f"draws of {name}, all counted"] = 4 * size / (time.perf_counter() - begun)
    mean = found["posterior"]["potential.coefficients"].mean(("chain", "draw"))
    values["posterior mean by NUTS, its own Monte Carlo error"] = mean.values.tolist()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
