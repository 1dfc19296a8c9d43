"""The forces of a path: a potential taken apart into springs, linear coefficients and the rest.

A spring is part of the exact linear motion; a potential that is linear in its coefficients gives one
series per basis function, computed once; any other force is computed anew for every parameter.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float, NumpyArray
from bayescg.interfaces import (
    AbstractLinearPotential,
    AbstractPotential,
    Configuration,
    LinearSum,
    Sum,
    Topology,
)
from bayescg.likelihoods.design import Frame, design
from bayescg.likelihoods.force_matching import coefficients
from bayescg.likelihoods.path_series import Stretch
from bayescg.likelihoods.reading import listed_pairs
from bayescg.numerics.pairs import check_cutoff
from bayescg.potentials import Harmonic

FRAMES_AT_ONCE = 4096
"""Frames whose basis forces are computed together where beads do not see each other."""


class Forces(NamedTuple):
    """A potential taken apart.

    Attributes:
        springs: harmonic terms; together one spring.
        linear: terms linear in their coefficients, as one potential; None for none.
        other: all the rest, as one potential; None for none.
    """

    springs: tuple[Harmonic, ...]
    linear: AbstractLinearPotential | None
    other: AbstractPotential | None

    @property
    def kicks(self) -> AbstractPotential | None:
        """All but the springs, as one potential."""
        return _joined(tuple(part for part in (self.linear, self.other) if part is not None), Sum)

    @property
    def features(self) -> int:
        """Number of linear coefficients."""
        return int(self.theta().size)

    def theta(self) -> Float[Array, " feature"]:
        """The linear coefficients in the order of the features."""
        return jnp.zeros(0) if self.linear is None else coefficients(self.linear)

    def spring(self) -> tuple[Array, Array]:
        """Stiffness and centre of all springs together: k = Σ k_i, k c = Σ k_i c_i."""
        pairs = [(jnp.asarray(s.stiffness), jnp.asarray(s.center)) for s in self.springs]
        k = sum((stiffness for stiffness, _ in pairs), start=jnp.zeros(()))
        return k, sum((stiffness * center for stiffness, center in pairs), start=jnp.zeros(())) / k


def forces_of(potential: Any) -> Forces:
    """Take a potential apart.

    Args:
        potential: prepared; None for free motion.

    Example:
        >>> import bayescg as bcg
        >>> parts = forces_of(bcg.potentials.Harmonic(4.0, 0.0) + bcg.potentials.DoubleWell())
        >>> len(parts.springs), type(parts.linear).__name__, parts.other
        (1, 'DoubleWell', None)
    """
    terms = () if potential is None else _terms(potential)
    springs = tuple(term for term in terms if isinstance(term, Harmonic))
    linear = tuple(term for term in terms if isinstance(term, AbstractLinearPotential))
    other = tuple(term for term in terms if not isinstance(term, Harmonic | AbstractLinearPotential))
    return Forces(springs, _joined(linear, LinearSum), _joined(other, Sum))


def basis_series(potential: AbstractLinearPotential | None, stretch: Stretch) -> NumpyArray:
    """Forces of the basis along a stretch, (bead, dim, frame, feature).

    Args:
        potential: prepared; None for no features.
        stretch: of frames.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.likelihoods.path_series import stretches
        >>> well = bcg.potentials.DoubleWell(center=0.0, coefficients=[1.0, 1.0])
        >>> basis_series(well, stretches(bcg.data.water(frames=151), "positions")[0]).shape
        (510, 3, 151, 2)
    """
    frames, beads, dims = stretch.positions.shape
    if potential is None:
        return np.zeros((beads, dims, frames, 0))
    if potential.cutoff == 0 and stretch.boxes is None:
        return _of_sites(potential, stretch)
    if stretch.boxes is not None and potential.cutoff > 0:
        check_cutoff(potential.cutoff, stretch.boxes)
    series = np.empty((beads, dims, frames, int(coefficients(potential).size)))
    for index, x in enumerate(stretch.positions):
        box = None if stretch.boxes is None else stretch.boxes[index]
        pairs = listed_pairs(x, box, potential.cutoff, stretch.topology)
        frame = Frame(x, box, pairs, stretch.topology, stretch.temperature)
        series[:, :, index] = design(potential, frame).transpose(1, 0, 2)
    return series


def _of_sites(potential: AbstractLinearPotential, stretch: Stretch) -> NumpyArray:
    frames, beads, dims = stretch.positions.shape
    series = None
    for begin in range(0, frames, FRAMES_AT_ONCE):
        positions = jnp.asarray(stretch.positions[begin : begin + FRAMES_AT_ONCE])
        kelvin = jnp.asarray(stretch.temperature)
        part = np.asarray(_site_basis(potential, positions, stretch.topology, kelvin))
        if series is None:
            series = np.empty((beads, dims, frames, part.shape[-1]))
        series[:, :, begin : begin + FRAMES_AT_ONCE] = part.transpose(1, 2, 0, 3)
    assert series is not None
    return series


@eqx.filter_jit
def _site_basis(
    potential: AbstractLinearPotential, positions: Array, topology: Topology, temperature: Array
) -> Array:
    """(frame, bead, dim, feature)."""
    nobody = jnp.zeros((positions.shape[1], 0), dtype=jnp.int32)

    def of_frame(x: Array) -> Array:
        return potential.basis_forces(Configuration(x, None, nobody, topology, temperature))

    return jax.vmap(of_frame)(positions)


def _terms(potential: Any) -> tuple[Any, ...]:
    if isinstance(potential, Sum | LinearSum):
        return tuple(term for part in potential.terms for term in _terms(part))
    return (potential,)


def _joined(terms: tuple[Any, ...], kind: Any) -> Any:
    if len(terms) < 2:
        return terms[0] if terms else None
    return kind(max(term.cutoff for term in terms), terms)
