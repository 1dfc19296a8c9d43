"""Forces of held-out frames against what draws of a posterior predict for them.

A frame's score is the log of its density averaged over draws, and every force component f has a place in its
predictive distribution, noise included,

    score = log (1/S) Σ_s p(forces | draw s),        place = (1/S) Σ_s P(f' < f | draw s),

which is uniform where predictions are calibrated: the central interval of level a holds f if its place lies
within a/2 of one half. Forces of one frame, and of neighbouring frames, are correlated, so standard errors
come from contiguous blocks of frames.

References:
    A. P. Dawid, J. R. Stat. Soc. A 147, 278 (1984), doi:10.2307/2981683 (places).
    A. Gelman, J. Hwang, A. Vehtari, Stat. Comput. 24, 997 (2014), doi:10.1007/s11222-013-9416-2 (scores).
"""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from scipy.special import logsumexp

from bayescg._checks import BayescgError
from bayescg._typing import Array, Float
from bayescg.data import topology
from bayescg.inference.problem import Problem
from bayescg.likelihoods import ForceMatching, Gaussian, StudentT
from bayescg.likelihoods.frames import ForceFrames, gather_frames
from bayescg.likelihoods.reading import checked_points, frames_of
from bayescg.numerics.batches import map_in_batches
from bayescg.numerics.blocks import MINIMUM_BLOCKS, long_run_covariance
from bayescg.numerics.host_loop import HostLoop, chunk_length

FRAMES_AT_ONCE = 4
"""Frames between two looks at progress and Ctrl-C."""

DRAWS_AT_ONCE = 8
"""Draws whose forces are computed together."""


class Predicted(NamedTuple):
    """What draws of a posterior say of held-out forces.

    Attributes:
        score: log predictive density of every frame.
        place: of every force component in its predictive distribution, 0 to 1.
        explained: 1 - Σ |f - F|²/Σ |f|², with F the mean force over draws.
    """

    score: Float[np.ndarray, " frame"]
    place: Float[np.ndarray, "frame bead dim"]
    explained: float


def held_out_frames(problem: Problem, held_out: Any) -> ForceFrames:
    """Frames of the same beads as a problem's, as arrays.

    Args:
        problem: with a force matching term.
        held_out: mapped beads with forces, not among those of the problem.

    Raises:
        BayescgError: too few frames, other bead types, or the very beads of the problem.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> beads = bcg.data.water(frames=18)
        >>> term = bcg.likelihoods.ForceMatching().on(beads.isel(frame=slice(0, 10)))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> held_out_frames(problem, beads.isel(frame=slice(10, 18))).forces.shape
        (8, 510, 3)
    """
    force_term(problem)
    points = checked_points(held_out)
    frames = sum(beads.sizes["frame"] for beads in points)
    if frames < MINIMUM_BLOCKS:
        raise BayescgError(
            f"held_out must have at least {MINIMUM_BLOCKS} frames for a standard error, got {frames}. Hold "
            "out more."
        )
    names, own = topology(points[0]).type_names, problem.topology.type_names
    if names != own:
        raise BayescgError(f"held_out must have the bead types {own}, got {names}. Map it alike.")
    if _same(points[0], problem.beads):
        raise BayescgError(
            "held_out must be other frames than those of the problem, got the same. Split the beads, as in "
            "beads.isel(frame=slice(0, n)) and beads.isel(frame=slice(n, None))."
        )
    potential, matching = problem.joint.potential, problem.joint.likelihoods[force_term(problem)]
    reference = matching.reference_temperature  # type: ignore[attr-defined]
    return gather_frames(potential, list(frames_of(held_out, potential.cutoff)), frames, reference)


def force_term(problem: Problem) -> int:
    """Index of the first force matching term that counts.

    Args:
        problem: the posterior.

    Raises:
        BayescgError: there is none.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=2))
        >>> force_term(bcg.Problem(model, bcg.priors.default(model), term))
        0
    """
    for index in problem.terms:
        if isinstance(problem.joint.likelihoods[index], ForceMatching):
            return index
    raise BayescgError(
        "held-out forces are scored by a problem with a ForceMatching term, got none. Add one, or score "
        "blocks with bayescg.inference.held_out_score."
    )


def predicted_forces(
    problem: Problem, positions: Float[np.ndarray, "draw parameter"], frames: ForceFrames, *, loop: HostLoop
) -> Predicted:
    """Score held-out frames with draws of a posterior.

    Args:
        problem: the posterior.
        positions: unconstrained draws.
        frames: from `held_out_frames`.
        loop: progress and interruption.
    """
    count = frames.forces.shape[0]
    draws, term = jnp.asarray(positions), force_term(problem)

    def step(first: Array, length: int) -> tuple[Array, dict[str, Array]]:
        chosen = jnp.minimum(first + jnp.arange(length), count - 1)
        return first + length, _of_frames(problem, term, draws, frames, chosen)

    chunk = chunk_length(count, longest=FRAMES_AT_ONCE)
    records = loop.run("held_out", step, jnp.zeros((), int), total=count, chunk=chunk).records
    forces = np.asarray(frames.forces)
    return Predicted(
        logsumexp(records["log_density"], axis=1) - np.log(len(positions)),
        records["place"],
        float(1 - np.sum((forces - records["mean"]) ** 2) / np.sum(forces**2)),
    )


def mean_and_error(of_frames: Float[np.ndarray, " frame"], blocks: int) -> tuple[float, float]:
    """Mean over frames, and its standard error from contiguous blocks of them.

    Args:
        of_frames: in order of time.
        blocks: at most; never more than frames.

    Example:
        >>> mean, error = mean_and_error(np.random.default_rng(0).normal(size=400), 20)
        >>> bool(abs(error / 0.05 - 1) < 0.5)
        True
    """
    parts = np.array_split(np.asarray(of_frames, dtype=float), min(blocks, len(of_frames)))
    mean = float(np.mean(of_frames))
    # deviations, so that blocks of unequal length do not add to the spread
    sums = np.array([[np.sum(part - mean)] for part in parts])
    return mean, float(np.sqrt(long_run_covariance(sums)[0, 0]) / len(of_frames))


@functools.singledispatch
def cumulative(noise: Any, residual: Float[Array, "bead dim"], types: Array) -> Float[Array, "bead dim"]:
    """Probability of a smaller residual than this one, of every component; pure.

    Args:
        noise: of the forces, with its scale.
        residual: force less the predicted one, kJ/mol/nm.
        types: of the beads.

    Raises:
        BayescgError: a noise whose distribution is not known.

    Example:
        >>> noise = Gaussian(jnp.array([2.0]))
        >>> float(cumulative(noise, jnp.zeros((1, 1)), jnp.zeros(1, int))[0, 0])
        0.5
    """
    raise BayescgError(
        f"predictive intervals need the distribution of the noise, which {type(noise).__name__} does not "
        "give. Register it with bayescg.inference.held_out_forces.cumulative.register."
    )


@cumulative.register
def _(noise: Gaussian, residual: Array, types: Array) -> Array:
    assert noise.scale is not None
    return jnp.asarray(dist.Normal(0.0, noise.scale[types][:, None]).cdf(residual))


@cumulative.register
def _(noise: StudentT, residual: Array, types: Array) -> Array:
    assert noise.scale is not None
    return jnp.asarray(dist.StudentT(noise.degrees, 0.0, noise.scale[types][:, None]).cdf(residual))


@eqx.filter_jit
def _of_frames(
    problem: Problem, term: int, draws: Array, frames: ForceFrames, chosen: Array
) -> dict[str, Array]:
    """Log density of every draw, mean place and mean force of a few frames."""
    types = frames.topology.types

    def of_frame(index: Array) -> dict[str, Array]:
        configuration = frames.configuration(jax.tree.map(lambda array: array[index], frames.arrays))
        ratio = frames.noise_ratio[index]

        def of_draw(u: Array) -> tuple[Array, Array, Array]:
            joint = problem.with_values(problem.constrain(u))
            noise = joint.likelihoods[term].noise  # type: ignore[attr-defined]
            predicted = joint.potential.forces(configuration)
            residual = frames.forces[index] - predicted
            place = cumulative(noise, residual / ratio, types)
            return frames.log_density(noise, residual, ratio), place, predicted

        density, place, predicted = map_in_batches(of_draw, draws, DRAWS_AT_ONCE)
        return {"log_density": density, "place": place.mean(axis=0), "mean": predicted.mean(axis=0)}

    return jax.lax.map(of_frame, chosen)


def _same(first: Any, second: Any) -> bool:
    """Whether two sets of beads begin with the same frame and are of one length."""
    one, other = first["position"], second["position"]
    return one.shape == other.shape and bool(
        np.array_equal(one.isel(frame=0).values, other.isel(frame=0).values)
    )
