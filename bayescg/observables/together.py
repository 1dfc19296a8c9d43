"""Whether observables can stand in one Dataset: names all different, and one meaning for every axis."""

from collections.abc import Sequence

import numpy as np

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray
from bayescg.interfaces import Observable, Topology


def check_together(observables: Sequence[Observable], topology: Topology) -> None:
    """Raise where observables share a name, or label an axis of one name differently.

    Args:
        observables: prepared.
        topology: of the beads.

    Raises:
        BayescgError: two of a name, or two curves along one axis with other points.

    Example:
        >>> import bayescg as bcg
        >>> beads = bcg.data.topology(bcg.data.water(frames=1))
        >>> g = bcg.observables.RDF(maximum=1.0)
        >>> check_together([g, bcg.observables.Coordination(0.35)], beads)
    """
    names = [observable.name for observable in observables]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(
        not twice,
        f"observables must have names all different, got {', '.join(map(repr, twice))} more than once. "
        "Measure one of them in a run of its own, or write it as a Custom.",
    )
    seen: dict[str, tuple[str, NumpyArray]] = {}
    for observable in observables:
        for axis, labels in observable.coordinates(topology).items():
            points = np.asarray(getattr(labels, "values", labels))
            owner, known = seen.setdefault(axis, (observable.name, points))
            if known.shape != points.shape or not np.array_equal(known, points):
                raise BayescgError(
                    f"observables must agree on the points of {axis}, got {known.size} for {owner} and "
                    f"{points.size}, or other ones, for {observable.name}. Give both the same range and "
                    "number of points, such as maximum=, or measure them in runs of their own."
                )
