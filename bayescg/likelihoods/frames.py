"""Force matching on the frames themselves, where no sums suffice.

Used for potentials that are not linear in their parameters and for noise that is not Gaussian; the
cost of every density grows with the number of frames. Frames are scored one after the other, so that
memory does not grow with them beyond the data themselves.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError
from bayescg._typing import Array, Float, Int, NumpyArray
from bayescg.interfaces import AbstractPotential, Configuration, Topology
from bayescg.likelihoods.design import CAPACITY_STEP, Frame
from bayescg.likelihoods.noise import AbstractForceNoise, thermal_ratio
from bayescg.numerics.batches import map_in_batches
from bayescg.numerics.pairs import neighbor_matrix

FrameArrays = tuple[Array, Array | None, Array, Array | None]
"""Positions, boxes, neighbours and temperatures, each with a leading frame axis where it is not None."""

FRAMES_AT_ONCE = 4
"""Frames whose forces are computed together: enough to fill vector units, little memory."""


class ForceFrames(eqx.Module):
    """Frames of one topology with their forces and neighbours.

    Attributes:
        positions: nm.
        boxes: nm; None for an open system.
        neighbors: padded with the number of beads.
        forces: kJ/mol/nm.
        noise_ratio: scale of every frame's noise over that at the reference temperature.
        block: contiguous block that every frame belongs to.
        topology: of the beads.
        block_count: number of blocks.
        temperatures: K; None where some frame's is unknown.
    """

    positions: Float[Array, "frame bead dim"]
    boxes: Float[Array, "frame dim"] | None
    neighbors: Int[Array, "frame bead neighbor"]
    forces: Float[Array, "frame bead dim"]
    noise_ratio: Float[Array, " frame"]
    block: Int[Array, " frame"]
    topology: Topology
    block_count: int = eqx.field(static=True)
    temperatures: Float[Array, " frame"] | None = None

    @property
    def arrays(self) -> FrameArrays:
        """What `configuration` takes of every frame, for maps over frames."""
        return self.positions, self.boxes, self.neighbors, self.temperatures

    def configuration(self, frame: FrameArrays) -> Configuration:
        """One frame of `arrays`."""
        positions, box, neighbors, temperature = frame
        return Configuration(positions, box, neighbors, self.topology, temperature)

    @property
    def type_names(self) -> tuple[str, ...]:
        """Bead types."""
        return self.topology.type_names

    def log_densities(self, potential: AbstractPotential, noise: AbstractForceNoise) -> Array:
        """Log density of the forces of every block, shape (block,)."""

        @jax.checkpoint  # forces are computed again for the gradient instead of being kept for all frames
        def of_frame(parts: tuple[Any, Array, Array]) -> Array:
            frame, forces, ratio = parts
            residual = forces - potential.forces(self.configuration(frame))
            return self.log_density(noise, residual, ratio)

        frames = (self.arrays, self.forces, self.noise_ratio)
        densities = map_in_batches(of_frame, frames, FRAMES_AT_ONCE)
        return jax.ops.segment_sum(densities, self.block, self.block_count, indices_are_sorted=True)

    def log_density(self, noise: AbstractForceNoise, residual: Float[Array, "bead dim"], ratio: Any) -> Array:
        """Log density of one frame's residual forces, whose noise is `ratio` times that at the reference."""
        return noise.log_density(residual / ratio, self.topology.types) - residual.size * jnp.log(ratio)

    def mean_square(self) -> NumpyArray:
        """Mean square force component of every bead type at the reference temperature, (kJ/mol/nm)²."""
        at_reference = np.asarray(self.forces) / np.asarray(self.noise_ratio)[:, None, None]
        square = np.square(at_reference).mean(axis=(0, 2))
        types = np.asarray(self.topology.types)
        return np.array([square[types == kind].mean() for kind in range(len(self.type_names))])

    def datasets(self) -> dict[str, xr.Dataset]:
        """Mean square force and the size of the blocks."""
        frames = np.bincount(np.asarray(self.block), minlength=self.block_count)
        return {
            "observed_data": mean_square_force(self.mean_square(), self.type_names),
            "constant_data": frames_per_block(frames),
        }


def gather_frames(
    potential: AbstractPotential,
    frames: list[tuple[Frame, NumpyArray]],
    blocks: int,
    reference_temperature: float | None = None,
) -> ForceFrames:
    """Stack frames with neighbour matrices of one width.

    Args:
        potential: whose cutoff the frames' pairs reach.
        frames: frames with their forces (bead, dim).
        blocks: largest number of contiguous blocks.
        reference_temperature: at which the noise has its own scale, K; None where all frames share one.

    Raises:
        BayescgError: frames of different systems.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.LennardJones(epsilon=0.65, sigma=0.3, cutoff=0.9))
        >>> data = bcg.data.water(frames=8)
        >>> model, matching = bcg.likelihoods.ForceMatching().prepare(model, data)
        >>> type(matching.observe(model, data)).__name__
        'ForceFrames'
    """
    only = [frame for frame, _ in frames]
    positions, boxes, neighbors, temperatures = stacked(only)
    count = min(blocks, len(frames))
    return ForceFrames(
        positions,
        boxes,
        neighbors,
        jnp.asarray(np.stack([forces for _, forces in frames])),
        jnp.asarray([thermal_ratio(frame.temperature, reference_temperature) for frame in only]),
        jnp.asarray(np.arange(len(frames)) * count // len(frames)),
        only[0].topology,
        count,
        temperatures,
    )


def stacked(frames: list[Frame]) -> FrameArrays:
    """Frames of one system as arrays, with neighbour matrices of one width.

    Args:
        frames: with the pairs within the potential's cutoff.

    Raises:
        BayescgError: frames of different systems.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.likelihoods.reading import frames_of
        >>> stacked([frame for frame, _ in frames_of(bcg.data.water(frames=2), 0.5)])[0].shape
        (2, 510, 3)
    """
    first = frames[0]
    for index, frame in enumerate(frames):
        if _system(frame) != _system(first):
            raise BayescgError(
                "frames must hold the same beads in the same order, all periodic or all open, where the "
                f"potential is not linear or the noise not Gaussian, got another system in frame {index}. "
                "Give one term per system and add the terms."
            )
    beads = first.positions.shape[0]
    tight = [neighbor_matrix(frame.pairs, beads) for frame in frames]
    width = -(-max(matrix.shape[1] for matrix in tight) // CAPACITY_STEP) * CAPACITY_STEP
    padded = [
        np.pad(m, ((0, 0), (0, width - m.shape[1])), constant_values=beads).astype(np.int32) for m in tight
    ]
    boxes = None if first.box is None else jnp.asarray(np.stack([f.box for f in frames]))  # type: ignore[arg-type]
    positions = jnp.asarray(np.stack([frame.positions for frame in frames]))
    return positions, boxes, jnp.asarray(np.stack(padded)), _temperatures(frames)


def _temperatures(frames: list[Frame]) -> Array | None:
    found = [frame.temperature for frame in frames]
    return None if None in found else jnp.asarray(found, dtype=float)


def _system(frame: Frame) -> tuple[tuple[int, ...], tuple[bytes, ...], bool]:
    """What all frames of one array must share."""
    shared = frame.topology
    parts = (shared.types, shared.bonds, shared.angles, shared.dihedrals, shared.excluded)
    return frame.positions.shape, tuple(np.asarray(part).tobytes() for part in parts), frame.box is None


def mean_square_force(values: NumpyArray, type_names: tuple[str, ...]) -> xr.Dataset:
    """The data that are scored, in short.

    Example:
        >>> import numpy as np
        >>> float(mean_square_force(np.array([4.0]), ("A",))["mean_square_force"][0])
        4.0
    """
    variable = xr.DataArray(values, dims="type", coords={"type": list(type_names)})
    variable.attrs["units"] = "(kJ/mol/nm)^2"
    return xr.Dataset({"mean_square_force": variable})


def frames_per_block(frames: NumpyArray) -> xr.Dataset:
    """How many frames every block holds.

    Example:
        >>> import numpy as np
        >>> int(frames_per_block(np.array([3, 3]))["frames_per_block"].sum())
        6
    """
    return xr.Dataset({"frames_per_block": ("block", np.asarray(frames))})
