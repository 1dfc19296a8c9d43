"""Figures: what the posterior says, how sure it is, and how well it was sampled.

Every function returns a matplotlib Figure of its own and changes no global setting.
"""

from bayescg.viz.divergences import plot_divergences
from bayescg.viz.identifiability import (
    plot_directions,
    plot_ellipses,
    plot_marginals,
    plot_profile,
    plot_spectrum,
)
from bayescg.viz.memory import plot_memory
from bayescg.viz.posterior import plot_rank, plot_trace
from bayescg.viz.potential import plot_potential
from bayescg.viz.predictive import plot_observable
from bayescg.viz.thermodynamic import plot_thermodynamic

__all__ = [
    "plot_directions",
    "plot_divergences",
    "plot_ellipses",
    "plot_marginals",
    "plot_memory",
    "plot_observable",
    "plot_potential",
    "plot_profile",
    "plot_rank",
    "plot_spectrum",
    "plot_thermodynamic",
    "plot_trace",
]
