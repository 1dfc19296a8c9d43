"""Rows in batches give what rows one by one give, from one compiled copy of the function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg.numerics.batches import map_in_batches


def uneven(row):
    """Two results of one row, one of them of another type."""
    x, (key, index) = row
    return {"sum": jnp.sin(x).sum() + jax.random.normal(key), "index": index, "none": None}


def rows_of(count):
    x = jnp.linspace(0.0, 3.0, count * 3).reshape(count, 3)
    return x, (jax.random.split(jax.random.key(0), count), jnp.arange(count))


@pytest.mark.parametrize(
    ("count", "size"), [(1, 4), (4, 4), (8, 4), (9, 4), (10, 4), (11, 4), (13, 12), (5, 1)]
)
def test_rows_in_batches_are_rows_one_by_one(count, size):
    found = map_in_batches(uneven, rows_of(count), size)
    expected = jax.lax.map(uneven, rows_of(count))
    np.testing.assert_array_equal(found["index"], np.arange(count))
    np.testing.assert_allclose(found["sum"], expected["sum"], rtol=1e-14)
    assert found["none"] is None


@pytest.mark.parametrize("place", [0, 1], ids=["scale", "rows"])
def test_gradients_count_every_row_once(place):
    """Of a number of the function's own and of the seven rows, of which two are computed twice."""
    rows = jnp.arange(1.0, 8.0)

    def in_batches(scale, rows):
        return jnp.sum(map_in_batches(lambda x: jnp.exp(scale * x), rows, 3))

    def whole(scale, rows, again=slice(0)):
        return jnp.sum(jnp.exp(scale * rows)) + jnp.sum(jnp.exp(scale * rows[again]))

    found, expected = (jax.grad(total, place)(0.3, rows) for total in (in_batches, whole))
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    twice = jax.grad(whole, place)(0.3, rows, slice(4, 6))
    assert not np.allclose(twice, expected, rtol=1e-3)  # control


def copies(mapped):
    """How many sines the program of seven rows in batches of three has."""
    return str(jax.make_jaxpr(mapped)(jnp.arange(7.0))).count("sin ")


def test_the_function_is_compiled_once():
    assert copies(lambda x: map_in_batches(jnp.sin, x, 3)) == 1
    assert copies(lambda x: jax.lax.map(jnp.sin, x, batch_size=3)) == 2  # control: what is left over
