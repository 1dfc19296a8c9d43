"""Places: what a parameter of a problem stands for, in words."""

from collections.abc import Sequence
from typing import Any

from bayescg.interfaces import LinearSum, Sum
from bayescg.potentials import PairSpline


def places_of(problem: Any, labels: Sequence[str]) -> tuple[str, ...]:
    """Labels as they are; of a pair spline's coefficient the distance at which it acts.

    Args:
        problem: the posterior.
        labels: of elements of its unconstrained vector.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=2))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> places_of(problem, ["potential.coefficients[0, 0]"])
        ('u_SOL-SOL(0.243 nm)',)
    """
    potential = problem.joint.potential
    terms = potential.terms if isinstance(potential, Sum | LinearSum) else (potential,)
    found: dict[str, str] = {}
    for index, term in enumerate(terms):
        if not isinstance(term, PairSpline):
            continue
        prefix = f"potential.terms.{index}" if len(terms) > 1 else "potential"
        pairs = term.coordinates()["coefficients"]["type_pair"]
        for pair, (name, start, width) in enumerate(zip(pairs, term.starts, term.widths, strict=True)):
            for k, center in enumerate(term.basis.centers):
                label = f"{prefix}.coefficients[{pair}, {k}]"
                found[label] = f"u_{name}({start + center * width:.3f} nm)"
    return tuple(found.get(label, label) for label in labels)
