"""Bond lengths, angles and dihedrals: the coordinates inside a molecule.

With steps d_1, d_2, ... from bead to bead along the chain (shortest images), e = -d_1/|d_1|, f = d_2/|d_2|,

    bond        r = |d_1|
    angle       theta = 2 atan2(|e - f|, |e + f|),    accurate at every angle
    cosine      e . f, smooth in the positions where three beads lie in a line, which theta is not
    dihedral    phi = atan2(|d_2| d_1 . (d_2 x d_3), (d_1 x d_2) . (d_2 x d_3)),    zero for cis, in (-pi, pi]

Each is written for one chain and mapped over all. At a straight angle theta has no derivative and phi no
value; derivatives are taken as zero there. The weight of a dihedral

    w = S(sin² theta_1 / s²) S(sin² theta_2 / s²),    S(y) = y³ (10 - 15 y + 6 y²) up to y = 1, then 1,

is 1 unless one of its angles is within 10 degrees of straight, and fades there, so that w u(phi) is
twice continuously differentiable.

References:
    W. Kahan, How futile are mindless assessments of roundoff?, University of California, Berkeley (2006).
    M. Bulacu et al., J. Chem. Theory Comput. 9, 3282 (2013), doi:10.1021/ct400219n.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float, Int
from bayescg.configuration import Configuration, Topology, minimum_image

FADE = math.sin(math.radians(10.0)) ** 2
"""sin² of the angle to a straight line below which a dihedral fades; its forces grow as 1/sin."""

NOTHING = 1e-24
"""Squares of dimensionless lengths below count as zero: (1e-12)², far below rounding in float64."""


class InternalCoordinate(NamedTuple):
    """One kind of coordinate inside a molecule.

    Attributes:
        name: "bond", "angle", "cosine" or "dihedral".
        chain: name of the chain of beads it belongs to: "bond", "angle" or "dihedral".
        unit: nm, rad or 1.
        value: from the steps along one chain, (step, dim), to the coordinate.
        weight: from the steps to w, 1 but for dihedrals.
    """

    name: str
    chain: str
    unit: str
    value: Callable[[Float[Array, "step dim"]], Float[Array, ""]]
    weight: Callable[[Float[Array, "step dim"]], Float[Array, ""]]

    def members(self, topology: Topology) -> Int[Array, "term place"]:
        """The beads of every chain."""
        match self.chain:
            case "bond":
                return topology.bonds
            case "angle":
                return topology.angles
            case _:
                return topology.dihedrals


def bond_length(steps: Float[Array, "1 dim"]) -> Float[Array, ""]:
    """The length of a bond, nm.

    Example:
        >>> float(bond_length(jnp.array([[0.3, 0.4, 0.0]])))
        0.5
    """
    return jnp.sqrt(jnp.sum(steps[0] ** 2))


def bond_angle(steps: Float[Array, "2 dim"]) -> Float[Array, ""]:
    """The angle at the middle bead, rad, from 0 to pi.

    Example:
        >>> round(float(bond_angle(jnp.array([[0.1, 0.0, 0.0], [0.0, 0.2, 0.0]]))), 6)
        1.570796
    """
    e, f = _directions(steps)
    return 2 * jnp.arctan2(_norm(e - f), _norm(e + f))


def angle_cosine(steps: Float[Array, "2 dim"]) -> Float[Array, ""]:
    """The cosine of the angle at the middle bead.

    Example:
        >>> round(float(angle_cosine(jnp.array([[0.1, 0.0, 0.0], [0.2, 0.0, 0.0]]))), 6)
        -1.0
    """
    e, f = _directions(steps)
    return jnp.sum(e * f)


def dihedral_angle(steps: Float[Array, "3 dim"]) -> Float[Array, ""]:
    """The angle between the planes of the first three and the last three beads, rad.

    Example:
        >>> steps = jnp.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        >>> round(float(dihedral_angle(steps)), 6)
        1.570796
    """
    first, middle, last = steps
    m, n = jnp.cross(first, middle), jnp.cross(middle, last)
    y, x = bond_length(middle[None]) * jnp.sum(first * n), jnp.sum(m * n)
    lengths = jnp.sum(first**2) * jnp.sum(middle**2) ** 2 * jnp.sum(last**2)
    planar = x**2 + y**2 > NOTHING * lengths
    return jnp.arctan2(jnp.where(planar, y, 0.0), jnp.where(planar, x, 1.0))


def dihedral_weight(steps: Float[Array, "3 dim"]) -> Float[Array, ""]:
    """1, or less where an angle of the dihedral is nearly straight; 0 where one is.

    Example:
        >>> float(dihedral_weight(jnp.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])))
        0.0
    """
    return _faded(steps[:2]) * _faded(steps[1:])


def _one(steps: Array) -> Array:
    return jnp.ones((), steps.dtype)


BOND = InternalCoordinate("bond", "bond", "nm", bond_length, _one)
ANGLE = InternalCoordinate("angle", "angle", "rad", bond_angle, _one)
COSINE = InternalCoordinate("cosine", "angle", "1", angle_cosine, _one)
DIHEDRAL = InternalCoordinate("dihedral", "dihedral", "rad", dihedral_angle, dihedral_weight)
COORDINATES = (BOND, ANGLE, COSINE, DIHEDRAL)


def steps_along(
    positions: Float[Array, "place dim"], box: Float[Array, " dim"] | None
) -> Float[Array, "step dim"]:
    """Shortest displacements from every bead of a chain to the next, nm.

    Example:
        >>> steps_along(jnp.array([[0.25], [1.75]]), jnp.array([2.0])).tolist()
        [[-0.5]]
    """
    return minimum_image(positions[1:] - positions[:-1], box)


def internal_values(coordinate: InternalCoordinate, configuration: Configuration) -> Float[Array, " term"]:
    """The coordinate of every chain of a configuration.

    Args:
        coordinate: which.
        configuration: one frame; neighbours are not used.

    Example:
        >>> beads = Topology(jnp.array([0, 0]), jnp.ones(2), jnp.zeros(2, int), jnp.array([[0, 1]]), ("A",))
        >>> frame = Configuration(jnp.array([[0.0], [0.3]]), None, jnp.zeros((2, 0), int), beads)
        >>> internal_values(BOND, frame).tolist()
        [0.3]
    """
    chains = configuration.positions[coordinate.members(configuration.topology)]
    return jax.vmap(lambda x: coordinate.value(steps_along(x, configuration.box)))(chains)


def kinds_of(coordinate: InternalCoordinate, topology: Topology) -> tuple[tuple[int, ...], ...]:
    """The kinds of chains there are: bead types along each, read from the end that makes them smaller.

    Args:
        coordinate: which.
        topology: of beads on the host.

    Example:
        >>> two, bond = jnp.array([1, 0]), jnp.array([[0, 1]])
        >>> kinds_of(BOND, Topology(two, jnp.ones(2), jnp.zeros(2, int), bond, ("A", "B")))
        ((0, 1),)
    """
    chains = np.asarray(topology.types)[np.asarray(coordinate.members(topology))]
    return tuple(sorted({min(kind, kind[::-1]) for kind in map(tuple, chains.tolist())}))


@eqx.filter_jit
def kind_places(
    coordinate: InternalCoordinate, topology: Topology, kinds: tuple[tuple[int, ...], ...]
) -> Int[Array, " term"]:
    """Place of every chain's kind among the kinds; as many as there are for a kind that is not among them.

    Args:
        coordinate: which.
        topology: types and chains.
        kinds: from `kinds_of`.

    Example:
        >>> two, bond = jnp.array([1, 0]), jnp.array([[0, 1]])
        >>> beads = Topology(two, jnp.ones(2), jnp.zeros(2, int), bond, ("A", "B"))
        >>> kind_places(BOND, beads, ((0, 0), (0, 1))).tolist()
        [1]
    """
    members, count = coordinate.members(topology), len(topology.type_names)
    if not kinds or not members.shape[0]:
        return jnp.full(members.shape[0], len(kinds), jnp.int32)
    powers = count ** np.arange(members.shape[1])
    forward = jnp.sum(topology.types[members] * powers[::-1], axis=-1)
    backward = jnp.sum(topology.types[members] * powers, axis=-1)
    code, known = jnp.minimum(forward, backward), np.array(kinds) @ powers[::-1]
    place = jnp.minimum(jnp.searchsorted(jnp.asarray(known), code), len(kinds) - 1)
    return jnp.where(jnp.asarray(known)[place] == code, place, len(kinds)).astype(jnp.int32)


def kind_names(kinds: tuple[tuple[int, ...], ...], type_names: tuple[str, ...]) -> list[str]:
    """Names of kinds of chains, such as CH3-CH2-OH.

    Example:
        >>> kind_names(((0, 1, 0),), ("A", "B"))
        ['A-B-A']
    """
    return ["-".join(type_names[index] for index in kind) for kind in kinds]


def _directions(steps: Array) -> tuple[Array, Array]:
    """From the middle bead to both ends, of length one."""
    lengths = jnp.sqrt(jnp.sum(steps**2, axis=-1, keepdims=True))
    units = steps / lengths
    return -units[0], units[1]


def _norm(vector: Array) -> Array:
    """Length, with derivative zero where it vanishes."""
    square = jnp.sum(vector**2)
    some = square > NOTHING
    return jnp.where(some, jnp.sqrt(jnp.where(some, square, 1.0)), 0.0)


def _faded(steps: Array) -> Array:
    e, f = _directions(steps)
    across = f - jnp.sum(e * f) * e  # its length is the sine, without the rounding of 1 - cos²
    y = jnp.minimum(jnp.sum(across**2) / FADE, 1.0)
    return y**3 * (10 - 15 * y + 6 * y**2)
