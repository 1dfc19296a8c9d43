"""The parameters that a last-layer Laplace approximation makes uncertain, and those it leaves at the mode.

A network's energy is linear in the weights of its readouts; given all other weights their posterior is that
of a linear regression on learned features. By default those are made uncertain: the coefficients of linear
potentials, and of `Equivariant` the weights `linear` and `output` of every layer's readout.

References:
    A. Kristiadi, M. Hein, P. Hennig, Int. Conf. Mach. Learn. 119 (2020) 5436, arXiv:2002.10118.
    E. Daxberger et al., Adv. Neural Inf. Process. Syst. 34 (2021) 20089, arXiv:2106.14806.
"""

import functools
from typing import Any

import numpy as np

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray
from bayescg.inference.problem import Problem
from bayescg.interfaces import AbstractLinearPotential, Sum
from bayescg.potentials import Equivariant
from bayescg.potentials.thermodynamic import GeneralThermodynamic

NAMED = 6
"""Parameters that a sentence names; more are counted."""


@functools.singledispatch
def linear_weights(potential: Any) -> tuple[str, ...]:
    """Paths, within a prepared potential, of the weights that the energy is linear in.

    A potential of your own takes part by `linear_weights.register`.

    Args:
        potential: prepared.

    Returns:
        Empty where the potential does not say.

    Example:
        >>> import bayescg as bcg
        >>> network = bcg.potentials.Equivariant(cutoff=0.6, l_max=1, layers=1, hidden=0)
        >>> linear_weights(network.prepare(bcg.interfaces.Support(("W",), (0.25,))))
        ('blocks.0.readout.linear',)
    """
    return ()


@linear_weights.register
def _(potential: AbstractLinearPotential) -> tuple[str, ...]:
    return potential.coefficient_paths()


@linear_weights.register
def _(potential: Sum) -> tuple[str, ...]:
    return tuple(
        f"terms.{index}.{path}" for index, term in enumerate(potential.terms) for path in linear_weights(term)
    )


@linear_weights.register
def _(potential: GeneralThermodynamic) -> tuple[str, ...]:
    parts = {"energy_part": potential.energy_part, "entropy_part": potential.entropy_part}
    return tuple(f"{name}.{path}" for name, part in parts.items() for path in linear_weights(part))


@linear_weights.register
def _(potential: Equivariant) -> tuple[str, ...]:
    kinds = ("linear", "output") if potential.hidden else ("linear",)
    return tuple(f"blocks.{layer}.readout.{kind}" for layer in range(potential.layers) for kind in kinds)


def places_of(problem: Any, subset: tuple[str, ...] | None) -> NumpyArray:
    """Elements of the unconstrained vector that are made uncertain.

    Args:
        problem: the posterior.
        subset: names of random variables; None for the weights that the energy is linear in.

    Raises:
        BayescgError: a name that is no random variable, or no weights to be found.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=2))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> places_of(problem, None).size, problem.dimension
        (11, 13)
    """
    if not isinstance(problem, Problem):
        raise BayescgError(
            f"which='last_layer' needs a bayescg.Problem, whose parameters have names, got "
            f"{type(problem).__name__}. Use which='full'."
        )
    sites = np.array([label.split("[")[0] for label in problem.labels])
    wanted = subset
    if wanted is None:
        paths = [f"potential.{path}" for path in linear_weights(problem.joint.potential)]
        wanted = tuple(path for path in paths if path in problem.sites)
        if not wanted:
            raise BayescgError(
                f"which='last_layer' needs weights that the energy is linear in, but "
                f"{type(problem.joint.potential).__name__} names none with a prior. Give subset=, of: "
                f"{', '.join(problem.sites)}."
            )
    for name in wanted:
        if name not in problem.sites:
            raise BayescgError(
                f"subset must name random variables of the problem, got {name!r}. They are: "
                f"{', '.join(problem.sites)}."
            )
    return np.flatnonzero(np.isin(sites, wanted))


def held_names(problem: Any, positions: NumpyArray) -> tuple[str, ...]:
    """Random variables of which no draw moves: an approximation has left them at the mode.

    Args:
        problem: the posterior.
        positions: unconstrained draws, (chain, draw, parameter).

    Example:
        >>> from types import SimpleNamespace
        >>> two = SimpleNamespace(labels=("a", "b[0]"), sites=("a", "b"))
        >>> held_names(two, np.array([[[1.0, 2.0], [1.0, 3.0]]]))
        ('a',)
    """
    if positions.shape[0] * positions.shape[1] < 2:
        return ()
    still = np.ptp(positions, axis=(0, 1)) == 0
    sites = np.array([label.split("[")[0] for label in problem.labels])
    moved = set(sites[~still])
    return tuple(name for name in problem.sites if name not in moved)


def held_sentence(names: tuple[str, ...]) -> str:
    """What a result says of parameters left at the mode.

    Example:
        >>> held_sentence(("a", "b"))
        '2 parameters stay at the mode, without uncertainty of their own: a, b.'
    """
    listed = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    several = len(names) != 1
    return (
        f"{len(names)} parameter{'s stay' if several else ' stays'} at the mode, without uncertainty of "
        f"{'their' if several else 'its'} own: {listed}."
    )
