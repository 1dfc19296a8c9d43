"""What every sampler is: it draws positions from a problem's posterior, driven by the host loop."""

import abc
from typing import Protocol, runtime_checkable

import equinox as eqx
import numpy as np

from bayescg._typing import Array, Float, NumpyArray, PRNGKeyArray
from bayescg.numerics.host_loop import HostLoop


@runtime_checkable
class Target(Protocol):
    """What a sampler needs of a problem; `Problem` has it.

    Attributes:
        dimension: number of unconstrained coordinates.
    """

    @property
    def dimension(self) -> int:
        """Number of unconstrained coordinates."""
        ...

    def log_density(self, u: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Log posterior density in unconstrained coordinates, up to a constant; pure."""
        ...

    def initial(self, key: PRNGKeyArray) -> Float[Array, " parameter"]:
        """A draw from the prior in unconstrained coordinates."""
        ...


class Draws(eqx.Module):
    """Draws from a posterior.

    Attributes:
        positions: unconstrained coordinates u.
        statistics: by ArviZ's names, each (chain, draw): `lp`, and for NUTS `diverging`,
            `acceptance_rate`, `tree_depth`, `n_steps`, `energy`, `step_size`.
    """

    positions: Float[np.ndarray, "chain draw parameter"]
    statistics: dict[str, NumpyArray]


class AbstractSampler(eqx.Module):
    """Draws from the posterior of a problem."""

    @abc.abstractmethod
    def draw(self, problem: Target, *, key: PRNGKeyArray, loop: HostLoop) -> Draws:
        """Draw from the posterior.

        Args:
            problem: the posterior.
            key: source of all randomness; the same key gives the same bits.
            loop: progress, checkpoint and interruption. Its fingerprint must cover the problem, these
                `settings` and the key.
        """

    @abc.abstractmethod
    def settings(self) -> dict[str, str | int | float]:
        """Everything that determines the draws besides problem and key, for provenance and fingerprint."""
