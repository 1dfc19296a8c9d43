"""The data file of LAMMPS: masses, box, atoms, bonds, angles and dihedrals, in Å and g/mol."""

import io

import numpy as np

from bayescg._typing import Float, NumpyArray
from bayescg.export.lammps_system import LammpsSystem
from bayescg.units import ANGSTROM, FEMTOSECOND


def data_file(
    system: LammpsSystem,
    positions: Float[NumpyArray, "bead dim"],
    box: Float[NumpyArray, " dim"],
    velocities: Float[NumpyArray, "bead dim"] | None = None,
) -> str:
    """Text of a data file; atom style `molecular` where there are bonds, else `atomic`.

    Args:
        system: types and chains.
        positions: nm; those outside of the box are written with the number of the box they are in.
        box: edge lengths, nm.
        velocities: nm/ps; None to leave them to the input file.

    Example:
        >>> nobody = np.zeros(1, int)
        >>> system = LammpsSystem(nobody, ((0, 18.0),), ("W",), nobody, (), "1 1 1")
        >>> text = data_file(system, np.array([[0.1, 0.2, 2.3]]), np.full(3, 2.0))
        >>> print(text.splitlines()[-1])
        1 1 1 2 3 0 0 1
    """
    out = io.StringIO()
    out.write("beads, UNITS: real\n\n")
    out.write(f"{len(system.atoms)} atoms\n{len(system.types)} atom types\n")
    for chains in system.chains:
        out.write(f"{len(chains.members)} {chains.name}s\n{len(chains.kinds)} {chains.name} types\n")
    for axis, edge in zip("xyz", box / ANGSTROM, strict=True):
        out.write(f"\n0 {edge:.15g} {axis}lo {axis}hi")
    out.write("\n\nMasses\n\n")
    for number, (kind, mass) in enumerate(system.types, 1):
        out.write(f"{number} {mass:.15g}  # {system.names[kind]}\n")
    _atoms(out, system, positions, box)
    if velocities is not None:
        out.write("\nVelocities\n\n")
        for number, v in enumerate((velocities * FEMTOSECOND / ANGSTROM).tolist(), 1):
            out.write(f"{number} {v[0]:.15g} {v[1]:.15g} {v[2]:.15g}\n")
    for chains in system.chains:
        out.write(f"\n{chains.name.capitalize()}s\n\n")
        rows = zip(chains.types + 1, chains.members + 1, strict=True)
        for number, (kind, members) in enumerate(rows, 1):
            out.write(f"{number} {kind} {' '.join(map(str, members.tolist()))}\n")
    return out.getvalue()


def _atoms(out: io.StringIO, system: LammpsSystem, positions: NumpyArray, box: NumpyArray) -> None:
    image = np.floor(positions / box)
    # rounding may put a bead at the very edge
    wrapped = np.clip(positions - image * box, 0.0, np.nextafter(box, 0.0)) / ANGSTROM
    molecular = bool(system.chains)
    out.write(f"\nAtoms  # {'molecular' if molecular else 'atomic'}\n\n")
    rows = zip(system.molecules + 1, system.atoms + 1, wrapped.tolist(), image.astype(int), strict=True)
    for number, (molecule, kind, x, cell) in enumerate(rows, 1):
        label = f"{number} {molecule} {kind}" if molecular else f"{number} {kind}"
        out.write(f"{label} {x[0]:.15g} {x[1]:.15g} {x[2]:.15g} {' '.join(map(str, cell.tolist()))}\n")
