"""Loops in machine code inside jitted programs: what is passed, and that another interface is refused."""

import jax
import jax.numpy as jnp
import numpy as np

from bayescg.numerics.foreign_calls import answered, argument, matrix, register, result, vector


def row_sums(frame):
    if answered(frame):
        return 0
    x, shift = matrix(argument(frame, 0), np.float64), vector(argument(frame, 1), np.int32)
    sums, count = vector(result(frame, 0), np.float64), vector(result(frame, 1), np.int32)
    count[0] = x.size
    for i in range(x.shape[0]):
        sums[i] = x[i].sum() + shift[i]
    return 0


def without_version(frame):
    return 0


def call(x, shift):
    shapes = jax.ShapeDtypeStruct(x.shape[:1], x.dtype), jax.ShapeDtypeStruct((1,), jnp.int32)
    return jax.ffi.ffi_call("bayescg_test_row_sums", shapes, vmap_method="sequential")(x, shift)


def test_arrays_pass_with_their_shapes_in_loops_and_under_vmap():
    assert register("bayescg_test_row_sums", row_sums)
    assert register("bayescg_test_row_sums", row_sums)  # once more is no error
    x, shift = jnp.arange(12.0).reshape(2, 2, 3), jnp.array([[1, 2], [3, 4]], jnp.int32)
    sums, count = jax.jit(jax.vmap(call))(x, shift)
    np.testing.assert_array_equal(sums, x.sum(axis=2) + shift)
    np.testing.assert_array_equal(count, [[6], [6]])

    def step(_, total):
        return total + call(x[0], shift[0])[0]

    repeated = jax.jit(lambda: jax.lax.fori_loop(0, 3, step, jnp.zeros(2)))()
    np.testing.assert_array_equal(repeated, 3 * sums[0])


def test_handler_of_another_interface_is_refused():
    assert not register("bayescg_test_without_version", without_version)
    assert not register("bayescg_test_without_version", without_version)
