"""The state of one simulated draw, and jax-md's Langevin integrator for it.

    dx = v dt,     m dv = (F - m gamma v) dt + sqrt(2 m gamma k_B T) dW,

by the BAOAB splitting, in a periodic box or an open system.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from bayescg._typing import Array, Float, Int
from bayescg.dynamics.neighbors import Neighbors, find_neighbors
from bayescg.dynamics.pair_forces import ForceField, forces
from bayescg.interfaces import Topology
from bayescg.units import thermal_energy


class Thermostat(eqx.Module):
    """What is the same for every draw of an ensemble.

    Attributes:
        temperature: K.
        timestep: ps.
        friction: gamma, 1/ps.
        skin: what the neighbour list reaches beyond the cutoff, nm.
        measure_every: steps between measurements.
        measurements: per record.
    """

    temperature: float = eqx.field(static=True)
    timestep: float = eqx.field(static=True)
    friction: float = eqx.field(static=True)
    skin: float = eqx.field(static=True)
    measure_every: int = eqx.field(static=True)
    measurements: int = eqx.field(static=True)

    @property
    def record_steps(self) -> int:
        """Steps of one record."""
        return self.measure_every * self.measurements


class System(eqx.Module):
    """What the draws share of the beads.

    Attributes:
        topology: types, masses in amu, bonds.
        box: edge lengths, nm; None for an open system.
    """

    topology: Topology
    box: Float[Array, " dim"] | None


class Walker(NamedTuple):
    """State of one draw between records; arrays and a key only, so that it can be checkpointed.

    Attributes:
        position: nm.
        momentum: amu nm/ps.
        force: kJ/mol/nm.
        rng: random key.
        step: steps taken.
        exploded: step at which the draw exploded, -1 for never.
    """

    position: Float[Array, "bead dim"]
    momentum: Float[Array, "bead dim"]
    force: Float[Array, "bead dim"]
    rng: Array
    step: Int[Array, ""]
    exploded: Int[Array, ""]


def begin(
    positions: Float[Array, "bead dim"],
    key: Array,
    field: ForceField,
    *,
    system: System,
    thermostat: Thermostat,
    capacity: int,
) -> tuple[Walker, Int[Array, ""]]:
    """Walker at these positions with Maxwell-Boltzmann momenta, and the widest row of its neighbour list.

    Args:
        positions: nm.
        key: random key.
        field: the draw's forces.
        system: beads and box.
        thermostat: settings.
        capacity: width of the neighbour matrix.
    """
    neighbors = neighbors_of(positions, field, system=system, thermostat=thermostat, capacity=capacity)
    init, _ = langevin(field, system, thermostat)
    masses = system.topology.masses.astype(positions.dtype)
    state = init(
        key,
        _wrapped(positions, box_like(system, positions)),
        mass=masses,
        neighbors=neighbors,
    )
    walker = Walker(
        state.position,
        state.momentum,
        state.force,
        state.rng,
        jnp.zeros((), jnp.int32),
        jnp.full((), -1, jnp.int32),
    )
    return walker, neighbors.widest


def langevin(
    field: ForceField, system: System, thermostat: Thermostat
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """jax-md's `(init, apply)` for one draw; both take the neighbour list as `neighbors`.

    References:
        B. Leimkuhler, C. Matthews, Appl. Math. Res. Express 2013, 34 (2013), doi:10.1093/amrx/abs010.
    """
    from jax_md import simulate

    def force(positions: Array, *, neighbors: Neighbors) -> Array:
        box = box_like(system, positions)
        return forces(field, positions, box=box, neighbors=neighbors, topology=system.topology)

    def shift(positions: Array, step: Array, **_: Any) -> Array:
        return _wrapped(positions + step, box_like(system, positions))

    return simulate.nvt_langevin(
        force,
        shift,
        dt=thermostat.timestep,
        kT=thermal_energy(thermostat.temperature),
        gamma=thermostat.friction,
    )


def neighbors_of(
    positions: Float[Array, "bead dim"],
    field: ForceField,
    *,
    system: System,
    thermostat: Thermostat,
    capacity: int,
) -> Neighbors:
    """Neighbours within the cutoff and the skin."""
    return find_neighbors(
        positions,
        box=box_like(system, positions),
        topology=system.topology,
        reach=field.cutoff + thermostat.skin,
        capacity=capacity,
    )


def box_like(system: System, positions: Float[Array, "bead dim"]) -> Float[Array, " dim"] | None:
    """The box in the precision of the positions.

    Example:
        >>> nothing = jnp.zeros((0, 2), int)
        >>> beads = Topology(jnp.zeros(1, int), jnp.ones(1), jnp.zeros(1, int), nothing, ("A",))
        >>> box_like(System(beads, jnp.ones(3)), jnp.zeros((1, 3), jnp.float32)).dtype
        dtype('float32')
    """
    return None if system.box is None else system.box.astype(positions.dtype)


def _wrapped(positions: Array, box: Array | None) -> Array:
    """Into [0, box): float32 keeps its precision however far a bead diffuses."""
    return positions if box is None else positions - box * jnp.floor(positions / box)
