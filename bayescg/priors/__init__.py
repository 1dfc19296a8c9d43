"""Priors: what is believed of the parameters before the data."""

from bayescg.priors.defaults import default
from bayescg.priors.memory import OrderedTimes, ResolvedRates, TotalFriction
from bayescg.priors.nonbonded import DecayingScale, DensitySmoothness
from bayescg.priors.site import CenterRange, SiteSmoothness, StiffnessScale, WellScale
from bayescg.priors.smoothness import SplineSmoothness
from bayescg.priors.tree import AbstractPathPrior, Prior

__all__ = [
    "AbstractPathPrior",
    "CenterRange",
    "DecayingScale",
    "DensitySmoothness",
    "OrderedTimes",
    "Prior",
    "ResolvedRates",
    "SiteSmoothness",
    "SplineSmoothness",
    "StiffnessScale",
    "TotalFriction",
    "WellScale",
    "default",
]
