"""On real water, exact and Monte Carlo samplers give the same posterior."""

import jax
import numpy as np
import pytest
from arviz_stats.base.array import array_stats

import bayescg as bcg
from bayescg.numerics.host_loop import HostLoop

ess = array_stats.ess
SAMPLERS = {
    "conjugate": bcg.Conjugate(),
    "blackjax": bcg.NUTS(warmup=400, draws=800),
    "numpyro": bcg.NUTS(engine="numpyro", warmup=400, draws=800),
}
LIMIT = 4.5
"""Standard errors: of 3 x 25 comparisons, true agreement exceeds it with probability 5e-4."""


def water(frames):
    model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=24, start=0.24))
    matching = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=frames))
    return bcg.Problem(model, bcg.priors.default(model), matching)


@pytest.fixture(scope="module")
def draws():
    made = water(40)
    loop = HostLoop(progress=False)
    return {name: s.draw(made, key=jax.random.key(7), loop=loop).positions for name, s in SAMPLERS.items()}


def effective(positions, method):
    """Effective sample size of every element for one moment."""
    return np.array(
        [
            float(ess(positions[..., k], method=method, chain_axis=0, draw_axis=1))
            for k in range(positions.shape[-1])
        ]
    )


def disagreement(first, second):
    """Largest difference of means and of standard deviations in Monte Carlo standard errors."""
    moments = []
    for positions in (first, second):
        flat = positions.reshape(-1, positions.shape[-1])
        # NUTS alternates about the mean, so the mean has a larger effective size than the deviation
        moments.append(
            (flat.mean(axis=0), flat.std(axis=0), *(effective(positions, m) for m in ("mean", "sd")))
        )
    (m1, s1, n1, d1), (m2, s2, n2, d2) = moments
    of_mean = np.abs(m1 - m2) / np.sqrt(s1**2 / n1 + s2**2 / n2)
    # sd of a sample standard deviation of a Gaussian is s/sqrt(2n)
    of_deviation = np.abs(s1 - s2) / np.sqrt(s1**2 / (2 * d1) + s2**2 / (2 * d2))
    return max(of_mean.max(), of_deviation.max())


@pytest.mark.parametrize(
    "pair", [("conjugate", "blackjax"), ("conjugate", "numpyro"), ("blackjax", "numpyro")]
)
def test_samplers_agree_within_monte_carlo_error(draws, pair):
    assert disagreement(draws[pair[0]], draws[pair[1]]) < LIMIT


def test_control_a_posterior_of_other_frames_disagrees(draws):
    other = bcg.Conjugate().draw(water(39), key=jax.random.key(7), loop=HostLoop(progress=False))
    assert disagreement(draws["conjugate"], other.positions) > 2 * LIMIT
