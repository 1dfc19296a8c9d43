"""Settings of every test: float64; warnings are errors (pyproject.toml)."""

import jax

jax.config.update("jax_enable_x64", True)
