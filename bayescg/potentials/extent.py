"""The range of a variable and the scale of its energy: what a potential of single sites takes from data."""

import jax.numpy as jnp

from bayescg._checks import BayescgError
from bayescg.interfaces import Extent, Support
from bayescg.units import thermal_energy

ROOM_TEMPERATURE = 300.0
"""K; k_B T at this temperature is the scale of energies where the data do not tell theirs."""


def extent_of(support: Support, before: Extent | None = None) -> Extent:
    """The range of the data, joined with that of data seen before.

    Its numbers are arrays: a compiled function takes them as arguments, so that data alike share programs.

    Args:
        support: with the sampled range of every component.
        before: what the potential was prepared for already.

    Raises:
        BayescgError: the support knows no range, or one without width.

    Example:
        >>> from bayescg.interfaces import Support
        >>> float(extent_of(Support(("A",), (), lowest=(-1.0,), highest=(3.0,))).middle)
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
        lowest, highest = min(lowest, float(before.lowest)), max(highest, float(before.highest))
    if not lowest < highest:
        raise BayescgError(
            f"the variable must vary in the data, got values from {lowest} to {highest} only. "
            "Give more frames."
        )
    return Extent(*(jnp.asarray(value, dtype=float) for value in (lowest, highest, energy)))
