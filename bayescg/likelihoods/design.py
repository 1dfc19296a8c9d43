"""The forces of a linear potential's basis on one frame, on the host: the rows of a regression.

For a pair spline the moments

    G_imq = sum_j t_ij^q (x_j - x_i)/r_ij        over pairs in interval m, q = 0, 1, 2,

are summed once per frame; the basis forces follow by small matrix products. Other linear potentials
are asked for `basis_forces`.
"""

import functools
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._typing import NumpyArray
from bayescg.interfaces import AbstractLinearPotential, Configuration, LinearSum, Topology, type_pairs
from bayescg.numerics.pairs import Pairs, neighbor_matrix
from bayescg.potentials import PairSpline
from bayescg.potentials.spline import basis

CAPACITY_STEP = 16
"""Neighbour matrices are padded to a multiple of this, so that few shapes are compiled."""


class Frame(NamedTuple):
    """One frame on the host.

    Attributes:
        positions: (bead, dim), nm.
        box: (dim,), nm, or None.
        pairs: all pairs within the potential's cutoff.
        topology: of the beads.
    """

    positions: NumpyArray
    box: NumpyArray | None
    pairs: Pairs
    topology: Topology

    def configuration(self) -> Configuration:
        """The frame as arrays for jit, neighbours padded."""
        beads = self.positions.shape[0]
        tight = neighbor_matrix(self.pairs, beads)
        width = -(-tight.shape[1] // CAPACITY_STEP) * CAPACITY_STEP
        neighbors = np.pad(tight, ((0, 0), (0, width - tight.shape[1])), constant_values=beads)
        box = None if self.box is None else jnp.asarray(self.box)
        return Configuration(jnp.asarray(self.positions), box, jnp.asarray(neighbors), self.topology)


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
    types, pairs = np.asarray(frame.topology.types), frame.pairs
    chosen = [pairs.distance < potential.cutoff]
    if len(potential.starts) > 1:
        low = np.minimum(types[pairs.first], types[pairs.second])
        high = np.maximum(types[pairs.first], types[pairs.second])
        kinds = type_pairs(len(potential.type_names))
        chosen = [chosen[0] & (low == a) & (high == b) for a, b in kinds]
    columns = []
    for index, mask in enumerate(chosen):
        everything = bool(mask.all())
        part = pairs if everything else _select(pairs, mask)
        factor = weights if weights is None or everything else weights[mask]
        columns.append(_pair_design(potential, index, part, types.size, factor))
    return columns[0] if len(columns) == 1 else np.concatenate(columns, axis=-1)


def _pair_design(
    potential: PairSpline, index: int, pairs: Pairs, beads: int, weights: NumpyArray | None
) -> NumpyArray:
    """Moments of one pair of types, contracted with the slopes of the basis."""
    intervals, width = potential.knots - 1, potential.widths[index]
    s = (pairs.distance - potential.starts[index]) * (1 / width)
    m = np.clip(s.astype(np.int64), 0, intervals - 1)
    t = s - m
    into_first, into_second = pairs.first * intervals + m, pairs.second * intervals + m
    slopes = _slopes(potential.knots) / width
    inverse = 1 / pairs.distance if weights is None else weights / pairs.distance
    forces = np.zeros((pairs.displacement.shape[0], beads, slopes.shape[-1]))
    # below start the slope goes on linearly: t^2 takes no part
    square = t if t.size == 0 or t.min() >= 0 else np.where(t < 0, 0.0, t)
    for axis, component in enumerate(pairs.displacement):
        weight = component * inverse
        for power, factor in enumerate((None, t, square)):
            weight = weight if factor is None else weight * factor
            moment = np.bincount(into_first, weight, beads * intervals)
            moment -= np.bincount(into_second, weight, beads * intervals)
            forces[axis] += moment.reshape(beads, intervals) @ slopes[power]
    return forces


@functools.lru_cache(maxsize=64)
def _slopes(knots: int) -> NumpyArray:
    """Derivative polynomials of the basis: (power, interval, feature) in units of the interval."""
    c = basis(knots).polynomials
    return np.ascontiguousarray(np.stack([c[:, 1], 2 * c[:, 2], 3 * c[:, 3]]))


def _select(pairs: Pairs, mask: NumpyArray) -> Pairs:
    return Pairs(pairs.first[mask], pairs.second[mask], pairs.displacement[:, mask], pairs.distance[mask])


@eqx.filter_jit
def _basis_forces(potential: AbstractLinearPotential, configuration: Configuration) -> jnp.ndarray:
    return potential.basis_forces(configuration)
