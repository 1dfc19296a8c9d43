"""Curves of the pair potential: the same numbers as the model's, on one grid for all draws."""

from types import SimpleNamespace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg
from bayescg.inference.curves import DISTANCES, DRAWS_KEPT, potential_curves
from bayescg.interfaces import AbstractPotential

SUPPORT = bcg.interfaces.Support(("A", "B"), (0.3, 0.3, 0.3))


def problem_of(potential, paths):
    """A problem whose model is this potential with the parameters at these paths replaced."""

    def model(values):
        found = potential
        for path, where in paths.items():
            found = eqx.tree_at(where, found, values[path])
        return bcg.Model(found)

    return SimpleNamespace(model=model, topology=SimpleNamespace(type_names=("A", "B")))


@pytest.fixture(scope="module")
def lennard_jones():
    """Draws of epsilon and sigma, (2 chains, 5 draws, 3 pairs of types), and their curves."""
    rng = np.random.default_rng(0)
    values = {"e": rng.uniform(0.5, 1.5, (2, 5, 3)), "s": rng.uniform(0.30, 0.34, (2, 5, 3))}
    potential = bcg.potentials.LennardJones(cutoff=1.2).prepare(SUPPORT)
    problem = problem_of(potential, {"e": lambda p: p.epsilon, "s": lambda p: p.sigma})
    return values, potential_curves(problem, values)


def test_energy_is_the_closed_form(lennard_jones):
    values, curves = lennard_jones
    r = curves["distance"].values[curves["distance"].values < 0.9 * 1.2]  # below the switch
    sixth = (values["s"][..., None] / r) ** 6
    expected = 4 * values["e"][..., None] * (sixth**2 - sixth)
    # kept in single precision: 6e-8 relative
    np.testing.assert_allclose(curves["pair_energy"].values[..., : r.size], expected, rtol=2e-7, atol=1e-7)


def test_force_is_minus_the_slope_of_the_closed_form(lennard_jones):
    values, curves = lennard_jones
    r = curves["distance"].values[curves["distance"].values < 0.9 * 1.2]
    sixth = (values["s"][..., None] / r) ** 6
    expected = 24 * values["e"][..., None] * (2 * sixth**2 - sixth) / r
    np.testing.assert_allclose(curves["pair_force"].values[..., : r.size], expected, rtol=2e-6, atol=1e-6)


def test_the_grid_ends_at_the_cutoff_and_begins_where_no_bead_comes(lennard_jones):
    _, curves = lennard_jones
    assert curves.sizes["distance"] == DISTANCES
    assert float(curves["distance"][-1]) == 1.2
    first = np.median(curves["pair_energy"].values[..., 0], axis=(0, 1))
    assert (first > 20).any()
    assert np.isfinite(curves["pair_energy"].values).all()


def test_terms_of_a_sum_add_and_each_ends_at_its_own_cutoff():
    short = bcg.potentials.LennardJones(cutoff=0.6).prepare(SUPPORT)
    long = bcg.potentials.LennardJones(cutoff=1.2).prepare(SUPPORT)
    values = {"e": np.ones((1, 2, 3))}
    both = problem_of(short + long, {"e": lambda p: p.terms[1].epsilon})
    curves = potential_curves(both, values)
    alone = potential_curves(problem_of(long, {"e": lambda p: p.epsilon}), values)
    r, u = curves["distance"].values, curves["pair_energy"].values[0, 0, 0]
    beyond = r > 0.6
    other = np.interp(r[beyond], alone["distance"].values, alone["pair_energy"].values[0, 0, 0])
    # linear interpolation between points 5 pm apart: curvature below 30 kJ/mol/nm² there gives 1e-4
    np.testing.assert_allclose(u[beyond], other, atol=2e-4)
    inside = np.abs(r - 0.36).argmin()
    other = np.interp(r[inside], alone["distance"].values, alone["pair_energy"].values[0, 0, 0])
    assert u[inside] < 1.8 * other < 0


def test_many_draws_are_thinned_evenly_from_the_first_to_the_last():
    potential = bcg.potentials.LennardJones(cutoff=1.2).prepare(SUPPORT)
    values = {"e": np.ones((1, 501, 3))}
    curves = potential_curves(problem_of(potential, {"e": lambda p: p.epsilon}), values)
    kept = curves["curve_draw"].values
    assert (kept.size, kept[0], kept[-1]) == (DRAWS_KEPT, 0, 500)
    assert np.diff(kept).max() <= 3


def test_naive_draws_stand_on_the_same_grid():
    spline = bcg.potentials.PairSpline(cutoff=0.9, knots=10, start=0.3).prepare(SUPPORT)
    noise = np.random.default_rng(1).normal(size=(2, 7, 3, 9))
    naive, robust = {"c": 5 + noise}, {"c": 5 + 3 * noise}
    curves = potential_curves(problem_of(spline, {"c": lambda p: p.coefficients}), robust, naive=naive)
    inside = curves["distance"].values > 0.3
    spread = {n: curves[n].values[..., inside].std(axis=(0, 1)) for n in ("pair_energy", "pair_energy_naive")}
    # energies are linear in the coefficients above `start`, so is their spread
    np.testing.assert_allclose(spread["pair_energy"], 3 * spread["pair_energy_naive"], rtol=1e-4, atol=1e-6)


def test_a_coefficient_acts_at_its_distance():
    spline = bcg.potentials.PairSpline(cutoff=0.9, knots=10, start=0.3).prepare(SUPPORT)
    units = np.broadcast_to(np.eye(9)[None, :, None, :], (1, 9, 3, 9))
    curves = potential_curves(problem_of(spline, {"c": lambda p: p.coefficients}), {"c": units})
    r = curves["distance"].values
    inside = r >= 0.3
    highest = r[inside][curves["pair_energy"].values[0, :, 0, inside].argmax(axis=0)]
    # the highest point of a B-spline lies within one interval of its Greville abscissa
    assert np.abs(highest - curves["coefficient_distance"].values[0]).max() < spline.widths[0]
    assert curves["coefficient_distance"].attrs["path"] == "potential.coefficients"


class Restraint(AbstractPotential):
    """No pair potential."""

    cutoff: float = eqx.field(static=True, default=1.0)

    def energy(self, configuration):
        return jnp.sum(configuration.positions**2)

    def prepare(self, support):
        return self

    def coordinates(self):
        return {}


def test_a_model_without_pair_potential_has_no_curves():
    assert potential_curves(problem_of(Restraint(), {}), {"e": np.ones((1, 2))}) is None


def test_no_values_are_refused():
    with pytest.raises(bcg.BayescgError, match="values must hold"):
        potential_curves(problem_of(Restraint(), {}), {})
