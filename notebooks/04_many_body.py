# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What pairs cannot see: angles, hands and the symmetries of space
#
# A potential of mean force is many-body. Four known answers show which potential sees what.

# %%
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import bayescg as bcg
from bayescg.interfaces import Configuration, Support, Topology
from bayescg.numerics.pairs import neighbor_matrix, pairs_within

bcg.enable_x64()


def frame_of(positions, cutoff, types=("A",), kinds=None, box=None):
    """A configuration with its neighbours, wide enough for all."""
    x = np.asarray(positions, dtype=float)
    neighbors = neighbor_matrix(pairs_within(x, box, cutoff), len(x), len(x))
    kinds = np.zeros(len(x), dtype=int) if kinds is None else np.asarray(kinds)
    nobody = jnp.zeros((0, 2), dtype=int)
    topology = Topology(jnp.asarray(kinds), jnp.ones(len(x)), jnp.arange(len(x)), nobody, types)
    edges = None if box is None else jnp.asarray(box)
    return Configuration(jnp.asarray(x), edges, jnp.asarray(neighbors), topology)


def random_pair(cutoff, types, seed=0):
    """A pair spline with random coefficients."""
    pairs = len(types) * (len(types) + 1) // 2
    spline = bcg.potentials.PairSpline(cutoff=cutoff, knots=24, start=0.05)
    spline = spline.prepare(Support(types, (0.05,) * pairs))
    drawn = np.random.default_rng(seed).normal(size=spline.coefficients.shape)
    return bcg.model.with_values(spline, {"coefficients": drawn})


# %% [markdown]
# ## 1. Equal distances, different shapes
#
# Two sets of six points with the same 15 distances (homometric sets). A pair potential gives them one energy,
# whatever its coefficients; a potential that multiplies what a bead sees of two neighbours does not.

# %%
sets = [0, 1, 4, 10, 12, 17], [0, 1, 8, 11, 13, 17]
distances = [sorted(abs(a - b) for a, b in itertools.combinations(points, 2)) for points in sets]
assert distances[0] == distances[1]
frames = [frame_of(np.outer(points, [0.1, 0.0, 0.0]), 2.0) for points in sets]
network = bcg.potentials.Equivariant(2.0, channels=4, radial=6, layers=1).prepare(Support(("A",), (0.1,)))
pair = random_pair(2.0, ("A",))
for name, potential in {"pair": pair, "equivariant": network}.items():
    print(name, *(f"{float(potential.energy(frame)):.10f}" for frame in frames), "kJ/mol")
assert abs(float(pair.energy(frames[0]) - pair.energy(frames[1]))) < 1e-10
assert abs(float(network.energy(frames[0]) - network.energy(frames[1]))) > 1e-5

# %% [markdown]
# ## 2. Left and right
#
# Four different beads at the corners of an uneven tetrahedron, and their mirror image. Physics without handed
# surroundings gives both one energy, and so does an O(3)-invariant potential, however deep. With
# `parity=False` pseudoscalars such as $a\cdot(b\times c)$ are let through, and hands differ, while rotations
# still change nothing.

# %%
types = ("A", "B", "C", "D")
corners = np.array([[0.0, 0.0, 0.0], [0.35, 0.0, 0.0], [0.1, 0.4, 0.0], [0.15, 0.1, 0.45]])
left, right = (frame_of(corners * mirror, 0.9, types, range(4)) for mirror in ([1, 1, 1], [1, 1, -1]))
settings = {"channels": 2, "l_max": 1, "radial": 3, "correlation": 3, "layers": 1}
hands = {}
for parity in (True, False):
    network = bcg.potentials.Equivariant(0.9, parity=parity, **settings)
    network = network.prepare(Support(types, (0.25,) * 10))
    hands[parity] = float(network.energy(left) - network.energy(right))
    print(f"parity={parity}: left minus right {hands[parity]:.2e} kJ/mol")
assert abs(hands[True]) < 1e-10
assert abs(hands[False]) > 1e-6  # far above rounding, 1e-16

# %% [markdown]
# ## 3. Silicon's angles
#
# Forces of a Stillinger-Weber model, exactly known. Least squares without noise leaves only the model's own
# error on frames that were not fitted: pairs miss a good part, a three-body spline little.

# %%
truth = bcg.potentials.StillingerWeber(25.0, 0.25, 21.0).prepare(Support(("A",), (0.2,)))
rng, box, cutoff = np.random.default_rng(7), np.full(3, 0.9), 0.45
lattice = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * 0.3
frames = [frame_of(lattice + rng.uniform(-0.05, 0.05, lattice.shape), cutoff, box=box) for _ in range(16)]
true_forces = eqx.filter_jit(lambda frame: truth.forces(frame))
targets = np.stack([np.asarray(true_forces(frame)).ravel() for frame in frames])


def left_over(potential):
    """Relative error of the forces on the last four frames, fitted to the first twelve."""
    ready = potential.prepare(Support(("A",), (0.2,)))
    rows_of = eqx.filter_jit(lambda frame: ready.basis_forces(frame))
    rows = np.stack([np.asarray(rows_of(frame)).reshape(81, -1) for frame in frames])
    theta = np.linalg.lstsq(np.concatenate(rows[:12]), targets[:12].ravel(), rcond=1e-9)[0]
    return np.linalg.norm(rows[12:] @ theta - targets[12:]) / np.linalg.norm(targets[12:])


spline = bcg.potentials.PairSpline(cutoff=cutoff, knots=12, start=0.2)
angles = bcg.potentials.ThreeBodySpline(cutoff=cutoff, radial=4, angular=2)
alone, together = left_over(spline), left_over(spline + angles)
print(f"held-out error: pairs {alone:.3f}, pairs and angles {together:.3f}")
assert alone > 0.15
assert together < 0.3 * alone

# %% [markdown]
# Fitted with its own formula, the three-body strength and the preferred angle come back: with exact forces
# the sum of squares is zero at the true values alone.

# %%
start = {"epsilon": 20.0, "sigma": 0.245, "three_body_strength": 15.0, "cos_angle": -0.2}
names = tuple(start)


@jax.jit
def residual(values):
    model = bcg.model.with_values(
        truth, {n: jnp.full(getattr(truth, n).shape, v) for n, v in zip(names, values, strict=True)}
    )
    of_frame = [model.forces(frames[n]).ravel() - targets[n] for n in range(2)]
    return jnp.concatenate(of_frame)


slopes, values = jax.jit(jax.jacfwd(residual)), np.array(list(start.values()))
for _ in range(15):  # Gauss-Newton
    values = values - np.linalg.lstsq(np.asarray(slopes(values)), np.asarray(residual(values)))[0]
print(dict(zip(names, values.round(6), strict=True)))
np.testing.assert_allclose(values, [25.0, 0.25, 21.0, -1 / 3], rtol=1e-6)
