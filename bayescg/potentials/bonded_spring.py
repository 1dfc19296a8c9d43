"""Springs on coordinates inside a molecule, linear in their coefficients.

    u(q) = p (q - c) + k (q - c)²/2,

c being a constant, the length or angle the potential was built with or that Boltzmann inversion of the data
gives. The coefficients are the pull p and the stiffness k; the rest position is c - p/k.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from bayescg._checks import BayescgError, positive
from bayescg._typing import Array, Float, Int
from bayescg.interfaces import Sampled
from bayescg.numerics.internal_coordinates import kind_names
from bayescg.potentials.bonded import AbstractBondedPotential

Given = float | tuple[tuple[str, float], ...] | None
"""A number for all kinds, a number for every named kind, or None for what the data say."""


class Spring(NamedTuple):
    """Stiffness and rest position of every kind.

    Attributes:
        stiffness: k, kJ/mol per square unit.
        rest: where the energy is lowest, in the coordinate's unit.
    """

    stiffness: Float[Array, " kind"]
    rest: Float[Array, " kind"]


class AbstractSpring(AbstractBondedPotential):
    """A spring on every chain."""

    stiffness: eqx.AbstractVar[Any]
    centers: eqx.AbstractVar[tuple[float, ...]]
    rest_name: eqx.AbstractClassVar[str]

    def started(self, sampled: tuple[Sampled, ...], type_names: tuple[str, ...]) -> dict[str, Any]:
        """Springs without pull, as given or as Boltzmann inversion of the data has them."""
        rest = getattr(self, self.rest_name)
        stiffness = of_kinds("stiffness", self.stiffness, sampled, type_names=type_names, default="stiffness")
        centers = of_kinds(self.rest_name, rest, sampled, type_names=type_names, default="center")
        return {"centers": centers, "coefficients": at_rest(stiffness)}

    def functions(self, q: Float[Array, ""], kind: Int[Array, ""]) -> Float[Array, " feature"]:
        """(q - c) and (q - c)²/2."""
        d = q - jnp.asarray(self.centers)[kind]
        return jnp.stack([d, 0.5 * d**2])

    def confinement(self, q: Float[Array, ""], kind: Int[Array, ""]) -> Float[Array, ""]:
        """A spring confines by itself."""
        return jnp.zeros_like(q)

    def spring(self) -> Spring:
        """Stiffness and rest position of every kind, from the coefficients."""
        pull, stiffness = self.allocated().T
        return Spring(stiffness, jnp.asarray(self.centers) - pull / stiffness)


def given(name: str, value: Mapping[str, float] | Given, *, unit: str) -> Given:
    """What the user gave, checked and hashable.

    Args:
        name: of the argument.
        value: a number, a dictionary from name of a kind to number, or None.
        unit: for the error.

    Raises:
        BayescgError: a number that is not positive.

    Example:
        >>> given("length", {"A-B": 0.25}, unit="nm")
        (('A-B', 0.25),)
    """
    if value is None:
        return None
    if isinstance(value, Mapping | tuple):
        return tuple((kind, positive(f"{name}[{kind!r}]", x, unit=unit)) for kind, x in dict(value).items())
    return positive(name, value, unit=unit)


def of_kinds(
    name: str, value: Given, sampled: tuple[Sampled, ...], *, type_names: tuple[str, ...], default: str
) -> tuple[float, ...]:
    """One number for every kind: the user's, else the data's.

    Args:
        name: of the argument.
        value: from `given`.
        sampled: what the data say of every kind.
        type_names: of the beads.
        default: attribute of `Sampled` to take where nothing is given.

    Raises:
        BayescgError: a name that is no kind of the data.

    Example:
        >>> bond = Sampled("bond", (0, 0), 0.2, 0.3, 0.25, 1e4)
        >>> of_kinds("length", None, (bond,), type_names=("A",), default="center")
        (0.25,)
    """
    from_data = tuple(float(getattr(one, default)) for one in sampled)
    if value is None:
        return from_data
    if not isinstance(value, tuple):
        return (float(value),) * len(sampled)
    names, wanted = kind_names(tuple(one.kind for one in sampled), type_names), dict(value)
    backwards = {name: "-".join(reversed(name.split("-"))) for name in names}
    for key in wanted:
        if key not in names and key not in backwards.values():
            raise BayescgError(
                f"{name} must name kinds of the data, got {key!r}. The data hold {', '.join(names)}."
            )
    return tuple(
        wanted.get(kind, wanted.get(backwards[kind], old)) for kind, old in zip(names, from_data, strict=True)
    )


def at_rest(stiffness: tuple[float, ...]) -> Float[Array, "kind 2"]:
    """Coefficients of springs without pull.

    Args:
        stiffness: of every kind, kJ/mol per square unit.

    Example:
        >>> at_rest((1e4,)).tolist()
        [[0.0, 10000.0]]
    """
    return jnp.stack([jnp.zeros(len(stiffness)), jnp.asarray(stiffness)], axis=1)
