"""The schema of trajectories and its validation.

A trajectory is an xarray Dataset, of atoms as read or of beads as mapped:

| variable    | dims              | unit      | meaning                                                  |
|-------------|-------------------|-----------|----------------------------------------------------------|
| position    | frame, site, dim  | nm        | site is `atom` or `bead`                                 |
| velocity    | frame, site, dim  | nm/ps     | optional                                                 |
| force       | frame, site, dim  | kJ/mol/nm | optional; engines leave constraint forces out            |
| box         | frame, dim        | nm        | edges of a rectangular periodic cell; absent: open       |
| mass        | site              | amu       |                                                          |
| trajectory  | frame             |           | index of the run a frame comes from: breaks in time      |
| time        | frame             | ps        | coordinate                                               |
| molecule    | site              |           | index of the molecule                                    |
| bond        | bond, end         |           | optional; pairs of sites                                 |
| angle       | angle, corner     |           | optional; three beads in a row; derived where missing    |
| dihedral    | dihedral, place   |           | optional; four beads in a row; derived where missing     |
| name, residue_name, residue | atom |        | of atoms                                                 |
| constrained | bond              |           | of atoms: True where the bond is rigid                   |
| type        | bead              |           | of beads: name of the kind of bead                       |
| period      | dim               | as position | optional; of periodic collective variables             |

Attributes: temperature (K), source, source_hash; of beads also mapping, force_mapping and
excluded_bonds: beads up to so many bonds apart have no nonbonded energy, 2 where it is missing. Every
dimensional variable carries attrs["units"]. A collective variable is a bead: one bead, and any labels
along dim (then its units are its own, but must be named). Several state points are a list of Datasets
or a DataTree with one node each.
"""

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, finite, one_of, positive, require
from bayescg.data.connectivity import check_connectivity, connectivity
from bayescg.data.kinetic import warn_if_inconsistent
from bayescg.data.molecules import in_order
from bayescg.data.weighting import per_frame
from bayescg.interfaces import Topology
from bayescg.units import UNITS

Data = xr.Dataset | xr.DataTree | Iterable[Any]

CARTESIAN = ("x", "y", "z")
"""Labels along dim of positions in space; any others are collective variables."""

REMEDIES = {
    "position": "Read a trajectory that holds coordinates.",
    "velocity": "Write velocities (GROMACS nstvout; LAMMPS dump columns vx vy vz) and read TRR, H5MD or a "
    "dump.",
    "force": "Write forces (GROMACS nstfout; LAMMPS dump columns fx fy fz) and read TRR, H5MD or a dump, "
    "or fit a likelihood that needs none.",
    "box": "Add the variable box of dims (frame, dim): edge lengths in nm.",
    "mass": "Give a topology with masses, or set the variable mass, in amu.",
    "time": "Set the coordinate time, in ps; for LAMMPS dumps give timestep= to read_trajectory.",
    "temperature": "Give temperature= (K) to read_trajectory, or set attrs['temperature'].",
}
"""What to do about a missing quantity."""


def validate(dataset: xr.Dataset, *, needs: Iterable[str] = ("position", "temperature")) -> xr.Dataset:
    """Check a trajectory against the schema and return it in normal form.

    Normal form: dims in the order of the schema; beads have type, molecule and trajectory (one type
    "bead", one molecule each, one run, where they are missing). Numbers of lazy data are checked as
    they are read.

    Args:
        dataset: atoms or beads.
        needs: quantities that must be there: position, velocity, force, box, mass, time, temperature.
            With velocity the velocities are compared with the temperature.

    Returns:
        The Dataset in normal form.

    Raises:
        BayescgError: naming what is wrong, the rule and the remedy.

    Example:
        >>> import bayescg as bcg
        >>> beads = bcg.data.validate(bcg.data.water(frames=2), needs=("force", "temperature"))
        >>> dict(beads.sizes)["bead"]
        510
    """
    if not isinstance(dataset, xr.Dataset):
        raise BayescgError(
            f"data must be an xarray.Dataset, got {type(dataset).__name__}. "
            "Use what read_trajectory or a mapping returns."
        )
    needs = tuple(one_of("needs", name, REMEDIES) for name in needs)
    site = site_dimension(dataset)
    for name in ("position", *needs):
        there = name in dataset.attrs if name == "temperature" else name in dataset.variables
        require(there, f"{name} must be given, but the data hold none. {REMEDIES[name]}")
    if "temperature" in dataset.attrs:
        positive(
            "temperature", dataset.attrs["temperature"], unit="K", remedy="Give the temperature of the run."
        )
    dataset = _shaped(dataset, site)
    _check_units(dataset)
    _check_static(dataset)
    check_connectivity(dataset, site)
    dataset = _check_frames(dataset)
    if "velocity" in needs and "mass" in dataset and "temperature" in dataset.attrs:
        warn_if_inconsistent(dataset)
    return dataset


def topology(beads: xr.Dataset) -> Topology:
    """What does not change from frame to frame.

    Args:
        beads: a valid Dataset of beads.

    Returns:
        Types in order of first appearance, masses (amu; NaN where unknown), molecules, bonds, angles and
        dihedrals, and which beads are excluded from each other's neighbours.

    Example:
        >>> import bayescg as bcg
        >>> bcg.data.topology(bcg.data.water(frames=1)).type_names
        ('SOL',)
    """
    count = beads.sizes["bead"]
    names = beads["type"].to_numpy().astype(str) if "type" in beads else np.full(count, "bead")
    types = in_order(names)
    first = np.unique(types, return_index=True)[1]
    masses = beads["mass"].to_numpy() if "mass" in beads else np.full(count, np.nan)
    molecules = in_order(beads["molecule"].to_numpy()) if "molecule" in beads else np.arange(count)
    bonded = connectivity(beads)
    return Topology(
        types=jnp.asarray(types, dtype=jnp.int32),
        masses=jnp.asarray(masses, dtype=jnp.result_type(float)),
        molecules=jnp.asarray(molecules, dtype=jnp.int32),
        bonds=jnp.asarray(bonded.bonds, dtype=jnp.int32),
        type_names=tuple(str(name) for name in names[first]),
        angles=jnp.asarray(bonded.angles, dtype=jnp.int32),
        dihedrals=jnp.asarray(bonded.dihedrals, dtype=jnp.int32),
        excluded=jnp.asarray(bonded.excluded, dtype=jnp.int32),
    )


def state_points(data: Data) -> list[xr.Dataset]:
    """List the state points of data in any of its forms.

    Args:
        data: a Dataset, a DataTree with one node per state point, or several Datasets.

    Returns:
        One Dataset per state point, in order.

    Example:
        >>> import bayescg as bcg
        >>> len(bcg.data.state_points(bcg.data.water(frames=1)))
        1
    """
    if isinstance(data, xr.Dataset):
        return [data]
    if isinstance(data, xr.DataTree):
        points = [node.to_dataset() for node in data.subtree if "position" in node.data_vars]
    else:
        points = [point for part in data for point in state_points(part)]
    require(bool(points), "data must hold at least one state point, got none. Give a Dataset with positions.")
    return points


def site_dimension(dataset: xr.Dataset) -> str:
    """Return "bead" or "atom", whichever the Dataset has.

    Raises:
        BayescgError: it has neither.

    Example:
        >>> import bayescg as bcg
        >>> site_dimension(bcg.data.water(frames=1))
        'bead'
    """
    for site in ("bead", "atom"):
        if site in dataset.dims:
            return site
    dims = ", ".join(map(str, dataset.dims)) or "none"
    raise BayescgError(
        f"data must have the dimension bead or atom, got the dimensions {dims}. "
        "Use what read_trajectory or a mapping returns, or rename the dimensions."
    )


def _shaped(dataset: xr.Dataset, site: str) -> xr.Dataset:
    frame_wise = dict.fromkeys(("position", "velocity", "force"), ("frame", site, "dim"))
    expected = frame_wise | {
        "box": ("frame", "dim"),
        "mass": (site,),
        "type": (site,),
        "molecule": (site,),
        "trajectory": ("frame",),
        "time": ("frame",),
        "bond": ("bond", "end"),
        "angle": ("angle", "corner"),
        "dihedral": ("dihedral", "place"),
    }
    for name, dims in expected.items():
        if name not in dataset.variables:
            continue
        got = dataset[name].dims
        require(
            set(got) == set(dims),
            f"{name} must have the dimensions {dims}, got {got}. Rename or add dimensions to match.",
        )
    for dim, what in (("frame", "slice of frames"), (site, "selection"), ("dim", "dimension")):
        require(
            dataset.sizes[dim] > 0,
            f"data must hold at least one {dim}, got none: the {what} is empty. Widen it.",
        )
    dataset = dataset.transpose("frame", site, "dim", ..., missing_dims="ignore")
    if site == "bead":
        count = dataset.sizes["bead"]
        missing = {
            "type": ("bead", np.full(count, "bead")),
            "molecule": ("bead", np.arange(count)),
            "trajectory": ("frame", np.zeros(dataset.sizes["frame"], dtype=int)),
        }
        dataset = dataset.assign({k: v for k, v in missing.items() if k not in dataset.variables})
    return dataset


def _check_units(dataset: xr.Dataset) -> None:
    labels = dataset["dim"].to_numpy().astype(str) if "dim" in dataset.coords else CARTESIAN
    cartesian = set(labels) <= set(CARTESIAN)
    for name, unit in UNITS.items():
        if name not in dataset.variables:
            continue
        got = dataset[name].attrs.get("units")
        if not got or (cartesian and got != unit):
            wanted = unit if cartesian else "the unit it is in"
            raise BayescgError(
                f"{name}.attrs['units'] must be {wanted!r}, got {got!r}. "
                f"Convert the numbers where needed and set attrs['units'] of {name}."
            )


def _check_static(dataset: xr.Dataset) -> None:
    if "mass" in dataset:
        masses = dataset["mass"].to_numpy()
        bad = np.flatnonzero(~(np.isfinite(masses) & (masses > 0)))
        if bad.size:
            site = dataset["mass"].dims[0]
            raise BayescgError(
                f"mass must be positive, got {masses[bad[0]]} amu for {site} {bad[0]} ({bad.size} in all). "
                "Give a topology with masses or set the variable mass; leave massless sites out with "
                'selection="prop mass > 0".'
            )


def _check_frames(dataset: xr.Dataset) -> xr.Dataset:
    checked = {}
    for name in ("position", "velocity", "force", "box"):
        if name not in dataset:
            continue
        values = dataset[name]
        if values.chunks is None:
            finite(name, values.to_numpy(), remedy="Leave the frames out, or repair the file.")
        elif name != "box":
            lazy = per_frame(_Finite(name), values, sites=values.shape[1])
            checked[name] = values.copy(data=lazy)
    if "box" in dataset and dataset["box"].chunks is None:
        smallest = float(dataset["box"].min())
        positive("box", smallest, unit="nm", remedy="Drop the variable box for an open system.")
    return dataset.assign(checked) if checked else dataset


class _Finite:
    """Checks a chunk when it is read."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, values: np.ndarray) -> np.ndarray:
        finite(self.name, values, axis_name="frame of its chunk", remedy="Repair the file.")
        return values
