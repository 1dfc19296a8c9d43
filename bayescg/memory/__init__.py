"""Memory: kernels of the generalized Langevin equation, each with the drift that embeds it."""

from bayescg.interfaces import Drift, SumMemory, Timescales
from bayescg.memory.drift_matrix import DriftMatrix, from_drift
from bayescg.memory.extended import ExtendedDrift, SpringDrift, extended_drift, with_spring
from bayescg.memory.markovian import Markovian
from bayescg.memory.mori import Mori
from bayescg.memory.oscillatory import OscillatoryProny
from bayescg.memory.pairwise import Pairwise
from bayescg.memory.power_law import PowerLaw
from bayescg.memory.prony import Prony
from bayescg.memory.prony_fit import fit_prony
from bayescg.memory.stability import check_stable
from bayescg.memory.timescales import timescale_warnings
from bayescg.memory.volterra import VolterraKernel, volterra_kernel

__all__ = [
    "Drift",
    "DriftMatrix",
    "ExtendedDrift",
    "Markovian",
    "Mori",
    "OscillatoryProny",
    "Pairwise",
    "PowerLaw",
    "Prony",
    "SpringDrift",
    "SumMemory",
    "Timescales",
    "VolterraKernel",
    "check_stable",
    "extended_drift",
    "fit_prony",
    "from_drift",
    "timescale_warnings",
    "volterra_kernel",
    "with_spring",
]
