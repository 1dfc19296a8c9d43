"""Many segments alike as fewer: what their ends add to a log likelihood needs second moments alone.

Heads, tails and start of a segment, one vector x, enter the log likelihood as x' M x with one matrix M for
all segments of the same numbers of frames. Their sum is tr(M X'X), and X'X = R'R of the triangle of X = QR,
which has as many rows as a segment has numbers: the rows of R are segments that stand for all.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

from bayescg.numerics.innovations import Ends, Pieces

WORTH = 1.5
"""Segments for one number of a segment, from which on the triangle pays."""


def condensed(pieces: Pieces) -> Pieces:
    """Pieces with the same log likelihood, of fewer segments where many are alike; else as they are; in jit.

    They have no blocks any more: `innovations.log_likelihood_form` and `innovations.neglected` take them.

    Args:
        pieces: the ends of all pieces, features as they shall enter.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(None, bcg.memory.Prony(modes=1))
        >>> path = bcg.likelihoods.Path(observed="velocities")
        >>> beads = bcg.data.water_dynamics(frames=20)
        >>> model, path = path.prepare(model, beads)
        >>> pieces = path.observe(model, beads).groups[0].pieces
        >>> pieces.length.shape, condensed(pieces).length.shape, round(condensed(pieces).copies, 2)
        ((1530, 1), (78, 1), 19.62)
    """
    segments = pieces.length.shape[0]
    ends = pieces.heads, pieces.tails, pieces.start
    parts = [part for end in ends for part in (end.known, end.features)]
    sizes = [part.size // segments for part in parts]
    if not pieces.alike or segments < WORTH * sum(sizes):
        return pieces
    rows = jnp.concatenate([jnp.moveaxis(part, 1, 0).reshape(segments, -1) for part in parts], axis=1)
    triangle = jnp.linalg.qr(rows, mode="r")
    count = triangle.shape[0]
    found = [
        jnp.moveaxis(columns.reshape(count, part.shape[0], *part.shape[2:]), 0, 1)
        for columns, part in zip(jnp.split(triangle, np.cumsum(sizes)[:-1], axis=1), parts, strict=True)
    ]
    heads, tails, start = (Ends(*found[place : place + 2]) for place in (0, 2, 4))
    return dataclasses.replace(
        pieces,
        heads=heads,
        tails=tails,
        start=start,
        length=pieces.length[:count],
        offset=pieces.offset[:count],
        total=pieces.total[:count],
        block=pieces.block[:count],
        copies=pieces.copies * segments / count,
    )
