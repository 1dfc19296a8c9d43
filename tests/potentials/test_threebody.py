"""ThreeBodySpline against a triple loop, and what it sees that pairs cannot."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from scipy.interpolate import BSpline
from scipy.special import eval_legendre

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import AbstractLinearPotential, Configuration, Support
from bayescg.model import with_values
from bayescg.numerics.pairs import neighbor_matrix, pairs_within
from bayescg.potentials import ACE, PairSpline, StillingerWeber, ThreeBodySpline
from tests.potentials.few_beads import ONE, TWO, free, geometry, prepared, rows_of
from tests.potentials.test_contract import (
    BEADS,
    CONTRACT,
    CUTOFF,
    START,
    configuration,
    energy_of,
    forces_of,
    nothing_jumps_at_the_cutoff,
)

CASES = {
    "one-type": (prepared(ThreeBodySpline(cutoff=CUTOFF, radial=3, angular=2), ONE), ONE),
    "two-types": (prepared(ThreeBodySpline(cutoff=CUTOFF, radial=2, angular=1), TWO), TWO),
}


# two beads have no three-body energy: a bead that enters a crowd is tested instead
@pytest.mark.parametrize(
    "check",
    [check for check in CONTRACT if check is not nothing_jumps_at_the_cutoff],
    ids=lambda check: check.__name__,
)
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


def test_three_body_spline_is_its_triple_loop():
    """Every pair of neighbours once, with SciPy's B-splines and Legendre polynomials."""
    potential, types = CASES["two-types"]
    frame = configuration(types, periodic=True)
    r, step = geometry(frame)
    kinds, radial, width = np.asarray(frame.topology.types), 2, (CUTOFF - START) / 3
    bump = BSpline.basis_element(np.arange(-2, 3.0), extrapolate=False)
    R = np.nan_to_num(bump((r[..., None] - START) / width - np.arange(radial)))
    labels = potential.coordinates()["coefficients"]["channel_pair"]
    channels = [f"{name}{n}" for name in types for n in range(radial)]
    expected = 0.0
    for i in range(BEADS):
        near = [j for j in range(BEADS) if j != i and r[i, j] < CUTOFF]
        for first, j in enumerate(near):
            for k in near[first + 1 :]:
                P = eval_legendre(np.arange(2), step[i, j] @ step[i, k] / (r[i, j] * r[i, k]))
                for place, label in enumerate(labels):
                    c, d = (channels.index(part) for part in label.split("-"))
                    for one, other in {(c, d), (d, c)}:  # one term where both are the same
                        if kinds[j] == one // radial and kinds[k] == other // radial:
                            value = R[i, j, one % radial] * R[i, k, other % radial]
                            expected += value * float(P @ potential.coefficients[kinds[i], place])
    assert abs(expected) > 1
    assert float(energy_of(potential, frame)) == pytest.approx(expected, rel=1e-11)


def test_two_beads_have_no_three_body_energy():
    pair = free([[0.0, 0.0, 0.0], [0.4, 0.1, 0.0]])
    assert abs(float(energy_of(CASES["one-type"][0], pair))) < 1e-15
    assert np.abs(forces_of(CASES["one-type"][0], pair)).max() < 1e-13
    keeps = prepared(ACE(cutoff=CUTOFF, radial=2, angular=1), ONE)
    # control: ACE keeps one neighbour standing for two, which is a pair energy
    assert abs(float(energy_of(keeps, pair))) > 1e-3


def test_a_bead_enters_and_leaves_a_crowd_smoothly():
    """U ~ d³ at a distance d inside the cutoff of one bead, while two others stay near.

    The contract asks this of two beads, which have no three-body energy.
    """
    potential, _ = CASES["one-type"]
    topology, neighbors = (
        free([[0.0, 0, 0], [0.3, 0, 0], [0, 0.3, 0]]),
        jnp.array([[1, 2, 3]] * 3 + [[0, 4, 4]]),
    )
    neighbors = neighbors.at[1].set(jnp.array([0, 2, 4])).at[2].set(jnp.array([0, 1, 4]))
    four = free(np.zeros((4, 3)) + np.arange(4)[:, None] * 0.2).topology

    def energy(distance):
        guest = -distance * jnp.array([0.6, 0.0, 0.8])
        positions = jnp.concatenate([topology.positions, guest[None]])
        return potential.energy(Configuration(positions, None, neighbors, four))

    slope = jax.grad(energy)
    distances = CUTOFF + jnp.array([1e-9, -1e-4, -0.5e-4, 0.0])
    orders = jax.jit(jax.vmap(lambda d: jnp.stack([f(d) for f in (energy, slope, jax.grad(slope))])))
    beyond, far, near, exactly = np.asarray(orders(distances))
    np.testing.assert_allclose(exactly, beyond, atol=1e-12)
    assert beyond[1] == beyond[2] == 0.0
    assert abs(far[2]) > 1e-4
    # rounding of the whole energy, some 1e-16 of it, stands beside a cubic of 1e-9 or more
    np.testing.assert_allclose((near - beyond)[1:], (far - beyond)[1:] / np.array([4.0, 2.0]), rtol=0.01)


def test_pairs_are_blind_to_homometric_sets():
    """Two sets of six points with the same 15 distances: a pair potential cannot tell them apart."""
    first, second = [0, 1, 4, 10, 12, 17], [0, 1, 8, 11, 13, 17]
    distances = [sorted(abs(a - b) for i, a in enumerate(x) for b in x[:i]) for x in (first, second)]
    assert distances[0] == distances[1]
    frames = [free(np.outer(x, [0.1, 0.0, 0.0]), cutoff=2.0) for x in (first, second)]

    def energies(potential):
        ready = prepared(potential, ONE)
        return [float(energy_of(ready, frame)) for frame in frames]

    pair = energies(PairSpline(cutoff=2.0, knots=24, start=0.05))
    assert abs(pair[0]) > 0.1
    assert pair[0] == pytest.approx(pair[1], rel=1e-12)
    for potential in (ThreeBodySpline(cutoff=2.0, radial=4, angular=1), ACE(cutoff=2.0, radial=4, angular=1)):
        one, other = energies(potential)
        assert abs(one - other) > 0.01 * abs(one)


def axilrod_teller(x):
    """(1 + 3 cos cos cos)/(r12 r13 r23)³ of one triangle, with distances in units of 0.4 nm."""
    a, b, c = (np.linalg.norm(x[i] - x[j]) / 0.4 for i, j in ((0, 1), (0, 2), (1, 2)))
    cosines = (
        (a**2 + b**2 - c**2)
        / (2 * a * b)
        * (a**2 + c**2 - b**2)
        / (2 * a * c)
        * (b**2 + c**2 - a**2)
        / (2 * b * c)
    )
    return (1 + 3 * cosines) / (a * b * c) ** 3


def test_a_fit_to_axilrod_teller_energies_gets_their_signs():
    """Positive for equilateral, negative for straight triangles; fitted to 400 triangles it never saw."""
    rng = np.random.default_rng(6)
    triangles = []
    while len(triangles) < 400:
        x = rng.uniform(-0.4, 0.4, size=(3, 3))
        sides = [np.linalg.norm(x[i] - x[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
        if min(sides) > 0.3 and max(sides) < 0.85:
            triangles.append(x)
    angles = np.radians([60.0, 180.0])
    tests = [
        0.38 * np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [np.cos(angle), np.sin(angle), 0.0]])
        for angle in angles
    ]
    cutoff = 1.2
    topology = free(triangles[0], cutoff=cutoff)

    def energies(potential):
        """Of every feature, for all triangles: derivatives by the coefficients."""
        ready = prepared(potential, ONE)

        def of_one(x):
            frame = eqx.tree_at(lambda c: c.positions, topology, x)
            return jax.grad(lambda theta: with_values(ready, {"coefficients": theta}).energy(frame))(
                ready.coefficients
            ).ravel()

        return np.asarray(jax.jit(jax.vmap(of_one))(jnp.asarray(triangles + tests)))

    target = np.array([axilrod_teller(x) for x in triangles])
    signs = [axilrod_teller(x) for x in tests]
    assert signs[0] > 0.5
    assert signs[1] < -0.1

    def predicted(potential):
        rows = energies(potential)
        theta = np.linalg.lstsq(rows[:-2], target, rcond=1e-8)[0]
        return rows[-2:] @ theta, np.std(rows[:-2] @ theta - target) / np.std(target)

    three, left = predicted(ThreeBodySpline(cutoff=cutoff, radial=6, angular=4))
    assert left < 0.1
    assert three[0] > 0.5 * signs[0]
    assert three[1] < 0.5 * signs[1]
    # control: pairs alone leave most of it, and cannot have both signs right
    pair, left = predicted(PairSpline(cutoff=cutoff, knots=12, start=0.3))
    assert left > 0.3
    assert not (pair[0] > 0.5 * signs[0] and pair[1] < 0.5 * signs[1])


def silicon_frames(count, seed):
    """Dense random configurations with the exact forces of a Stillinger-Weber model."""
    model = StillingerWeber(25.0, 0.25, 21.0).prepare(Support(ONE, (0.2,)))
    rng, box = np.random.default_rng(seed), np.full(3, 0.9)
    lattice = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * 0.3
    topology = free(lattice, cutoff=0.45).topology
    frames = []
    for _ in range(count):
        x = lattice + rng.uniform(-0.05, 0.05, size=lattice.shape)
        neighbors = neighbor_matrix(pairs_within(x, box, 0.45), 27, 26)
        frames.append(Configuration(jnp.asarray(x), jnp.asarray(box), jnp.asarray(neighbors), topology))
    return frames, np.concatenate([np.asarray(forces_of(model, frame)).ravel() for frame in frames])


def test_angles_explain_stillinger_weber_forces_that_pairs_cannot():
    """Held-out residual of least squares without noise: what is left is the model's own error."""
    (train, target), (held_out, truth) = silicon_frames(12, 7), silicon_frames(4, 8)

    def left(potential):
        ready = potential.prepare(Support(ONE, (0.2,)))
        rows, rows_out = (
            np.concatenate([np.asarray(rows_of(ready, frame)).reshape(81, -1) for frame in frames])
            for frames in (train, held_out)
        )
        theta = np.linalg.lstsq(rows, target, rcond=1e-9)[0]
        return np.linalg.norm(rows_out @ theta - truth) / np.linalg.norm(truth)

    pair = PairSpline(cutoff=0.45, knots=12, start=0.2)
    alone = left(pair)
    with_angles = left(pair + ThreeBodySpline(cutoff=0.45, radial=4, angular=2))
    with_ace = left(pair + ACE(cutoff=0.45, radial=4, angular=2))
    assert alone > 0.15
    assert with_angles < 0.3 * alone
    assert with_ace < 0.3 * alone


@pytest.mark.parametrize("name", CASES)
def test_labels_and_default_priors_fit_the_coefficients(name):
    potential, _ = CASES[name]
    labels = potential.coordinates()["coefficients"]
    assert tuple(len(axis) for axis in labels.values()) == potential.coefficients.shape
    names = list(labels["channel_pair"])
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
    expected = scale[0] / (1.0 + np.arange(potential.angular + 1)) ** 2
    np.testing.assert_allclose(law.scale, np.broadcast_to(expected, law.scale.shape), rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: ThreeBodySpline(cutoff=0.5, radial=1), ("radial", "2")),
        (lambda: ThreeBodySpline(cutoff=0.5, start=0.5), ("start", "0.5", "larger cutoff")),
        (lambda: ThreeBodySpline(cutoff=0.5).prepare(Support(ONE, ())), ("shortest distance", "start")),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, parts):
    with pytest.raises(BayescgError) as error:
        make()
    for part in parts:
        assert part in str(error.value)
