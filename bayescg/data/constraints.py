"""Rigid bonds, found from the data.

Engines report forces without the constraint forces, so a force map must treat the atoms of a rigid
group alike (`bayescg.data.force_map`). Topologies seldom say which bonds an engine held rigid, but
the frames do: a flexible bond of stiffness k fluctuates by sqrt(k_B T / k), 0.002-0.003 nm for the
stiffest bonds to hydrogen at 300 K, a rigid one only by the solver's tolerance and the rounding of
the file. A kind of bond (same residue name, same atom names) is rigid if every bond of the kind has

    sd over frames of |x_i - x_j|  <=  1e-3 <|x_i - x_j|>  +  precision of the file.
"""

import numpy as np
import xarray as xr
from scipy.spatial import KDTree

from bayescg._typing import NumpyArray
from bayescg.data.molecules import components

SOLVER_TOLERANCE = 1e-3
"""Relative length error allowed to SHAKE or LINCS (1e-4 at usual settings), 20 times below flexible bonds."""

SAMPLED_FRAMES = 20
"""Frames looked at: enough that no flexible kind of bond looks rigid by chance."""

ALIKE = 10
"""Bonds of one kind needed to tell rigid from flexible in a single frame."""

CONTACT = 0.2
"""Two atoms of a residue closer than this (nm) may be joined rigidly where the topology has no bonds."""


def bond_lengths(positions: NumpyArray, box: NumpyArray | None, pairs: NumpyArray) -> NumpyArray:
    """Distances of pairs of atoms to the nearest image.

    Args:
        positions: nm, shape (frame, atom, dim).
        box: edge lengths, nm, shape (frame, dim); None for an open system.
        pairs: of atoms, shape (pair, 2).

    Returns:
        nm, shape (frame, pair), float64.

    Example:
        >>> import numpy as np
        >>> x, box = np.array([[[0.1], [1.9]]]), np.array([[2.0]])
        >>> bond_lengths(x, box, np.array([[0, 1]])).round(3).tolist()
        [[0.2]]
    """
    vectors = positions[:, pairs[:, 0]].astype(np.float64) - positions[:, pairs[:, 1]]
    if box is not None:
        vectors -= box[:, None] * np.round(vectors / box[:, None])
    return np.sqrt(np.sum(vectors**2, axis=-1))


def rigid_pairs(
    positions: NumpyArray, box: NumpyArray | None, pairs: NumpyArray, *, kinds: NumpyArray, precision: float
) -> NumpyArray:
    """Tell which pairs of atoms keep their distance.

    Args:
        positions: some frames, nm, shape (frame, atom, dim).
        box: edge lengths, nm, shape (frame, dim); None for an open system.
        pairs: of atoms, shape (pair, 2).
        kinds: label of every pair; pairs of one kind are rigid together or not at all.
        precision: of the positions in the file, nm.

    Returns:
        True for every rigid pair. With one frame the spread over ten or more alike pairs decides, and
        fewer are taken for flexible.

    Example:
        >>> import numpy as np
        >>> x = np.array([[[0.0], [0.1], [0.21]], [[1.0], [1.1], [1.2]]])
        >>> pairs = np.array([[0, 1], [1, 2]])
        >>> rigid_pairs(x, None, pairs, kinds=np.array([0, 1]), precision=1e-6).tolist()
        [True, False]
    """
    if not len(pairs):
        return np.zeros(0, dtype=bool)
    lengths = bond_lengths(positions, box, pairs)
    count = np.bincount(kinds)
    if len(lengths) > 1:
        spread, mean = lengths.std(axis=0, ddof=1), lengths.mean(axis=0)
    else:
        mean = (np.bincount(kinds, lengths[0]) / count)[kinds]
        variance = np.bincount(kinds, (lengths[0] - mean) ** 2) / count
        spread = np.where(count < ALIKE, np.inf, np.sqrt(variance))[kinds]
    still = spread <= SOLVER_TOLERANCE * mean + precision
    return (np.bincount(kinds, still) == count)[kinds]


def contacts(positions: NumpyArray, box: NumpyArray | None, residues: NumpyArray) -> NumpyArray:
    """Pairs of atoms of one residue that could be joined, for topologies without bonds.

    Args:
        positions: one frame, nm, shape (atom, dim).
        box: edge lengths, nm; None for an open system.
        residues: residue of every atom.

    Returns:
        Pairs of atoms, shape (pair, 2).

    Example:
        >>> import numpy as np
        >>> contacts(np.array([[0.0], [0.1], [0.9]]), None, np.zeros(3, dtype=int)).tolist()
        [[0, 1]]
    """
    points = positions.astype(np.float64)
    if box is not None:
        points = np.mod(points, box)
        points[points >= box] = 0.0  # mod may round up to the edge itself
    pairs = KDTree(points, boxsize=box).query_pairs(CONTACT, output_type="ndarray")
    pairs = pairs[residues[pairs[:, 0]] == residues[pairs[:, 1]]]
    return np.sort(pairs, axis=1)[np.lexsort((pairs.max(axis=1), pairs.min(axis=1)))].astype(np.int64)


def kinds_of_pairs(names: NumpyArray, residue_names: NumpyArray, pairs: NumpyArray) -> NumpyArray:
    """Label pairs of atoms by residue name and the two atom names, whatever their order.

    Example:
        >>> import numpy as np
        >>> names, residues = np.array(["O", "H", "H"]), np.array(["W", "W", "W"])
        >>> kinds_of_pairs(names, residues, np.array([[0, 1], [2, 0], [1, 2]])).tolist()
        [1, 1, 0]
    """
    name = np.unique(names, return_inverse=True)[1]
    residue = np.unique(residue_names, return_inverse=True)[1]
    ends = np.sort(name[pairs], axis=1)
    key = (residue[pairs[:, 0]] * (name.max() + 1) + ends[:, 0]) * (name.max() + 1) + ends[:, 1]
    return np.unique(key, return_inverse=True)[1]


def rigid_groups(count: int, bonds: NumpyArray, constrained: NumpyArray) -> NumpyArray:
    """Label atoms by the rigid group they belong to; free atoms stand alone.

    Groups are the parts connected by rigid bonds: two rigid O-H bonds make one group of all three
    atoms of a water, whether or not the H-H distance is listed.

    Example:
        >>> import numpy as np
        >>> bonds, constrained = np.array([[0, 1], [0, 2], [2, 3]]), np.array([True, True, False])
        >>> rigid_groups(4, bonds, constrained).tolist()
        [0, 0, 0, 1]
    """
    return components(count, bonds[constrained])


def mark_rigid(
    atoms: xr.Dataset, positions: NumpyArray, box: NumpyArray | None, *, precision: float
) -> xr.Dataset:
    """Mark rigid bonds; where the topology has no bonds, rigid contacts within residues become bonds.

    Args:
        atoms: name, residue_name, residue and, where known, bond.
        positions: some frames, nm, shape (frame, atom, dim).
        box: edge lengths, nm, shape (frame, dim); None for an open system.
        precision: of the positions in the file, nm.

    Returns:
        The atoms with bond and constrained, where there are bonds.
    """
    names, residue_names = atoms["name"].to_numpy(), atoms["residue_name"].to_numpy()
    bonded = "bond" in atoms
    if bonded:
        pairs = atoms["bond"].to_numpy()
    else:
        pairs = contacts(positions[0], None if box is None else box[0], atoms["residue"].to_numpy())
    kinds = kinds_of_pairs(names, residue_names, pairs)
    rigid = rigid_pairs(positions, box, pairs, kinds=kinds, precision=precision)
    if not bonded:
        pairs, rigid = pairs[rigid], rigid[rigid]
        if not len(pairs):
            return atoms
    return atoms.assign(bond=(("bond", "end"), pairs), constrained=("bond", rigid))
