"""What a result keeps of energy and entropy, and held-out forces at a temperature that no data had."""

import jax
import numpy as np
import pytest
import scipy.stats
from scipy.interpolate import BSpline

import bayescg as bcg
from bayescg.identifiability.parameter_places import places_of
from bayescg.inference.held_out_forces import held_out_frames, predicted_forces
from bayescg.inference.thermodynamic_curves import curves_of
from bayescg.likelihoods import ForceMatching
from bayescg.numerics.host_loop import HostLoop
from tests.potentials.test_contract import CUTOFF, TWO, configuration, forces_of
from tests.potentials.test_thermodynamic import KELVINS, MODEL, PRIOR, gas

UNSEEN, SIGMA = 310.0, 0.5


@pytest.fixture(scope="module")
def problem():
    points = [gas(kelvin, seed=index) for index, kelvin in enumerate(KELVINS)]
    return bcg.Problem(MODEL, PRIOR, ForceMatching().on(points))


@pytest.fixture(scope="module")
def values(problem):
    u = jax.random.normal(jax.random.key(0), (2, problem.dimension))
    return {path: np.asarray(v)[None] for path, v in jax.vmap(problem.constrain)(u).items()}


def scored(problem, u, beads):
    frames = held_out_frames(problem, beads)
    return predicted_forces(problem, np.asarray(u)[None], frames, loop=HostLoop(progress=False))


def test_held_out_forces_are_scored_at_their_own_temperature(problem):
    """One draw at a temperature between those of the data: the sum of normal densities, by SciPy."""
    u = 0.3 * jax.random.normal(jax.random.key(1), (problem.dimension,))
    beads = gas(UNSEEN, frames=8, seed=7)
    potential, residuals = problem.model(problem.constrain(u)).potential, []
    for index, force in enumerate(beads["force"].values):
        frame = configuration(TWO, periodic=True, seed=700 + index).at(UNSEEN)
        residuals.append(force - np.asarray(forces_of(potential, frame)))
    residuals = np.stack(residuals)
    found = scored(problem, u, beads)
    expected = scipy.stats.norm(scale=SIGMA).logpdf(residuals).sum(axis=(1, 2))
    np.testing.assert_allclose(found.score, expected, rtol=1e-9)
    explained = 1 - np.sum(residuals**2) / np.sum(beads["force"].values ** 2)
    assert found.explained == pytest.approx(explained, rel=1e-9)
    # control: the same frames said to be 30 K colder
    wrong = scored(problem, u, beads.assign_attrs(temperature=UNSEEN - 30.0))
    assert np.abs(wrong.score - expected).min() > 1.0


def test_the_curves_of_energy_and_entropy_are_those_of_their_splines(problem, values):
    """Against SciPy's B-splines on the knots, for every draw and pair of types."""
    curves = curves_of(problem, values)
    found = curves["thermodynamic_curves"]
    assert (found["energy"].attrs["units"], found["entropy"].attrs["units"]) == ("kJ/mol", "kJ/mol/K")
    r = found["distance"].values
    for part, name in (("energy", "energy_part"), ("entropy", "entropy_part")):
        spline = getattr(problem.joint.potential, name)
        for pair, (start, width) in enumerate(zip(spline.starts, spline.widths, strict=True)):
            inside = (r > start) & (r < CUTOFF)
            for draw in range(2):
                theta = values[f"potential.{name}.coefficients"][0, draw, pair]
                grid = start + width * np.arange(spline.knots)
                ends = np.concatenate([[start] * 3, grid, [CUTOFF] * 3])
                # the last three functions of the clamped basis are left out
                expected = BSpline(ends, np.concatenate([theta, np.zeros(3)]), 3)(r[inside])
                curve = found[part].values[0, draw, pair, inside]
                # kept in single precision
                np.testing.assert_allclose(curve, expected, atol=1e-5 * np.abs(expected).max())


def test_the_curve_of_the_potential_is_that_at_the_first_temperature(problem, values):
    curves = curves_of(problem, values)
    parts, whole = curves["thermodynamic_curves"], curves["potential_curves"]["pair_energy"].values
    # where every pair has its spline; walls stand closer
    inside = parts["distance"].values > float(np.max(problem.joint.potential.energy_part.starts))
    scale = 1e-5 * np.abs(whole[..., inside]).max()
    at = {kelvin: (parts["energy"] - kelvin * parts["entropy"]).values[..., inside] for kelvin in KELVINS}
    np.testing.assert_allclose(whole[..., inside], at[KELVINS[0]], atol=scale)
    # control: that at the other temperature differs
    assert np.abs(whole[..., inside] - at[KELVINS[1]]).max() > 100 * scale


def test_coefficients_of_energy_and_entropy_are_told_apart_in_words(problem):
    labels = [f"potential.{part}_part.coefficients[0, 0]" for part in ("energy", "entropy")]
    first, second = places_of(problem, labels)
    assert (first[:2], second[:2]) == ("a_", "b_")
    assert first[2:] == second[2:]
    both = bcg.Model(MODEL.potential + MODEL.potential.energy_part)
    names = {"potential.terms.1.coefficients": PRIOR["potential.energy_part.coefficients"]}
    summed = bcg.Problem(both, names, ForceMatching().on([gas(300.0)]))
    (third,) = places_of(summed, ["potential.terms.1.coefficients[0, 0]"])
    assert third.startswith("u_")
