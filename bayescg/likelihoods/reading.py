"""The frames that forces are matched on: read few at a time, with their pairs, and what they sample."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray
from bayescg.data import state_points, topology, validate
from bayescg.data.boltzmann_inversion import sampled_internal
from bayescg.interfaces import AbstractPotential, Sampled, Support, Topology, type_pairs
from bayescg.likelihoods.design import Frame, pair_kinds
from bayescg.numerics.pairs import Pairs, check_cutoff, no_pairs, pairs_within
from bayescg.potentials.thermodynamic import depends_on_temperature

SUPPORT_FRAMES = 32
"""Frames looked at for the shortest distances, spread evenly over the trajectory."""

READ_FRAMES = 64
"""Frames held in memory at once when data are read lazily."""

PROGRESS_DELAY = 2.0
"""Seconds before a pass over the frames shows its progress bar."""


def checked_points(data: Any) -> list[xr.Dataset]:
    """Every state point's beads, checked to have positions, forces and the same bead types.

    Args:
        data: mapped beads with forces: a Dataset, several, or a DataTree of state points.

    Raises:
        BayescgError: something is missing, or bead types differ.

    Example:
        >>> import bayescg as bcg
        >>> len(checked_points(bcg.data.water(frames=2)))
        1
    """
    points = [validate(beads, needs=("position", "force")) for beads in state_points(data)]
    names = topology(points[0]).type_names
    for beads in points[1:]:
        if topology(beads).type_names != names:
            raise BayescgError(
                f"all state points must have the same bead types in the same order, got {names} and "
                f"{topology(beads).type_names}. Map them alike."
            )
    return points


def check_temperatures(potential: AbstractPotential, points: list[xr.Dataset]) -> None:
    """Raise where a potential depends on temperature and a state point names none.

    Args:
        potential: of the model.
        points: beads of every state point.

    Raises:
        BayescgError: a state point without temperature.

    Example:
        >>> import bayescg as bcg
        >>> check_temperatures(bcg.potentials.PairSpline(cutoff=0.9), [bcg.data.water(frames=1)])
    """
    if not depends_on_temperature(potential):
        return
    for index, beads in enumerate(points):
        require(
            "temperature" in beads.attrs,
            f"a Thermodynamic potential needs the temperature of every state point, got none for the data "
            f"{index + 1} of {len(points)}. Give temperature= (K) to read_trajectory, or set "
            "attrs['temperature'] of the beads.",
        )


def mean_temperature(points: list[xr.Dataset]) -> float | None:
    """Mean temperature of the state points, K; None where one of them names none.

    Args:
        points: beads of every state point.

    Example:
        >>> import bayescg as bcg
        >>> mean_temperature([bcg.data.water(frames=1)])
        300.0
    """
    kelvins = [float(beads.attrs["temperature"]) for beads in points if "temperature" in beads.attrs]
    return float(np.mean(kelvins)) if len(kelvins) == len(points) else None


def frames_of(data: Any, cutoff: float, *, at_most: int | None = None) -> Iterator[tuple[Frame, NumpyArray]]:
    """Every frame with its forces (bead, dim), few in memory at a time.

    Args:
        data: mapped beads with forces: a Dataset, several, or a DataTree of state points.
        cutoff: of the frames' pairs, nm; zero for none. Pairs that the topology excludes are left out.
        at_most: frames of every state point, spread evenly; None for all.

    Raises:
        BayescgError: two beads stand at one place.

    Example:
        >>> import bayescg as bcg
        >>> [forces.shape for frame, forces in frames_of(bcg.data.water(frames=2), 0.5)]
        [(510, 3), (510, 3)]
    """
    points = [_spread(beads, at_most) for beads in checked_points(data)]
    total = sum(beads.sizes["frame"] for beads in points)
    with tqdm(total=total, desc="forces", unit="frame", delay=PROGRESS_DELAY, leave=False) as bar:
        for beads in points:
            beads_topology, temperature = topology(beads), beads.attrs.get("temperature")
            for begin in range(0, beads.sizes["frame"], READ_FRAMES):
                part = beads.isel(frame=slice(begin, begin + READ_FRAMES)).compute()
                positions = part["position"].values.astype(np.float64)
                forces = part["force"].values.astype(np.float64)
                boxes = part["box"].values.astype(np.float64) if "box" in part else [None] * len(positions)
                for index, (x, box, f) in enumerate(zip(positions, boxes, forces, strict=True), begin):
                    pairs = listed_pairs(x, box, cutoff, beads_topology)
                    _check_apart(pairs, index)
                    yield Frame(x, box, pairs, beads_topology, temperature), f
                    bar.update()


def listed_pairs(
    positions: NumpyArray, box: NumpyArray | None, cutoff: float, beads_topology: Topology
) -> Pairs:
    """The pairs that have nonbonded energy; none where the cutoff is zero.

    Args:
        positions: (bead, dim), nm.
        box: edge lengths, nm; None for an open system.
        cutoff: nm.
        beads_topology: says which pairs are excluded.

    Example:
        >>> import bayescg as bcg
        >>> x = np.zeros((510, 3))
        >>> listed_pairs(x, None, 0.0, bcg.data.topology(bcg.data.water(frames=1))).distance.size
        0
    """
    if cutoff == 0:
        return no_pairs(positions.shape[1])
    return pairs_within(positions, box, cutoff, excluded=np.asarray(beads_topology.excluded))


def internal_of(points: list[xr.Dataset]) -> tuple[Sampled, ...]:
    """What a few frames of every state point say of bonds, angles and dihedrals, one entry for every kind.

    Where several state points hold a kind, ranges join and the harmonic start is that of the first.

    Args:
        points: beads of the same types.

    Example:
        >>> import bayescg as bcg
        >>> internal_of([bcg.data.water(frames=2)])
        ()
    """
    joined: dict[tuple[str, tuple[int, ...]], Sampled] = {}
    for beads in points:
        if "bond" not in beads and "angle" not in beads and "dihedral" not in beads:
            continue
        for one in sampled_internal(validate(_spread(beads, SUPPORT_FRAMES).compute(), needs=())):
            old = joined.get((one.coordinate, one.kind), one)
            lowest, highest = min(old.lowest, one.lowest), max(old.highest, one.highest)
            joined[one.coordinate, one.kind] = old._replace(lowest=lowest, highest=highest)
    return tuple(joined[key] for key in sorted(joined))


def support_of(points: list[xr.Dataset], potential: AbstractPotential) -> Support:
    """What a potential may know of the data before its parameters are allocated.

    Args:
        points: beads of every state point, of the same types.
        potential: whose cutoff is looked within.

    Raises:
        BayescgError: the cutoff exceeds half a box.

    Example:
        >>> import bayescg as bcg
        >>> support_of([bcg.data.water(frames=2)], bcg.potentials.PairSpline(cutoff=0.9)).type_names
        ('SOL',)
    """
    shortest, cutoff = [], potential.cutoff
    for beads in points:
        if "box" in beads and cutoff > 0:
            check_cutoff(cutoff, np.asarray(beads["box"]))
        shortest.append(shortest_distances(beads, topology(beads), cutoff))
    lowest, highest, period = ranges_of(points) if cutoff == 0 else ((), (), None)
    return Support(
        topology(points[0]).type_names,
        tuple(np.min(shortest, axis=0).tolist()),
        lowest,
        highest,
        period,
        internal=internal_of(points),
    )


def _check_apart(pairs: Pairs, frame: int) -> None:
    """Raise where two beads stand at one place: the direction of their force is not defined."""
    if pairs.distance.size and pairs.distance.min() == 0:
        pair = int(np.argmin(pairs.distance))
        raise BayescgError(
            f"beads must not coincide, got beads {pairs.first[pair]} and {pairs.second[pair]} at the same "
            f"position in frame {frame}. Leave the frame out, or map these atoms to one bead."
        )


def _spread(beads: xr.Dataset, at_most: int | None) -> xr.Dataset:
    """At most so many frames, evenly."""
    if at_most is None or beads.sizes["frame"] <= at_most:
        return beads
    return beads.isel(frame=np.unique(np.linspace(0, beads.sizes["frame"] - 1, at_most).astype(int)))


def shortest_distances(
    beads: xr.Dataset, beads_topology: Topology, cutoff: float, *, at_most: int | None = SUPPORT_FRAMES
) -> NumpyArray:
    """Shortest distance of every pair of types in a few frames, nm; infinity where none is near.

    Args:
        beads: of one state point.
        beads_topology: of these beads.
        cutoff: how far to look, nm.
        at_most: frames, spread evenly; None for all.

    Example:
        >>> import bayescg as bcg
        >>> beads = bcg.data.water(frames=2)
        >>> bool(0.2 < shortest_distances(beads, bcg.data.topology(beads), 0.9)[0] < 0.3)
        True
    """
    type_count = len(beads_topology.type_names)
    shortest = np.full(len(type_pairs(type_count)), np.inf)
    part = _spread(beads[["position", *(["box"] if "box" in beads else [])]], at_most).compute()
    for index in range(part.sizes["frame"]):
        box = part["box"].values[index].astype(np.float64) if "box" in part else None
        x = part["position"].values[index].astype(np.float64)
        frame = Frame(x, box, listed_pairs(x, box, cutoff, beads_topology), beads_topology)
        kinds = pair_kinds(frame, type_count)
        np.minimum.at(shortest, kinds, frame.pairs.distance)
    return shortest


def ranges_of(points: list[xr.Dataset]) -> tuple[tuple[float, ...], tuple[float, ...], float | None]:
    """Smallest and largest value of every component, and its period where it has one.

    Args:
        points: beads of every state point.

    Example:
        >>> import bayescg as bcg
        >>> lowest, highest, period = ranges_of([bcg.data.water(frames=2)])
        >>> len(lowest), highest[0] > 2.0, period
        (3, True, None)
    """
    lowest = np.min([beads["position"].min(("frame", "bead")).values for beads in points], axis=0)
    highest = np.max([beads["position"].max(("frame", "bead")).values for beads in points], axis=0)
    return tuple(lowest.tolist()), tuple(highest.tolist()), period_of(points[0])


def period_of(beads: xr.Dataset) -> float | None:
    """The period of a variable that is periodic by itself, an angle say; None where it is not.

    Args:
        beads: of one state point.

    Raises:
        BayescgError: components with different periods.

    Example:
        >>> import bayescg as bcg
        >>> period_of(bcg.data.water(frames=1)) is None
        True
    """
    if "period" not in beads:
        return None
    values = np.unique(beads["period"].to_numpy())
    require(
        values.size == 1 and bool(values[0] > 0),
        f"period must be one positive number for all components, got {values.tolist()}. Give one term for "
        "each component and add the terms.",
    )
    return float(values[0])


def mean_squares(beads: xr.Dataset, beads_topology: Topology) -> NumpyArray:
    """Mean square force component of every bead type over a few frames, (kJ/mol/nm)².

    Args:
        beads: of one state point.
        beads_topology: of these beads.

    Raises:
        BayescgError: forces of a type are zero throughout.

    Example:
        >>> import bayescg as bcg
        >>> beads = bcg.data.water(frames=2)
        >>> mean_squares(beads, bcg.data.topology(beads)).shape
        (1,)
    """
    forces = _spread(beads[["force"]], SUPPORT_FRAMES)["force"].values.astype(np.float64)
    square = np.square(forces).mean(axis=(0, 2))
    types = np.asarray(beads_topology.types)
    means = np.array([square[types == kind].mean() for kind in range(len(beads_topology.type_names))])
    for name, mean in zip(beads_topology.type_names, means, strict=True):
        require(
            mean > 0,
            f"force must not be zero throughout, got only zeros for beads of type {name}. Check that the "
            "trajectory holds forces and that the mapping gives these beads a share.",
        )
    return means
