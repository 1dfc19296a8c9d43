"""Places: what a parameter of a problem stands for, in words."""

from collections.abc import Iterator, Sequence
from typing import Any

from bayescg.interfaces import LinearSum, Sum
from bayescg.potentials import GeneralThermodynamic, LinearThermodynamic, PairSpline
from bayescg.potentials.thermodynamic import PARTS


def places_of(problem: Any, labels: Sequence[str]) -> tuple[str, ...]:
    """Labels as they are; of a pair spline's coefficient the distance at which it acts.

    Energies are called u, the energy and the entropy of a `Thermodynamic` a and b.

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
    found: dict[str, str] = {}
    for path, symbol, spline in _splines(problem.joint.potential, "potential", "u"):
        pairs = spline.coordinates()["coefficients"]["type_pair"]
        for pair, (name, start, width) in enumerate(zip(pairs, spline.starts, spline.widths, strict=True)):
            for k, center in enumerate(spline.basis.centers):
                label = f"{path}.coefficients[{pair}, {k}]"
                found[label] = f"{symbol}_{name}({start + center * width:.3f} nm)"
    return tuple(found.get(label, label) for label in labels)


def _splines(potential: Any, path: str, symbol: str) -> Iterator[tuple[str, str, Any]]:
    """Every pair spline with its path and what its energy is called."""
    match potential:
        case PairSpline():
            yield path, symbol, potential
        case Sum() | LinearSum():
            for index, term in enumerate(potential.terms):
                yield from _splines(term, f"{path}.terms.{index}", symbol)
        case LinearThermodynamic() | GeneralThermodynamic():
            for part, letter in zip(PARTS, ("a", "b"), strict=True):
                yield from _splines(getattr(potential, part), f"{path}.{part}", letter)
