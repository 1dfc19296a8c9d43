"""The compiler must not return wrong numbers or hang: why pyproject.toml excludes some versions of jax.

On CPU, jaxlib 0.10.2 compiles a vmapped `sum((M @ row)**2)` wrongly once there are more than 16,384 rows
of float64: the last of 16,385 rows is off by about one percent, silently (jax issue 39103). jaxlib 0.10.0
and 0.10.1 hang, sooner or later, in a loop over batches of Cholesky factorizations followed by triangular
solves, which conjugate inference needs. 0.11.1 is excluded as a precaution. Where an installer was made to
take such a version after all, these tests say so.
"""

import subprocess
import sys
from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np
from packaging.requirements import Requirement

EXCLUDED = ("0.10.0", "0.10.1", "0.10.2", "0.11.1")
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


HANG = """
import faulthandler, os
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_enable_x64", True)
matrix = jnp.eye(38) * 38 + jnp.ones((38, 38))

def solve(x):
    lower = jnp.linalg.cholesky(matrix * (1 + x))
    return jax.scipy.linalg.solve_triangular(lower.T, jnp.ones(38), lower=False)[0]

run = jax.jit(lambda x: jax.lax.map(solve, x, batch_size=256))
for _ in range(40):
    faulthandler.dump_traceback_later({patience}, exit=True)
    np.asarray(run(jnp.linspace(0, 1, 4000)))
os._exit(0)
"""


def test_batched_factorizations_do_not_hang():
    # 40 rounds take two seconds where they end at all; a faulty version stops in one of the first rounds
    result = subprocess.run(
        [sys.executable, "-c", HANG.replace("{patience}", "120")], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


def test_a_hang_is_seen():
    stuck = HANG.replace("{patience}", "0.5").replace("np.asarray(run", "import time; time.sleep(60); (run")
    result = subprocess.run([sys.executable, "-c", stuck], capture_output=True, text=True)
    assert result.returncode != 0
    assert "Timeout" in result.stderr


def test_installed_jax_is_none_of_the_excluded_versions():
    assert metadata.version("jax") not in EXCLUDED
    assert metadata.version("jaxlib") not in EXCLUDED


def test_package_metadata_refuses_the_excluded_versions_and_nothing_newer():
    requirements = [Requirement(line) for line in metadata.requires("bayescg") or []]
    for name in ("jax", "jaxlib"):
        (specifier,) = (r.specifier for r in requirements if r.name == name)
        assert not any(specifier.contains(version) for version in EXCLUDED)
        assert all(specifier.contains(version) for version in ("0.9.2", "0.11.0", "0.12.0"))
