"""Inference: a problem, samplers, and the result they give."""

from bayescg.inference.conjugate import Conjugate
from bayescg.inference.nuts import NUTS
from bayescg.inference.problem import Problem
from bayescg.inference.result import check_same_problem, draw_values, sample
from bayescg.inference.sampler import AbstractSampler, Draws
from bayescg.inference.sandwich import sandwich

__all__ = [
    "NUTS",
    "AbstractSampler",
    "Conjugate",
    "Draws",
    "Problem",
    "check_same_problem",
    "draw_values",
    "sample",
    "sandwich",
]
