"""Likelihoods: how data score a model."""

from bayescg.likelihoods.force_matching import ForceMatching
from bayescg.likelihoods.noise import Gaussian, StudentT

__all__ = ["ForceMatching", "Gaussian", "StudentT"]
