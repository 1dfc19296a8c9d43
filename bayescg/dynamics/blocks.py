"""The block means of an ensemble as a Dataset: (draw, record, ...), with names, labels and units."""

from typing import Any

import numpy as np
import xarray as xr

from bayescg._typing import NumpyArray
from bayescg.dynamics.engine import Engine, Ensemble
from bayescg.dynamics.walker import Observables
from bayescg.interfaces import AbstractTimeObservable

DYNAMICS = {
    "langevin": "Langevin",
    "nose-hoover": "Newton with a Nosé-Hoover chain",
    "csvr": "Newton with velocity rescaling",
    "none": "Newton",
}
"""Equation of motion of models without a memory, by method."""

SHRINKAGE = 0.9
"""Of the edges at the start: at constant pressure observables reach to half of it, for a box may shrink."""


def blocks_of(
    ensemble: Ensemble,
    records: dict[str, NumpyArray],
    observables: Observables,
    engine: Engine,
) -> xr.Dataset:
    """Block means after equilibration, with names, labels and units.

    Args:
        ensemble: state of all draws at the end.
        records: of the host loop, by name, (record, draw, ...).
        observables: prepared, in the order they were measured in.
        engine: that ran them.
    """
    topology, kept = engine.system.topology, slice(engine.warmup, None)
    variables: dict[str, Any] = {
        "kinetic_temperature": (("draw", "record"), records["temperature"][kept].T, {"units": "K"}),
        "exploded_step": ("draw", np.asarray(ensemble.walkers.exploded)),
        "stale_redone": ("draw", np.asarray(ensemble.stale)),
        "overflow_redone": ("draw", np.asarray(ensemble.overflows)),
        "position": (("draw", "bead", "dim"), np.asarray(ensemble.walkers.position), {"units": "nm"}),
    }
    if engine.motions.field.tables:
        errors = np.sum([np.asarray(table.error) for table in engine.motions.field.tables], axis=0)
        variables["table_error"] = ("draw", errors, {"units": "kJ/mol/nm"})
    variables |= _of_ensemble(ensemble, records, kept, engine)
    coordinates: dict[str, Any] = {}
    moments = [o for o in observables if not isinstance(o, AbstractTimeObservable)]
    series = [o for o in observables if isinstance(o, AbstractTimeObservable)]
    measured = {o.name: {"": records[f"mean_{index}"]} for index, o in enumerate(moments)}
    for index, observable in enumerate(series):
        total, weight = records[f"sum_{index}"], records[f"weight_{index}"]
        ratio = np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0)
        measured[observable.name] = {"": ratio, "_sum": total, "_weight": weight}
    for observable in (*moments, *series):
        labels = observable.coordinates(topology)
        coordinates |= labels
        for suffix, values in measured[observable.name].items():
            units = {} if suffix else {"units": observable.units}
            moved = np.moveaxis(values[kept], 0, 1)
            variables[observable.name + suffix] = (("draw", "record", *labels), moved, units)
    settings = {
        "record_steps": engine.thermostat.record_steps,
        "equilibration": engine.warmup * engine.thermostat.record_steps,
        "capacity": int(ensemble.capacity),
        "dynamics": DYNAMICS[engine.thermostat.method]
        if engine.motions.bath is None
        else "generalized Langevin",
        # of the thermostat; with a memory there is no friction beside it
        "friction": engine.thermostat.friction or 0.0,
        "thermostat": engine.thermostat.method if engine.motions.bath is None else "memory",
    }
    if engine.recorder is not None:
        settings["trajectory_failure"] = engine.recorder.failure
    return xr.Dataset(variables, coords=coordinates, attrs=settings)


def _of_ensemble(
    ensemble: Ensemble, records: dict[str, NumpyArray], kept: slice, engine: Engine
) -> dict[str, Any]:
    """What only one ensemble has: volumes, or energies and their drift."""
    found: dict[str, Any] = {}
    if "volume" in records:
        cell = ensemble.walkers.cell
        assert cell is not None
        start = float(np.prod(np.asarray(engine.system.box)))
        about = {"units": "nm^3", "start": start, "smallest": SHRINKAGE**3 * start}
        found["volume"] = (("draw", "record"), records["volume"][kept].T, about)
        found["box"] = (("draw", "dim"), np.asarray(cell.box), {"units": "nm"})
        found["collapsed"] = ("draw", np.asarray(cell.collapsed))
    if "energy" in records:
        energy = records["energy"][kept].T
        beads = engine.system.topology.masses.shape[0]
        time = 1e-3 * engine.thermostat.timestep * engine.thermostat.record_steps * np.arange(energy.shape[1])
        centred = time - time.mean()
        slope = energy @ centred / max(float(centred @ centred), 1e-300) / beads
        found["total_energy"] = (("draw", "record"), energy, {"units": "kJ/mol"})
        about = {"units": "kJ/mol/ns", "per": "bead", "duration": float(time[-1])}
        found["energy_drift"] = ("draw", slope, about)
    return found


def status(records: dict[str, NumpyArray]) -> str:
    """Temperature and explosions of the last record, for the progress bar.

    Args:
        records: of the host loop, by name, (record, draw, ...).

    Example:
        >>> status({"temperature": np.full((1, 2), 300.0), "exploded": np.array([[-1, 8]])})
        '300 K, 1 draws exploded'
    """
    exploded = int((records["exploded"][-1] >= 0).sum())
    mean = np.nanmean(records["temperature"][-1]) if exploded < records["exploded"].shape[1] else np.nan
    return f"{mean:.0f} K" + (f", {exploded} draws exploded" if exploded else "")
