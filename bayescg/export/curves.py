"""A model as curves of one variable: what tables in other programs are made of, in our units.

    pair terms       u_ab(r) and f = -u'(r), added up for every pair of bead types
    bonded terms     u_t(q) and f = -u'(q), added up for every kind of chain: bond length, angle, dihedral

in float64, whatever the precision of simulations. Energies of an angle's cosine become ones of the angle.
Below the distance from which on a pair term other than a `PairSpline` stays below 1000 kJ/mol it goes on with
its slope there and the curvature of a spline's core, 10^4 kJ/mol/nm²; no bead climbs that high. A
`PairSpline` has its own core.

Terms that are no such curves (many-body, a network, a field on single beads) are named in an error.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, require, require_x64
from bayescg._typing import Array, Float, NumpyArray
from bayescg.dynamics.pair_tables import CORE_ENERGY
from bayescg.interfaces import (
    AbstractPairPotential,
    AbstractPotential,
    LinearSum,
    Sum,
    Topology,
    type_pairs,
)
from bayescg.numerics.internal_coordinates import (
    ANGLE,
    BOND,
    DIHEDRAL,
    InternalCoordinate,
    kinds_of,
)
from bayescg.potentials import PairSpline
from bayescg.potentials.bonded import AbstractBondedPotential
from bayescg.potentials.spline import MINIMUM_STIFFNESS

SCAN = 2048
"""Points among which the end of the core is looked for."""

CHAINS: dict[str, InternalCoordinate] = {"bond": BOND, "angle": ANGLE, "dihedral": DIHEDRAL}
"""The coordinate that curves of a kind of chain are functions of."""


class Terms(NamedTuple):
    """A potential taken apart.

    Attributes:
        pairs: pair potentials, which add.
        chains: bonded potentials, which add.
        cutoff: of the pairs, nm; zero where there are none.
    """

    pairs: tuple[AbstractPairPotential, ...]
    chains: tuple[AbstractBondedPotential, ...]
    cutoff: float


class Curves(NamedTuple):
    """Energies and forces on a grid, one row per pair of types or kind of chain.

    Attributes:
        energy: kJ/mol.
        force: minus the derivative, kJ/mol per unit of the variable (nm, rad).
    """

    energy: Float[NumpyArray, "row point"]
    force: Float[NumpyArray, "row point"]


def terms_of(potential: AbstractPotential, *, program: str) -> Terms:
    """The pair and bonded terms of a potential.

    Args:
        potential: at one temperature (`bayescg.potentials.at_temperature`), with its parameters allocated.
        program: that the terms are meant for, for the error.

    Raises:
        BayescgError: a term that cannot be tabulated.

    Example:
        >>> import bayescg as bcg
        >>> both = bcg.potentials.PairSpline(cutoff=0.9) + bcg.potentials.HarmonicBond()
        >>> [len(part) for part in terms_of(both, program="LAMMPS")[:2]]
        [1, 1]
    """
    terms = potential.terms if isinstance(potential, Sum | LinearSum) else (potential,)
    for term in terms:
        if not isinstance(term, AbstractPairPotential | AbstractBondedPotential):
            raise BayescgError(
                f"potential must be made of pair and bonded terms to run in {program}, got "
                f"{type(term).__name__}, which no table holds. Simulate it with engine='jax-md'."
            )
    pairs = tuple(term for term in terms if isinstance(term, AbstractPairPotential))
    chains = tuple(term for term in terms if isinstance(term, AbstractBondedPotential))
    return Terms(pairs, chains, max((term.cutoff for term in pairs), default=0.0))


def pair_curves(pairs: tuple[AbstractPairPotential, ...], kinds: int, distances: NumpyArray) -> Curves:
    """Energy and force of every pair of bead types.

    Args:
        pairs: terms that add, with their parameters allocated; at least one.
        kinds: number of bead types.
        distances: nm, all above zero.

    Returns:
        One row per pair, in the order of `bayescg.interfaces.type_pairs`.

    Raises:
        BayescgError: JAX runs in float32.

    Example:
        >>> import bayescg as bcg
        >>> argon = bcg.potentials.LennardJones([0.997], [0.34], 1.2, ("Ar",))
        >>> pair_curves((argon,), 1, np.array([0.34])).energy.round(6).tolist()
        [[0.0]]
    """
    require_x64("a table")
    kinds_of_pairs = jnp.asarray(type_pairs(kinds), jnp.int32)
    energy, slope = _pair_curves(pairs, kinds_of_pairs, jnp.asarray(distances, float))
    return _checked(Curves(np.asarray(energy), -np.asarray(slope)), "pair")


def chain_curves(
    terms: tuple[AbstractBondedPotential, ...], chain: str, kinds: tuple[tuple[int, ...], ...], q: NumpyArray
) -> Curves:
    """Energy and force of every kind of bond, angle or dihedral.

    The weight by which a dihedral fades where three of its beads lie in a line is left out: it depends on
    more than the dihedral.

    Args:
        terms: bonded terms; those of other chains are ignored.
        chain: "bond", "angle" or "dihedral".
        kinds: rows, bead types along the chain; from `kinds_in`.
        q: lengths in nm, or angles in rad.

    Returns:
        One row per kind, zero where no term has it.

    Raises:
        BayescgError: JAX runs in float32.

    Example:
        >>> import bayescg as bcg
        >>> bond = bcg.interfaces.Sampled("bond", (0, 0), 0.2, 0.3, 0.25, 1e4)
        >>> support = bcg.interfaces.Support(("A",), (), internal=(bond,))
        >>> spring = bcg.potentials.HarmonicBond().prepare(support)
        >>> chain_curves((spring,), "bond", ((0, 0),), np.array([0.24])).force.round(6).tolist()
        [[100.0]]
    """
    require_x64("a table")
    total = np.zeros((2, len(kinds), len(q)))
    for term in terms:
        if term.coordinate.chain != chain:
            continue
        rows = [kinds.index(kind) for kind in term.kinds if kind in kinds]
        places = [place for place, kind in enumerate(term.kinds) if kind in kinds]
        if rows:
            found = _chain_curves(term, jnp.asarray(places, jnp.int32), jnp.asarray(q, float))
            total[:, rows] += np.stack([np.asarray(part) for part in found])
    return _checked(Curves(total[0], -total[1]), chain)


def kinds_in(
    terms: tuple[AbstractBondedPotential, ...], chain: str, topology: Topology
) -> tuple[tuple[int, ...], ...]:
    """The kinds of chains of a system that some term gives an energy.

    Args:
        terms: bonded terms.
        chain: "bond", "angle" or "dihedral".
        topology: types and chains.

    Example:
        >>> beads = Topology(np.zeros(2, int), np.ones(2), np.zeros(2, int), np.array([[0, 1]]), ("A",))
        >>> kinds_in((), "bond", beads)
        ()
    """
    known = {kind for term in terms if term.coordinate.chain == chain for kind in term.kinds}
    return tuple(kind for kind in kinds_of(CHAINS[chain], topology) if kind in known)


@eqx.filter_jit
def _pair_curves(
    pairs: tuple[AbstractPairPotential, ...], kinds: Array, distances: Array
) -> tuple[Array, Array]:
    def of_kind(kind: Array) -> tuple[Array, Array]:
        parts = [_with_core(term, kind, distances) for term in pairs]
        value, slope = (jnp.sum(jnp.stack(part), axis=0) for part in zip(*parts, strict=True))
        return value, slope

    return jax.vmap(of_kind)(kinds)


def _with_core(term: AbstractPairPotential, kind: Array, distances: Array) -> tuple[Array, Array]:
    """Value and slope, finite in the core."""

    def energy(distance: Array) -> Array:
        return term.pair_energy(distance, kind[0], kind[1])

    def both(distance: Array) -> tuple[Array, Array]:
        value, slope = jax.value_and_grad(energy)(distance)
        inside = distance < term.cutoff
        return jnp.asarray(jnp.where(inside, value, 0.0)), jnp.asarray(jnp.where(inside, slope, 0.0))

    if isinstance(term, PairSpline):
        return jax.vmap(both)(distances)
    scan = jnp.linspace(0.0, term.cutoff, SCAN + 1)[1:-1]
    too_high = ~(jax.vmap(energy)(scan) < CORE_ENERGY)  # NaN counts as too high
    last = jnp.max(jnp.where(too_high, jnp.arange(scan.size), -1))
    core = jnp.where(last < 0, 0.0, scan[jnp.minimum(last + 1, scan.size - 1)])
    value, slope = jax.vmap(both)(jnp.maximum(distances, core))
    overlap = jnp.minimum(distances - core, 0.0)
    stiffness = MINIMUM_STIFFNESS * overlap
    return value + (slope + 0.5 * stiffness) * overlap, slope + stiffness


@eqx.filter_jit
def _chain_curves(term: AbstractBondedPotential, places: Array, q: Array) -> tuple[Array, Array]:
    of_cosine = term.coordinate.name == "cosine"

    def energy(q: Array, place: Array) -> Array:
        return term.chain_energy(jnp.cos(q) if of_cosine else q, place)

    curve = jax.vmap(jax.value_and_grad(energy), in_axes=(0, None))
    return jax.vmap(lambda place: curve(q, place))(places)


def _checked(curves: Curves, what: str) -> Curves:
    finite = bool(np.isfinite(curves.energy).all() and np.isfinite(curves.force).all())
    require(
        finite,
        f"{what} energies must be finite over the whole table, got NaN or infinity. "
        "Look at the parameters of this draw.",
    )
    return curves
