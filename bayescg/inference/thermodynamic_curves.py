"""Energy and entropy of pairs over posterior draws, for a `Thermodynamic` of pair potentials.

    u(r; T) = a(r) - T b(r)

a and b are kept for every draw, so that a figure can draw u at any temperature with its band: they are
strongly correlated, far more than either is sharp.
"""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._typing import Array
from bayescg.inference.curves import AT_ONCE, DRAWS_KEPT, pair_terms, potential_curves
from bayescg.inference.problem import Problem
from bayescg.inference.thinning import evenly, thinned
from bayescg.interfaces import AbstractPotential, Topology, type_pairs
from bayescg.model import Model
from bayescg.numerics.batches import map_in_batches
from bayescg.potentials import GeneralThermodynamic, LinearThermodynamic, PairSpline, at_temperature
from bayescg.potentials.thermodynamic import PARTS, depends_on_temperature


class AtDataTemperature(eqx.Module):
    """A problem whose models stand at one temperature.

    Attributes:
        problem: which may hold a `Thermodynamic`.
        temperature: K.

    Example:
        >>> import bayescg as bcg
        >>> spline = bcg.potentials.PairSpline(cutoff=0.9, knots=12)
        >>> model = bcg.Model(bcg.potentials.Thermodynamic(spline, spline))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=8))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> values = problem.constrain(jnp.zeros(problem.dimension))
        >>> type(AtDataTemperature(problem, 300.0).model(values).potential).__name__
        'PairSpline'
    """

    problem: Problem
    temperature: float

    @property
    def topology(self) -> Topology:
        """Of the problem."""
        return self.problem.topology

    def model(self, values: Mapping[str, Any]) -> Model:
        """The model of one draw, its potential at the temperature."""
        found = self.problem.model(values)
        return Model(at_temperature(found.potential, jnp.asarray(self.temperature)), found.memory)


def curves_of(
    problem: Problem, values: Mapping[str, Any], *, naive: Mapping[str, Any] | None = None
) -> dict[str, xr.Dataset]:
    """Groups of a result that hold curves of the potential.

    Args:
        problem: the posterior.
        values: path -> values, (chain, draw, ...), of the draws to believe.
        naive: as many draws without the sandwich, for comparison.

    Returns:
        `potential_curves`, of a `Thermodynamic` at the temperature of the first data; and of one alone
        `thermodynamic_curves`: `energy` (kJ/mol) and `entropy` (kJ/mol/K), (chain, curve_draw, type_pair,
        distance). Empty where there are no pair potentials.

    Example:
        >>> import bayescg as bcg
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=8))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> values = problem.constrain(jnp.zeros(problem.dimension))
        >>> sorted(curves_of(problem, {path: np.asarray(v)[None, None] for path, v in values.items()}))
        ['potential_curves']
    """
    potential = problem.joint.potential
    thermal = potential is not None and depends_on_temperature(potential)
    seen: Any = AtDataTemperature(problem, problem.temperature) if thermal else problem
    curves = potential_curves(seen, values, naive=naive)
    if curves is None:
        return {}
    groups = {"potential_curves": curves}
    if _of_pairs(potential):
        groups["thermodynamic_curves"] = _parts(problem, values, curves)
    return groups


def _of_pairs(potential: AbstractPotential | None) -> bool:
    return isinstance(potential, LinearThermodynamic | GeneralThermodynamic) and all(
        pair_terms(Model(getattr(potential, part))) for part in PARTS
    )


def _parts(problem: Problem, values: Mapping[str, Any], curves: xr.Dataset) -> xr.Dataset:
    """A and B on the distances of the curves of U."""
    kept = evenly(np.shape(next(iter(values.values())))[1], DRAWS_KEPT)
    flat = {path: jnp.asarray(array) for path, array in thinned(values, kept).items()}
    pairs = jnp.asarray(type_pairs(len(problem.topology.type_names)), jnp.int32)
    variables = {}
    for part, name, unit in zip(PARTS, ("energy", "entropy"), ("kJ/mol", "kJ/mol/K"), strict=True):
        found = _evaluated(problem.model, part, flat, pairs, jnp.asarray(curves["distance"].values))
        shaped = np.asarray(found, np.float32).reshape(curves["pair_energy"].shape)
        variables[name] = (curves["pair_energy"].dims, shaped, {"units": unit})
    return xr.Dataset(variables, coords=curves.coords)


@eqx.filter_jit
def _evaluated(
    model_of: Callable[[Mapping[str, Any]], Model],
    part: str,
    flat: dict[str, Array],
    pairs: Array,
    distances: Array,
) -> Array:
    """Energies of one part, (draw, type_pair, distance), without walls: -T times a wall would attract."""

    def of_pair(terms: list[Any], distance: Array, pair: Array) -> Array:
        found = [
            term.spline_energy(distance, *pair, wall=False)
            if isinstance(term, PairSpline)
            else term.pair_energy(distance, *pair)
            for term in terms
        ]
        inside = [jnp.where(distance < term.cutoff, u, 0.0) for term, u in zip(terms, found, strict=True)]
        return sum(inside, start=jnp.zeros(()))

    def of_draw(values: dict[str, Array]) -> Array:
        terms = [term for _, term in pair_terms(Model(getattr(model_of(values).potential, part)))]
        return jnp.stack(
            [jax.vmap(lambda r, pair=pair: of_pair(terms, r, pair))(distances) for pair in pairs]
        )

    return map_in_batches(of_draw, flat, AT_ONCE)
