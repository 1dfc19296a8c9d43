"""What LAMMPS computes from exported files is what the model says: energy, forces, virial of real frames."""

import functools
import re
import subprocess

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

import bayescg as bcg
from bayescg.data.boltzmann_inversion import sampled_internal
from bayescg.export.curves import chain_curves, pair_curves, terms_of
from bayescg.export.lammps_folder import Integration, write_folder
from bayescg.export.lammps_program import find_lammps
from bayescg.export.lammps_system import SPECIAL_BONDS
from bayescg.export.lammps_tables import INNERMOST, POINTS
from bayescg.interfaces import Configuration, Sampled, Support, Topology, type_pairs
from bayescg.model import Model, with_values
from bayescg.numerics.bond_graph import bond_angles, bond_dihedrals, partners_within
from bayescg.numerics.pairs import neighbor_matrix, pairs_within
from bayescg.predict.lammps_engine import TABLE_POINTS

OUTPUT = [
    "compute virial all pressure NULL virial",
    "thermo_style custom step pe c_virial[1] c_virial[2] c_virial[3] vol",
    "thermo_modify format float %22.16g",
    "dump forces all custom 1 forces.txt id fx fy fz",
    "dump_modify forces sort id format float %22.16g",
    "run 0",
]
KILOCALORIE, ANGSTROM, ATMOSPHERE = 4.184, 0.1, 1.01325 * 0.0602214076


def in_lammps(folder, model, frame, *, points=POINTS):
    """Energy (kJ/mol), forces (kJ/mol/nm) and the three virials (kJ/mol) of a frame."""
    x, box, topology = frame
    motion = Integration(300.0, 0.002, "NVE")
    write_folder(folder, model, x, box, topology, motion, run=OUTPUT, points=points)
    return run_here(folder, len(x))


def run_here(folder, beads):
    program = find_lammps()
    done = subprocess.run(
        [program.command, "-in", "input.lammps", "-screen", "none"],
        cwd=folder,
        env=program.environment(),
        capture_output=True,
        text=True,
    )
    log = (folder / "log.lammps").read_text()
    assert done.returncode == 0, log[-600:]
    row = np.array(re.search(r"PotEng.*\n(.*)\n", log)[1].split(), float)
    forces = np.loadtxt(folder / "forces.txt", skiprows=9).reshape(beads, 4)[:, 1:]
    volume = row[5] * ANGSTROM**3
    return row[1] * KILOCALORIE, forces * KILOCALORIE / ANGSTROM, row[2:5] * ATMOSPHERE * volume


def by_us(model, frame):
    """The same from the potential, the virial as the derivative by the edges of the box."""
    x, box, topology = frame
    pairs = pairs_within(x, box, model.potential.cutoff, excluded=np.asarray(topology.excluded))
    near = jnp.asarray(neighbor_matrix(pairs, len(x)))
    frame = Configuration(jnp.asarray(x), jnp.asarray(box), near, topology)

    @eqx.filter_jit
    def both(potential, frame):
        def strained(strain, x):
            moved = ((1 + strain) * x, (1 + strain) * frame.box)
            return potential.energy(eqx.tree_at(lambda c: (c.positions, c.box), frame, moved))

        value, slopes = jax.value_and_grad(strained, argnums=(0, 1))(jnp.zeros(3), frame.positions)
        return value, -slopes[1], -slopes[0]

    return [np.asarray(part) for part in both(model.potential, frame)]


def frame_of(beads, index):
    positions, boxes = (
        beads[name].isel(frame=index).to_numpy().astype(float) for name in ("position", "box")
    )
    return positions, boxes, bcg.data.topology(beads)


def draw_of(term, seed, scale):
    """Coefficients that no fit would give, so that nothing agrees by symmetry."""
    theta = np.asarray(term.coefficients)
    noise = scale * np.random.default_rng(seed).normal(size=theta.shape)
    return with_values(term, {"coefficients": theta + noise})


def water():
    frame = frame_of(bcg.data.water(frames=2), 1)
    support = Support(frame[2].type_names, (0.25,))
    spline = draw_of(bcg.potentials.PairSpline(0.9, knots=24, start=0.245).prepare(support), 0, 3.0)
    lj = bcg.potentials.LennardJones(0.65, 0.3, 1.0).prepare(support)
    return Model(spline + lj), frame


def propanol():
    beads = bcg.data.propanol(frames=2)
    potential = (
        bcg.potentials.PairSpline(0.9, knots=12)
        + bcg.potentials.BondSpline(8)
        + bcg.potentials.AngleSpline(8)
    )
    names = bcg.data.topology(beads).type_names
    shortest = (0.25,) * (len(names) * (len(names) + 1) // 2)
    ready = potential.prepare(Support(names, shortest, internal=sampled_internal(beads)))
    terms = [draw_of(term, seed, 2.0) for seed, term in enumerate(ready.terms)]
    return Model(terms[0] + terms[1] + terms[2]), frame_of(beads, 1)


def chains():
    """27 chains of five beads, two types and three masses, with terms of every kind; far from each other."""
    rng, size, count, edge = np.random.default_rng(1), 5, 27, 4.5
    bonds = np.array([[size * m + k, size * m + k + 1] for m in range(count) for k in range(size - 1)])
    turn = 1.5 * np.arange(size)
    helix = np.stack([0.14 * np.cos(turn), 0.14 * np.sin(turn), 0.15 * np.arange(size)], axis=1)
    mirror = np.where(np.arange(count) % 2, 1.0, -1.0)[:, None, None] * np.array([1.0, 0.0, 0.0])
    mirror += np.array([0.0, 1.0, 1.0])
    lattice = 1.5 * np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(count, 1, 3)
    x = (lattice + mirror * helix + rng.normal(scale=0.02, size=(count, size, 3))).reshape(-1, 3)
    beads = len(x)
    topology = Topology(
        jnp.asarray(np.tile([0, 1, 1, 0, 1], count), jnp.int32),
        jnp.asarray(np.tile([15.0, 14.0, 14.0, 16.0, 14.0], count)),
        jnp.repeat(jnp.arange(count), size),
        jnp.asarray(bonds),
        ("A", "B"),
        angles=jnp.asarray(bond_angles(bonds)),
        dihedrals=jnp.asarray(bond_dihedrals(bonds)),
        excluded=jnp.asarray(partners_within(beads, bonds, separation=3)),
    )
    kinds = {
        "bond": ((0, 1), (1, 1)),
        "angle": ((0, 1, 1), (1, 0, 1), (1, 1, 0)),
        "dihedral": ((0, 1, 1, 0),),
    }
    support = Support(
        ("A", "B"),
        (0.2, 0.2, 0.2),
        internal=(
            *(Sampled("bond", kind, 0.15, 0.35, 0.25 + 0.01 * sum(kind), 5e3) for kind in kinds["bond"]),
            *(Sampled("angle", kind, 1.0, 2.8, 1.9, 40.0) for kind in kinds["angle"]),
            *(Sampled("dihedral", kind, -3.1, 3.1, 0.0, 1.0) for kind in kinds["dihedral"]),
        ),
    )
    many = [
        bcg.potentials.HarmonicBond(),
        bcg.potentials.HarmonicAngle(),
        bcg.potentials.PeriodicDihedral(2, chiral=True),
        bcg.potentials.DihedralSpline(12),
    ]
    drawn = [draw_of(term.prepare(support), seed, 2.0) for seed, term in enumerate(many)]
    pairs = bcg.potentials.LennardJones(0.4, 0.3, 0.9).prepare(support)
    return Model(sum(drawn, start=pairs)), (x, np.full(3, edge), topology)


def bounds(model, frame):
    """Largest errors of energy (kJ/mol), force (kJ/mol/nm) and virial (kJ/mol) that tables allow.

    The error of a table is that of scipy's cubic spline through the same points, LAMMPS's f/r and u over r²,
    or f over q, against the potential. Pairs: added up, at worst in phase, at the distances of the frame.
    Chains: the largest there is, for 10 chains of a bead with |dq/dx| below 25/nm; in the energy times the
    spacing of points. Twice as much is for what differs between two splines near kinks, and one part in 10^9
    for rounding and LAMMPS's constants.
    """
    x, box, topology = frame
    terms = terms_of(model.potential, program="LAMMPS")
    pairs = pairs_within(x, box, terms.cutoff, excluded=np.asarray(topology.excluded))
    nodes, r = np.sqrt(np.linspace(INNERMOST**2, terms.cutoff**2, POINTS)), pairs.distance
    kinds = np.sort(np.asarray(topology.types)[np.stack([pairs.first, pairs.second])], axis=0)
    du, df = np.zeros_like(r), np.zeros_like(r)
    table = pair_curves(terms.pairs, len(topology.type_names), nodes)
    exact = in_pieces(lambda r: pair_curves(terms.pairs, len(topology.type_names), r), r)
    for row, (a, b) in enumerate(type_pairs(len(topology.type_names))):
        mine = (kinds[0] == a) & (kinds[1] == b)
        force = r * CubicSpline(nodes[1:] ** 2, table.force[row, 1:] / nodes[1:])(r**2)
        energy = CubicSpline(nodes[1:] ** 2, table.energy[row, 1:])(r**2)
        df[mine], du[mine] = np.abs(force - exact[1][row])[mine], np.abs(energy - exact[0][row])[mine]
    chain = 0.0
    for term, one in [(own, one) for own in terms.chains for one in own.sampled]:
        ends = np.array([one.lowest, one.highest])
        q = np.linspace(*(np.arccos(ends[::-1]) if one.coordinate == "cosine" else ends), POINTS)
        middle = np.append(0.5 * (q[1:] + q[:-1]), q[0])
        points, between = (
            chain_curves((term,), term.coordinate.chain, (one.kind,), grid).force[0] for grid in (q, middle)
        )
        chain = max(chain, np.abs(CubicSpline(q, points)(middle) - between).max())
    per_bead = np.bincount(np.concatenate([pairs.first, pairs.second]), np.concatenate([df, df]))
    scale = np.abs(exact[1]).sum() / len(x)
    chains = 10 * 25 * chain
    count = sum(len(rows) for rows in (topology.bonds, topology.angles, topology.dihedrals))
    return (
        2 * du.sum() + count * chain * np.pi / POINTS + 1e-9,
        2 * (per_bead.max() + chains) + 1e-9 * scale,
        2 * ((df * r).sum() + len(x) * chains) + 1e-8 * scale * len(x),
    )


def in_pieces(curves, r):
    """Energies and forces, as many points at once as a table has: one compiled program serves all."""
    padded = np.append(r, np.full(-len(r) % POINTS, r[0])).reshape(-1, POINTS)
    found = [curves(piece) for piece in padded]
    parts = (np.concatenate(part, axis=1)[:, : len(r)] for part in zip(*found, strict=True))
    return list(parts)


SYSTEMS = {"water": water, "propanol": propanol, "chains": chains}


@pytest.fixture(scope="module")
def case():
    """Model, frame, what the model says of it, and what tables may differ by."""

    @functools.cache
    def of(name):
        model, frame = SYSTEMS[name]()
        return model, frame, by_us(model, frame), bounds(model, frame)

    return of


def errors(found, expected):
    return [float(np.abs(a - b).max()) for a, b in zip(found, expected, strict=True)]


@pytest.mark.parametrize("name", SYSTEMS)
def test_exported_model_is_the_model(name, case, tmp_path, record_property):
    model, frame, expected, allowed = case(name)
    found = errors(in_lammps(tmp_path, model, frame), expected)
    scale = float(np.sqrt(np.mean(expected[1] ** 2)))
    listed = ", ".join(f"{error:.1e} of {most:.1e}" for error, most in zip(found, allowed, strict=True))
    record_property("measured", f"{name}: errors of energy, force, virial {listed}, rms force {scale:.0f}")
    for error, most in zip(found, allowed, strict=True):
        assert error < most
    assert allowed[1] < 1e-3 * scale


@pytest.mark.parametrize("name", ["water", "propanol"])
def test_the_shorter_tables_of_a_run_are_right_to_a_ten_thousandth(name, case, tmp_path, record_property):
    model, frame, expected, _ = case(name)
    largest = np.abs(expected[1]).max()

    def off(points):
        folder = tmp_path / str(points)
        return np.abs(in_lammps(folder, model, frame, points=points)[1] - expected[1]).max() / largest

    record_property("measured", f"{name}: forces of {TABLE_POINTS} points {off(TABLE_POINTS):.1e}")
    assert off(TABLE_POINTS) < 1e-4
    assert off(500) > 1e-4  # control


def test_a_wrong_calorie_or_exclusion_is_seen(case, tmp_path, monkeypatch):
    model, frame, expected, allowed = case("chains")
    with monkeypatch.context() as patch:
        patch.setattr("bayescg.export.lammps_tables.KILOCALORIE", 4.1868)
        found = errors(in_lammps(tmp_path / "calorie", model, frame), expected)
    assert all(error > 3 * most for error, most in zip(found[:2], allowed[:2], strict=True))
    with monkeypatch.context() as patch:
        patch.setitem(SPECIAL_BONDS, 3, "0 0 1")
        found = errors(in_lammps(tmp_path / "exclusion", model, frame), expected)
    assert all(error > 3 * most for error, most in zip(found, allowed, strict=True))
