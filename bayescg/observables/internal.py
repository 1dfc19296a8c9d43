"""Distributions of bond lengths, angles and dihedrals, one curve for every kind.

    p_t(q) = <n_t(q)> / (N_t h),

n_t being the chains of kind t (the types of their beads, in either direction) in a bin of width h, and N_t
how many there are: the density of q itself, with the Jacobian in it (r² for a bond, sin theta for an angle).
What lies outside of the range counts as probability that is not in the bins.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require, whole
from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractObservable, Configuration, Topology
from bayescg.numerics.internal_coordinates import (
    ANGLE,
    BOND,
    DIHEDRAL,
    InternalCoordinate,
    internal_values,
    kind_names,
    kind_places,
    kinds_of,
)


class AbstractInternalDistribution(AbstractObservable):
    """The density of a coordinate inside the molecules, in equal bins."""

    minimum: eqx.AbstractVar[float]
    maximum: eqx.AbstractVar[float]
    bins: eqx.AbstractVar[int]
    kinds: eqx.AbstractVar[tuple[tuple[int, ...], ...]]

    @property
    @abc.abstractmethod
    def coordinate(self) -> InternalCoordinate:
        """Of every chain."""

    @property
    @abc.abstractmethod
    def axis(self) -> str:
        """Name of the coordinate's dimension."""

    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """Names of the kinds, and bin centres."""
        edges = np.linspace(self.minimum, self.maximum, self.bins + 1)
        centers = xr.Variable(self.axis, 0.5 * (edges[1:] + edges[:-1]), {"units": self.coordinate.unit})
        names = kind_names(self.kinds, topology.type_names)
        return {f"{self.coordinate.chain}_type": names, self.axis: centers}

    def measure(self, configuration: Configuration) -> Float[Array, "kind value"]:
        """Fraction of the chains of every kind in every bin over its width."""
        require(
            bool(self.kinds),
            f"{type(self).__name__} has no kinds of {self.coordinate.chain}s yet. Call prepare with topology "
            "and box.",
        )
        places = kind_places(self.coordinate, configuration.topology, self.kinds)
        q = internal_values(self.coordinate, configuration)
        width, count = (self.maximum - self.minimum) / self.bins, len(self.kinds)
        # rounding may put a value at the end of its range on the right edge of the last bin
        last = q == jnp.asarray(self.maximum, q.dtype)
        bin_of = jnp.where(last, self.bins - 1, jnp.floor((q - self.minimum) / width)).astype(jnp.int32)
        inside = (bin_of >= 0) & (bin_of < self.bins)
        flat = jnp.where(inside, places * self.bins + bin_of, count * self.bins)
        counts = jnp.zeros(count * self.bins, float).at[flat].add(1.0, mode="drop")
        chains = jax.ops.segment_sum(jnp.ones(q.shape, float), places, count)
        return counts.reshape(count, self.bins) / (jnp.maximum(chains, 1.0)[:, None] * width)


class BondLength(AbstractInternalDistribution):
    """Density of the length of every kind of bond, 1/nm.

    Attributes:
        minimum: left edge of the first bin, nm.
        maximum: right edge of the last.
        bins: number of bins.
        kinds: pairs of types of bonded beads; set by `prepare`.

    Raises:
        BayescgError: a range in the wrong order, or beads without bonds.

    Example:
        >>> import bayescg as bcg
        >>> bcg.observables.BondLength(minimum=0.2, maximum=0.4, bins=50).units
        '1/nm'
    """

    minimum: float = eqx.field(static=True, default=0.0)
    maximum: float = eqx.field(static=True, default=0.8)
    bins: int = eqx.field(static=True, default=160)
    kinds: tuple[tuple[int, ...], ...] = eqx.field(static=True, default=())
    name: str = eqx.field(static=True, default="bond_length_distribution", init=False)
    units: str = eqx.field(static=True, default="1/nm", init=False)

    def __check_init__(self) -> None:
        _check_range(self.minimum, self.maximum, self.bins, lowest=0.0, highest=np.inf, unit="nm")

    @property
    def coordinate(self) -> InternalCoordinate:
        """Length of a bond."""
        return BOND

    @property
    def axis(self) -> str:
        """Name of the coordinate's dimension."""
        return "bond_length"

    def prepare(self, topology: Topology, box: Any) -> "BondLength":
        """Find the kinds of bonds."""
        return BondLength(self.minimum, self.maximum, self.bins, _kinds(BOND, topology))


class BondAngle(AbstractInternalDistribution):
    """Density of every kind of angle between bonds, 1/rad.

    Attributes:
        minimum: left edge of the first bin, rad.
        maximum: right edge of the last.
        bins: number of bins.
        kinds: triples of types; set by `prepare`.

    Raises:
        BayescgError: a range in the wrong order or beyond 0 to pi, or beads without angles.

    Example:
        >>> import bayescg as bcg
        >>> bcg.observables.BondAngle(bins=60).name
        'bond_angle_distribution'
    """

    minimum: float = eqx.field(static=True, default=0.0)
    maximum: float = eqx.field(static=True, default=np.pi)
    bins: int = eqx.field(static=True, default=90)
    kinds: tuple[tuple[int, ...], ...] = eqx.field(static=True, default=())
    name: str = eqx.field(static=True, default="bond_angle_distribution", init=False)
    units: str = eqx.field(static=True, default="1/rad", init=False)

    def __check_init__(self) -> None:
        _check_range(self.minimum, self.maximum, self.bins, lowest=0.0, highest=np.pi, unit="rad")

    @property
    def coordinate(self) -> InternalCoordinate:
        """Angle at the middle bead."""
        return ANGLE

    @property
    def axis(self) -> str:
        """Name of the coordinate's dimension."""
        return "bond_angle"

    def prepare(self, topology: Topology, box: Any) -> "BondAngle":
        """Find the kinds of angles."""
        return BondAngle(self.minimum, self.maximum, self.bins, _kinds(ANGLE, topology))


class DihedralAngle(AbstractInternalDistribution):
    """Density of every kind of dihedral, 1/rad; zero is cis.

    Attributes:
        minimum: left edge of the first bin, rad.
        maximum: right edge of the last.
        bins: number of bins.
        kinds: types of four beads in a row; set by `prepare`.

    Raises:
        BayescgError: a range in the wrong order or beyond -pi to pi, or beads without dihedrals.

    Example:
        >>> import bayescg as bcg
        >>> bcg.observables.DihedralAngle(bins=36).bins
        36
    """

    minimum: float = eqx.field(static=True, default=-np.pi)
    maximum: float = eqx.field(static=True, default=np.pi)
    bins: int = eqx.field(static=True, default=72)
    kinds: tuple[tuple[int, ...], ...] = eqx.field(static=True, default=())
    name: str = eqx.field(static=True, default="dihedral_angle_distribution", init=False)
    units: str = eqx.field(static=True, default="1/rad", init=False)

    def __check_init__(self) -> None:
        _check_range(self.minimum, self.maximum, self.bins, lowest=-np.pi, highest=np.pi, unit="rad")

    @property
    def coordinate(self) -> InternalCoordinate:
        """The dihedral angle."""
        return DIHEDRAL

    @property
    def axis(self) -> str:
        """Name of the coordinate's dimension."""
        return "dihedral_angle"

    def prepare(self, topology: Topology, box: Any) -> "DihedralAngle":
        """Find the kinds of dihedrals."""
        return DihedralAngle(self.minimum, self.maximum, self.bins, _kinds(DIHEDRAL, topology))


def _kinds(coordinate: InternalCoordinate, topology: Topology) -> tuple[tuple[int, ...], ...]:
    kinds = kinds_of(coordinate, topology)
    if not kinds:
        raise BayescgError(
            f"beads must have {coordinate.chain}s for their distribution, got none. Map atoms whose topology "
            f"has bonds to several beads a molecule, or set the variable {coordinate.chain} of the beads."
        )
    return kinds


def _check_range(
    minimum: float, maximum: float, bins: int, *, lowest: float, highest: float, unit: str
) -> None:
    whole("bins", bins)
    require(
        lowest <= minimum < maximum <= highest,
        f"minimum and maximum must be in order between {lowest:.4g} and {highest:.4g} {unit}, got {minimum} "
        f"and {maximum} {unit}. Exchange or narrow them.",
    )
