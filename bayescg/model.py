"""Model(potential, memory) and the paths that name its parameters.

A parameter is an inexact array leaf of an Equinox module; its path is the way to it through
attributes and indices, `potential.coefficients` or `potential.terms.1.epsilon`.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError
from bayescg._typing import Array
from bayescg.interfaces import AbstractMemory, AbstractPotential, Extent, Timescales

Tree = TypeVar("Tree")


class Model(eqx.Module):
    """A coarse-grained model: a potential and, for dynamics, a memory.

    Attributes:
        potential: of mean force, kJ/mol.
        memory: of the generalized Langevin equation; None where only structure is modelled.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(potential=bcg.potentials.PairSpline(cutoff=0.9, knots=24))
        >>> model.potential.cutoff
        0.9
    """

    potential: AbstractPotential
    memory: AbstractMemory | None = None


def parameters(tree: Any) -> dict[str, Array]:
    """Every parameter of a module by its path.

    Example:
        >>> import bayescg as bcg
        >>> sorted(parameters(bcg.Model(bcg.potentials.LennardJones(epsilon=0.65, sigma=0.32, cutoff=0.9))))
        ['potential.epsilon', 'potential.sigma']
    """
    return {path: leaf for path, leaf in _leaves(tree) if eqx.is_inexact_array(leaf)}


def with_values(tree: Tree, values: Mapping[str, Any]) -> Tree:
    """The module with the parameters at these paths replaced.

    Args:
        tree: a module.
        values: path -> array of the parameter's shape.

    Raises:
        BayescgError: a path names no parameter, or a shape differs.
    """
    known = parameters(tree)
    for path, value in values.items():
        if path not in known:
            raise BayescgError(unknown_path(path, known))
        if np.shape(value) != known[path].shape:
            raise BayescgError(
                f"{path} must have shape {known[path].shape}, got {np.shape(value)}. "
                "Give one value per element."
            )
    leaves = [
        jnp.asarray(values[path], dtype=leaf.dtype) if path in values else leaf
        for path, leaf in _leaves(tree)
    ]
    return jax.tree.unflatten(jax.tree.structure(tree, is_leaf=_is_known), leaves)


def unknown_path(path: str, known: Mapping[str, Any]) -> str:
    """The sentence for a path that names no parameter."""
    listed = ", ".join(sorted(known)) or "none"
    return f"{path!r} names no parameter of this model. Its parameters are: {listed}."


def _leaves(tree: Any) -> list[tuple[str, Any]]:
    flat, _ = jax.tree_util.tree_flatten_with_path(tree, is_leaf=_is_known)
    return [(".".join(_name(key) for key in keys), leaf) for keys, leaf in flat]


def _is_known(node: Any) -> bool:
    """Whether a node holds facts about the data, which are no parameters."""
    return isinstance(node, Timescales | Extent)


def _name(key: Any) -> str:
    match key:
        case jax.tree_util.GetAttrKey(name=name):
            return name
        case jax.tree_util.SequenceKey(idx=index):
            return str(index)
        case jax.tree_util.DictKey(key=name):
            return str(name)
        case _:
            return str(key)
