"""Blocks of sums: contiguous, complete, and never more than twice as many as asked for."""

import numpy as np
import pytest

from bayescg.likelihoods.statistics import BlockAccumulator, Sums, frame_sums


def single(index):
    """Sums that remember which frame they came from: powers of two add without carrying."""
    return Sums(
        np.array([[[1.0]]]),
        np.array([[float(index)]]),
        np.array([float(index) ** 2]),
        np.array([3.0]),
        np.zeros(1),
    )


@pytest.mark.parametrize("capacity", [8, 9])
def test_the_number_of_blocks_stays_within_a_factor_of_two(capacity):
    accumulator = BlockAccumulator(capacity)
    for frames in range(1, 700):
        accumulator.add(single(frames - 1))
        copy = BlockAccumulator(capacity)
        copy.__dict__.update(
            {k: list(v) if isinstance(v, list) else v for k, v in accumulator.__dict__.items()}
        )
        blocks, sizes = copy.result()
        assert sizes.sum() == frames
        assert len(sizes) == frames if frames < 2 * capacity else capacity <= len(sizes) < 2 * capacity
        ends = np.cumsum(sizes).astype(int)
        expected = [
            np.arange(end - size, end).sum() for size, end in zip(sizes.astype(int), ends, strict=True)
        ]
        np.testing.assert_array_equal(blocks.projection[:, 0, 0], expected)  # contiguous, in order, none lost
        np.testing.assert_array_equal(blocks.gram[:, 0, 0, 0], sizes)
        assert np.all(sizes[:-2] == sizes[0])  # only the end may be uneven


def test_sums_of_a_frame_are_those_of_its_rows():
    rng = np.random.default_rng(0)
    design, forces, types = rng.normal(size=(3, 10, 4)), rng.normal(size=(3, 10)), rng.integers(0, 2, size=10)
    sums = frame_sums(design, forces, types, 2)
    for kind in range(2):
        rows = np.array([design[d, i] for i in range(10) if types[i] == kind for d in range(3)])
        target = np.array([forces[d, i] for i in range(10) if types[i] == kind for d in range(3)])
        theta = rng.normal(size=4)
        residual = target - rows @ theta
        square = sums.square[kind] - 2 * theta @ sums.projection[kind] + theta @ sums.gram[kind] @ theta
        assert square == pytest.approx(residual @ residual, rel=1e-12)
        assert sums.count[kind] == target.size
