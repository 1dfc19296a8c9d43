"""A path as its frames: the observations of `Path` where forces are not linear in their parameters.

Forces are computed for every frame and every parameter, then filtered chunk by chunk; the cost grows with
the number of frames.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float, Int, NumpyArray
from bayescg.interfaces import AbstractPotential, Configuration, Topology
from bayescg.likelihoods.design import CAPACITY_STEP
from bayescg.likelihoods.path_builder import FEWEST_BLOCKS
from bayescg.likelihoods.path_correlations import group_beads, known_series
from bayescg.likelihoods.path_series import Stretch
from bayescg.likelihoods.reading import listed_pairs
from bayescg.numerics.batches import map_in_batches
from bayescg.numerics.filtering import CHUNK, filter_chunks
from bayescg.numerics.pairs import check_cutoff, neighbor_matrix
from bayescg.numerics.statespace import Filtered, StateSpace, kalman_filter

FRAMES_AT_ONCE = 64
"""Frames whose forces are computed together."""


class Members(eqx.Module):
    """Beads of one filter.

    Attributes:
        beads: their indices.
        mass: amu; None where it is a parameter of the likelihood.
    """

    beads: Int[Array, " bead"]
    mass: Float[Array, ""] | None


class FrameStretch(eqx.Module):
    """Consecutive frames.

    Attributes:
        positions: as recorded.
        boxes: nm; None for an open system.
        neighbors: padded with the number of beads.
        known: inputs of every component of every bead that do not depend on the parameters.
        start: likewise, of the first frame.
        members: beads by mass.
        topology: of the beads.
        temperature: K.
        interval: ps.
        block_count: contiguous blocks of frames.
    """

    positions: Float[Array, "frame bead dim"]
    boxes: Float[Array, "frame dim"] | None
    neighbors: Int[Array, "frame bead neighbor"]
    known: Float[Array, "bead dim row channel"]
    start: Float[Array, "bead dim channel"]
    members: tuple[Members, ...]
    topology: Topology
    temperature: float = eqx.field(static=True)
    interval: float = eqx.field(static=True)
    block_count: int = eqx.field(static=True)


class PathFrames(eqx.Module):
    """All stretches.

    Attributes:
        stretches: of consecutive frames.
        origin: subtracted from positions.
        reference: stiffness of a spring that kicks take back; None for none.
        before: whether the force of a row is that before the step (positions) or after it (velocities).
    """

    stretches: tuple[FrameStretch, ...]
    origin: Float[Array, ""]
    reference: Float[Array, ""] | None
    before: bool = eqx.field(static=True)

    def log_densities(
        self, potential: AbstractPotential, space: Callable[[FrameStretch, Members], StateSpace]
    ) -> Float[Array, " block"]:
        """Log density of every block.

        Args:
            potential: all forces but the exact ones.
            space: the state space of some beads of a stretch.
        """
        found = []
        for stretch in self.stretches:
            inputs, start = self._inputs(potential, stretch)
            chunks: Array = jnp.zeros(())
            for members in stretch.members:
                s, first = inputs[members.beads], start[members.beads]
                s, first = s.reshape(-1, *s.shape[2:]), first.reshape(-1, first.shape[-1])
                chunks = chunks + filter_chunks(space(stretch, members), s, first).log_likelihood
            place = np.arange(chunks.size) * stretch.block_count // chunks.size
            found.append(jax.ops.segment_sum(chunks, jnp.asarray(place), stretch.block_count))
        return jnp.concatenate(found)

    def standardized(self, filtered: list[list[Filtered]]) -> list[NumpyArray]:
        """Standardized innovations of every stretch, (bead, dim, row).

        Args:
            filtered: as from `filtered`.
        """
        found = []
        for stretch, of_members in zip(self.stretches, filtered, strict=True):
            standard = np.empty(stretch.known.shape[:3])
            for members, one in zip(stretch.members, of_members, strict=True):
                standard[members.beads] = one.innovations / np.sqrt(one.variances)
            found.append(standard)
        return found

    def filtered(
        self, potential: AbstractPotential | None, space: Callable[[FrameStretch, Members], StateSpace]
    ) -> list[list[Filtered]]:
        """The exact filter along every stretch, for all members, (bead, dim, row); pure.

        Args:
            potential: all forces but the exact ones; None for none.
            space: the state space of some beads of a stretch.
        """
        along = jax.vmap(jax.vmap(kalman_filter, (None, 0, 0)), (None, 0, 0))
        found = []
        for stretch in self.stretches:
            inputs, start = self._inputs(potential, stretch)
            found.append(
                [
                    along(space(stretch, members), inputs[members.beads], start[members.beads])
                    for members in stretch.members
                ]
            )
        return found

    def _inputs(self, potential: AbstractPotential | None, stretch: FrameStretch) -> tuple[Array, Array]:
        """Inputs (bead, dim, row, channel) and starts, the force in the last channel."""
        if potential is None:
            force = jnp.zeros((*stretch.known.shape[:2], stretch.positions.shape[0]))
        else:
            force = _forces(potential, stretch).transpose(1, 2, 0)
        rows = force[..., :-1] if self.before else force[..., 1:]
        inputs = jnp.concatenate([stretch.known, rows[..., None]], axis=-1)
        return inputs, jnp.concatenate([stretch.start, force[..., :1]], axis=-1)

    def frames(self) -> NumpyArray:
        """Innovations of every block."""
        counts = []
        for stretch in self.stretches:
            rows = np.arange(stretch.known.shape[2])
            chunk_count = -(-rows.size // CHUNK)
            place = (rows // CHUNK) * stretch.block_count // chunk_count
            series = stretch.known.shape[0] * stretch.known.shape[1]
            counts.append(series * np.bincount(place, minlength=stretch.block_count))
        return np.concatenate(counts)


def gather_path_frames(
    parts: list[Stretch],
    potential: AbstractPotential | None,
    *,
    observed: str,
    spring: bool,
    origin: float,
    reference: float | None,
    mass: float | None,
    infer: bool,
) -> PathFrames:
    """Keep the frames with their neighbours.

    Args:
        parts: all stretches.
        potential: whose cutoff the neighbours reach.
        observed: "positions" or "velocities".
        spring: whether the position itself and one are inputs.
        origin: subtracted from positions.
        reference: stiffness of a spring that kicks take back; None for none.
        mass: of every bead, amu; None for that of the data.
        infer: whether mass is a parameter.
    """
    wanted = -(-FEWEST_BLOCKS // len(parts))
    stretches = []
    for part in parts:
        beads = np.arange(part.positions.shape[1])
        known, start = known_series(
            part, beads, observed=observed, positions=spring or reference is not None, origin=origin
        )
        members = tuple(
            Members(jnp.asarray(chosen), None if key.mass is None else jnp.asarray(key.mass))
            for key, chosen in group_beads(part, mass, infer).items()
        )
        boxes = None if part.boxes is None else jnp.asarray(part.boxes)
        blocks = max(min(wanted, -(-known.shape[2] // CHUNK)), 1)
        stretches.append(
            FrameStretch(
                jnp.asarray(part.positions),
                boxes,
                jnp.asarray(_neighbors(part, 0.0 if potential is None else potential.cutoff)),
                jnp.asarray(known),
                jnp.asarray(start),
                members,
                part.topology,
                part.temperature,
                part.interval,
                blocks,
            )
        )
    kept = None if reference is None else jnp.asarray(reference)
    return PathFrames(tuple(stretches), jnp.asarray(origin), kept, observed == "positions")


def _neighbors(part: Stretch, cutoff: float) -> NumpyArray:
    frames, beads, _ = part.positions.shape
    if cutoff == 0:
        return np.zeros((frames, beads, 0), dtype=np.int32)
    boxes = part.boxes
    if boxes is not None:
        check_cutoff(cutoff, boxes)
    tight = [
        neighbor_matrix(
            listed_pairs(x, None if boxes is None else boxes[index], cutoff, part.topology), beads
        )
        for index, x in enumerate(part.positions)
    ]
    width = -(-max(matrix.shape[1] for matrix in tight) // CAPACITY_STEP) * CAPACITY_STEP
    padded = [np.pad(m, ((0, 0), (0, width - m.shape[1])), constant_values=beads) for m in tight]
    return np.stack(padded).astype(np.int32)


def _forces(potential: AbstractPotential, stretch: FrameStretch) -> Float[Array, "frame bead dim"]:
    @jax.checkpoint  # forces are computed again for the gradient instead of being kept for all frames
    def of_frame(frame: tuple[Array, Array | None, Array]) -> Array:
        positions, box, neighbors = frame
        configuration = Configuration(positions, box, neighbors, stretch.topology, stretch.temperature)
        return potential.forces(configuration)

    frames = (stretch.positions, stretch.boxes, stretch.neighbors)
    return map_in_batches(of_frame, frames, FRAMES_AT_ONCE)
