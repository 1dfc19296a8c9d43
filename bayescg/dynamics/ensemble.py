"""Many draws of a model simulated at once: one Langevin trajectory per draw, observables on the fly."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, positive, require, require_x64, whole
from bayescg._typing import Array, NumpyArray
from bayescg.dynamics.engine import Engine, Ensemble, stack
from bayescg.dynamics.pair_forces import ForceField, force_field
from bayescg.dynamics.walker import System, Thermostat
from bayescg.interfaces import AbstractObservable, Topology
from bayescg.model import Model
from bayescg.numerics.host_loop import HostLoop
from bayescg.numerics.pairs import check_cutoff
from bayescg.units import thermal_energy

SKIN = 0.12
"""nm; for 510 waters anything from 0.1 to 0.15 costs the same."""

THERMAL_STEPS = 20
"""Half the skin is ten standard deviations of a bead's step: only an explosion goes further."""


def simulate_ensemble(
    models: Sequence[Model],
    start: Any,
    *,
    box: Any,
    topology: Topology,
    temperature: float,
    timestep: float,
    steps: int,
    equilibration: int,
    friction: float,
    observables: Sequence[AbstractObservable],
    measure_every: int,
    key: Array,
    loop: HostLoop,
    records: int = 100,
    skin: float | None = None,
    capacity: int | None = None,
    precision: Any = jnp.float32,
) -> xr.Dataset:
    """NVT Langevin dynamics of every model, with observables averaged on the fly.

    Args:
        models: one per draw, alike but for the values of their parameters.
        start: (draw, bead, dim) positions, nm.
        box: (dim,) edge lengths, nm, the same for all draws; None for an open system.
        topology: types and masses.
        temperature: K.
        timestep: ps.
        steps: after equilibration; rounded down to whole records.
        equilibration: steps before anything is measured; rounded up to whole records.
        friction: 1/ps.
        observables: measured on the fly; those that must know the box are prepared for it.
        measure_every: steps between measurements.
        key: random key.
        loop: progress, checkpoint and interruption.
        records: into how many block means the steps are divided, at most.
        skin: what the neighbour list reaches beyond the cutoff, nm; a bead that jumps by more than half of
            it in one step counts as an explosion. None for 0.12, or 20 thermal steps if that is more.
        capacity: first width of the neighbour matrix; None for what the start needs and some room.
        precision: of positions and forces; averages are float64.

    Returns:
        Block means (draw, record, ...) of every observable and of `kinetic_temperature` (K), and per draw
        `exploded_step` (-1 for never), `stale_redone`, `overflow_redone`, `table_error` (kJ/mol/nm) and the
        final `position`. Blocks of a draw that exploded are NaN from the explosion on.

    Raises:
        BayescgError: no draw, a setting that is not positive, too few steps, a cutoff beyond half the box.
        Interrupted: Ctrl-C, from the loop.

    Example:
        >>> import bayescg as bcg, jax, jax.numpy as jnp, numpy as np
        >>> argon = bcg.potentials.LennardJones([0.997], [0.34], cutoff=1.0, type_names=("Ar",))
        >>> nothing = jnp.zeros((0, 2), int)
        >>> beads = Topology(jnp.zeros(8, int), jnp.full(8, 39.9), jnp.arange(8), nothing, ("Ar",))
        >>> cube = np.stack(np.meshgrid(*[[0.5, 1.5]] * 3), -1).reshape(1, 8, 3)
        >>> run = simulate_ensemble(
        ...     [bcg.Model(argon)], cube, box=[2.0, 2.0, 2.0], topology=beads, temperature=300.0,
        ...     timestep=0.005, steps=40, equilibration=0, friction=1.0, observables=[], measure_every=10,
        ...     key=jax.random.key(0), loop=HostLoop(progress=False), records=2,
        ... )
        >>> run.kinetic_temperature.shape
        (1, 2)
    """
    require_x64("simulate_ensemble")
    masses = np.asarray(topology.masses)
    require(
        bool((np.isfinite(masses) & (masses > 0)).all()),
        f"mass must be positive and finite for every bead, got {masses.min()} amu. "
        "Map the beads from a topology with masses, or set beads['mass'].",
    )
    steps, every = whole("steps", steps), whole("measure_every", measure_every)
    require(
        steps >= 2 * every,
        f"steps must be at least twice measure_every, got {steps} against {every}. Take more steps.",
    )
    per_record = max(1, -(-steps // (every * whole("records", records))))
    thermostat = Thermostat(
        positive("temperature", temperature, unit="K"),
        positive("timestep", timestep, unit="ps"),
        positive("friction", friction, unit="1/ps"),
        _thermal_skin(topology, temperature, timestep) if skin is None else positive("skin", skin, unit="nm"),
        every,
        per_record,
    )
    warmup = -(-whole("equilibration", equilibration, minimum=0) // thermostat.record_steps)
    total = warmup + steps // thermostat.record_steps
    fields = _fields(models, topology)
    system = _system(topology, box, fields.cutoff, precision)
    ready = [observable.prepare(topology, box) for observable in observables]
    engine = Engine(fields, system, thermostat, ready, draws=len(models), warmup=warmup)
    with engine.pool:
        carry = engine.begin(_start(start, len(models), topology, precision), key, capacity)
        stage = loop.run("simulate", engine.step, carry, total=total, chunk=1, describe=_describe)
    return _dataset(stage.carry, stage.records, ready, engine)


def _fields(models: Sequence[Model], topology: Topology) -> ForceField:
    """The force fields of all draws, every array with a leading draw axis."""
    require(len(models) > 0, "models must hold at least one draw, got none.")
    kinds = len(topology.type_names)
    make = eqx.filter_jit(force_field)
    return stack([make(model.potential, kinds) for model in models])


def _thermal_skin(topology: Topology, temperature: float, timestep: float) -> float:
    speed = math.sqrt(thermal_energy(temperature) / float(np.min(np.asarray(topology.masses))))
    return max(SKIN, THERMAL_STEPS * speed * timestep)


def _system(topology: Topology, box: Any, cutoff: float, precision: Any) -> System:
    check_cutoff(cutoff, None if box is None else np.asarray(box))
    edges = None if box is None else jnp.asarray(np.asarray(box), precision)
    return System(eqx.tree_at(lambda t: t.types, topology, jnp.asarray(topology.types, jnp.int32)), edges)


def _start(start: Any, draws: int, topology: Topology, precision: Any) -> Array:
    positions = np.asarray(start)
    beads = topology.masses.shape[0]
    if positions.ndim != 3 or positions.shape[:2] != (draws, beads):
        raise BayescgError(
            f"start must have shape (draw, bead, dim) with {draws} draws and {beads} beads, "
            f"got {positions.shape}. Give one frame per draw."
        )
    require(
        bool(np.isfinite(positions).all()), "start must be finite, got NaN or infinity. Give whole frames."
    )
    return jnp.asarray(positions, precision)


def _describe(records: dict[str, NumpyArray]) -> str:
    exploded = int((records["exploded"][-1] >= 0).sum())
    mean = np.nanmean(records["temperature"][-1]) if exploded < records["exploded"].shape[1] else np.nan
    return f"{mean:.0f} K" + (f", {exploded} draws exploded" if exploded else "")


def _dataset(
    ensemble: Ensemble,
    records: dict[str, NumpyArray],
    observables: Sequence[AbstractObservable],
    engine: Engine,
) -> xr.Dataset:
    """Block means after equilibration, with names, labels and units."""
    topology, kept = engine.system.topology, slice(engine.warmup, None)
    variables: dict[str, Any] = {
        "kinetic_temperature": (("draw", "record"), records["temperature"][kept].T, {"units": "K"}),
        "exploded_step": ("draw", np.asarray(ensemble.walkers.exploded)),
        "stale_redone": ("draw", np.asarray(ensemble.stale)),
        "overflow_redone": ("draw", np.asarray(ensemble.overflows)),
        "position": (("draw", "bead", "dim"), np.asarray(ensemble.walkers.position), {"units": "nm"}),
    }
    if engine.fields.tables:
        errors = np.sum([np.asarray(table.error) for table in engine.fields.tables], axis=0)
        variables["table_error"] = ("draw", errors, {"units": "kJ/mol/nm"})
    coordinates: dict[str, Any] = {}
    for index, observable in enumerate(observables):
        labels = observable.coordinates(topology)
        coordinates |= labels
        values = np.moveaxis(records[f"mean_{index}"][kept], 0, 1)
        variables[observable.name] = (("draw", "record", *labels), values, {"units": observable.units})
    settings = {
        "record_steps": engine.thermostat.record_steps,
        "equilibration": engine.warmup * engine.thermostat.record_steps,
        "capacity": int(ensemble.capacity),
    }
    return xr.Dataset(variables, coords=coordinates, attrs=settings)
