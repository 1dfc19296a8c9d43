"""The compiler must not return wrong numbers: why pyproject.toml excludes jax and jaxlib 0.10.2 and 0.11.1.

On CPU, jaxlib 0.10.2 compiles a vmapped `sum((M @ row)**2)` wrongly once there are more than 16,384 rows
of float64: the last of 16,385 rows is off by about one percent, silently (jax issue 39103). This formula
does not show a fault in 0.11.1, which is excluded as a precaution. Where an installer was made to take
such a version after all, these tests say so.
"""

from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np
from packaging.requirements import Requirement

EXCLUDED = ("0.10.2", "0.11.1")
ROWS = 16_385  # one more than the 16,384 rows up to which the faulty versions are right


def squared_norms(rows):
    """|M row|² of every row, M the identity: one product and one reduction per row, fused by the compiler."""
    identity = jnp.eye(3, dtype=rows.dtype)
    return jax.vmap(lambda row: jnp.sum((identity @ row) ** 2))(rows)


def test_compiled_row_norms_equal_numpy_to_the_last_bit():
    rows = np.zeros((ROWS, 3))
    rows[:, 0] = np.arange(ROWS)
    expected = np.einsum("ij,ij->i", rows, rows)
    compiled = np.asarray(jax.jit(squared_norms)(jnp.asarray(rows)))
    assert compiled.dtype == np.float64
    assert compiled[-1] == 268_435_456.0  # 16,384²
    # every number here is a whole number below 2^53, so float64 has no rounding to forgive
    np.testing.assert_array_equal(compiled, expected)


def test_installed_jax_is_none_of_the_excluded_versions():
    assert metadata.version("jax") not in EXCLUDED
    assert metadata.version("jaxlib") not in EXCLUDED


def test_package_metadata_refuses_the_excluded_versions_and_nothing_newer():
    requirements = [Requirement(line) for line in metadata.requires("bayescg") or []]
    for name in ("jax", "jaxlib"):
        (specifier,) = (r.specifier for r in requirements if r.name == name)
        assert not any(specifier.contains(version) for version in EXCLUDED)
        assert all(specifier.contains(version) for version in ("0.10.1", "0.11.0", "0.12.0"))
