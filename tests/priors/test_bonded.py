"""Default priors of bonded potentials: their densities by hand."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from numpyro.handlers import condition, seed, trace
from scipy import integrate

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import Sampled, Support
from bayescg.priors.bonded import ChainSmoothness, SpringScale, chain_factors
from bayescg.priors.nonbonded import ENERGY_SCALE, term_orders

SUPPORT = Support(
    ("A",),
    (),
    internal=(
        Sampled("bond", (0, 0), 0.2, 0.3, 0.24, 5e3),
        Sampled("angle", (0, 0, 0), 1.0, 3.0, 2.0, 30.0),
        Sampled("cosine", (0, 0, 0), -0.9, 0.5, -0.3, 20.0),
        Sampled("dihedral", (0, 0, 0, 0), -3.1, 3.1, 0.0, 1.0),
    ),
)


def law(prior, potential, **hyper):
    """The distribution of the coefficients given the hyperparameters."""
    program = seed(lambda: prior.sample("c", potential, potential.coefficients), jax.random.key(0))
    return trace(condition(program, data=hyper)).get_trace()["c"]["fn"]


def test_every_bonded_potential_has_a_default():
    for potential in (
        bcg.potentials.HarmonicBond(),
        bcg.potentials.BondSpline(),
        bcg.potentials.HarmonicAngle(),
        bcg.potentials.AngleSpline(),
        bcg.potentials.PeriodicDihedral(),
        bcg.potentials.DihedralSpline(),
    ):
        prior = bcg.priors.default(bcg.Model(potential))
        assert list(prior) == ["potential.coefficients"]
        ready = potential.prepare(SUPPORT)
        drawn = numpyro.handlers.seed(lambda p=prior, r=ready: p.sample(bcg.Model(r)), jax.random.key(1))()
        assert drawn["potential.coefficients"].shape == ready.coefficients.shape
        assert np.isfinite(drawn["potential.coefficients"]).all()


def test_springs_are_normal_around_the_inversion_of_the_data():
    spring = bcg.potentials.HarmonicBond().prepare(SUPPORT)
    found = law(SpringScale(), spring)
    np.testing.assert_allclose(found.base_dist.loc, [[0.0, 5e3]])
    # a quarter of the range of 0.1 nm as shift of the rest position
    np.testing.assert_allclose(found.base_dist.scale, [[0.025 * 5e3, 5e3]], rtol=1e-12)


@pytest.mark.parametrize("spline", [bcg.potentials.BondSpline(7), bcg.potentials.AngleSpline(9)])
def test_splines_are_as_smooth_as_a_roughness_says_around_their_start(spline):
    """-2 log p = ∫v''²/s² + (v(start) - v(stop))²/tau² + const., the integral by quadrature."""
    ready, s = spline.prepare(SUPPORT), 50.0
    found = law(ChainSmoothness(), ready, **{"c.roughness": jnp.array([s])})
    rng = np.random.default_rng(0)
    step = 3.0 * rng.normal(size=ready.coefficients.shape)
    moved = [float(found.log_prob(ready.coefficients + f * step)) for f in (0.0, 1.0)]
    start, width = ready.grids[0]
    stop = start + width * (ready.knots - 1)

    def v(q):
        return ready.functions(q, 0) @ step[0]

    second = jax.jit(jax.grad(jax.grad(v)))
    # v'' is linear between knots: three Gauss points of every interval make its square exact
    places = [start + width * m for m in range(ready.knots)]
    curvature = sum(
        integrate.fixed_quad(lambda q: np.array([float(second(x)) ** 2 for x in q]), a, b, n=3)[0]
        for a, b in pairwise(places)
    )
    slope = (float(v(start)) - float(v(stop))) / (30 * ENERGY_SCALE)

    # the rough part begins at zero: what the straight line takes up has no curvature
    assert 2 * (moved[0] - moved[1]) == pytest.approx(curvature / s**2 + slope**2, rel=1e-8)
    # control: another roughness is another density
    other = law(ChainSmoothness(), ready, **{"c.roughness": jnp.array([5 * s])})
    assert abs(float(other.log_prob(ready.coefficients + step)) - moved[1]) > 0.1


def test_a_turn_has_no_slope_and_waves_fall_off():
    torsion = bcg.potentials.DihedralSpline(8).prepare(SUPPORT)
    lengths, rough, slope = chain_factors(torsion)
    assert lengths.tolist() == [2 * np.pi]
    assert not slope.any()
    assert np.linalg.matrix_rank(rough[0]) == 7
    group, order = term_orders(bcg.potentials.PeriodicDihedral(3, chiral=True).prepare(SUPPORT))
    assert (group.tolist(), order.tolist()) == ([[0]], [0, 1, 2, 0, 1, 2])


def test_priors_stand_on_the_potentials_they_know():
    pair = bcg.potentials.LennardJones()
    for prior in (SpringScale(), ChainSmoothness()):
        with pytest.raises(BayescgError, match="must stand on the coefficients of a bonded potential"):
            seed(lambda p=prior: p.sample("c", pair, jnp.zeros((1, 2))), jax.random.key(0))()
    with pytest.raises(BayescgError, match="stiffness must be positive"):
        SpringScale(stiffness=0.0)
