"""Priors: what is believed of the parameters before the data."""

from bayescg.priors.bonded import ChainSmoothness, SpringScale
from bayescg.priors.defaults import default
from bayescg.priors.equivariant import network_default
from bayescg.priors.memory import OrderedTimes, ResolvedRates, TotalFriction
from bayescg.priors.nonbonded import DecayingScale, DensitySmoothness
from bayescg.priors.site import CenterRange, SiteSmoothness, StiffnessScale, WellScale
from bayescg.priors.smoothness import SplineSmoothness
from bayescg.priors.tree import AbstractPathPrior, Prior

__all__ = [
    "AbstractPathPrior",
    "CenterRange",
    "ChainSmoothness",
    "DecayingScale",
    "DensitySmoothness",
    "OrderedTimes",
    "Prior",
    "ResolvedRates",
    "SiteSmoothness",
    "SplineSmoothness",
    "SpringScale",
    "StiffnessScale",
    "TotalFriction",
    "WellScale",
    "default",
    "network_default",
]
