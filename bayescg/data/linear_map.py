"""Linear maps from atoms to beads: the matrices, what they must obey, and applying them.

    x = M q,   v = M dq/dt,   F = B f.

F averages to the mean force of the potential of mean force if (Ciccotti et al. 2005)

    B M' = 1                          moving one bead moves no other,
    B even over every rigid group     engines leave constraint forces out of f; equal weights within a
                                      group make them cancel.

A map that breaks either is refused. The mass of a bead is the one its velocity shows,
1 / m_bead = sum_i M_i² / m_i: the total mass for a center of mass, the atom's for a slice.

References:
    Ciccotti, Kapral, Vanden-Eijnden (2005), doi:10.1002/cphc.200400669.
    Noid et al. (2008), doi:10.1063/1.2938860.
"""

import abc
from typing import Any

import equinox as eqx
import numpy as np
import xarray as xr
from scipy.sparse import csr_array, diags_array, eye_array

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray
from bayescg.data.connectivity import with_angles
from bayescg.data.constraints import rigid_groups
from bayescg.data.dataset import validate
from bayescg.data.molecules import bridges, components, in_order, make_whole, refuse_wide, walk
from bayescg.data.weighting import Sparse, per_frame, weighted_sums
from bayescg.interfaces import AbstractMapping
from bayescg.units import UNITS

ROUNDING = 1e-6
"""Allowed deviation of weights from the rules: rounding of masses given to six or more digits."""


class LinearMap(eqx.Module):
    """The matrices of a linear map of particular atoms.

    Attributes:
        positions: M, shape (bead, atom); rows sum to one.
        forces: B, shape (bead, atom).
        types: name of every bead's kind.
        description: a sentence on M.
        force_description: a sentence on B.
    """

    positions: Sparse
    forces: Sparse
    types: NumpyArray
    description: str
    force_description: str


class AbstractLinearMapping(AbstractMapping):
    """A mapping whose beads are linear in the atoms."""

    @abc.abstractmethod
    def linear_map(self, atoms: xr.Dataset) -> LinearMap:
        """The matrices for these atoms."""

    def __call__(self, atoms: xr.Dataset) -> xr.Dataset:
        """Map atoms to beads; molecules are made whole first.

        Args:
            atoms: a Dataset of atoms.

        Returns:
            Dataset of beads, lazy where the atoms are.

        Raises:
            BayescgError: the atoms break the schema, or the force map is biased.
        """
        atoms = check_atoms(atoms)
        matrices = self.linear_map(atoms)
        if "force" in atoms:
            check_force_map(matrices, atoms)
        return apply(matrices, atoms)


def check_atoms(atoms: xr.Dataset) -> xr.Dataset:
    """Return atoms in normal form, or raise if they are no valid atoms."""
    atoms = validate(atoms, needs=("position", "mass"))
    require(
        "atom" in atoms.dims,
        "atoms must have the dimension atom, got beads, which are mapped already. "
        "Use them as they are, or map the atoms in another way.",
    )
    return atoms


def apply(matrices: LinearMap, atoms: xr.Dataset) -> xr.Dataset:
    """Map positions, velocities and forces."""
    M, B = matrices.positions, matrices.forces
    owner = M.indices[M.indptr[:-1]]  # any atom of the bead: its molecule is the bead's
    molecules = in_order(_molecules(atoms)[owner])
    mass = 1.0 / ((M**2) @ (1.0 / atoms["mass"].to_numpy().astype(np.float64)))
    variables = {"position": _frame_wise("position", _whole_positions(M, atoms))}
    if "velocity" in atoms:
        values = per_frame(_Sums(M), atoms["velocity"], sites=M.shape[0])
        variables["velocity"] = _frame_wise("velocity", values)
    if "force" in atoms:
        values = per_frame(_Sums(B), atoms["force"], sites=M.shape[0])
        variables["force"] = _frame_wise("force", values)
    variables["mass"] = xr.DataArray(mass, dims="bead", attrs={"units": UNITS["mass"]})
    variables["type"] = xr.DataArray(matrices.types.astype(str), dims="bead")
    variables["molecule"] = xr.DataArray(molecules, dims="bead")
    bonds = _bead_bonds(M, atoms)
    if len(bonds):
        variables["bond"] = xr.DataArray(bonds, dims=("bond", "end"))
    kept = atoms[[name for name in ("box", "trajectory", "time") if name in atoms.variables]]
    attrs = {
        name: atoms.attrs[name] for name in ("temperature", "source", "source_hash") if name in atoms.attrs
    }
    attrs["mapping"] = matrices.description
    if "force" in atoms:
        attrs["force_mapping"] = matrices.force_description
    beads = xr.Dataset(variables).merge(
        kept.drop_vars([name for name in kept.coords if name not in ("time", "dim")])
    )
    return with_angles(beads.assign_attrs(attrs))


def check_force_map(matrices: LinearMap, atoms: xr.Dataset) -> None:
    """Raise if the mapped forces would not average to the mean force.

    Raises:
        BayescgError: B M' is not the identity, or B is uneven over a rigid group.
    """
    M, B = matrices.positions, matrices.forces
    worst, bead, _ = _largest(B @ M.T - eye_array(M.shape[0]))
    require(
        worst <= ROUNDING,
        f"force weights B and position weights M must satisfy B M' = 1, got a deviation of {worst:.3g} at "
        f"bead {bead} ({matrices.types[bead]}). Weight the forces on all atoms of a bead by 1 and let no two "
        "beads share an atom, or wrap the map: bayescg.mapping.OptimizedForces(...).",
    )
    groups = rigid_atoms(atoms)
    member = csr_array((np.ones(len(groups)), (groups, np.arange(len(groups)))))
    mean = (B @ member.T) @ diags_array(1.0 / np.bincount(groups)) @ member
    worst, bead, atom = _largest(B - mean)
    if worst <= ROUNDING * max(1.0, float(abs(B).max())):
        return
    names = atoms["name"].to_numpy().astype(str)
    listed = (f"{names[i]} {B[bead, i]:.3g}" for i in np.flatnonzero(groups == groups[atom])[:6])
    raise BayescgError(
        f"force weights must be equal over atoms that rigid bonds join, got {', '.join(listed)} in bead "
        f"{bead} ({matrices.types[bead]}). Engines leave constraint forces out, so these forces would "
        "be biased. Wrap the map: bayescg.mapping.AggregatedForces(...) sums the forces of the whole rigid "
        "group, OptimizedForces(...) also lowers their noise; for positions alone drop the forces with "
        'atoms.drop_vars("force").'
    )


def rigid_atoms(atoms: xr.Dataset) -> NumpyArray:
    """Rigid group of every atom; all atoms stand alone where nothing is known to be rigid."""
    count = atoms.sizes["atom"]
    if "bond" not in atoms or "constrained" not in atoms:
        return np.arange(count)
    return rigid_groups(count, atoms["bond"].to_numpy(), atoms["constrained"].to_numpy().astype(bool))


class _Sums:
    """W applied to every frame."""

    def __init__(self, weights: Sparse) -> None:
        self.weights = weights

    def __call__(self, values: NumpyArray) -> NumpyArray:
        return weighted_sums(self.weights, values)


class _WholeSums:
    """M applied to every frame after molecules are made whole."""

    def __init__(self, weights: Sparse, bonds: NumpyArray) -> None:
        count = weights.shape[1]
        sizes = np.diff(weights.indptr)
        groups, members = np.repeat(np.arange(len(sizes)), sizes), weights.indices
        links = bridges(groups, members, components(count, bonds))
        self.weights = weights
        self.path = walk(count, np.concatenate([bonds, links]))
        loose = np.isin(groups, groups[np.isin(members, links)]) if len(links) else np.zeros(0, dtype=int)
        self.groups, self.members = (groups[loose], members[loose]) if len(links) else (loose, loose)

    def __call__(self, positions: NumpyArray, box: NumpyArray) -> NumpyArray:
        whole = make_whole(positions, box[:, 0], self.path)
        if len(self.groups):
            refuse_wide(whole, box[:, 0], self.groups, self.members)
        return weighted_sums(self.weights, whole)


def _whole_positions(M: Sparse, atoms: xr.Dataset) -> Any:
    if "box" not in atoms:
        return per_frame(_Sums(M), atoms["position"], sites=M.shape[0])
    bonds = atoms["bond"].to_numpy() if "bond" in atoms else np.zeros((0, 2), dtype=np.int64)
    return per_frame(_WholeSums(M, bonds), atoms["position"], atoms["box"], sites=M.shape[0])


def _molecules(atoms: xr.Dataset) -> NumpyArray:
    for name in ("molecule", "residue"):
        if name in atoms:
            return atoms[name].to_numpy()
    return np.arange(atoms.sizes["atom"])


def _bead_bonds(M: Sparse, atoms: xr.Dataset) -> NumpyArray:
    """Beads are bonded if a bond joins their atoms; atoms of no bead count to the nearest along bonds."""
    if "bond" not in atoms:
        return np.zeros((0, 2), dtype=np.int64)
    bonds = atoms["bond"].to_numpy()
    owner = np.full(M.shape[1], -1)
    owner[M.indices] = np.repeat(np.arange(M.shape[0]), np.diff(M.indptr))
    while True:
        ends = owner[bonds]
        forward, backward = (ends[:, 0] >= 0) & (ends[:, 1] < 0), (ends[:, 1] >= 0) & (ends[:, 0] < 0)
        if not (forward | backward).any():
            break
        owner[bonds[forward, 1]] = ends[forward, 0]
        owner[bonds[backward, 0]] = ends[backward, 1]
    ends = np.sort(owner[bonds], axis=1)
    return np.unique(ends[(ends[:, 0] >= 0) & (ends[:, 0] != ends[:, 1])], axis=0)


def _frame_wise(name: str, values: Any) -> xr.DataArray:
    return xr.DataArray(values, dims=("frame", "bead", "dim"), attrs={"units": UNITS[name]})


def _largest(matrix: Sparse) -> tuple[float, int, int]:
    """Largest absolute entry of a sparse matrix and where it stands."""
    entries = abs(matrix).tocoo()
    if not entries.nnz:
        return 0.0, 0, 0
    at = int(np.argmax(entries.data))
    return float(entries.data[at]), int(entries.coords[0][at]), int(entries.coords[1][at])
