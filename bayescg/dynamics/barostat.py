"""Constant pressure by stochastic cell rescaling: the volume diffuses in its own free energy.

With the instantaneous pressure at fixed scaled coordinates, the ideal part by its mean,

    P = (N kT + W/d)/V,        W the virial, d dimensions,

lambda = sqrt(V) follows an equation whose noise does not depend on it,

    d lambda = -lambda b/2 (P0 - P - kT/2V) dt + sqrt(b kT/2) dW,        b = compressibility/relaxation time,

whose stationary law is V^N exp(-(U + P0 V)/kT). Positions and box are multiplied by the same factor,
momenta stay as they are: in that law they are independent of the volume, whatever the thermostat or memory.

The volume changes every few steps h, by a step whose noise is the mean of two random numbers, this one and
the last one. That makes its error of second order in h.

References:
    M. Bernetti, G. Bussi, J. Chem. Phys. 153, 114107 (2020), doi:10.1063/5.0020514.
    B. Leimkuhler, C. Matthews, Appl. Math. Res. Express 2013, 34 (2013), doi:10.1093/amrx/abs010.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.dynamics.cell import Barostat, Cell
from bayescg.dynamics.neighbors import Neighbors
from bayescg.dynamics.pair_forces import forces
from bayescg.dynamics.virial import virial
from bayescg.dynamics.walker import Motion, System, Thermostat, Walker
from bayescg.units import BAR, thermal_energy

COMPRESSIBILITY = 4.5e-5
"""1/bar; of water at room temperature. Only the speed of the volume depends on it."""

RELAXATION = 1.0
"""ps; in which a volume relaxes whose compressibility is the one that is given."""

STRIDE = 10
"""Steps between changes of the volume: each costs two evaluations of the forces."""

LARGEST_CHANGE = 0.2
"""Of the logarithm of an edge at once; a larger one is an explosion."""


class Growth(NamedTuple):
    """One change of the volume.

    Attributes:
        factor: of positions and box.
        noise: random number it was made with.
    """

    factor: Float[Array, ""]
    noise: Float[Array, ""]


def barostat(pressure: float, *, compressibility: float = COMPRESSIBILITY) -> Barostat:
    """What a box is kept at.

    Args:
        pressure: bar.
        compressibility: 1/bar; the volume relaxes in 1 ps times the true one over this one.

    Example:
        >>> round(barostat(1.0).pressure, 4)
        0.0602
    """
    return Barostat(pressure * BAR, compressibility / BAR / RELAXATION, STRIDE)


def rescaled(
    walker: Walker, neighbors: Neighbors, motion: Motion, *, system: System, thermostat: Thermostat
) -> Walker:
    """The walker after a change of its volume, with the forces of before: `settled` comes next.

    Args:
        walker: state before, with a cell.
        neighbors: a list that is valid before.
        motion: the draw's forces and memory.
        system: beads.
        thermostat: settings, with a barostat.
    """
    cell, setting = walker.cell, thermostat.barostat
    assert cell is not None
    assert setting is not None
    rng, key = jax.random.split(walker.rng)
    change = growth(
        cell,
        setting,
        virial=virial(
            motion.field, walker.position, box=cell.box, neighbors=neighbors, topology=system.topology
        ),
        beads=walker.position.shape[0],
        thermal_energy=thermal_energy(thermostat.temperature),
        timestep=thermostat.timestep,
        key=key,
    )
    position = walker.position * change.factor.astype(walker.position.dtype)
    return walker._replace(position=position, rng=rng, cell=resized(cell, change, walker.position))


def settled(
    walker: Walker, before: Walker, neighbors: Neighbors, motion: Motion, *, system: System
) -> Walker:
    """The rescaled walker with its forces; the one before, as exploded, where the change went wrong.

    Args:
        walker: from `rescaled`.
        before: what was rescaled.
        neighbors: a list that is valid now.
        motion: the draw's forces and memory.
        system: beads.
    """
    new, old = walker.cell, before.cell
    assert new is not None
    assert old is not None
    force = forces(motion.field, walker.position, box=new.box, neighbors=neighbors, topology=system.topology)
    roomy = jnp.min(new.box) >= 2 * motion.cutoff
    change = jnp.max(jnp.abs(jnp.log(new.box / old.box)))
    # written so that NaN counts as an explosion
    sound = (change < LARGEST_CHANGE) & jnp.all(jnp.isfinite(force))
    still = before._replace(exploded=before.step, cell=old._replace(collapsed=sound & ~roomy))
    moved = walker._replace(force=force)
    return jax.tree.map(lambda a, b: jnp.where(sound & roomy, a, b), moved, still)


def growth(
    cell: Cell,
    setting: Barostat,
    *,
    virial: Float[Array, ""],
    beads: int,
    thermal_energy: float,
    timestep: float,
    key: Array,
) -> Growth:
    """One step of the volume, in float64.

    Args:
        cell: box, and the random number of the last step.
        setting: pressure and mobility.
        virial: W, kJ/mol.
        beads: N.
        thermal_energy: kT, kJ/mol.
        timestep: of the beads, ps.
        key: random key.

    Example:
        >>> from bayescg.dynamics.cell import new_cell
        >>> cell = new_cell(jnp.full(3, 2.0), jnp.zeros((20, 3)))
        >>> gas = {"virial": jnp.zeros(()), "beads": 20, "timestep": 0.005, "key": jax.random.key(0)}
        >>> grown = growth(cell, barostat(1e4), thermal_energy=2.5, **gas)
        >>> bool(grown.factor < 1)  # 20 kT/V is 1000 bar
        True
    """
    kT, b, h = thermal_energy, setting.mobility, setting.stride * timestep
    d, V = cell.box.size, jnp.prod(cell.box.astype(float))
    P = (beads * kT + virial / d) / V
    noise = jax.random.normal(key, (), float)
    root = jnp.sqrt(V)
    new = root - h * 0.5 * b * root * (setting.pressure - P - 0.5 * kT / V)
    new += jnp.sqrt(0.5 * b * kT * h) * 0.5 * (cell.noise + noise)
    return Growth((new / root) ** (2 / d), noise)


def resized(cell: Cell, change: Growth, position: Float[Array, "bead dim"]) -> Cell:
    """The cell after a change of the volume; paths of beads are where they were.

    Args:
        cell: before.
        change: from `growth`.
        position: before, nm.

    Example:
        >>> from bayescg.dynamics.cell import new_cell
        >>> cell, x = new_cell(jnp.ones(3), jnp.ones((1, 3))), jnp.ones((1, 3))
        >>> wider = resized(cell, Growth(jnp.array(1.5), jnp.zeros(())), x)
        >>> wider.box.tolist(), (1.5 * x + wider.carried).tolist()
        ([1.5, 1.5, 1.5], [[1.0, 1.0, 1.0]])
    """
    factor = change.factor.astype(position.dtype)
    moved = position.astype(float) - (position * factor).astype(float)
    return cell._replace(box=cell.box * factor, carried=cell.carried + moved, noise=change.noise)
