"""Weak default priors for every potential and memory of the package."""

import functools
from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist

from bayescg._checks import BayescgError
from bayescg.interfaces import AbstractPotential, LinearSum, Sum
from bayescg.model import Model
from bayescg.potentials import (
    DoubleWell,
    GeneralThermodynamic,
    Harmonic,
    LennardJones,
    LinearThermodynamic,
    PairSpline,
    Spline1D,
)
from bayescg.potentials.extent import ROOM_TEMPERATURE
from bayescg.priors.memory import memory_default
from bayescg.priors.site import site_default
from bayescg.priors.smoothness import SplineSmoothness
from bayescg.priors.tree import Prior

ENERGY_SPREAD, LENGTH_SPREAD = 1.0, 0.2
"""Standard deviations of the log of an energy and a length around the value the model was given."""


def default(model: Model) -> Prior:
    """Weak priors for every parameter of the model's potential and memory.

    Splines get `SplineSmoothness`; Lennard-Jones parameters are log-normal around the values the model
    was built with (a factor e either way for epsilon, 20% for sigma). The entropy of a `Thermodynamic` gets
    the prior of an energy divided by 300 K. Potentials of one variable: `bayescg.priors.site`; memories:
    `bayescg.priors.memory`. A likelihood adds its own, for the noise, unless the prior names them.

    Args:
        model: prepared or not.

    Returns:
        A `Prior`; change entries with `|`.

    Raises:
        BayescgError: no default is known for a potential or memory of your own; give its priors by path.

    Example:
        >>> import bayescg as bcg
        >>> sorted(bcg.priors.default(bcg.Model(bcg.potentials.PairSpline(cutoff=0.9))))
        ['potential.coefficients']
    """
    entries = {f"potential.{path}": entry for path, entry in _of(model.potential).items()}
    if model.memory is not None:
        entries |= {f"memory.{path}": entry for path, entry in memory_default(model.memory).items()}
    return Prior(entries)


@functools.singledispatch
def _of(potential: AbstractPotential) -> dict[str, Any]:
    raise BayescgError(
        f"No default prior is known for {type(potential).__name__}. Give one per parameter, as in "
        "{'potential.stiffness': numpyro.distributions.LogNormal(0.0, 1.0)}."
    )


@_of.register
def _(potential: Sum) -> dict[str, Any]:
    return _of_terms(potential.terms)


@_of.register
def _(potential: LinearSum) -> dict[str, Any]:
    return _of_terms(potential.terms)


@_of.register
def _(potential: PairSpline) -> dict[str, Any]:
    return {"coefficients": SplineSmoothness()}


@_of.register
def _(potential: LennardJones) -> dict[str, Any]:
    return {
        "epsilon": dist.LogNormal(jnp.log(potential.epsilon), ENERGY_SPREAD),
        "sigma": dist.LogNormal(jnp.log(potential.sigma), LENGTH_SPREAD),
    }


@_of.register
def _(potential: Harmonic | DoubleWell | Spline1D) -> dict[str, Any]:
    return site_default(potential)


@_of.register
def _(potential: LinearThermodynamic | GeneralThermodynamic) -> dict[str, Any]:
    energy, entropy = _of(potential.energy_part), _of(potential.entropy_part)
    found = {f"energy_part.{path}": entry for path, entry in energy.items()}
    return found | {f"entropy_part.{path}": _per_kelvin(entry, path) for path, entry in entropy.items()}


@functools.singledispatch
def _per_kelvin(entry: Any, path: str) -> Any:
    raise BayescgError(
        f"No default prior is known for {path} of the entropy, whose unit is that of an energy per kelvin. "
        f"Give one as 'potential.entropy_part.{path}'."
    )


@_per_kelvin.register
def _(entry: SplineSmoothness, path: str) -> Any:
    return SplineSmoothness(entry.roughness / ROOM_TEMPERATURE, entry.spread)


@_per_kelvin.register
def _(entry: dist.Normal, path: str) -> Any:
    return dist.Normal(*(jnp.asarray(x) / ROOM_TEMPERATURE for x in (entry.loc, entry.scale)))


def _of_terms(terms: tuple[AbstractPotential, ...]) -> dict[str, Any]:
    return {
        f"terms.{index}.{path}": entry
        for index, term in enumerate(terms)
        for path, entry in _of(term).items()
    }
