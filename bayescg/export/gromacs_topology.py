"""A topology as GROMACS reads it: topol.top, start.gro, and index.ndx with a group for every bead type.

Every bead has C6 = 1 and C12 = 0, so that its nonbonded energy is column g of the table. Exclusions are
listed one by one (nrexcl = 0). Molecules that are alike share a moleculetype; where beads of a molecule do
not stand together, or bonds join molecules, the whole system is one.
"""

from typing import NamedTuple

import numpy as np

from bayescg._typing import Float, NumpyArray
from bayescg.export.curves import CHAINS
from bayescg.export.gromacs_tables import ChainTable
from bayescg.export.openmm_pairs import excluded_pairs
from bayescg.interfaces import Topology

TABULATED = 8
"""GROMACS's function type of tabulated bonds, angles and dihedrals."""

DIRECTIVES = {"bond": "bonds", "angle": "angles", "dihedral": "dihedrals"}


class Molecule(NamedTuple):
    """Beads of one molecule, as numbers that do not depend on where it stands.

    Attributes:
        beads: type and mass of every bead.
        chains: members, from zero, and number of the table, of every bond, angle and dihedral that has one.
        excluded: pairs of beads.
    """

    beads: tuple[tuple[str, float], ...]
    chains: tuple[tuple[str, tuple[int, ...], int], ...]
    excluded: tuple[tuple[int, int], ...]


def topology_file(topology: Topology, tables: list[ChainTable]) -> str:
    """Text of topol.top.

    Args:
        topology: types, masses, chains, exclusions.
        tables: from `chain_tables`.

    Example:
        >>> import bayescg as bcg
        >>> text = topology_file(bcg.data.topology(bcg.data.water(frames=1)), [])
        >>> text.splitlines()[-1].split()
        ['M1', '510']
    """
    lines = ["[ defaults ]", "; nbfunc comb-rule gen-pairs", "1 1 no", ""]
    lines += ["[ atomtypes ]", "; name mass charge ptype C6 C12"]
    masses = np.asarray(topology.masses, float)
    types = np.asarray(topology.types)
    for kind, name in enumerate(topology.type_names):
        mass = masses[types == kind][0] if (types == kind).any() else 0.0
        lines.append(f"{name} {mass:.8g} 0.0 A 1.0 0.0")
    molecules = _molecules(topology, tables)
    names = {molecule: f"M{number}" for number, molecule in enumerate(dict.fromkeys(molecules), 1)}
    for molecule, name in names.items():
        lines += ["", *_molecule_lines(molecule, name)]
    lines += ["", "[ system ]", "coarse-grained beads", "", "[ molecules ]"]
    first = 0
    for place in range(1, len(molecules) + 1):
        if place == len(molecules) or molecules[place] != molecules[first]:
            lines.append(f"{names[molecules[first]]} {place - first}")
            first = place
    return "\n".join([*lines, ""])


def structure_file(
    positions: Float[NumpyArray, "bead dim"], box: Float[NumpyArray, " dim"], topology: Topology
) -> str:
    """Text of start.gro, with six decimals.

    Args:
        positions: nm.
        box: edge lengths, nm.
        topology: types and molecules.

    Example:
        >>> import bayescg as bcg
        >>> water = bcg.data.topology(bcg.data.water(frames=1))
        >>> structure_file(np.zeros((510, 3)), np.ones(3), water).splitlines()[2]
        '    1M      SOL    1   0.000000   0.000000   0.000000'
    """
    lines = ["coarse-grained beads", str(len(positions))]
    molecules, types = np.asarray(topology.molecules).tolist(), np.asarray(topology.types).tolist()
    for bead, row in enumerate(np.asarray(positions, float).tolist()):
        number, name = (molecules[bead] + 1) % 100_000, topology.type_names[types[bead]][:5]
        places = "".join(f"{x:11.6f}" for x in row)
        lines.append(f"{number:5d}{'M':<5s}{name:>5s}{(bead + 1) % 100_000:5d}{places}")
    return "\n".join([*lines, " ".join(f"{edge:.6f}" for edge in np.asarray(box).tolist()), ""])


def index_file(topology: Topology) -> str:
    """Text of index.ndx: all beads, and those of every type.

    Args:
        topology: types.

    Example:
        >>> import bayescg as bcg
        >>> index_file(bcg.data.topology(bcg.data.water(frames=1))).splitlines()[0]
        '[ System ]'
    """
    types = np.asarray(topology.types)
    groups = {"System": np.arange(len(types))}
    groups |= {name: np.flatnonzero(types == kind) for kind, name in enumerate(topology.type_names)}
    lines = []
    for name, beads in groups.items():
        numbers = [str(bead + 1) for bead in beads.tolist()]
        lines += [f"[ {name} ]"] + [" ".join(numbers[i : i + 15]) for i in range(0, len(numbers), 15)]
    return "\n".join([*lines, ""])


def _molecules(topology: Topology, tables: list[ChainTable]) -> list[Molecule]:
    """The molecules in the order of the beads."""
    owner = np.asarray(topology.molecules)
    chains = _chains(topology, tables)
    excluded = excluded_pairs(topology)
    joined = [*(members for _, members, _ in chains), *excluded]
    starts = np.flatnonzero(np.diff(owner, prepend=owner[0] - 1))
    apart = len(starts) == len(np.unique(owner)) and all(
        len(set(owner[list(m)].tolist())) == 1 for m in joined
    )
    if not apart:
        owner, starts = np.zeros_like(owner), np.zeros(1, int)
    place = np.searchsorted(starts, np.arange(len(owner)), side="right") - 1
    found = [([], [], []) for _ in starts]
    masses, types = np.asarray(topology.masses, float).tolist(), np.asarray(topology.types).tolist()
    for bead, own in enumerate(place.tolist()):
        found[own][0].append((topology.type_names[types[bead]], masses[bead]))
    for name, members, number in chains:
        own = int(place[members[0]])
        found[own][1].append((name, tuple(bead - int(starts[own]) for bead in members), number))
    for first, second in excluded:
        own = int(place[first])
        found[own][2].append((first - int(starts[own]), second - int(starts[own])))
    return [Molecule(*(tuple(part) for part in parts)) for parts in found]


def _chains(topology: Topology, tables: list[ChainTable]) -> list[tuple[str, tuple[int, ...], int]]:
    """Every bond, angle and dihedral that has a table."""
    numbers = {(table.chain, table.kind): table.number for table in tables}
    types, found = np.asarray(topology.types), []
    for name, coordinate in CHAINS.items():
        for members in np.asarray(coordinate.members(topology)).tolist():
            kind = tuple(types[members].tolist())
            number = numbers.get((name, min(kind, kind[::-1])))
            if number is not None:
                found.append((name, tuple(members), number))
    return found


def _molecule_lines(molecule: Molecule, name: str) -> list[str]:
    lines = ["[ moleculetype ]", "; name nrexcl", f"{name} 0", "", "[ atoms ]"]
    lines += ["; nr type resnr residue atom cgnr charge mass"]
    for number, (kind, mass) in enumerate(molecule.beads, 1):
        lines.append(f"{number} {kind} 1 M {kind[:5]} {number} 0.0 {mass:.8g}")
    for chain, directive in DIRECTIVES.items():
        rows = [
            " ".join(str(bead + 1) for bead in members) + f" {TABULATED} {number} 1.0"
            for own, members, number in molecule.chains
            if own == chain
        ]
        lines += ["", f"[ {directive} ]", "; beads funct table k", *rows] if rows else []
    if molecule.excluded:
        lines += ["", "[ exclusions ]", *(f"{first + 1} {second + 1}" for first, second in molecule.excluded)]
    return lines
