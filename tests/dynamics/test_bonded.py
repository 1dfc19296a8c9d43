"""Molecules in motion: distributions against closed forms, exclusions, and timesteps that are too long."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg._checks import BayescgError, BayescgWarning
from bayescg.dynamics import simulate_ensemble
from bayescg.dynamics.neighbors import find_neighbors
from bayescg.dynamics.timestep import check_timestep
from bayescg.interfaces import Sampled, Support, Topology
from bayescg.model import Model, with_values
from bayescg.numerics.bond_graph import bond_angles, bond_dihedrals, partners_within
from bayescg.numerics.host_loop import HostLoop
from bayescg.observables import BondAngle, BondLength, DihedralAngle
from bayescg.potentials import HarmonicAngle, HarmonicBond, LennardJones, PeriodicDihedral
from bayescg.units import thermal_energy

MOLECULES, EDGE, LENGTH, MASS = 24, 6.0, 0.25, 10.0
STIFFNESSES = 2000.0, 4000.0
KT = thermal_energy(300.0)


def chains(count, size, *, separation=2, masses=MASS):
    """Molecules of so many beads in a row, all of one type."""
    bonds = np.array([[size * m + k, size * m + k + 1] for m in range(count) for k in range(size - 1)])
    beads = size * count
    return Topology(
        jnp.zeros(beads, jnp.int32),
        jnp.full(beads, masses) if np.ndim(masses) == 0 else jnp.tile(jnp.asarray(masses), count),
        jnp.repeat(jnp.arange(count), size),
        jnp.asarray(bonds),
        ("A",),
        angles=jnp.asarray(bond_angles(bonds)),
        dihedrals=jnp.asarray(bond_dihedrals(bonds)),
        excluded=jnp.asarray(partners_within(beads, bonds, separation=separation)),
    )


def springs(stiffness, length=LENGTH):
    bond = Sampled("bond", (0, 0), 0.2, 0.3, length, 1e3)
    ready = HarmonicBond().prepare(Support(("A",), (0.2,), internal=(bond,)))
    return with_values(ready, {"coefficients": [[0.0, stiffness]]})


BEND, REST_ANGLE, WAVE = 60.0, 2.0, 2.0
OBSERVABLES = [BondLength(0.1, 0.45, 70), BondAngle(bins=63), DihedralAngle(bins=40)]


@pytest.fixture(scope="module")
def gas():
    """Chains of four beads, dilute, two draws, with pairs in a chain excluded or not."""

    def run(*, excluded):
        rng = np.random.default_rng(0)
        zigzag = LENGTH * np.array([[k * np.sin(1.0), (k % 2) * np.cos(1.0), 0.0] for k in range(4)])
        start = (rng.uniform(0, EDGE, size=(MOLECULES, 1, 3)) + zigzag).reshape(-1, 3)
        support = Support(
            ("A",),
            (0.2,),
            internal=(
                Sampled("angle", (0, 0, 0), 1.0, 3.0, REST_ANGLE, BEND),
                Sampled("dihedral", (0, 0, 0, 0), -3.1, 3.1, 0.0, 1.0),
            ),
        )
        torsion = with_values(PeriodicDihedral(1).prepare(support), {"coefficients": [[WAVE]]})
        # beads repel below 0.32 nm: bonds of 0.25 nm are out of their reach only if they are excluded
        repulsion = LennardJones(0.1, 0.3, 0.9).prepare(support)
        rest = HarmonicAngle().prepare(support) + torsion + repulsion
        topology = chains(MOLECULES, 4, separation=3)
        if not excluded:  # padding alone: the same shapes and so the same program
            nobody = jnp.full_like(topology.excluded, len(start))
            topology = eqx.tree_at(lambda t: t.excluded, topology, nobody)
        return simulate_ensemble(
            [Model(springs(k) + rest) for k in STIFFNESSES],
            np.stack([start, start]),
            box=[EDGE] * 3,
            topology=topology,
            temperature=300.0,
            timestep=0.004,
            steps=4000,
            equilibration=800,
            friction=5.0,
            observables=OBSERVABLES,
            measure_every=20,
            key=jax.random.key(1),
            loop=HostLoop(progress=False),
            records=20,
        )

    return run


def moments(run, observable, functions):
    """Mean of functions of a coordinate in every block: (function, draw, record)."""
    curve, axis = run[observable.name].values[:, :, 0], run[observable.axis].values
    width = axis[1] - axis[0]
    return np.array([curve @ function(axis) * width for function in functions])


def exact(density, low, high, functions):
    """The same of a density on a fine grid."""
    q = np.linspace(low, high, 20001)[1:-1]
    p = density(q)
    return [(p * function(q)).sum() / p.sum() for function in functions]


def test_bonds_angles_and_dihedrals_are_distributed_as_their_closed_forms(gas):
    """p ∝ r² e^(-u/kT), sin theta e^(-u/kT), e^(-u/kT): moments within four standard errors of 20 blocks.

    The chains' own pairs are excluded up to 1-4; at 0.7 beads/nm³ other molecules shift nothing that shows.
    """
    run = gas(excluded=True)
    first = lambda q: q  # noqa: E731
    for draw, k in enumerate(STIFFNESSES):
        laws = (
            lambda r, k=k: r**2 * np.exp(-0.5 * k * (r - LENGTH) ** 2 / KT),
            lambda t: np.sin(t) * np.exp(-0.5 * BEND * (t - REST_ANGLE) ** 2 / KT),
            lambda f: np.exp(-WAVE * np.cos(f) / KT),
        )
        centers = (LENGTH, REST_ANGLE, 0.0)
        for observable, law, center in zip(OBSERVABLES, laws, centers, strict=True):
            spread = np.cos if observable.axis == "dihedral_angle" else lambda q, c=center: (q - c) ** 2
            functions = [spread] if observable.axis == "dihedral_angle" else [first, spread]
            expected = exact(law, observable.minimum, observable.maximum, functions)
            found = moments(run, observable, functions)[:, draw]
            error = found.std(axis=1, ddof=1) / np.sqrt(found.shape[1])
            # a square has h²/12 more in bins of width h; 2% of it is the most that the timestep adds
            width = (observable.maximum - observable.minimum) / observable.bins
            slack = np.array([0.0, width**2 / 12 + 0.02 * expected[-1]])[: len(functions)]
            assert (np.abs(found.mean(axis=1) - expected) < 4 * error + slack).all()
            assert (error < 0.15 * np.abs(expected)).all()
    # control: repelled by its own partner, every bond is longer by many errors
    wrong, right = (moments(one, OBSERVABLES[0], [first])[0] for one in (gas(excluded=False), run))
    error = np.hypot(wrong.std(axis=1), right.std(axis=1)) / np.sqrt(20)
    assert ((wrong.mean(axis=1) - right.mean(axis=1)) > 10 * error).all()


def test_neighbours_are_all_beads_within_reach_but_the_excluded():
    rng = np.random.default_rng(2)
    x, box = rng.uniform(0, 1.5, size=(24, 3)), np.full(3, 1.5)
    for separation in (0, 1, 2):
        topology = chains(6, 4, separation=separation)
        found = find_neighbors(
            jnp.asarray(x), box=jnp.asarray(box), topology=topology, reach=0.7, capacity=23
        )
        step = x[None] - x[:, None]
        near = np.linalg.norm(step - box * np.round(step / box), axis=-1) < 0.7
        excluded = np.eye(24, dtype=bool)
        for bead, row in enumerate(np.asarray(topology.excluded)):
            excluded[bead, row[row < 24]] = True
        expected = [np.flatnonzero(row).tolist() for row in near & ~excluded]
        assert [sorted(j for j in row if j < 24) for row in found.indices.tolist()] == expected
        assert int(found.widest) == max(map(len, expected))
        missing = (near & excluded).sum() - 24  # beads themselves aside
        assert missing > 10 if separation else missing == 0


@pytest.mark.parametrize("masses", [(10.0, 10.0), (16.0, 1.0)])
def test_the_timestep_of_a_bond_is_judged_by_its_frequency(masses):
    """omega² = k (1/m1 + 1/m2); refused from omega dt = 2, warned of above a tenth of the period."""
    k = 1e5
    omega = np.sqrt(k * (1 / masses[0] + 1 / masses[1]))
    topology = chains(3, 2, masses=masses)
    start = np.array([[[3.0 * m, 0.25 * e, 0.0] for m in range(3) for e in range(2)]])
    judge = lambda dt: check_timestep([Model(springs(k))], start, box=None, topology=topology, timestep=dt)  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge(0.99 * 2 * np.pi / omega / 10)
    with pytest.warns(
        BayescgWarning, match=rf"a tenth of the period of the stiffest .* {2 * np.pi / omega:.3g} ps"
    ):
        judge(1.01 * 2 * np.pi / omega / 10)
    with pytest.warns(BayescgWarning, match="distribution will be too wide"):
        judge(0.99 * 2 / omega)
    with pytest.raises(BayescgError, match=f"timestep must be below {2 / omega:.3g} ps"):
        judge(1.01 * 2 / omega)


def test_coupled_bonds_vibrate_faster_than_one():
    """Three equal beads in a line: the fastest mode has omega² = 3 k/m; one bond alone 2 k/m."""
    k, omega = 1e5, np.sqrt(3 * 1e5 / MASS)
    angle = Sampled("angle", (0, 0, 0), 2.0, 3.1, 3.0, 1.0)
    bend = HarmonicAngle().prepare(Support(("A",), (0.2,), internal=(angle,)))
    start = np.array([[[0.0, 0, 0], [0.25, 0, 0], [0.5, 0, 0]]])
    topology = chains(1, 3)
    model = Model(springs(k) + bend)
    with pytest.warns(BayescgWarning, match="tenth of the period"):
        check_timestep([model], start, box=None, topology=topology, timestep=1.98 / omega)
    with pytest.raises(BayescgError, match="would explode"):
        check_timestep([model], start, box=None, topology=topology, timestep=2.02 / omega)
    # control: the criterion of a single bond would let it pass
    assert 2.02 / omega < 2 / np.sqrt(2 * k / MASS)
