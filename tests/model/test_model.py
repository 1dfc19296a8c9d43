"""Parameters of a model by path."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import Support
from bayescg.model import parameters, with_values


def mixture():
    potential = bcg.potentials.PairSpline(cutoff=0.9, knots=8) + bcg.potentials.LennardJones(
        0.7, 0.31, cutoff=0.9
    )
    return bcg.Model(potential.prepare(Support(("A", "B"), (0.3, 0.3, 0.3))))


def test_every_array_has_a_path_and_constants_have_none():
    shapes = {path: value.shape for path, value in parameters(mixture()).items()}
    assert shapes == {
        "potential.terms.0.coefficients": (3, 7),
        "potential.terms.1.epsilon": (3,),
        "potential.terms.1.sigma": (3,),
    }
    assert parameters(bcg.Model(bcg.potentials.PairSpline(cutoff=0.9))) == {}  # nothing allocated yet


def test_values_are_put_where_their_path_points_and_nowhere_else():
    model = mixture()
    values = {"potential.terms.1.sigma": jnp.array([0.1, 0.2, 0.3])}
    changed = parameters(with_values(model, values))
    for path, before in parameters(model).items():
        np.testing.assert_array_equal(changed[path], values.get(path, before))
    assert (
        parameters(model)["potential.terms.1.sigma"].tolist() == [0.31] * 3
    )  # the model itself is as it was
    assert jax.tree.structure(with_values(model, values)) == jax.tree.structure(model)


def test_values_pass_through_jit_and_grad():
    model = mixture()

    @jax.jit
    @jax.grad
    def slope(sigma):
        placed = with_values(model, {"potential.terms.1.sigma": sigma})
        return placed.potential.terms[1].pair_energy(jnp.array(0.31), jnp.array(0), jnp.array(1))

    # d/d sigma of 4 epsilon [(s/r)^12 - (s/r)^6] at s = r: 24 epsilon / r
    np.testing.assert_allclose(slope(jnp.full(3, 0.31)), [0.0, 24 * 0.7 / 0.31, 0.0], rtol=1e-12)


def test_numbers_are_taken_in_the_precision_of_the_parameter():
    placed = with_values(mixture(), {"potential.terms.1.epsilon": np.array([1, 2, 3])})
    assert placed.potential.terms[1].epsilon.dtype == jnp.float64


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"potential.sigma": 1.0}, ("'potential.sigma'", "names no parameter", "potential.terms.1.sigma")),
        ({"potential.cutoff": 1.0}, ("'potential.cutoff'", "names no parameter")),
        (
            {"potential.terms.1.sigma": 0.3},
            ("potential.terms.1.sigma", "shape (3,)", "got ()", "one value per"),
        ),
        ({"potential.terms.1.sigma": np.ones((3, 1))}, ("shape (3,)", "got (3, 1)")),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(values, parts):
    with pytest.raises(BayescgError) as error:
        with_values(mixture(), values)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_pairs_of_types_are_numbered_as_they_are_listed(count):
    pairs = bcg.interfaces.type_pairs(count)
    assert len(pairs) == count * (count + 1) // 2 == len(set(pairs))
    for place, (a, b) in enumerate(pairs):
        for first, second in ((a, b), (b, a)):
            assert int(bcg.interfaces.type_pair_index(jnp.array(first), jnp.array(second), count)) == place


def test_the_nearest_image_is_the_shortest_of_all_images():
    rng = np.random.default_rng(0)
    box = np.array([1.0, 2.0, 3.0])
    steps = rng.uniform(-4, 4, size=(200, 3))
    grid = np.stack(np.meshgrid(*[np.arange(-5, 6)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * box
    images = steps[:, None] + grid
    shortest = np.linalg.norm(images, axis=-1).min(axis=1)
    found = bcg.interfaces.minimum_image(jnp.asarray(steps), jnp.asarray(box))
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), shortest, atol=1e-14)
    np.testing.assert_array_equal(bcg.interfaces.minimum_image(jnp.asarray(steps), None), steps)
