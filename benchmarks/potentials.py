"""The equivariant potential against jax-md's NequIP on water: energy and forces, training, compilations.

Both have the same channels, degrees, layers, radial functions and cutoff, see the same 512 beads and run in
the same process, one after the other, several times; the best time of each counts. The beads are the 510
waters of the shipped run and two more put into its widest gaps.

    python benchmarks/potentials.py [--cutoff 0.6] [--channels 16] [--degree 2] [--repeats 7]

NequIP is part of jax-md and needs flax, jraph and ml-collections, which jax-md itself depends on: no extra.
"""

import argparse
import importlib.metadata
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import machine
from common.network import BEADS, energy_and_forces, neighbors_of, own, timed, training_gradient, water

import bayescg as bcg

ANGSTROM = 10.0


def peer(arguments: argparse.Namespace, box: np.ndarray, positions: Any) -> tuple[Any, Callable, Any]:
    """The same of NequIP, in ångström, and its list of neighbours."""
    from jax_md import energy as jax_md_energy
    from jax_md import space
    from jax_md._nn import nequip

    channels, degrees = arguments.channels, range(arguments.degree + 1)
    config = nequip.default_config()
    config.graph_net_steps, config.n_elements = arguments.layers, 1
    config.hidden_irreps = " + ".join(f"{channels}x{l}{'eo'[l % 2]}" for l in degrees)
    config.sh_irreps = " + ".join(f"1x{l}{'eo'[l % 2]}" for l in degrees)
    config.r_max, config.n_neighbors = ANGSTROM * arguments.cutoff, 30.0
    config.shift, config.scale = 0.0, 1.0
    displacement, _ = space.periodic(ANGSTROM * box)
    neighbor_fn, init_fn, energy_fn = jax_md_energy.nequip_neighbor_list(
        displacement, ANGSTROM * box, config, atoms=jnp.ones((BEADS, 1), positions.dtype), dr_threshold=0.0
    )
    listed = neighbor_fn.allocate(ANGSTROM * positions)
    weights = jax.jit(init_fn)(jax.random.key(0), ANGSTROM * positions, listed)
    weights = jax.tree.map(lambda leaf: leaf.astype(positions.dtype), weights)

    def energy(weights: Any, positions: Any, listed: Any) -> Any:
        return energy_fn(weights, ANGSTROM * positions, listed)

    return weights, energy, listed


def compare(arguments: argparse.Namespace, dtype: Any, positions: np.ndarray, box: np.ndarray) -> None:
    """Print times of both in one precision."""
    x = jnp.asarray(positions[0], dtype)
    neighbors = jnp.asarray(neighbors_of(positions[:1], box, arguments.cutoff)[0])
    forces = jnp.asarray(np.random.default_rng(0).normal(size=x.shape), dtype)
    weights, energy, listed = peer(arguments, box, x)
    programs = {"NequIP (jax-md)": (weights, energy, listed)}
    for messages in sorted({min(1, arguments.degree), arguments.degree}, reverse=True):
        potential, own_energy = own(arguments, box, dtype, messages)
        programs[f"Equivariant, messages={messages}"] = (potential, own_energy, neighbors)
    first: tuple[float, float] | None = None
    print(f"\n{np.dtype(dtype).name}: {BEADS} beads, {int((neighbors < BEADS).sum())} directed pairs")
    for name, (weights, energy, near) in programs.items():
        size = sum(leaf.size for leaf in jax.tree.leaves(weights) if hasattr(leaf, "size"))
        one, one_first = timed(energy_and_forces(energy), weights, x, near, repeats=arguments.repeats)
        fit, fit_first = timed(training_gradient(energy), weights, x, near, forces, repeats=arguments.repeats)
        first = first or (one, fit)
        print(
            f"  {name:26s} {size:6d} weights; energy and forces {1e3 * one:7.1f} ms, ratio "
            f"{one / first[0]:.3f}; training {1 / fit:6.2f} frames/s, ratio {first[1] / fit:.2f}; "
            f"first calls {one_first:.1f} and {fit_first:.1f} s"
        )


def compilations(arguments: argparse.Namespace, positions: np.ndarray, box: np.ndarray) -> None:
    """Print how often energy and forces are compiled over frames with different numbers of neighbours."""
    neighbors = neighbors_of(positions, box, arguments.cutoff)
    potential, energy = own(arguments, box, jnp.float64, min(1, arguments.degree))
    traced = []

    @jax.jit
    def forces(potential: Any, x: Any, near: Any) -> Any:
        traced.append(None)
        return jax.grad(energy, argnums=1)(potential, x, near)

    for x, near in zip(positions, neighbors, strict=True):
        jax.block_until_ready(forces(potential, jnp.asarray(x), jnp.asarray(near)))
    counts = sorted({int(count) for count in (neighbors < BEADS).sum(axis=(1, 2))})
    print(f"\ncompilations over frames with {counts} directed pairs: {len(traced)} (aim: 1)")


def main() -> None:
    """Compare in float32 and float64, and count compilations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cutoff", type=float, default=0.6, help="nm")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--degree", type=int, default=2)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    bcg.enable_x64()
    for key, value in machine.describe().items():
        print(f"{key}: {value}")
    print("peer:", ", ".join(f"{n} {importlib.metadata.version(n)}" for n in ("jax-md", "e3nn-jax", "flax")))
    positions, box = water(frames=4)
    for dtype in (jnp.float32, jnp.float64):
        compare(arguments, dtype, positions, box)
    compilations(arguments, positions, box)


if __name__ == "__main__":
    main()
