"""Laplace: exact where the posterior is Gaussian, in full and by products; k tells where it is not."""

import json
import signal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import xarray as xr

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.inference.laplace import Laplace, _pairs
from bayescg.inference.laplace_curvature import Curvature, dense, matrix_free
from bayescg.inference.laplace_subset import held_names, linear_weights, places_of
from bayescg.inference.pareto import EXACT, LARGEST_K, approximation_attributes, pareto_k
from bayescg.interfaces import Configuration
from bayescg.likelihoods.frames import ForceFrames
from bayescg.numerics import host_loop
from bayescg.numerics.host_loop import HostLoop, Interrupted
from tests.inference import small_problems as small
from tests.inference.targets import rotated_covariance

QUIET = HostLoop(progress=False)
KEY = jax.random.key(61)
SIGMA = 5.0
SETTINGS = Laplace(steps=400, draws=500)

SIZE = 60
PRECISION = rotated_covariance(np.geomspace(1.0, 1e2, SIZE))


class Known(eqx.Module):
    """A Gaussian of known precision."""

    precision: jax.Array

    def log_density(self, u):
        return -0.5 * u @ self.precision @ u


KNOWN = Known(jnp.asarray(PRECISION))


class Heavy(eqx.Module):
    """Student's t of two degrees of freedom: no Gaussian has its tails."""

    dimension: int = eqx.field(default=1, static=True)

    def log_density(self, u):
        return -1.5 * jnp.sum(jnp.log1p(u**2 / 2))

    def initial(self, key):
        return jax.random.normal(key, (1,))


class Ridge(eqx.Module):
    """The second parameter is not known at all."""

    dimension: int = eqx.field(default=2, static=True)

    def log_density(self, u):
        return -0.5 * u[0] ** 2

    def initial(self, key):
        return jax.random.normal(key, (2,))


@pytest.fixture(scope="module")
def spline():
    """Force matching with known noise: a Gaussian posterior in closed form."""
    made = small.problem(small.gaussian_prior() | {"likelihood.noise.scale": SIGMA})
    rows, targets = small.dense_rows(made, small.pair_data())
    size = rows.shape[1]
    return made, small.dense_posterior(rows, targets, SIGMA, np.full(size, 10.0), 200.0**2 * np.eye(size))


@pytest.fixture(scope="module")
def drawn(spline):
    return SETTINGS.draw(spline[0], key=KEY, loop=QUIET)


def stats_of(draws):
    return xr.Dataset({name: (("chain", "draw"), array) for name, array in draws.statistics.items()})


def check_moments(positions, mean, covariance):
    """Means and covariances of independent draws, four and a half standard errors: once in 1e5 numbers."""
    flat = positions.reshape(-1, len(mean))
    white = (flat - mean) @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    assert np.abs(white.mean(axis=0)).max() < 4.5 / len(flat) ** 0.5
    assert np.abs(np.cov(white.T) - np.eye(len(mean))).max() < 4.5 * (2 / len(flat)) ** 0.5


def test_a_linear_problem_has_the_posterior_of_dense_algebra(spline, drawn):
    _, (mean, covariance) = spline
    check_moments(drawn.positions, mean, covariance)
    assert set(drawn.statistics) == {"lp", "log_weight", "draw_error", "pareto_k", "mode_gain"}
    assert drawn.statistics["mode_gain"].max() < 1e-6
    # all weights are equal: the Gaussian is the posterior, but for the rounding of gram matrices' roots, of
    # 1e-4 with either of XLA's code generators
    assert np.ptp(drawn.statistics["log_weight"]) < EXACT
    attributes, sentences = approximation_attributes(stats_of(drawn))
    assert attributes["pareto_k"] < LARGEST_K
    assert sentences == []


def test_a_wrong_covariance_is_seen(spline, drawn):
    # negative control: 20% more variance everywhere
    _, (mean, covariance) = spline
    with pytest.raises(AssertionError):
        check_moments(drawn.positions, mean, 1.2 * covariance)


@pytest.mark.parametrize("gauss_newton", [True, False], ids=["ggn", "hessian"])
def test_either_curvature_in_full_is_that_of_dense_algebra(spline, gauss_newton):
    made, (mean, covariance) = spline
    width = jnp.linspace(50.0, 300.0, mean.size)
    curvature = Curvature(made, jnp.asarray(mean), width, jnp.arange(mean.size), gauss_newton)
    root = np.asarray(dense(curvature).root)
    np.testing.assert_allclose(root @ root.T, covariance, rtol=1e-7, atol=1e-9 * np.abs(covariance).max())


def test_products_alone_give_the_covariance_of_dense_algebra(spline):
    made, (mean, covariance) = spline
    width = jnp.linspace(50.0, 300.0, mean.size)
    curvature = Curvature(made, jnp.asarray(mean), width, jnp.arange(mean.size), True)
    # three eigenvectors and a Krylov space of the four dimensions left: nothing is missing
    gaussian = matrix_free(curvature, _pairs(curvature, 3, KEY), products=10)
    assert gaussian.products == 4
    root, _ = jax.jit(jax.vmap(gaussian.spread))(jnp.eye(mean.size))
    np.testing.assert_allclose(root.T @ root, covariance, rtol=1e-6, atol=1e-8 * np.abs(covariance).max())


def test_free_noise_enters_the_curvature_by_its_fisher_information(spline):
    made = spline[0]
    free = made.part((0,), made.prior | {"likelihood.noise.scale": dist.LogNormal(1.0, 0.5)})
    u = free.unconstrain({"potential.coefficients": np.full((1, 7), 3.0), "likelihood.noise.scale": [SIGMA]})
    curvature = Curvature(free, u, jnp.ones(8), jnp.arange(8), True)
    row = eqx.filter_jit(Curvature.product)(curvature, jnp.eye(8)[0])
    # 2 per number about log sigma, a normal prior of it, and nothing beside the diagonal
    numbers = small.dense_rows(made, small.pair_data())[1].size
    np.testing.assert_allclose(row, [2 * numbers + 4.0] + [0.0] * 7, rtol=1e-9, atol=1e-6)


def test_the_error_of_a_draw_by_lanczos_is_not_understated():
    # curvatures from 1 to 1e4, ten eigenvectors asked for
    curvature = Curvature(KNOWN, jnp.zeros(SIZE), jnp.ones(SIZE), jnp.arange(SIZE), False)
    gaussian = matrix_free(curvature, _pairs(curvature, 10, KEY), products=12)
    noise = jax.random.normal(KEY, (20, SIZE))
    root, stated = (np.asarray(part) for part in jax.jit(jax.vmap(gaussian.spread))(noise))
    values, vectors = np.linalg.eigh(PRECISION)
    exact = np.asarray(noise) @ (vectors / np.sqrt(values)) @ vectors.T

    def square(v):
        return np.sum(v @ (PRECISION - np.eye(SIZE)) * v, axis=1)

    true = np.sqrt(square(root - exact) / square(exact))
    assert (true < 2 * stated).all()
    assert 0.01 < true.mean() < 0.5


def test_a_run_by_products_finds_the_gaussian_and_states_its_error(spline):
    made, (mean, covariance) = spline
    draws = Laplace(steps=400, dense_up_to=0, rank=3, products=3, draws=200).draw(made, key=KEY, loop=QUIET)
    check_moments(draws.positions, mean, covariance)
    assert 0 < draws.statistics["draw_error"].mean() < 0.3
    assert draws.statistics["mode_gain"].max() < 1e-4
    assert approximation_attributes(stats_of(draws))[1] == []


def test_heavy_tails_are_flagged():
    draws = Laplace(curvature="hessian", steps=100, draws=500).draw(Heavy(), key=KEY, loop=QUIET)
    attributes, sentences = approximation_attributes(stats_of(draws))
    assert attributes["pareto_k"] > LARGEST_K
    assert "the approximation misses part of the posterior" in sentences[0]
    # -(log p)'' = 3/2 at the mode
    assert draws.positions.var() == pytest.approx(2 / 3, rel=4.5 * (2 / 2000) ** 0.5)


def test_weights_of_which_almost_all_vanish_are_flagged():
    assert pareto_k(-np.random.default_rng(0).exponential(1e6, size=1000)) > LARGEST_K


def test_a_mode_without_curvature_is_refused():
    with pytest.raises(BayescgError, match="must be positive definite at the mode"):
        Laplace(curvature="hessian", steps=100).draw(Ridge(), key=KEY, loop=QUIET)


def interrupt_wait(monkeypatch, *, call):
    """Press Ctrl-C while the chunk number `call` of the run is under way."""
    real, calls = host_loop.wait, []

    def wait(outcome, patience, tell):
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return real(outcome, patience, tell)

    monkeypatch.setattr(host_loop, "wait", wait)


@pytest.mark.parametrize(("call", "stage"), [(2, "climb"), (5, "curvature"), (9, "draw")])
def test_an_interrupted_run_resumes_bit_for_bit(spline, drawn, tmp_path, monkeypatch, call, stage):
    loop = HostLoop(tmp_path, progress=False, fingerprint="spline")
    with monkeypatch.context() as patch:
        interrupt_wait(patch, call=call)
        with pytest.raises(Interrupted, match=f"of stage '{stage}' are kept"):
            SETTINGS.draw(spline[0], key=KEY, loop=loop)
    resumed = SETTINGS.draw(spline[0], key=KEY, loop=loop)
    np.testing.assert_array_equal(resumed.positions, drawn.positions, strict=True)
    for name, values in drawn.statistics.items():
        np.testing.assert_array_equal(resumed.statistics[name], values, strict=True)


@pytest.fixture(scope="module")
def network():
    """A small network on a soft repulsion, noise known."""
    potential = bcg.potentials.Equivariant(
        cutoff=small.CUTOFF, channels=2, l_max=1, radial=3, correlation=1, layers=1, hidden=0, scale=10.0
    )
    model = bcg.Model(potential)
    prior = bcg.priors.default(model) | {"likelihood.noise.scale": SIGMA}
    data = small.pair_data(frames=4, beads=12)
    made = bcg.Problem(model, prior, bcg.likelihoods.ForceMatching().on(data))
    draws = Laplace(which="last_layer", starts=1, steps=40, draws=200).draw(made, key=KEY, loop=QUIET)
    return made, draws


def readout_regression(made, u):
    """Posterior of the readout given all other weights: regression on the forces of every feature."""
    seen = made.observations[0]
    assert isinstance(seen, ForceFrames)
    path = "potential.blocks.0.readout.linear"
    values = made.constrain(u)

    @jax.jit
    def forces(weights):
        potential = made.with_values(values | {path: weights}).potential
        frames = zip(seen.positions, seen.boxes, seen.neighbors, strict=True)
        return jnp.stack([potential.forces(Configuration(*frame, seen.topology)) for frame in frames]).ravel()

    shape = values[path].shape
    unit = jnp.eye(values[path].size).reshape(-1, *shape)
    rows = np.stack([np.asarray(forces(one)) for one in unit], axis=1)
    return small.dense_posterior(
        rows, np.asarray(seen.forces).ravel(), SIGMA, np.zeros(len(unit)), np.eye(len(unit))
    )


def test_the_last_layer_of_a_network_has_the_posterior_of_a_regression(network):
    made, draws = network
    places = places_of(made, None)
    assert [made.labels[place].split("[")[0] for place in places] == ["potential.blocks.0.readout.linear"] * 2
    mean, covariance = readout_regression(made, jnp.asarray(draws.positions[0, 0]))
    check_moments(draws.positions[..., places], mean, covariance)
    assert np.ptp(draws.statistics["log_weight"]) < 1e-4


def test_other_weights_stay_at_the_mode_and_are_named(network):
    made, draws = network
    assert held_names(made, draws.positions) == ("potential.blocks.0.density.type_weights",)
    others = np.setdiff1d(np.arange(made.dimension), places_of(made, None))
    assert (np.ptp(draws.positions[..., others], axis=(0, 1)) == 0).all()


def test_weights_that_the_energy_is_linear_in_are_known():
    spline = bcg.potentials.PairSpline(cutoff=0.6, knots=8)
    network = bcg.potentials.Equivariant(cutoff=0.6, channels=2, l_max=1, radial=2, layers=2, hidden=3)
    assert linear_weights(spline + network) == (
        "terms.0.coefficients",
        "terms.1.blocks.0.readout.linear",
        "terms.1.blocks.0.readout.output",
        "terms.1.blocks.1.readout.linear",
        "terms.1.blocks.1.readout.output",
    )
    assert linear_weights(bcg.potentials.LennardJones(epsilon=0.65, sigma=0.3, cutoff=0.9)) == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"which": "first_layer"}, "which must be one of 'full', 'last_layer', got 'first_layer'"),
        ({"curvature": "fisher"}, "curvature must be one of 'ggn', 'hessian', got 'fisher'"),
        ({"subset": ["a"]}, "subset belongs to which='last_layer'"),
        ({"which": "last_layer", "subset": []}, "names at least one random variable"),
        ({"products": 1}, "products must be a whole number of at least 2, got 1"),
    ],
)
def test_settings_that_cannot_run_are_refused(settings, message):
    with pytest.raises(BayescgError, match=message):
        Laplace(**settings)


def test_targets_and_subsets_that_do_not_fit_are_refused(spline):
    with pytest.raises(BayescgError, match=r"curvature='ggn' needs a bayescg\.Problem.*got Heavy"):
        Laplace().draw(Heavy(), key=KEY, loop=QUIET)
    with pytest.raises(BayescgError, match=r"which='last_layer' needs a bayescg\.Problem"):
        Laplace(which="last_layer", curvature="hessian").draw(Heavy(), key=KEY, loop=QUIET)
    with pytest.raises(BayescgError, match="subset must name random variables of the problem, got 'weights'"):
        Laplace(which="last_layer", subset="weights").draw(spline[0], key=KEY, loop=QUIET)
    noise_alone = spline[0].part((0,), bcg.priors.Prior({"likelihood.noise.scale": dist.LogNormal(1.0, 1.0)}))
    with pytest.raises(BayescgError, match=r"PairSpline names none with a prior. Give subset="):
        Laplace(which="last_layer").draw(noise_alone, key=KEY, loop=QUIET)


def test_settings_are_plain_and_complete():
    settings = Laplace(which="last_layer", subset=["a", "b"]).settings()
    assert json.loads(json.dumps(settings)) == settings
    assert settings["subset"] == "a, b"


def test_float32_is_refused():
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(BayescgError, match=r"Laplace needs float64.*enable_x64"):
            Laplace().draw(Heavy(), key=KEY, loop=QUIET)
    finally:
        jax.config.update("jax_enable_x64", True)
