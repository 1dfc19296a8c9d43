"""The fingerprint of a prior: what it says, not which objects say it, nor what they have worked out since."""

import functools

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints, transforms

import bayescg as bcg
from bayescg.inference.fingerprint import described, fingerprint
from bayescg.priors import Prior


class Triangle(dist.Distribution):
    """A law of somebody's own, which names none of its fields to JAX."""

    support = constraints.real

    def __init__(self, width):
        self.width = width
        super().__init__()


def shifted(by):
    return lambda x: x + by


LAWS = {
    "numbers": lambda s: dist.Normal(0.0, s),
    "arrays": lambda s: dist.Normal(jnp.zeros(3), s * jnp.ones(3)),
    "expanded": lambda s: dist.LogNormal(0.0, s).expand((2, 3)).to_event(2),
    "matrix": lambda s: dist.MultivariateNormal(jnp.zeros(2), covariance_matrix=s * jnp.eye(2)),
    "transform": lambda s: dist.TransformedDistribution(dist.Normal(), transforms.AffineTransform(0.0, s)),
    "inverse": lambda s: dist.TransformedDistribution(dist.Normal(), transforms.AffineTransform(0.0, s).inv),
    "mixture": lambda s: dist.MixtureSameFamily(
        dist.Categorical(jnp.ones(2) / 2), dist.Normal(jnp.array([0.0, s]), 1.0)
    ),
    "own": Triangle,
    "module": lambda s: bcg.priors.OrderedTimes(dist.LogNormal(0.0, s)),
    "fixed": lambda s: s,
    "function": shifted,
    "default": lambda s: lambda x, by=s: x + by,
    "partial": lambda s: functools.partial(shifted, s),
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_equal_laws_are_described_alike_and_others_are_not(law):
    assert list(described(law(1.5))) == list(described(law(1.5)))
    assert list(described(law(1.5))) != list(described(law(1.5000001)))


def test_kinds_and_shapes_are_told_apart():
    kinds = [dist.Normal(0.0, 1.0), dist.Laplace(0.0, 1.0), dist.Normal(jnp.zeros(1), 1.0), 1.0, "1.0", None]
    said = [b"".join(described(kind)) for kind in kinds]
    assert len(set(said)) == len(kinds)


def test_what_was_asked_of_a_law_changes_nothing():
    matrix = LAWS["matrix"](2.0)
    affine = LAWS["transform"](2.0)
    before = list(described((matrix, affine)))
    assert matrix.precision_matrix.shape == (2, 2)  # kept by the object once it is known
    assert "precision_matrix" in vars(matrix)
    inverse = affine.transforms[0].inv
    assert float(inverse(4.0)) == 2.0
    assert list(described((matrix, affine))) == before


def test_programs_are_told_apart_by_their_laws_and_by_what_they_return():
    def program(scale, factor):
        def run():
            width = numpyro.sample("width", dist.HalfNormal(scale))
            return {"potential.epsilon": factor * width}

        return Prior({}, run)

    names = {
        fingerprint((), program(scale, factor), (), ())
        for scale, factor in ((1.0, 1.0), (2.0, 1.0), (1.0, 2.0))
    }
    assert len(names) == 3
    assert fingerprint((), program(1.0, 1.0), (), ()) in names
