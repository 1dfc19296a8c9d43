"""Frames that some models sampled, as a sample of what any other model would: energies and weights.

    w_theta(n) ∝ exp(-U_theta(x_n)/kT) / Σ_r N_r exp(f_r - U_r(x_n)/kT)

over frames n of a few simulated models r. The denominator is known once; of pair potentials a histogram of
distances is kept of every frame (`potentials.distance_histogram`), so that the energies of all frames under
another model are one product of a matrix with a table. Other terms are evaluated on the frames.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require
from bayescg._typing import Array, Bool, Float, Int, NumpyArray
from bayescg.data import topology, validate
from bayescg.interfaces import (
    AbstractEnergyObservable,
    AbstractObservable,
    AbstractPairPotential,
    AbstractPotential,
    Configuration,
    Topology,
)
from bayescg.likelihoods.design import Frame
from bayescg.likelihoods.frames import FRAMES_AT_ONCE, FrameArrays, stacked
from bayescg.likelihoods.moments import Measurement
from bayescg.likelihoods.reading import listed_pairs
from bayescg.model import Model
from bayescg.numerics.batches import map_in_batches
from bayescg.numerics.equilibration import equilibrated, principal_series, statistical_inefficiency
from bayescg.numerics.mixture import free_energies, log_mixture
from bayescg.potentials.distance_histogram import (
    distance_histogram,
    histogram_nodes,
    pair_table,
    terms_of,
)
from bayescg.potentials.thermodynamic import at_temperature
from bayescg.units import BOLTZMANN, thermal_energy

BLOCKS = 16
"""Contiguous stretches of sampled frames that scores are told apart by, at most."""


class SampledFrames(eqx.Module):
    """Frames of a few models, and what gives their weights under any other.

    Attributes:
        values: the observable of every frame, elements in one row; of an energy under the model it came from.
        histogram: of distances at `nodes`, type pairs one after another; None without pair potentials.
        nodes: distances, nm.
        arrays: the frames themselves; None where pair potentials are all there is.
        topology: of the beads.
        log_mixture: logarithm of the mixture's density, up to a constant; infinite, so that their weight is
            zero, for frames from before equilibrium. They stay, so that shapes do not depend on them.
        block: contiguous stretch that every frame belongs to.
        inefficiency: correlated frames that are worth one independent frame.
        temperature: K.
        block_count: number of stretches.
    """

    values: Float[Array, "frame element"]
    histogram: Float[Array, "frame place"] | None
    nodes: Float[Array, " node"]
    arrays: FrameArrays | None
    topology: Topology
    log_mixture: Float[Array, " frame"]
    block: Int[Array, " frame"]
    inefficiency: Float[Array, ""]
    temperature: Float[Array, ""]
    block_count: int = eqx.field(static=True)

    def log_weights(self, potential: AbstractPotential) -> Float[Array, " frame"]:
        """Logarithms of the weights of all frames, which sum to one; pure.

        Args:
            potential: prepared for these beads.
        """
        reduced = self.energies(potential) / (BOLTZMANN * self.temperature)
        return jax.nn.log_softmax(-reduced - self.log_mixture)

    def energies(self, potential: AbstractPotential) -> Float[Array, " frame"]:
        """Energies of all frames, kJ/mol; pure.

        Args:
            potential: prepared for these beads.
        """
        terms = terms_of(at_temperature(potential, self.temperature))
        pairwise = [term for term in terms if isinstance(term, AbstractPairPotential)]
        others = [term for term in terms if not isinstance(term, AbstractPairPotential)]
        total = jnp.zeros(self.values.shape[0])
        if pairwise:
            assert self.histogram is not None
            kinds = len(self.topology.type_names)
            tables = [pair_table(term, self.nodes, kinds) for term in pairwise]
            total += self.histogram @ jnp.ravel(sum(tables, start=jnp.zeros(tables[0].shape)))
        if others:
            total += self.over_frames(
                lambda frame: sum((term.energy(frame) for term in others), start=jnp.zeros(()))
            )
        return total

    def measured(
        self, observable: AbstractObservable | AbstractEnergyObservable, potential: AbstractPotential
    ) -> Float[Array, "frame element"]:
        """The observable of every frame: as it was measured, or an energy under this potential; pure.

        Args:
            observable: prepared.
            potential: prepared for these beads.
        """
        if isinstance(observable, AbstractObservable):
            return self.values
        at = at_temperature(potential, self.temperature)
        found = self.over_frames(lambda frame: jnp.ravel(observable.measure(frame, at)))
        return found.reshape(self.values.shape)

    @property
    def settled(self) -> Bool[Array, " frame"]:
        """Frames that are of equilibrium."""
        return jnp.isfinite(self.log_mixture)

    def over_frames(self, function: Any) -> Array:
        """A function of every frame.

        Args:
            function: of a `Configuration`.
        """
        assert self.arrays is not None

        @jax.checkpoint  # computed again for the gradient instead of being kept for all frames
        def of_frame(frame: FrameArrays) -> Array:
            return function(Configuration(*frame[:3], self.topology, frame[3]))

        return map_in_batches(of_frame, self.arrays, FRAMES_AT_ONCE)


class _Run(NamedTuple):
    """Frames of one model, the first `start` from before equilibrium."""

    potential: AbstractPotential
    frames: list[Frame]
    values: NumpyArray
    start: int
    inefficiency: float


def gather_sampled(
    sampled: Sequence[tuple[Model, xr.Dataset]],
    observable: AbstractObservable | AbstractEnergyObservable,
    potential: AbstractPotential,
    temperature: float,
) -> SampledFrames:
    """Measure the frames of every model, leave out what came before equilibrium, and join them.

    Args:
        sampled: a model with values, and frames that it sampled at this temperature.
        observable: prepared.
        potential: of the model that is to be fitted, prepared.
        temperature: K.

    Raises:
        BayescgError: frames of another temperature, of other beads, or none.

    Example:
        >>> import bayescg as bcg
        >>> argon = bcg.potentials.LennardJones([0.65], [0.3], 0.9, ("SOL",))
        >>> density = bcg.observables.RDF(maximum=0.9, bins=10)
        >>> found = gather_sampled([(bcg.Model(argon), bcg.data.water(frames=8))], density, argon, 300.0)
        >>> jnp.exp(found.log_weights(argon)).round(3).tolist()
        [0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125]
    """
    cutoff = max([potential.cutoff, *(model.potential.cutoff for model, _ in sampled)])
    runs = [_run(model, beads, observable, cutoff, temperature) for model, beads in sampled]
    potentials = [run.potential for run in runs]
    frames = [frame for run in runs for frame in run.frames]
    terms = [term for one in (potential, *potentials) for term in terms_of(at_temperature(one, temperature))]
    pairwise = [isinstance(term, AbstractPairPotential) for term in terms]
    nodes, histogram = _histograms(frames, cutoff) if any(pairwise) else (np.zeros(0), None)
    need_frames = not all(pairwise) or isinstance(observable, AbstractEnergyObservable)
    counts = np.array([len(run.frames) - run.start for run in runs])
    settled = np.concatenate([np.arange(len(run.frames)) >= run.start for run in runs])
    block = _blocks(np.array([len(run.frames) for run in runs]))
    joined = SampledFrames(
        values=jnp.asarray(np.concatenate([run.values for run in runs])),
        histogram=None if histogram is None else jnp.asarray(histogram),
        nodes=jnp.asarray(nodes),
        arrays=stacked(frames) if need_frames else None,
        topology=frames[0].topology,
        log_mixture=jnp.zeros(settled.size),
        block=jnp.asarray(block),
        inefficiency=jnp.asarray(np.average([run.inefficiency for run in runs], weights=counts)),
        temperature=jnp.asarray(temperature),
        block_count=int(block.max()) + 1,
    )
    energies = np.stack([np.asarray(_energies(joined, one)) for one in potentials])
    reduced = energies[:, settled] / thermal_energy(temperature)
    mixture = np.full(settled.size, np.inf)
    mixture[settled] = log_mixture(reduced, counts, free_energies(reduced, counts))
    return eqx.tree_at(lambda s: s.log_mixture, joined, jnp.asarray(mixture))


def _run(
    model: Model,
    beads: xr.Dataset,
    observable: AbstractObservable | AbstractEnergyObservable,
    cutoff: float,
    temperature: float,
) -> _Run:
    beads = validate(beads)
    require(
        beads.sizes["frame"] >= 2,
        f"sampled frames must number at least two a model, got {beads.sizes['frame']}. Simulate longer.",
    )
    there = float(beads.attrs["temperature"])
    require(
        abs(there - temperature) < 0.01 * temperature,
        f"sampled frames must be of the temperature of the data, {temperature:g} K, got {there:g} K. "
        "Simulate the model at that temperature.",
    )
    shared, potential = topology(beads), at_temperature(model.potential, temperature)
    positions = beads["position"].to_numpy().astype(np.float64)
    boxes = beads["box"].to_numpy().astype(np.float64) if "box" in beads else None
    measure = Measurement(observable, shared, temperature=temperature, potential=potential)
    values = measure.of_frames(positions, boxes).reshape(len(positions), -1)
    if not np.isfinite(values).all():
        raise BayescgError(
            f"{observable.name} must be finite in all sampled frames, got NaN or infinity. Leave those "
            "frames out."
        )
    series = principal_series(values)
    start = equilibrated(series).start
    frames = [
        Frame(x, box, listed_pairs(x, box, cutoff, shared), shared, temperature)
        for x, box in zip(positions, [None] * len(positions) if boxes is None else boxes, strict=True)
    ]
    slowest = statistical_inefficiency(series[start:]).max() if series.shape[1] else 1.0
    return _Run(potential, frames, values, start, float(slowest))


def _histograms(frames: list[Frame], cutoff: float) -> tuple[NumpyArray, NumpyArray]:
    """Nodes from the shortest distance on, and every frame's histogram there, (frame, place)."""
    of_frame = eqx.filter_jit(distance_histogram)
    rows = np.stack([np.asarray(of_frame(frame.configuration(), cutoff)) for frame in frames])
    nodes = np.asarray(histogram_nodes(cutoff))
    found = rows.reshape(len(frames), -1, nodes.size)
    used = np.flatnonzero(found.any(axis=(0, 1)))
    first = int(used[0]) if used.size else nodes.size - 1
    return nodes[first:], found[:, :, first:].reshape(len(frames), -1)


def _blocks(counts: NumpyArray) -> NumpyArray:
    """Contiguous stretch of every frame, numbered over all models."""
    each = np.minimum(max(1, BLOCKS // len(counts)), counts)
    ends = np.cumsum(each)
    return np.concatenate(
        [np.arange(n) * k // n + end - k for n, k, end in zip(counts, each, ends, strict=True)]
    )


@eqx.filter_jit
def _energies(frames: SampledFrames, potential: AbstractPotential) -> Array:
    return frames.energies(potential)
