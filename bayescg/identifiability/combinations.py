"""Combinations: what is identified where single parameters are not, as k^1 gamma^-1 or A - 300 B.

In phi, the logarithms of positive parameters, a product of powers is a direction. If the data see only
k/gamma, the row space of J in phi is spanned by (1, -1): small whole numbers, which are recovered from the
reduced echelon form of its projector by continued fractions. One point proves nothing, so a combination is
certified only if

    the projector of the whole numbers equals that of J           (residual),
    J keeps the same null directions at several random points     (invariance),
    the likelihood does not change on a finite move along them    (flatness);

else it is called local: true for small steps around the point. Parameters that are no logarithms combine
as sums, under the same conditions, and their coefficients need not be whole.

References:
    J. A. Castro, R. J. de Boer, PLoS Comput. Biol. 16, e1008248 (2020), doi:10.1371/journal.pcbi.1008248.
    B. Merkt, J. Timmer, D. Kaschek, Phys. Rev. E 92, 012920 (2015), doi:10.1103/PhysRevE.92.012920.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import jax
import numpy as np
from scipy.linalg import qr
from scipy.sparse.csgraph import connected_components

from bayescg._typing import Float, NumpyArray
from bayescg.identifiability.experiment import IDENTITY, LOGARITHM, Experiment
from bayescg.identifiability.information import Information
from bayescg.identifiability.ranks import projector
from bayescg.identifiability.subspace import spectrum_of

LARGEST_DENOMINATOR = 24
"""Exponents up to this are looked for: a Lennard-Jones wall has 12."""

TOLERANCE = 1e-6
"""Of a projector, and of singular values relative to the largest; rounding of a root of F is 1e-8 to 1e-7."""

POINTS = 4
"""Random points at which a null direction must be one again."""

STEPS = (-1.0, -0.5, 0.5, 1.0)
"""Finite moves along a null direction: logarithms by one are factors of e; others in prior deviations."""

FLAT = 1e-6
"""Change of the log likelihood, nats, that counts as none; and 1e-10 of its size, for rounding."""

ORDER = ("potential", "memory", "likelihood")
"""Parameters are named in this order, and the first of a combination has a positive exponent."""


class Certificate(NamedTuple):
    """Evidence that a combination is more than a property of one point.

    Attributes:
        residual: largest sine of an angle between its row space and that of J.
        invariance: largest relative singular value of a null direction at random points; None where J is
            known at one point only.
        flatness: largest change of the log likelihood along a null direction, nats; None where unknown.
        allowed_change: below which the likelihood counts as flat.
    """

    residual: float
    invariance: float | None
    flatness: float | None
    allowed_change: float

    @property
    def holds(self) -> bool:
        """Whether all three conditions are met."""
        return (
            self.residual < TOLERANCE
            and self.invariance is not None
            and self.invariance < TOLERANCE
            and self.flatness is not None
            and self.flatness <= self.allowed_change
        )


class Combination(NamedTuple):
    """An identified combination.

    Attributes:
        names: of its parameters.
        exponents: of a product of powers; of a sum, its coefficients.
        product: whether it is one.
        certificate: the evidence.
    """

    names: tuple[str, ...]
    exponents: tuple[float, ...]
    product: bool
    certificate: Certificate

    @property
    def label(self) -> str:
        """`certified` or `local`."""
        return "certified" if self.certificate.holds else "local"

    @property
    def text(self) -> str:
        """As in `potential.stiffness^1 memory.friction^-1`, or `A - 300 B`.

        Example:
            >>> certificate = Certificate(0.0, 0.0, 0.0, 1e-6)
            >>> Combination(("k", "gamma"), (1.0, -1.0), True, certificate).text
            'k^1 gamma^-1'
            >>> Combination(("A", "B"), (1.0, -300.0), False, certificate).text
            'A - 300 B'
        """
        if self.product:
            pairs = zip(self.names, self.exponents, strict=True)
            return " ".join(f"{name}^{exponent:.6g}" for name, exponent in pairs)
        found = ""
        for name, coefficient in zip(self.names, self.exponents, strict=True):
            size = "" if abs(coefficient) == 1 else f"{abs(coefficient):.6g} "
            sign = " - " if coefficient < 0 else " + "
            found += (sign if found else sign.strip().replace("+", "")) + size + name
        return found


def combinations_of(experiment: Experiment, informations: Sequence[Information]) -> tuple[Combination, ...]:
    """Identified combinations of an experiment at its point, as many as its numerical rank.

    Args:
        experiment: with its point.
        informations: Fisher information there.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp
        >>> decay = lambda theta: jnp.exp(-theta[0] / theta[1] * jnp.arange(1.0, 4.0))
        >>> found = bcg.identify.from_prediction(
        ...     decay, [2.0, 3.0], names=["k", "gamma"], positive=["k", "gamma"], noise=0.1
        ... )
        >>> [(one.text, one.label) for one in found.combinations]
        [('k^1 gamma^-1', 'certified')]
    """
    spectrum = spectrum_of(informations, experiment.precision, experiment.names)
    null = spectrum.directions[spectrum.dataset["information"].values == 0]
    size = len(experiment.names)
    row_space = np.eye(size) - (projector(null) if len(null) else np.zeros((size, size)))
    linked = np.abs(row_space) > TOLERANCE
    _, component = connected_components(linked, directed=False)
    found: list[Combination] = []
    for number in range(component.max() + 1):
        members = _ordered(np.flatnonzero(component == number), experiment.names)
        block = row_space[np.ix_(members, members)]
        rank = round(float(np.trace(block)))
        if rank:
            found += _of_component(experiment, members, block, rank)
    return tuple(sorted(found, key=lambda one: _place(one.names[0], experiment.names)))


def whole_numbers(row: Float[NumpyArray, " parameter"]) -> Float[NumpyArray, " parameter"] | None:
    """The smallest whole numbers in these proportions, or None where there are none.

    Args:
        row: real numbers.

    Example:
        >>> whole_numbers(np.array([1 / 12, 1.0])).tolist()
        [1.0, 12.0]
        >>> whole_numbers(np.array([np.pi / 10, 1.0])) is None
        True
    """
    fractions = [Fraction(float(x)).limit_denominator(LARGEST_DENOMINATOR) for x in row]
    if any(abs(float(f) - x) > TOLERANCE for f, x in zip(fractions, row, strict=True)):
        return None
    common = math.lcm(*(f.denominator for f in fractions))
    numbers = np.array([int(f * common) for f in fractions])
    return numbers / np.gcd.reduce(numbers)


def _of_component(
    experiment: Experiment, members: NumpyArray, block: NumpyArray, rank: int
) -> list[Combination]:
    """Combinations of parameters that hang together."""
    names = [experiment.names[i] for i in members]
    scales = {experiment.scales[i] for i in members}
    echelon = _echelon(block, rank)
    product = scales == {LOGARITHM}
    rows = []
    for row in echelon:
        numbers = whole_numbers(row)
        rows.append(row / _first(row) if numbers is None else numbers * np.sign(_first(numbers)))
    found = np.array([np.where(np.abs(row) < TOLERANCE, 0.0, row) for row in rows])
    whole = all(np.all(row == np.round(row)) for row in found)
    certificate = _certified(experiment, members, block, found)
    # a sum may have any coefficients, a product of powers must have whole ones
    if rank < len(members) and not (scales == {IDENTITY} or (product and whole)):
        certificate = certificate._replace(invariance=None, flatness=None)
    return [
        Combination(
            tuple(names[i] for i in np.flatnonzero(row)),
            tuple(float(x) for x in row[np.flatnonzero(row)]),
            product,
            certificate,
        )
        for row in found
    ]


def _echelon(block: NumpyArray, rank: int) -> NumpyArray:
    """Reduced echelon form of a projector's rows, pivots chosen for stability."""
    basis = np.linalg.eigh(block)[1][:, -rank:].T
    *_, order = qr(basis, pivoting=True, mode="economic")
    pivots = np.sort(np.asarray(order)[:rank])
    return np.linalg.solve(basis[:, pivots], basis)


def _certified(
    experiment: Experiment, members: NumpyArray, block: NumpyArray, rows: NumpyArray
) -> Certificate:
    residual = float(np.linalg.norm(projector(rows) - block, 2))
    null = np.linalg.svd(rows)[2][len(rows) :]
    if not len(null):
        return Certificate(residual, 0.0 if experiment.anywhere else None, 0.0, FLAT)
    directions = np.zeros((len(null), len(experiment.names)))
    directions[:, members] = null
    return Certificate(residual, _invariance(experiment, directions), *_flatness(experiment, directions))


def _invariance(experiment: Experiment, directions: NumpyArray) -> float | None:
    """Largest singular value of J along the directions at random points, of its largest."""
    if not experiment.anywhere:
        return None
    prior = np.einsum("dp,pq,dq->d", directions, experiment.precision, directions)
    worst = 0.0
    for key in jax.random.split(jax.random.key(0), POINTS):
        informations = experiment.informations(experiment.draw(key))
        matrix = np.sum([one.matrix for one in informations], axis=0)
        lower = np.linalg.cholesky(experiment.precision)
        largest = np.abs(np.linalg.eigvalsh(np.linalg.solve(lower, np.linalg.solve(lower, matrix).T))).max()
        along = np.abs(np.einsum("dp,pq,dq->d", directions, matrix, directions)) / prior
        worst = max(worst, float(np.sqrt(along.max() / largest)))
    return worst


def _flatness(experiment: Experiment, directions: NumpyArray) -> tuple[float | None, float]:
    """Largest change of the log likelihood on finite moves, and what is allowed."""
    if experiment.log_likelihood is None:
        return None, FLAT
    base = float(experiment.log_likelihood(experiment.point))
    unit = np.where(np.array(experiment.scales) == LOGARITHM, 1.0, experiment.deviations)
    changes = []
    for direction in directions:
        length = 1 / np.max(np.abs(direction) / unit)
        for step in STEPS:
            moved = experiment.point + step * length * direction
            changes.append(abs(float(experiment.log_likelihood(moved)) - base))
    return max(changes), FLAT + 1e-10 * abs(base)


def _first(row: NumpyArray) -> float:
    return float(row[np.flatnonzero(np.abs(row) > TOLERANCE)[0]])


def _ordered(members: NumpyArray, names: Sequence[str]) -> NumpyArray:
    return np.array(sorted(members, key=lambda i: _place(names[int(i)], names)))


def _place(name: str, names: Sequence[str]) -> tuple[int, int]:
    head = name.split(".")[0]
    return ORDER.index(head) if head in ORDER else len(ORDER), list(names).index(name)
