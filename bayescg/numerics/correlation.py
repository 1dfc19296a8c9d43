"""Sums of lagged products of several series, by FFT, in blocks.

    C_jk(l) = Σ_n s_j(n) s_k(n + l),        l = 0, 1, ..., L,

over all pairs of frames of one segment, nothing beyond its ends. The sums add over segments; a long
segment is taken in blocks, each against itself and the L frames after it, so that memory depends on the
block and not on the length.
"""

from typing import Any

import numpy as np
import scipy.fft

from bayescg._checks import require, whole
from bayescg._typing import NumpyArray

SMALLEST_BLOCK = 2**14
"""Frames of a block at least, where the segment has them: shorter blocks pay mostly for their overlap."""

VALUES_AT_ONCE = 2**22
"""Numbers transformed together, 32 MiB."""


class CorrelationSums:
    """Collects lagged products of segments.

    Args:
            series: number of series J.
            lags: largest lag L.
            longest: number of frames of the longest segment.

    Example:
            >>> from typing import Any

    import numpy as np
            >>> sums = CorrelationSums(series=1, lags=1, longest=3)
            >>> sums.add(np.array([[[1.0], [2.0], [3.0]]]))
            >>> sums.result()[:, 0, 0].round(12).tolist()
            [14.0, 8.0]
    """

    def __init__(self, *, series: int, lags: int, longest: int) -> None:
        self._lags = whole("lags", lags, minimum=0)
        self._block = min(whole("longest", longest), max(SMALLEST_BLOCK, 2 * lags))
        self._size: Any = scipy.fft.next_fast_len(self._block + lags, real=True)
        self._spectrum = np.zeros((self._size // 2 + 1, series, series), dtype=complex)

    def add(self, segments: NumpyArray) -> None:
        """Add segments of one length, (segment, frame, series)."""
        count, frames, series = segments.shape
        require(
            series == self._spectrum.shape[1],
            f"segments must hold {self._spectrum.shape[1]} series, got {series}.",
        )
        at_once = max(VALUES_AT_ONCE // (self._size * series), 1)
        for first in range(0, count, at_once):
            part = segments[first : first + at_once]
            for begin in range(0, frames, self._block):
                self._add_block(part, begin)

    def result(self) -> NumpyArray:
        """C_jk(l) as (lag, series, series)."""
        series = self._spectrum.shape[1]
        sums = np.empty((self._lags + 1, series, series))
        for j in range(series):  # one row at a time keeps memory near the spectrum's own
            row: Any = scipy.fft.irfft(self._spectrum[:, j], self._size, axis=0)
            sums[:, j] = row[: self._lags + 1]
        return sums

    def _add_block(self, part: NumpyArray, begin: int) -> None:
        end = begin + self._block
        here: Any = scipy.fft.rfft(part[:, begin:end], self._size, axis=1)
        alone = end >= part.shape[1]  # nothing follows: the block against itself
        after: Any = here if alone else scipy.fft.rfft(part[:, begin : end + self._lags], self._size, axis=1)
        # (frequency, j, segment) @ (frequency, segment, k)
        self._spectrum += here.conj().transpose(1, 2, 0) @ after.transpose(1, 0, 2)


def correlation_sums(segment: NumpyArray, lags: int) -> NumpyArray:
    """C_jk(l) of one segment.

    Args:
            segment: (frame, series).
            lags: largest lag.

    Returns:
            (lag, series, series).

    Example:
            >>> from typing import Any

    import numpy as np
            >>> correlation_sums(np.array([[1.0, 0.0], [0.0, 5.0]]), 1)[1].round(12).tolist()
            [[0.0, 5.0], [0.0, 0.0]]
    """
    sums = CorrelationSums(series=segment.shape[1], lags=lags, longest=segment.shape[0])
    sums.add(segment[None])
    return sums.result()
