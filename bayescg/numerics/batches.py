"""A function of many rows, a batch at a time, in one compiled copy."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from bayescg._typing import Array


def map_in_batches(function: Callable[[Any], Any], rows: Any, size: int) -> Any:
    """What `jax.lax.map(function, rows, batch_size=size)` gives, compiled once.

    JAX compiles the function a second time for the rows that are left over behind the last whole batch. Here
    batches are equally long, and the last one begins as much earlier as it needs for that: it computes a few
    rows twice.

    Args:
        function: of one row.
        rows: arrays, in any container, that agree in the length of their first axis.
        size: rows computed side by side at most.

    Returns:
        The results, with a first axis for the rows.

    Example:
        >>> map_in_batches(lambda x: x**2, jnp.arange(5.0), size=2).tolist()
        [0.0, 1.0, 4.0, 9.0, 16.0]
    """
    count = jax.tree.leaves(rows)[0].shape[0]
    if count <= size:
        return jax.vmap(function)(rows)
    batches = -(-count // size)
    length = -(-count // batches)
    twice = batches * length - count

    def of_batch(start: Array) -> Any:
        batch = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, length), rows)
        return jax.vmap(function)(batch)

    def joined(leaf: Array) -> Array:
        flat, last = leaf.reshape(batches * length, *leaf.shape[2:]), (batches - 1) * length
        return jnp.concatenate([flat[:last], flat[last + twice :]]) if twice else flat

    starts = jnp.minimum(jnp.arange(batches) * length, count - length)
    return jax.tree.map(joined, jax.lax.map(of_batch, starts))
