"""Modules of a problem: the potential with the terms that may determine it, the memory with its own.

A term is dynamic if it is a path likelihood. The structure module holds all other terms and the priors of
potential and noise; the dynamics module the path likelihoods and the priors of the memory and of those
likelihoods' parameters. In a cut posterior information flows from the first to the second only,

    p_cut(theta, eta) = p(theta | structure data) p(eta | theta, dynamics data).

References:
    M. Plummer, Stat. Comput. 25, 37 (2015), doi:10.1007/s11222-014-9503-z.
    P. E. Jacob et al., arXiv:1708.08719.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray
from bayescg.inference.joint import Joint
from bayescg.inference.problem import Problem
from bayescg.interfaces import AbstractMemory
from bayescg.likelihoods import Path
from bayescg.likelihoods.path_scales import timescales
from bayescg.likelihoods.path_series import stretches
from bayescg.priors.memory import memory_default


class Modules(eqx.Module):
    """A problem taken apart.

    Attributes:
        structure: terms and parameters of the potential.
        dynamics: path likelihoods and the memory's parameters; the potential is constant in it.
        structure_places: elements of the whole problem's unconstrained vector.
        dynamics_places: the others.
    """

    structure: Problem
    dynamics: Problem
    structure_places: NumpyArray
    dynamics_places: NumpyArray


def cut_by_default(problem: Problem) -> bool:
    """Whether the posterior is drawn module by module unless asked otherwise.

    True for many beads with a path likelihood beside other terms: forces in a liquid are correlated between
    beads, so independent memories are misspecified and would spoil the potential.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=2))
        >>> cut_by_default(bcg.Problem(model, bcg.priors.default(model), term))
        False
    """
    dynamic = _dynamic(problem)
    return 0 < len(dynamic) < len(problem.terms) and problem.topology.types.shape[0] > 1


def modules_of(problem: Problem) -> Modules:
    """Take a problem apart.

    Args:
        problem: with at least one path likelihood and one other term.

    Raises:
        BayescgError: all terms are of one kind, a module has no free parameter, or the prior is a program.
    """
    dynamic = _dynamic(problem)
    others = tuple(index for index in problem.terms if index not in dynamic)
    if not dynamic or not others:
        missing = "path likelihood" if not dynamic else "term for the potential"
        raise BayescgError(
            f"a cut posterior needs a path likelihood and another term for the potential, got no {missing}. "
            "Add one, as in ForceMatching().on(beads) + Path().on(dynamics), or sample with cut=False."
        )
    prefixes = ("memory.", *(f"likelihood.{index}." for index in dynamic))

    def of_dynamics(path: str) -> bool:
        return path.startswith(prefixes)

    places = np.array([of_dynamics(label) for label in problem.labels])
    for name, wanted in (("potential", ~places), ("memory", places)):
        if not wanted.any():
            raise BayescgError(
                f"a cut posterior needs free parameters of the {name}, got none. "
                "Give it a prior, or sample with cut=False."
            )
    return Modules(
        problem.part(others, problem.prior.only(lambda path: not of_dynamics(path))),
        problem.part(dynamic, problem.prior.only(of_dynamics)),
        np.flatnonzero(~places),
        np.flatnonzero(places),
    )


def with_memory(
    problem: Problem, memory: AbstractMemory, dynamics: xr.Dataset, *, prior: Mapping[str, Any] | None = None
) -> Problem:
    """The problem with another memory, for `bayescg.refine`; path likelihoods are left out.

    Args:
        problem: with a potential.
        memory: prepared here for the timescales of the data.
        dynamics: beads with velocities at equal intervals.
        prior: entries beside the memory's defaults.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> pairs = bcg.memory.Pairwise(bcg.memory.Prony(1), cutoff=0.5)
        >>> other = with_memory(problem, pairs, bcg.data.water_dynamics(frames=20))
        >>> [site for site in other.sites if site.startswith("memory")]
        ['memory.memory.frictions', 'memory.memory.times']
    """
    prepared = memory.prepare(timescales(stretches(dynamics, "velocities")))
    dynamic = _dynamic(problem)
    prefixes = ("memory.", *(f"likelihood.{index}." for index in dynamic))
    kept = problem.prior.only(lambda path: not path.startswith(prefixes))
    defaults = {f"memory.{path}": entry for path, entry in memory_default(memory).items()}
    others = tuple(index for index in problem.terms if index not in dynamic)
    joint = Joint(problem.joint.potential, prepared, problem.joint.likelihood)
    return problem.part(others, kept | defaults | ({} if prior is None else prior), joint=joint)


def _dynamic(problem: Any) -> tuple[int, ...]:
    return tuple(index for index in problem.terms if isinstance(problem.joint.likelihoods[index], Path))
