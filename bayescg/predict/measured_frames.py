"""Observables on the frames that another program writes: record after record, with flat memory.

    record r:   mean over its frames of every observable of single moments,
                sum and weight over its frames of every observable over time,
                mean kinetic temperature  sum m v² / (k_B f),   f momentum components that are free.

One compiled program measures a few frames at once and hands on the accumulators of the observables over time,
so that a run of any length needs the memory of one piece. Positions are put into the box and rounded to
float32 for observables of single moments, as simulations with jax-md have them; energies, displacements and
velocities stay in float64. Pairs of a radial distribution function are counted outside of that program, in a
fifth of the time.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._typing import Array, NumpyArray
from bayescg.interfaces import (
    AbstractEnergyObservable,
    AbstractObservable,
    AbstractPotential,
    AbstractTimeObservable,
    Configuration,
    Observable,
    Snapshot,
    Totals,
    type_pair_index,
)
from bayescg.observables import RDF
from bayescg.predict.external import Plan
from bayescg.units import BOLTZMANN


class HostTopology(NamedTuple):
    """What loops outside of compiled programs need of a topology.

    Attributes:
        types: of the beads.
        molecules: of the beads.
        kinds: place of every pair of types among all pairs.
    """

    types: NumpyArray
    molecules: NumpyArray
    kinds: NumpyArray


class Meter:
    """What is measured of every frame, of any draw, and the programs that do it.

    Attributes:
        moments: observables of single moments, prepared.
        series: observables over time, prepared.
        topology: of the beads.
        temperature: of the ensemble, K.
        freedom: momentum components that are free.
        needs_energy: whether some observable asks for the potential.
        host: types, molecules and pairs of types as numbers on the host.

    Args:
        observables: not yet prepared.
        plan: of the run.
        dims: of positions.

    Example:
        >>> import bayescg as bcg
        >>> water = bcg.data.water(frames=1)
        >>> plan = Plan(bcg.data.topology(water), water.box.values[0], 300.0, 0.005, 20, 5, 0, 2, 1.0)
        >>> Meter([bcg.observables.RDF()], plan, dims=3).freedom
        1530
    """

    def __init__(self, observables: Sequence[Observable], plan: Plan, *, dims: int) -> None:
        types = jnp.asarray(plan.topology.types, jnp.int32)
        self.topology = eqx.tree_at(lambda t: t.types, plan.topology, types)
        series = [o for o in observables if isinstance(o, AbstractTimeObservable)]
        moments = [o for o in observables if not isinstance(o, AbstractTimeObservable)]
        self.moments = tuple(o.prepare(self.topology, plan.box) for o in moments)
        self.series = tuple(o.prepare(self.topology, plan.interval) for o in series)
        self.temperature, beads = plan.temperature, types.shape[0]
        self.isolated = plan.ensemble == "NVE"
        conserved = plan.ensemble == "NVE" or plan.thermostat in ("nose-hoover", "csvr")
        self.freedom = dims * (beads - 1) if conserved and beads > 1 else dims * beads
        self.needs_energy = any(isinstance(o, AbstractEnergyObservable) for o in moments)
        each = jnp.arange(len(self.topology.type_names))
        kinds = type_pair_index(each[:, None], each[None], each.size)
        self.host = HostTopology(*map(np.asarray, (types, self.topology.molecules, kinds)))
        # plain jax.jit where it will do: its calls cost a tenth, and there are many
        self._measure: Any = eqx.filter_jit(self._frames) if self.needs_energy else jax.jit(self._frames)
        self._close = jax.jit(self._record)

    def measure(
        self, accumulators: tuple[Any, ...], arrays: tuple[Any, ...], potential: AbstractPotential
    ) -> tuple[tuple[Any, ...], tuple[NumpyArray, ...], NumpyArray]:
        """Accumulators after a few frames; every observable and the kinetic temperature of each.

        Args:
            accumulators: before.
            arrays: wrapped and unwrapped positions, velocities, boxes, neighbours, counted pairs; each with a
                leading frame axis, or None.
            potential: of the draw.
        """
        field = potential if self.needs_energy else None
        after, values, temperatures = self._measure(accumulators, arrays, field)
        return after, *jax.device_get((values, temperatures))

    def close(self, accumulators: tuple[Any, ...]) -> tuple[tuple[Totals, ...], tuple[Any, ...]]:
        """The totals of a record, and the accumulators of the next.

        Args:
            accumulators: at its end.
        """
        totals, after = self._close(accumulators)
        return jax.device_get(totals), after

    def _record(self, accumulators: tuple[Any, ...]) -> tuple[tuple[Totals, ...], tuple[Any, ...]]:
        each = list(zip(self.series, accumulators, strict=True))
        return tuple(o.totals(a) for o, a in each), tuple(o.restart(a) for o, a in each)

    def _frames(
        self, accumulators: tuple[Any, ...], arrays: tuple[Any, ...], potential: AbstractPotential | None
    ) -> tuple[tuple[Any, ...], tuple[Array, ...], Array]:
        masses = self.topology.masses.astype(float)[:, None]

        def one(accumulators: tuple[Any, ...], frame: tuple[Any, ...]) -> tuple[Any, Any]:
            inside, x, v, box, near, counted = frame
            snapshot = Snapshot(x, v)
            after = tuple(o.update(a, snapshot) for o, a in zip(self.series, accumulators, strict=True))
            nobody = jnp.zeros((x.shape[0], 0), jnp.int32)
            edges = None if box is None else box.astype(inside.dtype)
            # at constant energy there is no temperature but that of the moment
            now = jnp.sum(masses * v**2) / (BOLTZMANN * v.size) if self.isolated else self.temperature
            seen = Configuration(inside, edges, nobody, self.topology, now)
            exact = None if near is None else dataclasses.replace(seen, positions=x, box=box, neighbors=near)
            each = zip(self.moments, counted, strict=True)
            values = tuple(_value(o, seen, exact, potential, count) for o, count in each)
            kelvin = jnp.sum(masses * v**2) / (BOLTZMANN * self.freedom)
            return after, (values, kelvin)

        after, (values, temperatures) = jax.lax.scan(one, accumulators, arrays)
        return after, values, temperatures


def _value(
    observable: AbstractObservable | AbstractEnergyObservable,
    seen: Configuration,
    exact: Configuration | None,
    potential: AbstractPotential | None,
    count: Array | None,
) -> Array:
    if isinstance(observable, RDF) and count is not None and seen.box is not None:
        return jnp.asarray(observable.of_counts(count, seen.box, seen.topology), float)
    if isinstance(observable, AbstractObservable):
        return jnp.asarray(observable.measure(seen), float)
    assert exact is not None  # neighbours and potential are there where an observable needs an energy
    assert potential is not None
    return jnp.asarray(observable.measure(exact, potential), float)
