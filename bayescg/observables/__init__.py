"""Observables: what is measured alike on data and in simulations, of moments and over time."""

from bayescg.observables.density import Density, free_energy
from bayescg.observables.displacement import MSD, Diffusion
from bayescg.observables.first_passage import FirstPassage
from bayescg.observables.internal import BondAngle, BondLength, DihedralAngle
from bayescg.observables.radial import RDF
from bayescg.observables.velocity_correlation import VACF

__all__ = [
    "MSD",
    "RDF",
    "VACF",
    "BondAngle",
    "BondLength",
    "Density",
    "Diffusion",
    "DihedralAngle",
    "FirstPassage",
    "free_energy",
]
