"""From files to beads: reading trajectories, mapping atoms to beads, the schema they keep to."""

from bayescg.data import mapping, synthetic
from bayescg.data.boltzmann_inversion import boltzmann_inversion
from bayescg.data.bundled import propanol, water, water_dynamics, water_temperatures
from bayescg.data.correlation_table import correlation_table
from bayescg.data.dataset import site_dimension, state_points, topology, validate
from bayescg.data.example import example
from bayescg.data.harmonic_bath import harmonic_bath
from bayescg.data.kinetic import kinetic_temperature
from bayescg.data.storage import read, to_file
from bayescg.data.trajectory import read_trajectory
from bayescg.data.unit_systems import UnitSystem

__all__ = [
    "UnitSystem",
    "boltzmann_inversion",
    "correlation_table",
    "example",
    "harmonic_bath",
    "kinetic_temperature",
    "mapping",
    "propanol",
    "read",
    "read_trajectory",
    "site_dimension",
    "state_points",
    "synthetic",
    "to_file",
    "topology",
    "validate",
    "water",
    "water_dynamics",
    "water_temperatures",
]
