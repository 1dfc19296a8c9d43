"""Unit systems of files that do not say their own: LAMMPS dumps, extended XYZ, H5MD without units."""

import equinox as eqx

from bayescg._checks import BayescgError, one_of, positive
from bayescg.units import ANGSTROM, FEMTOSECOND, KILOCALORIE

ELECTRONVOLT = 96.48533212331
"""One electronvolt per particle in kJ/mol (exact in the 2019 SI, to the digits shown)."""

ATTOGRAM = 602214.076
"""One attogram per particle in amu."""


class UnitSystem(eqx.Module):
    """What one unit of a file is in nm, ps, kJ/mol and amu.

    Attributes:
        length: nm.
        time: ps.
        energy: kJ/mol.
        mass: amu.

    Example:
        >>> argon = UnitSystem(length=0.34, time=2.16, energy=0.996, mass=39.95)
        >>> round(argon.force, 3)
        2.929
    """

    length: float
    time: float
    energy: float
    mass: float = 1.0

    def __check_init__(self) -> None:
        for name, value in (("length", self.length), ("time", self.time), ("energy", self.energy)):
            positive(f"units.{name}", value)
        positive("units.mass", self.mass)

    @property
    def velocity(self) -> float:
        """One unit of velocity in nm/ps."""
        return self.length / self.time

    @property
    def force(self) -> float:
        """One unit of force in kJ/mol/nm."""
        return self.energy / self.length


UNIT_SYSTEMS = {
    "real": UnitSystem(ANGSTROM, FEMTOSECOND, KILOCALORIE),
    "metal": UnitSystem(ANGSTROM, 1.0, ELECTRONVOLT),
    "nano": UnitSystem(1.0, 1e3, ATTOGRAM * 1e-6, ATTOGRAM),  # attogram nm²/ns² = 1e-6 attogram nm²/ps²
    "gromacs": UnitSystem(1.0, 1.0, 1.0),
}
"""Unit systems by name: LAMMPS' `units` styles, and nm, ps, kJ/mol as "gromacs"."""

MDANALYSIS = UnitSystem(ANGSTROM, 1.0, 1.0)
"""What MDAnalysis returns: angstrom, ps, kJ/mol/angstrom."""


def unit_system(units: str | UnitSystem | None, *, file: str) -> UnitSystem:
    """Look up the unit system of a file that does not say its own.

    Args:
        units: a name, or a `UnitSystem`.
        file: name of the file, for the message.

    Returns:
        The unit system.

    Raises:
        BayescgError: `units` is missing or unknown.

    Example:
        >>> unit_system("real", file="water.lammpstrj").energy
        4.184
    """
    if isinstance(units, UnitSystem):
        return units
    if units is None:
        raise BayescgError(
            f"units must be given for {file}, got None: the file does not say its units, and its numbers "
            f'are not converted by guess. Give units="real" (angstrom, fs, kcal/mol), units="metal" '
            f'(angstrom, ps, eV; also what ASE writes), units="nano", units="gromacs" (nm, ps, kJ/mol), '
            "or a bayescg.data.UnitSystem."
        )
    if units == "lj":
        raise BayescgError(
            'units must have a size, got "lj" (reduced). Give a bayescg.data.UnitSystem with the length '
            "(nm), time (ps), energy (kJ/mol) and mass (amu) that one reduced unit stands for."
        )
    return UNIT_SYSTEMS[one_of("units", units, UNIT_SYSTEMS)]
