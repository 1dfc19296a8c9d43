"""Averages as data: springs, whose <x²> is kT/k, and a fluid whose potential is known."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import xarray as xr

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.inference.sampled_weights import sampled_weights
from bayescg.likelihoods import Observable
from bayescg.units import thermal_energy

KT = float(thermal_energy(300.0))


def spring_frames(stiffness, frames, rng, *, beads=4):
    """Independent exact draws of beads on springs, in one dimension."""
    x = rng.normal(size=(frames, beads, 1)) * np.sqrt(KT / stiffness)
    variables = {"position": (("frame", "bead", "dim"), x, {"units": "nm"})}
    return xr.Dataset(variables, attrs={"temperature": 300.0})


def square_of(configuration):
    return jnp.mean(configuration.positions**2)


SQUARE = bcg.observables.Custom("mean_square", square_of, units="nm^2")


def spring(stiffness):
    return bcg.potentials.Harmonic(stiffness=stiffness, center=0.0)


def spring_problem(data, sampled, observable=SQUARE, prior=None):
    model = bcg.Model(spring(100.0))
    term = Observable(observable, sampled=sampled).on(data)
    prior = prior or {"potential.stiffness": dist.LogNormal(np.log(100.0), 0.5)}
    return bcg.Problem(model, prior, term)


def test_the_density_of_a_mean_square_is_that_of_the_closed_form():
    """Frames enough that their own error is nothing beside that of the data."""
    sampled = [(bcg.Model(spring(100.0)), spring_frames(100.0, 5000, np.random.default_rng(0), beads=32))]
    measured, error = KT / 95.0, 0.02 * KT / 95.0
    table = xr.Dataset({"mean_square": measured, "mean_square_error": error}, attrs={"temperature": 300.0})
    model, likelihood = Observable(SQUARE, sampled=sampled).prepare(bcg.Model(spring(100.0)), table)
    seen = likelihood.observe(model, table)

    def density(k):
        at = eqx.tree_at(lambda m: m.potential.stiffness, model, jnp.asarray(k))
        return likelihood.log_likelihood(at, seen)

    stiffness = np.linspace(90.0, 100.0, 5)
    found = np.array([density(k) for k in stiffness])
    expected = -0.5 * ((measured - KT / stiffness) / error) ** 2 - np.log(np.sqrt(2 * np.pi) * error)
    # 32 beads, 5,000 frames: <x²> is known to sqrt(2 / 160,000), a sixth of the data's error
    np.testing.assert_allclose(found - found[2], expected - expected[2], atol=1.2)
    # negative control: without the weights no stiffness differs from another
    assert np.ptp(found) > 3


def test_the_gradient_is_the_covariance_with_the_energy():
    """d<A>/dk = <dA/dk> - cov(A, dU/dk)/kT, and dU/dk = Σ x²/2."""
    frames = spring_frames(100.0, 500, np.random.default_rng(1))
    model, likelihood = Observable(SQUARE, sampled=[(bcg.Model(spring(90.0)), frames)]).prepare(
        bcg.Model(spring(100.0)), frames
    )
    seen = likelihood.observe(model, frames)
    kept = seen.frames.values[:, 0]

    def average(k):
        at = eqx.tree_at(lambda m: m.potential.stiffness, model, jnp.asarray(k))
        return likelihood.compared(at, seen).predicted[0]

    slope = jax.grad(average)(103.0)
    weights = np.exp(-(103.0 - 90.0) / 2 * 4 * np.asarray(kept) / KT)
    weights /= weights.sum()
    energy_slope = 4 * np.asarray(kept) / 2
    expected = -(weights @ (kept * energy_slope) - (weights @ kept) * (weights @ energy_slope)) / KT
    assert slope == pytest.approx(float(expected), rel=1e-8)


def test_several_models_sample_what_one_alone_does_not():
    rng = np.random.default_rng(2)
    runs = [(bcg.Model(spring(k)), spring_frames(k, 2000, rng, beads=12)) for k in (40.0, 100.0, 250.0)]
    data = spring_frames(200.0, 2000, rng, beads=12)
    for sampled, fits in ((runs, True), (runs[:1], False)):
        model, likelihood = Observable(SQUARE, sampled=sampled).prepare(bcg.Model(spring(1.0)), data)
        at = eqx.tree_at(lambda m: m.potential.stiffness, model, jnp.asarray(200.0))
        found = likelihood.compared(at, likelihood.observe(model, data))
        assert (found.effective > 400) == fits
        # an error of 2%, within three of them
        close = abs(float(found.predicted[0]) / (KT / 200.0) - 1) < 0.06
        assert close == fits


def test_draws_that_leave_the_sampled_frames_are_named():
    rng = np.random.default_rng(3)
    data = spring_frames(100.0, 400, rng)
    near = spring_problem(data, [(bcg.Model(spring(110.0)), spring_frames(110.0, 400, rng))])
    far = spring_problem(data, [(bcg.Model(spring(900.0)), spring_frames(900.0, 400, rng))])
    draws = {"potential.stiffness": rng.normal(100.0, 3.0, size=(2, 50))}
    table, sentences = sampled_weights(near, draws)
    assert sentences == []
    assert table["mean_square_effective"].min() > 100
    table, sentences = sampled_weights(far, draws)
    assert "do not serve 100 of 100 draws" in sentences[0]
    assert table["mean_square_k"].max() > 0.7


def test_a_mean_that_no_draw_gives_is_named():
    frames = spring_frames(100.0, 400, np.random.default_rng(4))
    shifted = frames.assign(position=frames["position"] + 0.2)
    mean = bcg.observables.Custom("mean_position", lambda c: jnp.mean(c.positions), units="nm")
    problem = spring_problem(shifted, [(bcg.Model(spring(100.0)), frames)], mean)
    draws = {"potential.stiffness": np.full((1, 30), 100.0)}
    _, sentences = sampled_weights(problem, draws)
    assert sentences[0].startswith("No draw gives the measured mean_position")
    fair = spring_problem(frames, [(bcg.Model(spring(100.0)), frames)], mean)
    assert sampled_weights(fair, draws)[1] == []


@eqx.filter_jit
def blocks_and_scores(problem, stiffness):
    """Blocks, the likelihood itself, derivatives of blocks, and the root of the mean's covariance."""

    def blocks(k):
        return problem.blocks({"potential.stiffness": k})[0]

    at = problem.joint.likelihoods[0].compared(problem.joint.model, problem.observations[0])
    whole = problem.log_likelihood({"potential.stiffness": stiffness})
    return blocks(stiffness), whole, jax.jacfwd(blocks)(stiffness), at.lower


def test_blocks_add_up_and_scatter_as_the_mean_does():
    """The covariance of the scores is the curvature, as where a likelihood is right."""
    ratios = []
    for seed in range(12):
        rng = np.random.default_rng(100 + seed)
        data = spring_frames(100.0, 640, rng)
        problem = spring_problem(data, [(bcg.Model(spring(100.0)), spring_frames(100.0, 640, rng))])
        blocks, whole, scores, lower = blocks_and_scores(problem, jnp.asarray(100.0))
        assert float(blocks.sum()) == pytest.approx(float(whole), rel=1e-10)
        found, variance = np.asarray(scores), float(lower[0, 0] ** 2)
        slope = -KT / 100.0**2
        ratios.append(np.sum((found - found.mean()) ** 2) / (slope**2 / variance))
    # 48 blocks: a variance known to a fifth each time, its mean to a seventeenth
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.25)


def test_the_information_of_a_mean_square_is_that_of_the_closed_form():
    """F = (kT/k²)²/S of one number, against the derivative in closed form."""
    rng = np.random.default_rng(6)
    data = spring_frames(100.0, 400, rng)
    problem = spring_problem(data, [(bcg.Model(spring(100.0)), spring_frames(100.0, 20_000, rng))])
    found = bcg.identify(problem, {"potential.stiffness": 100.0})
    error = float(problem.observations[0].covariance[0, 0]) ** 0.5
    # in the logarithm of a positive parameter; 20,000 frames of four beads know the slope to a few percent
    assert float(found.matrix[0, 0]) == pytest.approx((KT / 100.0 / error) ** 2, rel=0.15)


def test_intervals_cover_and_frames_that_pass_for_exact_make_them_too_narrow():
    """The truth from the prior, the posterior on a grid of stiffness."""
    grid = np.exp(np.linspace(np.log(60.0), np.log(170.0), 221))
    inside = {"with": 0, "without": 0}
    evaluate = eqx.filter_jit(
        lambda likelihood, model, seen: jax.lax.map(
            lambda k: likelihood.log_likelihood(eqx.tree_at(lambda m: m.potential.stiffness, model, k), seen),
            jnp.asarray(grid),
        )
    )
    replicates = 120
    for seed in range(replicates):
        rng = np.random.default_rng(1000 + seed)
        truth = np.exp(rng.normal(np.log(100.0), 0.05))
        data = spring_frames(truth, 200, rng)
        sampled = [(bcg.Model(spring(100.0)), spring_frames(100.0, 100, rng))]
        model, likelihood = Observable(SQUARE, sampled=sampled).prepare(bcg.Model(spring(1.0)), data)
        seen = likelihood.observe(model, data)
        exact = eqx.tree_at(lambda s: s.scatter, seen, 1e-9 * seen.scatter)
        for name, one in (("with", seen), ("without", exact)):
            density = np.asarray(evaluate(likelihood, model, one))
            density = np.exp(density - density.max()) * np.exp(-0.5 * (np.log(grid / 100.0) / 0.05) ** 2)
            cumulative = np.interp(truth, grid, np.cumsum(density) / density.sum())
            inside[name] += 0.05 < cumulative < 0.95
    # 90% intervals, 120 of them: a standard deviation of 2.7%
    assert abs(inside["with"] / replicates - 0.9) < 0.08
    assert inside["without"] / replicates < 0.8


# ---- a fluid


SIGMAS = (0.34, 0.335, 0.345)


@pytest.fixture(scope="module")
def fluid(tmp_path_factory):
    """Spheres of three sizes, each with the frames it sampled: (model, beads)."""
    rng = np.random.default_rng(5)
    edge, side = 2.4, 5
    line = (np.arange(side) + 0.5) * edge / side
    start = np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    starts = start + rng.normal(0, 0.01, (len(SIGMAS), *start.shape))
    beads = xr.Dataset(
        {
            "position": (("frame", "bead", "dim"), starts, {"units": "nm"}),
            "box": (("frame", "dim"), np.full((len(SIGMAS), 3), edge), {"units": "nm"}),
            "mass": ("bead", np.full(side**3, 40.0), {"units": "amu"}),
        },
        attrs={"temperature": 120.0},
    )
    models = [bcg.Model(bcg.potentials.LennardJones([0.5], [s], 0.9, ("bead",))) for s in SIGMAS]
    path = tmp_path_factory.mktemp("fluid") / "run.zarr"
    bcg.dynamics.simulate_ensemble(
        models,
        starts,
        box=[edge] * 3,
        topology=bcg.data.topology(beads),
        temperature=120.0,
        timestep=0.01,
        steps=4000,
        equilibration=1500,
        observables=(),
        measure_every=20,
        key=jax.random.key(1),
        loop=bcg.numerics.host_loop.HostLoop(progress=False),
        friction=1.0,
        trajectory=bcg.dynamics.Trajectory(path),
        beads=beads,
    )
    stored = xr.open_zarr(path).load().drop_vars("frames_written")
    return [(model, stored.isel(draw=index)) for index, model in enumerate(models)]


def test_the_size_of_spheres_from_their_radial_distribution(fluid):
    """Frames of a smaller and a larger sphere serve every one between."""
    (model, data), *runs = fluid
    curve = bcg.observables.RDF(maximum=1.0, bins=40)
    prior = {"potential.sigma": dist.LogNormal(np.log([0.34]), 0.1)}
    problem = bcg.Problem(model, prior, Observable(curve, sampled=runs).on(data))
    posterior = bcg.sample(
        problem, bcg.NUTS(chains=2, warmup=100, draws=100), key=jax.random.key(0), progress=False
    )
    sigma = posterior["posterior"]["potential.sigma"].to_numpy().ravel()
    assert abs(sigma.mean() - 0.34) < 4 * sigma.std()
    assert sigma.std() < 0.004  # of a prior of 0.034
    assert not [s for s in json.loads(posterior.attrs["warnings"]) if "sampled frames" in s]
    assert posterior["reweighting"]["radial_distribution_effective"].min() > 20
    assert posterior["observed_data"]["radial_distribution"].dims == ("type_pair", "distance")
    # negative control: of the larger sphere's g(r) the larger size comes back
    other = bcg.Problem(model, prior, Observable(curve, sampled=runs).on(runs[1][1]))
    line = jnp.linspace(0.33, 0.35, 41)
    densities = jax.jit(
        lambda s: jax.lax.map(lambda x: other.log_likelihood({"potential.sigma": x[None]}), s)
    )
    assert abs(line[jnp.argmax(densities(line))] - 0.345) < 0.002


def test_a_pressure_is_a_number_with_an_error(fluid):
    model, frames = fluid[1]
    measured = bcg.predict.evaluate(bcg.observables.Pressure(), frames, potential=model.potential)
    term = Observable(bcg.observables.Pressure(), sampled=[(model, frames)]).on(measured)
    # no term has frames: one must
    with pytest.raises(BayescgError, match="frames of beads in one term"):
        bcg.Problem(model, {"potential.sigma": dist.LogNormal(np.log([0.335]), 0.1)}, term)
    prepared, likelihood = term.likelihood.prepare(model, measured)
    seen = likelihood.observe(prepared, measured)
    predicted = eqx.filter_jit(lambda model: likelihood.compared(model, seen).predicted[0])
    settled = np.asarray(seen.frames.settled)
    assert float(predicted(model)) == pytest.approx(float(seen.frames.values[settled].mean()), rel=1e-6)
    wider = eqx.tree_at(lambda m: m.potential.sigma, model, jnp.array([0.337]))
    assert predicted(wider) > predicted(model)  # larger spheres press harder
    with pytest.raises(BayescgError, match="must be a number with its error"):
        likelihood.observe(prepared, frames)


BAD = {
    "over_time": (lambda d: Observable(bcg.observables.VACF(), sampled=d), "average over configurations"),
    "nothing": (lambda d: Observable(SQUARE, sampled=[]), "sampled must hold models"),
    "no_model": (lambda d: Observable(SQUARE, sampled=[(spring(1.0), d[0][1])]), "sampled must hold models"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_settings(case):
    make, message = BAD[case]
    frames = spring_frames(100.0, 4, np.random.default_rng(0))
    with pytest.raises(BayescgError, match=message):
        make([(bcg.Model(spring(100.0)), frames)])


BAD_DATA = {
    "no_error": (
        lambda d: xr.Dataset({"mean_square": 0.02}, attrs={"temperature": 300.0}),
        "mean_square_error",
    ),
    "no_temperature": (lambda d: xr.Dataset({"mean_square": 1.0, "mean_square_error": 0.1}), "temperature"),
    "shape": (
        lambda d: xr.Dataset(
            {"mean_square": ("x", [1.0, 2.0]), "mean_square_error": ("x", [0.1, 0.1])},
            attrs={"temperature": 300.0},
        ),
        "must have shape",
    ),
    "negative": (
        lambda d: xr.Dataset({"mean_square": 1.0, "mean_square_error": -0.1}, attrs={"temperature": 300.0}),
        "not negative",
    ),
    "several": (lambda d: [d, d], "must be one Dataset"),
    "temperature": (lambda d: d.assign_attrs(temperature=350.0), "temperature of the data"),
    "one_frame": (lambda d: d.isel(frame=[0]), "at least two frames"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data(case):
    make, message = BAD_DATA[case]
    frames = spring_frames(100.0, 40, np.random.default_rng(0))
    likelihood = Observable(SQUARE, sampled=[(bcg.Model(spring(100.0)), frames)])
    with pytest.raises(BayescgError, match=message):
        prepare_and_observe(likelihood, make(frames))


def prepare_and_observe(likelihood, data):
    model, ready = likelihood.prepare(bcg.Model(spring(100.0)), data)
    return ready.observe(model, data)
