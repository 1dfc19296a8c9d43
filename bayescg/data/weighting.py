"""Weighted sums over atoms, frame by frame and chunk by chunk.

Every linear map of a trajectory is one sparse matrix W (bead, atom) applied to each frame:

    y[frame, bead, dim] = sum_atom W[bead, atom] x[frame, atom, dim].

The sum runs in float64 and returns in the precision of the input.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr

from bayescg._typing import NumpyArray

Sparse = Any
"""A scipy.sparse.csr_array; SciPy's classes carry no types a checker could follow."""

BLOCK_NUMBERS = 2_000_000
"""Numbers handled at once: 16 MB in float64, small against any trajectory and large against call overhead."""


def weighted_sums(weights: Sparse, values: NumpyArray) -> NumpyArray:
    """Apply a sparse matrix to every frame.

    Args:
        weights: matrix of shape (bead, atom).
        values: of shape (frame, atom, dim).

    Returns:
        Array of shape (frame, bead, dim) in the precision of `values`.

    Example:
        >>> import numpy as np
        >>> from scipy.sparse import csr_array
        >>> weighted_sums(csr_array([[0.5, 0.5]]), np.array([[[1.0], [3.0]]])).tolist()
        [[[2.0]]]
    """
    frames, atoms, dims = values.shape
    beads = weights.shape[0]
    sums = np.empty((frames, beads, dims), dtype=values.dtype)
    step = max(1, BLOCK_NUMBERS // max(1, atoms * dims))
    for start in range(0, frames, step):
        block = values[start : start + step]
        columns = block.transpose(1, 0, 2).reshape(atoms, -1)
        product = np.asarray(weights @ columns)
        sums[start : start + step] = product.reshape(beads, len(block), dims).transpose(1, 0, 2)
    return sums


def per_frame(
    function: Callable[..., NumpyArray], values: xr.DataArray, *others: xr.DataArray, sites: int
) -> Any:
    """Apply a function of whole frames, lazily where the data are lazy.

    Args:
        function: takes arrays of shape (frame, site, dim) and returns one of shape (frame, sites, dim).
        values: of dims (frame, site, dim).
        others: of dims (frame, dim); passed on with an axis of length one in the middle.
        sites: number of sites in the result.

    Returns:
        A NumPy array, or a dask array with the chunks of `values` along frames.

    Example:
        >>> import numpy as np, xarray as xr
        >>> x = xr.DataArray(np.ones((4, 3, 2)), dims=("frame", "atom", "dim")).chunk(frame=2)
        >>> per_frame(lambda x: x.sum(axis=1, keepdims=True), x, sites=1).compute()[0].tolist()
        [[3.0, 3.0]]
    """
    if values.chunks is None:
        return function(values.to_numpy(), *(other.to_numpy()[:, None] for other in others))
    import dask.array as da

    whole = values.chunk(dict.fromkeys(values.dims[1:], -1))
    assert whole.chunks is not None
    frame_chunks = whole.chunks[0]
    widened = [da.asarray(other.data).rechunk((frame_chunks, -1))[:, None] for other in others]
    return da.map_blocks(
        function,
        whole.data,
        *widened,
        dtype=values.dtype,
        chunks=(frame_chunks, (sites,), (values.shape[2],)),
        meta=np.empty((0, 0, 0), dtype=values.dtype),
    )


def frame_blocks(values: xr.DataArray) -> Iterator[NumpyArray]:
    """Yield the values over frames in pieces that fit in memory, along the chunks where there are some.

    Example:
        >>> import numpy as np, xarray as xr
        >>> x = xr.DataArray(np.ones((5, 3, 2)), dims=("frame", "atom", "dim")).chunk(frame=2)
        >>> [len(block) for block in frame_blocks(x)]
        [2, 2, 1]
    """
    if values.chunks is not None:
        lengths = values.chunksizes["frame"]
    else:
        step = max(1, BLOCK_NUMBERS // max(1, int(np.prod(values.shape[1:]))))
        lengths = tuple(min(step, values.shape[0] - start) for start in range(0, values.shape[0], step))
    start = 0
    for length in lengths:
        yield values[start : start + length].to_numpy()
        start += length
