"""ForceMatching: the potential of mean force as a Bayesian regression of the mapped forces.

    f = F_theta(x) + eps,        E[eps | x] = 0,

eps being the scatter of the atomistic force about its mean at given bead positions. Where the
potential is linear in its coefficients and the noise is Gaussian, only sums over frames are kept
(`statistics`); otherwise the frames themselves (`frames`). Pairs of beads that the topology excludes, by
default those one or two bonds apart, have no pair force; bonded terms act between them.

Data of several temperatures may stand in one term: every frame is scored with the potential at its own
temperature, with a noise of scale sigma sqrt(T / T_ref), T_ref being the mean temperature of the data: one
sigma per bead type serves all (`noise`).

References:
    W. G. Noid et al., J. Chem. Phys. 128, 244114 (2008), doi:10.1063/1.2938860.
    S. Izvekov, G. A. Voth, J. Phys. Chem. B 109, 2469 (2005), doi:10.1021/jp044629q.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from bayescg._checks import BayescgError, require_x64, whole
from bayescg._typing import Array, Float, NumpyArray
from bayescg.data import topology
from bayescg.interfaces import (
    AbstractConjugateLikelihood,
    AbstractLinearPotential,
    Quadratic,
    type_pairs,
)
from bayescg.likelihoods.design import Frame, design, pair_kinds
from bayescg.likelihoods.frames import ForceFrames, gather_frames
from bayescg.likelihoods.noise import AbstractForceNoise, Gaussian, thermal_ratio
from bayescg.likelihoods.reading import (
    check_temperatures,
    checked_points,
    frames_of,
    mean_squares,
    mean_temperature,
    support_of,
)
from bayescg.likelihoods.statistics import BlockAccumulator, ForceStatistics, Sums, frame_sums
from bayescg.model import Model, parameters

DISTANCE_BINS = 240
"""Bins of the histogram of sampled distances, from 0 to the cutoff."""


class ForceMatching(AbstractConjugateLikelihood):
    """Mapped forces against the potential's forces, with noise of unknown scale per bead type.

    Attributes:
        noise: law of the force noise; `Gaussian()` or `StudentT(degrees=4)`.
        blocks_kept: contiguous blocks of frames kept apart, for scores, held-out density and the
            sandwich: between this number and twice as many.
        reference_temperature: at which the noise has its scale, K; set by `prepare` to the mean of the state
            points' temperatures, None where one of them names none.

    Example:
        >>> import bayescg as bcg
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=4))
        >>> term.likelihood.blocks_kept
        256
    """

    noise: AbstractForceNoise = Gaussian()
    blocks_kept: int = eqx.field(static=True, default=256)
    reference_temperature: float | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        whole("blocks_kept", self.blocks_kept, minimum=8)

    def prepare(self, model: Model, data: Any) -> tuple[Model, "ForceMatching"]:
        """Allocate coefficients and noise scales for the bead types and distances in the data.

        Args:
            model: with a potential.
            data: mapped beads with forces: a Dataset, several, or a DataTree of state points.

        Raises:
            BayescgError: forces are missing, not finite or all zero, the cutoff exceeds half the box, or the
                potential depends on temperature and a state point names none.
        """
        require_x64("Force matching")
        points = checked_points(data)
        check_temperatures(model.potential, points)
        support, squares, reference = support_of(points, model.potential), [], mean_temperature(points)
        for beads in points:
            ratio = thermal_ratio(beads.attrs.get("temperature"), reference)
            squares.append(mean_squares(beads, topology(beads)) / ratio**2)
        prepared = Model(model.potential.prepare(support), model.memory)
        noise = self.noise.prepare(np.mean(squares, axis=0))
        return prepared, ForceMatching(noise, self.blocks_kept, reference)

    def observe(self, model: Model, data: Any) -> ForceStatistics | ForceFrames:
        """One pass over the frames; statistics where they suffice, else the frames.

        Args:
            model: prepared.
            data: as for `prepare`.
        """
        points, potential = checked_points(data), model.potential
        linear = isinstance(potential, AbstractLinearPotential)
        if linear and isinstance(self.noise, Gaussian):
            return _accumulate(potential, points, self.blocks_kept, self.reference_temperature)
        frames = list(frames_of(points, potential.cutoff))
        return gather_frames(potential, frames, self.blocks_kept, self.reference_temperature)

    def log_likelihood(self, model: Model, observations: Any) -> Float[Array, ""]:
        """Log density of all forces; in jit."""
        if isinstance(observations, ForceFrames):
            return jnp.sum(self.blocks(model, observations))
        return jnp.sum(self._of_sums(model, observations, observations.total))

    def blocks(self, model: Model, observations: Any) -> Float[Array, " block"]:
        """Log density of the forces of every block of frames."""
        if isinstance(observations, ForceFrames):
            return observations.log_densities(model.potential, self.noise)
        return jnp.sum(self._of_sums(model, observations, observations.blocks), axis=-1)

    def quadratic_form(self, model: Model, observations: Any) -> Quadratic:
        """H = Σ_s gram_s / sigma_s², b = Σ_s projection_s / sigma_s².

        Raises:
            BayescgError: the potential is not linear or the noise not Gaussian.
        """
        if not (isinstance(observations, ForceStatistics) and isinstance(self.noise, Gaussian)):
            raise BayescgError(
                "conjugate inference needs a potential that is linear in its coefficients and Gaussian "
                f"noise, got {type(model.potential).__name__} and {type(self.noise).__name__}. "
                "Sample with bayescg.NUTS() instead."
            )
        sums, scale = observations.total, self.noise.scale
        assert scale is not None
        return Quadratic(
            jnp.einsum("sfg,s->fg", sums.gram, scale**-2),
            jnp.einsum("sf,s->f", sums.projection, scale**-2),
            jnp.sum(self.noise.log_density_of_sums(sums.square, sums.count) - sums.log_ratio),
        )

    def default_priors(self, observations: Any) -> dict[str, Any]:
        """Priors of the noise, around the root mean square force of every bead type."""
        priors = self.noise.default_priors(observations.mean_square())
        return {f"noise.{field}": prior for field, prior in priors.items()}

    def coordinates(self, observations: Any) -> dict[str, dict[str, Any]]:
        """Bead types."""
        return {"noise.scale": {"type": list(observations.type_names)}}

    def datasets(self, observations: Any) -> dict[str, xr.Dataset]:
        """Sampled distances, mean square force and the size of the blocks."""
        return observations.datasets()

    def _of_sums(self, model: Model, observations: ForceStatistics, sums: Sums) -> Array:
        assert isinstance(self.noise, Gaussian)
        square = observations.squared_error(sums, coefficients(model.potential))
        return self.noise.log_density_of_sums(square, sums.count) - sums.log_ratio


def coefficients(potential: Any) -> Float[Array, " feature"]:
    """The coefficients of a linear potential in the order of its features.

    Example:
        >>> import bayescg as bcg
        >>> spline = bcg.potentials.PairSpline(cutoff=0.9, knots=12)
        >>> coefficients(spline.prepare(bcg.interfaces.Support(("A", "B"), (0.2, 0.2, 0.2)))).shape
        (33,)
    """
    known = parameters(potential)
    return jnp.concatenate([known[path].ravel() for path in potential.coefficient_paths()])


def _accumulate(
    potential: AbstractLinearPotential, points: list[xr.Dataset], blocks_kept: int, reference: float | None
) -> ForceStatistics:
    names = topology(points[0]).type_names
    pair_count = len(type_pairs(len(names)))
    accumulator = BlockAccumulator(blocks_kept)
    distances = np.zeros((pair_count, DISTANCE_BINS))
    # products of a few hundred columns are faster on one core than shared between several
    with threadpool_limits(1, user_api="blas"):
        for frame, forces in frames_of(points, potential.cutoff):
            types = np.asarray(frame.topology.types)
            rows = design(potential, frame)
            ratio = thermal_ratio(frame.temperature, reference)
            accumulator.add(frame_sums(rows, forces.T, types, len(names), ratio))
            distances += _distance_counts(frame, len(names), potential.cutoff)
    blocks, frames = accumulator.result()
    total = Sums(*(jnp.asarray(part.sum(axis=0)) for part in blocks))
    blocks = Sums(*(jnp.asarray(part) for part in blocks))
    return ForceStatistics(
        blocks, total, jnp.asarray(frames), jnp.asarray(distances), potential.cutoff, names
    )


def _distance_counts(frame: Frame, type_count: int, cutoff: float) -> NumpyArray:
    """Histogram of pair distances, (type_pair, bin)."""
    pair_count = len(type_pairs(type_count))
    if not frame.pairs.distance.size:
        return np.zeros((pair_count, DISTANCE_BINS))
    bins = (frame.pairs.distance * (DISTANCE_BINS / cutoff)).astype(np.int64)
    np.minimum(bins, DISTANCE_BINS - 1, out=bins)
    if pair_count > 1:
        bins += DISTANCE_BINS * pair_kinds(frame, type_count)
    counts = np.bincount(bins, minlength=pair_count * DISTANCE_BINS)
    return counts.reshape(pair_count, DISTANCE_BINS).astype(float)
