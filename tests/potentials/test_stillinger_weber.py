"""StillingerWeber against plain loops, and under the contract of all potentials."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.configuration import type_pair_index
from bayescg.interfaces import Configuration, Support, Topology
from bayescg.model import parameters, with_values
from bayescg.numerics.pairs import neighbor_matrix, pairs_within
from bayescg.potentials import StillingerWeber
from tests.potentials.test_contract import CONTRACT, CUTOFF, START, configuration, energy_of, forces_of

A, B, GAMMA = 7.049556277, 0.6022245584, 1.20


def prepared(types, **settings):
    potential = StillingerWeber(cutoff=CUTOFF, **{"epsilon": 5.0, "sigma": 0.45, **settings})
    return potential.prepare(Support(types, (START,) * (len(types) * (len(types) + 1) // 2)))


rng = np.random.default_rng(0)
TWO = with_values(
    prepared(("A", "B")),
    {
        "epsilon": rng.uniform(3, 8, 3),
        "sigma": rng.uniform(0.3, 0.5, 3),
        "three_body_strength": rng.uniform(10, 30, (2, 3)),
        "cos_angle": rng.uniform(-0.9, 0.3, (2, 3)),
    },
)
CASES = {"one-type": (prepared(("A",)), ("A",)), "two-types": (TWO, ("A", "B"))}


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CASES)
def test_contract(name, check):
    check(*CASES[name])


def triple_loop(potential, frame):
    """The two sums as they are written, in plain numbers; returns the two- and the three-body energy."""
    x, types = np.asarray(frame.positions), np.asarray(frame.topology.types)
    box = np.inf if frame.box is None else np.asarray(frame.box)
    count, kinds = len(x), len(frame.topology.type_names)
    epsilon, sigma = np.asarray(potential.epsilon), np.asarray(potential.sigma)
    place = lambda a, b: int(type_pair_index(jnp.array(a), jnp.array(b), kinds))  # noqa: E731
    pair = np.array([[place(a, b) for b in range(kinds)] for a in range(kinds)])
    step = x[None] - x[:, None]
    step = step - (0 if frame.box is None else box * np.round(step / box))
    r = np.linalg.norm(step, axis=-1)
    two = three = 0.0
    for i in range(count):
        near = [j for j in range(count) if j != i and r[i, j] < potential.cutoff]
        for first, j in enumerate(near):
            p = pair[types[i], types[j]]
            h = np.exp(sigma[p] / (r[i, j] - potential.cutoff))
            if j > i:
                two += A * epsilon[p] * (B * (sigma[p] / r[i, j]) ** 4 - 1) * h
            for k in near[first + 1 :]:
                q, t = pair[types[i], types[k]], pair[types[j], types[k]]
                cosine = step[i, j] @ step[i, k] / (r[i, j] * r[i, k])
                arms = sigma[p] / (r[i, j] - potential.cutoff) + sigma[q] / (r[i, k] - potential.cutoff)
                three += (
                    float(potential.three_body_strength[types[i], t])
                    * np.sqrt(epsilon[p] * epsilon[q])
                    * (cosine - float(potential.cos_angle[types[i], t])) ** 2
                    * np.exp(GAMMA * arms)
                )
    return two, three


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "open"])
@pytest.mark.parametrize("name", CASES)
def test_energy_is_that_of_a_triple_loop(name, periodic):
    potential, types = CASES[name]
    frame = configuration(types, periodic=periodic)
    two, three = triple_loop(potential, frame)
    assert abs(two) > 1
    assert abs(three) > 1
    assert float(energy_of(potential, frame)) == pytest.approx(two + three, rel=1e-11)


def diamond(sigma, scale=1.0):
    """64 beads on the diamond lattice whose bonds are scale * 2^(1/6) sigma, 8 to a cubic cell."""
    edge = scale * 2 ** (1 / 6) * sigma * 4 / np.sqrt(3)
    faces = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]])
    cell = np.concatenate([faces, faces + 1]) / 4
    corners = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    x, box = edge * (cell + corners).reshape(-1, 3), np.full(3, 2 * edge)
    neighbors = neighbor_matrix(pairs_within(x, box, 1.8 * sigma), len(x), 16)
    zeros = jnp.zeros(64, dtype=int)
    topology = Topology(zeros, jnp.ones(64), jnp.arange(64), jnp.zeros((0, 2), dtype=int), ("Si",))
    return Configuration(jnp.asarray(x), jnp.asarray(box), jnp.asarray(neighbors), topology)


def test_silicon_has_its_cohesive_energy_on_the_diamond_lattice():
    """Four bonds of depth epsilon shared by two: -2 epsilon a bead, exactly.

    The paper fixes A and B such that a pair has its minimum of -epsilon at 2^(1/6) sigma; tetrahedral
    angles cost nothing, and second neighbours, at 1.833 sigma, lie beyond the cutoff of 1.8 sigma. A and B
    have ten digits, so the minimum is -epsilon to 1e-9.
    """
    epsilon, sigma = 209.2, 0.20951
    silicon = StillingerWeber(epsilon, sigma).prepare(Support(("Si",), (0.2,)))
    assert silicon.cutoff == pytest.approx(1.8 * sigma)
    frame = diamond(sigma)
    assert float(energy_of(silicon, frame)) / 64 == pytest.approx(-2 * epsilon, rel=1e-8)
    # every bead is at rest: stiffness 57 epsilon/sigma² times 1e-9 sigma or so
    assert np.abs(forces_of(silicon, frame)).max() < 1e-4
    # a minimum: any strain raises the energy, also where second neighbours come into reach
    strained = [float(energy_of(silicon, diamond(sigma, scale))) / 64 for scale in (0.95, 0.98, 1.02, 1.05)]
    assert min(strained) > -2 * epsilon + 0.5


def test_only_the_three_body_part_prefers_an_angle():
    """Three beads with two bonds: the energy has its minimum at 109.47 degrees, without lambda nowhere."""
    water = StillingerWeber(25.895, 0.23925, 23.15).prepare(Support(("W",), (0.25,)))
    topology = Topology(
        jnp.zeros(3, dtype=int), jnp.ones(3), jnp.arange(3), jnp.zeros((0, 2), dtype=int), ("W",)
    )
    neighbors = jnp.array([[1, 2], [0, 2], [0, 1]])

    @eqx.filter_jit
    def energies(potential):
        def of_angle(angle):
            ends = 0.27 * jnp.array([[1.0, 0.0, 0.0], [jnp.cos(angle), jnp.sin(angle), 0.0]])
            return potential.energy(
                Configuration(jnp.concatenate([jnp.zeros((1, 3)), ends]), None, neighbors, topology)
            )

        return jax.vmap(of_angle)(jnp.radians(angles))

    # beyond 106 degrees the ends are farther apart than the cutoff of 0.43 nm
    angles = jnp.linspace(106.0, 180.0, 7401)
    assert float(angles[jnp.argmin(energies(water))]) == pytest.approx(109.4712, abs=0.01)
    flat = energies(with_values(water, {"three_body_strength": jnp.zeros((1, 1))}))
    assert float(jnp.ptp(flat)) < 1e-10


def test_all_derivatives_are_finite_also_at_the_cutoff():
    potential, types = CASES["one-type"]
    frame = configuration(types, periodic=False)
    positions = frame.positions.at[1].set(frame.positions[0] + jnp.array([CUTOFF, 0.0, 0.0]))
    energy = lambda x: potential.energy(eqx.tree_at(lambda c: c.positions, frame, x))  # noqa: E731
    hessian = jax.jit(jax.jacfwd(jax.grad(energy)))
    for shift in (0.0, 1e-16, -1e-16, -1e-8):
        moved = positions.at[1, 0].add(shift)
        assert np.isfinite(hessian(moved)).all()


def test_energy_has_derivatives_by_its_parameters_under_vmap():
    potential, types = CASES["two-types"]
    frames = [configuration(types, periodic=True, seed=seed) for seed in range(2)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *frames)
    gradient = jax.jit(jax.vmap(eqx.filter_grad(lambda p, f: p.energy(f)), in_axes=(None, 0)))(
        potential, stacked
    )
    step = 1e-6
    for path, value in parameters(potential).items():
        bump = np.zeros(value.shape)
        bump.flat[0] = step
        up, down = (with_values(potential, {path: value + sign * bump}) for sign in (1, -1))
        expected = [float(up.energy(frame) - down.energy(frame)) / (2 * step) for frame in frames]
        found = parameters(gradient)[path].reshape(2, -1)[:, 0]
        # rounding of an energy of some 100 kJ/mol: 1e-14 of it over the step
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_labels_and_default_priors_fit_the_parameters():
    potential, _ = CASES["two-types"]
    labels, known = potential.coordinates(), parameters(potential)
    assert labels.keys() == known.keys()
    for path, value in known.items():
        assert tuple(len(axis) for axis in labels[path].values()) == value.shape
    for model in (bcg.Model(potential), bcg.Model(StillingerWeber())):
        prior = bcg.priors.default(model)
        assert prior.keys() == {f"potential.{path}" for path in known}
        with numpyro.handlers.seed(rng_seed=0):
            drawn = prior.sample(model)
        assert all(np.isfinite(value).all() for value in drawn.values())


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: prepared(("A",), epsilon=-1.0), ("epsilon", "positive", "-1.0")),
        (lambda: prepared(("A",), cos_angle=1.5), ("cos_angle", "-1 and 1", "1.5")),
        (
            lambda: prepared(("A", "B"), three_body_strength=[1.0, 2.0]),
            ("three_body_strength", "(2, 3)", "(2,)"),
        ),
        (lambda: StillingerWeber(repulsive_power=2.0, attractive_power=3.0), ("repulsive_power", "exceed")),
        (
            lambda: StillingerWeber().energy(configuration(("A",), periodic=True)),
            ("no bead types", "prepare"),
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, parts):
    with pytest.raises(BayescgError) as error:
        make()
    for part in parts:
        assert part in str(error.value)
