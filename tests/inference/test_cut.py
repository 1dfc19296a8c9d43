"""A cut posterior: the potential as its own terms have it, the memory as it is given the potential."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bayescg as bcg
from bayescg.inference.cut import Cut, conditioned, modular
from bayescg.inference.modules import cut_by_default, modules_of
from bayescg.numerics.host_loop import HostLoop

BEADS = slice(0, 40)
DRAWS = 40


def posed(motion):
    model = bcg.Model(
        bcg.potentials.PairSpline(cutoff=0.9, knots=6, start=0.25), memory=bcg.memory.Markovian()
    )
    forces = bcg.data.water(frames=20).isel(bead=BEADS)
    terms = bcg.likelihoods.ForceMatching().on(forces)
    terms = terms + bcg.likelihoods.Path(observed="velocities").on(motion)
    return bcg.Problem(model, bcg.priors.default(model), terms)


@pytest.fixture(scope="module")
def problem():
    """Forty of the waters: few enough to be quick, real enough to be correlated."""
    return posed(bcg.data.water_dynamics(frames=40).isel(bead=BEADS))


@pytest.fixture(scope="module")
def modules(problem):
    return modules_of(problem)


@pytest.fixture(scope="module")
def drawn(problem):
    return Cut(bcg.Conjugate(chains=2, draws=DRAWS), draws=DRAWS).draw(
        problem, key=jax.random.key(3), loop=HostLoop(progress=False)
    )


def test_modules_share_the_parameters_between_them(problem, modules):
    assert set(modules.structure.sites) | set(modules.dynamics.sites) == set(problem.sites)
    assert set(modules.structure.sites).isdisjoint(modules.dynamics.sites)
    assert modules.dynamics.sites == ("memory.friction",)


def test_motion_does_not_touch_the_potential(modules, drawn):
    """The structure's draws are bit for bit those of its own posterior."""
    alone = bcg.Conjugate(chains=2, draws=DRAWS).draw(
        modules.structure, key=jax.random.split(jax.random.key(3), 3)[0], loop=HostLoop(progress=False)
    )
    np.testing.assert_array_equal(drawn.positions[..., modules.structure_places], alone.positions)


def test_given_potential_changes_nothing_but_the_cost(problem, modules, drawn):
    theta = jnp.asarray(drawn.positions[0, 0, modules.structure_places])
    fast = conditioned(modules, theta)
    for eta in (jnp.array([3.0]), jnp.array([5.0])):
        values = {**modules.structure.constrain(theta), **modules.dynamics.constrain(eta)}
        slow = modules.dynamics.log_prior(eta) + modules.dynamics.log_likelihood(values)
        assert float(fast.log_density(eta)) == pytest.approx(float(slow), rel=1e-10)


def test_many_components_alike_are_condensed_and_change_nothing_either():
    modules = modules_of(posed(bcg.data.water_dynamics(frames=12).isel(bead=slice(0, 100))))
    theta = modules.structure.initial(jax.random.key(0))
    fast = conditioned(modules, theta)
    (group,) = fast.observations[fast.terms[0]].groups
    assert group.pieces.copies > 1.5
    eta = jnp.array([4.0])
    values = {**modules.structure.constrain(theta), **modules.dynamics.constrain(eta)}
    slow = modules.dynamics.log_prior(eta) + modules.dynamics.log_likelihood(values)
    assert float(fast.log_density(eta)) == pytest.approx(float(slow), rel=1e-10)


def test_memory_has_its_conditional_law(modules, drawn):
    """Mean and deviation over draws against quadrature of the conditional densities, 4.5 standard errors."""
    eta = drawn.positions[..., modules.dynamics_places].ravel()
    thetas = jnp.asarray(drawn.positions[..., modules.structure_places].reshape(eta.size, -1))
    grid = jnp.linspace(eta.mean() - 8 * eta.std(), eta.mean() + 8 * eta.std(), 161)

    @eqx.filter_jit
    def moments(modules, thetas):
        def of_one(theta):
            target = conditioned(modules, theta)
            density = jax.vmap(lambda u: target.log_density(u[None]))(grid)
            weight = jax.nn.softmax(density)
            mean = weight @ grid
            return mean, weight @ (grid - mean) ** 2

        return jax.lax.map(of_one, thetas)

    means, variances = (np.asarray(part) for part in moments(modules, thetas))
    z = (eta - means) / np.sqrt(variances)
    assert abs(z.mean()) < 4.5 / np.sqrt(z.size)
    assert abs(z.std() - 1) < 4.5 / np.sqrt(2 * z.size)
    # control: the law of another memory is seen
    assert abs((z + 1).mean()) > 4.5 / np.sqrt(z.size)


def test_many_beads_are_cut_unless_asked_otherwise(problem):
    assert cut_by_default(problem)
    assert isinstance(modular(problem, bcg.Conjugate(), cut=None), Cut)
    assert isinstance(modular(problem, bcg.Conjugate(), cut=False), bcg.Conjugate)


def test_a_problem_of_one_kind_cannot_be_cut(modules):
    with pytest.raises(bcg.BayescgError, match=r"path likelihood and another term .* sample with cut=False"):
        modules_of(modules.structure)
