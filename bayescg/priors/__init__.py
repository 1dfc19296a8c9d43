"""Priors: what is believed of the parameters before the data."""

from bayescg.priors.defaults import default
from bayescg.priors.smoothness import SplineSmoothness
from bayescg.priors.tree import AbstractPathPrior, Prior

__all__ = ["AbstractPathPrior", "Prior", "SplineSmoothness", "default"]
