"""Design: which further data would determine what these leave open.

With the whitened information W = L^-1 F L'^-1 of the data at hand (P = L L' the prior's precision) and W_c of
a candidate, both together give M = W + W_c, and

    D   log det M                       volume of the ellipsoid of errors
    A   tr M^-1                         mean variance, in units of the prior's
    E   smallest eigenvalue of M        the worst direction
    c   t'M^-1 t                        variance of a target t'u
    Bayesian D   log det(1 + M)/2       nats gained over the prior, finite also where M is singular

A candidate is a further term on data (an observable, a temperature, a longer trajectory), what an `Ensemble`
says of averages at some temperature and length before they are simulated, an information matrix in the same
parameters (ten times as much data of one kind are ten times its matrix), or a result of `bayescg.identify`.

References:
    K. Chaloner, I. Verdinelli, Stat. Sci. 10, 273 (1995), doi:10.1214/ss/1177009939.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, one_of, require
from bayescg._typing import Float, NumpyArray
from bayescg.identifiability.experiment import Experiment
from bayescg.identifiability.information import Information, check_finite, checked_table
from bayescg.identifiability.ranks import BAYESIAN_THRESHOLD
from bayescg.interfaces import Term

CRITERIA = {"d": False, "a": True, "e": False, "c": True, "bayesian_d": False}
"""Criteria, and whether the smallest is the best."""

SINGULAR = 1e-12
"""Eigenvalues of M below this part of the largest make it singular: D is then -inf, A infinite."""


class Break(NamedTuple):
    """What would identify a direction.

    Attributes:
        candidates: Dataset over `candidate`, the best first: `information` of data and candidate together
            along the direction, all others free, and `contraction` of the prior there. The attribute
            `information` is that of the data at hand.
        sentence: the same in words.
    """

    candidates: xr.Dataset
    sentence: str


def rank_candidates(
    experiment: Experiment,
    informations: Sequence[Information],
    candidates: Mapping[str, Any],
    *,
    criterion: str = "bayesian_d",
    target: Float[NumpyArray, " parameter"] | None = None,
) -> xr.Dataset:
    """Candidates by what they add to the data at hand.

    Args:
        experiment: of the data at hand.
        informations: of its terms.
        candidates: name -> further term, `Information` (as of an `Ensemble`), matrix, or result of
            `bayescg.identify`.
        criterion: to sort by: `d`, `a`, `e`, `c` or `bayesian_d`.
        target: coefficients of the quantity whose variance is the c criterion.

    Returns:
        Dataset over `candidate`, the best first, with every criterion; "nothing" stands for the data at hand.

    Raises:
        BayescgError: an unknown criterion, or a candidate in other parameters.

    Example:
        >>> import bayescg as bcg
        >>> found = bcg.identify.from_jacobian([[1.0, -1.0]], names=["k", "gamma"])
        >>> further = {"k again": [[9.0, 0.0], [0.0, 0.0]], "the ratio again": [[1.0, -1.0], [-1.0, 1.0]]}
        >>> found.rank_candidates(further)["candidate"].values.tolist()
        ['k again', 'the ratio again', 'nothing']
    """
    one_of("criterion", criterion, CRITERIA)
    lower = np.linalg.cholesky(experiment.precision)
    present = _positive(_white(np.sum([one.matrix for one in informations], axis=0), lower))
    t = None if target is None else np.linalg.solve(lower, _target(target, experiment))
    require(
        criterion != "c" or t is not None,
        "the c criterion needs a target. Give one coefficient per parameter.",
    )
    rows = {"nothing": _criteria(present, t)}
    for name, candidate in candidates.items():
        matrix = _positive(_white(information_of(experiment, candidate), lower))
        rows[name] = _criteria(present + matrix, t)
    kinds = list(rows["nothing"])
    dataset = xr.Dataset(
        {kind: ("candidate", [row[kind] for row in rows.values()]) for kind in kinds},
        coords={"candidate": list(rows)},
    )
    values = dataset[criterion].values * (1 if CRITERIA[criterion] else -1)
    return dataset.isel(candidate=np.argsort(values, kind="stable"))


def which_breaks(
    experiment: Experiment,
    informations: Sequence[Information],
    direction: Float[NumpyArray, " parameter"],
    candidates: Mapping[str, Any],
    *,
    made_of: str,
) -> Break:
    """What would identify a direction that the data leave open.

    With the candidate the posterior variance along it, v'(1 + M)^-1 v for a prior variance of one, must be
    half at most. That a candidate depends on the direction is not enough: it may see it only together with
    another one that is open too.

    Args:
        experiment: of the data at hand.
        informations: of its terms.
        direction: of any length.
        candidates: as of `rank_candidates`.
        made_of: the direction in words.

    Raises:
        BayescgError: no candidates, or one in other parameters.

    Example:
        >>> import bayescg as bcg
        >>> found = bcg.identify.from_jacobian([[1.0, -1.0]], names=["k", "gamma"])
        >>> further = {"variance": [[9.0, 0.0], [0.0, 0.0]], "the ratio again": [[1.0, -1.0], [-1.0, 1.0]]}
        >>> found.which_breaks(further).candidates["candidate"].values.tolist()
        ['variance', 'the ratio again']
    """
    require(bool(candidates), "candidates must hold at least one, got none. Name further terms or matrices.")
    lower = np.linalg.cholesky(experiment.precision)
    unit = lower.T @ direction
    unit = unit / np.linalg.norm(unit)
    present = _positive(_white(np.sum([one.matrix for one in informations], axis=0), lower))
    own = _along(present, unit)
    further = {name: _white(information_of(experiment, one), lower) for name, one in candidates.items()}
    values = {name: _along(present + _positive(matrix), unit) for name, matrix in further.items()}
    names = sorted(values, key=lambda name: -values[name])
    information = np.array([values[name] for name in names])
    dataset = xr.Dataset(
        {
            "information": ("candidate", information, {"long_name": "information along the direction"}),
            "contraction": ("candidate", 1 / np.sqrt(1 + information), {"units": "1"}),
        },
        coords={"candidate": names},
        attrs={"information": own},
    )
    return Break(dataset, _sentence(made_of, own, names, information))


def _sentence(made_of: str, own: float, names: Sequence[str], information: NumpyArray) -> str:
    """Which candidates identify a direction, or sharpen one that is identified already."""
    best = f"{np.sqrt(1 + information[0]):.3g}"
    if own >= BAYESIAN_THRESHOLD:
        return (
            f"{made_of} is identified already: its prior standard deviation is divided by "
            f"{np.sqrt(1 + own):.3g}, with {names[0]} by {best}."
        )
    breaking = [name for name, value in zip(names, information, strict=True) if value >= BAYESIAN_THRESHOLD]
    if not breaking:
        return f"None of the candidates identifies {made_of}."
    others = f"; so do, less well, {', '.join(breaking[1:])}" if len(breaking) > 1 else ""
    divided = f"its prior standard deviation is divided by {best}"
    return f"{made_of} is identified by {breaking[0]}: {divided}{others}."


def information_of(experiment: Experiment, candidate: Any) -> Float[NumpyArray, "parameter parameter"]:
    """Fisher information of a candidate in the experiment's parameters.

    Args:
        experiment: of the data at hand.
        candidate: a term, an information matrix, an `Information` or a result of `bayescg.identify`.

    Raises:
        BayescgError: other parameters, NaN, or a term where there is no problem.

    Example:
        >>> import bayescg as bcg
        >>> found = bcg.identify.from_jacobian([[1.0]], names=["a"])
        >>> information_of(found.experiment, found).tolist()
        [[1.0]]
    """
    if isinstance(candidate, Term):
        if experiment.of_term is None:
            raise BayescgError(
                "a term can be a candidate where a problem was asked about, got a table or a function. Give "
                "an information matrix instead."
            )
        matrix = experiment.of_term(candidate).matrix
    elif isinstance(candidate, Information):
        matrix = candidate.matrix
    elif isinstance(getattr(candidate, "experiment", None), Experiment):
        require(
            candidate.experiment.names == experiment.names,
            f"a candidate must have the parameters {', '.join(experiment.names)} in this order, got "
            f"{', '.join(candidate.experiment.names)}.",
        )
        matrix = np.sum([one.matrix for one in candidate.informations], axis=0)
    else:
        matrix = checked_table("a candidate", candidate, experiment.names)
    size = len(experiment.names)
    require(
        np.shape(matrix) == (size, size),
        f"a candidate must have an information matrix of shape ({size}, {size}), got {np.shape(matrix)}.",
    )
    check_finite(matrix, list(experiment.names), what="the information of a candidate")
    return np.asarray(matrix)


def _criteria(M: NumpyArray, target: NumpyArray | None) -> dict[str, float]:
    values, vectors = np.linalg.eigh((M + M.T) / 2)
    values = np.where(values > SINGULAR * max(values[-1], 0.0), values, 0.0)
    singular = bool((values == 0).any())
    found = {
        "d": -np.inf if singular else float(np.sum(np.log(values))),
        "a": np.inf if singular else float(np.sum(1 / values)),
        "e": float(values[0]),
        "bayesian_d": float(0.5 * np.sum(np.log1p(values))),
    }
    if target is not None:
        along = (vectors.T @ target) ** 2
        seen = along > SINGULAR * along.sum()
        lost = bool((values[seen] == 0).any())
        found["c"] = np.inf if lost else float(np.sum(along[seen] / values[seen]))
    return found


def _positive(M: NumpyArray) -> NumpyArray:
    """M without what is below its noise floor: rounding, or the size of its most negative eigenvalue."""
    values, vectors = np.linalg.eigh((M + M.T) / 2)
    floor = max(SINGULAR * float(np.abs(values).max(initial=0.0)), -float(values.min(initial=0.0)))
    return (vectors * np.where(values > floor, values, 0.0)) @ vectors.T


def _along(M: NumpyArray, unit: NumpyArray) -> float:
    """Information along a direction, all others free: 1/variance - 1."""
    values, vectors = np.linalg.eigh(M)
    shares = (vectors.T @ unit) ** 2
    variance, lost = (float(np.sum(shares * part / (1 + values))) for part in (1.0, values))
    return max(lost, 0.0) / variance


def _white(matrix: NumpyArray, lower: NumpyArray) -> NumpyArray:
    return np.linalg.solve(lower, np.linalg.solve(lower, matrix).T)


def _target(target: Any, experiment: Experiment) -> NumpyArray:
    t = np.asarray(target, dtype=float)
    size = len(experiment.names)
    require(t.shape == (size,), f"target must have shape ({size},), got {t.shape}. Give one per parameter.")
    return t
