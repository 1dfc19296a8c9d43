"""Prior: a dictionary from parameter path to distribution, or a NumPyro program returning values.

    prior = bcg.priors.default(model) | {"potential.terms.1.sigma": dist.LogNormal(-1.2, 0.1)}

An entry is a NumPyro distribution (broadcast over the parameter's shape), a number or array (the
parameter is fixed there), or an `AbstractPathPrior` that may draw hyperparameters of its own.
Parameters without an entry are constants of the model.
"""

import abc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from bayescg._checks import BayescgError, require
from bayescg._typing import Array
from bayescg.model import parameters, unknown_path

Program = Callable[[], Mapping[str, Any]]


class AbstractPathPrior(eqx.Module):
    """A prior that knows what it is put on, and may have hyperparameters."""

    @abc.abstractmethod
    def sample(self, path: str, owner: Any, value: Array) -> Array:
        """Draw the parameter by `numpyro.sample(path, ...)`.

        Args:
            path: of the parameter; hyperparameters are named `path.something`.
            owner: the module that holds the parameter.
            value: the parameter as allocated, for its shape.
        """


@jax.tree_util.register_pytree_node_class
class Prior(Mapping[str, Any]):
    """Entries by path, and optionally a program whose values stand for paths without an entry.

    A prior is a pytree: numbers in its distributions may be arguments of compiled functions.

    Raises:
        BayescgError: an entry is neither a distribution, a number nor an `AbstractPathPrior`.

    Example:
        >>> import numpyro.distributions as dist
        >>> prior = Prior({"potential.epsilon": dist.LogNormal(0.0, 1.0)}) | {"potential.sigma": 0.3}
        >>> sorted(prior)
        ['potential.epsilon', 'potential.sigma']
    """

    def __init__(self, entries: Mapping[str, Any], program: Program | None = None) -> None:
        for path, entry in entries.items():
            _check_entry(path, entry)
        self._entries = dict(entries)
        self.program = program

    def __getitem__(self, path: str) -> Any:
        """The entry of a path."""
        return self._entries[path]

    def __iter__(self) -> Iterator[str]:
        """Paths with an entry."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Number of entries."""
        return len(self._entries)

    def __or__(self, other: "Mapping[str, Any]") -> "Prior":
        """The entries of both; those on the right win."""
        return Prior({**self._entries, **other}, getattr(other, "program", None) or self.program)

    def __ror__(self, other: "Mapping[str, Any]") -> "Prior":
        """The entries of both where a dictionary stands on the left; the prior's win."""
        return Prior({**other, **self._entries}, self.program)

    def tree_flatten(self) -> tuple[tuple[Any, ...], Any]:
        """Entries as children; their paths and the program as structure."""
        return tuple(self.values()), (tuple(self), self.program)

    @classmethod
    def tree_unflatten(cls, structure: Any, entries: Any) -> "Prior":
        """The prior again; while a tree is rebuilt its entries may be anything."""
        paths, program = structure
        prior = object.__new__(cls)
        prior._entries, prior.program = dict(zip(paths, entries, strict=True)), program
        return prior

    def only(self, wanted: Callable[[str], bool]) -> "Prior":
        """The entries whose path is wanted.

        Raises:
            BayescgError: a program draws all values together, so it cannot be taken apart.

        Example:
            >>> import numpyro.distributions as dist
            >>> both = Prior({"a.b": dist.Normal(), "c.d": dist.Normal()})
            >>> list(both.only(lambda path: path.startswith("a")))
            ['a.b']
        """
        require(
            self.program is None,
            "the prior must be a dictionary of path -> distribution where a posterior is drawn module by "
            "module, got a program. Write its distributions as entries, or sample with cut=False.",
        )
        return Prior({path: entry for path, entry in self._entries.items() if wanted(path)})

    def check(self, tree: Any) -> None:
        """Raise unless every path names a parameter of the model.

        Raises:
            BayescgError: an unknown path, or a prior on a constant.
        """
        known = parameters(tree)
        for path in self:
            if path in known:
                continue
            if _is_constant(tree, path):
                raise BayescgError(
                    f"{path} is a constant of the model, so it cannot have a prior. Set it when the model is "
                    f"built, or put a prior on one of: {', '.join(sorted(known))}."
                )
            raise BayescgError(f"The prior cannot be used: {unknown_path(path, known)}")

    def sample(self, tree: Any) -> dict[str, Array]:
        """Draw a value for every path; inside a NumPyro program.

        Args:
            tree: the prepared module that the paths point into.
        """
        known = parameters(tree)
        values = {} if self.program is None else dict(self.program())
        for path, value in values.items():
            if path not in known:
                raise BayescgError(f"The prior program cannot be used: {unknown_path(path, known)}")
            values[path] = _fixed(path, value, known[path])
        for path, entry in self._entries.items():
            values[path] = _sample_entry(path, entry, tree, known[path])
        return values


def _sample_entry(path: str, entry: Any, tree: Any, value: Array) -> Array:
    if isinstance(entry, AbstractPathPrior):
        return entry.sample(path, _owner(tree, path), value)
    if isinstance(entry, dist.Distribution):
        return jnp.asarray(numpyro.sample(path, _spread(path, entry, value.shape)))
    return _fixed(path, entry, value)


def _fixed(path: str, entry: Any, value: Array) -> Array:
    """A number or array over the parameter's whole shape."""
    try:
        return jnp.broadcast_to(jnp.asarray(entry, dtype=value.dtype), value.shape)
    except ValueError:
        raise BayescgError(
            f"The value of {path} must broadcast to its shape {value.shape}, got one of shape "
            f"{np.shape(entry)}. Give one value for all elements or one per element."
        ) from None


def _spread(path: str, distribution: dist.Distribution, shape: tuple[int, ...]) -> dist.Distribution:
    """The distribution over the parameter's whole shape, as one event."""
    batch = shape[: max(len(shape) - len(distribution.event_shape), 0)]
    try:
        spread = distribution if distribution.batch_shape == batch else distribution.expand(batch)
    except (ValueError, TypeError):
        spread = None
    if spread is None or spread.shape() != shape:
        raise BayescgError(
            f"The prior of {path} must broadcast to its shape {shape}, got a distribution of shape "
            f"{distribution.shape()}. Give one distribution for all elements or one per element."
        )
    return spread.to_event(len(batch)) if batch else spread


def _check_entry(path: str, entry: Any) -> None:
    if isinstance(entry, dist.Distribution):
        require(
            entry.support is not None and not entry.support.is_discrete,
            f"The prior of {path!r} must be continuous, got {type(entry).__name__}, which draws whole "
            "numbers. Give a distribution over real numbers.",
        )
        return
    if isinstance(entry, AbstractPathPrior):
        return
    try:
        np.asarray(entry).astype(float, casting="same_kind")
    except (TypeError, ValueError):
        raise BayescgError(
            f"The prior of {path!r} must be a NumPyro distribution, a number or an AbstractPathPrior, got "
            f"{type(entry).__name__}. Write for example numpyro.distributions.Normal(0.0, 1.0)."
        ) from None


def _owner(tree: Any, path: str) -> Any:
    for name in path.split(".")[:-1]:
        tree = tree[int(name)] if name.isdigit() else getattr(tree, name)
    return tree


def _is_constant(tree: Any, path: str) -> bool:
    """Whether the path leads to a field of a module that is itself neither a module nor several."""
    try:
        owner = _owner(tree, path)
        found = getattr(owner, path.rsplit(".", 1)[-1])
    except (AttributeError, IndexError, TypeError, ValueError):
        return False
    return isinstance(owner, eqx.Module) and not (callable(found) or isinstance(found, eqx.Module | tuple))
