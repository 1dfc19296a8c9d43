"""Parameters of a pair potential: one number for all pairs of bead types, or one for every pair."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, require
from bayescg._typing import Array, Float, Int
from bayescg.interfaces import Support, type_pair_index, type_pairs


def per_pair(
    name: str, value: Any, *, support: Support, unit: str, signed: bool = False
) -> Float[Array, " type_pair"]:
    """One value per pair of types, checked.

    Args:
        name: of the parameter, for the error.
        value: one number, or one per pair of types.
        support: the bead types of the data.
        unit: of the parameter, for the error.
        signed: whether negative numbers and zero have a meaning.

    Raises:
        BayescgError: another number of values, or a value that is not positive or not finite.

    Example:
        >>> import bayescg as bcg
        >>> per_pair("depth", 2.0, support=bcg.interfaces.Support(("A", "B"), ()), unit="kJ/mol").tolist()
        [2.0, 2.0, 2.0]
    """
    count = len(type_pairs(len(support.type_names)))
    value = np.asarray(value, dtype=float)
    if value.shape not in ((), (1,), (count,)):
        raise BayescgError(
            f"{name} must be one number or one per pair of types ({count}), got shape {value.shape}. "
            "Give one for all pairs, or as many as there are pairs of bead types."
        )
    good = np.isfinite(value) & (signed | (value > 0))
    require(
        bool(np.all(good)),
        f"{name} must be {'finite' if signed else 'positive'}, got {value.tolist()} {unit}. Give the scale "
        "you expect: the default prior is centered there.",
    )
    return jnp.asarray(np.broadcast_to(value, (count,)))


def pair_names(type_names: tuple[str, ...]) -> list[str]:
    """Names of the pairs of types, in the order of `type_pairs`.

    Args:
        type_names: of the beads.

    Example:
        >>> pair_names(("A", "B"))
        ['A-A', 'A-B', 'B-B']
    """
    return ["-".join(type_names[index] for index in pair) for pair in type_pairs(len(type_names))]


def pair_place(
    first_type: Int[Array, "..."], second_type: Int[Array, "..."], *, type_names: tuple[str, ...], owner: str
) -> Int[Array, "..."]:
    """Place of a pair of types among the parameters.

    Args:
        first_type: of one bead.
        second_type: of the other.
        type_names: that the potential was prepared for.
        owner: name of the potential, for the error.

    Raises:
        BayescgError: the potential has not been prepared.

    Example:
        >>> int(pair_place(jnp.array(1), jnp.array(0), type_names=("A", "B"), owner="WCA"))
        1
    """
    require(
        bool(type_names),
        f"{owner} has no bead types yet. Put the model into a bayescg.Problem with data, or call prepare "
        "with the bead types.",
    )
    return type_pair_index(first_type, second_type, len(type_names))
