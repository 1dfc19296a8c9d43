"""LennardJones against its formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import BPoly

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import Support

EPSILON, SIGMA, CUTOFF = 0.7, 0.31, 1.1
ZERO = jnp.array(0)


def argon(epsilon=EPSILON, sigma=SIGMA, cutoff=CUTOFF, types=("Ar",)):
    count = len(bcg.interfaces.type_pairs(len(types)))
    return bcg.potentials.LennardJones(epsilon, sigma, cutoff).prepare(Support(types, (0.3,) * count))


def expected(r):
    """4 epsilon [...] times the fifth-order polynomial fixed by its ends: Hermite, by SciPy."""
    switch = BPoly.from_derivatives([0.9 * CUTOFF, CUTOFF], [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    factor = np.where(r < 0.9 * CUTOFF, 1.0, np.where(r < CUTOFF, switch(np.minimum(r, CUTOFF)), 0.0))
    return 4 * EPSILON * ((SIGMA / r) ** 12 - (SIGMA / r) ** 6) * factor


def test_energy_is_the_switched_formula():
    r = np.linspace(0.22, 1.3, 500)
    found = jax.vmap(lambda one: argon().pair_energy(one, ZERO, ZERO))(jnp.asarray(r))
    np.testing.assert_allclose(found, expected(r), rtol=1e-11, atol=1e-13)
    assert np.abs(found - expected(r * 1.0001)).max() > 1e-4


def test_one_number_serves_all_pairs_and_one_per_pair_is_kept():
    both = argon(epsilon=0.5, sigma=[0.3, 0.31, 0.32], types=("A", "B"))
    assert both.epsilon.tolist() == [0.5, 0.5, 0.5]
    assert both.sigma.tolist() == [0.3, 0.31, 0.32]


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: argon(cutoff=0.0), ("cutoff", "positive", "got 0.0 nm")),
        (lambda: argon(epsilon=-0.7), ("epsilon", "positive", "-0.7", "kJ/mol")),
        (lambda: argon(sigma=[0.3, 0.0, 0.3], types=("A", "B")), ("sigma", "positive", "0.0", "nm")),
        (lambda: argon(sigma=np.nan), ("sigma", "positive", "nan")),
        (lambda: argon(epsilon=[1.0, 1.0]), ("epsilon", "one per pair of types (1)", "shape (2,)", "Give")),
        (lambda: argon().prepare(Support(("A", "B"), (0.3,) * 3)), ("('Ar',)", "('A', 'B')", "bead types")),
        (
            lambda: bcg.potentials.LennardJones().pair_energy(jnp.array(0.5), ZERO, ZERO),
            ("no bead types", "bayescg.Problem", "prepare"),
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, parts):
    with pytest.raises(BayescgError) as error:
        make()
    for part in parts:
        assert part in str(error.value)
