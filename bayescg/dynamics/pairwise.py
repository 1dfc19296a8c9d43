"""Dynamics with a memory on pairs: momentum is conserved to rounding.

With p_ij the relative motion of `bayescg.memory.pairwise` a step is

    B:  p += F dt/2,     A:  x += p/m dt/2,     K:  coupling of p and z for dt at these positions,
    O:  z <- E z + S xi,     A,     B,

K being kicks, half of z, p, half of z. O is exact, and since z enters neither A nor B, half of O before K and
half after would give the same (x, p): the step is symmetric, its error of second order in dt.

A pair belongs to one of its beads, about half of its neighbours to each, so that noise is drawn once. Every
bead also lists the places of the pairs that belong to others: forces are gathered from there, with the
opposite sign. A pair that enters the list gets a z from equilibrium, which beyond the cutoff is its law.

References:
    P. Español, P. Warren, Europhys. Lett. 30, 191 (1995), doi:10.1209/0295-5075/30/4/001.
    Z. Li, X. Bian, X. Li, G. E. Karniadakis, J. Chem. Phys. 143, 243128 (2015), doi:10.1063/1.4935490.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import expm

from bayescg._typing import Array, Float, Int
from bayescg.dynamics.gle import GLEState, root
from bayescg.dynamics.neighbors import squared_distance
from bayescg.memory.pairwise import Pairwise
from bayescg.units import thermal_energy


class PairBath(eqx.Module):
    """The O step of z, the same for all pairs.

    Attributes:
        transition: E.
        noise: S.
        coupling: a, sqrt(amu)/ps.
        thermal_energy: kT, kJ/mol, the variance of z.
        cutoff: of the weight, nm.
        capacity: pairs that may belong to one bead.
    """

    transition: Float[Array, "mode mode"]
    noise: Float[Array, "mode mode"]
    coupling: Float[Array, " mode"]
    thermal_energy: float = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    capacity: int = eqx.field(static=True)


class PairVariables(NamedTuple):
    """Auxiliary variables of the pairs near by.

    Attributes:
        partners: for every bead the other beads of its own pairs, padded with the number of beads.
        mirrors: for every bead the places, in all pairs, of those that belong to others; padded likewise.
        values: z, sqrt(kJ/mol).
        widest: most pairs of one kind at a bead; beyond the capacity the lists are incomplete.
    """

    partners: Int[Array, "bead neighbor"]
    mirrors: Int[Array, "bead neighbor"]
    values: Float[Array, "bead neighbor mode"]
    widest: Int[Array, ""]


def pair_bath(memory: Pairwise, *, temperature: float, timestep: float, capacity: int) -> PairBath:
    """The exact O step of a pairwise memory; pure.

    Args:
        memory: with values.
        temperature: K.
        timestep: ps.
        capacity: pairs that may belong to one bead.

    Example:
        >>> import bayescg as bcg
        >>> memory = Pairwise(bcg.memory.Prony(1, times=[0.1], frictions=[20.0]), cutoff=0.6)
        >>> round(float(pair_bath(memory, temperature=300.0, timestep=0.1, capacity=8).transition[0, 0]), 4)
        0.3679
    """
    A_s, a, _ = memory.drift()
    E, kT = expm(-A_s * timestep), thermal_energy(temperature)
    S = jnp.sqrt(kT) * root(jnp.eye(a.size) - E @ E.T)
    return PairBath(E, S, a, kT, memory.cutoff, capacity)


def pairwise_gle(
    force: Callable[..., Array],
    shift: Callable[[Array, Array], Array],
    *,
    timestep: float,
    bath: PairBath,
    box: Float[Array, " dim"] | None,
) -> Callable[..., GLEState]:
    """One step, as `apply(state, mass=..., neighbors=...)` with `PairVariables` for the auxiliary variables.

    Args:
        force: force(position, neighbors=...) in kJ/mol/nm.
        shift: shift(position, step): the position after a step, wrapped if need be.
        timestep: ps.
        bath: from `pair_bath`, for the same timestep.
        box: edge lengths, nm; None for an open system.
    """

    def apply(state: GLEState, *, mass: Array, neighbors: Any) -> GLEState:
        half, (rng, key) = 0.5 * timestep, jax.random.split(state.rng)
        momentum = state.momentum + half * state.force
        position = shift(state.position, half * momentum / mass[:, None])
        momentum, pairs = couple(
            bath, position, momentum, state.auxiliary, mass=mass, box=box, timestep=timestep
        )
        position = shift(position, half * momentum / mass[:, None])
        now = force(position, neighbors=neighbors)
        return GLEState(position, momentum + half * now, now, relaxed(bath, pairs, key), rng)

    return apply


def couple(
    bath: PairBath,
    position: Float[Array, "bead dim"],
    momentum: Float[Array, "bead dim"],
    pairs: PairVariables,
    *,
    mass: Float[Array, " bead"],
    box: Float[Array, " dim"] | None,
    timestep: float,
) -> tuple[Float[Array, "bead dim"], PairVariables]:
    """K: momenta and auxiliary variables act on each other while nothing moves.

    Args:
        bath: from `pair_bath`.
        position: nm.
        momentum: amu nm/ps.
        pairs: lists and z.
        mass: amu.
        box: edge lengths, nm.
        timestep: ps.
    """
    beads, dims = position.shape
    other = jnp.minimum(pairs.partners, beads - 1)
    steps, squared = [], jnp.zeros(other.shape, position.dtype)
    for axis in range(dims):
        column = position[:, axis]
        step = column[:, None] - column.at[other].get(mode="promise_in_bounds")
        if box is not None:
            step -= box[axis] * jnp.round(step / box[axis])
        steps.append(step)
        squared += step * step
    near = (pairs.partners < beads) & (squared > 0) & (squared < bath.cutoff**2)
    weight = jnp.where(near, (1 - squared / bath.cutoff**2) ** 2, 0.0)
    length = jnp.sqrt(jnp.where(near, squared, 1.0))
    lines = [weight * step / length for step in steps]  # w e
    a = bath.coupling.astype(position.dtype)

    def kicked(z: Array, momentum: Array) -> Array:
        velocity = momentum / mass[:, None]
        rate = jnp.zeros_like(weight)
        for axis, line in enumerate(lines):
            v = velocity[:, axis]
            rate += line * (v[:, None] - v.at[other].get(mode="promise_in_bounds"))
        return z - 0.5 * timestep * rate[..., None] * a

    z = kicked(pairs.values, momentum)
    pull = z @ a
    gained = []
    for line in lines:
        pair_force = pull * line
        flat = jnp.append(pair_force.ravel(), jnp.zeros(1, position.dtype))
        reaction = flat.at[pairs.mirrors].get(mode="promise_in_bounds")
        gained.append(jnp.sum(pair_force, axis=1) - jnp.sum(reaction, axis=1))
    momentum += timestep * jnp.stack(gained, axis=1)
    return momentum, pairs._replace(values=kicked(z, momentum))


def relaxed(bath: PairBath, pairs: PairVariables, key: Array) -> PairVariables:
    """O: z after a timestep without coupling.

    Args:
        bath: from `pair_bath`.
        pairs: lists and z.
        key: of the noise.
    """
    z = pairs.values
    xi = jax.random.normal(key, (z.size,), z.dtype).reshape(z.shape)
    return pairs._replace(values=z @ bath.transition.astype(z.dtype).T + xi @ bath.noise.astype(z.dtype).T)


def no_pairs(bath: PairBath, position: Float[Array, "bead dim"]) -> PairVariables:
    """Empty lists: where a simulation begins; every pair is then new.

    Args:
        bath: from `pair_bath`.
        position: for number and precision.
    """
    beads, shape = position.shape[0], (position.shape[0], bath.capacity)
    return PairVariables(
        jnp.full(shape, beads, jnp.int32),
        jnp.full(shape, beads * bath.capacity, jnp.int32),
        jnp.zeros((*shape, bath.coupling.size), position.dtype),
        jnp.zeros((), jnp.int32),
    )


def relist(
    bath: PairBath,
    position: Float[Array, "bead dim"],
    pairs: PairVariables,
    *,
    box: Float[Array, " dim"] | None,
    reach: float,
    key: Array,
) -> PairVariables:
    """New lists at these positions; pairs known before keep their z, others get one from equilibrium.

    Args:
        bath: from `pair_bath`.
        position: nm.
        pairs: before.
        box: edge lengths, nm.
        reach: cutoff and skin, nm.
        key: of the new variables.
    """
    partners, mirrors, widest = _lists(position, box, reach, bath.capacity)
    known = (partners[:, :, None] == pairs.partners[:, None]) & (partners < position.shape[0])[:, :, None]
    place = jnp.argmax(known, axis=-1)
    kept = jnp.take_along_axis(pairs.values, place[..., None], axis=1)
    values = pairs.values
    fresh = jax.random.normal(key, (values.size,), values.dtype).reshape(values.shape)
    chosen = jnp.where(jnp.any(known, axis=-1)[..., None], kept, bath.thermal_energy**0.5 * fresh)
    return PairVariables(partners, mirrors, jnp.asarray(chosen, values.dtype), widest)


def owned_pairs(bead: Int[Array, "..."], other: Int[Array, "..."], beads: int) -> Array:
    """Whether a pair belongs to the first of its beads; exactly one of both is told so.

    Example:
        >>> owned_pairs(jnp.arange(4), jnp.array(0), 4).tolist()
        [False, False, False, True]
    """
    ahead = (other - bead) % beads
    return (ahead > 0) & ((2 * ahead < beads) | ((2 * ahead == beads) & (bead < other)))


def _lists(position: Array, box: Array | None, reach: float, capacity: int) -> tuple[Array, Array, Array]:
    """Partners and mirrors, and the widest row of both."""
    beads = position.shape[0]
    rows = jnp.arange(beads, dtype=jnp.int32)

    def append(bead: Array, lists: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        partners, mirrors, counts, mirrored = lists
        near = squared_distance(position, position[bead], box) < reach**2
        owned = near & owned_pairs(rows, bead, beads)
        place = jnp.minimum(counts, capacity)
        # written whether owned or not; the count goes on only where owned, so the next one overwrites
        partners = partners.at[rows, place].set(bead, mode="promise_in_bounds", unique_indices=True)
        rank = jnp.where(owned, jnp.minimum(jnp.cumsum(owned, dtype=jnp.int32) - 1, capacity), capacity)
        mirrors = mirrors.at[bead, rank].set(rows * capacity + place, mode="promise_in_bounds")
        return partners, mirrors, counts + owned, mirrored.at[bead].set(jnp.sum(owned, dtype=jnp.int32))

    # one column more than asked for takes what does not fit
    empty = jnp.zeros((beads, capacity + 1), jnp.int32)
    none = jnp.zeros(beads, jnp.int32)
    partners, mirrors, counts, mirrored = jax.lax.fori_loop(0, beads, append, (empty, empty, none, none))
    columns = jnp.arange(capacity)
    widest = jnp.maximum(jnp.max(counts), jnp.max(mirrored)).astype(jnp.int32)
    return (
        jnp.asarray(jnp.where(columns < counts[:, None], partners[:, :capacity], beads), jnp.int32),
        jnp.asarray(
            jnp.where(columns < mirrored[:, None], mirrors[:, :capacity], beads * capacity), jnp.int32
        ),
        widest,
    )
