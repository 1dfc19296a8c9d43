"""What a NUTS engine gives: a state for all chains, and one iteration of it, adapting while it warms up."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx

from bayescg._typing import Array, Float, PRNGKeyArray
from bayescg.inference.tangent import Tangent

LogDensity = Callable[[Float[Array, " parameter"]], Float[Array, ""]]
Iteration = Callable[[Any], tuple[Any, dict[str, Array]]]


class AbstractNUTSEngine(eqx.Module):
    """NUTS for many chains at once.

    An iteration returns `z` (chain, parameter) and, one number per chain, `lp`, `diverging`,
    `acceptance_rate`, `tree_depth`, `n_steps`, `energy` and the `step_size` it was made with. The
    engine counts the iterations in its state: the first `warmup` of them adapt, the others do not.

    Attributes:
        warmup: iterations that adapt.
        target_acceptance: mean acceptance the step size aims at.
        max_tree_depth: a trajectory has at most 2^max_tree_depth steps.
        dense_mass: whether the mass matrix is full.
    """

    warmup: eqx.AbstractVar[int]
    target_acceptance: eqx.AbstractVar[float]
    max_tree_depth: eqx.AbstractVar[int]
    dense_mass: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def init(self, starts: Tangent, key: PRNGKeyArray) -> Any:
        """State of all chains, the leading axis of `starts`, before the first iteration."""

    @abc.abstractmethod
    def build(self, density: LogDensity) -> Iteration:
        """One iteration of all chains: state -> (state, record)."""
