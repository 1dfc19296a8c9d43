"""Dynamics: one model, or many draws of it, simulated with jax-md."""

from bayescg.dynamics.ensemble import simulate_ensemble

__all__ = ["simulate_ensemble"]
