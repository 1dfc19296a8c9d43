"""A path as lagged sums: the observations of `Path` where forces are linear in their coefficients.

Every component of every bead is a series; series of one mass, temperature and interval share a filter
and add up in one group. Kept are the lagged sums of every block, at the nodes of a grid of lags, and the
ends of every piece.
"""

from collections.abc import Iterable

import equinox as eqx
import numpy as np

from bayescg._typing import NumpyArray
from bayescg.likelihoods.path_builder import Group, GroupBuilder, Key, Plan
from bayescg.likelihoods.path_forces import Forces, basis_series
from bayescg.likelihoods.path_series import Stretch

NUMBERS_AT_ONCE = 2**23
"""Of the series put together for one transform, 64 MiB."""


class PathSums(eqx.Module):
    """All groups of series.

    Attributes:
        groups: each with one filter.
    """

    groups: tuple[Group, ...]

    def frames(self) -> NumpyArray:
        """Innovations of every block."""
        return np.concatenate([np.asarray(group.sums.frames) for group in self.groups])


def gather_groups(
    parts: list[Stretch],
    forces: Forces,
    *,
    observed: str,
    origin: float,
    reference: float | None,
    mass: float | None,
    infer: bool,
) -> tuple[Group, ...]:
    """Reduce stretches to lagged sums.

    Args:
        parts: all stretches.
        forces: of the prepared potential, all but the springs linear.
        observed: "positions" or "velocities".
        origin: subtracted from positions where there is a spring.
        reference: stiffness of a spring that kicks take back; None for none.
        mass: of every bead, amu; None for that of the data.
        infer: whether mass is a parameter.
    """
    positions = bool(forces.springs) or reference is not None
    plan = Plan(observed, positions, forces.features, origin, reference)
    members = [group_beads(part, mass, infer) for part in parts]
    keys = sorted({key for of_part in members for key in of_part}, key=repr)
    builders = {}
    for key in keys:
        series = [of_part[key].size if key in of_part else 0 for of_part in members]
        counts = [n * part.positions.shape[2] for n, part in zip(series, parts, strict=True)]
        builders[key] = GroupBuilder(key, plan, np.repeat([part.frames - 1 for part in parts], counts))
    for part, of_part in zip(parts, members, strict=True):
        basis = basis_series(forces.linear, part)
        for key, beads in of_part.items():
            for rows, start in _rows(part, basis, beads, plan):
                builders[key].add(rows, start)
    return tuple(builders[key].result() for key in keys)


def group_beads(part: Stretch, mass: float | None, infer: bool) -> dict[Key, NumpyArray]:
    """Beads of every group of a stretch.

    Args:
        part: a stretch.
        mass: of every bead, amu; None for that of the data.
        infer: whether mass is a parameter.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.likelihoods.path_series import stretches
        >>> part = stretches(bcg.data.water(frames=151), "positions")[0]
        >>> [beads.size for beads in group_beads(part, 18.0, False).values()]
        [510]
    """
    count = part.positions.shape[1]
    if infer or mass is not None:
        return {Key(part.temperature, part.interval, None if infer else mass): np.arange(count)}
    masses = np.asarray(part.topology.masses)
    return {
        Key(part.temperature, part.interval, float(value)): np.flatnonzero(masses == value)
        for value in np.unique(masses)
    }


def known_series(
    part: Stretch, beads: NumpyArray, *, observed: str, positions: bool, origin: float
) -> tuple[NumpyArray, NumpyArray]:
    """Inputs that depend on no parameter, (bead, dim, row, channel), and those of the start.

    Displacements, and with a spring position and one; or changes of velocity, and velocity.

    Args:
        part: a stretch.
        beads: which.
        observed: "positions" or "velocities".
        positions: whether position and one stand beside displacements.
        origin: subtracted from positions.

    Example:
        >>> import bayescg as bcg, numpy as np
        >>> from bayescg.likelihoods.path_series import stretches
        >>> part = stretches(bcg.data.water(frames=151), "positions")[0]
        >>> known_series(part, np.arange(2), observed="positions", positions=False, origin=0.0)[0].shape
        (2, 3, 150, 1)
    """
    if observed == "velocities":
        assert part.velocities is not None
        v = part.velocities[:, beads].transpose(1, 2, 0)
        return np.stack([np.diff(v), v[..., :-1]], axis=-1), np.zeros((*v.shape[:2], 2))
    steps = part.displacements()[:, beads].transpose(1, 2, 0)
    if not positions:
        return steps[..., None], np.zeros((*steps.shape[:2], 1))
    begin = part.positions[0, beads] - origin
    # unwrapped positions before every step
    x = begin[..., None] + np.concatenate([np.zeros((*begin.shape, 1)), np.cumsum(steps, axis=-1)], axis=-1)
    start = np.stack([np.zeros_like(begin), begin, np.ones_like(begin)], axis=-1)
    return np.stack([steps, x[..., :-1], np.ones_like(steps)], axis=-1), start


def _rows(
    part: Stretch, basis: NumpyArray, beads: NumpyArray, plan: Plan
) -> Iterable[tuple[NumpyArray, NumpyArray]]:
    """Inputs (segment, row, series) and starts (segment, series) of some beads at a time."""
    frames, _, dims = part.positions.shape
    at_once = max(NUMBERS_AT_ONCE // (dims * frames * plan.series), 1)
    of_velocities = plan.observed == "velocities"
    for first in range(0, beads.size, at_once):
        chosen = beads[first : first + at_once]
        known, start = known_series(
            part, chosen, observed=plan.observed, positions=plan.positions, origin=plan.origin
        )
        features = basis[chosen]
        if of_velocities and plan.positions:
            x = part.positions[:, chosen].transpose(1, 2, 0) - plan.origin
            features = np.concatenate([features, np.stack([x, np.ones_like(x)], axis=-1)], axis=-1)
        # kicks before a step where positions are observed, after it where velocities are
        kicks = features[:, :, 1:] if of_velocities else features[:, :, :-1]
        rows = np.concatenate([known, kicks], axis=-1)
        given = np.concatenate([start, features[:, :, 0]], axis=-1)
        yield rows.reshape(-1, *rows.shape[2:]), given.reshape(-1, given.shape[-1])
