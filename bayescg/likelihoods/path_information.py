"""Expected Fisher information of a path: the Gaussian form over its innovations.

    F = Σ_n [E(∂e_n ∂e_n')/S_n + ∂S_n ∂S_n'/(2 S_n²)],

for what ∂e_n depends on is past when frame n is drawn. Without kicks (a harmonic well, free motion) the path
is Gaussian, and the expectation is exact and needs no data but their length; the first frame is drawn from
its law at equilibrium. With other forces the law of the forces is the data's: ∂e_n is taken along the path
that was seen, which is an estimate of F by independent terms, positive semidefinite and never the
curvature of noise. From lagged sums it is that of the steady filter (an uncertain start would change a few
frames of every segment); from frames, that of the exact one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.flatten_util
import jax.numpy as jnp
from jax.lax import stop_gradient

from bayescg._typing import Array, Float
from bayescg.likelihoods.path import Path
from bayescg.likelihoods.path_builder import Group
from bayescg.likelihoods.path_correlations import PathSums
from bayescg.likelihoods.path_forces import forces_of
from bayescg.likelihoods.path_frames import PathFrames
from bayescg.model import Model, parameters, with_values
from bayescg.numerics.innovation_information import Level, innovation_information
from bayescg.numerics.innovation_products import innovation_products
from bayescg.units import thermal_energy

TOGETHER = 32
"""Parameters up to which all rows are computed together: twice as fast, in memory as their square."""


class PathRows(NamedTuple):
    """Rows whose Jacobian J by the parameters gives F = J'J.

    Attributes:
        values: of every block.
        error: of the eigenvalues, of the largest.
        sampled: whether the blocks differ by what was sampled.
    """

    values: Float[Array, "block row"]
    error: Float[Array, ""] | float
    sampled: bool


def path_rows(path: Path, model: Model, observations: PathSums | PathFrames) -> PathRows:
    """Rows of the expected information of a path; pure.

    Args:
        path: prepared, with values.
        model: prepared, with values.
        observations: of `path.observe`.

    Example:
        >>> import bayescg as bcg
        >>> beads = bcg.data.water_dynamics(frames=40)
        >>> model = bcg.Model(None, memory=bcg.memory.Markovian(friction=500.0))
        >>> model, path = bcg.likelihoods.Path(observed="velocities").prepare(model, beads)
        >>> rows = path_rows(path, model, path.observe(model, beads))
        >>> rows.values.shape, rows.sampled  # one parameter; no force, so nothing was sampled
        ((64, 1), False)
    """
    values = parameters((path, model))
    flat, unravel = jax.flatten_util.ravel_pytree(values)
    held = stop_gradient(flat)

    def at(u: Array) -> tuple[Path, Model]:
        return with_values((path, model), unravel(u))

    if isinstance(observations, PathFrames):
        return _of_frames(path, model, observations)
    blocks = jnp.concatenate([_of_group(at, held, group) for group in observations.groups])
    roots, negative = _roots(blocks)
    error = jnp.maximum(negative, flat.size * jnp.finfo(flat.dtype).eps)
    return PathRows(stop_gradient(roots) @ flat, stop_gradient(error), not _is_gaussian(path, model))


def _is_gaussian(path: Path, model: Model) -> bool:
    """Whether the model itself gives the law of all that the filter sees."""
    forces = forces_of(model.potential)
    return forces.kicks is None and (path.observed == "positions" or not forces.springs)


def _of_group(at: Callable[[Array], tuple[Path, Model]], u: Array, group: Group) -> Array:
    """F of every block by all parameters of path and model."""
    if _is_gaussian(*at(u)):
        return _of_gaussian(at, u, group)

    def filtered(u: Array) -> Any:
        path, model = at(u)
        return path.filter_of(model, group)

    one = filtered(u)
    # the filter is differentiated once, its products by the derivatives twice
    slopes = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), jax.jacfwd(filtered)(u))

    def along(first: Any, second: Any) -> Array:
        def products(other: Any) -> Array:
            def of_both(two: Any) -> Array:
                return innovation_products(other, two, sums=group.sums, pieces=group.pieces)

            return jax.jvp(of_both, (one,), (second,))[1]

        return jax.jvp(products, (one,), (first,))[1]

    def row(first: Any) -> Array:
        return jax.vmap(along, (None, 0), -1)(first, slopes)

    mixed = jax.vmap(row)(slopes) if u.size <= TOGETHER else jax.lax.map(row, slopes)
    mixed = jnp.moveaxis(mixed, 0, -2)
    S, slope = one[0].steady.variance, slopes[0].steady.variance
    frames = group.sums.frames[:, None, None]
    found = mixed / S + 0.5 * frames * jnp.outer(slope, slope) / S**2
    return 0.5 * (found + jnp.swapaxes(found, -1, -2))


def _of_gaussian(at: Callable[[Array], tuple[Path, Model]], u: Array, group: Group) -> Array:
    def space(u: Array) -> Any:
        path, model = at(u)
        return path.space_of(model, forces_of(model.potential), group.mass, group, group)

    pieces = group.pieces
    grown = innovation_information(space, u, level=_level(*at(u), group), frames=pieces.exponents)
    # frames offset to offset of every piece
    ends = jnp.concatenate([pieces.offset[:, 1:], pieces.total[:, None]], axis=1)
    return pieces.in_blocks(grown[ends] - grown[pieces.offset], group.sums.frames.shape[0])


def _level(path: Path, model: Model, group: Group) -> Level:
    """The law of the first frame, and the channels of the state space."""
    kT = thermal_energy(group.temperature)
    forces = forces_of(model.potential)
    if path.observed == "velocities":
        mass = path.mass if group.mass is None else group.mass
        assert mass is not None
        return Level(0.0, kT / mass, 1, None)
    if not forces.springs:
        return Level(0.0, 0.0, None, None)
    k, center = forces.spring()
    noise = 0.0 if path.noise is None else path.noise**2
    return Level(center - group.origin, kT / k + noise, 1, 2)


def _roots(blocks: Float[Array, "block parameter parameter"]) -> tuple[Array, Array]:
    """R with R'R = F, and the largest negative eigenvalue, both in units of the diagonal."""
    diagonal = jnp.diagonal(jnp.sum(blocks, axis=0))
    unit = jnp.sqrt(jnp.asarray(jnp.where(diagonal > 0, diagonal, 1.0)))
    values, vectors = jnp.linalg.eigh(blocks / unit[:, None] / unit)
    largest = jnp.maximum(jnp.max(values), jnp.finfo(values.dtype).tiny)
    roots = jnp.sqrt(jnp.maximum(values, 0.0))[..., None] * jnp.swapaxes(vectors, -1, -2)
    return roots * unit, jnp.maximum(-jnp.min(values), 0.0) / largest


def _of_frames(path: Path, model: Model, observations: PathFrames) -> PathRows:
    """Innovations over their scale, and its logarithm, block by block."""
    found = []
    filtered = observations.filtered(path.kicks_of(model), path.spaces_of(model, observations))
    for stretch, members in zip(observations.stretches, filtered, strict=True):
        rows = jnp.concatenate([_standard(one.innovations, one.variances) for one in members])
        found.append(_in_blocks(rows, stretch.block_count))
    width = max(rows.shape[1] for rows in found)
    padded = [jnp.pad(rows, ((0, 0), (0, width - rows.shape[1]))) for rows in found]
    return PathRows(jnp.concatenate(padded), 0.0, True)


def _standard(e: Float[Array, "bead dim row"], S: Float[Array, "bead dim row"]) -> Array:
    """Rows of all series, (row of the information, frame)."""
    e, S = e.reshape(-1, e.shape[-1]), S.reshape(-1, S.shape[-1])
    return jnp.concatenate([e / stop_gradient(jnp.sqrt(S)), jnp.log(S) / jnp.sqrt(2.0)])


def _in_blocks(rows: Float[Array, "row frame"], count: int) -> Float[Array, "block row"]:
    """Contiguous frames of equal number, the last filled up with zeros."""
    frames = rows.shape[1]
    length = -(-frames // count)
    filled = jnp.pad(rows, ((0, 0), (0, count * length - frames)))
    return filled.reshape(rows.shape[0], count, length).swapaxes(0, 1).reshape(count, -1)
