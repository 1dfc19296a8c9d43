"""The radial distribution function of every pair of bead types.

    g_ab(r) = <n_ab(r)> V / (P_ab v(r)),     P_ab = N_a N_b  or, for a = b,  N_a (N_a - 1)/2,

with n_ab(r) the pairs found in a spherical shell of exact volume v(r), and P_ab the pairs there are,
so that an ideal gas gives exactly 1. All pairs are counted, not only those within a cutoff. Pairs within a
molecule, which bonds hold together, can be left out: of n_ab and of P_ab. With a `maximum` well below half
the box the cost is linear in beads (on a CPU, by cells); to half the box it is that of all pairs.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, positive, require, whole
from bayescg._typing import Array, Float, Int, NumpyArray
from bayescg.interfaces import (
    AbstractObservable,
    Configuration,
    Topology,
    type_pair_index,
    type_pairs,
)

PAIRS_AT_ONCE = 1 << 20
"""Distances held in memory together: 4 MB each for a handful of temporaries."""


class RDF(AbstractObservable):
    """Radial distribution function g(r) in a periodic box of one, two or three dimensions.

    Attributes:
        maximum: largest distance, nm; None for half the shortest box edge, set by `prepare`.
        bins: number of equal bins from zero to `maximum`.
        types: pairs of bead names, for example (("CH3", "OH"),); None for every pair of types.
        intermolecular: True leaves out pairs of one molecule, whether or not their nonbonded energy is
            excluded; False counts all.

    Raises:
        BayescgError: a maximum beyond half the box, an open system, or an unknown bead name.

    References:
        D. Chandler, Introduction to Modern Statistical Mechanics, Oxford (1987), chapter 7.

    Example:
        >>> import bayescg as bcg
        >>> observable = bcg.observables.RDF(maximum=1.0, bins=100)
        >>> observable.name, observable.units
        ('radial_distribution', '1')
    """

    maximum: float | None = eqx.field(static=True, default=None)
    bins: int = eqx.field(static=True, default=120)
    types: Sequence[tuple[str, str]] | None = eqx.field(
        static=True, default=None, converter=lambda pairs: None if pairs is None else tuple(map(tuple, pairs))
    )
    intermolecular: bool = eqx.field(static=True, default=False)
    name: str = eqx.field(static=True, default="radial_distribution", init=False)
    units: str = eqx.field(static=True, default="1", init=False)

    def __check_init__(self) -> None:
        whole("bins", self.bins)
        if self.maximum is not None:
            positive("maximum", self.maximum, unit="nm")

    def prepare(self, topology: Topology, box: Any) -> "RDF":
        """Fix the largest distance for this box, and check the bead names.

        Args:
            topology: bead types.
            box: edge lengths, nm, (dim,) or (frame, dim).
        """
        require(
            box is not None,
            "box must be periodic for a radial distribution function, got an open system. "
            "Use an observable that needs no bulk density.",
        )
        half = 0.5 * float(np.min(np.asarray(box)))
        if self.maximum is not None and self.maximum > half * (1 + 1e-6):
            raise BayescgError(
                f"maximum must be at most half the shortest box edge, got {self.maximum} nm against "
                f"{half:.4f} nm. Leave it out to use half the box."
            )
        self._selected(topology)
        maximum = half if self.maximum is None else self.maximum
        return RDF(maximum, self.bins, self.types, self.intermolecular)

    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """Names of the type pairs and bin centres, nm."""
        edges = np.linspace(0.0, self._reach(), self.bins + 1)
        pairs = [type_pairs(len(topology.type_names))[index] for index in self._selected(topology)]
        labels = ["-".join(topology.type_names[i] for i in pair) for pair in pairs]
        return {"type_pair": labels, "distance": 0.5 * (edges[1:] + edges[:-1])}

    def measure(self, configuration: Configuration) -> Float[Array, "type_pair distance"]:
        """g(r) of one configuration."""
        box, topology = configuration.box, configuration.topology
        if box is None:
            raise BayescgError("box must be periodic for a radial distribution function, got an open system.")
        counts = self._counts(configuration, box, len(type_pairs(len(topology.type_names))))
        return self.of_counts(counts, box, topology)

    def of_counts(
        self, counts: Int[Array, "kind distance"], box: Float[Array, " dim"], topology: Topology
    ) -> Float[Array, "type_pair distance"]:
        """g(r) from the pairs that were found in every bin.

        Args:
            counts: of every pair of types, in the order of `bayescg.interfaces.type_pairs`; without pairs of
                one molecule where those are left out.
            box: edge lengths, nm.
            topology: of the beads.
        """
        volumes = _shell_volumes(self.bins, self._reach(), box.shape[0])
        possible = _pairs_of(jnp.zeros_like(topology.types), topology)
        if self.intermolecular:
            possible -= _pairs_of(topology.molecules, topology)
        expected = possible[:, None] * volumes / jnp.prod(box.astype(float))
        curves = jnp.where(expected > 0, counts / jnp.where(expected > 0, expected, 1.0), 0.0)
        return curves[jnp.asarray(self._selected(topology))]

    def _counts(self, configuration: Configuration, box: Array, kinds: int) -> Array:
        """Pairs of every kind in every bin, (kind, bin)."""
        x = configuration.positions
        if _cells_served(x):
            by_cells = functools.partial(self._counts_in_cells, kinds=kinds)
            by_shifts = functools.partial(self._counts_by_shifts, kinds=kinds)
            return jax.lax.platform_dependent(configuration, box, cpu=by_cells, default=by_shifts)
        return self._counts_by_shifts(configuration, box, kinds)

    def _counts_in_cells(self, configuration: Configuration, box: Array, kinds: int) -> Array:
        from bayescg.numerics.cell_loops import pair_counts_in_cells

        topology, x = configuration.topology, configuration.positions
        number = jnp.arange(len(topology.type_names), dtype=jnp.int32)
        own = jnp.arange(x.shape[0], dtype=jnp.int32)  # every bead a molecule: no pair is left out
        return pair_counts_in_cells(
            x,
            box.astype(x.dtype),
            topology.types,
            type_pair_index(number[:, None], number, number.size),
            topology.molecules if self.intermolecular else own,
            maximum=self._reach(),
            bins=self.bins,
        )

    def _counts_by_shifts(self, configuration: Configuration, box: Array, kinds: int) -> Array:
        beads = configuration.positions.shape[0]
        # every pair once: bead i with bead i + s, s = 1..N/2; for even N the last s would give each twice
        shifts = jnp.arange(1, beads // 2 + 1, dtype=jnp.int32)
        partners = jnp.where(2 * shifts == beads, beads // 2, beads)

        def of_shift(shift: Array, used: Array) -> Array:
            place = _bins_of_shift(configuration, box, shift, used, kinds, self.bins, self._reach())
            if not self.intermolecular:
                return place
            molecules = configuration.topology.molecules
            return jnp.where(molecules == jnp.roll(molecules, -shift), kinds * self.bins, place)

        return _histogram(of_shift, shifts, partners, beads, kinds * self.bins).reshape(kinds, self.bins)

    def _reach(self) -> float:
        if self.maximum is None:
            raise BayescgError("RDF has no maximum yet. Give one, or call prepare with topology and box.")
        return self.maximum

    def _selected(self, topology: Topology) -> list[int]:
        """Places of the wanted pairs in `type_pairs`."""
        names, pairs = topology.type_names, type_pairs(len(topology.type_names))
        if self.types is None:
            return list(range(len(pairs)))
        for name in {name for pair in self.types for name in pair} - set(names):
            raise BayescgError(
                f"types must name beads of the system, got {name!r}. It has {', '.join(names)}."
            )
        return [pairs.index(tuple(sorted((names.index(a), names.index(b))))) for a, b in self.types]


def _cells_served(positions: Array) -> bool:
    # numba is imported here, by the first count of a process
    from bayescg.numerics.cell_loops import counting_served

    usual = positions.dtype in (jnp.float32, jnp.float64) and positions.shape[1] <= 3
    return usual and positions.size > 0 and counting_served(positions.dtype)


def _histogram(
    of_shift: Callable[[Array, Array], Array], shifts: Array, partners: Array, beads: int, size: int
) -> Array:
    """How often every place is named, a few shifts at a time; the place `size` collects the rest."""

    def add_chunk(counts: Array, chunk: tuple[Array, Array]) -> tuple[Array, None]:
        places = jax.vmap(of_shift)(*chunk)
        return counts.at[places.ravel()].add(1, mode="promise_in_bounds"), None

    rows = max(1, min(shifts.size, PAIRS_AT_ONCE // beads))
    padding = -shifts.size % rows
    chunks = (
        jnp.pad(shifts, (0, padding)).reshape(-1, rows),
        jnp.pad(partners, (0, padding)).reshape(-1, rows),
    )
    counts, _ = jax.lax.scan(add_chunk, jnp.zeros(size + 1, jnp.int32), chunks)
    return counts[:-1]


def _pairs_of(groups: Array, topology: Topology) -> Array:
    """Pairs of every kind whose beads are of one group, (kind,)."""
    kinds = len(topology.type_names)
    members = jax.nn.one_hot(topology.types, kinds, dtype=float)
    # there are at most as many groups as beads
    counts = jax.ops.segment_sum(members, groups, topology.types.shape[0])
    first, second = jnp.asarray(type_pairs(kinds)).T
    same = first == second
    pairs = counts[:, first] * (counts[:, second] - same)
    return jnp.sum(pairs, axis=0) / (1 + same)


def _bins_of_shift(
    configuration: Configuration, box: Array, shift: Array, used: Array, kinds: int, bins: int, reach: float
) -> Array:
    """Where bead i and bead i + shift fall, for every i; the last place collects what is out of range."""
    positions, types = configuration.positions, configuration.topology.types
    first = jnp.arange(positions.shape[0], dtype=jnp.int32)
    second = (first + shift) % positions.shape[0]
    squared = jnp.zeros(positions.shape[0], positions.dtype)
    for axis in range(positions.shape[1]):
        column, edge = positions[:, axis], box[axis]
        step = column.at[second].get(mode="promise_in_bounds") - column
        squared += (step - edge * jnp.round(step / edge)) ** 2
    place = (jnp.sqrt(squared) * (bins / reach)).astype(jnp.int32)
    kind = type_pair_index(types, types[second], len(configuration.topology.type_names))
    inside = (place < bins) & (first < used)
    return jnp.where(inside, kind * bins + place, kinds * bins).astype(jnp.int32)


def _shell_volumes(bins: int, reach: float, dimension: int) -> NumpyArray:
    """Volumes between the bin edges, nm^dimension."""
    edges = np.linspace(0.0, reach, bins + 1)
    unit_ball = math.pi ** (dimension / 2) / math.gamma(dimension / 2 + 1)
    return unit_ball * np.diff(edges**dimension)
