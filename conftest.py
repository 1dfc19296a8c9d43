"""Settings of every test and doctest of this repository: float64. Warnings are errors (pyproject.toml)."""

import jax

jax.config.update("jax_enable_x64", True)
