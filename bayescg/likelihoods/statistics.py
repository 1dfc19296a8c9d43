"""Sufficient statistics of force matching: sums that add over frames, files and machines.

For every block of frames and bead type, with the design Phi and the forces f of its beads,

    gram = Phi'Phi,    projection = Phi'f,    square = f'f,    count = number of components,

so that the squared error of any coefficients is square - 2 theta'projection + theta'gram theta. Frames of
another temperature count in units of their noise (`noise.thermal_ratio`); the logarithms of these units are
summed beside.
Blocks are contiguous. When there are twice as many as allowed, neighbours are merged: memory does not
grow with the number of frames.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._typing import Array, Float, NumpyArray
from bayescg.interfaces import type_pairs
from bayescg.likelihoods.frames import frames_per_block, mean_square_force


class Sums(NamedTuple):
    """Sums over frames, with or without a leading block axis.

    Attributes:
        gram: (type, feature, feature).
        projection: (type, feature).
        square: (type,).
        count: (type,).
        log_ratio: (type,); Σ log of the noise's scale over that at the reference temperature.
    """

    gram: Array | NumpyArray
    projection: Array | NumpyArray
    square: Array | NumpyArray
    count: Array | NumpyArray
    log_ratio: Array | NumpyArray


class ForceStatistics(eqx.Module):
    """Sums per block and in total.

    Attributes:
        blocks: sums with a leading block axis.
        total: sums over all blocks.
        frames: number of frames in every block.
        distances: counts of pair distances, in bins from 0 to `cutoff`.
        cutoff: nm.
        type_names: bead types.
    """

    blocks: Sums
    total: Sums
    frames: Float[Array, " block"]
    distances: Float[Array, "type_pair bin"]
    cutoff: float = eqx.field(static=True)
    type_names: tuple[str, ...] = eqx.field(static=True)

    def squared_error(self, sums: Sums, theta: Float[Array, " feature"]) -> Array:
        """Σ |f - Phi theta|² per type (and block), (kJ/mol/nm)².

        Example:
            >>> import bayescg as bcg, jax.numpy as jnp
            >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12, start=0.24))
            >>> data = bcg.data.water(frames=8)
            >>> model, matching = bcg.likelihoods.ForceMatching().prepare(model, data)
            >>> seen = matching.observe(model, data)
            >>> bool(jnp.allclose(seen.squared_error(seen.total, jnp.zeros(11)), seen.total.square))
            True
        """
        linear = jnp.einsum("...f,f->...", sums.projection, theta)
        return jnp.asarray(sums.square) - 2 * linear + jnp.einsum("...fg,f,g->...", sums.gram, theta, theta)

    def mean_square(self) -> NumpyArray:
        """Mean square force component of every bead type at the reference temperature, (kJ/mol/nm)²."""
        return np.asarray(self.total.square / self.total.count)

    def datasets(self) -> dict[str, xr.Dataset]:
        """Sampled distances, mean square force and the size of the blocks."""
        bins = self.distances.shape[-1]
        names = ["-".join(self.type_names[i] for i in pair) for pair in type_pairs(len(self.type_names))]
        width = self.cutoff / bins
        distances = xr.DataArray(
            np.asarray(self.distances),
            dims=("type_pair", "distance"),
            coords={"type_pair": names, "distance": (np.arange(bins) + 0.5) * width},
            attrs={"long_name": "pairs per bin of distance, all frames", "units": "1"},
        )
        distances["distance"].attrs["units"] = "nm"
        constant = frames_per_block(np.asarray(self.frames)).assign(pair_distance_count=distances)
        return {
            "observed_data": mean_square_force(self.mean_square(), self.type_names),
            "constant_data": constant,
        }


class BlockAccumulator:
    """Collects the sums of single frames into contiguous blocks, fewer than 2 x `capacity`."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._frames_per_block = 1
        self._open: Sums | None = None
        self._open_frames = 0
        self._blocks: list[Sums] = []
        self._sizes: list[int] = []

    def add(self, sums: Sums) -> None:
        """Add one frame."""
        self._open = sums if self._open is None else _add(self._open, sums)
        self._open_frames += 1
        if self._open_frames == self._frames_per_block:
            self._close()

    def result(self) -> tuple[Sums, NumpyArray]:
        """All blocks so far and their numbers of frames."""
        self._close()
        blocks = Sums(*(np.stack(column) for column in zip(*self._blocks, strict=True)))
        return blocks, np.asarray(self._sizes, dtype=float)

    def _close(self) -> None:
        if self._open is not None:
            self._blocks.append(self._open)
            self._sizes.append(self._open_frames)
        self._open, self._open_frames = None, 0
        if len(self._blocks) == 2 * self._capacity:
            self._blocks = [_add(a, b) for a, b in zip(self._blocks[::2], self._blocks[1::2], strict=True)]
            self._sizes = [a + b for a, b in zip(self._sizes[::2], self._sizes[1::2], strict=True)]
            self._frames_per_block *= 2


def frame_sums(
    design: NumpyArray, forces: NumpyArray, types: NumpyArray, type_count: int, ratio: float = 1.0
) -> Sums:
    """Sums of one frame.

    Args:
        design: (dim, bead, feature).
        forces: (dim, bead), kJ/mol/nm.
        types: (bead,).
        type_count: number of bead types.
        ratio: of the frame's noise to that at the reference temperature.

    Example:
        >>> import numpy as np
        >>> sums = frame_sums(np.ones((1, 2, 1)), np.array([[1.0, 3.0]]), np.array([0, 0]), 1)
        >>> [float(part.squeeze()) for part in sums]
        [2.0, 4.0, 10.0, 2.0, 0.0]
    """
    features = design.shape[-1]
    parts = []
    for kind in range(type_count):
        rows = design if type_count == 1 else design[:, types == kind]
        target = forces if type_count == 1 else forces[:, types == kind]
        phi, f = rows.reshape(-1, features), target.reshape(-1)
        products = phi.T @ phi / ratio**2, phi.T @ f / ratio**2, f @ f / ratio**2
        parts.append((*products, float(f.size), f.size * math.log(ratio)))
    return Sums(*(np.stack(column) for column in zip(*parts, strict=True)))


def _add(a: Sums, b: Sums) -> Sums:
    return Sums(*(x + y for x, y in zip(a, b, strict=True)))
