"""Bonds, angles and dihedrals as OpenMM forces, one force for every kind of chain.

A spring is a formula. A spline is a natural cubic spline of OpenMM's with a node more at either end, which
makes it exact (`bayescg.export.openmm_pairs`), between two parabolas, the walls beyond the sampled range. A
spline of a cosine is one of cos(theta). A dihedral's energy is

    S(sin² theta_1) S(sin² theta_2) u(phi),

S being 1 unless an angle is within 10 degrees of straight; OpenMM has such an energy of four particles in
its `CustomCompoundBondForce`.
"""

import re
from typing import Any

import numpy as np

from bayescg._checks import BayescgError
from bayescg.export.openmm_pairs import with_ends
from bayescg.interfaces import Topology
from bayescg.numerics.internal_coordinates import FADE, kind_names, kind_places
from bayescg.potentials import DihedralSpline, PeriodicDihedral
from bayescg.potentials.bonded import AbstractBondedPotential
from bayescg.potentials.bonded_spline import AbstractChainSpline
from bayescg.potentials.bonded_spring import AbstractSpring
from bayescg.potentials.spline1d import basis

VALUES = {
    "bond": "distance(p1, p2)",
    "angle": "angle(p1, p2, p3)",
    "cosine": "cos(angle(p1, p2, p3))",
    "dihedral": "dihedral(p1, p2, p3, p4)",
}
"""Of every coordinate, in OpenMM's language."""

Expression = tuple[str, dict[str, Any]]
"""An energy and the tabulated functions in it."""


def bonded_forces(potential: AbstractBondedPotential, topology: Topology, *, periodic: bool) -> list[Any]:
    """OpenMM forces of a bonded potential, one for every kind of chain.

    Args:
        potential: with its coefficients.
        topology: the chains.
        periodic: whether there is a box.

    Raises:
        BayescgError: a potential of a class that is not known here.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp
        >>> sampled = bcg.interfaces.Sampled("bond", (0, 0), 0.2, 0.3, 0.25, 1e4)
        >>> springs = bcg.potentials.HarmonicBond()
        >>> springs = springs.prepare(bcg.interfaces.Support(("A",), (), internal=(sampled,)))
        >>> ends = jnp.array([[0, 1], [2, 3]])
        >>> beads = Topology(jnp.zeros(4, int), jnp.ones(4), jnp.arange(4) // 2, ends, ("A",))
        >>> [force.getNumBonds() for force in bonded_forces(springs, beads, periodic=True)]
        [2]
    """
    members = np.asarray(potential.coordinate.members(topology))
    places = np.asarray(kind_places(potential.coordinate, topology, potential.kinds))
    names = kind_names(potential.kinds, potential.type_names)
    forces = []
    for place, name in enumerate(names):
        force = _force(potential.coordinate.name, *_energy(potential, place))
        force.setName(f"{type(potential).__name__} {name}")
        force.setUsesPeriodicBoundaryConditions(periodic)
        for chain in members[places == place].tolist():
            _add(force, chain)
        forces.append(force)
    return forces


def _energy(potential: AbstractBondedPotential, place: int) -> Expression:
    """u(q) of one kind, q being the coordinate."""
    match potential:
        case AbstractSpring():
            return _spring(potential, place), {}
        case AbstractChainSpline():
            return _chain_spline(potential, place)
        case PeriodicDihedral():
            return _waves(potential, place), {}
        case DihedralSpline():
            return _turn(potential, place)
        case _:
            raise BayescgError(
                f"{type(potential).__name__} cannot be written for OpenMM. Its bonded potentials are "
                "HarmonicBond, BondSpline, HarmonicAngle, AngleSpline, PeriodicDihedral and DihedralSpline; "
                "run others with engine='jax-md'."
            )


def _spring(potential: AbstractSpring, place: int) -> str:
    pull, stiffness = np.asarray(potential.allocated(), float)[place].tolist()
    center = float(potential.centers[place])
    return f"d*(({pull!r}) + 0.5*({stiffness!r})*d); d = q - ({center!r})"


def _chain_spline(potential: AbstractChainSpline, place: int) -> Expression:
    import openmm

    start, width = potential.grids[place].tolist()
    intervals = potential.knots - 1
    theta = np.asarray(potential.allocated(), float)[place]
    table = np.asarray(basis(potential.knots, periodic=False).polynomials, float) @ theta
    first, last = table[0], table[-1]
    at_stop = np.array([last.sum(), last @ [0, 1, 2, 3], last @ [0, 0, 1, 3]])
    slopes, halves = np.array([[first[1], at_stop[1]]]), np.array([[first[2], at_stop[2]]])
    values = np.append(table[:, 0], at_stop[0])[None]
    nodes = with_ends(values, slopes, 2 * halves)[0]
    floor = 0.5 * potential.sampled[place].stiffness * width**2
    left = _parabola("(0 - x)", first[0], -first[1], first[2], floor)
    right = _parabola(f"(x - {intervals})", at_stop[0], at_stop[1], at_stop[2], floor)
    expression = (
        f"select(step(x), select(step({intervals} - x), u(x), {right}), {left}); "
        f"x = (q - ({start!r}))/({width!r})"
    )
    return expression, {"u": openmm.Continuous1DFunction(nodes.tolist(), -1.0, intervals + 1.0)}


def _parabola(depth: str, value: float, slope: float, half: float, floor: float) -> str:
    """A wall: it rises from the end of a spline, and no less steeply than the harmonic energy of the data."""
    rise, half = max(float(slope), 0.0), max(float(half), floor)
    return f"({float(value)!r}) + {depth}*(({rise!r}) + {depth}*({half!r}))"


def _waves(potential: PeriodicDihedral, place: int) -> str:
    theta = np.asarray(potential.allocated(), float)[place].tolist()
    names = ["cos", "sin"][: 1 + potential.chiral]
    waves = [f"{name}({n}*q)" for name in names for n in range(1, potential.multiplicity + 1)]
    return " + ".join(f"({a!r})*{wave}" for a, wave in zip(theta, waves, strict=True))


def _turn(potential: DihedralSpline, place: int) -> Expression:
    import openmm

    theta = np.asarray(potential.allocated(), float)[place]
    table = np.asarray(basis(potential.knots, periodic=True).polynomials, float) @ theta
    values = np.append(table[:, 0], table[0, 0]).tolist()
    return "u(q)", {"u": openmm.Continuous1DFunction(values, -np.pi, np.pi, True)}


def _force(coordinate: str, energy: str, functions: dict[str, Any]) -> Any:
    """Without a table OpenMM's own force of bonds or angles, else one of so many particles."""
    import openmm

    value = VALUES[coordinate]
    if coordinate in ("bond", "angle") and not functions:
        own = openmm.CustomBondForce if coordinate == "bond" else openmm.CustomAngleForce
        return own(f"{energy}; q = {'r' if coordinate == 'bond' else 'theta'}")
    energy = _faded(energy) if coordinate == "dihedral" else energy
    force = openmm.CustomCompoundBondForce(len(set(re.findall(r"p\d", value))), f"{energy}; q = {value}")
    for name, function in functions.items():
        force.addTabulatedFunction(name, function)
    return force


def _faded(energy: str) -> str:
    """The energy w u(phi), zero where an angle is straight."""
    fade = "; ".join(
        f"s{end} = y{end}^3*(10 - 15*y{end} + 6*y{end}^2); "
        f"y{end} = min(1, sin(angle(p{end}, p{end + 1}, p{end + 2}))^2/{FADE!r})"
        for end in (1, 2)
    )
    value, *where = energy.split(";", 1)
    rest = f";{where[0]}" if where else ""
    return f"s1*s2*({value}){rest}; {fade}"


def _add(force: Any, chain: list[int]) -> None:
    import openmm

    if isinstance(force, openmm.CustomCompoundBondForce):
        force.addBond(chain, [])
        return
    add = force.addBond if len(chain) == 2 else force.addAngle
    add(*chain, [])
