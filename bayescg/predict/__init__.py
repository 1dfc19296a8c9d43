"""Predict: a posterior through dynamics, beside the same observables of the data."""

from bayescg.predict.force_uncertainty import force_uncertainty
from bayescg.predict.reference import evaluate
from bayescg.predict.refine import refine
from bayescg.predict.simulate import select_draws, simulate
from bayescg.predict.variance import block_standard_error, decompose

__all__ = [
    "block_standard_error",
    "decompose",
    "evaluate",
    "force_uncertainty",
    "refine",
    "select_draws",
    "simulate",
]
