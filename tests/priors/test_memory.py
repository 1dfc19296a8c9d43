"""Default priors of memories say what they claim: friction of the data, ordered and resolved times."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions import biject_to
from numpyro.handlers import seed, trace
from numpyro.infer.util import potential_energy
from scipy import stats

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import Drift, Timescales
from bayescg.memory import DriftMatrix, Markovian, Mori, OscillatoryProny, PowerLaw, Prony, from_drift
from bayescg.model import parameters, with_values
from bayescg.priors import OrderedTimes, Prior, ResolvedRates, TotalFriction, default
from bayescg.priors.memory import OrderedVector, Parabola, SharedLogNormal

KNOWN = Timescales(interval=0.01, duration=20.0, friction=60.0)
DRAWS = 4000
MEMORIES = {
    "markovian": Markovian(),
    "prony-one": Prony(1),
    "prony": Prony(3),
    "oscillatory": OscillatoryProny(2),
    "mori": Mori(3),
    "power-law": PowerLaw(5),
    "sum": Markovian() + Prony(2),
}


def model(memory):
    return bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=8), memory)


def only_memory(memory):
    """The default entries of the memory, so that nothing else need be prepared."""
    return Prior({path: entry for path, entry in default(model(memory)).items() if path[:7] == "memory."})


def ready(memory):
    return model(memory.prepare(KNOWN))


def draws(memory, prior=None, count=DRAWS):
    """Path -> values of `count` prior draws, and the integral of every kernel."""
    tree, law = ready(memory), only_memory(memory) if prior is None else prior

    @jax.jit
    def draw(keys):
        def one(key):
            values = seed(lambda: law.sample(tree), key)()
            return values, with_values(tree, values).memory.integral()

        return jax.lax.map(one, keys)

    values, integral = draw(jax.random.split(jax.random.key(5), count))
    return {path: np.asarray(value) for path, value in values.items()}, np.asarray(integral)


@functools.cache
def default_draws(name):
    """Compiled and drawn once for all tests of this file."""
    return draws(MEMORIES[name])


def half_of(count):
    """Standard error of the fraction of `count` draws on one side of the median."""
    return 0.5 / math.sqrt(count)


@pytest.mark.parametrize("name", MEMORIES)
def test_every_parameter_has_a_default_before_and_after_the_data(name):
    before = default(model(MEMORIES[name]))
    after = default(ready(MEMORIES[name]))
    assert set(before) == set(after)
    assert {path for path in before if path[:7] == "memory."} == {
        path for path in parameters(ready(MEMORIES[name])) if path[:7] == "memory."
    }
    only_memory(MEMORIES[name]).check(ready(MEMORIES[name]))


def test_a_model_without_memory_needs_none():
    assert set(default(bcg.Model(bcg.potentials.PairSpline(cutoff=0.9)))) == {"potential.coefficients"}


@pytest.mark.parametrize("name", [name for name in MEMORIES if name != "sum"])
def test_the_median_friction_is_that_of_the_data_whatever_the_number_of_modes(name):
    """A fraction of n draws has a standard error of at most 1/(2 sqrt n); four of them allowed."""
    _, integral = default_draws(name)
    assert np.mean(integral < KNOWN.friction) == pytest.approx(0.5, abs=4 * half_of(DRAWS))
    within = np.mean(np.abs(np.log(integral / KNOWN.friction)) < 1.5)
    assert within == pytest.approx(0.6827, abs=4 * half_of(DRAWS))


def test_independent_frictions_would_shift_the_total():
    """The control of the law above, and the size that the module states for sums of two terms."""
    rng = np.random.default_rng(0)
    parts = KNOWN.friction / 3 * np.exp(1.5 * rng.normal(size=(DRAWS, 3)))
    assert np.mean(parts.sum(axis=1) < KNOWN.friction) < 0.5 - 8 * half_of(DRAWS)
    _, integral = default_draws("sum")
    assert np.mean(integral < 1.5 * KNOWN.friction) == pytest.approx(0.5, abs=0.02 + 4 * half_of(DRAWS))


@pytest.mark.parametrize("name", ["prony-one", "prony", "oscillatory", "power-law"])
def test_times_are_ordered_and_lie_where_the_data_resolve_them(name):
    """95.4% of all times between interval and duration: two standard deviations of the log either way."""
    values, _ = default_draws(name)
    times = values["memory.times"]
    assert np.all(np.diff(times, axis=1) > 0)
    inside = (times > KNOWN.interval) & (times < KNOWN.duration)
    assert inside.mean() == pytest.approx(0.9545, abs=4 * half_of(times.size))
    assert min(np.mean(times < KNOWN.interval), np.mean(times > KNOWN.duration)) > 0.01


def test_rates_frequencies_and_shapes_cover_what_they_claim():
    waves, _ = default_draws("oscillatory")
    frequencies = waves["memory.frequencies"]
    inside = (frequencies > 1 / KNOWN.duration) & (frequencies < 0.5 / KNOWN.interval)
    assert inside.mean() == pytest.approx(0.9545, abs=4 * half_of(frequencies.size))
    assert np.abs(waves["memory.asymmetries"]).max() < 1
    assert waves["memory.asymmetries"].std() == pytest.approx(2 * math.sqrt(1 / 20), rel=0.05)
    chain, _ = default_draws("mori")
    assert np.median(chain["memory.damping"]) == pytest.approx(
        1 / math.sqrt(KNOWN.interval * KNOWN.duration), rel=0.15
    )
    exponents = default_draws("power-law")[0]["memory.exponent"]
    assert stats.kstest(exponents, stats.uniform(0, 2).cdf).pvalue > 1e-3


LAWS = {
    "ordered": OrderedVector(dist.LogNormal(-0.5, 0.7), 2),
    "ordered-gamma": OrderedVector(dist.Gamma(3.0, 2.0), 2),
    "shared": SharedLogNormal(1.0, 0.6, 2),
}


@pytest.mark.parametrize("name", LAWS)
def test_densities_on_the_unconstrained_scale_are_normalised_and_those_of_the_draws(name):
    """Trapezoid sums over [-24, 9]² with h = 0.06: errors of smooth, decaying integrands are below 1e-4.

    The mean of a bounded function by quadrature equals that of 20,000 draws within four standard errors.
    """
    law, grid = LAWS[name], jnp.arange(-24.0, 9.0, 0.06)
    bijection = biject_to(law.support)

    @jax.jit
    @jax.vmap
    def at(u):
        x = bijection(u)
        density = jnp.exp(law.log_prob(x) + bijection.log_abs_det_jacobian(u, x))
        density = jnp.where(jnp.isfinite(x).all(), density, 0.0)  # at infinity older NumPyro says NaN
        return density, density * jnp.tanh(x[0] - 0.4 * x[1])

    points = jnp.stack(jnp.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    mass, mean = (float(jnp.sum(part)) * 0.06**2 for part in at(points))
    assert mass == pytest.approx(1.0, abs=1e-4)
    x = np.asarray(law.sample(jax.random.key(1), (20_000,)))
    drawn = np.tanh(x[:, 0] - 0.4 * x[:, 1])
    assert mean == pytest.approx(drawn.mean(), abs=4 * drawn.std() / math.sqrt(len(drawn)))
    # control: draws of half the size have another mean
    assert abs(np.tanh((x[:, 0] - 0.4 * x[:, 1]) / 2).mean() - mean) > 8 * drawn.std() / math.sqrt(len(drawn))


def test_the_parabola_is_a_stretched_beta_law_and_its_draws_follow_it():
    beta, inside = stats.beta(2, 2, loc=-1, scale=2), np.linspace(-0.99, 0.99, 7)
    np.testing.assert_allclose(Parabola().log_prob(jnp.asarray(inside)), beta.logpdf(inside), rtol=1e-12)
    drawn = np.asarray(Parabola().expand((2,)).to_event(1).sample(jax.random.key(3), (DRAWS,)))
    assert drawn.shape == (DRAWS, 2)
    assert stats.kstest(drawn.ravel(), beta.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 4 / math.sqrt(DRAWS)
    assert stats.kstest(drawn.ravel(), stats.uniform(-1, 2).cdf).pvalue < 1e-9  # control


def test_one_number_shares_with_nobody():
    x = jnp.array([2.3])
    assert float(SharedLogNormal(1.0, 0.6, 1).log_prob(x)) == pytest.approx(
        stats.lognorm(0.6, scale=math.e).logpdf(2.3), rel=1e-12
    )
    assert float(OrderedVector(dist.LogNormal(1.0, 0.6), 1).log_prob(x)) == pytest.approx(
        stats.lognorm(0.6, scale=math.e).logpdf(2.3), rel=1e-12
    )


@pytest.mark.parametrize("name", MEMORIES)
def test_log_densities_are_finite_and_have_gradients(name):
    """At prior draws on the unconstrained scale, and their random variables are the parameters themselves."""
    tree, law = ready(MEMORIES[name]), only_memory(MEMORIES[name])
    sites = trace(seed(lambda: law.sample(tree), jax.random.key(2))).get_trace()
    assert set(sites) == set(law)
    u = {path: biject_to(site["fn"].support).inv(site["value"]) for path, site in sites.items()}
    density = jax.jit(jax.value_and_grad(lambda v: potential_energy(lambda: law.sample(tree), (), {}, v)))
    for shift in (0.0, 1.0, -3.0):
        value, gradient = density({path: leaf + shift for path, leaf in u.items()})
        assert np.isfinite(float(value))
        assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradient))


def test_own_laws_take_the_place_of_defaults():
    law = {"memory.times": dist.LogNormal(-1.0, 1.0)}
    values, _ = draws(Prony(3), only_memory(Prony(3)) | law, count=500)
    times = values["memory.times"]
    assert np.median(times) == pytest.approx(math.exp(-1.0), rel=0.15)
    assert np.any(np.diff(times, axis=1) < 0)  # exchangeable, as documented
    in_order = {"memory.times": OrderedTimes(dist.LogNormal(-1.0, 1.0))}
    times = draws(Prony(3), only_memory(Prony(3)) | in_order, count=500)[0]["memory.times"]
    assert np.median(times) == pytest.approx(math.exp(-1.0), rel=0.15)
    assert np.all(np.diff(times, axis=1) > 0)
    narrow = {"memory.terms.1.frictions": TotalFriction(spread=0.01), "memory.terms.0.friction": 5.0}
    _, integral = draws(MEMORIES["sum"], only_memory(MEMORIES["sum"]) | narrow, count=200)
    np.testing.assert_allclose(integral, 5.0 + KNOWN.friction / 2, rtol=0.05)


def test_priors_may_be_arguments_of_compiled_functions():
    tree = ready(Prony(2))

    @jax.jit
    def density(law, u):
        return -potential_energy(lambda: law.sample(tree), (), {}, u)

    u = {"memory.times": jnp.array([-1.0, 0.5]), "memory.frictions": jnp.array([1.0, 2.0])}
    laws = [
        only_memory(Prony(2)) | {"memory.times": OrderedTimes(dist.LogNormal(m, 1.0))} for m in (0.0, 9.0)
    ]
    near, far = (float(density(law, u)) for law in laws)
    assert near > far + 10


def test_what_is_not_known_is_said():
    with pytest.raises(
        BayescgError, match=r"TotalFriction needs the timescales .* memory\.friction of Markov"
    ):
        seed(lambda: only_memory(Markovian()).sample(model(Markovian(3.0))), jax.random.key(0))()
    with pytest.raises(BayescgError, match=r"DriftMatrix has no default prior.*OscillatoryProny"):
        default(model(DriftMatrix(2)))
    assert "memory.factor" not in default(model(from_drift(np.eye(2), np.ones(2))))

    class Own(bcg.interfaces.AbstractMemory):
        def drift(self):
            return Drift(jnp.eye(1), jnp.ones(1), jnp.zeros(()))

        def prepare(self, timescales):
            return self

        def coordinates(self):
            return {}

    with pytest.raises(BayescgError, match="No default prior is known for Own"):
        default(model(Own()))


@pytest.mark.parametrize("law", [0.3, dist.Normal(0.0, 1.0), dist.LogNormal(jnp.zeros(2), 1.0)])
def test_laws_of_something_else_than_one_time_are_refused(law):
    with pytest.raises(BayescgError, match="one positive number"):
        OrderedTimes(law)
    OrderedTimes(dist.Gamma(2.0, 1.0))


@pytest.mark.parametrize("build", [lambda: TotalFriction(spread=0.0), lambda: ResolvedRates(fastest=-1.0)])
def test_widths_must_be_positive(build):
    with pytest.raises(BayescgError, match="must be positive"):
        build()
