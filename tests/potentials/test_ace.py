"""ACE against sums over neighbours, its angular functions, and what only four beads can tell."""

import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from scipy.special import eval_chebyt, eval_legendre, sph_harm_y

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import AbstractLinearPotential
from bayescg.potentials import ACE, PairSpline, ThreeBodySpline
from bayescg.potentials.harmonics import coupling, harmonics
from tests.potentials.few_beads import ONE, TWO, descriptors_of, free, geometry, prepared, rows_of
from tests.potentials.test_contract import (
    BEADS,
    CONTRACT,
    CUTOFF,
    configuration,
    energy_of,
    forces_of,
    rotation_and_reflection_change_nothing,
)

CASES = {
    "order-2-two-types": (prepared(ACE(cutoff=CUTOFF, radial=2, angular=1), TWO), TWO),
    "order-3": (prepared(ACE(cutoff=CUTOFF, radial=2, angular=1, order=3), ONE), ONE),
}


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CASES)
def test_contract(name, check):
    check(*CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_forces_are_the_basis_times_its_coefficients(name):
    potential, types = CASES[name]
    assert isinstance(potential, AbstractLinearPotential)
    theta = potential.coefficients.ravel()
    frame = configuration(types, periodic=True)
    rows, expected = rows_of(potential, frame), forces_of(potential, frame)
    assert rows.shape == (BEADS, 3, theta.size)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(rows @ theta, expected, atol=1e-11 * scale)
    assert np.abs(rows @ theta[::-1] - expected).max() > 0.01 * scale  # control


def test_power_spectrum_is_its_double_sum_over_neighbours():
    potential, types = CASES["order-2-two-types"]
    frame = configuration(types, periodic=True)
    r, step = geometry(frame)
    inside = (r < CUTOFF) & (r > 0)
    s = np.where(inside, r, CUTOFF) / CUTOFF
    R = eval_chebyt(np.arange(2), 2 * s[..., None] - 1) * (1 - s[..., None] ** 2) ** 3
    unit = step / np.where(inside, r, 1.0)[..., None]
    found = np.asarray(descriptors_of(potential, frame))
    for place, label in enumerate(potential.coordinates()["coefficients"]["descriptor"]):
        parts = [(types.index(name), int(n), int(l)) for name, n, l in (p.split(":") for p in label.split())]
        weights = [R[..., n] * (np.asarray(frame.topology.types) == kind) for kind, n, _ in parts]
        if len(parts) == 1:
            expected = weights[0].sum(axis=1)
        else:
            P = eval_legendre(parts[0][2], np.einsum("ijx,ikx->ijk", unit, unit))
            expected = np.einsum("ij,ik,ijk->i", *weights, P)
        np.testing.assert_allclose(found[:, place], expected, atol=1e-12)


def test_bispectrum_is_its_triple_sum_over_neighbours():
    """Degrees 1, 1, 0: a scalar product over sqrt(3), times a count."""
    potential, types = CASES["order-3"]
    frame = configuration(types, periodic=True)
    r, step = geometry(frame)
    inside = (r < CUTOFF) & (r > 0)
    s = np.where(inside, r, CUTOFF) / CUTOFF
    R = eval_chebyt(np.arange(2), 2 * s[..., None] - 1) * (1 - s[..., None] ** 2) ** 3
    vectors = np.einsum("ijn,ijx->inx", R, step / np.where(inside, r, 1.0)[..., None])
    labels = potential.coordinates()["coefficients"]["descriptor"]
    found = np.asarray(descriptors_of(potential, frame))
    checked = 0
    for place, label in enumerate(labels):
        parts = [(int(n), int(l)) for _, n, l in (part.split(":") for part in label.split())]
        if [l for _, l in parts] != [0, 1, 1]:
            continue
        (a, _), (b, _), (c, _) = parts
        expected = R.sum(axis=1)[:, a] * np.sum(vectors[:, b] * vectors[:, c], axis=1) / np.sqrt(3)
        np.testing.assert_allclose(np.abs(found[:, place]), np.abs(expected), atol=1e-12)
        checked += 1
    assert checked == 3  # b <= c and a + b + c <= 1: the total degree is 3 at most


def test_harmonics_are_those_of_scipy_and_obey_the_addition_theorem():
    rng = np.random.default_rng(1)
    u, v = rng.normal(size=(2, 3))
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    for l, (first, second) in enumerate(
        zip(harmonics(jnp.asarray(u), 5), harmonics(jnp.asarray(v), 5), strict=True)
    ):
        assert float(first @ second) == pytest.approx(eval_legendre(l, u @ v), abs=1e-13)
        for m in range(-l, l + 1):
            Y = sph_harm_y(l, abs(m), np.arccos(u[2]), np.arctan2(u[1], u[0])) * np.sqrt(
                4 * np.pi / (2 * l + 1)
            )
            # without the Condon-Shortley sign
            real = Y.real if m == 0 else np.sqrt(2) * (-1) ** m * (Y.real if m > 0 else Y.imag)
            assert float(first[l + m]) == pytest.approx(real, abs=1e-13)


def test_couplings_are_the_known_invariants_of_vectors():
    rng = np.random.default_rng(2)
    u, v, w = (x / np.linalg.norm(x) for x in rng.normal(size=(3, 3)))

    def invariant(*degrees):
        parts = [np.asarray(harmonics(jnp.asarray(x), 2)[l]) for x, l in zip((u, v, w), degrees, strict=True)]
        return abs(np.einsum("abc,a,b,c->", coupling(*degrees), *parts))

    assert invariant(1, 1, 0) == pytest.approx(abs(u @ v) / np.sqrt(3), abs=1e-13)
    assert invariant(1, 1, 1) == pytest.approx(abs(u @ np.cross(v, w)) / np.sqrt(6), abs=1e-13)
    # traceless tensors: u u' - 1/3 and so on; the trace of their product is the only cubic invariant
    trace = lambda x, y, z: np.trace(  # noqa: E731
        (np.outer(x, x) - np.eye(3) / 3) @ (np.outer(y, y) - np.eye(3) / 3) @ (np.outer(z, z) - np.eye(3) / 3)
    )
    # Tr(Q³) = 2/9 for three times the same vector, where the invariant is C_00,00,00 = sqrt(2/35)
    assert invariant(2, 2, 2) == pytest.approx(abs(trace(u, v, w)) * 4.5 * np.sqrt(2 / 35), abs=1e-13)


CORNERS = np.array([[0.0, 0.0, 0.0], [0.35, 0.0, 0.0], [0.1, 0.4, 0.0], [0.15, 0.1, 0.45]])
"""Four beads with six different distances: no mirror leaves them as they are."""


def test_only_a_chiral_four_body_energy_tells_mirror_images_apart():
    types = ("A", "B", "C", "D")
    left, right = (free(CORNERS * mirror, types, range(4)) for mirror in ([1, 1, 1], [1, 1, -1]))
    chiral = ACE(cutoff=CUTOFF, radial=1, angular=1, order=3, degree=3, chiral=True)
    difference = {}
    for name, potential in {
        "pairs": PairSpline(cutoff=CUTOFF, knots=8),
        "triples": ThreeBodySpline(cutoff=CUTOFF, radial=2, angular=2),
        "quadruples": ACE(cutoff=CUTOFF, radial=1, angular=1, order=3, degree=3),
        "chiral": chiral,
    }.items():
        ready = prepared(potential, types)
        one, other = float(energy_of(ready, left)), float(energy_of(ready, right))
        difference[name] = abs(one - other) / abs(one)
    assert max(difference[name] for name in ("pairs", "triples", "quadruples")) < 1e-12
    assert difference["chiral"] > 1e-3
    # it is a legitimate energy otherwise: it does not change in a rotation, and its forces are right
    ready, turn = prepared(chiral, types), np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    turned = free(CORNERS @ turn.T, types, range(4))
    assert float(energy_of(ready, turned)) == pytest.approx(float(energy_of(ready, left)), rel=1e-12)
    rows, expected = rows_of(ready, left), forces_of(ready, left)
    np.testing.assert_allclose(
        rows @ ready.coefficients.ravel(), expected, atol=1e-12 * np.abs(expected).max()
    )


def test_the_contract_sees_that_a_chiral_energy_has_no_mirror():
    chiral = prepared(ACE(cutoff=CUTOFF, radial=3, angular=1, order=3, degree=6, chiral=True), ONE)
    with pytest.raises(AssertionError):
        rotation_and_reflection_change_nothing(chiral, ONE)


@pytest.mark.parametrize("name", CASES)
def test_labels_and_default_priors_fit_the_coefficients(name):
    potential, _ = CASES[name]
    labels = potential.coordinates()["coefficients"]
    assert tuple(len(axis) for axis in labels.values()) == potential.coefficients.shape
    names = list(labels["descriptor"])
    assert len(set(names)) == len(names)
    prior = bcg.priors.default(bcg.Model(potential))
    assert set(prior) == {"potential.coefficients"}
    with numpyro.handlers.seed(rng_seed=0), numpyro.handlers.trace() as trace:
        drawn = prior.sample(bcg.Model(potential))["potential.coefficients"]
    assert drawn.shape == potential.coefficients.shape
    assert np.isfinite(drawn).all()
    law = trace["potential.coefficients"]["fn"].base_dist
    scale = trace["potential.coefficients.scale"]["value"]
    # a term of order d has 1/(1 + d)² of the scale of the lowest
    expected = scale[potential.orders - 1] / (1.0 + potential.total_degrees) ** 2
    assert scale.size == potential.order
    np.testing.assert_allclose(law.scale, np.broadcast_to(expected, law.scale.shape), rtol=1e-12)


def test_products_of_three_moments_are_independent():
    """No descriptor is a combination of others: random surroundings give a matrix of full rank."""
    potential = prepared(ACE(cutoff=CUTOFF, radial=2, angular=2, order=3, degree=4, chiral=True), ONE)
    rng = np.random.default_rng(9)
    frames = [free(rng.uniform(0, 0.5, size=(9, 3))) for _ in range(40)]
    rows = np.concatenate([np.asarray(descriptors_of(potential, frame)) for frame in frames])
    values = np.linalg.svd(rows / np.linalg.norm(rows, axis=0), compute_uv=False)
    # far above rounding, 1e-16: the products differ, though many look alike
    assert values[-1] > 1e-9 * values[0]


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: ACE(cutoff=0.5, order=4), ("order", "1, 2, 3", "4")),
        (lambda: ACE(cutoff=0.5, chiral=True), ("chiral", "order 3", "order=3")),
        (
            lambda: ACE(cutoff=0.5).energy(configuration(ONE, periodic=True)),
            ("ACE", "no coefficients", "prepare"),
        ),
        (lambda: harmonics(jnp.ones(2), 1), ("three dimensions", "2 components", "pair potential")),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, parts):
    with pytest.raises(BayescgError) as error:
        make()
    for part in parts:
        assert part in str(error.value)
