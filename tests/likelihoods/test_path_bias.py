"""Finite differences taken for velocities are biased at any interval; the path likelihood is not.

From the r-th difference of positions, scaled to a noise strength, a friction follows for which a discrete
equation would be exact. The r-th difference of r-fold integrated white noise has only the part

    r = 2 (Langevin):  2/3,        r = 3 (one exponential, no instantaneous friction):  11/20

of its strength, the integral of a squared B-spline of order r, as dt -> 0.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import bayescg as bcg
from bayescg.likelihoods import Path
from bayescg.memory import Markovian, Prony
from bayescg.model import Model
from tests.likelihoods.gle_data import KB, autocovariance, dataset

MASS, STIFFNESS, FRICTION, TIME = 18.0, 90.0, 60.0, 0.4
KT = KB * 300.0
FRAMES, SERIES = 500, 8
INTERVALS = {"langevin": (0.005, 0.1, MASS / FRICTION), "prony": (0.005, 0.1, TIME)}


def memory_of(case, friction):
    if case == "langevin":
        return Markovian(friction)
    return Prony(1, times=[TIME], frictions=[friction])


def apparent_friction(case, interval):
    """From the exact variance of the r-th difference: the friction that it would be the noise of."""
    order = 2 if case == "langevin" else 3
    weights = np.array([(-1.0) ** k * scipy.special.comb(order, k) for k in range(order + 1)])
    covariance, _ = autocovariance(
        memory_of(case, FRICTION), MASS, STIFFNESS, interval * np.arange(order + 1)
    )
    variance = weights @ scipy.linalg.toeplitz(covariance) @ weights
    strength = variance / interval ** (2 * order - 1)
    if case == "langevin":
        return strength * MASS**2 / (2 * KT)  # 2 gamma kT / m²
    return strength * MASS**2 * TIME**2 / (2 * KT)  # 2 c kT / (tau m²), c = gamma/tau


@pytest.mark.parametrize(("case", "share"), [("langevin", 2 / 3), ("prony", 11 / 20)])
def test_finite_differences_give_a_part_of_the_friction(case, share):
    found = [apparent_friction(case, interval) / FRICTION for interval in INTERVALS[case]]
    # the leading correction is of the order of dt over the fastest time of the process, 0.005/0.3
    assert found[0] == pytest.approx(share, rel=0.05)
    # at the memory's own time they are off as well; between the two they pass through one by accident
    assert abs(found[-1] - 1) > 0.15


@pytest.mark.parametrize("case", ["langevin", "prony"])
def test_the_path_likelihood_gives_all_of_it(case):
    for interval in INTERVALS[case]:
        times = interval * np.arange(FRAMES)
        covariance, _ = autocovariance(memory_of(case, FRICTION), MASS, STIFFNESS, times)
        root = np.linalg.cholesky(scipy.linalg.toeplitz(covariance))
        x = root @ np.random.default_rng(7).normal(size=(FRAMES, SERIES))
        spring = bcg.potentials.Harmonic(STIFFNESS, 0.0)
        path = Path()
        model, path = path.prepare(Model(spring, memory_of(case, FRICTION)), dataset(x, interval, mass=MASS))
        seen = path.observe(model, dataset(x, interval, mass=MASS))

        @eqx.filter_jit
        def curve(logs, model=model, path=path, seen=seen):
            def density(log_friction):
                value = jnp.exp(log_friction)
                where = (
                    (lambda m: m.memory.friction) if case == "langevin" else (lambda m: m.memory.frictions)
                )
                value = value if case == "langevin" else value[None]
                return path.log_likelihood(eqx.tree_at(where, model, value), seen)

            return jax.lax.map(density, logs)

        logs = np.log(FRICTION) + np.linspace(-0.15, 0.15, 7)
        quadratic = np.polyfit(logs - np.log(FRICTION), np.asarray(curve(jnp.asarray(logs))), 2)
        error, deviation = -0.5 * quadratic[1] / quadratic[0], 1 / np.sqrt(-2 * quadratic[0])
        assert deviation < 0.1  # these data see a fifth
        assert abs(error) < 3.5 * deviation
