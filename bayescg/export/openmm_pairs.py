"""Pair potentials as OpenMM's natural cubic splines, with nothing lost.

OpenMM interpolates a table by the natural cubic spline through it: the one whose curvature is zero at both
ends. A potential has a curvature M there, so the table begins one node before the first distance, at

    u(-1) = u(0) - u'(0) + M/3        (distance in units of the node spacing),

where the cubic with value u(0), slope u'(0) and curvature M at 0 has come to curvature zero; and likewise
one node beyond the cutoff. With these two nodes the natural spline through a cubic spline is that spline
itself: a `PairSpline` of degree 3 is exported exactly, and any other potential to within

    (5/384) h^4 max|u''''| in energy,        (1/24) h^3 max|u''''| in force,        h the node spacing.

Below the first distance stands u + u' x + c x², the core of a `PairSpline`; other potentials begin
at 1000 kJ/mol and go on linearly from there, as they do in `bayescg.dynamics`. All is zero from the cutoff
on.

References:
    C. A. Hall, W. W. Meyer, J. Approx. Theory 16, 105 (1976), doi:10.1016/0021-9045(76)90040-X.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import CubicSpline

from bayescg._typing import Array, NumpyArray
from bayescg.dynamics.pair_tables import ACCESSIBLE_ENERGY, CORE_ENERGY
from bayescg.interfaces import AbstractPairPotential, Topology, type_pairs
from bayescg.potentials import PairSpline
from bayescg.potentials.spline import MINIMUM_STIFFNESS

INTERVALS = 2048
"""Of a potential that is no spline; argon's force is good to 1e-3 where it is 2000 kJ/mol/nm."""

REFINEMENT = 64
"""Intervals for one of a spline of a higher degree than 3."""


class PairNodes(NamedTuple):
    """What OpenMM interpolates, one row for every pair of types, in x = (r - start)/width.

    Attributes:
        values: kJ/mol, at x = -1, 0, 1, ..., n + 1; the first and last make the natural spline right.
        starts: first distance, nm.
        widths: node spacing, nm.
        core: value, slope and half curvature for x < 0, kJ/mol.
        cutoff: nm.
        error: largest difference in force where u < 50 kJ/mol, kJ/mol/nm; zero where the spline is exact.
    """

    values: NumpyArray
    starts: NumpyArray
    widths: NumpyArray
    core: NumpyArray
    cutoff: float
    error: float


def pair_nodes(potential: AbstractPairPotential, kinds: int) -> PairNodes:
    """The nodes of a pair potential for all pairs of types.

    Args:
        potential: with its parameters allocated.
        kinds: number of bead types.

    Example:
        >>> import bayescg as bcg
        >>> nodes = pair_nodes(bcg.potentials.LennardJones([0.997], [0.34], 1.2, ("Ar",)), 1)
        >>> nodes.values.shape, nodes.error < 1e-3
        ((1, 2051), True)
    """
    return _of_spline(potential) if isinstance(potential, PairSpline) else _of_any(potential, kinds)


def pair_force(potential: AbstractPairPotential, topology: Topology, *, periodic: bool) -> Any:
    """An `openmm.CustomNonbondedForce` of a pair potential.

    Args:
        potential: with its parameters allocated.
        topology: types and exclusions.
        periodic: whether there is a box.

    Example:
        >>> import bayescg as bcg
        >>> argon = bcg.potentials.LennardJones([0.997], [0.34], 1.2, ("Ar",))
        >>> beads = Topology(jnp.zeros(2, int), jnp.ones(2), jnp.arange(2), jnp.zeros((0, 2), int), ("Ar",))
        >>> pair_force(argon, beads, periodic=True).getNumParticles()
        2
    """
    import openmm

    nodes = pair_nodes(potential, len(topology.type_names))
    force = openmm.CustomNonbondedForce(_of_one(nodes) if len(nodes.starts) == 1 else _of_many())
    _add_tables(force, nodes, len(topology.type_names))
    force.setName(type(potential).__name__)
    method = force.CutoffPeriodic if periodic else force.CutoffNonPeriodic
    force.setNonbondedMethod(method)
    force.setCutoffDistance(nodes.cutoff)
    if len(nodes.starts) > 1:
        force.addPerParticleParameter("type")
    for kind in np.asarray(topology.types).tolist():
        force.addParticle([kind] if len(nodes.starts) > 1 else [])
    for first, second in excluded_pairs(topology):
        force.addExclusion(first, second)
    return force


def excluded_pairs(topology: Topology) -> list[tuple[int, int]]:
    """Pairs of beads that have no nonbonded energy, each once.

    Example:
        >>> near = jnp.array([[1, 3], [0, 2], [1, 3]])
        >>> one = Topology(jnp.zeros(3, int), jnp.ones(3), jnp.zeros(3, int), near[:0], ("A",), excluded=near)
        >>> excluded_pairs(one)
        [(0, 1), (1, 2)]
    """
    partners = np.asarray(topology.excluded)
    count = len(partners)
    first, place = np.nonzero((partners < count) & (partners > np.arange(count)[:, None]))
    return list(zip(first.tolist(), partners[first, place].tolist(), strict=True))


def with_ends(values: NumpyArray, slopes: NumpyArray, curvatures: NumpyArray) -> NumpyArray:
    """Values with a node more at either end, so that the natural spline has these slopes and curvatures.

    Args:
        values: at the nodes, (row, node).
        slopes: per node spacing, at both ends, (row, 2).
        curvatures: per node spacing squared, at both ends, (row, 2).

    Example:
        >>> x = np.arange(5.0)
        >>> whole = with_ends(x[None] ** 3, np.array([[0.0, 48.0]]), np.array([[0.0, 24.0]]))
        >>> spline = CubicSpline(np.arange(-1.0, 6.0), whole[0], bc_type="natural")
        >>> round(float(spline(1.5)), 12)
        3.375
    """
    before = values[:, :1] - slopes[:, :1] + curvatures[:, :1] / 3
    after = values[:, -1:] + slopes[:, 1:] + curvatures[:, 1:] / 3
    return np.concatenate([before, values, after], axis=1)


def _of_spline(potential: PairSpline) -> PairNodes:
    inside, widths = np.asarray(potential.polynomials, float), np.array(potential.widths)
    exact = potential.degree == 3
    parts = 1 if exact else REFINEMENT
    t = np.arange(parts) / parts
    powers = np.arange(potential.degree + 1)
    values = np.einsum("amp,tp->amt", inside, t[:, None] ** powers).reshape(len(widths), -1)
    values = np.concatenate([values, inside[:, -1].sum(axis=-1, keepdims=True)], axis=1)
    last = inside[:, -1]
    slopes = np.stack([inside[:, 0, 1], last @ powers], axis=1) / parts
    curvatures = np.stack([2 * inside[:, 0, 2], last @ (powers * (powers - 1))], axis=1) / parts**2
    half = np.maximum(inside[:, 0, 2], 0.5 * MINIMUM_STIFFNESS * widths**2)
    core = np.stack([inside[:, 0, 0], np.minimum(inside[:, 0, 1], 0.0) / parts, half / parts**2], axis=1)
    nodes = with_ends(values, slopes, curvatures)
    starts, spacing = np.array(potential.starts), widths / parts
    error = 0.0 if exact else _largest_difference(potential, nodes, starts, spacing)
    return PairNodes(nodes, starts, spacing, core, potential.cutoff, error)


def _of_any(potential: AbstractPairPotential, kinds: int) -> PairNodes:
    starts, widths, values, slopes, curvatures = (
        np.asarray(a, float) for a in _sampled(potential, np.array(type_pairs(kinds)))
    )
    ends = with_ends(values, slopes, curvatures)
    core = np.stack([values[:, 0], np.minimum(slopes[:, 0], 0.0), np.zeros(len(starts))], axis=1)
    error = _largest_difference(potential, ends, starts, widths)
    return PairNodes(ends, starts, widths, core, potential.cutoff, error)


@eqx.filter_jit
def _sampled(potential: AbstractPairPotential, pairs: Any) -> tuple[Array, ...]:
    """Start, spacing, values, and slopes and curvatures at both ends per spacing, of every pair of types."""
    end = potential.cutoff * (1 - 1e-9)  # just inside, where u may jump to zero

    def of_pair(pair: Array) -> tuple[Array, ...]:
        def u(r: Array) -> Array:
            return potential.pair_energy(r, pair[0], pair[1])

        scan = jnp.linspace(0.0, end, 2 * INTERVALS + 1)[1:]
        too_high = ~(jax.vmap(u)(scan) < CORE_ENERGY)  # NaN counts as too high
        last = jnp.max(jnp.where(too_high, jnp.arange(scan.size), -1))
        start = scan[jnp.minimum(last + 1, scan.size - 2)]
        width = (end - start) / INTERVALS
        ends = jnp.stack([start, end])
        slopes, curvatures = jax.vmap(jax.grad(u))(ends), jax.vmap(jax.grad(jax.grad(u)))(ends)
        values = jax.vmap(u)(start + width * jnp.arange(INTERVALS + 1))
        return start, width, values, width * slopes, width**2 * curvatures

    return jax.vmap(of_pair)(jnp.asarray(pairs))


@eqx.filter_jit
def _slopes(potential: AbstractPairPotential, r: Any, pairs: Any) -> tuple[Array, Array]:
    """Energy and slope at some distances of every pair of types."""

    def of_pair(r: Array, pair: Array) -> tuple[Array, Array]:
        return jax.vmap(jax.value_and_grad(lambda r: potential.pair_energy(r, pair[0], pair[1])))(r)

    return jax.vmap(of_pair)(jnp.asarray(r), jnp.asarray(pairs))


def _largest_difference(
    potential: AbstractPairPotential, nodes: NumpyArray, starts: NumpyArray, widths: NumpyArray
) -> float:
    """In force, at the places in an interval where it is largest for a quartic."""
    kinds = round((np.sqrt(8 * len(starts) + 1) - 1) / 2)
    # the error of u' is a cubic odd about the middle: extreme at its own roots' middles
    t = np.array([0.5 - 0.5 / 3**0.5, 0.5 + 0.5 / 3**0.5])
    x = (np.arange(nodes.shape[1] - 3)[:, None] + t).ravel()
    r = starts[:, None] + widths[:, None] * x
    value, exact = (np.asarray(a) for a in _slopes(potential, r, np.array(type_pairs(kinds))))
    spline = CubicSpline(np.arange(nodes.shape[1]) - 1.0, nodes.T, bc_type="natural")
    difference = np.abs(spline(x, 1).T / widths[:, None] - exact)
    return float(np.max(np.where(value < ACCESSIBLE_ENERGY, difference, 0.0)))


def _of_one(nodes: PairNodes) -> str:
    """The energy of a pair where there is one type: numbers stand in the expression."""
    value, slope, half = nodes.core[0].tolist()
    return (
        "select(step(x), u(x), core); "
        f"core = ({value!r}) + x*(({slope!r}) + x*({half!r})); "
        f"x = (r - ({float(nodes.starts[0])!r}))/({float(nodes.widths[0])!r})"
    )


def _of_many() -> str:
    """The energy of a pair where there are several types: numbers come from tables over the pair of types.

    Along the second argument of u the places are whole numbers, where OpenMM's bicubic spline is the
    natural spline of the row.
    """
    return (
        "select(step(x), u(x, pair(type1, type2)), core); "
        "core = value(type1, type2) + x*(slope(type1, type2) + x*half(type1, type2)); "
        "x = (r - start(type1, type2))/width(type1, type2)"
    )


def _add_tables(force: Any, nodes: PairNodes, kinds: int) -> None:
    import openmm

    rows, count = nodes.values.shape
    if rows == 1:
        table = openmm.Continuous1DFunction(nodes.values[0].tolist(), -1.0, count - 2.0)
        force.addTabulatedFunction("u", table)
        return
    flat = nodes.values.ravel().tolist()
    force.addTabulatedFunction(
        "u", openmm.Continuous2DFunction(count, rows, flat, -1.0, count - 2.0, 0.0, rows - 1.0)
    )
    of_pair = {"start": nodes.starts, "width": nodes.widths, "pair": np.arange(rows, dtype=float)}
    of_pair |= dict(zip(("value", "slope", "half"), nodes.core.T, strict=True))
    for name, numbers in of_pair.items():
        square = np.zeros((kinds, kinds))
        for (a, b), number in zip(type_pairs(kinds), numbers, strict=True):
            square[a, b] = square[b, a] = number
        force.addTabulatedFunction(name, openmm.Discrete2DFunction(kinds, kinds, square.ravel().tolist()))
