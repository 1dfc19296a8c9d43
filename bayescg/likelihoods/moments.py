"""An observable of single moments, measured on frames that come one after another.

One compiled program serves all frames. An energy needs neighbours: they are found on the host, in rows that
are widened where a frame has beads with more.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError
from bayescg._typing import Array, NumpyArray
from bayescg.dynamics.neighbors import roomy_capacity
from bayescg.interfaces import (
    AbstractEnergyObservable,
    AbstractObservable,
    AbstractPotential,
    Configuration,
    Topology,
)
from bayescg.likelihoods.reading import listed_pairs
from bayescg.numerics.pairs import check_cutoff, neighbor_matrix

FRAMES_AT_ONCE = 32
"""Frames handed to a program at once where no neighbours are needed: a call costs as much as a frame."""

Momentary = AbstractObservable | AbstractEnergyObservable


class Measurement:
    """Measures frames, one call each.

    Args:
        observable: prepared.
        topology: of the beads.
        temperature: of the frames, K; None where it is not known.
        potential: of an observable that is an energy, or derives from one.

    Raises:
        BayescgError: the observable needs a potential and there is none, or its cutoff is beyond half the
        box.

    Example:
        >>> import bayescg as bcg
        >>> water = bcg.data.water(frames=1)
        >>> gas = bcg.potentials.LennardJones([1.0], [0.1], cutoff=0.5, type_names=("SOL",))
        >>> measure = Measurement(
        ...     bcg.observables.Pressure(), bcg.data.topology(water), temperature=300.0, potential=gas
        ... )
        >>> pressure = measure(water.position.values[0], water.box.values[0])
        >>> bool(1300 < pressure < 1500)
        True
    """

    def __init__(
        self,
        observable: Momentary,
        topology: Topology,
        *,
        temperature: float | None = None,
        potential: AbstractPotential | None = None,
    ) -> None:
        self.observable, self.topology = observable, topology
        self.temperature, self.potential = temperature, potential
        self._capacity = 0
        if not isinstance(observable, AbstractEnergyObservable):
            self.potential = None
        elif potential is None:
            raise BayescgError(
                f"potential must be given to measure {observable.name!r} on frames, got None. Give one with "
                "values, as in potential=problem.model(values).potential."
            )

    def __call__(self, positions: Any, box: Any) -> NumpyArray:
        """The observable of one frame.

        Args:
            positions: (bead, dim), nm.
            box: (dim,) edge lengths, nm; None for an open system.
        """
        x = jnp.asarray(positions, float)
        edges = None if box is None else jnp.asarray(box, float)
        configuration = Configuration(
            x, edges, self._neighbors(positions, box), self.topology, self.temperature
        )
        return np.asarray(_measured(self.observable, configuration, self.potential), np.float64)

    def of_frames(self, positions: NumpyArray, boxes: NumpyArray | None) -> NumpyArray:
        """The observable of many frames, (frame, ...).

        Args:
            positions: (frame, bead, dim), nm.
            boxes: (frame, dim) edge lengths, nm; None for an open system.
        """
        observable = self.observable
        if not isinstance(observable, AbstractObservable):  # rows of neighbours are found on the host
            edges = [None] * len(positions) if boxes is None else boxes
            return np.stack([self(x, box) for x, box in zip(positions, edges, strict=True)])
        found = []
        for begin in range(0, len(positions), FRAMES_AT_ONCE):
            # the last piece repeats its last frame: one shape, one program
            places = np.minimum(np.arange(begin, begin + FRAMES_AT_ONCE), len(positions) - 1)
            edges = None if boxes is None else jnp.asarray(boxes[places], float)
            x = jnp.asarray(positions[places], float)
            found.append(_measured_together(observable, x, edges, self.topology, self.temperature))
        return np.concatenate([np.asarray(part, np.float64) for part in found])[: len(positions)]

    def _neighbors(self, positions: Any, box: Any) -> Array:
        """Rows for the potential, wide enough for this frame."""
        beads, cutoff = len(positions), 0.0 if self.potential is None else self.potential.cutoff
        x, edges = np.asarray(positions, float), None if box is None else np.asarray(box, float)
        if cutoff == 0:
            return jnp.zeros((beads, 0), jnp.int32)
        check_cutoff(cutoff, edges)
        pairs = listed_pairs(x, edges, cutoff, self.topology)
        counts = np.bincount(np.concatenate([pairs.first, pairs.second]), minlength=beads)
        if counts.max() > self._capacity:
            self._capacity = roomy_capacity(int(counts.max()), beads)
        return jnp.asarray(neighbor_matrix(pairs, beads, self._capacity))


@eqx.filter_jit
def _measured(
    observable: Momentary, configuration: Configuration, potential: AbstractPotential | None
) -> Array:
    if isinstance(observable, AbstractObservable):
        return observable.measure(configuration)
    assert potential is not None
    return observable.measure(configuration, potential)


@eqx.filter_jit
def _measured_together(
    observable: AbstractObservable,
    positions: Array,
    boxes: Array | None,
    topology: Topology,
    temperature: float | None,
) -> Array:
    nobody = jnp.zeros((positions.shape[1], 0), jnp.int32)

    def of_frame(frame: tuple[Array, Array | None]) -> Array:
        return observable.measure(Configuration(*frame, nobody, topology, temperature))

    return jax.lax.map(of_frame, (positions, boxes))
