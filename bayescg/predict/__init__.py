"""Predict: a posterior through dynamics, beside the same observables of the data."""

from bayescg.inference import select_draws
from bayescg.predict.force_uncertainty import force_uncertainty
from bayescg.predict.reference import evaluate, evaluate_all
from bayescg.predict.refine import refine
from bayescg.predict.reweight import reweight
from bayescg.predict.sampled_frames import sampled_frames
from bayescg.predict.simulate import simulate
from bayescg.predict.variance import block_standard_error, decompose

__all__ = [
    "block_standard_error",
    "decompose",
    "evaluate",
    "evaluate_all",
    "force_uncertainty",
    "refine",
    "reweight",
    "sampled_frames",
    "select_draws",
    "simulate",
]
