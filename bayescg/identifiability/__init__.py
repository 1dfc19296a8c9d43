"""Identifiability: what the data determine, and what they leave to the prior."""

from bayescg.identifiability.subspace import Identified, identify

__all__ = ["Identified", "identify"]
