"""Equivariant: symmetries against e3nn's own matrices, a plain double sum, hands, precision and inference."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from scipy.special import eval_legendre, spherical_jn

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import Support
from bayescg.model import parameters, with_values
from bayescg.potentials import Equivariant, PairSpline
from bayescg.potentials.equivariant_edges import edges_of
from bayescg.potentials.equivariant_radial import bessel_functions
from tests.potentials.few_beads import ONE, TWO, free, geometry, prepared
from tests.potentials.test_contract import (
    CONTRACT,
    CUTOFF,
    START,
    configuration,
    energy_of,
    forces_of,
    rotation_and_reflection_change_nothing,
)

SMALL = {"channels": 2, "l_max": 2, "radial": 3, "mixtures": 2, "hidden": 3}


def network(types, **settings):
    """A small network with weights."""
    pairs = len(types) * (len(types) + 1) // 2
    return Equivariant(CUTOFF, **{**SMALL, **settings}).prepare(Support(types, (START,) * pairs))


@pytest.fixture(scope="module")
def case():
    return network(TWO), TWO


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_contract(case, check):
    check(*case)


CORNERS = np.array([[0.0, 0.0, 0.0], [0.35, 0.0, 0.0], [0.1, 0.4, 0.0], [0.15, 0.1, 0.45]])
"""Four beads with six different distances: no mirror leaves them as they are."""


def test_mirror_images_differ_only_where_parity_is_given_up():
    """With parity, and for pairs, they are equal to rounding; a pseudoscalar tells them apart."""
    types = ("A", "B", "C", "D")
    left, right = (free(CORNERS * mirror, types, range(4)) for mirror in ([1, 1, 1], [1, 1, -1]))

    def difference(potential):
        one, other = float(energy_of(potential, left)), float(energy_of(potential, right))
        assert abs(one) > 1e-3
        return abs(one - other) / abs(one)

    settings = {"layers": 1, "correlation": 3, "l_max": 1}
    handed = network(types, parity=False, **settings)
    assert difference(prepared(PairSpline(cutoff=CUTOFF, knots=8), types)) < 1e-10
    assert difference(network(types, **settings)) < 1e-10
    assert difference(handed) > 1e-3
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    turned = free(CORNERS @ (turn * np.linalg.det(turn)).T, types, range(4))
    assert float(energy_of(handed, turned)) == pytest.approx(float(energy_of(handed, left)), rel=1e-12)


def test_the_contract_sees_that_a_handed_network_has_no_mirror():
    handed = network(ONE, parity=False, layers=1, correlation=3, l_max=1)
    with pytest.raises(AssertionError):
        rotation_and_reflection_change_nothing(handed, ONE)


def test_distances_alone_do_not_tell_homometric_sets_apart():
    """Six points on a line with the same 15 distances: pairs see one energy, the network two."""
    frames = [
        free(np.outer(x, [0.1, 0.0, 0.0]), cutoff=2.0) for x in ([0, 1, 4, 10, 12, 17], [0, 1, 8, 11, 13, 17])
    ]
    pair = prepared(PairSpline(cutoff=2.0, knots=24, start=0.05), ONE)
    many = Equivariant(2.0, **SMALL, layers=1).prepare(Support(ONE, (0.1,)))
    one, other = (float(energy_of(pair, frame)) for frame in frames)
    assert one == pytest.approx(other, rel=1e-12)
    one, other = (float(energy_of(many, frame)) for frame in frames)
    assert abs(one - other) > 1e-6 * abs(one)  # rounding is 1e-12


@pytest.mark.parametrize("parity", [True, False])
def test_features_turn_by_the_matrices_of_e3nn(parity):
    """Features h of the first layer: h(R x) = D(R) h(x), D of the irreps 0e + 1o + 2e.

    Without parity this holds in rotations and fails in a mirror. e3nn's basis is ours with the axes renamed
    in a cycle, a rotation B: D is taken of B R B'.
    """
    from e3nn_jax import Irreps

    potential = network(ONE, parity=parity, messages=2)
    x = np.random.default_rng(2).uniform(0, 0.6, size=(5, 3))
    turn = np.linalg.qr(np.random.default_rng(6).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    cycle = np.roll(np.eye(3), -1, axis=0)

    @jax.jit
    def features(positions):
        frame = eqx.tree_at(lambda c: c.positions, free(x), positions)
        settings = {"radial": 3, "degree": 2, "type_count": 1, "dtype": float}
        return potential.blocks[0].apply(edges_of(frame, CUTOFF, **settings), None)[1]

    here = np.asarray(features(x))
    for matrix in (turn, -np.eye(3)):
        D = np.asarray(Irreps("0e + 1o + 2e").D_from_matrix(jnp.asarray(cycle @ matrix @ cycle.T)))
        off = np.abs(np.asarray(features(x @ matrix.T)) - here @ D.T).max()
        kept = parity or np.linalg.det(matrix) > 0
        assert (off < 1e-10 * np.abs(here).max()) == kept


def test_one_layer_of_two_factors_is_its_double_sum_over_neighbours():
    """Power spectra with Legendre polynomials, radial functions from SciPy; a readout without neurons."""
    potential = network(ONE, layers=1, hidden=0)
    frame = configuration(ONE, periodic=True)
    r, step = geometry(frame)
    inside = (r < CUTOFF) & (r > 0)
    s = np.where(inside, r, CUTOFF) / CUTOFF
    order = np.pi * np.arange(1, 4)
    R = np.sqrt(2 / 3) * order * spherical_jn(0, order * s[..., None]) * (1 - s[..., None] ** 2) ** 2
    unit = step / np.where(inside, r, 1.0)[..., None]
    P = eval_legendre(np.arange(3), np.einsum("ijx,ikx->ijk", unit, unit)[..., None])
    block, norm = potential.blocks[0], 1 / np.sqrt(potential.neighbors * 3)
    first, second = norm * np.asarray(block.density.type_weights)[:, 0]  # (degree, radial, channel)
    one, two = np.einsum("ijn,lnk->ijlk", R, first), np.einsum("ijn,lnk->ijlk", R, second)
    # of (2 l + 1)^1/2 Y on both sides and C = δ/(2 l + 1)^1/2, shared by the three paths into l = 0
    weights = np.asarray(block.products.couplings[0]) * np.sqrt((2 * np.arange(3)[:, None] + 1) / 3)
    pairs = np.einsum("ijlk,iglk,ijgl,lk->ik", one, two, P, weights)
    descriptors = np.concatenate([one[:, :, 0].sum(axis=1), pairs], axis=1)
    expected = potential.scale * np.sum(descriptors @ np.asarray(block.readout.linear)[0]) / 2
    found = float(energy_of(potential, frame))
    assert found == pytest.approx(expected, rel=1e-11)
    swapped = np.einsum("ijlk,iglk,ijgl,lk->ik", one, two, P, weights[::-1])  # control
    assert abs(np.sum(swapped - pairs)) > 1e-3


def test_radial_functions_are_orthonormal_but_for_their_end():
    s = np.linspace(0, 1, 4001)[1:-1]
    R = np.asarray(bessel_functions(jnp.asarray(s), 1.0, count=4)) / (1 - s**2)[:, None] ** 2
    gram = np.einsum("s,sn,sm->nm", 3 * s**2, R, R) / 4000
    np.testing.assert_allclose(gram, np.eye(4), atol=1e-3)  # sum for an integral, 4000 points


def test_second_derivatives_are_finite_and_continuous_where_a_bead_enters(case):
    potential, types = case
    positions = configuration(types, periodic=False).positions[:6]
    positions = positions.at[1].set(positions[0] + jnp.array([CUTOFF, 0.0, 0.0]))
    frame = free(positions, types, np.arange(6) % 2, cutoff=2.0)
    energy = lambda x: potential.energy(eqx.tree_at(lambda c: c.positions, frame, x))  # noqa: E731
    hessian = jax.jit(jax.vmap(jax.hessian(energy)))
    shifts = np.zeros((4, 6, 3))
    shifts[:, 1, 0] = [0.0, 1e-16, -1e-7, 1e-7]
    found = np.asarray(hessian(positions + shifts))
    assert np.isfinite(found).all()
    # the third derivative is of the order of the second over a tenth of a cutoff: 1e-7 moves it by 1e-5
    np.testing.assert_allclose(found[2], found[3], atol=1e-4 * np.abs(found).max())


def test_one_compilation_serves_any_number_of_neighbours(case):
    potential, types = case
    counts = set()
    traced = []

    @jax.jit
    def counted(frame):
        traced.append(1)
        return potential.energy(frame)

    for seed in range(4):
        frame = configuration(types, periodic=True, seed=seed)
        counts.add(int((np.asarray(frame.neighbors) < frame.positions.shape[0]).sum()))
        counted(frame)
    assert len(counts) > 1
    assert len(traced) == 1
    wider = eqx.tree_at(
        lambda c: c.neighbors, frame, jnp.pad(frame.neighbors, ((0, 0), (0, 1)), constant_values=16)
    )
    counted(wider)  # control: another padding is another program
    assert len(traced) == 2


def test_single_precision_is_close_and_stays_single(case):
    potential, types = case
    single = network(types, dtype=jnp.float32)
    assert {leaf.dtype for leaf in parameters(single).values()} == {jnp.dtype("float32")}
    single = with_values(single, parameters(potential))
    frame = configuration(types, periodic=True)
    double = np.asarray(forces_of(potential, frame))
    found = forces_of(single, frame)
    assert found.dtype == jnp.float64  # of the positions
    error = np.abs(np.asarray(found) - double).max() / np.abs(double).max()
    assert 1e-9 < error < 1e-4  # rounding of 6e-8, over some hundred terms


def test_weights_are_drawn_by_seed_and_survive_a_second_preparation():
    one, other = network(ONE, layers=1), network(ONE, layers=1, seed=1)
    again = one.prepare(Support(ONE, (START,)))
    for path, value in parameters(one).items():
        np.testing.assert_array_equal(value, parameters(again)[path])
        assert np.abs(value - parameters(other)[path]).max() > 0
    with pytest.raises(BayescgError, match="prepared for the bead types"):
        one.prepare(Support(TWO, (START,) * 3))


def test_labels_and_the_default_prior_fit_the_weights(case):
    potential, _ = case
    labels, known = potential.coordinates(), parameters(potential)
    assert labels.keys() == known.keys()
    for path, value in known.items():
        assert tuple(len(axis) for axis in labels[path].values()) == value.shape
    for model in (bcg.Model(potential), bcg.Model(Equivariant(CUTOFF, **SMALL))):
        assert set(bcg.priors.default(model)) == {f"potential.{path}" for path in known}


def test_forces_of_the_prior_are_of_order_thermal_energy_per_spacing():
    """Root mean square over 4 draws on liquid water; within a factor of three of k_B T over 0.28 nm."""
    beads = bcg.data.water(frames=1)
    potential = Equivariant(0.6, layers=1).prepare(Support(("SOL",), (0.24,)))
    model = bcg.Model(potential)
    prior = bcg.priors.default(model)
    term = bcg.likelihoods.ForceMatching()
    prepared_model, likelihood = term.prepare(model, beads)
    frames = likelihood.observe(prepared_model, beads)
    frame = bcg.interfaces.Configuration(
        frames.positions[0], frames.boxes[0], frames.neighbors[0], frames.topology
    )
    squares = []
    for seed in range(4):
        with numpyro.handlers.seed(rng_seed=seed):
            drawn = prior.sample(model)
        forces = forces_of(with_values(model, drawn).potential, frame)
        squares.append(float(jnp.mean(forces**2)))
    size, expected = np.sqrt(np.mean(squares)), bcg.units.thermal_energy(300.0) / 0.28
    assert expected / 3 < size < 3 * expected


@pytest.fixture(scope="module")
def tiny_problem():
    """Pair baseline and a network of a few weights, on a few small frames of a known pair potential."""
    beads = bcg.data.synthetic.pair_forces(
        lambda r: 60.0 * jnp.clip(1 - r / 0.5, 0.0, 1.0) ** 3,
        cutoff=0.5,
        key=jax.random.key(1),
        frames=6,
        beads=12,
        box=1.1,
        noise=5.0,
    )
    small = Equivariant(0.5, channels=1, l_max=1, radial=2, layers=1, hidden=0, neighbors=5.0)
    model = bcg.Model(PairSpline(cutoff=0.5, knots=6) + small)
    return bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.ForceMatching().on(beads))


def test_force_matching_has_finite_gradients_with_padded_neighbours(tiny_problem):
    u = tiny_problem.initial(jax.random.key(0))
    assert bool((tiny_problem.observations[0].neighbors == 12).any())
    value, slope = jax.jit(jax.value_and_grad(lambda u: tiny_problem.log_density(u)))(u)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    assert np.all(np.asarray(slope) != 0)
    density = jax.jit(lambda u: tiny_problem.log_density(u))
    direction = np.random.default_rng(3).normal(size=u.shape)
    step = 1e-5
    expected = float(density(u + step * direction) - density(u - step * direction)) / (2 * step)
    # rounding 1e-16 of some thousand over the step, and its square times the third derivative
    assert float(slope @ direction) == pytest.approx(expected, rel=1e-5)


@pytest.mark.calibration  # most of a minute, all of it compilation
def test_nuts_draws_a_tiny_network(tiny_problem):
    sampler = bcg.NUTS(chains=2, warmup=30, draws=20, max_tree_depth=5)
    posterior = bcg.sample(tiny_problem, sampler, key=jax.random.key(0), progress=False)
    weights = posterior["posterior"]["potential.terms.1.blocks.0.readout.linear"].values
    assert weights.shape[:2] == (2, 20)
    assert np.isfinite(weights).all()
    assert weights.std() > 0.01
    noise = posterior["posterior"]["likelihood.noise.scale"].values
    assert 3.0 < noise.mean() < 8.0  # 5 was put in; 216 components know it to 5%


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: Equivariant(0.0), ("cutoff", "positive")),
        (lambda: Equivariant(0.6, l_max=1, messages=2), ("messages", "l_max", "1", "2")),
        (lambda: Equivariant(0.6, parity=False, layers=1), ("parity=False", "correlation=3")),
        (
            lambda: Equivariant(0.6).energy(configuration(ONE, periodic=True)),
            ("no weights", "prepare"),
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, parts):
    with pytest.raises(BayescgError) as error:
        make()
    for part in parts:
        assert part in str(error.value)
