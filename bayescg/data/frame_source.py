"""What every reader of frames offers, so that eager and lazy reading are one code.

A source opens its file for every call of `read`: it can be sent to other threads and machines.
"""

import abc
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray

RIGHT_ANGLE = 1e-4
"""Tilt of a box relative to its edges that counts as rounding."""


class AbstractFrameSource(eqx.Module):
    """The frames of one file.

    Attributes:
        path: of the file.
        atoms: number of atoms.
        frames: number of whole frames.
        fields: which of time, box, position, velocity, force every frame holds.
        precision: rounding of the positions in the file, nm.
    """

    path: eqx.AbstractVar[Path]
    atoms: eqx.AbstractVar[int]
    frames: eqx.AbstractVar[int]
    fields: eqx.AbstractVar[tuple[str, ...]]
    precision: eqx.AbstractVar[float]

    @abc.abstractmethod
    def read(self, numbers: NumpyArray, chosen: NumpyArray | None) -> dict[str, NumpyArray]:
        """Read frames.

        Args:
            numbers: of the frames.
            chosen: indices of the atoms to keep; None keeps all.

        Returns:
            An array for every field, in nm, ps, kJ/mol.

        Raises:
            BayescgError: a frame is damaged, or its box is not rectangular.
        """


def read_frames(
    sources: Sequence[AbstractFrameSource], files: NumpyArray, numbers: NumpyArray, chosen: NumpyArray | None
) -> dict[str, NumpyArray]:
    """Read frames of several files in the order asked for.

    Args:
        sources: the files.
        files: which file each frame comes from.
        numbers: of each frame in its file.
        chosen: indices of the atoms to keep; None keeps all.

    Returns:
        An array for every field the files hold.

    Example:
        >>> import numpy as np
        >>> read_frames([], np.zeros(0, dtype=int), np.zeros(0, dtype=int), None)
        {}
    """
    runs = np.split(np.arange(len(files)), np.flatnonzero(np.diff(files)) + 1)
    parts = [sources[int(files[run[0]])].read(numbers[run], chosen) for run in runs if len(run)]
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}


def lazy_frames(
    sources: Sequence[AbstractFrameSource],
    files: NumpyArray,
    numbers: NumpyArray,
    chosen: NumpyArray | None,
    chunks: int,
) -> dict[str, Any]:
    """Dask arrays of frames; the quantities of a chunk share one task, so its frames are read once.

    Args:
        sources: the files.
        files: which file each frame comes from.
        numbers: of each frame in its file.
        chosen: indices of the atoms to keep; None keeps all.
        chunks: frames per chunk.

    Returns:
        A dask array for every field the files hold.
    """
    import dask.array as da
    from dask.delayed import delayed

    sample = read_frames(sources, files[:1], numbers[:1], chosen)
    pieces: dict[str, list[Any]] = {name: [] for name in sample}
    for start in range(0, len(files), chunks):
        part = slice(start, start + chunks)
        task: Any = delayed(
            partial(read_frames, sources, files[part], numbers[part], chosen), traverse=False
        )()
        for name, example in sample.items():
            shape = (len(files[part]), *example.shape[1:])
            pieces[name].append(da.from_delayed(task[name], shape, dtype=example.dtype))
    return {name: da.concatenate(parts) for name, parts in pieces.items()}


def rectangular(vectors: NumpyArray, path: Path) -> NumpyArray:
    """Edge lengths of a box given by its vectors.

    Args:
        vectors: rows are the box vectors, shape (3, 3), any unit.
        path: of the file, for the message.

    Returns:
        Edge lengths, shape (3,).

    Raises:
        BayescgError: the box is tilted.

    Example:
        >>> import numpy as np
        >>> rectangular(np.diag([1.0, 2.0, 3.0]), Path("water.trr")).tolist()
        [1.0, 2.0, 3.0]
    """
    edges = np.diagonal(vectors)
    tilt = np.abs(vectors - np.diag(edges)).max()
    if tilt <= RIGHT_ANGLE * np.abs(vectors).max():
        return edges
    rows = "; ".join(" ".join(f"{x:.4g}" for x in row) for row in np.asarray(vectors))
    raise BayescgError(
        f"box must be rectangular, got the triclinic box vectors [{rows}] in {path.name}. Simulate in a "
        "rectangular box; or, for molecules far from their own images, make them whole and write a "
        "trajectory without a box."
    )


def damaged(path: Path, number: int, error: Exception) -> BayescgError:
    """The error for a frame in the middle of a file that cannot be read.

    Example:
        >>> str(damaged(Path("water.trr"), 7, OSError("bad"))).split(".")[1]
        'trr must be readable, but it is damaged (bad)'
    """
    return BayescgError(
        f"frame {number} of {path.name} must be readable, but it is damaged ({error}). Leave it out with "
        f"frames=, such as frames=slice(0, {number}), or write the file again."
    )
