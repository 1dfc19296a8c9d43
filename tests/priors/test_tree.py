"""Priors by path: what stands where, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.handlers import seed, trace
from scipy import stats

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import Support
from bayescg.priors import Prior


def model(types=("A", "B")):
    count = len(bcg.interfaces.type_pairs(len(types)))
    potential = bcg.potentials.PairSpline(cutoff=0.9, knots=8) + bcg.potentials.LennardJones(
        0.7, 0.31, cutoff=0.9
    )
    return bcg.Model(potential.prepare(Support(types, (0.3,) * count)))


SIGMA, EPSILON = "potential.terms.1.sigma", "potential.terms.1.epsilon"
SPLINE = "potential.terms.0.coefficients"


def sites(prior, tree=None):
    return trace(seed(lambda: prior.sample(model() if tree is None else tree), jax.random.key(0))).get_trace()


def draw(prior, tree=None, key=0):
    return seed(lambda: prior.sample(model() if tree is None else tree), jax.random.key(key))()


def log_density(prior, path):
    found = sites(prior)[path]
    return float(found["fn"].log_prob(found["value"])), np.asarray(found["value"])


def test_entries_on_the_right_win():
    first, second = Prior({SIGMA: 0.1, EPSILON: 0.2}), {SIGMA: 0.3}
    assert dict(first | second) == {SIGMA: 0.3, EPSILON: 0.2}
    assert dict(second | first) == {SIGMA: 0.1, EPSILON: 0.2}
    assert dict(first | Prior(second)) == {SIGMA: 0.3, EPSILON: 0.2}
    assert isinstance(second | first, Prior)
    assert dict(first) == {SIGMA: 0.1, EPSILON: 0.2}  # neither is changed


def test_numbers_fix_parameters():
    values = draw(Prior({SIGMA: 0.3, EPSILON: [1.0, 2.0, 3.0]}))
    np.testing.assert_array_equal(values[SIGMA], [0.3] * 3)
    np.testing.assert_array_equal(values[EPSILON], [1.0, 2.0, 3.0])
    assert not [name for name, site in sites(Prior({SIGMA: 0.3})).items() if site["type"] == "sample"]


@pytest.mark.parametrize(
    ("law", "reference"),
    [
        (dist.Normal(0.3, 0.1), stats.norm(0.3, 0.1)),
        (dist.Normal(jnp.array([0.1, 0.2, 0.3]), 0.1), stats.norm([0.1, 0.2, 0.3], 0.1)),
        (dist.Normal(jnp.array([0.1, 0.2, 0.3]), 0.1).to_event(1), stats.norm([0.1, 0.2, 0.3], 0.1)),
        (dist.Normal(jnp.array([0.3]), 0.1), stats.norm(0.3, 0.1)),
        (dist.LogNormal(-1.2, 0.5).expand((3,)), stats.lognorm(0.5, scale=np.exp(-1.2))),
    ],
)
def test_one_law_serves_all_elements_or_one_each(law, reference):
    density, value = log_density(Prior({SIGMA: law}), SIGMA)
    assert value.shape == (3,)
    assert density == pytest.approx(reference.logpdf(value).sum(), rel=1e-12)
    assert density != pytest.approx(
        reference.logpdf(value)[0].sum(), rel=1e-6
    )  # control: not one of them alone


def test_a_correlated_law_covers_the_last_axis():
    covariance = 0.1 * np.eye(7) + 0.05
    law = dist.MultivariateNormal(jnp.zeros(7), covariance_matrix=jnp.asarray(covariance))
    density, value = log_density(Prior({SPLINE: law}), SPLINE)
    assert value.shape == (3, 7)
    expected = stats.multivariate_normal(np.zeros(7), covariance).logpdf(value).sum()
    assert density == pytest.approx(expected, rel=1e-10)


def hierarchy():
    center = numpyro.sample("center", dist.Normal(-1.2, 0.1))
    return {
        SIGMA: numpyro.sample("sigmas", dist.LogNormal(center, 0.1).expand((3,)).to_event(1)),
        EPSILON: 0.5,
    }


def test_a_program_gives_values_and_entries_win():
    prior = Prior({}, hierarchy)
    values = draw(prior)
    assert values[SIGMA].shape == values[EPSILON].shape == (3,)  # numbers spread as entries do
    assert {"center", "sigmas"} <= sites(prior).keys()
    both = prior | {EPSILON: 2.0}
    assert draw(both)[EPSILON].tolist() == [2.0] * 3
    assert draw({EPSILON: 2.0} | prior)[EPSILON].tolist() == [2.0] * 3
    assert draw(Prior({EPSILON: 2.0}) | prior)[SIGMA].shape == (
        3,
    )  # the program comes along from either side


def test_a_program_cannot_name_what_is_not_there():
    with pytest.raises(
        BayescgError, match=r"prior program cannot be used: 'potential\.sigma' names no parameter"
    ):
        draw(Prior({}, lambda: {"potential.sigma": 0.3}))
    with pytest.raises(
        BayescgError, match=r"value of potential\.terms\.1\.sigma must broadcast to its shape \(3,\)"
    ):
        draw(Prior({}, lambda: {SIGMA: jnp.ones(2)}))


REFUSED = {
    "unknown path": (
        {"potential.sigma": 0.3},
        ("'potential.sigma'", "names no parameter", "Its parameters are", SIGMA),
    ),
    "unknown index": (
        {"potential.terms.7.sigma": 0.3},
        ("'potential.terms.7.sigma'", "names no parameter", SIGMA),
    ),
    "a whole module": ({"potential": 0.3}, ("'potential'", "names no parameter", SIGMA)),
    "several modules": ({"potential.terms": 0.3}, ("'potential.terms'", "names no parameter")),
    "a method": ({"potential.energy": 0.3}, ("'potential.energy'", "names no parameter")),
    "part of an array": ({f"{SIGMA}.shape": 0.3}, ("names no parameter",)),
    "absent memory": ({"memory.times": 0.3}, ("'memory.times'", "names no parameter")),
    "a constant": (
        {"potential.cutoff": dist.Normal(0.9, 0.1)},
        ("potential.cutoff is a constant", "cannot have a prior", "Set it when the model is built", SIGMA),
    ),
    "a constant of a term": ({"potential.terms.0.knots": 8}, ("potential.terms.0.knots is a constant",)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_paths_that_lead_nowhere_are_refused_by_name(case):
    entries, parts = REFUSED[case]
    with pytest.raises(BayescgError) as error:
        Prior(entries).check(model())
    for part in parts:
        assert part in str(error.value)
    Prior({SIGMA: 0.3}).check(model())  # control


@pytest.mark.parametrize(
    "law",
    [
        dist.Normal(jnp.zeros(2), 1.0),
        dist.Normal(jnp.zeros((2, 3)), 1.0),
        dist.MultivariateNormal(jnp.zeros(4), jnp.eye(4)),
        dist.Normal(jnp.zeros((3, 3)), 1.0).to_event(2),
    ],
)
def test_laws_of_another_shape_are_refused(law):
    expected = (
        r"prior of potential\.terms\.1\.sigma must broadcast to its shape \(3,\), got a distribution of shape"
    )
    with pytest.raises(BayescgError, match=expected):
        draw(Prior({SIGMA: law}))


def test_numbers_of_another_shape_are_refused():
    expected = (
        r"value of potential\.terms\.1\.sigma must broadcast to its shape \(3,\), got one of shape \(2,\)"
    )
    with pytest.raises(BayescgError, match=expected):
        draw(Prior({SIGMA: [0.3, 0.3]}))


@pytest.mark.parametrize("entry", ["0.3", None, {"loc": 0.3}, lambda: 0.3, dist.Normal])
def test_entries_that_are_no_law_are_refused(entry):
    with pytest.raises(BayescgError) as error:
        Prior({SIGMA: entry})
    for part in (
        SIGMA,
        "NumPyro distribution, a number or an AbstractPathPrior",
        "got",
        "numpyro.distributions.Normal",
    ):
        assert part in str(error.value)


def test_laws_over_whole_numbers_are_refused():
    with pytest.raises(BayescgError, match=r"'potential\.terms\.1\.sigma' must be continuous, got Poisson"):
        Prior({SIGMA: dist.Poisson(3.0)})
