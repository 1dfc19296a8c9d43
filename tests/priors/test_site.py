"""Default priors of potentials of one variable: proper, on the scale of the data, Gaussian where linear."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from numpyro.handlers import seed, substitute, trace

from bayescg._checks import BayescgError
from bayescg.interfaces import Support
from bayescg.model import Model
from bayescg.numerics.splines import clamped, curvature_gram, periodic
from bayescg.potentials import DoubleWell, Harmonic, Spline1D
from bayescg.priors import SiteSmoothness, default
from bayescg.priors.site import SLOPE_SCALE, prior_factors

KT = 2.5
SUPPORT = Support(("A",), (), lowest=(-1.0,), highest=(3.0,), thermal_energy=KT)


def drawn(potential, seed_value=0, **fixed):
    """The prior's sites at one draw, some values fixed."""
    model = Model(potential.prepare(SUPPORT))

    def program():
        default(Model(potential)).sample(model)

    return trace(seed(substitute(program, data=fixed), jax.random.key(seed_value))).get_trace()


def test_scales_follow_the_data():
    sites = drawn(Harmonic())
    assert float(sites["potential.center"]["fn"].loc) == 1.0
    assert float(sites["potential.center"]["fn"].scale) == 2.0
    assert float(sites["potential.stiffness"]["fn"].loc) == pytest.approx(np.log(KT / (4 / 6) ** 2))
    wells = drawn(DoubleWell(center=None))["potential.coefficients"]["fn"].base_dist
    np.testing.assert_allclose(wells.scale, [100 * KT / 4, 200 * KT / 16])


@pytest.mark.parametrize("period", [None, 4.0])
def test_smoothness_prior_is_the_stated_density(period):
    """log p(theta | s) against theta' P theta/s² + (u(start) - u(stop))²/tau², the last coefficient zero."""
    potential = Spline1D(knots=9, period=period)
    s, rng = 7.0, np.random.default_rng(0)
    full = periodic(9) if period else clamped(8)
    size = full.centers.size
    width = potential.prepare(SUPPORT).width
    P = curvature_gram(full, width)
    fixed = {"potential.coefficients.roughness": jnp.array(s)}
    law = drawn(potential, **fixed)["potential.coefficients"]["fn"]

    def stated(theta):
        c = np.append(theta, 0.0)
        tau = SLOPE_SCALE * KT
        return -0.5 * (c @ P @ c / s**2 + (0.0 if period else (c[0] - c[-1]) ** 2 / tau**2))

    first, second = rng.normal(size=(2, size - 1))
    found = float(law.log_prob(jnp.asarray(first)) - law.log_prob(jnp.asarray(second)))
    assert found == pytest.approx(float(stated(first) - stated(second)), rel=1e-8)
    # negative control: another roughness is told apart
    assert found != pytest.approx(float(4 * (stated(first) - stated(second))), rel=0.1)


def test_a_periodic_spline_has_no_slope_and_both_factors_are_triangular():
    for period in (None, 4.0):
        rough, slope = prior_factors(Spline1D(knots=8, period=period).prepare(SUPPORT))
        assert slope.any() == (period is None)
        np.testing.assert_array_equal(np.triu(rough + slope, 1), 0.0)


def test_prior_on_another_potential_is_refused():
    model = Model(DoubleWell().prepare(SUPPORT))
    from bayescg.priors import Prior

    prior = Prior({"potential.coefficients": SiteSmoothness()})
    with (
        pytest.raises(BayescgError, match="must stand on a parameter of a Spline1D"),
        numpyro.handlers.seed(rng_seed=0),
    ):
        prior.sample(model)


def test_prior_without_data_is_refused():
    model = Model(Harmonic(stiffness=1.0, center=0.0))
    with pytest.raises(BayescgError, match="needs the range of the data"), numpyro.handlers.seed(rng_seed=0):
        default(model).sample(model)
