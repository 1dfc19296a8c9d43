"""The one unit system: nm, ps, amu, K, so energy is kJ/mol and force kJ/mol/nm.

Conversions happen only where data enter (`bayescg.data`) or leave (`bayescg.export`).
"""

BOLTZMANN = 0.00831446261815324
"""Boltzmann constant times Avogadro constant, kJ/mol/K (exact in the 2019 SI)."""

ANGSTROM = 0.1
"""One angstrom in nm."""

KILOCALORIE = 4.184
"""One thermochemical kilocalorie in kJ."""

FEMTOSECOND = 1e-3
"""One femtosecond in ps."""

BAR = 0.0602214076
"""One bar in kJ/mol/nm^3."""

UNITS = {
    "time": "ps",
    "position": "nm",
    "velocity": "nm/ps",
    "force": "kJ/mol/nm",
    "box": "nm",
    "mass": "amu",
    "temperature": "K",
    "energy": "kJ/mol",
}
"""Unit of every dimensional quantity, by the name it has in a Dataset."""


def thermal_energy(temperature: float) -> float:
    """k_B T in kJ/mol.

    Args:
        temperature: K.

    Returns:
        kJ/mol.

    Example:
        >>> round(thermal_energy(300.0), 4)
        2.4943
    """
    return BOLTZMANN * temperature
