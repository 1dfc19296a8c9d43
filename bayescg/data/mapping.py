"""Mappings from atoms to beads.

A mapping is called on a Dataset of atoms and returns one of beads:

    x = M q    (molecules made whole across periodic boundaries first),    v = M dq/dt,    F = B f.

`CenterOfMass`, `CenterOfGeometry`, `Slice` and `Linear` choose M; their forces are sums over the atoms of
a bead. `AggregatedForces` and `OptimizedForces` wrap one of them and choose a better B; `Noised` adds
noise to the positions. What M and B must obey stands in `bayescg.data.linear_map`.
"""

from collections.abc import Iterator, Mapping, Sequence

import equinox as eqx
import numpy as np
import xarray as xr
from scipy.sparse import csr_array

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray
from bayescg.data.force_map import AggregatedForces, OptimizedForces
from bayescg.data.linear_map import ROUNDING, AbstractLinearMapping, LinearMap
from bayescg.data.noised import Noised
from bayescg.data.selection import select_atoms
from bayescg.data.weighting import Sparse

__all__ = [
    "AggregatedForces",
    "CenterOfGeometry",
    "CenterOfMass",
    "Linear",
    "Noised",
    "OptimizedForces",
    "Slice",
]

By = str | Mapping[str, Sequence[str | int]]

SUM_OF_FORCES = "sum of the forces on the atoms of each bead"


class CenterOfMass(AbstractLinearMapping):
    """One bead at the center of mass of every group of atoms.

    x = sum_i m_i q_i / sum_i m_i,   F = sum_i f_i,   bead mass sum_i m_i.

    Attributes:
        by: "residue", "molecule", or a dictionary from bead name to the atoms of that bead within each
            residue: names, or places counted from 0 where names repeat. Atoms in no bead are left out.

    Example:
        >>> import bayescg as bcg
        >>> atoms = bcg.data.synthetic.rigid_water(frames=2, molecules=8)
        >>> dict(CenterOfMass(by="residue")(atoms).sizes)
        {'frame': 2, 'bead': 8, 'dim': 3}
    """

    by: By = eqx.field(static=True, default="residue")

    def linear_map(self, atoms: xr.Dataset) -> LinearMap:
        """Weights m_i / sum m, forces weighted by 1."""
        beads, members, types = _groups(atoms, self.by)
        masses = atoms["mass"].to_numpy().astype(np.float64)[members]
        weights = masses / np.bincount(beads, masses)[beads]
        return _grouped(beads, members, weights, types, atoms, f"center of mass of each {_what(self.by)}")


class CenterOfGeometry(AbstractLinearMapping):
    """One bead at the mean position of every group of n atoms.

    x = sum_i q_i / n,   F = sum_i f_i,   1 / bead mass = sum_i 1 / (n² m_i).

    Attributes:
        by: as for `CenterOfMass`.

    Example:
        >>> import bayescg as bcg
        >>> atoms = bcg.data.synthetic.rigid_water(frames=2, molecules=8)
        >>> CenterOfGeometry(by={"W": ["OW", "HW1", "HW2"]})(atoms)["type"].to_numpy()[0].item()
        'W'
    """

    by: By = eqx.field(static=True, default="residue")

    def linear_map(self, atoms: xr.Dataset) -> LinearMap:
        """Weights 1/n, forces weighted by 1."""
        beads, members, types = _groups(atoms, self.by)
        weights = 1.0 / np.bincount(beads)[beads]
        return _grouped(beads, members, weights, types, atoms, f"center of geometry of each {_what(self.by)}")


class Slice(AbstractLinearMapping):
    """One bead at every selected atom: x_b = q_i, F_b = f_i.

    Where rigid bonds join the atom to others its force alone is biased, and the map is refused: wrap it,
    `AggregatedForces(Slice("name OW"))`.

    Attributes:
        selection: in MDAnalysis' language, such as `"name CA"`.

    Example:
        >>> import bayescg as bcg
        >>> atoms = bcg.data.synthetic.rigid_water(frames=2, molecules=8)
        >>> Slice("name OW")(atoms.drop_vars("force"))["type"].to_numpy()[0].item()
        'OW'
    """

    selection: str = eqx.field(static=True)

    def linear_map(self, atoms: xr.Dataset) -> LinearMap:
        """One weight of 1 per bead."""
        members = select_atoms(atoms, self.selection)
        beads = np.arange(len(members))
        types = atoms["name"].to_numpy().astype(str)[members]
        return _grouped(beads, members, np.ones(len(members)), types, atoms, f"slice of {self.selection!r}")


class Linear(AbstractLinearMapping):
    """Beads with weights of the user's own: x = M q, F = B f.

    Attributes:
        weights: M, shape (bead, atom); rows sum to one. Dense or a SciPy sparse array.
        force_weights: B of the same shape with B M' = 1; None sums the forces over the atoms of each bead.
        names: name of every bead's kind; None names all of them "bead".

    Example:
        >>> import bayescg as bcg, numpy as np
        >>> atoms = bcg.data.synthetic.rigid_water(frames=2, molecules=2)
        >>> middle = Linear(np.kron(np.eye(2), [[0.5, 0.25, 0.25]]))
        >>> dict(middle(atoms).sizes)
        {'frame': 2, 'bead': 2, 'dim': 3}
    """

    weights: NumpyArray | Sparse
    force_weights: NumpyArray | Sparse | None = None
    names: tuple[str, ...] | None = eqx.field(static=True, default=None, converter=lambda n: n and tuple(n))

    def linear_map(self, atoms: xr.Dataset) -> LinearMap:
        """The weights as given."""
        M = _matrix("weights", self.weights, atoms)
        sums = np.asarray(M.sum(axis=1))
        bad = np.flatnonzero(np.abs(sums - 1.0) > ROUNDING)
        if bad.size:
            raise BayescgError(
                f"weights must sum to one over the atoms of each bead, got {sums[bad[0]]:.6g} for bead "
                f"{bad[0]}. Divide every row by its sum."
            )
        if self.force_weights is None:
            B, sentence = (M != 0).astype(np.float64), SUM_OF_FORCES
        else:
            B, sentence = _matrix("force_weights", self.force_weights, atoms), "given force weights"
        require(
            B.shape == M.shape,
            f"force_weights must have the shape of weights {M.shape}, got {B.shape}. Give one row per bead.",
        )
        names = self.names or ("bead",) * M.shape[0]
        require(
            len(names) == M.shape[0],
            f"names must have one entry per bead, got {len(names)} for {M.shape[0]} beads. "
            "Repeat the name of a kind for each of its beads.",
        )
        return LinearMap(M, B, np.array(names), "given linear weights", sentence)


def _what(by: By) -> str:
    return by if isinstance(by, str) else "group of atoms (" + ", ".join(by) + ")"


def _matrix(name: str, weights: NumpyArray | Sparse, atoms: xr.Dataset) -> Sparse:
    matrix: Sparse = csr_array(weights, dtype=np.float64)
    matrix.eliminate_zeros()
    count = atoms.sizes["atom"]
    require(
        matrix.ndim == 2 and matrix.shape[1] == count,
        f"{name} must have the shape (bead, {count} atoms), got {matrix.shape}. Give one column per atom.",
    )
    require(
        bool(np.isfinite(matrix.data).all()),
        f"{name} must be finite, got NaN or infinity. Check how it was built.",
    )
    return matrix


def _grouped(
    beads: NumpyArray,
    members: NumpyArray,
    weights: NumpyArray,
    types: NumpyArray,
    atoms: xr.Dataset,
    what: str,
) -> LinearMap:
    shape = (len(types), atoms.sizes["atom"])
    M: Sparse = csr_array((weights, (beads, members)), shape=shape)
    B: Sparse = csr_array((np.ones(len(members)), (beads, members)), shape=shape)
    return LinearMap(M, B, types, what, SUM_OF_FORCES)


def _groups(atoms: xr.Dataset, by: By) -> tuple[NumpyArray, NumpyArray, NumpyArray]:
    """Bead and atom of every membership (ascending by bead), and the kind of every bead."""
    if isinstance(by, Mapping):
        return _named_groups(atoms, by)
    if by not in ("residue", "molecule") or by not in atoms:
        raise BayescgError(
            f"by must be 'residue', 'molecule' or a dictionary of bead names, and known of the atoms, "
            f"got {by!r}. Give a topology that names residues and bonds, or weights of your own with Linear."
        )
    labels = np.unique(atoms[by].to_numpy(), return_inverse=True)[1]
    members = np.argsort(labels, kind="stable")
    beads = labels[members]
    starts = np.flatnonzero(np.diff(beads, prepend=-1))
    names = atoms["residue_name"].to_numpy().astype(str)[members]
    residues = atoms["residue"].to_numpy()[members]
    if by == "residue":
        return beads, members, names[starts]
    new = np.flatnonzero((np.diff(residues, prepend=-1) != 0) | (np.diff(beads, prepend=-1) != 0))
    parts = np.split(names[new], np.searchsorted(new, starts[1:]))
    return beads, members, np.array(["-".join(part) for part in parts])


def _named_groups(
    atoms: xr.Dataset, by: Mapping[str, Sequence[str | int]]
) -> tuple[NumpyArray, NumpyArray, NumpyArray]:
    names, residues = atoms["name"].to_numpy().astype(str), atoms["residue"].to_numpy()
    residue_names = atoms["residue_name"].to_numpy().astype(str)
    order = np.argsort(residues, kind="stable")
    cuts = np.flatnonzero(np.diff(residues[order])) + 1
    patterns: dict[tuple[str, ...], list[tuple[str, NumpyArray]]] = {}
    beads, members, types = [], [], []
    for residue in np.split(order, cuts):
        pattern = (str(residue_names[residue[0]]), *names[residue])
        if pattern not in patterns:
            patterns[pattern] = list(_places(pattern, by))
        for bead, places in patterns[pattern]:
            beads.append(np.full(len(places), len(types)))
            members.append(residue[places])
            types.append(bead)
    if not types:
        raise BayescgError(
            f"by must name atoms that exist, got {dict(by)}, of which there are none. "
            f"The atom names are: {', '.join(np.unique(names)[:12])}."
        )
    return np.concatenate(beads), np.concatenate(members), np.array(types)


def _places(
    pattern: tuple[str, ...], by: Mapping[str, Sequence[str | int]]
) -> Iterator[tuple[str, NumpyArray]]:
    """Beads of one kind of residue and the places of their atoms in it."""
    residue_name, names = pattern[0], np.array(pattern[1:])
    for bead, wanted in by.items():
        found = [
            [item]
            if isinstance(item, int | np.integer) and item < len(names)
            else np.flatnonzero(names == item)
            for item in wanted
        ]
        lost = [item for item, places in zip(wanted, found, strict=True) if not len(places)]
        if not found or len(lost) == len(found):
            continue
        if lost:
            raise BayescgError(
                f"by[{bead!r}] must name atoms of one residue, got {', '.join(map(repr, lost))}, which "
                f"residue {residue_name} lacks; its atoms are {', '.join(names[:12])}. Correct the names, or "
                "leave other residues out with selection=."
            )
        places = np.concatenate(found).astype(np.int64)
        require(
            len(np.unique(places)) == len(places),
            f"by[{bead!r}] must name every atom once, got an atom twice in residue {residue_name}. "
            "Use places instead of names where names repeat.",
        )
        yield bead, places
