"""Which ensemble, kept by which method, and what goes together.

| ensemble | method | friction gamma |
|---|---|---|
| NVT, NPT | langevin | of Langevin's equation |
| NVT, NPT | nose-hoover, csvr | relaxation time 1/gamma |
| NVT, NPT | a memory of the model | none beside it |
| NVE | none | none |

The volume of NPT is that of `bayescg.dynamics.barostat`, in a periodic box of three dimensions.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, one_of, positive, require
from bayescg._typing import Array
from bayescg.dynamics.barostat import COMPRESSIBILITY, barostat
from bayescg.dynamics.cell import Barostat
from bayescg.dynamics.engine import widest_of
from bayescg.dynamics.neighbors import roomy_capacity
from bayescg.dynamics.pair_forces import ForceField, forces
from bayescg.dynamics.pairwise import PairBath
from bayescg.dynamics.walker import Motion, System, Thermostat, box_like, neighbors_of
from bayescg.model import Model

ENSEMBLES = ("NVT", "NVE", "NPT")
"""What is held fixed, beside the number of beads."""

THERMOSTATS = ("langevin", "nose-hoover", "csvr")
"""Of models without a memory."""

FEWEST_STEPS = 10
"""Steps in the relaxation time of a Nosé-Hoover chain; its splitting error falls with their third power."""


UNBALANCED = 1e-5
"""Total force over the sum of sizes from which on something outside acts; networks in float32 reach 1e-7."""


class Method(NamedTuple):
    """How an ensemble is kept.

    Attributes:
        name: "langevin", "nose-hoover" or "csvr"; "memory" where the model has one, "none" for NVE.
        friction: 1/ps; None for a memory and for NVE.
        barostat: None but for NPT.
    """

    name: str
    friction: float | None
    barostat: Barostat | None


def choose_method(
    models: Sequence[Model],
    *,
    ensemble: str,
    thermostat: str | None,
    friction: float | None,
    pressure: float | None,
    compressibility: float | None,
    timestep: float,
    box: Any,
) -> Method:
    """The method, or an error that says what does not go together.

    Args:
        models: one per draw; all have a memory, or none of them.
        ensemble: one of `ENSEMBLES`.
        thermostat: one of `THERMOSTATS`; None for Langevin's where a thermostat is needed.
        friction: 1/ps.
        pressure: bar; for NPT.
        compressibility: 1/bar; for NPT; None for water's.
        timestep: ps.
        box: edge lengths, nm; None for an open system.

    Raises:
        BayescgError: no draw, an unknown name, or a setting that is missing or of no use.

    Example:
        >>> import bayescg as bcg
        >>> argon = bcg.Model(bcg.potentials.LennardJones([0.997], [0.34], cutoff=1.0, type_names=("Ar",)))
        >>> choose_method(
        ...     [argon], ensemble="NVT", thermostat="csvr", friction=1.0, pressure=None, compressibility=None,
        ...     timestep=0.005, box=None,
        ... ).name
        'csvr'
    """
    one_of("ensemble", ensemble, ENSEMBLES)
    if thermostat is not None:
        one_of("thermostat", thermostat, THERMOSTATS)
    remembers = _with_memory(models)
    kept = _barostat(ensemble, pressure, compressibility, box)
    if ensemble == "NVE":
        _check_constant_energy(remembers, thermostat, friction)
        return Method("none", None, None)
    if remembers:
        _check_beside_memory(thermostat, friction)
        return Method("memory", None, kept)
    name = "langevin" if thermostat is None else thermostat
    remedy = "Give a friction, as in friction=1.0, or a model with a memory."
    friction = positive("friction", friction, unit="1/ps", remedy=remedy)
    if name == "nose-hoover":
        require(
            friction * timestep * FEWEST_STEPS <= 1,
            f"friction must be at most {1 / (FEWEST_STEPS * timestep):.3g} 1/ps for a Nosé-Hoover chain, ten "
            f"steps in its relaxation time, got {friction} 1/ps. Take a lower one, or a shorter timestep.",
        )
    return Method(name, friction, kept)


def conserved_components(motions: Motion, system: System, thermostat: Thermostat, start: Array) -> int:
    """Components of the total momentum that stay zero: all, or none.

    None where a thermostat acts on every bead, where there is one bead only, whose momentum nobody centres,
    and where forces do not add up to zero.

    Args:
        motions: of all draws; the first one's forces are tried.
        system: beads and box.
        thermostat: settings.
        start: (draw, bead, dim) positions, nm.

    Returns:
        The number of dimensions, or zero.
    """
    bath, (_, beads, dims) = motions.bath, start.shape
    scaled = bath is None and thermostat.method != "langevin"
    if beads == 1 or not (scaled or isinstance(bath, PairBath)):
        return 0
    field = jax.tree.map(lambda leaf: leaf[0], motions.field)
    widest = int(widest_of(start[0], system, field.cutoff + thermostat.skin))
    ratio = _unbalanced(field, start[0], system, thermostat, roomy_capacity(widest, beads, margin=1.5))
    return 0 if float(ratio) > UNBALANCED else dims


@eqx.filter_jit
def _unbalanced(
    field: ForceField, positions: Array, system: System, thermostat: Thermostat, capacity: int
) -> Array:
    """Total force over the sum of sizes, a little off the start, where a field may vanish by symmetry."""
    kick = 0.1 * thermostat.skin * jax.random.normal(jax.random.key(0), positions.shape, float)
    near = positions.astype(float) + kick
    neighbors = neighbors_of(near, field, system=system, thermostat=thermostat, capacity=capacity)
    force = forces(field, near, box=box_like(system, near), neighbors=neighbors, topology=system.topology)
    size = jnp.sum(jnp.abs(force))
    return jnp.max(jnp.abs(jnp.sum(force, axis=0))) / jnp.where(size > 0, size, 1.0)


def _with_memory(models: Sequence[Model]) -> bool:
    require(len(models) > 0, "models must hold at least one draw, got none. Give one model per draw.")
    found = {model.memory is not None for model in models}
    require(
        len(found) == 1,
        "models must all have a memory or none of them, got some of each. Simulate them apart.",
    )
    return found.pop()


def _check_constant_energy(remembers: bool, thermostat: str | None, friction: float | None) -> None:
    require(
        not remembers,
        "ensemble must not be 'NVE' where the model has a memory: its friction and noise exchange energy. "
        "Take 'NVT', or a model without the memory.",
    )
    require(
        thermostat is None,
        f"thermostat must not be given for the ensemble 'NVE', got {thermostat!r}: energy is constant. Leave "
        "it out, or take 'NVT'.",
    )
    require(
        friction is None,
        f"friction must not be given for the ensemble 'NVE', got {friction} 1/ps: energy is constant. Leave "
        "it out, or take 'NVT'.",
    )


def _check_beside_memory(thermostat: str | None, friction: float | None) -> None:
    require(
        thermostat is None,
        f"thermostat must not be given where the model has a memory, got {thermostat!r}. Leave it out: the "
        "memory is friction and noise.",
    )
    require(
        friction is None,
        f"friction must not be given where the model has a memory, got {friction} 1/ps. Leave it out: the "
        "memory is friction and noise; add bayescg.memory.Markovian to it for more.",
    )


def _barostat(
    ensemble: str, pressure: float | None, compressibility: float | None, box: Any
) -> Barostat | None:
    if ensemble != "NPT":
        require(
            pressure is None,
            f"pressure must not be given for the ensemble {ensemble!r}, got {pressure} bar. Leave it out, or "
            "take ensemble='NPT'.",
        )
        require(
            compressibility is None,
            f"compressibility must not be given for the ensemble {ensemble!r}, got {compressibility} 1/bar. "
            "Leave it out, or take ensemble='NPT'.",
        )
        return None
    if pressure is None or not math.isfinite(float(pressure)):
        raise BayescgError(
            f"pressure must be a finite number for the ensemble 'NPT', got {pressure} bar. Give one, as in "
            "pressure=1.0."
        )
    if box is None or np.shape(box) != (3,):
        raise BayescgError(
            "box must be periodic in three dimensions for the ensemble 'NPT', got "
            f"{'an open system' if box is None else f'{np.size(box)}'}. Take 'NVT', or data with a box."
        )
    given = COMPRESSIBILITY if compressibility is None else compressibility
    return barostat(float(pressure), compressibility=positive("compressibility", given, unit="1/bar"))
