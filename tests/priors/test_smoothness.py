"""The smoothness prior is an integrated Wiener process: SciPy's quadrature and density say the same."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.handlers import seed, substitute, trace
from scipy import integrate, stats
from scipy.interpolate import BSpline

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import Support
from bayescg.model import with_values
from bayescg.priors import Prior, SplineSmoothness, default
from bayescg.priors.smoothness import prior_factor

CUTOFF, KNOTS = 0.9, 10
STARTS = (0.3, 0.25, 0.4)
PATH = "potential.coefficients"


def model():
    spline = bcg.potentials.PairSpline(cutoff=CUTOFF, knots=KNOTS)
    return bcg.Model(spline.prepare(Support(("A", "B"), STARTS)))


def curvature_penalty(start):
    """P_kl = ∫ B_k'' B_l'' dr of SciPy's clamped splines without the last three, by Gauss quadrature."""
    grid = np.linspace(start, CUTOFF, KNOTS)
    knots = np.concatenate([[start] * 3, grid, [CUTOFF] * 3])
    second = BSpline(knots, np.eye(KNOTS + 2), 3).derivative(2)

    def products(r):
        values = second(r)[:, : KNOTS - 1]
        return np.einsum("rk,rl->klr", values, values)

    return sum(integrate.fixed_quad(products, a, b, n=3)[0] for a, b in itertools.pairwise(grid))


def prior_sites(prior, values):
    program = substitute(seed(lambda: Prior({PATH: prior}).sample(model()), jax.random.key(0)), data=values)
    return trace(program).get_trace()


def test_density_is_that_of_the_penalty():
    rng = np.random.default_rng(0)
    roughness = np.array([50.0, 120.0, 9.0])
    theta = rng.normal(size=(3, KNOTS - 1))
    prior = SplineSmoothness(roughness=70.0, spread=1.5)
    sites = prior_sites(prior, {PATH: jnp.asarray(theta), f"{PATH}.roughness": jnp.asarray(roughness)})
    covariances = [
        s**2 * np.linalg.inv(curvature_penalty(start)) for s, start in zip(roughness, STARTS, strict=True)
    ]
    expected = sum(
        stats.multivariate_normal(np.zeros(KNOTS - 1), covariance, allow_singular=False).logpdf(row)
        for row, covariance in zip(theta, covariances, strict=True)
    )
    # condition number 1e6: seven digits of sixteen are lost at most
    assert float(sites[PATH]["fn"].log_prob(theta)) == pytest.approx(expected, rel=1e-8)
    learned = float(sites[f"{PATH}.roughness"]["fn"].log_prob(roughness))
    assert learned == pytest.approx(stats.lognorm(1.5, scale=70.0).logpdf(roughness).sum(), rel=1e-12)
    # control: the roughness of another pair of types is another density
    swapped = prior_sites(
        prior, {PATH: jnp.asarray(theta), f"{PATH}.roughness": jnp.asarray(roughness[::-1])}
    )
    assert float(swapped[PATH]["fn"].log_prob(theta)) != pytest.approx(expected, rel=1e-3)


def test_the_precision_is_the_inverse_of_the_covariance():
    """Both are given to NumPyro, so they could differ; the condition number of 1e6 costs digits."""
    values = {PATH: jnp.zeros((3, KNOTS - 1)), f"{PATH}.roughness": jnp.array([50.0, 120.0, 9.0])}
    law = prior_sites(SplineSmoothness(), values)[PATH]["fn"].base_dist
    identity = np.broadcast_to(np.eye(KNOTS - 1), (3, KNOTS - 1, KNOTS - 1))
    np.testing.assert_allclose(law.precision_matrix @ law.covariance_matrix, identity, atol=1e-8)
    # control: the precision of another pair of types
    assert np.abs(law.precision_matrix[::-1] @ law.covariance_matrix - identity).max() > 1


def test_draws_have_the_covariance_of_the_penalty():
    """At fixed roughness z = L^-1 theta is standard normal: theta' P theta / s² is chi-squared."""
    s = 80.0
    penalty = [curvature_penalty(start) for start in STARTS]

    def one(key):
        program = substitute(
            lambda: Prior({PATH: SplineSmoothness()}).sample(model()),
            data={f"{PATH}.roughness": jnp.full(3, s)},
        )
        return seed(program, key)()[PATH]

    draws = np.asarray(jax.vmap(one)(jax.random.split(jax.random.key(1), 3000)))
    for pair in range(3):
        energy = np.einsum("dk,kl,dl->d", draws[:, pair], penalty[pair], draws[:, pair]) / s**2
        # a true law fails one time in a thousand; the key is fixed
        assert stats.kstest(energy, stats.chi2(KNOTS - 1).cdf).pvalue > 1e-3
        assert stats.kstest(energy * 1.1, stats.chi2(KNOTS - 1).cdf).pvalue < 1e-3


def test_the_prior_of_curves_does_not_depend_on_the_number_of_knots():
    """At d from the cutoff u has the standard deviation s sqrt(d³/3) of an integrated Wiener process.

    A spline of width h, with its curvature zero at the cutoff, misses part of the last interval: its
    standard deviation is smaller by a fraction of about h / 2d.
    """
    for knots in (10, 20, 40):
        spline = bcg.potentials.PairSpline(cutoff=CUTOFF, knots=knots, start=0.3).prepare(
            Support(("A",), (0.3,))
        )
        factor, d = prior_factor(spline, 0), np.array([0.2, 0.4, 0.55])

        def energies(theta, spline=spline, d=d):
            placed = with_values(spline, {"coefficients": theta[None]})
            return jax.vmap(lambda r: placed.pair_energy(r, jnp.array(0), jnp.array(0)))(
                jnp.asarray(CUTOFF - d)
            )

        rows = np.asarray(jax.jit(jax.jacobian(energies))(jnp.zeros(knots - 1)))
        ratio = np.linalg.norm(rows @ factor, axis=1) / np.sqrt(d**3 / 3)
        assert np.all(ratio < 1)
        assert np.all(ratio > 1 - 0.6 * spline.widths[0] / d)
        # control: without the power 3/2 of the width it would change by far more
        assert np.all(np.abs(ratio / spline.widths[0] ** 0.5 - 1) > 0.5)


def test_curves_of_the_prior_end_smoothly_at_the_cutoff():
    theta = draw_coefficients(jax.random.key(3))
    spline = with_values(model().potential, {"coefficients": theta})

    @jax.jit
    @jax.vmap
    def derivatives(kinds):
        def value(r):
            return spline.pair_energy(r, *kinds)

        slope = jax.grad(value)
        return jnp.stack([jax.vmap(function)(distances) for function in (value, slope, jax.grad(slope))])

    distances = jnp.concatenate([jnp.linspace(0.45, 0.8, 20), CUTOFF + jnp.array([-1e-6, 0.0])])
    found = np.abs(derivatives(jnp.array([(0, 0), (0, 1), (1, 1)])))
    # u ~ d³: at d = 1e-6 of a width of 0.07 the curvature is 1e-5 of its size, slope and value far less
    assert np.all(found[..., -2] < 1e-3 * found[..., :-2].max(axis=-1))
    assert np.all(found[..., -1] == 0.0)


def draw_coefficients(key):
    return seed(lambda: Prior({PATH: SplineSmoothness()}).sample(model()), key)()[PATH]


def test_defaults_stand_on_every_parameter():
    spline, argon = bcg.potentials.PairSpline(cutoff=0.9), bcg.potentials.LennardJones(0.7, 0.31, cutoff=0.9)
    assert sorted(default(bcg.Model(spline))) == [PATH]
    prior = default(bcg.Model(spline + argon))
    assert sorted(prior) == [
        "potential.terms.0.coefficients",
        "potential.terms.1.epsilon",
        "potential.terms.1.sigma",
    ]
    sigma = prior["potential.terms.1.sigma"]
    assert float(sigma.log_prob(0.33)) == pytest.approx(stats.lognorm(0.2, scale=0.31).logpdf(0.33))
    epsilon = prior["potential.terms.1.epsilon"]
    assert float(epsilon.log_prob(0.5)) == pytest.approx(stats.lognorm(1.0, scale=0.7).logpdf(0.5))


class Nameless(bcg.interfaces.AbstractPotential):
    cutoff: float = 1.0

    def energy(self, configuration):
        return jnp.zeros(())

    def prepare(self, support):
        return self

    def coordinates(self):
        return {}


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: default(bcg.Model(Nameless())), ("default prior", "Nameless", "Give one per parameter")),
        (lambda: SplineSmoothness(roughness=-1.0), ("roughness", "positive", "-1.0 kJ/mol/nm^1.5")),
        (lambda: SplineSmoothness(spread=0.0), ("spread", "positive", "0.0")),
        (
            lambda: seed(
                lambda: Prior({"potential.sigma": SplineSmoothness()}).sample(
                    bcg.Model(bcg.potentials.LennardJones().prepare(Support(("A",), (0.3,))))
                ),
                jax.random.key(0),
            )(),
            ("SplineSmoothness", "PairSpline", "potential.sigma", "LennardJones", "NumPyro distribution"),
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, parts):
    with pytest.raises(BayescgError) as error:
        make()
    for part in parts:
        assert part in str(error.value)


def test_the_default_may_be_replaced():
    prior = default(model()) | {PATH: dist.Normal(0.0, 1.0)}
    assert isinstance(prior[PATH], dist.Normal)
