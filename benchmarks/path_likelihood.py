"""Path likelihoods by lagged sums against filters that pass over every frame.

A particle in a quartic well with a memory of two exponentials, positions alone, every 10 fs; three force
coefficients. One run prints, each against its peer:

(a) value and gradient of the log density at N = 10^4 ... 10^7 frames;
(b) the same at one N by a plain Kalman filter in lax.scan, and by dynamax where it is installed;
(c) effective samples per second of the kernel's integral, against NumPyro's NUTS over the scan filter;
(d) four chains of 1,000 draws end to end, preparation included;
(e) peak memory.

    python benchmarks/path_likelihood.py [--longest 7] [--peer-frames 1000000] [--nuts-frames 20000]
        [--skip nuts,dynamax] [--output X.json]
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from common.clock import fastest, peak_memory
from common.double_well import (
    FORCE,
    FRICTIONS,
    SCALES,
    TIMES,
    dynamax_filter,
    problem_of,
    scan_filter,
    trajectory,
    truth,
)
from common.machine import describe

import bayescg as bcg
from bayescg.inference.conjugate import Collapsed

REPEATS = 50
"""Evaluations timed, the fastest counts: the machine may be shared."""

ROUNDS = 9
"""Of all lengths in turn."""

PEER_WARMUP, PEER_DRAWS = 60, 60
"""Of NumPyro's chain: few, each takes up to 63 passes over the frames and their derivatives."""

AIMS = {"growth": 1.2, "milliseconds": 2.0, "filter ratio": 1000.0, "sampling ratio": 100.0, "seconds": 60.0}


def main() -> None:
    """Run everything and print it."""
    arguments = _arguments()
    bcg.enable_x64()
    found: dict[str, Any] = {"machine": describe()}
    for name, value in found["machine"].items():
        print(f"{name}: {value}")
    x = trajectory(10**arguments.longest, jax.random.key(0))
    found["lagged sums"] = _sums(x, arguments.longest)
    found["filters"] = _filters(x[: arguments.peer_frames], arguments)
    found["end to end"] = _end_to_end(x[: min(10**6, len(x))])
    if "nuts" not in arguments.skip:
        found["sampling"] = _sampling(x[: arguments.nuts_frames])
    print(f"(e) peak memory of the whole run: {peak_memory():.0f} MB")
    found["peak memory, MB"] = peak_memory()
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1))


def _sums(x: np.ndarray, longest: int) -> dict[str, Any]:
    """(a): cost at every length."""
    function = eqx.filter_jit(lambda problem, u: jax.value_and_grad(problem.log_density)(u))
    rows: dict[str, Any] = {}
    ready = {}
    for power in range(4, longest + 1):
        begun = time.perf_counter()
        problem = problem_of(x[: 10**power])
        rows[f"1e{power}"] = {"preparation, s": time.perf_counter() - begun}
        ready[f"1e{power}"] = (problem, problem.unconstrain(truth()))
    # the lengths in turn, again and again: what disturbs the machine for a while disturbs them all
    rounds = np.array(
        [
            [fastest(lambda given=given: function(*given), REPEATS) for given in ready.values()]
            for _ in range(ROUNDS)
        ]
    )
    for (name, row), spent in zip(rows.items(), 1e3 * rounds.min(axis=0), strict=True):
        row["value and gradient, ms"] = float(spent)
        print(f"(a) N = {name}: {spent:.2f} ms, prepared in {row['preparation, s']:.1f} s")
    times = [row["value and gradient, ms"] for row in rows.values()]
    each = rounds[:, -1] / rounds[:, 0]
    print(f"    longest over shortest: {times[-1] / times[0]:.2f} (aim {AIMS['growth']}); in {ROUNDS} rounds")
    print(f"    {each.min():.2f} to {each.max():.2f}, median {np.median(each):.2f}")
    print(f"    at the longest: {times[-1]:.2f} ms (aim {AIMS['milliseconds']})")
    return rows


def _filters(x: np.ndarray, arguments: argparse.Namespace) -> dict[str, Any]:
    """(b): peers that pass over every frame."""
    problem = problem_of(x)
    u = problem.unconstrain(truth())
    function = eqx.filter_jit(lambda problem, u: jax.value_and_grad(problem.log_density)(u))
    ours = fastest(lambda: function(problem, u), REPEATS)
    value = float(problem.log_likelihood(truth()))
    rows: dict[str, Any] = {"frames": len(x), "lagged sums, ms": 1e3 * ours}
    peers: dict[str, Callable[..., Any]] = {"scan": scan_filter}
    if "dynamax" not in arguments.skip:
        peers["dynamax"] = dynamax_filter
    given = tuple(truth().values())
    for name, peer in peers.items():
        evaluate = jax.jit(jax.value_and_grad(lambda values, peer=peer: peer(jnp.asarray(x), *values)))
        density, _ = jax.block_until_ready(evaluate(given))
        spent = fastest(lambda evaluate=evaluate: evaluate(given), repeats=2)
        rows[name] = {"s": spent, "ratio": spent / ours, "log likelihood": float(density)}
        ratio, aim = spent / ours, AIMS["filter ratio"]
        print(f"(b) {name}, N = {len(x)}: {spent:.2f} s, {ratio:.0f} times ours (aim {aim:.0f})")
        print(f"    log likelihood {float(density):.4f}, ours {value:.4f}")
    return rows


def _sampling(x: np.ndarray) -> dict[str, Any]:
    """(c): effective samples per second of the kernel's integral.

    Twice: everything counted, from the trajectory to 4 x 1,000 draws on one side and from the start to the
    last of as many draws on the other, whose pace is measured over a few; and draws alone, adaptation on
    one side and warm-up on the other left out. Compilation counts in the peer's warm-up only, where it is
    seconds of minutes.
    """
    from arviz_stats import ess

    bcg.sample(problem_of(x), bcg.Conjugate(), key=jax.random.key(1), progress=False)  # compiles
    begun = time.perf_counter()
    posterior = bcg.sample(problem_of(x), bcg.Conjugate(), key=jax.random.key(2), progress=False)
    whole = time.perf_counter() - begun
    size = float(ess(posterior["posterior"]["memory.frictions"].sum("mode").values))
    drawing = _drawing_alone(problem_of(x))
    kernel, start_key = _peer_sampler(x), jax.random.key(3)
    peer = numpyro.infer.MCMC(kernel, num_warmup=PEER_WARMUP, num_samples=PEER_DRAWS, progress_bar=False)
    begun = time.perf_counter()
    peer.warmup(start_key)  # minutes, of which compilation takes seconds
    jax.block_until_ready(peer.post_warmup_state)
    warming = time.perf_counter() - begun
    jax.block_until_ready(_samples_of(peer))  # compiles
    begun = time.perf_counter()
    jax.block_until_ready(_samples_of(peer))
    running = time.perf_counter() - begun
    size_theirs = float(ess(np.asarray(peer.get_samples()["frictions"]).sum(-1)[None]))
    draws = posterior["posterior"].sizes["chain"] * posterior["posterior"].sizes["draw"]
    as_many = warming + running * draws / PEER_DRAWS
    everything = (size / whole) / (size_theirs * draws / PEER_DRAWS / as_many)
    alone = (size / drawing) / (size_theirs / running)
    print(f"(c) N = {len(x)}: {size:.0f} effective samples in {whole:.1f} s, {drawing:.2f} s to draw them")
    print(f"    NumPyro's NUTS over the scan filter: {PEER_WARMUP} draws of warm-up in {warming:.1f} s, then")
    print(f"    {size_theirs:.0f} effective samples in {running:.1f} s; {draws} draws: {as_many:.0f} s")
    print(f"    ratio, everything counted: {everything:.0f} (aim {AIMS['sampling ratio']:.0f})")
    print(f"    ratio, draws alone on both sides: {alone:.0f}")
    print(f"    ratio, all of ours to draws alone of theirs: {alone * drawing / whole:.0f}")
    return {
        "ours": {"effective samples": size, "s": whole, "draws alone, s": drawing},
        "numpyro": {"effective samples": size_theirs, "s": running, "warm-up, s": warming},
        "ratio": everything,
        "ratio of draws alone": alone,
    }


def _samples_of(peer: Any) -> Any:
    peer.run(jax.random.key(4))
    return peer.get_samples()


def _drawing_alone(problem: Any) -> float:
    """Seconds of 4 x 1,000 draws once the proposal is known: kernels, then coefficients."""
    collapsed = Collapsed(problem)
    u = problem.unconstrain(truth())[np.array(collapsed.eta_places)]
    starts, keys = jnp.repeat(u[None], 4200, axis=0), jax.random.split(jax.random.key(0), 4000)
    densities = jax.jit(lambda points: jax.lax.map(collapsed.log_density, points, batch_size=32))
    complete = jax.jit(lambda pairs: jax.lax.map(lambda p: collapsed.scored(*p), pairs, batch_size=64))
    pairs = (starts[:4000], keys)
    return fastest(lambda: densities(starts), repeats=3) + fastest(lambda: complete(pairs), repeats=3)


def _peer_sampler(x: np.ndarray) -> Any:
    series = jnp.asarray(x)

    def program() -> None:
        times = numpyro.sample("times", dist.LogNormal(jnp.log(jnp.array(TIMES)), 1.0).to_event(1))
        frictions = numpyro.sample("frictions", dist.LogNormal(jnp.log(60.0), 1.0).expand([2]).to_event(1))
        scaled = numpyro.sample("scaled", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
        numpyro.factor("path", scan_filter(series, times, frictions, scaled * jnp.asarray(SCALES)))

    start = {
        "times": jnp.array(TIMES),
        "frictions": jnp.array(FRICTIONS),
        "scaled": jnp.array(FORCE) / jnp.array(SCALES),
    }
    return numpyro.infer.NUTS(
        program, init_strategy=numpyro.infer.init_to_value(values=start), max_tree_depth=6
    )


def _end_to_end(x: np.ndarray) -> dict[str, float]:
    """(d): from positions to draws; compilation counts."""
    begun = time.perf_counter()
    posterior = bcg.sample(problem_of(x), bcg.Conjugate(), key=jax.random.key(5), progress=False)
    spent = time.perf_counter() - begun
    friction = posterior["posterior"]["memory.frictions"].sum("mode").values
    print(f"(d) 4 x 1,000 draws at N = {len(x)}: {spent:.1f} s (aim {AIMS['seconds']:.0f})")
    mean, error = friction.mean(), friction.std()
    print(f"    integral of the kernel {mean:.2f} ± {error:.2f} amu/ps, true {sum(FRICTIONS):g}")
    return {"s": spent, "friction": float(friction.mean()), "deviation": float(friction.std())}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--longest", type=int, default=7, help="power of ten of the longest trajectory")
    parser.add_argument("--peer-frames", type=int, default=10**6)
    parser.add_argument("--nuts-frames", type=int, default=20_000)
    parser.add_argument("--skip", type=lambda text: text.split(","), default=[])
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
