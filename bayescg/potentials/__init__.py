"""Potentials: what a potential of mean force is made of."""

from bayescg.interfaces import LinearSum, Sum
from bayescg.potentials.ace import ACE
from bayescg.potentials.angle import AngleSpline, HarmonicAngle
from bayescg.potentials.bond import BondSpline, HarmonicBond
from bayescg.potentials.dihedral import DihedralSpline, PeriodicDihedral
from bayescg.potentials.double_well import DoubleWell
from bayescg.potentials.equivariant import Equivariant
from bayescg.potentials.gaussian_wells import FreeGaussianWells, GaussianWells
from bayescg.potentials.harmonic import Harmonic
from bayescg.potentials.local_density import LocalDensity
from bayescg.potentials.morse import Morse
from bayescg.potentials.pair import LennardJones
from bayescg.potentials.spline import PairSpline
from bayescg.potentials.spline1d import Spline1D
from bayescg.potentials.stillinger_weber import StillingerWeber
from bayescg.potentials.table import Table
from bayescg.potentials.thermodynamic import (
    AtTemperature,
    GeneralThermodynamic,
    LinearThermodynamic,
    Thermodynamic,
    at_temperature,
)
from bayescg.potentials.threebody import ThreeBodySpline
from bayescg.potentials.wca import WCA
from bayescg.potentials.yukawa import Yukawa

__all__ = [
    "ACE",
    "WCA",
    "AngleSpline",
    "AtTemperature",
    "BondSpline",
    "DihedralSpline",
    "DoubleWell",
    "Equivariant",
    "FreeGaussianWells",
    "GaussianWells",
    "GeneralThermodynamic",
    "Harmonic",
    "HarmonicAngle",
    "HarmonicBond",
    "LennardJones",
    "LinearSum",
    "LinearThermodynamic",
    "LocalDensity",
    "Morse",
    "PairSpline",
    "PeriodicDihedral",
    "Spline1D",
    "StillingerWeber",
    "Sum",
    "Table",
    "Thermodynamic",
    "ThreeBodySpline",
    "Yukawa",
    "at_temperature",
]
