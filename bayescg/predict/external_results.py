"""From the records of single draws to one Dataset of block means (draw, record, ...)."""

from typing import Any

import numpy as np
import xarray as xr

from bayescg._typing import NumpyArray
from bayescg.interfaces import Topology
from bayescg.predict.draw_records import Recorder
from bayescg.predict.external import Plan
from bayescg.predict.measured_frames import Meter


def draw_result(
    recorder: Recorder, last: tuple[NumpyArray, NumpyArray | None], measure: Meter, failure: str
) -> xr.Dataset:
    """What is kept of one draw.

    Args:
        recorder: of the draw.
        last: positions in the box and edges, nm, of its last frame.
        measure: what is measured.
        failure: why it did not finish; empty where it did.
    """
    records, plan = recorder.records(), recorder.plan
    position, box = last
    exploded = -1 if recorder.exploded < 0 else plan.warmup_steps + recorder.exploded
    variables: dict[str, Any] = {
        "kinetic_temperature": ("record", records.temperature),
        "exploded_step": ((), exploded),
        "position": (("bead", "dim"), position),
    }
    if plan.ensemble == "NPT":
        variables |= {"volume": ("record", records.volume), "box": ("dim", box), "collapsed": ((), False)}
    for observable, mean in zip(measure.moments, records.means, strict=True):
        labels = observable.coordinates(measure.topology)
        variables[observable.name] = (("record", *labels), mean)
    for observable, total in zip(measure.series, records.totals, strict=True):
        labels = observable.coordinates(measure.topology)
        variables[f"{observable.name}_sum"] = (("record", *labels), total.sum)
        variables[f"{observable.name}_weight"] = (("record", *labels), total.weight)
    return xr.Dataset(variables, attrs={"failure": failure, "unsaved": ""})


def together(found: dict[int, xr.Dataset], measure: Meter, plan: Plan) -> xr.Dataset:
    """All draws, with names, labels and units, as `bayescg.dynamics.simulate_ensemble` gives them.

    Args:
        found: draw -> its result.
        measure: what is measured.
        plan: of the run.
    """
    run = xr.concat(list(found.values()), "draw", combine_attrs="drop")
    topology: Topology = measure.topology
    coordinates: dict[str, Any] = {}
    for observable in (*measure.moments, *measure.series):
        coordinates |= observable.coordinates(topology)
    for observable in measure.series:
        total, weight = (run[f"{observable.name}_{part}"] for part in ("sum", "weight"))
        run[observable.name] = (total / weight).where(weight > 0)
    units = {observable.name: observable.units for observable in (*measure.moments, *measure.series)}
    units |= {"kinetic_temperature": "K", "position": "nm", "volume": "nm^3", "box": "nm"}
    for name in units.keys() & run.data_vars.keys():
        run[name].attrs["units"] = units[name]
    if "volume" in run and plan.box is not None:
        run["volume"].attrs["start"] = float(np.prod(plan.box))
    nothing = np.zeros(len(found), dtype=int)
    return run.assign(
        stale_redone=("draw", nothing),
        overflow_redone=("draw", nothing),
        failure=("draw", np.array([found[draw].attrs["failure"] for draw in found], dtype=object)),
        unsaved=("draw", np.array([found[draw].attrs.get("unsaved", "") for draw in found], dtype=object)),
    ).assign_coords(coordinates)
