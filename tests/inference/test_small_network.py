"""NUTS over all weights of a small equivariant network, begun at the modes of an ensemble."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg.interfaces import Configuration, Topology
from bayescg.numerics.pairs import neighbor_matrix, pairs_within
from bayescg.predict import force_uncertainty
from tests.inference.small_problems import CUTOFF, pair_data

pytestmark = pytest.mark.computing

NOISE = 0.5


def configurations(beads):
    """Every frame, all beads with room in each other's list."""
    kind = jnp.zeros(12, dtype=int)
    topology = Topology(kind, jnp.ones(12), jnp.arange(12), jnp.zeros((0, 2), dtype=int), ("A",))
    for x, box in zip(beads["position"].values, beads["box"].values, strict=True):
        neighbors = neighbor_matrix(pairs_within(x, box, CUTOFF), 12, 12)
        yield Configuration(jnp.asarray(x), jnp.asarray(box), jnp.asarray(neighbors), topology)


def forces_of(model, seed, frames, noise):
    """Forces of a network at beads like those of the pair data, with noise."""
    beads = pair_data(frames=frames, beads=12, noise=0.0, key=jax.random.key(seed))
    exact = eqx.filter_jit(lambda frame: model.potential.forces(frame))
    forces = np.stack([np.asarray(exact(frame)) for frame in configurations(beads)])
    noise = noise * np.random.default_rng(seed).normal(size=forces.shape)
    return beads.assign(force=beads["force"].copy(data=forces + noise))


def posed_on(data):
    network = bcg.potentials.Equivariant(
        CUTOFF, channels=2, l_max=1, radial=2, mixtures=1, hidden=2, layers=1
    )
    model = bcg.Model(network)
    prior = bcg.priors.default(model) | {"likelihood.noise.scale": NOISE}
    return bcg.Problem(model, prior, bcg.likelihoods.ForceMatching().on(data))


@pytest.fixture(scope="module")
def truth():
    """Weights of the prior."""
    any_data = posed_on(pair_data(frames=2, beads=12))
    return any_data.model(any_data.constrain(any_data.initial(jax.random.key(5))))


@pytest.fixture(scope="module")
def posed(truth):
    return posed_on(forces_of(truth, 1, frames=8, noise=NOISE))


@pytest.fixture(scope="module")
def posterior(posed):
    modes = bcg.sample(posed, bcg.DeepEnsemble(members=4), key=jax.random.key(0), progress=False)
    sampler = bcg.NUTS(chains=2, warmup=150, draws=100, max_tree_depth=6, target_acceptance=0.95)
    return bcg.sample(posed, sampler, key=jax.random.key(1), start=modes, progress=False)


def test_the_chains_agree_and_hardly_any_transition_diverges(posterior):
    stats = posterior["sample_stats"]
    # none of 200 diverged; at the usual target acceptance of 0.8 more than 5% did
    assert float(stats["diverging"].mean()) < 0.05
    # p weights about a mode: the log density varies by sqrt(p/2), which is 4
    level = stats["lp"].mean("draw")
    assert abs(float(level[0] - level[1])) < 4.0


def test_forces_of_frames_not_seen_are_predicted_with_their_error(posed, posterior, truth):
    held_out = forces_of(truth, 2, frames=6, noise=0.0)

    def judged(tree):
        found = force_uncertainty(posed, tree, held_out.drop_vars("force"), draws=100, group="posterior")
        missed = np.abs(found["force_mean"].values - held_out["force"].values)
        inside = np.mean(missed < 1.645 * found["force_deviation"].values)
        return float(np.sqrt(np.mean(missed**2))), float(inside)

    missed, inside = judged(posterior)
    # 35 weights from 288 components leave sqrt(35/288) of the noise, if the forces were linear in them
    assert missed < np.sqrt(35 / 288) * NOISE
    # 90% are due; components of one network err together, as a few independent numbers
    assert 0.75 < inside <= 1.0
    # control: draws of a quarter of the width do not cover
    mean = posterior["posterior"].to_dataset().mean(("chain", "draw"))
    narrow = mean + 0.25 * (posterior["posterior"].to_dataset() - mean)
    narrow = xr.DataTree.from_dict({"posterior": narrow.transpose("chain", "draw", ...)})
    assert judged(narrow)[1] < 0.75
