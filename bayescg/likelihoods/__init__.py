"""Likelihoods: how data score a model."""

from bayescg.likelihoods.correlation import Correlation
from bayescg.likelihoods.force_matching import ForceMatching
from bayescg.likelihoods.noise import Gaussian, StudentT
from bayescg.likelihoods.observable import Observable
from bayescg.likelihoods.path import Path

__all__ = ["Correlation", "ForceMatching", "Gaussian", "Observable", "Path", "StudentT"]
