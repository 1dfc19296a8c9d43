"""How much of the mapped force a potential explains, and how much any potential could.

    R² = 1 - Σ |f - F|² / Σ |f|²

Part of f is noise: no function of the bead positions predicts it, so R² has a ceiling below one that
is a property of the mapping, not of the potential. The ceiling is unknown, but bounded from below by
what a richer regression on the same positions reaches on held-out frames. That regression has, beside
the pair forces B_k'(r_ij) e_ij of the potential, the same forces multiplied by what else is near either bead,

    rho_i + rho_j,       e_ij . (S_i + S_j) . e_ij,       e_ij . (V_i - V_j),

with rho_i = Σ_j w(r_ij) within the cutoff, and S_i = Σ_j w(r_ij) (e_ij e_ij' - 1/3), V_i = Σ_j w(r_ij) e_ij
within half of it: how crowded it is, and how neighbours stand about the line from i to j. All R² are held
out: contiguous blocks are predicted from the others, by regression with a Gaussian prior whose width is
learned.

References:
    A. Krämer et al., J. Phys. Chem. Lett. 14, 3970 (2023), doi:10.1021/acs.jpclett.3c00444.
    J. Wang et al., ACS Cent. Sci. 5, 755 (2019), doi:10.1021/acscentsci.8b00913 (noise as irreducible error).
"""

from typing import Any

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray
from bayescg.likelihoods.design import Frame, design, pair_design_of
from bayescg.likelihoods.noise import thermal_ratio
from bayescg.likelihoods.reading import checked_points, frames_of, mean_temperature
from bayescg.likelihoods.statistics import ForceStatistics, Sums, frame_sums
from bayescg.numerics.pairs import Pairs
from bayescg.potentials import PairSpline

FOLDS = 5
"""Contiguous parts of the trajectory, each predicted from the others."""

NEAR = 0.5
"""Reach of the neighbours whose directions count, in cutoffs: in water 0.62 of the force is explained at 0.45
nm, 0.61 at 0.38 nm with fewer terms, and 0.57 at 0.9 nm."""

CEILING_FRAMES = 60
"""Frames the rich regression is fitted to, spread evenly; its cost is several times a pair spline's."""

SINGULAR = 1e-10
"""Directions with less than this fraction of the largest gram eigenvalue say nothing of others' size."""

EM_STEPS = 100
"""Each costs a handful of vector operations; what is left of the start is a small fraction to this power."""


def explained_force(potential: Any, observations: Any, data: Any) -> xr.Dataset:
    """Explained mean force per bead type, held out, and a lower bound of its ceiling.

    Args:
        potential: prepared and linear in its coefficients.
        observations: of `ForceMatching.observe`.
        data: the beads that were observed.

    Returns:
        Dataset over `type`: `r_squared` (all frames), `r_squared_held_out`,
        `r_squared_held_out_error`, `ceiling_at_least`, `ceiling_at_least_error`; the errors are
        standard errors over the folds.

    Raises:
        BayescgError: fewer blocks than folds, or no sufficient statistics.

    Example:
        >>> import bayescg as bcg
        >>> data = bcg.data.water(frames=20)
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=16))
        >>> model, matching = bcg.likelihoods.ForceMatching().prepare(model, data)
        >>> found = explained_force(model.potential, matching.observe(model, data), data)
        >>> bool(0.5 < found["r_squared_held_out"][0] < found["ceiling_at_least"][0] < 0.9)
        True
    """
    if not isinstance(observations, ForceStatistics):
        raise BayescgError(
            "the explained force needs sufficient statistics, got frames. Use a potential that is linear in "
            "its coefficients with Gaussian noise."
        )
    blocks = Sums(*(np.asarray(part) for part in observations.blocks))
    inside = _r_squared(_fit(_total(blocks)), _total(blocks))
    held_out, held_out_error = _cross_validated(blocks)
    rich = _rich_blocks(potential, data, len(observations.type_names))
    ceiling, ceiling_error = (held_out, held_out_error) if rich is None else _cross_validated(rich)
    variables = {
        "r_squared": inside,
        "r_squared_held_out": held_out,
        "r_squared_held_out_error": held_out_error,
        "ceiling_at_least": np.maximum(ceiling, held_out),
        "ceiling_at_least_error": np.where(ceiling >= held_out, ceiling_error, held_out_error),
    }
    return xr.Dataset(
        {name: ("type", values, {"units": "1"}) for name, values in variables.items()},
        coords={"type": list(observations.type_names)},
        attrs={"folds": FOLDS, "ceiling_frames": CEILING_FRAMES},
    )


def _total(blocks: Sums) -> Sums:
    return Sums(*(part.sum(axis=0) for part in blocks))


def _fit(sums: Sums) -> NumpyArray:
    """Coefficients under theta ~ N(0, tau²), tau² at its most probable by EM; (feature,).

    Every bead type is weighted by its mean square force. Without the prior, a distance that only the
    held-out part samples would be predicted by coefficients that nothing determines.
    """
    weights = sums.count / sums.square
    values, vectors = np.linalg.eigh(np.einsum("sfg,s->fg", sums.gram, weights))
    projection = vectors.T @ np.einsum("sf,s->f", sums.projection, weights)
    seen = values > SINGULAR * values[-1]
    if not seen.any():
        return np.zeros(len(values))
    tau2 = float(np.max((projection[seen] / values[seen]) ** 2))
    for _ in range(EM_STEPS):
        variance = 1 / (np.maximum(values, 0.0) + 1 / tau2)
        tau2 = float(np.mean((variance * projection) ** 2 + variance))
    return vectors @ (projection / (np.maximum(values, 0.0) + 1 / tau2))


def _r_squared(theta: NumpyArray, sums: Sums) -> NumpyArray:
    explained = 2 * sums.projection @ theta - np.einsum("sfg,f,g->s", sums.gram, theta, theta)
    return explained / sums.square


def _cross_validated(blocks: Sums) -> tuple[NumpyArray, NumpyArray]:
    count = blocks.count.shape[0]
    if count < FOLDS:
        raise BayescgError(
            f"the explained force needs at least {FOLDS} blocks, got {count}. Give more frames."
        )
    fold = np.arange(count) * FOLDS // count
    scores = []
    for index in range(FOLDS):
        train = _total(Sums(*(part[fold != index] for part in blocks)))
        scores.append(_r_squared(_fit(train), _total(Sums(*(part[fold == index] for part in blocks)))))
    return np.mean(scores, axis=0), np.std(scores, axis=0, ddof=1) / np.sqrt(FOLDS)


def _rich_blocks(potential: Any, data: Any, type_count: int) -> Sums | None:
    """Sums of the rich regression, one block per frame; None where there is no pair spline to enrich."""
    if not isinstance(potential, PairSpline):
        return None
    rows, reference = [], mean_temperature(checked_points(data))
    with threadpool_limits(1, user_api="blas"):
        for frame, forces in frames_of(data, potential.cutoff, at_most=CEILING_FRAMES):
            types = np.asarray(frame.topology.types)
            ratio = thermal_ratio(frame.temperature, reference)
            rows.append(frame_sums(_rich_design(potential, frame), forces.T, types, type_count, ratio))
    return Sums(*(np.stack(column) for column in zip(*rows, strict=True)))


def _rich_design(potential: PairSpline, frame: Frame) -> NumpyArray:
    """(dim, bead, 4 features): pair forces, plain and multiplied by density, anisotropy and polarity."""
    beads = frame.positions.shape[0]
    unit = frame.pairs.displacement / frame.pairs.distance
    first, second = frame.pairs.first, frame.pairs.second
    wide, near = (_weight(frame.pairs.distance, reach * potential.cutoff) for reach in (1.0, NEAR))
    density, crowd = _gather(frame.pairs, wide, beads), _gather(frame.pairs, near, beads)
    deviation, scale = density / density.mean() - 1, max(crowd.mean(), np.finfo(float).tiny)
    tensor = np.array([[_gather(frame.pairs, near * a * b, beads) for a in unit] for b in unit])
    tensor = (tensor - np.eye(len(unit))[..., None] * crowd / len(unit)) / scale
    vector = np.array([_gather(frame.pairs, near * a, beads, odd=True) for a in unit]) / scale
    factors = (
        deviation[first] + deviation[second],
        sum(np.einsum("ap,abp,bp->p", unit, tensor[..., end], unit) for end in (first, second)),
        np.sum(unit * (vector[:, first] - vector[:, second]), axis=0),
    )
    weighted = [pair_design_of(potential, frame, np.asarray(factor)) for factor in factors]
    return np.concatenate([design(potential, frame), *weighted], axis=-1)


def _weight(distance: NumpyArray, reach: float) -> NumpyArray:
    return (1 - np.minimum(distance / reach, 1.0) ** 2) ** 2


def _gather(pairs: Pairs, values: NumpyArray, beads: int, *, odd: bool = False) -> NumpyArray:
    """Sum over the pairs of every bead; odd values change their sign with the end they are seen from."""
    there = np.bincount(pairs.second, values, beads)
    return np.bincount(pairs.first, values, beads) + (-there if odd else there)
