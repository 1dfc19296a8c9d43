"""Tables of LAMMPS: `pair_style table`, `bond_style table`, `angle_style table`, `dihedral_style table`.

In units "real": distances in Å, angles in degrees, energies in kcal/mol,

    1 kJ/mol = 1/4.184 kcal/mol,    1 kJ/mol/nm = 1/41.84 kcal/mol/Å,    1 kJ/mol/rad = π/753.12 per degree.

LAMMPS interpolates pair tables by cubic splines of the energy and of f(r)/r in r², on its own grid of N
points; the files hold exactly these (RSQ), so that nothing is interpolated twice. The force is then off by

    |δf| ≤ (5/384) r h⁴ max|d⁴(f/r)/d(r²)⁴|,        h = (cutoff² - r0²)/(N - 1),

where f is smooth, and by a small part of h/2r times the jump of f' where it has a kink, as at the start of a
pair spline's core. In the innermost interval, below 0.013 nm for a cutoff of 0.9 nm, the force falls linearly
to zero; nothing else is finite at r = 0.

References:
    C. de Boor, A Practical Guide to Splines, Springer (1978), chapter V, doi:10.1007/978-1-4612-6333-3.
"""

import io
import math

import numpy as np

from bayescg._typing import NumpyArray
from bayescg.dynamics.pair_tables import CORE_ENERGY
from bayescg.export.curves import Terms, chain_curves, pair_curves
from bayescg.export.lammps_system import Chains, LammpsSystem
from bayescg.interfaces import type_pairs
from bayescg.potentials.bonded import AbstractBondedPotential
from bayescg.units import ANGSTROM, KILOCALORIE

POINTS = 5000
"""Of a table, unless another number is asked for."""

INNERMOST = 1e-4
"""nm; LAMMPS stops where two beads are nearer than the table reaches."""

LONGEST = 16
"""Times the longest sampled bond that a table reaches at most."""


def table_files(terms: Terms, system: LammpsSystem, *, points: int = POINTS) -> dict[str, str]:
    """Contents of pair.table, bond.table, angle.table and dihedral.table, as far as they are needed.

    Args:
        terms: of the potential.
        system: types and kinds of chains.
        points: of every table.

    Returns:
        Name of the file -> text. Sections are named PAIR_1_2, BOND_1 and so on, by LAMMPS's numbers of bead
        types (pairs) and of kinds of chains.

    Raises:
        BayescgError: an energy that is not finite, or JAX in float32.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.export.lammps_system import lammps_system
        >>> argon = bcg.potentials.LennardJones([0.997], [0.34], 1.2, ("SOL",))
        >>> beads = bcg.data.topology(bcg.data.water(frames=1))
        >>> terms = Terms((argon,), (), 1.2)
        >>> table_files(terms, lammps_system(beads, terms), points=4)["pair.table"][:28]
        '# pair energies, UNITS: real'
    """
    files = {"pair.table": _pair_table(terms, system, points)} if terms.pairs else {}
    for chains in system.chains:
        if has_energy(terms, chains):
            files[f"{chains.name}.table"] = _chain_table(terms, chains, points)
    return files


def has_energy(terms: Terms, chains: Chains) -> bool:
    """Whether some term gives these bonds, angles or dihedrals an energy.

    Example:
        >>> nothing = np.zeros((0, 2), int)
        >>> has_energy(Terms((), (), 0.0), Chains("bond", (), (), nothing, nothing))
        False
    """
    return any(term.coordinate.chain == chains.name for term in terms.chains)


def _pair_table(terms: Terms, system: LammpsSystem, points: int) -> str:
    squares = np.linspace(INNERMOST**2, terms.cutoff**2, points)
    r = np.sqrt(squares)
    curves = pair_curves(terms.pairs, len(system.names), r)
    energy, force = curves.energy.copy(), curves.force.copy()
    # in the innermost interval f is proportional to r
    stiffness = force[:, 1] / r[1]
    force[:, 0], energy[:, 0] = stiffness * r[0], energy[:, 1] + stiffness * (squares[1] - squares[0]) / 2
    force[:, -1], energy[:, -1] = 0.0, 0.0
    out = _header("pair energies", "r/Å, energy/(kcal/mol), force/(kcal/mol/Å)")
    inner, outer = r[0] / ANGSTROM, terms.cutoff / ANGSTROM
    for row, (i, j) in enumerate(type_pairs(len(system.names))):
        out.write(f"\n# {system.names[i]} - {system.names[j]}\n")
        out.write(f"PAIR_{i + 1}_{j + 1}\nN {points} RSQ {inner:.15g} {outer:.15g}\n\n")
        _rows(out, r / ANGSTROM, energy[row] / KILOCALORIE, force[row] * ANGSTROM / KILOCALORIE)
    return out.getvalue()


def _chain_table(terms: Terms, chains: Chains, points: int) -> str:
    match chains.name:
        case "bond":
            unit, what = ANGSTROM, "r/Å, energy/(kcal/mol), force/(kcal/mol/Å)"
        case _:
            unit, what = math.radians(1.0), "angle/degree, energy/(kcal/mol), -slope/(kcal/mol/degree)"
    out = _header(f"{chains.name} energies", what)
    for row, kind in enumerate(chains.kinds):
        q = _grid(terms, chains.name, kind, points)
        curves = chain_curves(terms.chains, chains.name, (kind,), q)
        options = " DEGREES" if chains.name == "dihedral" else ""
        out.write(f"\n# {chains.names[row]}\n{chains.name.upper()}_{row + 1}\nN {points}{options}\n\n")
        _rows(out, q / unit, curves.energy[0] / KILOCALORIE, curves.force[0] * unit / KILOCALORIE)
    return out.getvalue()


def _grid(terms: Terms, chain: str, kind: tuple[int, ...], points: int) -> NumpyArray:
    """The points that LAMMPS's own grid has, so that it interpolates once."""
    match chain:
        case "angle":
            return np.linspace(0.0, math.pi, points)
        case "dihedral":
            # up to the last point before a full turn
            return 2 * math.pi * (np.arange(points) - points // 2) / points
        case _:
            return np.linspace(0.0, _longest(terms.chains, kind), points)


def _longest(terms: tuple[AbstractBondedPotential, ...], kind: tuple[int, ...]) -> float:
    """Length of a bond that has stored more energy than any bead has, nm; or many times the sampled one."""
    sampled = [
        one.highest
        for term in terms
        if term.coordinate.name == "bond"
        for one in term.sampled
        if one.kind == kind
    ]
    if not sampled:
        return 1.0  # no energy: any length will do
    lengths = max(sampled) * np.linspace(1.0, LONGEST, 16 * LONGEST)
    energy = chain_curves(terms, "bond", (kind,), lengths).energy[0]
    high = np.flatnonzero(energy - energy.min() > CORE_ENERGY)
    return float(lengths[high[0] if high.size else -1])


def _header(title: str, columns: str) -> io.StringIO:
    out = io.StringIO()
    out.write(f"# {title}, UNITS: real\n# number, {columns}\n")
    return out


def _rows(out: io.StringIO, q: NumpyArray, energy: NumpyArray, force: NumpyArray) -> None:
    rows = zip(q.tolist(), energy.tolist(), force.tolist(), strict=True)
    out.writelines(f"{number} {x:.15g} {u:.15g} {f:.15g}\n" for number, (x, u, f) in enumerate(rows, 1))
