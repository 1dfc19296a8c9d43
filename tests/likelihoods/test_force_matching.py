"""Force matching against its definition: every residual, one by one, through SciPy's densities.

The reference knows nothing of neighbour lists, moments or sums: it takes all pairs of beads, the
gradient of the energy, and adds up log densities.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy import stats

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import Configuration
from bayescg.likelihoods import ForceMatching, StudentT, force_matching, reading
from bayescg.likelihoods.force_matching import coefficients
from bayescg.likelihoods.frames import ForceFrames, gather_frames
from bayescg.likelihoods.reading import frames_of
from bayescg.model import parameters, with_values
from bayescg.potentials import LennardJones, PairSpline

CUTOFF, BEADS, FRAMES = 0.8, 24, 9
LONG = PairSpline(cutoff=CUTOFF, knots=10, start=0.2)
SHORT = PairSpline(cutoff=0.55, knots=7, start=0.2)
# sums of 1e4 squares of 1e2 kJ/mol/nm: expanding the square loses two or three digits of sixteen
RELATIVE = 1e-8


@functools.cache
def beads_at_random(seed):
    return bcg.data.synthetic.pair_forces(
        lambda r: 900.0 * (CUTOFF - r) ** 3,
        cutoff=CUTOFF,
        key=jax.random.key(seed),
        frames=FRAMES,
        beads=BEADS,
        box=1.7,
        noise=30.0,
    )


def liquid(*, types=("A",), frames=FRAMES, periodic=True, seed=0):
    """Beads with forces of no particular origin: a density does not ask where its data come from."""
    beads = beads_at_random(seed).isel(frame=slice(frames)).copy(deep=True)
    beads["type"] = ("bead", np.array([types[i % len(types)] for i in range(BEADS)]))
    return beads if periodic else beads.drop_vars("box")


def prepared(potential, data, noise=None, seed=1, **arguments):
    """Model, likelihood and observations at random parameters."""
    matching = ForceMatching(**({} if noise is None else {"noise": noise}), **arguments)
    model, matching = matching.prepare(bcg.Model(potential), data)
    rng = np.random.default_rng(seed)
    law = {"coefficients": lambda s: 10 * rng.normal(size=s)}
    known = parameters(model)
    drawn = {
        p: law.get(p.split(".")[-1], lambda s: rng.uniform(0.2, 0.3, size=s))(v.shape)
        for p, v in known.items()
    }
    model = with_values(model, drawn)
    scales = jnp.asarray(
        rng.uniform(20, 60, size=len(set(np.asarray(bcg.data.state_points(data)[0]["type"]))))
    )
    matching = eqx.tree_at(lambda m: m.noise.scale, matching, scales)
    return model, matching, matching.observe(model, data)


def forces_of_all_pairs(potential, data):
    """(frame, bead, dim) forces of the model, every other bead a neighbour."""
    found = []
    for beads in bcg.data.state_points(data):
        count = beads.sizes["bead"]
        everyone = jnp.asarray([[j for j in range(count) if j != i] for i in range(count)])
        topology = bcg.data.topology(beads)

        @jax.jit
        def forces(x, box, everyone=everyone, topology=topology):
            return potential.forces(Configuration(x, box, everyone, topology))

        for frame in range(beads.sizes["frame"]):
            box = jnp.asarray(beads["box"].values[frame]) if "box" in beads else None
            found.append(np.asarray(forces(jnp.asarray(beads["position"].values[frame], dtype=float), box)))
    return np.array(found)


def log_densities(matching, data, model_forces):
    """Log density of every frame by SciPy."""
    points = bcg.data.state_points(data)
    types = np.asarray(bcg.data.topology(points[0]).types)
    scale = np.asarray(matching.noise.scale)[types][:, None]
    law = stats.t(matching.noise.degrees) if isinstance(matching.noise, StudentT) else stats.norm()
    residuals = np.concatenate([beads["force"].values for beads in points]) - model_forces
    return (law.logpdf(residuals / scale) - np.log(scale)).sum(axis=(1, 2))


def by_definition(model, matching, data):
    return log_densities(matching, data, forces_of_all_pairs(model.potential, data))


@eqx.filter_jit
def scores(model, matching, seen):
    return matching.log_likelihood(model, seen), matching.blocks(model, seen)


CASES = {
    "spline": (LONG, {}),
    "two types": (LONG, {"types": ("A", "B")}),
    "sum": (SHORT + LONG, {}),
    "sum, two types": (LONG + SHORT, {"types": ("B", "A")}),
    "open": (LONG, {"periodic": False}),
    "lennard-jones": (LennardJones(0.3, 0.25, cutoff=CUTOFF), {}),
    "spline and lennard-jones": (LONG + LennardJones(0.3, 0.25, cutoff=CUTOFF), {"types": ("A", "B")}),
}


@pytest.mark.parametrize(
    ("case", "noise"),
    [*((case, None) for case in CASES), ("two types", StudentT(3.5)), ("lennard-jones", StudentT())],
)
def test_log_likelihood_is_the_sum_over_all_residuals(case, noise):
    potential, system = CASES[case]
    data = liquid(**system)
    model, matching, seen = prepared(potential, data, noise)
    model_forces = forces_of_all_pairs(model.potential, data)
    frames = log_densities(matching, data, model_forces)
    total, blocks = scores(model, matching, seen)
    assert float(total) == pytest.approx(frames.sum(), rel=RELATIVE)
    np.testing.assert_allclose(blocks, frames, rtol=RELATIVE)  # fewer frames than blocks: one each
    # control: forces a thousandth too large are another density
    assert log_densities(matching, data, 1.001 * model_forces).sum() != pytest.approx(float(total), rel=1e-7)


@pytest.mark.parametrize("case", ["two types", "sum"])
def test_sums_and_frames_say_the_same(case):
    potential, system = CASES[case]
    data = liquid(**system)
    model, matching, seen = prepared(potential, data)
    frames = gather_frames(model.potential, list(frames_of(data, CUTOFF)), 256)
    assert type(seen).__name__ == "ForceStatistics"
    assert isinstance(frames, ForceFrames)
    one, other = (scores(model, matching, observations)[0] for observations in (seen, frames))
    assert float(one) == pytest.approx(float(other), rel=RELATIVE)
    np.testing.assert_allclose(seen.mean_square(), frames.mean_square(), rtol=1e-12)


def test_water_scores_by_the_same_definition():
    data = bcg.data.water(frames=2)
    model, matching, seen = prepared(PairSpline(cutoff=0.9, knots=12, start=0.2), data)
    assert float(matching.log_likelihood(model, seen)) == pytest.approx(
        by_definition(model, matching, data).sum(), rel=RELATIVE
    )


@pytest.mark.parametrize("case", ["two types", "sum"])
def test_the_quadratic_form_is_the_log_likelihood(case):
    potential, system = CASES[case]
    data = liquid(**system)
    model, matching, seen = prepared(potential, data)
    form = matching.quadratic_form(model, seen)
    np.testing.assert_allclose(form.precision, form.precision.T, rtol=1e-12)
    for seed in range(3):
        other, _, _ = prepared(potential, data, seed=10 + seed)
        theta = coefficients(other.potential)
        value = form.constant + form.linear @ theta - 0.5 * theta @ form.precision @ theta
        expected = float(matching.log_likelihood(other, seen))
        assert float(value) == pytest.approx(expected, rel=RELATIVE)
        assert float(value + form.linear @ theta) != pytest.approx(expected, rel=1e-4)  # control


@pytest.mark.parametrize(("case", "noise"), [("two types", None), ("spline and lennard-jones", StudentT())])
def test_gradients_are_those_of_finite_differences(case, noise):
    potential, system = CASES[case]
    data = liquid(**system, frames=3)
    model, matching, seen = prepared(potential, data, noise)
    joint = (model.potential, matching.noise.scale)
    arrays, static = eqx.partition(joint, eqx.is_inexact_array)

    @eqx.filter_jit
    def density(arrays):
        potential, scale = eqx.combine(arrays, static)
        scored = eqx.tree_at(lambda m: m.noise.scale, matching, scale)
        return scored.log_likelihood(bcg.Model(potential), seen)

    rng = np.random.default_rng(0)
    direction = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)) * jnp.abs(a), arrays)
    gradient = jax.jit(jax.grad(density))(arrays)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradient))
    slope = sum(
        float(jnp.vdot(g, d)) for g, d in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True)
    )
    h = 1e-5

    def at(step):
        return float(density(jax.tree.map(lambda a, d: a + step * d, arrays, direction)))

    # Richardson: error h⁴, rounding of 1e4 to 1e-12 over h
    expected = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    assert slope == pytest.approx(expected, rel=1e-5, abs=1e-5 * abs(at(0)))


def assert_same_sums(one, other, rtol=1e-12):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


def test_sums_add_over_files():
    first, second = liquid(types=("A", "B"), seed=0), liquid(types=("A", "B"), seed=1, frames=5)
    model, matching, both = prepared(LONG, [first, second])
    apart = [matching.observe(model, data).total for data in (first, second)]
    assert_same_sums(both.total, [a + b for a, b in zip(*apart, strict=True)])
    tree = xr.DataTree.from_dict({"cold": first, "warm": second})
    assert_same_sums(matching.observe(model, tree).total, both.total)
    joined = xr.concat(
        [first, second], dim="frame", data_vars="minimal", coords="minimal", join="outer", compat="override"
    )
    assert_same_sums(matching.observe(model, joined).total, both.total)
    # control: one file twice is not both
    assert abs(float(2 * apart[0].square.sum() - both.total.square.sum())) > 1.0


@pytest.mark.parametrize("at_once", [1, 4, 1000])
def test_sums_do_not_depend_on_how_frames_are_read(at_once, monkeypatch):
    data = liquid(types=("A", "B"))
    model, matching, expected = prepared(LONG, data)
    monkeypatch.setattr(reading, "READ_FRAMES", at_once)
    for chunked in (data, data.chunk(frame=1), data.chunk(frame=5), data.chunk(frame=4, bead=7)):
        found = matching.observe(model, chunked)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_array_equal(one, other)  # the same operations in the same order: bit for bit
    lazily, _ = matching.prepare(bcg.Model(PairSpline(cutoff=CUTOFF, knots=10)), data.chunk(frame=3))
    at_once_model, _ = matching.prepare(bcg.Model(PairSpline(cutoff=CUTOFF, knots=10)), data)
    assert lazily.potential.starts == at_once_model.potential.starts


def test_precision_of_files_is_enough():
    """Positions and forces in float32, as files hold them: forces to 1e-7, densities to about 1e-5."""
    data = liquid()
    model, matching, exact = prepared(LONG, data)
    single = data.assign({name: data[name].astype(np.float32) for name in ("position", "force")})
    seen = matching.observe(model, single)
    assert seen.total.gram.dtype == jnp.float64
    assert float(matching.log_likelihood(model, seen)) == pytest.approx(
        float(matching.log_likelihood(model, exact)), rel=1e-5
    )


def test_splines_start_at_the_shortest_distance_of_each_pair_of_types():
    data = liquid(types=("A", "B"), frames=6)
    model, _ = ForceMatching().prepare(bcg.Model(PairSpline(cutoff=CUTOFF, knots=10)), data)
    x, box = data["position"].values, data["box"].values[:, None, None]
    steps = x[:, :, None] - x[:, None]
    distance = np.linalg.norm(steps - box * np.round(steps / box), axis=-1)
    distance[:, np.arange(BEADS), np.arange(BEADS)] = np.inf
    kinds = np.asarray(bcg.data.topology(data).types)
    for (a, b), start in zip(bcg.interfaces.type_pairs(2), model.potential.starts, strict=True):
        assert start == pytest.approx(distance[:, kinds == a][:, :, kinds == b].min(), rel=1e-12)


def test_sampled_distances_are_counted_once_each():
    data = liquid(types=("A", "B"), frames=3)
    _, _, seen = prepared(LONG, data)
    x, box = data["position"].values, data["box"].values[:, None, None]
    steps = x[:, :, None] - x[:, None]
    distance = np.linalg.norm(steps - box * np.round(steps / box), axis=-1)
    kinds = np.asarray(bcg.data.topology(data).types)
    i, j = np.triu_indices(BEADS, 1)
    low, high = np.minimum(kinds[i], kinds[j]), np.maximum(kinds[i], kinds[j])
    for index, (a, b) in enumerate(bcg.interfaces.type_pairs(2)):
        chosen = distance[:, i, j][:, (low == a) & (high == b)]
        expected, _ = np.histogram(chosen, bins=force_matching.DISTANCE_BINS, range=(0, CUTOFF))
        np.testing.assert_array_equal(seen.distances[index], expected)
    kept = seen.datasets()
    assert kept["constant_data"]["pair_distance_count"].dims == ("type_pair", "distance")
    assert kept["constant_data"]["pair_distance_count"]["type_pair"].values.tolist() == ["A-A", "A-B", "B-B"]
    assert float(kept["constant_data"]["frames_per_block"].sum()) == 3
    square = np.square(data["force"].values)
    for kind, name in enumerate("AB"):
        found = float(kept["observed_data"]["mean_square_force"].sel(type=name))
        assert found == pytest.approx(square[:, kinds == kind].mean(), rel=1e-12)


def test_noise_starts_at_the_mean_square_force():
    data = liquid(types=("A", "B"), frames=6)
    model, matching = ForceMatching().prepare(bcg.Model(LONG), data)
    square = np.square(data["force"].values)
    np.testing.assert_allclose(
        matching.noise.scale, [np.sqrt(square[:, k::2].mean()) for k in range(2)], rtol=1e-12
    )
    prior = matching.default_priors(matching.observe(model, data))["noise.scale"]
    expected = stats.lognorm(1.0, scale=np.asarray(matching.noise.scale)).logpdf(40.0)
    np.testing.assert_allclose(prior.log_prob(40.0), expected, rtol=1e-12)
    assert matching.coordinates(matching.observe(model, data)) == {"noise.scale": {"type": ["A", "B"]}}


def edited(**changes):
    data = liquid(frames=3)
    for name, change in changes.items():
        values = data[name].values.copy()
        change(values)
        data[name] = (data[name].dims, values, data[name].attrs)
    return data


def coincide(x):
    x[2, 5] = x[2, 7]


def vanish(f):
    f[...] = 0.0


REFUSED = {
    "zero forces": (
        LONG,
        lambda: edited(force=vanish),
        ("force must not be zero throughout", "type A", "Check that the trajectory"),
    ),
    "coincident beads": (
        LONG,
        lambda: edited(position=coincide),
        ("must not coincide", "beads 5 and 7", "frame 2", "Leave the frame out"),
    ),
    "other types": (
        LONG,
        lambda: [liquid(frames=2), liquid(frames=2, types=("B",))],
        ("same bead types", "('A',)", "('B',)", "Map them alike"),
    ),
    "other order of beads": (
        LennardJones(cutoff=CUTOFF),
        lambda: [liquid(frames=2, types=("A", "B")), liquid(frames=2, types=("A", "A", "B"))],
        ("same beads in the same order", "frame 2", "one term per system"),
    ),
    "open and periodic": (
        LennardJones(cutoff=CUTOFF),
        lambda: [liquid(frames=2), liquid(frames=2, periodic=False)],
        ("all periodic or all open", "frame 2", "one term per system"),
    ),
    "another number of beads": (
        LennardJones(cutoff=CUTOFF),
        lambda: [liquid(frames=2), liquid(frames=2).isel(bead=slice(5, None))],
        ("same beads", "frame 2", "one term per system"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_data_that_cannot_be_matched_are_refused_by_name(case):
    potential, data, parts = REFUSED[case]
    with pytest.raises(BayescgError) as error:
        prepared(potential, data())
    for part in parts:
        assert part in str(error.value)


def test_sums_take_systems_that_differ():
    """Control of the refusals: linear potentials add sums over systems of any size and order."""
    for other in (
        liquid(frames=2, types=("A", "A", "B")),
        liquid(frames=2, types=("A", "B"), periodic=False),
    ):
        data = [liquid(frames=2, types=("A", "B")), other]
        model, matching, seen = prepared(LONG, data)
        expected = sum(by_definition(model, matching, part).sum() for part in data)
        assert float(matching.log_likelihood(model, seen)) == pytest.approx(expected, rel=RELATIVE)


@pytest.mark.parametrize("blocks", [0, 7, 2.5, "many"])
def test_a_number_of_blocks_that_says_nothing_is_refused(blocks):
    with pytest.raises(BayescgError, match="blocks_kept must be a whole number of at least 8"):
        ForceMatching(blocks_kept=blocks)


@pytest.mark.parametrize("degrees", [0.0, -1.0, np.nan])
def test_degrees_of_freedom_that_are_none_are_refused(degrees):
    with pytest.raises(BayescgError, match="degrees must be positive"):
        StudentT(degrees=degrees)


@pytest.mark.parametrize(
    ("potential", "noise", "named"),
    [(LennardJones(cutoff=CUTOFF), None, "LennardJones"), (LONG, StudentT(), "StudentT")],
)
def test_only_a_quadratic_likelihood_has_a_quadratic_form(potential, noise, named):
    model, matching, seen = prepared(potential, liquid(frames=2), noise)
    with pytest.raises(
        BayescgError, match=rf"linear in its coefficients and Gaussian noise, got .*{named}.*NUTS"
    ):
        matching.quadratic_form(model, seen)
