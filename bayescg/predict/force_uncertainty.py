"""How sure a posterior is of the forces on every configuration, and where it extrapolates.

    mean = (1/S) Σ_s F_s(x),        deviation² = (1/(S-1)) Σ_s |F_s(x) - mean|²        over draws s,

for every bead. For a potential that is linear in its coefficients the covariance of F is Φ V Φ' with V that
of the coefficients. Noise of the mapping is not in it. A bead is flagged as extrapolated where its deviation
exceeds `FACTOR` times the largest that beads of its type have in the data the posterior was fitted to: there
draws that agree with all data disagree with each other more than they do anywhere in them. Likewise where two
beads are closer than any of their types in the data: the walls that keep simulations from there are the same
for all draws, so deviations do not tell.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, whole
from bayescg._typing import Array, NumpyArray
from bayescg.data import topology
from bayescg.inference import Problem, check_same_problem, select_draws
from bayescg.likelihoods.design import pair_kinds
from bayescg.likelihoods.frames import ForceFrames, gather_frames
from bayescg.likelihoods.reading import frames_of, shortest_distances
from bayescg.numerics.batches import map_in_batches

FACTOR = 1.5
"""Of the largest deviation in the data: a maximum over a few frames is not the largest there is."""

DATA_FRAMES = 16
"""Frames of the data that set the limit, spread evenly."""

DRAWS_AT_ONCE = 8
"""Draws whose forces are computed together."""


def force_uncertainty(
    problem: Problem, posterior: xr.DataTree, beads: xr.Dataset, *, draws: int = 100, group: str | None = None
) -> xr.Dataset:
    """Mean and deviation of the forces over posterior draws, and where they extrapolate.

    Args:
        problem: the posterior.
        posterior: what `bayescg.sample` returned for it.
        beads: configurations of beads of the problem's types; forces are not needed.
        draws: taken evenly from all chains.
        group: of the posterior; None for the sandwich's draws where there are.

    Returns:
        `force_mean` and `force_deviation` (frame, bead, dim), kJ/mol/nm; `bead_deviation` (frame, bead), the
        root of the sum over dim of the squares; `extrapolated` (frame, bead), true where that exceeds the
        `limit` of its type (type) or another bead is too close, `too_close` (frame, bead);
        `frame_extrapolated` (frame).

    Raises:
        BayescgError: other bead types, or a posterior of another problem.

    Example:
        >>> import bayescg as bcg, jax
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.7, knots=10))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> posterior = bcg.sample(problem, bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
        >>> found = bcg.predict.force_uncertainty(problem, posterior, bcg.data.water(frames=2), draws=10)
        >>> found["force_mean"].dims, bool(found["extrapolated"].any())
        (('frame', 'bead', 'dim'), False)
    """
    check_same_problem(problem, posterior)
    chosen = select_draws(posterior, draws=whole("draws", draws, minimum=2), group=group)
    values = {path: jnp.asarray(array) for path, array in chosen.values.items()}
    names, own = topology(beads).type_names, problem.topology.type_names
    if names != own:
        raise BayescgError(f"beads must have the types {own} of the problem, got {names}. Map them alike.")
    mean, deviation = _of_all(problem, values, _frames(problem, beads))
    spread = np.sqrt(np.sum(deviation**2, axis=-1))
    types = np.asarray(topology(beads).types)
    limit = _limits(problem, values)
    near = _closer_than_data(problem, beads)
    flagged = (spread > limit[types]) | near
    dims = ("frame", "bead", "dim")
    unit = {"units": "kJ/mol/nm"}
    coordinates = {"dim": beads["dim"]} if "dim" in beads.coords else {}
    return xr.Dataset(
        {
            "force_mean": (dims, mean, unit),
            "force_deviation": (dims, deviation, unit),
            "bead_deviation": (dims[:2], spread, unit),
            "extrapolated": (dims[:2], flagged),
            "too_close": (dims[:2], near),
            "frame_extrapolated": ("frame", flagged.any(axis=1)),
            "limit": ("type", limit, unit),
        },
        coords={"type": list(names), **coordinates},
        attrs={
            "draws": draws,
            "rule": f"deviation above {FACTOR} times the largest in the data, or a distance below any there",
        },
    )


def _limits(problem: Problem, values: dict[str, Array]) -> NumpyArray:
    """Of every bead type, from frames of the data."""
    count = problem.beads.sizes["frame"]
    some = problem.beads.isel(frame=np.unique(np.linspace(0, count - 1, min(count, DATA_FRAMES)).astype(int)))
    _, deviation = _of_all(problem, values, _frames(problem, some))
    largest = np.sqrt(np.sum(deviation**2, axis=-1)).max(axis=0)
    types = np.asarray(problem.topology.types)
    return np.array(
        [FACTOR * largest[types == kind].max() for kind in range(len(problem.topology.type_names))]
    )


def _closer_than_data(problem: Problem, beads: xr.Dataset) -> NumpyArray:
    """Whether another bead is nearer than beads of these types ever are in the data, (frame, bead)."""
    cutoff, shared = problem.joint.potential.cutoff, problem.topology
    found = np.zeros((beads.sizes["frame"], beads.sizes["bead"]), dtype=bool)
    if cutoff == 0:
        return found
    shortest = shortest_distances(problem.beads, shared, cutoff, at_most=None)
    for index, (frame, _) in enumerate(frames_of(_without_forces(problem, beads), cutoff)):
        close = frame.pairs.distance < shortest[pair_kinds(frame, len(shared.type_names))]
        found[index, frame.pairs.first[close]] = True
        found[index, frame.pairs.second[close]] = True
    return found


def _frames(problem: Problem, beads: xr.Dataset) -> ForceFrames:
    """Configurations as arrays."""
    potential = problem.joint.potential
    frames = list(frames_of(_without_forces(problem, beads), potential.cutoff))
    return gather_frames(potential, frames, beads.sizes["frame"])


def _without_forces(problem: Problem, beads: xr.Dataset) -> xr.Dataset:
    """Beads with forces of zero, because readers ask for some; at the data's temperature unless known."""
    nothing = xr.zeros_like(beads["position"], dtype=float).assign_attrs(units="kJ/mol/nm")
    kelvin = beads.attrs.get("temperature", problem.beads.attrs.get("temperature"))
    return beads.assign(force=nothing).assign_attrs({} if kelvin is None else {"temperature": kelvin})


def _of_all(problem: Problem, values: dict[str, Array], frames: ForceFrames) -> tuple[NumpyArray, NumpyArray]:
    """Mean and deviation of the forces, both (frame, bead, dim)."""
    found = [
        _of_frame(problem, values, frames, jax.tree.map(lambda array, at=index: array[at], frames.arrays))
        for index in range(len(frames.positions))
    ]
    mean, deviation = (np.stack([np.asarray(part[k]) for part in found]) for k in (0, 1))
    return mean, deviation


@eqx.filter_jit
def _of_frame(
    problem: Problem, values: dict[str, Array], frames: ForceFrames, frame: Any
) -> tuple[Array, Array]:
    configuration = frames.configuration(frame)
    forces = map_in_batches(
        lambda draw: problem.model(draw).potential.forces(configuration), values, DRAWS_AT_ONCE
    )
    return forces.mean(axis=0), forces.std(axis=0, ddof=1)
