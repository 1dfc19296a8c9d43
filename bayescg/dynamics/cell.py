"""A box that changes: what a barostat is set to, and what a draw remembers of its box.

The path of a bead is its position and what the box has taken from it: edges it crossed, and what rescaling
moved it by. A path made so is a sum of displacements of the dynamics alone: mean squared displacements do not
see the box breathe.

References:
    S. von Bülow, J. T. Bullerjahn, G. Hummer, J. Chem. Phys. 153, 021101 (2020), doi:10.1063/5.0008316.
"""

from typing import NamedTuple

import jax.numpy as jnp

from bayescg._typing import Array, Float


class Barostat(NamedTuple):
    """What a box is kept at.

    Attributes:
        pressure: kJ/mol/nm^3.
        mobility: compressibility over relaxation time, nm^3 mol/kJ/ps.
        stride: steps between changes of the volume.
    """

    pressure: float
    mobility: float
    stride: int


class Cell(NamedTuple):
    """The box of one draw at constant pressure.

    Attributes:
        box: edge lengths, nm.
        carried: path of every bead less its position, nm, in float64.
        noise: random number of the last change of the volume.
        collapsed: whether the box became smaller than twice the cutoff.
    """

    box: Float[Array, " dim"]
    carried: Float[Array, "bead dim"]
    noise: Float[Array, ""]
    collapsed: Array


def new_cell(box: Float[Array, " dim"], positions: Float[Array, "bead dim"]) -> Cell:
    """The cell of a draw that begins.

    Args:
        box: edge lengths, nm.
        positions: for number and precision.

    Example:
        >>> new_cell(jnp.ones(3), jnp.zeros((2, 3))).carried.shape
        (2, 3)
    """
    # the first change of the volume gets half of its noise: equilibration forgets it
    return Cell(
        box.astype(positions.dtype), jnp.zeros(positions.shape, float), jnp.zeros(()), jnp.zeros((), bool)
    )
