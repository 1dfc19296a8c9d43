"""The forces of a linear potential's basis on one frame, on the host: the rows of a regression.

    Phi_ik = sum_j B_k'(r_ij) (x_j - x_i)/r_ij

For a pair spline every pair adds its few non-zero slopes to both beads, in machine code
(`numerics.pair_kernels`). Other linear potentials are asked for `basis_forces`.
"""

import functools
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._typing import NumpyArray
from bayescg.interfaces import AbstractLinearPotential, Configuration, LinearSum, Topology, type_pairs
from bayescg.numerics import pair_kernels
from bayescg.numerics.pairs import Pairs, neighbor_matrix, no_pairs
from bayescg.potentials import PairSpline
from bayescg.potentials.bonded import AbstractBondedPotential
from bayescg.potentials.spline import basis
from bayescg.potentials.thermodynamic import LinearThermodynamic, temperature_of

CAPACITY_STEP = 16
"""Neighbour matrices are padded to a multiple of this, so that few shapes are compiled."""


class Frame(NamedTuple):
    """One frame on the host.

    Attributes:
        positions: (bead, dim), nm.
        box: (dim,), nm, or None.
        pairs: all pairs within the potential's cutoff but excluded ones.
        topology: of the beads.
        temperature: K, or None.
    """

    positions: NumpyArray
    box: NumpyArray | None
    pairs: Pairs
    topology: Topology
    temperature: float | None = None

    def configuration(self) -> Configuration:
        """The frame as arrays for jit, neighbours padded."""
        beads = self.positions.shape[0]
        tight = neighbor_matrix(self.pairs, beads)
        width = -(-tight.shape[1] // CAPACITY_STEP) * CAPACITY_STEP
        neighbors = np.pad(tight, ((0, 0), (0, width - tight.shape[1])), constant_values=beads)
        box = None if self.box is None else jnp.asarray(self.box)
        positions = jnp.asarray(self.positions)
        return Configuration(positions, box, jnp.asarray(neighbors), self.topology, self.temperature)


@functools.singledispatch
def design(potential: AbstractLinearPotential, frame: Frame) -> NumpyArray:
    """Basis forces of one frame.

    Args:
        potential: prepared, linear.
        frame: with pairs up to at least the potential's cutoff.

    Returns:
        (dim, bead, feature), 1/nm times the unit of the coefficients.

    Example:
        >>> import bayescg as bcg, numpy as np
        >>> from bayescg.numerics.pairs import pairs_within
        >>> beads = bcg.data.water(frames=1)
        >>> x, box = beads["position"].values[0], beads["box"].values[0]
        >>> spline = bcg.potentials.PairSpline(cutoff=0.9, knots=12, start=0.24)
        >>> spline = spline.prepare(bcg.interfaces.Support(("SOL",), (0.24,)))
        >>> design(spline, Frame(x, box, pairs_within(x, box, 0.9), bcg.data.topology(beads))).shape
        (3, 510, 11)
    """
    forces = _basis_forces(potential, frame.configuration())
    return np.moveaxis(np.asarray(forces), 1, 0)


@design.register
def _(potential: LinearSum, frame: Frame) -> NumpyArray:
    return np.concatenate([design(term, frame) for term in potential.terms], axis=-1)


@design.register
def _(potential: LinearThermodynamic, frame: Frame) -> NumpyArray:
    energy, entropy = (design(part, frame) for part in (potential.energy_part, potential.entropy_part))
    return np.concatenate([energy, -float(temperature_of(frame)) * entropy], axis=-1)


@design.register
def _(potential: AbstractBondedPotential, frame: Frame) -> NumpyArray:
    alone = frame._replace(pairs=no_pairs(frame.positions.shape[1]))
    return np.moveaxis(np.asarray(_basis_forces(potential, alone.configuration())), 1, 0)


@design.register
def _(potential: PairSpline, frame: Frame) -> NumpyArray:
    return pair_design_of(potential, frame, None)


def pair_design_of(potential: PairSpline, frame: Frame, weights: NumpyArray | None) -> NumpyArray:
    """Basis forces of a pair spline with every pair weighted.

    Args:
        potential: prepared.
        frame: with pairs up to at least the potential's cutoff.
        weights: (pair,) factor of every pair's force; None for one.

    Returns:
        (dim, bead, feature).

    Example:
        >>> import bayescg as bcg, numpy as np
        >>> from bayescg.numerics.pairs import pairs_within
        >>> beads = bcg.data.water(frames=1)
        >>> x, box = beads["position"].values[0], beads["box"].values[0]
        >>> spline = bcg.potentials.PairSpline(cutoff=0.9, knots=12, start=0.24)
        >>> spline = spline.prepare(bcg.interfaces.Support(("SOL",), (0.24,)))
        >>> frame = Frame(x, box, pairs_within(x, box, 0.9), bcg.data.topology(beads))
        >>> doubled = pair_design_of(spline, frame, np.full(frame.pairs.distance.size, 2.0))
        >>> bool(np.allclose(doubled, 2 * design(spline, frame)))
        True
    """
    pairs, widths = frame.pairs, np.asarray(potential.widths)
    table = _slopes(potential.knots, potential.degree)
    features, (dims, beads) = potential.basis.centers.size, frame.positions.T.shape
    forces = np.zeros((dims, beads, widths.size * features))
    pair_kernels.add_slopes(dims, potential.degree)(
        *pairs,
        np.ones(pairs.distance.size) if weights is None else weights,
        pair_kinds(frame, len(potential.type_names)),
        np.asarray(potential.starts),
        1 / widths,
        *table,
        features,
        potential.cutoff,
        forces,
    )
    return forces


def pair_kinds(frame: Frame, type_count: int) -> NumpyArray:
    """Which pair of types every pair of beads is, by its place in `type_pairs`.

    Args:
        frame: with pairs.
        type_count: number of bead types.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.numerics.pairs import pairs_within
        >>> beads = bcg.data.water(frames=1)
        >>> x, box = beads["position"].values[0], beads["box"].values[0]
        >>> frame = Frame(x, box, pairs_within(x, box, 0.3), bcg.data.topology(beads))
        >>> int(pair_kinds(frame, 1).max())
        0
    """
    if type_count == 1:
        return np.zeros(frame.pairs.first.size, dtype=np.intp)
    types = np.asarray(frame.topology.types)
    place = np.zeros((type_count, type_count), dtype=np.intp)
    for index, (a, b) in enumerate(type_pairs(type_count)):
        place[a, b] = place[b, a] = index
    return place[types[frame.pairs.first], types[frame.pairs.second]]


@functools.lru_cache(maxsize=64)
def _slopes(knots: int, degree: int) -> tuple[NumpyArray, NumpyArray]:
    """Derivatives of the functions that are not zero in an interval, and the number of the first of them.

    Returns:
        (interval, power, function) per interval, and (interval,).
    """
    slopes = basis(knots, degree).polynomials[:, 1:] * np.arange(1, degree + 1)[:, None]
    intervals, _, features = slopes.shape
    places = np.minimum(np.arange(intervals), features - degree - 1)
    columns = places[:, None] + np.arange(degree + 1)
    return np.take_along_axis(slopes, columns[:, None], axis=-1), places


@eqx.filter_jit
def _basis_forces(potential: AbstractLinearPotential, configuration: Configuration) -> jnp.ndarray:
    return potential.basis_forces(configuration)
