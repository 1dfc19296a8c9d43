"""512 beads of water, and energy, forces and training gradients of an equivariant potential on them."""

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import bayescg as bcg
from bayescg.numerics.pairs import neighbor_matrix, pairs_within

BEADS, PADDING = 512, 16


def water(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of 512 beads in every frame, nm, and the box."""
    beads = bcg.data.water(frames=frames)
    box = beads["box"].values[0].astype(float)
    found = []
    for x in beads["position"].values.astype(float):
        while len(x) < BEADS:
            offered = np.random.default_rng(len(x)).uniform(0, 1, (4000, 3)) * box
            steps = offered[:, None] - x
            nearest = np.linalg.norm(steps - box * np.round(steps / box), axis=-1).min(axis=1)
            x = np.concatenate([x, offered[[nearest.argmax()]]])
        found.append(x)
    return np.stack(found), box


def neighbors_of(positions: np.ndarray, box: np.ndarray, cutoff: float) -> np.ndarray:
    """Padded neighbours of all frames, one width."""
    tight = [neighbor_matrix(pairs_within(x, box, cutoff), BEADS) for x in positions]
    width = -(-max(matrix.shape[1] for matrix in tight) // PADDING) * PADDING
    return np.stack(
        [np.pad(m, ((0, 0), (0, width - m.shape[1])), constant_values=BEADS).astype(np.int32) for m in tight]
    )


def own(arguments: argparse.Namespace, box: np.ndarray, dtype: Any, messages: int) -> tuple[Any, Callable]:
    """Weights and energy(weights, positions, neighbours) of bayescg's potential."""
    potential = bcg.potentials.Equivariant(
        arguments.cutoff,
        channels=arguments.channels,
        l_max=arguments.degree,
        layers=arguments.layers,
        messages=messages,
        dtype=dtype,
    ).prepare(bcg.interfaces.Support(("SOL",), (0.24,)))
    zeros = jnp.zeros(BEADS, dtype=jnp.int32)
    topology = bcg.interfaces.Topology(zeros, jnp.ones(BEADS), zeros, jnp.zeros((0, 2), jnp.int32), ("SOL",))

    def energy(potential: Any, positions: Any, neighbors: Any) -> Any:
        edges = jnp.asarray(box, positions.dtype)
        return potential.energy(bcg.interfaces.Configuration(positions, edges, neighbors, topology))

    return potential, energy


def timed(function: Callable, *arguments: Any, repeats: int) -> tuple[float, float]:
    """Best time of a compiled call and the time of the first, which compiles; s."""
    compiled, times = jax.jit(function), []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        times.append(time.perf_counter() - begin)
    return min(times[1:]), times[0]


def energy_and_forces(energy: Callable) -> Callable:
    """Energy and its gradient by positions."""
    return jax.value_and_grad(energy, argnums=1)


def training_gradient(energy: Callable) -> Callable:
    """Gradient, by the weights, of the squared error of the forces of one frame."""

    def loss(weights: Any, positions: Any, neighbors: Any, forces: Any) -> Any:
        return jnp.mean((jax.grad(energy, argnums=1)(weights, positions, neighbors) + forces) ** 2)

    return jax.grad(loss)
