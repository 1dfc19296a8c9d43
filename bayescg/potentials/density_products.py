"""Invariant products of one, two and three moments of a neighbour density.

    order 1    A_c,00
    order 2    sum_m A_c,lm A_c',lm
    order 3    sum_m1m2m3 C_m1m2m3 A_c,l1m1 A_c',l2m2 A_c'',l3m3

A channel c is a neighbour's type and a radial function n. Products are kept up to a total degree, the sum
of n + l over their moments. Products of the same moments in another order are equal up to a sign and stand
once. Where l1 + l2 + l3 is odd the product changes its sign in a mirror, and vanishes if two moments agree.
"""

import functools
import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, Float
from bayescg.potentials.harmonics import coupling
from bayescg.potentials.neighbor_density import Factor

Moment = tuple[int, int]
"""Degree l and channel."""


class Group(NamedTuple):
    """Products of moments of the same degrees.

    Attributes:
        degrees: l of every moment.
        channels: (product, moment) as nested tuples.
    """

    degrees: tuple[int, ...]
    channels: tuple[tuple[int, ...], ...]


@functools.lru_cache(maxsize=64)
def groups(
    *, types: int, radial: int, angular: int, order: int, degree: int, chiral: bool = False
) -> tuple[Group, ...]:
    """Every product up to an order and a total degree.

    Args:
        types: number of bead types.
        radial: number of radial functions, n = 0..radial - 1.
        angular: largest l.
        order: largest number of moments, 1 to 3.
        degree: largest sum of n + l.
        chiral: whether to take products that change their sign in a mirror too.

    Example:
        >>> [len(group.channels) for group in groups(types=1, radial=2, angular=1, order=2, degree=3)]
        [2, 3, 2]
    """
    cost = {(l, c): l + c % radial for l in range(angular + 1) for c in range(types * radial)}
    found: dict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
    for size in range(1, order + 1):
        for moments in itertools.combinations_with_replacement(sorted(cost), size):
            if sum(cost[moment] for moment in moments) <= degree and _is_invariant(moments, chiral):
                found[tuple(l for l, _ in moments)].append(tuple(c for _, c in moments))
    return tuple(Group(degrees, tuple(channels)) for degrees, channels in found.items())


def descriptors(
    moments: Sequence[Float[Array, "bead channel order"]], products: Sequence[Group]
) -> Float[Array, "bead descriptor"]:
    """Value of every product, group after group.

    Args:
        moments: of the density, one array for every l.
        products: from `groups`.

    Example:
        >>> descriptors((jnp.array([[[2.0], [3.0]]]),), [Group((0, 0), ((0, 0), (0, 1)))]).tolist()
        [[4.0, 6.0]]
    """
    return jnp.concatenate([_product(_chosen(moments, group), group.degrees) for group in products], axis=-1)


def factors(moments: Sequence[Float[Array, "bead channel order"]], products: Sequence[Group]) -> list[Factor]:
    """Derivative of every product by each of its moments; one entry for every l.

    Args:
        moments: of the density, one array for every l.
        products: from `groups`.

    Example:
        >>> found = factors((jnp.array([[[2.0], [3.0]]]),), [Group((0, 0), ((0, 1),))])
        >>> found[0].channel.tolist(), found[0].partner[0, :, 0].tolist()
        ([0, 1], [3.0, 2.0])
    """
    parts: dict[int, list[tuple[np.ndarray, np.ndarray, Array]]] = defaultdict(list)
    begin = 0
    for group in products:
        chosen, size = _chosen(moments, group), len(group.channels)
        for place, l in enumerate(group.degrees):
            partner = _derivative(chosen, group.degrees, place)
            channel = np.array([channels[place] for channels in group.channels])
            parts[l].append((channel, begin + np.arange(size), partner))
        begin += size
    return [
        Factor(
            l,
            np.concatenate([channel for channel, _, _ in of_degree]),
            np.concatenate([number for _, number, _ in of_degree]),
            jnp.concatenate([partner for _, _, partner in of_degree], axis=1),
        )
        for l, of_degree in parts.items()
    ]


def _is_invariant(moments: tuple[Moment, ...], chiral: bool) -> bool:
    degrees = [l for l, _ in moments]
    if len(moments) == 1:
        return degrees[0] == 0
    if len(moments) == 2:
        return degrees[0] == degrees[1]
    if degrees[2] > degrees[0] + degrees[1]:  # they are sorted
        return False
    return sum(degrees) % 2 == 0 or (chiral and len(set(moments)) == len(moments))


def _chosen(moments: Sequence[Array], group: Group) -> list[Array]:
    """The moments of every product, (bead, product, order) for every place in it."""
    channels = np.array(group.channels).T
    return [moments[l][:, channel] for l, channel in zip(group.degrees, channels, strict=True)]


def _product(chosen: list[Array], degrees: tuple[int, ...]) -> Array:
    if len(chosen) == 1:
        return chosen[0][..., 0]
    return jnp.sum(chosen[0] * _derivative(chosen, degrees, 0), axis=-1)


def _derivative(chosen: list[Array], degrees: tuple[int, ...], place: int) -> Array:
    """Of every product by the moments at one place; (bead, product, order)."""
    if len(chosen) == 1:
        return jnp.ones_like(chosen[0])
    others = chosen[:place] + chosen[place + 1 :]
    if len(chosen) == 2:
        return others[0]
    C = jnp.asarray(np.moveaxis(coupling(*degrees), place, 0), chosen[0].dtype)
    return jnp.einsum("abc,ifb,ifc->ifa", C, *others)
