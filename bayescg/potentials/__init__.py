"""Potentials: what a potential of mean force is made of."""

from bayescg.interfaces import LinearSum, Sum
from bayescg.potentials.pair import LennardJones
from bayescg.potentials.spline import PairSpline

__all__ = ["LennardJones", "LinearSum", "PairSpline", "Sum"]
