"""Curves of the pair potential over posterior draws: what figures and reports show of a force field.

For every pair of bead types and draw, on one grid of distances,

    pair_energy = u(r),        pair_force = -u'(r),

summed over the model's pair potentials. The curves are kept in the result, so that a figure needs the
file only, not the model or the data.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import require
from bayescg._typing import Array, NumpyArray
from bayescg.inference.thinning import evenly, thinned
from bayescg.interfaces import AbstractPairPotential, LinearSum, Sum, Topology, type_pairs
from bayescg.model import Model
from bayescg.numerics.batches import map_in_batches
from bayescg.potentials import PairSpline

DISTANCES = 200
"""Points of the grid: 4 pm apart for a cutoff of 0.9 nm."""

DRAWS_KEPT = 200
"""Curves kept per chain, spread evenly: enough for 95% bands; all coefficients are kept anyway."""

CORE_ENERGY = 100.0
"""kJ/mol, 40 k_B T at 300 K: the grid begins where the median falls below, as no bead comes closer."""

AT_ONCE = 64
"""Curves evaluated together: enough to fill vector units, little memory."""


class Modelled(Protocol):
    """What is needed of a problem."""

    @property
    def topology(self) -> Topology:
        """Bead types."""
        ...

    def model(self, values: Mapping[str, Any]) -> Model:
        """The model of one draw."""
        ...


def potential_curves(
    problem: Modelled, values: Mapping[str, Any], *, naive: Mapping[str, Any] | None = None
) -> xr.Dataset | None:
    """Pair energies and forces of posterior draws.

    Args:
        problem: whose `model` is evaluated.
        values: path -> values, (chain, draw, ...), of the draws to believe: the sandwich's where there are.
        naive: as many draws without the sandwich, for comparison.

    Returns:
        `pair_energy` (kJ/mol) and `pair_force` (kJ/mol/nm) with dims (chain, curve_draw, type_pair,
        distance), at most 200 draws per chain, float32; the same with `_naive` for the naive draws; and
        for every `PairSpline` the distance (nm) about which a coefficient acts, `coefficient_distance`
        or, of the n-th term of a sum, `coefficient_distance.n`. None where the model has no pair potential.

    Raises:
        BayescgError: there are no values.

    Example:
        >>> import bayescg as bcg, numpy as np
        >>> from types import SimpleNamespace
        >>> support = bcg.interfaces.Support(("Ar",), (0.3,))
        >>> argon = bcg.potentials.LennardJones(1.0, 0.34, cutoff=1.0).prepare(support)
        >>> topology = SimpleNamespace(type_names=("Ar",))
        >>> problem = SimpleNamespace(model=lambda values: bcg.Model(argon), topology=topology)
        >>> curves = potential_curves(problem, {"unused": np.zeros((2, 3))})
        >>> dict(curves.sizes)
        {'chain': 2, 'curve_draw': 3, 'type_pair': 1, 'distance': 200}
        >>> round(float(curves["pair_energy"].min()), 2)
        -1.0
    """
    require(bool(values), "values must hold the draws of at least one parameter, got none.")
    chains, draws = np.shape(next(iter(values.values())))[:2]
    kept = evenly(draws, DRAWS_KEPT)
    flat = thinned(values, kept)
    terms = pair_terms(problem.model({path: a[0] for path, a in flat.items()}))
    if not terms:
        return None
    names = problem.topology.type_names
    pairs = jnp.asarray(type_pairs(len(names)), jnp.int32)
    cutoff = max(term.cutoff for _, term in terms)
    distances = jnp.linspace(_begin(problem, flat, pairs, cutoff), cutoff, DISTANCES)
    variables = _variables(problem, flat, pairs, distances, suffix="")
    if naive is not None:
        variables |= _variables(problem, thinned(naive, kept), pairs, distances, suffix="_naive")
    shape = (chains, kept.size, len(pairs), DISTANCES)
    dims = ("chain", "curve_draw", "type_pair", "distance")
    return xr.Dataset(
        {name: (dims, array.reshape(shape), {"units": unit}) for name, (array, unit) in variables.items()},
        coords={
            "chain": np.arange(chains),
            "curve_draw": kept,
            "type_pair": ["-".join(names[i] for i in pair) for pair in type_pairs(len(names))],
            "distance": ("distance", np.asarray(distances), {"units": "nm"}),
        },
    ).assign(_coefficient_distances(terms))


def pair_terms(model: Model) -> list[tuple[str, AbstractPairPotential]]:
    """The pair potentials of a model with their paths.

    Example:
        >>> import bayescg as bcg
        >>> both = bcg.potentials.PairSpline(cutoff=0.9) + bcg.potentials.LennardJones(cutoff=0.9)
        >>> [path for path, _ in pair_terms(bcg.Model(both))]
        ['potential.terms.0', 'potential.terms.1']
    """
    potential = model.potential
    if isinstance(potential, Sum | LinearSum):
        found = [(f"potential.terms.{index}", term) for index, term in enumerate(potential.terms)]
    else:
        found = [("potential", potential)]
    return [(path, term) for path, term in found if isinstance(term, AbstractPairPotential)]


def _variables(
    problem: Modelled, flat: Mapping[str, Any], pairs: Array, distances: Array, *, suffix: str
) -> dict[str, tuple[NumpyArray, str]]:
    energy, force = _evaluate(problem, flat, pairs, distances)
    return {
        f"pair_energy{suffix}": (np.asarray(energy, np.float32), "kJ/mol"),
        f"pair_force{suffix}": (np.asarray(force, np.float32), "kJ/mol/nm"),
    }


def _energy(model: Model, distance: Array, pair: Array) -> Array:
    """Energy of one pair, kJ/mol; each term ends at its own cutoff."""
    parts = [
        jnp.where(distance < term.cutoff, term.pair_energy(distance, pair[0], pair[1]), 0.0)
        for _, term in pair_terms(model)
    ]
    return sum(parts, start=jnp.zeros(()))


def _evaluate(
    problem: Modelled, flat: Mapping[str, Any], pairs: Array, distances: Array
) -> tuple[Array, Array]:
    """Energy and force, both (draw, type_pair, distance)."""
    flat = {path: jnp.asarray(array) for path, array in flat.items()}
    return energies_and_forces(problem.model, flat, pairs, distances)


@eqx.filter_jit
def energies_and_forces(
    model_of: Callable[[Any], Model], flat: dict[str, Array], pairs: Array, distances: Array
) -> tuple[Array, Array]:
    """Pair energies, kJ/mol, and forces, kJ/mol/nm, of many draws, both (draw, type_pair, distance).

    Args:
        model_of: values of one draw to its model; in JAX.
        flat: path -> values, (draw, ...).
        pairs: types of every pair, (type_pair, 2).
        distances: nm.

    Example:
        >>> import bayescg as bcg
        >>> argon = bcg.potentials.LennardJones(1.0, 0.34, cutoff=1.0)
        >>> model = bcg.Model(argon.prepare(bcg.interfaces.Support(("Ar",), (0.3,))))
        >>> one = {"unused": jnp.zeros(2)}, jnp.zeros((1, 2), int), jnp.array([0.34])
        >>> energies_and_forces(lambda values: model, *one)[0].shape
        (2, 1, 1)
    """

    def of_draw(values: dict[str, Array]) -> tuple[Array, Array]:
        model = model_of(values)
        of_pair = jax.value_and_grad(lambda distance, pair: _energy(model, distance, pair))
        value, slope = jax.vmap(jax.vmap(of_pair, in_axes=(0, None)), in_axes=(None, 0))(distances, pairs)
        return value, -slope

    return map_in_batches(of_draw, flat, AT_ONCE)


def _begin(problem: Modelled, flat: Mapping[str, Any], pairs: Array, cutoff: float) -> float:
    """The shortest distance beyond which some pair's median energy stays below `CORE_ENERGY`, nm."""
    scan = jnp.linspace(0.0, cutoff, 2 * DISTANCES + 1)[1:]
    few = {path: a[:: max(1, len(a) // AT_ONCE)] for path, a in flat.items()}
    median = np.median(np.asarray(_evaluate(problem, few, pairs, scan)[0]), axis=0)
    low = median < CORE_ENERGY  # NaN counts as too high
    begins = [np.flatnonzero(~row).max(initial=-1) + 1 for row in low]
    return float(scan[min(min(begins), scan.size - 2)])


def _coefficient_distances(terms: list[tuple[str, AbstractPairPotential]]) -> dict[str, Any]:
    """Where on the r axis every spline coefficient acts, nm."""
    found: dict[str, Any] = {}
    for path, term in terms:
        if not isinstance(term, PairSpline):
            continue
        suffix = path.removeprefix("potential").removeprefix(".terms")
        starts, widths = np.asarray(term.starts)[:, None], np.asarray(term.widths)[:, None]
        found[f"coefficient_distance{suffix}"] = (
            ("type_pair", f"coefficient{suffix}"),
            starts + widths * term.basis.centers,
            {"units": "nm", "path": f"{path}.coefficients"},
        )
    return found
