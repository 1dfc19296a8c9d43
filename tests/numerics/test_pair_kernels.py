"""Loops in machine code: where they are kept, and that they compute without a place to keep them."""

import numpy as np
import pytest

from bayescg.numerics import pair_kernels


def loop_without_a_file():
    """A function that was never in a file: numba can keep no machine code for it."""
    made = {}
    exec("def loop(x):\n    return 2 * x", made)
    return made["loop"]


def test_without_a_folder_for_machine_code_loops_compile_all_the_same():
    assert pair_kernels.compiled(loop_without_a_file())(3) == 6
    # control: asking numba to keep it is refused
    numba = pytest.importorskip("numba")
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(loop_without_a_file())


@pytest.mark.parametrize("degree", [1, 3, 4])
@pytest.mark.parametrize("dims", [1, 3])
def test_slopes_are_added_as_the_formula_says(dims, degree):
    """Compared with the same sums in NumPy, pair by pair; values of order one, so rounding is near 1e-15."""
    rng = np.random.default_rng(degree)
    beads, pairs, intervals, features, starts = 6, 40, 5, 5, np.array([0.3, 0.5])
    first, second = rng.integers(0, 3, pairs), rng.integers(3, beads, pairs)
    displacement, weight = rng.normal(size=(dims, pairs)), rng.normal(size=pairs)
    distance, spline = rng.uniform(0.2, 1.2, pairs), rng.integers(0, 2, pairs)
    inverse = intervals / (1.0 - starts)
    slopes = rng.normal(size=(intervals, degree, degree + 1))
    places = np.minimum(np.arange(intervals), features - degree - 1)
    found, expected = np.zeros((2, dims, beads, 2 * features))
    pair_kernels.add_slopes(dims, degree)(
        first, second, displacement, distance, weight, spline, starts, inverse, slopes, places, features, 1.0,
        found,
    )  # fmt: skip
    for p in np.flatnonzero(distance < 1.0):
        s = (distance[p] - starts[spline[p]]) * inverse[spline[p]]
        m = int(np.clip(np.floor(s), 0, intervals - 1))
        powers = (s - m) ** np.arange(degree)
        powers[2:] *= s >= 0
        slope = weight[p] * inverse[spline[p]] / distance[p] * powers @ slopes[m]
        columns = spline[p] * features + places[m] + np.arange(degree + 1)
        expected[:, first[p], columns] += np.outer(displacement[:, p], slope)
        expected[:, second[p], columns] -= np.outer(displacement[:, p], slope)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())
    assert np.any(distance < starts[spline])
    assert np.any(distance >= 1.0)
