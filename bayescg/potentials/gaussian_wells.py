"""Sums of Gaussians of the distance: on a fixed grid, linear in their depths, or free to move.

    u_ab(r) = -sum_k D_abk exp(-(r - c_abk)²/2 w²) S(r)

S is the switch of `LennardJones`: value, slope and curvature vanish at the cutoff. Gaussians have no core:
add one, `WCA` for instance.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, positive, require, whole
from bayescg._typing import Array, Float, Int
from bayescg.interfaces import (
    AbstractLinearPotential,
    AbstractPairPotential,
    Configuration,
    Support,
    type_pairs,
)
from bayescg.potentials.pair import SWITCH, switch
from bayescg.potentials.pair_basis import pair_basis_forces
from bayescg.potentials.pair_parameters import pair_names, pair_place


class GaussianWells(AbstractPairPotential, AbstractLinearPotential):
    """Gaussians on a uniform grid from `start` to 0.9 cutoff, as wide as their spacing unless told.

    Attributes:
        cutoff: nm.
        count: number of Gaussians of every pair of types.
        start: center of the first, nm; None for the shortest distance in the data.
        width: w, nm; None for the spacing of the centers.
        starts: first center of every pair of types, nm; set by `prepare`.
        type_names: bead types; set by `prepare`.
        depths: D, kJ/mol, positive where beads attract; set by `prepare`.

    Raises:
        BayescgError: fewer than two Gaussians, a length that is not positive, or no room for the grid.

    Example:
        >>> import bayescg as bcg
        >>> wells = bcg.potentials.GaussianWells(cutoff=0.9, count=8)
        >>> wells.prepare(bcg.interfaces.Support(("A",), (0.25,))).depths.shape
        (1, 8)
    """

    cutoff: float = eqx.field(static=True)
    count: int = eqx.field(static=True, default=12)
    start: float | None = eqx.field(static=True, default=None)
    width: float | None = eqx.field(static=True, default=None)
    starts: tuple[float, ...] = eqx.field(static=True, default=())
    type_names: tuple[str, ...] = eqx.field(static=True, default=())
    depths: Float[Array, "type_pair well"] | None = None

    def __check_init__(self) -> None:
        positive("cutoff", self.cutoff, unit="nm")
        whole("count", self.count, minimum=2)
        if self.width is not None:
            positive("width", self.width, unit="nm")
        for start in (self.start, *self.starts):
            require(
                start is None or 0 <= start < SWITCH * self.cutoff,
                f"start must lie between 0 and {SWITCH} of the cutoff of {self.cutoff} nm, got {start} nm. "
                "Give the shortest distance that the beads reach, or a larger cutoff.",
            )

    @property
    def centers(self) -> Float[Array, "type_pair well"]:
        """c, nm."""
        return jnp.asarray(np.linspace(self.starts, SWITCH * self.cutoff, self.count, axis=-1))

    @property
    def widths(self) -> Float[Array, " type_pair"]:
        """Width of every pair of types, nm."""
        centers = self.centers
        spacing = centers[:, 1] - centers[:, 0]
        return spacing if self.width is None else jnp.full_like(spacing, self.width)

    def prepare(self, support: Support) -> "GaussianWells":
        """Allocate the depths: zeros, one row per pair of types."""
        support.check_types(self.type_names)
        count = len(type_pairs(len(support.type_names)))
        starts = tuple(support.shortest) if self.start is None else (self.start,) * count
        if self.starts and self.start is None:  # prepared for other data before: serve both
            starts = tuple(min(old, new) for old, new in zip(self.starts, starts, strict=True))
        depths = jnp.zeros((count, self.count), dtype=float)
        return GaussianWells(
            self.cutoff, self.count, self.start, self.width, starts, support.type_names, depths
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Names of the type pairs; Gaussians by number (their places differ between pairs)."""
        return {"depths": {"type_pair": pair_names(self.type_names), "well": np.arange(self.count)}}

    def coefficient_paths(self) -> tuple[str, ...]:
        """The depths are the coefficients."""
        return ("depths",)

    def pair_energy(
        self, distance: Float[Array, ""], first_type: Int[Array, ""], second_type: Int[Array, ""]
    ) -> Float[Array, ""]:
        """u(r) of one pair, kJ/mol."""
        pair = pair_place(first_type, second_type, type_names=self.type_names, owner="GaussianWells")
        assert self.depths is not None
        return self._functions(distance, pair) @ self.depths[pair]

    def basis_forces(self, configuration: Configuration) -> Float[Array, "bead dim feature"]:
        """Forces of the Gaussians, 1/nm."""

        def slopes(distance: Array, pair: Array) -> Array:
            one = jnp.ones_like(distance)
            return jax.jvp(lambda r: self._functions(r, pair), (distance,), (one,))[1]

        return pair_basis_forces(configuration, slopes, cutoff=self.cutoff, type_count=len(self.type_names))

    def _functions(self, distance: Array, pair: Array) -> Array:
        """-exp(-(r - c)²/2 w²) S(r), with the axis of the Gaussians last."""
        y = (distance[..., None] - self.centers[pair]) / self.widths[pair][..., None]
        return -jnp.exp(-0.5 * y**2) * switch(distance, SWITCH * self.cutoff, self.cutoff)[..., None]


class FreeGaussianWells(AbstractPairPotential):
    """A few Gaussians whose depths, centers and widths are all parameters.

    Attributes:
        depths: D, kJ/mol, positive where beads attract; a row of wells, or one row per pair of types.
        centers: c, nm; likewise.
        widths: w, nm; likewise.
        cutoff: nm.
        type_names: bead types; set by `prepare`.

    Raises:
        BayescgError: rows of different length, a depth of zero, or a length that is not positive.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp
        >>> well = bcg.potentials.FreeGaussianWells(depths=[2.0], centers=[0.3], widths=[0.05], cutoff=0.9)
        >>> well = well.prepare(bcg.interfaces.Support(("A",), (0.25,)))
        >>> float(well.pair_energy(jnp.array(0.3), jnp.array(0), jnp.array(0)))
        -2.0
    """

    depths: Float[Array, "*type_pair well"]
    centers: Float[Array, "*type_pair well"]
    widths: Float[Array, "*type_pair well"]
    cutoff: float = eqx.field(static=True)
    type_names: tuple[str, ...] = eqx.field(static=True, default=())

    def __init__(
        self, depths: Any, centers: Any, widths: Any, cutoff: float = 1.0, type_names: tuple[str, ...] = ()
    ) -> None:
        self.depths, self.centers, self.widths = (
            jnp.atleast_1d(jnp.asarray(value, dtype=float)) for value in (depths, centers, widths)
        )
        self.cutoff = positive("cutoff", cutoff, unit="nm")
        self.type_names = type_names

    def prepare(self, support: Support) -> "FreeGaussianWells":
        """One row of wells per pair of types."""
        support.check_types(self.type_names)
        shape = (len(type_pairs(len(support.type_names))), self.depths.shape[-1])
        for name in ("depths", "centers", "widths"):
            value = getattr(self, name)
            if value.shape not in (shape[1:], shape):
                raise BayescgError(
                    f"{name} must be a row of {shape[1]} wells or one row for each of {shape[0]} pairs of "
                    f"types, got shape {value.shape}. Give depths, centers and widths of the same wells."
                )
            good = jnp.isfinite(value) & (value != 0 if name == "depths" else value > 0)
            require(
                bool(jnp.all(good)),
                f"{name} must be {'other than zero' if name == 'depths' else 'positive'}, got "
                f"{value.tolist()}. Give the scale you expect: the default prior is centered there.",
            )
        rows = (jnp.broadcast_to(value, shape) for value in (self.depths, self.centers, self.widths))
        return FreeGaussianWells(*rows, cutoff=self.cutoff, type_names=support.type_names)

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Names of the type pairs; wells by number."""
        labels = {"type_pair": pair_names(self.type_names), "well": np.arange(self.depths.shape[-1])}
        return {path: dict(labels) for path in ("depths", "centers", "widths")}

    def pair_energy(
        self, distance: Float[Array, ""], first_type: Int[Array, ""], second_type: Int[Array, ""]
    ) -> Float[Array, ""]:
        """u(r) of one pair, kJ/mol."""
        pair = pair_place(first_type, second_type, type_names=self.type_names, owner="FreeGaussianWells")
        y = (distance - self.centers[pair]) / self.widths[pair]
        wells = -jnp.sum(self.depths[pair] * jnp.exp(-0.5 * y**2))
        return wells * switch(distance, SWITCH * self.cutoff, self.cutoff)
