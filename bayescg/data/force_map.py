"""Better force maps B for the same beads.

Any B with B M' = 1 that is even over rigid groups gives unbiased forces (`bayescg.data.linear_map`), but
their noise differs. Write the sums over rigid groups as g = E f, so that B = C E is even by construction.

`AggregatedForces` takes for each bead the groups its atoms stand in, with weight 1.

`OptimizedForces` takes, within each kind of molecule, the C that minimizes

    < |C g|² >   subject to   C A = 1,   A = E M',

pooled over molecules and frames: one row c for every bead, solved from

    [ S  A ] [ c' ]   [ 0 ]
    [ A' 0 ] [ l  ] = [ e ],      S = < g g' >.

References:
    Krämer, Durumeric, Charron, Chen, Clementi, Noé (2023), doi:10.1021/acs.jpclett.3c00444.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from scipy.sparse import csr_array

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray
from bayescg.data.linear_map import ROUNDING, AbstractLinearMapping, LinearMap, rigid_atoms
from bayescg.data.weighting import Sparse, frame_blocks, weighted_sums

SAMPLES_PER_WEIGHT = 10
"""Force samples asked for every weight that is optimized: overfitting then lowers the noise by under 10%."""


class AggregatedForces(AbstractLinearMapping):
    """Sum the forces of the whole rigid group of every mapped atom.

    F = sum of f over all rigid groups in which the bead has an atom.

    Attributes:
        base: the map of the positions.

    Example:
        >>> import bayescg as bcg
        >>> atoms = bcg.data.synthetic.rigid_water(frames=2, molecules=8)
        >>> oxygen = AggregatedForces(bcg.mapping.Slice("name OW"))
        >>> oxygen(atoms).attrs["force_mapping"]
        'sum of the forces on the rigid groups of each bead'
    """

    base: AbstractLinearMapping

    def linear_map(self, atoms: xr.Dataset) -> LinearMap:
        """The base's positions with whole rigid groups as force weights."""
        matrices = self.base.linear_map(atoms)
        E = group_sums(rigid_atoms(atoms))
        touched = (matrices.positions != 0).astype(np.float64) @ E.T
        B = ((touched != 0).astype(np.float64) @ E).tocsr()
        shared = np.flatnonzero(np.asarray((touched != 0).sum(axis=0)) > 1)
        if shared.size:
            names = atoms["name"].to_numpy().astype(str)[E[[shared[0]]].indices]
            raise BayescgError(
                "beads must not share a rigid group, got several beads with atoms of the group "
                f"{'-'.join(names[:6])}. Map the atoms of a rigid group to one bead, such as its center of "
                "mass."
            )
        sentence = "sum of the forces on the rigid groups of each bead"
        return LinearMap(matrices.positions, B, matrices.types, matrices.description, sentence)


class OptimizedForces(AbstractLinearMapping):
    """Weight the forces of a bead's molecule for the least noise that leaves their mean unchanged.

    min_B < |B f|² >   subject to   B M' = 1 and B even over rigid groups.

    Statistics are pooled over the molecules of one kind. Needs forces; passes over lazy data once.

    Attributes:
        base: the map of the positions.

    Example:
        >>> import bayescg as bcg
        >>> atoms = bcg.data.synthetic.rigid_water(frames=2, molecules=64)
        >>> oxygen = OptimizedForces(bcg.mapping.Slice("name OW"))
        >>> oxygen(atoms).attrs["force_mapping"]
        'optimized linear force map'
    """

    base: AbstractLinearMapping

    def linear_map(self, atoms: xr.Dataset) -> LinearMap:
        """The base's positions with the optimized force weights."""
        require(
            "force" in atoms,
            "force must be given to optimize a force map, but the atoms hold none. "
            "Read a trajectory with forces, or use the base map for positions alone.",
        )
        matrices = self.base.linear_map(atoms)
        groups = rigid_atoms(atoms)
        E = group_sums(groups)
        A = (E @ matrices.positions.T).tocsr()
        kinds = list(_kinds_of_molecules(atoms, groups, A))
        moments = _second_moments(atoms["force"], E, [members for members, _ in kinds])
        rows, columns, weights = [], [], []
        for (members, beads), S in zip(kinds, moments, strict=True):
            local = A[members[0]][:, beads[0]].toarray()
            samples = 3 * atoms.sizes["frame"] * len(members)
            C = _least_noise(S, local, samples=samples, types=matrices.types[beads[0]])
            rows.append(np.repeat(beads[:, :, None], members.shape[1], axis=2).ravel())
            columns.append(np.repeat(members[:, None, :], beads.shape[1], axis=1).ravel())
            weights.append(np.tile(C.ravel(), len(members)))
        shape = (matrices.positions.shape[0], E.shape[0])
        C: Sparse = csr_array(
            (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=shape
        )
        B = (C @ E).tocsr()
        return LinearMap(
            matrices.positions, B, matrices.types, matrices.description, "optimized linear force map"
        )


def group_sums(groups: NumpyArray) -> Sparse:
    """The matrix E that sums over rigid groups.

    Example:
        >>> import numpy as np
        >>> group_sums(np.array([0, 0, 1])).toarray().tolist()
        [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    return csr_array((np.ones(len(groups)), (groups, np.arange(len(groups)))))


def _least_noise(S: NumpyArray, A: NumpyArray, *, samples: int, types: NumpyArray) -> NumpyArray:
    """Solve for the rows of C."""
    groups, beads = A.shape
    named = ", ".join(map(str, types[:6]))
    require(
        np.linalg.matrix_rank(A) == beads,
        f"beads must not share a rigid group, got the beads {named} on {groups} group(s). "
        "Map the atoms of a rigid group to one bead, such as its center of mass.",
    )
    free = groups - beads
    require(
        samples >= SAMPLES_PER_WEIGHT * free,
        f"force must be sampled {SAMPLES_PER_WEIGHT} times per free weight, got {samples} samples for {free} "
        f"weights of the beads {named}. Read more frames, or use AggregatedForces.",
    )
    scale = np.trace(S) / groups or 1.0
    system = np.block([[S / scale, A], [A.T, np.zeros((beads, beads))]])
    wanted = np.concatenate([np.zeros((groups, beads)), np.eye(beads)])
    return np.linalg.lstsq(system, wanted)[0][:groups].T


def _kinds_of_molecules(
    atoms: xr.Dataset, groups: NumpyArray, A: Sparse
) -> Iterator[tuple[NumpyArray, NumpyArray]]:
    """Rigid groups (molecule, group) and beads (molecule, bead) of every kind of molecule.

    Molecules are of one kind if their atoms' names and groups and their beads' weights agree in order.
    """
    names = np.unique(atoms["name"].to_numpy().astype(str), return_inverse=True)[1]
    molecules = np.unique(_by_molecule(atoms), return_inverse=True)[1]
    order = np.argsort(molecules, kind="stable")
    kinds: dict[bytes, list[tuple[NumpyArray, NumpyArray]]] = {}
    for members in np.split(order, np.flatnonzero(np.diff(molecules[order])) + 1):
        mine, local = np.unique(groups[members], return_inverse=True)
        block = A[mine]
        beads, place = np.unique(block.indices, return_inverse=True)
        if not len(beads):
            continue
        weights = np.round(block.data / ROUNDING).astype(np.int64)
        key = b"|".join(part.tobytes() for part in (names[members], local, block.indptr, place, weights))
        kinds.setdefault(key, []).append((mine, beads))
    for alike in kinds.values():
        yield np.stack([mine for mine, _ in alike]), np.stack([beads for _, beads in alike])


def _by_molecule(atoms: xr.Dataset) -> NumpyArray:
    return atoms["molecule" if "molecule" in atoms else "residue"].to_numpy()


def _second_moments(force: xr.DataArray, E: Sparse, kinds: list[NumpyArray]) -> list[NumpyArray]:
    """S = <g g'> for every kind, over frames, molecules and directions."""
    moments = [np.zeros((members.shape[1],) * 2) for members in kinds]
    for block in frame_blocks(force):
        sums = weighted_sums(E, block.astype(np.float64))
        for S, members in zip(moments, kinds, strict=True):
            rows = sums[:, members].transpose(0, 1, 3, 2).reshape(-1, members.shape[1])
            S += rows.T @ rows
    counts = [3 * force.sizes["frame"] * len(members) for members in kinds]
    return [S / count for S, count in zip(moments, counts, strict=True)]
