"""Fisher information of one term at a point, as numbers: F itself, or J with F = J'J, block by block."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np

from bayescg._checks import BayescgError, require
from bayescg._typing import Float, NumpyArray

DOUBLE = 8
"""Bytes of a number that ranks can be told from: in float32 rounding of 1e-7 hides null directions."""


class Information(eqx.Module):
    """Fisher information of one term at a point.

    Attributes:
        term: its name.
        expected: whether it is E[s s'] or the negative Hessian.
        jacobian: J, with F = Σ_block J'J; None for observed information.
        hessian: F, where it is observed.
        hessians: F of every block, where it is observed and cheap; they add up to `hessian`.
        error: relative error of the eigenvalues, of the largest, beside rounding.
        sampled: whether the blocks are a sample, so that their spread says how well F is known.
        samples: effective number of independent samples, where F is a covariance estimated from samples:
            its rank cannot exceed their number less one.
    """

    term: str = eqx.field(static=True)
    expected: bool = eqx.field(static=True)
    jacobian: Float[NumpyArray, "block row parameter"] | None = None
    hessian: Float[NumpyArray, "parameter parameter"] | None = None
    hessians: Float[NumpyArray, "block parameter parameter"] | None = None
    error: float = eqx.field(static=True, default=0.0)
    sampled: bool = eqx.field(static=True, default=True)
    samples: float | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        require(
            (self.jacobian is None) != (self.hessian is None),
            "an Information must hold a jacobian or a hessian, got both or neither. Give one of them.",
        )

    @property
    def matrix(self) -> NumpyArray:
        """F."""
        if self.jacobian is not None:
            flat = self.jacobian.reshape(-1, self.jacobian.shape[-1])
            return flat.T @ flat
        assert self.hessian is not None
        return self.hessian

    @property
    def height(self) -> int:
        """Number of rows of J; of parameters where there is none."""
        if self.jacobian is not None:
            return int(np.prod(self.jacobian.shape[:-1]))
        return self.matrix.shape[0]

    def matrices(self) -> NumpyArray | None:
        """F of every block, (block, parameter, parameter); None where blocks are not kept apart."""
        if self.jacobian is not None:
            return np.swapaxes(self.jacobian, -1, -2) @ self.jacobian
        return self.hessians

    def only(self, places: NumpyArray) -> "Information":
        """Of some of the parameters, the others held.

        Args:
            places: of the parameters kept.
        """
        pick = np.ix_(places, places)
        return Information(
            self.term,
            self.expected,
            None if self.jacobian is None else self.jacobian[..., places],
            None if self.hessian is None else self.hessian[pick],
            None if self.hessians is None else self.hessians[:, places][..., places],
            self.error,
            self.sampled,
            self.samples,
        )

    def of_blocks(self, directions: NumpyArray) -> NumpyArray | None:
        """The information v'F v of every block, (block, direction); None where blocks are not kept apart.

        Args:
            directions: (direction, parameter).
        """
        if self.jacobian is not None:
            return np.sum((self.jacobian @ directions.T) ** 2, axis=1)
        if self.hessians is None:
            return None
        return np.einsum("dp,bpq,dq->bd", directions, self.hessians, directions)


def check_finite(values: NumpyArray, names: Sequence[str], *, what: str) -> None:
    """Raise, naming the parameters, where a derivative is NaN or infinite.

    Args:
        values: derivatives, parameters on the last axis.
        names: of the parameters.
        what: they are.

    Raises:
        BayescgError: a value is not finite.

    Example:
        >>> check_finite(np.ones((3, 2)), ["a", "b"], what="the Jacobian")
    """
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    columns = np.flatnonzero(bad.reshape(-1, values.shape[-1]).any(axis=0))
    named = ", ".join(names[int(i)] for i in columns[:5]) + (" and more" if columns.size > 5 else "")
    raise BayescgError(
        f"{what} must be finite, got NaN or infinity in the derivatives by {named}. Choose a point inside "
        "the range of every parameter, and look for a root or a logarithm of zero in the model."
    )


def checked_table(name: str, table: Any, names: Sequence[str]) -> NumpyArray:
    """A table of numbers in float64, finite, with one column per parameter.

    Args:
        name: of the table.
        table: parameters on the last axis.
        names: of the parameters.

    Raises:
        BayescgError: fewer digits than float64 has, NaN, or another number of columns.

    Example:
        >>> checked_table("matrix", [[1, 2]], ["a", "b"]).dtype
        dtype('float64')
    """
    array = np.asarray(table)
    check_digits(name, array)
    array = array.astype(float)
    require(
        array.ndim > 0 and array.shape[-1] == len(names),
        f"{name} must have one column per name, got shape {array.shape} and {len(names)} names.",
    )
    check_finite(array, list(names), what=f"the {name}")
    return array


def check_digits(name: str, array: NumpyArray) -> None:
    """Raise where numbers have fewer digits than float64.

    Args:
        name: of the array.
        array: of any shape; whole numbers are exact.

    Raises:
        BayescgError: it is in float32 or less.

    Example:
        >>> check_digits("jacobian", np.ones(3))
    """
    require(
        array.dtype.kind in "biu" or array.dtype.itemsize >= DOUBLE,
        f"{name} must be in float64 for a verdict on ranks, got {array.dtype}: rounding of 1e-7 hides null "
        "directions. Compute it after bayescg.enable_x64().",
    )
