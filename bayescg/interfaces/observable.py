"""Observables: what is measured alike on data and in simulations."""

import abc
from typing import Any, NamedTuple, Self

import equinox as eqx
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.configuration import Configuration, Topology
from bayescg.interfaces.potential import AbstractPotential


class AbstractObservable(eqx.Module):
    """One number or curve per configuration, averaged over many; serves data and simulation alike."""

    name: eqx.AbstractVar[str]
    units: eqx.AbstractVar[str]

    @abc.abstractmethod
    def prepare(self, topology: Topology, box: Any) -> Self:
        """Return the observable with everything fixed that it takes from the system, a range say."""

    @abc.abstractmethod
    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """Labels of the axes of `measure`, in order: dimension name -> values."""

    @abc.abstractmethod
    def measure(self, configuration: Configuration) -> Array:
        """The observable of one configuration; neighbours in the configuration are not used."""


class AbstractEnergyObservable(eqx.Module):
    """One number or curve per configuration and potential: an energy, or what derives from one.

    In simulations every draw is measured with its own potential; data are measured with the one that is
    given. The configuration comes with neighbours that are valid for this potential, and with the
    temperature of its ensemble.
    """

    name: eqx.AbstractVar[str]
    units: eqx.AbstractVar[str]

    @abc.abstractmethod
    def prepare(self, topology: Topology, box: Any) -> Self:
        """Return the observable with everything fixed that it takes from the system."""

    @abc.abstractmethod
    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """Labels of the axes of `measure`, in order: dimension name -> values."""

    @abc.abstractmethod
    def measure(self, configuration: Configuration, potential: AbstractPotential) -> Array:
        """The observable of one configuration under this potential."""


class Snapshot(NamedTuple):
    """One moment of a trajectory.

    Attributes:
        positions: nm, unwrapped: a bead that leaves the box goes on, so that displacements are true.
        velocities: nm/ps.
    """

    positions: Float[Array, "bead dim"]
    velocities: Float[Array, "bead dim"]


class Totals(NamedTuple):
    """A ratio of sums, element by element: sums of stretches of time add, and so their ratio can be joined.

    Attributes:
        sum: what was added up.
        weight: what it is divided by, mostly the number of samples; zero where there was none.
    """

    sum: Array
    weight: Array


class AbstractTimeObservable(eqx.Module):
    """A curve over time lags, from moments one after another at equal intervals; memory stays flat.

    Data and simulation call `begin` once, `update` with every moment, `result` at the end; for block
    errors `totals` and `restart` after every block.
    """

    name: eqx.AbstractVar[str]
    units: eqx.AbstractVar[str]
    quantity: eqx.AbstractVar[str]  # what the data must hold: "position" or "velocity"

    @abc.abstractmethod
    def prepare(self, topology: Topology, interval: float) -> Self:
        """Return the observable with everything fixed: topology, and the time between moments in ps."""

    @abc.abstractmethod
    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """Labels of the axes of `result`, in order: dimension name -> values."""

    @abc.abstractmethod
    def begin(self, beads: int, dims: int) -> Any:
        """The empty accumulator: a tree of arrays of fixed shape."""

    @abc.abstractmethod
    def update(self, accumulator: Any, snapshot: Snapshot) -> Any:
        """The accumulator after one more moment; pure."""

    @abc.abstractmethod
    def totals(self, accumulator: Any) -> Totals:
        """Sum and weight since `begin` or `restart`, each of the shape of `result`."""

    @abc.abstractmethod
    def restart(self, accumulator: Any) -> Any:
        """The accumulator with its sums at zero; the moments it remembers stay."""

    def result(self, accumulator: Any) -> Array:
        """The curve so far, sum / weight; NaN where nothing was sampled."""
        total, weight = self.totals(accumulator)
        return jnp.where(weight > 0, total / jnp.where(weight > 0, weight, 1.0), jnp.nan)


Observable = AbstractObservable | AbstractEnergyObservable | AbstractTimeObservable
"""Anything that can be measured; the first two are of single moments."""
