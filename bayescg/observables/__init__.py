"""Observables: what is measured alike on data and in simulations, of moments and over time."""

from bayescg.observables.angular import ADF
from bayescg.observables.coordination import Coordination
from bayescg.observables.custom import Custom
from bayescg.observables.density import Density, free_energy
from bayescg.observables.displacement import MSD, Diffusion
from bayescg.observables.energy import PotentialEnergy, Pressure
from bayescg.observables.first_passage import FirstPassage
from bayescg.observables.internal import BondAngle, BondLength, DihedralAngle
from bayescg.observables.radial import RDF
from bayescg.observables.velocity_correlation import VACF

__all__ = [
    "ADF",
    "MSD",
    "RDF",
    "VACF",
    "BondAngle",
    "BondLength",
    "Coordination",
    "Custom",
    "Density",
    "Diffusion",
    "DihedralAngle",
    "FirstPassage",
    "PotentialEnergy",
    "Pressure",
    "free_energy",
]
