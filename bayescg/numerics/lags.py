"""Lags on a grid: sums over many lags from a few hundred, because a filter's memory is smooth at long lags.

A filter enters sums over lags through powers of its closed loop, Φ^l, which at long lags l only its slow
modes survive. From `dense` on the lags are gathered into panels [a, 2a), each with a few nodes l_q near
Chebyshev's points, on which Φ^l is interpolated,

    Σ_l Φ^l s_l = Σ_q Φ^(l_q) s̄_q,        s̄_q = Σ_l λ_q(l) s_l,

with Lagrange's polynomials λ_q, taken once. The nodes of a panel are twice those of the one before, so that
Φ^l there is a square: powers cost one product for every node, however long the lags. A mode that decays as
e^(-g l) is caught to rounding error; one that still oscillates many times within a panel is not, which
comparison at lags between the nodes shows.
"""

import functools
import itertools
import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import whole
from bayescg._typing import Array, Float, NumpyArray

DIGIT_BITS = 3
"""Of an exponent, taken at once: with 1, 3, 4, 5 log density and gradient cost 0.73, 0.69, 0.69, 0.69 ms
for 10^4 frames, and 0.90, 0.82, 0.83, 0.83 ms for 10^7."""

CHECKS = 2
"""Lags of every panel at which interpolation is compared with the truth."""


class LagGrid(eqx.Module):
    """Lags 0, 1, ... up to `length`, every one up to `dense`, then a few nodes in each doubling.

    Attributes:
        length: number of lags.
        dense: number of lags that stand alone.
        nodes_per_panel: nodes in every doubling of the lag.

    Example:
        >>> grid = LagGrid(length=5000, dense=64, nodes_per_panel=24)
        >>> grid.nodes.size
        232
    """

    length: int = eqx.field(static=True)
    dense: int = eqx.field(static=True, default=128)
    nodes_per_panel: int = eqx.field(static=True, default=32)

    def __check_init__(self) -> None:
        whole("length", self.length)
        whole("nodes_per_panel", self.nodes_per_panel, minimum=4)
        whole("dense", self.dense, minimum=2 * self.nodes_per_panel)

    @property
    def nodes(self) -> NumpyArray:
        """Lags at which powers are needed, increasing."""
        return _layout(self.length, self.dense, self.nodes_per_panel).nodes

    def gather(self, values: NumpyArray) -> NumpyArray:
        """Sums at the nodes in place of values at all lags.

        Args:
            values: leading axis lags 0, 1, ...; may be shorter than the grid.

        Example:
            >>> import numpy as np
            >>> grid, lags = LagGrid(length=1000, dense=64), np.arange(1000)
            >>> powers, values = 0.99**lags, np.sin(lags)
            >>> bool(abs(0.99**grid.nodes @ grid.gather(values) - powers @ values) < 1e-12)
            True
        """
        layout = _layout(self.length, self.dense, self.nodes_per_panel)
        values = np.asarray(values)[: self.length]
        count = layout.alone
        gathered = np.zeros((layout.nodes.size, *values.shape[1:]))
        gathered[: min(count, len(values))] = values[:count]
        for panel in layout.panels:
            part = values[panel.begin : panel.begin + panel.weights.shape[1]]
            if len(part):
                weights = panel.weights[:, : len(part)]
                gathered[panel.place : panel.place + len(weights)] = np.tensordot(weights, part, axes=1)
        return gathered

    @property
    def seeds(self) -> NumpyArray:
        """Lags at which powers must be given, from which `grown` has those at the nodes."""
        layout = _layout(self.length, self.dense, self.nodes_per_panel)
        width = _width(layout.alone)
        return np.concatenate(
            [np.arange(width), width * np.arange(-(-layout.alone // width)), layout.first_panel]
        )

    def grown(self, powers: Float[Array, "seed state state"]) -> Float[Array, "node state state"]:
        """Powers at the nodes.

        Args:
            powers: at the seeds.

        Example:
            >>> import jax.numpy as jnp
            >>> grid, matrix = LagGrid(length=5000, dense=64, nodes_per_panel=24), jnp.array([[0.999]])
            >>> bool(jnp.allclose(grid.grown(matrix_powers(matrix, grid.seeds))[:, 0, 0], 0.999**grid.nodes))
            True
        """
        layout = _layout(self.length, self.dense, self.nodes_per_panel)
        width, states = _width(layout.alone), powers.shape[-1]
        few, steps, first = jnp.split(powers, [width, width + -(-layout.alone // width)])
        alone = jnp.einsum("aij,bjk->abik", steps, few).reshape(-1, states, states)[: layout.alone]
        if not layout.panels:
            return alone

        def double(panel: Array, _: None) -> tuple[Array, Array]:
            return panel @ panel, panel

        _, panels = jax.lax.scan(double, first, None, length=len(layout.panels))
        return jnp.concatenate([alone, panels.reshape(-1, states, states)])

    @property
    def checks(self) -> NumpyArray:
        """Lags between the nodes at which interpolation is compared with the truth."""
        return _layout(self.length, self.dense, self.nodes_per_panel).checks

    def interpolation_error(
        self, at_nodes: Float[Array, "node state state"], at_checks: Float[Array, "check state state"]
    ) -> Float[Array, "state state"]:
        """Bound on Σ_l |Φ^l - interpolated|, element by element.

        Args:
            at_nodes: powers Φ^l at the nodes.
            at_checks: powers at the checks.

        Example:
            >>> import jax.numpy as jnp
            >>> grid = LagGrid(length=4000, dense=64)
            >>> def error(matrix):
            ...     powers = [matrix_powers(matrix, lags) for lags in (grid.nodes, grid.checks)]
            ...     return float(grid.interpolation_error(*powers).max())
            >>> error(jnp.array([[0.99]])) < 1e-9  # a slow decay
            True
            >>> error(0.999 * jnp.array([[0.0, 1.0], [-1.0, 0.0]])) > 1.0  # a slow decay with a high pitch
            True
        """
        layout = _layout(self.length, self.dense, self.nodes_per_panel)
        if not layout.panels:
            return jnp.zeros(at_nodes.shape[1:])
        interpolated = jnp.einsum("cq,qab->cab", jnp.asarray(layout.check_weights), at_nodes[layout.alone :])
        return jnp.einsum("c,cab->ab", jnp.asarray(layout.check_lengths), jnp.abs(at_checks - interpolated))


def matrix_powers(
    matrix: Float[Array, "state state"], exponents: NumpyArray
) -> Float[Array, "node state state"]:
    """Powers of one matrix at many exponents, a few octal digits of the exponents at a time.

    A table holds matrix^(d 8^k) for every digit d at every place k; a power is the product of one entry of
    each place.

    Args:
        matrix: square.
        exponents: whole numbers from zero.

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> matrix_powers(jnp.array([[2.0]]), np.array([0, 1, 5, 10])).ravel().tolist()
        [1.0, 2.0, 32.0, 1024.0]
    """
    states, exponents = matrix.shape[0], np.asarray(exponents)
    places = max(-(-int(exponents.max(initial=0)).bit_length() // DIGIT_BITS), 1)
    shifts = DIGIT_BITS * np.arange(places)[:, None]
    digits = (exponents[None] >> shifts) & (2**DIGIT_BITS - 1)
    one = jnp.eye(states, dtype=matrix.dtype)

    def table(base: Array, _: None) -> tuple[Array, Array]:
        entries, top = jnp.stack([one, base]), base
        for _bit in range(DIGIT_BITS - 1):
            top = top @ top
            entries = jnp.concatenate([entries, (entries.reshape(-1, states) @ top).reshape(entries.shape)])
        return top @ top, entries

    def multiply(powers: Array, place: tuple[Array, Array]) -> tuple[Array, None]:
        entries, digit = place
        return powers @ entries[digit], None

    _, tables = jax.lax.scan(table, matrix, None, length=places)
    ones = jnp.broadcast_to(one, (exponents.size, states, states))
    return jax.lax.scan(multiply, ones, (tables, jnp.asarray(digits)))[0]


class _Panel(NamedTuple):
    """Lags from `begin`, whose nodes stand from `place` on, and Lagrange's polynomials (node, lag)."""

    begin: int
    place: int
    weights: NumpyArray


class _Layout(NamedTuple):
    nodes: NumpyArray
    alone: int
    first_panel: NumpyArray
    panels: tuple[_Panel, ...]
    checks: NumpyArray
    check_weights: NumpyArray
    check_lengths: NumpyArray


@functools.lru_cache(maxsize=64)
def _layout(length: int, dense: int, per_panel: int) -> _Layout:
    alone = min(length, dense)
    nodes, panels, checks = [np.arange(alone)], [], []
    first = _near_chebyshev(dense, per_panel)
    place, begin, at = alone, dense, first
    while begin < length:
        weights = _lagrange(at, np.arange(begin, 2 * begin))
        panels.append(_Panel(begin, place, weights[:, : length - begin]))
        nodes.append(at)
        for lag in _worst(at, begin):
            checks.append((lag, place - alone, weights[:, lag - begin], begin / CHECKS))
        place, begin, at = place + at.size, 2 * begin, 2 * at
    table = np.zeros((len(checks), place - alone))
    for row, (_, start, weights, _) in enumerate(checks):
        table[row, start : start + weights.size] = weights
    lags = np.array([check[0] for check in checks], dtype=int)
    lengths = np.array([check[3] for check in checks])
    seeds = first if panels else first[:0]
    return _Layout(np.concatenate(nodes), alone, seeds, tuple(panels), lags, table, lengths)


def _width(alone: int) -> int:
    """Powers of one and of a longer step, whose products are all that stand alone."""
    return math.isqrt(max(alone - 1, 0)) + 1


def _near_chebyshev(begin: int, count: int) -> NumpyArray:
    """Whole numbers next to the Chebyshev points of [begin, 2 begin)."""
    x = 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)
    return np.unique(np.round(begin * (1 + x)).astype(int))


def _lagrange(nodes: NumpyArray, lags: NumpyArray) -> NumpyArray:
    """Lagrange's polynomials of the nodes at the lags, (node, lag)."""
    scale = 4.0 / (nodes[-1] - nodes[0])  # the capacity of the interval: products stay near one
    weights = np.empty((nodes.size, lags.size))
    for index, node in enumerate(nodes):
        others = np.delete(nodes, index)
        top = np.prod(scale * (lags[None] - others[:, None]), axis=0)
        weights[index] = top / np.prod(scale * (node - others))
    return weights


def _worst(nodes: NumpyArray, begin: int) -> list[int]:
    """The lag of every half of a panel at which the node polynomial is largest."""
    lags = np.arange(begin, 2 * begin)
    scale = 4.0 / (nodes[-1] - nodes[0])
    size = np.abs(np.prod(scale * (lags[None] - nodes[:, None]), axis=0))
    edges = np.linspace(0, begin, CHECKS + 1).astype(int)
    return [int(lags[a + np.argmax(size[a:b])]) for a, b in itertools.pairwise(edges)]
