"""The range of a variable and the scale of its energy: what a potential of single sites takes from data."""

from typing import NamedTuple

from bayescg._checks import BayescgError
from bayescg.interfaces import Support
from bayescg.units import thermal_energy

ROOM_TEMPERATURE = 300.0
"""K; k_B T at this temperature is the scale of energies where the data do not tell theirs."""


class Extent(NamedTuple):
    """Where data lie, all components together.

    Attributes:
        lowest: smallest value, in the variable's unit.
        highest: largest.
        thermal_energy: k_B T, kJ/mol.
    """

    lowest: float
    highest: float
    thermal_energy: float

    @property
    def middle(self) -> float:
        """Halfway between the ends."""
        return 0.5 * (self.lowest + self.highest)

    @property
    def width(self) -> float:
        """Distance between the ends."""
        return self.highest - self.lowest


def extent_of(support: Support, before: Extent | None = None) -> Extent:
    """The range of the data, joined with that of data seen before.

    Args:
        support: with the sampled range of every component.
        before: what the potential was prepared for already.

    Raises:
        BayescgError: the support knows no range, or one without width.

    Example:
        >>> from bayescg.interfaces import Support
        >>> extent_of(Support(("A",), (), lowest=(-1.0,), highest=(3.0,))).middle
        1.0
    """
    if not support.lowest or not support.highest:
        raise BayescgError(
            "the range of the variable must be known to a potential of single sites, but the data give none. "
            "Prepare it with Support(..., lowest=(-1.0,), highest=(1.0,)), or put the model into a "
            "bayescg.Problem with a likelihood on its values."
        )
    energy = support.thermal_energy or thermal_energy(ROOM_TEMPERATURE)
    lowest, highest = min(support.lowest), max(support.highest)
    if before is not None:
        lowest, highest = min(lowest, before.lowest), max(highest, before.highest)
    if not lowest < highest:
        raise BayescgError(
            f"the variable must vary in the data, got values from {lowest} to {highest} only. "
            "Give more frames."
        )
    return Extent(float(lowest), float(highest), float(energy))
