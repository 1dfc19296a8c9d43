"""Dynamics: one model, or many draws of it, simulated with jax-md."""

from bayescg.dynamics.ensemble import simulate_ensemble
from bayescg.dynamics.recorder import TrajectoryRecorder, open_recorder
from bayescg.dynamics.trajectory_files import Trajectory
from bayescg.dynamics.trajectory_writer import AbstractTrajectoryWriter, TrajectoryError

__all__ = [
    "AbstractTrajectoryWriter",
    "Trajectory",
    "TrajectoryError",
    "TrajectoryRecorder",
    "open_recorder",
    "simulate_ensemble",
]
