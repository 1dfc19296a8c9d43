"""The input file of LAMMPS: force field and equations of motion, in units "real" (Å, fs, kcal/mol, atm)."""

from collections.abc import Mapping
from typing import NamedTuple

from bayescg._checks import BayescgError, one_of, positive, require
from bayescg.export.curves import Terms
from bayescg.export.lammps_system import LammpsSystem
from bayescg.export.lammps_tables import POINTS, has_energy
from bayescg.units import ANGSTROM, FEMTOSECOND

SKIN = 0.1
"""nm, of LAMMPS's neighbour list: half its default, the fastest of three for 510 waters at 0.9 nm."""

ATMOSPHERE = 1.01325
"""One standard atmosphere, the pressure of units "real", in bar."""

BAROSTAT_TIMES = 10.0
"""Relaxation time of a barostat over that of the thermostat."""

LARGEST_SEED = 899_999_999
"""LAMMPS's random numbers take seeds up to here."""

ENSEMBLES = ("NVT", "NVE", "NPT")
THERMOSTATS = ("langevin", "nose-hoover", "csvr")


class Integration(NamedTuple):
    """The equations of motion.

    Attributes:
        temperature: K.
        timestep: ps.
        ensemble: "NVT", "NVE" or "NPT".
        thermostat: "langevin", "nose-hoover" or "csvr"; None with a memory, or for NVE.
        friction: 1/ps, of Langevin dynamics; its inverse is the relaxation time of the other thermostats.
        pressure: bar; for NPT.
        seed: of velocities and noise.
    """

    temperature: float
    timestep: float
    ensemble: str = "NVT"
    thermostat: str | None = "langevin"
    friction: float | None = 1.0
    pressure: float | None = None
    seed: int = 1


def force_field_lines(system: LammpsSystem, terms: Terms, reach: float, *, points: int = POINTS) -> list[str]:
    """Commands from `units` to the last coefficient.

    Args:
        system: types and chains.
        terms: of the potential.
        reach: largest distance between beads of one chain that is to be expected, nm.
        points: of the tables.

    Example:
        >>> import numpy as np
        >>> system = LammpsSystem(np.zeros(1), ((0, 18.0),), ("W",), np.zeros(1), (), "1 1 1")
        >>> force_field_lines(system, Terms((), (), 0.0), 0.0)[-1]
        'pair_coeff * *'
    """
    lines = ["units real", f"atom_style {'molecular' if system.chains else 'atomic'}", "boundary p p p"]
    for chains in system.chains:
        style = f"table spline {points}" if has_energy(terms, chains) else "zero"
        lines.append(f"{chains.name}_style {style}")
    if system.chains:
        lines.append(f"special_bonds lj/coul {system.special}")
    lines += [f"neighbor {SKIN / ANGSTROM:.12g} bin", "neigh_modify every 1 delay 0 check yes"]
    lines.append("read_data data.lammps")
    if reach > terms.cutoff:
        lines.append(f"comm_modify cutoff {(reach + SKIN) / ANGSTROM:.6g}")
    if terms.pairs:
        lines.append(f"pair_style table spline {points}")
        for i, (first, _) in enumerate(system.types, 1):
            for j, (second, _) in enumerate(system.types[i - 1 :], i):
                low, high = sorted((first + 1, second + 1))
                lines.append(f"pair_coeff {i} {j} pair.table PAIR_{low}_{high}")
    else:
        lines += [f"pair_style zero {max(reach, SKIN) / ANGSTROM:.6g}", "pair_coeff * *"]
    for chains in system.chains:
        for number in range(1, len(chains.kinds) + 1):
            place = f"{chains.name}.table {chains.name.upper()}_{number}" if has_energy(terms, chains) else ""
            lines.append(f"{chains.name}_coeff {number} {place}".rstrip())
    return lines


def motion_lines(
    system: LammpsSystem, integration: Integration, matrices: Mapping[float, str] | None, modes: int = 0
) -> list[str]:
    """Commands of the timestep, the velocities and the equations of motion.

    Args:
        system: types.
        integration: checked by `check_integration`.
        matrices: mass (amu) -> name of the file with its A, where the model has a memory.
        modes: of the memory.

    Example:
        >>> import numpy as np
        >>> system = LammpsSystem(np.zeros(1), ((0, 18.0),), ("W",), np.zeros(1), (), "1 1 1")
        >>> motion_lines(system, Integration(300.0, 0.005), None)[-1]
        'fix thermostat all langevin 300 300 1000 2'
    """
    T, seed = f"{integration.temperature:.12g}", integration.seed
    lines = [
        f"timestep {integration.timestep / FEMTOSECOND:.12g}",
        f"velocity all create {T} {seed} mom yes rot no dist gaussian",
    ]
    if matrices is not None:
        for number, (mass, name) in enumerate(matrices.items(), 1):
            types = " ".join(str(index) for index, (_, own) in enumerate(system.types, 1) if own == mass)
            lines.append(f"group mass_{number} type {types}")
            settings = f"{modes} {T} {T} {_next(seed, number)} {name}"
            lines.append(f"fix memory_{number} mass_{number} gle {settings}")
        return lines
    relaxation = f"{1 / (integration.friction or 1.0) / FEMTOSECOND:.12g}"
    isotropic = ""
    if integration.ensemble == "NPT":
        P = f"{(integration.pressure or 0.0) / ATMOSPHERE:.12g}"
        isotropic = f" iso {P} {P} {BAROSTAT_TIMES * float(relaxation):.12g}"
    if integration.thermostat == "nose-hoover":
        style = "npt" if isotropic else "nvt"
        return [*lines, f"fix motion all {style} temp {T} {T} {relaxation}{isotropic}"]
    lines.append(f"fix motion all {'nph' + isotropic if isotropic else 'nve'}")
    if integration.ensemble != "NVE":
        style = "temp/csvr" if integration.thermostat == "csvr" else "langevin"
        lines.append(f"fix thermostat all {style} {T} {T} {relaxation} {_next(seed, 1)}")
    return lines


def check_integration(integration: Integration, *, memory: bool) -> None:
    """Raise where LAMMPS cannot do what is asked for.

    Args:
        integration: settings.
        memory: whether the model has one.

    Raises:
        BayescgError: an unknown ensemble or thermostat, numbers that are not positive, or a combination that
            makes no sense.

    Example:
        >>> check_integration(Integration(300.0, 0.005), memory=False)
    """
    positive("temperature", integration.temperature, unit="K")
    positive("timestep", integration.timestep, unit="ps")
    one_of("ensemble", integration.ensemble, ENSEMBLES)
    if memory:
        require(
            integration.ensemble == "NVT" and integration.thermostat is None,
            "a model with a memory must run at constant volume and temperature without another thermostat in "
            f"LAMMPS, got ensemble={integration.ensemble!r} and thermostat={integration.thermostat!r}. Leave "
            "both out, or simulate with engine='jax-md'.",
        )
        return
    if integration.ensemble != "NVE":
        one_of("thermostat", integration.thermostat, THERMOSTATS)
        positive("friction", integration.friction, unit="1/ps")
    if (integration.ensemble == "NPT") != (integration.pressure is not None):
        raise BayescgError(
            f"pressure must be given for NPT and for nothing else, got {integration.pressure} bar with "
            f"ensemble={integration.ensemble!r}. Give pressure=1.0 with ensemble='NPT', or neither."
        )


def _next(seed: int, number: int) -> int:
    return (seed + number - 1) % LARGEST_SEED + 1
