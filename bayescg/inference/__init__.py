"""Inference: a problem, samplers, and the result they give."""

from bayescg.inference.comparison import Comparison, compare
from bayescg.inference.conjugate import Conjugate
from bayescg.inference.cut import Cut
from bayescg.inference.deep_ensemble import DeepEnsemble
from bayescg.inference.draws import Selection, group_of, models_of, select_draws, spread_frames
from bayescg.inference.evidence import compare_evidence
from bayescg.inference.innovations import held_out_score, innovation_tests
from bayescg.inference.kernel_curves import memory_curves
from bayescg.inference.laplace import Laplace
from bayescg.inference.microcanonical import MCLMC
from bayescg.inference.minibatch import minibatched
from bayescg.inference.modules import with_memory
from bayescg.inference.nuts import NUTS
from bayescg.inference.problem import Problem
from bayescg.inference.result import check_same_problem, draw_values, sample
from bayescg.inference.sampler import AbstractSampler, Draws
from bayescg.inference.sandwich import sandwich
from bayescg.inference.smc import SMC
from bayescg.inference.stochastic_gradient import SGHMC, SGNHT
from bayescg.inference.svi import SVI

__all__ = [
    "MCLMC",
    "NUTS",
    "SGHMC",
    "SGNHT",
    "SMC",
    "SVI",
    "AbstractSampler",
    "Comparison",
    "Conjugate",
    "Cut",
    "DeepEnsemble",
    "Draws",
    "Laplace",
    "Problem",
    "Selection",
    "check_same_problem",
    "compare",
    "compare_evidence",
    "draw_values",
    "group_of",
    "held_out_score",
    "innovation_tests",
    "memory_curves",
    "minibatched",
    "models_of",
    "sample",
    "sandwich",
    "select_draws",
    "spread_frames",
    "with_memory",
]
