"""Boltzmann inversion of bonds, angles and dihedrals: the energy that a distribution stands for.

    p(q) ∝ J(q) exp(-u(q)/kT),        u(q) = -kT ln [n(q) / ∫ J dq] + const.,

n being the counts of a bin and the integral over it of the Jacobian exact: J = r² for a bond, sin theta for
an angle, 1 for its cosine and for a dihedral. Of one molecule in vacuo u is the energy itself; in a liquid
it is a potential of mean force of that coordinate alone, which holds what neighbours do too: a start for
a potential, not the potential. The harmonic start has the moments of n / ∫ J dq,

    c = <q>,        k = kT / (<q²> - c² - h²/12),        h the width of a bin.

References:
    D. Reith, M. Pütz, F. Müller-Plathe, J. Comput. Chem. 24, 1624 (2003), doi:10.1002/jcc.10307.
"""

from collections.abc import Iterator
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, positive, require, whole
from bayescg._typing import Array, NumpyArray
from bayescg.data.dataset import topology, validate
from bayescg.interfaces import Configuration, Sampled, Topology
from bayescg.numerics.batches import map_in_batches
from bayescg.numerics.internal_coordinates import (
    ANGLE,
    BOND,
    COORDINATES,
    DIHEDRAL,
    InternalCoordinate,
    internal_values,
    kind_names,
    kind_places,
    kinds_of,
)
from bayescg.units import thermal_energy

BINS = 60
"""Bins over the sampled range."""

ROOM_TEMPERATURE = 300.0
"""K; scale of energies where the data do not tell theirs."""

SMALLEST_SPREAD = 1e-4
"""nm, rad or 1: standard deviation below which a coordinate counts as rigid."""


class Inversion(NamedTuple):
    """The energy of one coordinate.

    Attributes:
        values: bin centres.
        energy: kJ/mol, lowest at zero; infinite where nothing was sampled.
        center: of the harmonic energy with the same moments.
        stiffness: of it, kJ/mol per square unit.
    """

    values: NumpyArray
    energy: NumpyArray
    center: float
    stiffness: float


def boltzmann_inversion(beads: xr.Dataset, *, bins: int = BINS) -> xr.Dataset:
    """Energies of all bonds, angles and dihedrals of beads, by Boltzmann inversion.

    Args:
        beads: with bonds, and the temperature in attrs.
        bins: over the sampled range; of a dihedral, over a turn.

    Returns:
        For each of bond, angle and dihedral that the beads have, over kinds and bins: the coordinate
        (`bond_length`, `bond_angle`, `dihedral_angle`; nm or rad), its energy (`bond_energy`, ...; kJ/mol),
        and over kinds, but for dihedrals, `bond_center` and `bond_stiffness` of the harmonic start.

    Raises:
        BayescgError: no temperature, no bonds, or a coordinate that does not vary.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> r = 0.3 + 0.01 * rng.normal(size=4000)
        >>> x = np.stack([np.zeros((4000, 3)), np.stack([r, 0 * r, 0 * r], -1)], axis=1)
        >>> beads = xr.Dataset(
        ...     {
        ...         "position": (("frame", "bead", "dim"), x, {"units": "nm"}),
        ...         "bond": (("bond", "end"), [[0, 1]]),
        ...     },
        ...     attrs={"temperature": 300.0},
        ... )
        >>> dict(boltzmann_inversion(beads, bins=30).sizes)
        {'bond_type': 1, 'bin': 30}
    """
    beads = validate(beads)
    kT, shared = thermal_energy(float(beads.attrs["temperature"])), topology(beads)
    variables: dict[str, object] = {}
    for coordinate, values in ((BOND, "bond_length"), (ANGLE, "bond_angle"), (DIHEDRAL, "dihedral_angle")):
        samples = list(_samples(coordinate, beads, shared))
        if not samples:
            continue
        limits = (-np.pi, np.pi) if coordinate is DIHEDRAL else None
        found = [invert(coordinate, q, thermal_energy=kT, bins=bins, limits=limits) for _, q in samples]
        kind, name = f"{coordinate.chain}_type", coordinate.chain
        variables[kind] = (kind, kind_names(tuple(k for k, _ in samples), shared.type_names))
        variables[values] = (
            (kind, "bin"),
            np.stack([one.values for one in found]),
            {"units": coordinate.unit},
        )
        variables[f"{name}_energy"] = (
            (kind, "bin"),
            np.stack([one.energy for one in found]),
            {"units": "kJ/mol"},
        )
        if coordinate is DIHEDRAL:
            continue
        variables[f"{name}_center"] = (kind, [one.center for one in found], {"units": coordinate.unit})
        stiffness = [one.stiffness for one in found]
        variables[f"{name}_stiffness"] = (kind, stiffness, {"units": f"kJ/mol/{coordinate.unit}^2"})
    require(
        bool(variables),
        "beads must have bonds for a Boltzmann inversion, got none. Map atoms whose topology has bonds to "
        "several beads a molecule, or set the variable bond.",
    )
    return xr.Dataset(variables)


def sampled_internal(beads: xr.Dataset) -> tuple[Sampled, ...]:
    """What a potential may know of the bonds, angles and dihedrals of the data.

    Args:
        beads: valid; k_B T is that of 300 K where they hold no temperature.

    Returns:
        One entry for every coordinate and kind; empty where there are no bonds.

    Raises:
        BayescgError: a coordinate does not vary.

    Example:
        >>> import bayescg as bcg
        >>> sampled_internal(bcg.data.water(frames=2))
        ()
    """
    shared, kT = topology(beads), thermal_energy(float(beads.attrs.get("temperature", ROOM_TEMPERATURE)))
    found = []
    for coordinate in COORDINATES:
        for kind, q in _samples(coordinate, beads, shared):
            one = invert(coordinate, q, thermal_energy=kT)
            found.append(
                Sampled(coordinate.name, kind, float(q.min()), float(q.max()), one.center, one.stiffness)
            )
    return tuple(found)


def invert(
    coordinate: InternalCoordinate,
    values: NumpyArray,
    *,
    thermal_energy: float,
    bins: int = BINS,
    limits: tuple[float, float] | None = None,
    jacobian: bool = True,
) -> Inversion:
    """Boltzmann inversion of samples of one coordinate.

    Args:
        coordinate: which; says the Jacobian.
        values: samples.
        thermal_energy: k_B T, kJ/mol.
        bins: over the range.
        limits: of the bins; None for the smallest and the largest sample.
        jacobian: False leaves it out, for comparison.

    Raises:
        BayescgError: values that do not vary.

    Example:
        >>> r = np.random.default_rng(0).normal(0.3, 0.01, size=20000)
        >>> found = invert(BOND, r, thermal_energy=2.5, jacobian=False)
        >>> round(found.center, 3), round(found.stiffness, -3)
        (0.3, 25000.0)
    """
    positive("thermal_energy", thermal_energy, unit="kJ/mol")
    q = np.asarray(values, dtype=float).ravel()
    if not float(q.std()) > SMALLEST_SPREAD:
        raise BayescgError(
            f"every {coordinate.chain} must vary in the data, got values from {q.min():.6g} to "
            f"{q.max():.6g} {coordinate.unit} of one kind: it is rigid. Map the beads that it joins to one."
        )
    low, high = limits or (float(q.min()), float(q.max()))
    edges = np.linspace(low, high, whole("bins", bins) + 1)
    counts, width = np.histogram(q, edges)[0], (high - low) / bins
    volume = np.diff(_integral(coordinate.name if jacobian else "flat", edges))
    density = counts / volume
    with np.errstate(divide="ignore"):
        energy = -thermal_energy * np.log(density / density.max())
    middle = 0.5 * (edges[1:] + edges[:-1])
    center = float(np.average(middle, weights=density))
    variance = float(np.average((middle - center) ** 2, weights=density)) - width**2 / 12
    return Inversion(middle, energy, center, thermal_energy / max(variance, SMALLEST_SPREAD**2))


def _integral(name: str, q: NumpyArray) -> NumpyArray:
    """∫ J dq from anywhere to q."""
    match name:
        case "bond":
            return q**3 / 3
        case "angle":
            return -np.cos(q)
        case _:
            return q


def _samples(
    coordinate: InternalCoordinate, beads: xr.Dataset, shared: Topology
) -> Iterator[tuple[tuple[int, ...], NumpyArray]]:
    """All values of every kind of a coordinate."""
    kinds = kinds_of(coordinate, shared)
    if not kinds:
        return
    if coordinate is DIHEDRAL:
        dims = beads.sizes["dim"]
        require(dims == 3, f"dihedrals must be in three dimensions, got {dims}. Drop the variable dihedral.")
    places = np.asarray(kind_places(coordinate, shared, kinds))
    x = jnp.asarray(beads["position"].to_numpy(), float)
    boxes = jnp.asarray(beads["box"].to_numpy(), float) if "box" in beads else None
    values = np.asarray(_of_frames(coordinate.name, x, boxes, shared))
    for place, kind in enumerate(kinds):
        yield kind, values[:, places == place].ravel()


@eqx.filter_jit
def _of_frames(name: str, positions: Array, boxes: Array | None, shared: Topology) -> Array:
    """(frame, chain)."""
    (coordinate,) = [one for one in COORDINATES if one.name == name]
    nobody = jnp.zeros((positions.shape[1], 0), jnp.int32)

    def of_frame(frame: tuple[Array, Array | None]) -> Array:
        return internal_values(coordinate, Configuration(*frame, nobody, shared))

    return map_in_batches(of_frame, (positions, boxes), 64)
