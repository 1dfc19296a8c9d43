"""Tables as GROMACS reads them: nm, kJ/mol, and degrees.

    pairs      table.xvg, table_A_B.xvg     r   f  -f'   g  -g'   h  -h'       u(r) is g; f and h are 0
    bonds      table_b0.xvg, ...            r   u  -u'
    angles     table_a0.xvg, ...            theta   u  -u'     0 to 180 degrees, u' per degree
    dihedrals  table_d0.xvg, ...            phi   u  -u'       -180 to 180 degrees, u' per degree

Between the points GROMACS takes cubic Hermite polynomials, so that energies and forces are off by at most

    (1/384) h^4 max|u''''|,        (sqrt(3)/216) h^3 max|u''''|.

Tables of pairs need the group scheme for neighbours, which GROMACS had up to version 2019; tables of bonds,
angles and dihedrals are read by all versions (2022.5 gives the model's bonded energies to all six digits that
it prints). A dihedral does not fade where three beads lie in a line.
"""

from typing import NamedTuple

import numpy as np

from bayescg._typing import NumpyArray
from bayescg.export.curves import CHAINS, Terms, chain_curves, kinds_in, pair_curves
from bayescg.interfaces import Topology, type_pairs
from bayescg.numerics.internal_coordinates import kind_names

SPACING = 0.001
"""nm, between points of a table; half of what GROMACS asks for in mixed precision."""

DEGREES = 0.1
"""Between points of the table of an angle or dihedral."""

EXTENSION = 1.0
"""nm of zeros beyond the cutoff: table-extension of the .mdp file, GROMACS's own default."""

ROOM = 3.0
"""Times the longest sampled bond that its table reaches: GROMACS stops where a bond is longer."""

CLOSEST = 1e-6
"""nm; r = 0 is tabulated here, where every potential is finite."""

UP_TO_2019 = (
    "# Nonbonded table for GROMACS up to 2019 (cutoff-scheme = group).\n"
    "# Later versions have no tabulated nonbonded interactions.\n"
)

LETTERS = {"bond": "b", "angle": "a", "dihedral": "d"}
"""Of the file of every kind of chain."""


class ChainTable(NamedTuple):
    """One kind of bond, angle or dihedral.

    Attributes:
        chain: "bond", "angle" or "dihedral".
        kind: bead types along the chain.
        number: of its table.
    """

    chain: str
    kind: tuple[int, ...]
    number: int


def chain_tables(terms: Terms, topology: Topology) -> list[ChainTable]:
    """Every kind of chain that has an energy, with the number of its table.

    Args:
        terms: of the potential.
        topology: types and chains.

    Example:
        >>> import bayescg as bcg
        >>> water = bcg.data.topology(bcg.data.water(frames=1))
        >>> chain_tables(Terms((), (), 0.0), water)
        []
    """
    return [
        ChainTable(chain, kind, number)
        for chain in CHAINS
        for number, kind in enumerate(kinds_in(terms.chains, chain, topology))
    ]


def table_files(terms: Terms, topology: Topology) -> dict[str, str]:
    """Text of every table by the name of its file.

    Args:
        terms: of the potential.
        topology: types and chains.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp
        >>> argon = bcg.potentials.LennardJones([0.997], [0.34], 1.0, ("Ar",))
        >>> nobody = jnp.zeros((0, 2), int)
        >>> beads = Topology(jnp.zeros(2, int), jnp.full(2, 39.9), jnp.arange(2), nobody, ("Ar",))
        >>> files = table_files(Terms((argon,), (), 1.0), beads)
        >>> list(files), files["table.xvg"].splitlines()[-1].split()[0]
        (['table.xvg'], '2.00000000')
    """
    files = _pair_files(terms, topology) if terms.pairs else {}
    for table in chain_tables(terms, topology):
        q, scale, unit = _grid(terms, table)
        curves = chain_curves(terms.chains, table.chain, (table.kind,), q * scale)
        name = kind_names((table.kind,), topology.type_names)[0]
        header = f"# {table.chain} {name}: {unit}, kJ/mol, and minus its derivative per {unit}\n"
        rows = np.stack([q, curves.energy[0], curves.force[0] * scale], axis=1)
        files[chain_file(table)] = header + _text(rows)
    return files


def chain_file(table: ChainTable) -> str:
    """Name of the file of a kind of chain.

    Example:
        >>> chain_file(ChainTable("angle", (0, 0, 0), 2))
        'table_a2.xvg'
    """
    return f"table_{LETTERS[table.chain]}{table.number}.xvg"


def _pair_files(terms: Terms, topology: Topology) -> dict[str, str]:
    """One file for every pair of types; table.xvg, which GROMACS always wants, is that of the first."""
    points = round((terms.cutoff + EXTENSION) / SPACING) + 1
    r = SPACING * np.arange(points)
    names = topology.type_names
    curves = pair_curves(terms.pairs, len(names), np.maximum(r, CLOSEST))
    energy = curves.energy + np.where(r < CLOSEST, CLOSEST * curves.force, 0.0)  # on to r = 0
    texts = [_pair_text(r, energy[row], curves.force[row]) for row in range(len(energy))]
    files = {"table.xvg": texts[0]}
    if len(names) > 1:
        pairs = type_pairs(len(names))
        files |= {f"table_{names[a]}_{names[b]}.xvg": text for (a, b), text in zip(pairs, texts, strict=True)}
    return files


def _pair_text(r: NumpyArray, energy: NumpyArray, force: NumpyArray) -> str:
    nothing = np.zeros_like(r)
    columns = [r, nothing, nothing, energy, force, nothing, nothing]
    return (
        UP_TO_2019 + "# r (nm)   f  -f'   g  -g' (kJ/mol, kJ/mol/nm)   h  -h'\n" + _text(np.stack(columns, 1))
    )


def _grid(terms: Terms, table: ChainTable) -> tuple[NumpyArray, float, str]:
    """Points, what they are times in nm or rad, and their unit."""
    if table.chain != "bond":
        lowest = 0.0 if table.chain == "angle" else -180.0
        return lowest + DEGREES * np.arange(round((180.0 - lowest) / DEGREES) + 1), np.pi / 180, "degree"
    sampled = [one for term in terms.chains for one in term.sampled if one.kind == table.kind]
    longest = max(one.highest for one in sampled if one.coordinate == "bond")
    return SPACING * np.arange(round(ROOM * longest / SPACING) + 1), 1.0, "nm"


def _text(rows: NumpyArray) -> str:
    rest = " %.12e" * (rows.shape[1] - 1)
    return "".join(f"{row[0]:.8f}" + rest % tuple(row[1:]) + "\n" for row in rows.tolist())
