"""Files for GROMACS read back as GROMACS reads them: tables, topology, structure, settings."""

import numpy as np
import pytest

from bayescg import export, potentials
from bayescg._checks import BayescgError, BayescgWarning
from bayescg.export.curves import chain_curves, pair_curves, terms_of
from bayescg.export.gromacs_tables import DEGREES, SPACING
from bayescg.inference import models_of, select_draws
from bayescg.memory import Prony
from tests import bonded_chains as chains

PRINTED = 1e-12
"""Relative, of numbers with thirteen digits."""


def potential():
    return chains.total(potentials.PairSpline(cutoff=0.9, knots=12), *chains.BONDED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("gromacs")
    problem, posterior = chains.problem_and_posterior(potential())
    model = models_of(problem, select_draws(posterior, draws=1))[0]
    paths = export.gromacs(problem, posterior, place, draws=1)
    return paths[0], problem, terms_of(model.potential, program="GROMACS")


def hermite_force(q, energy, force):
    """Minus the slope, in the middle of every interval, of the cubic that GROMACS lays through two rows."""
    width = np.diff(q)
    return -1.5 * np.diff(energy) / width - 0.25 * (force[1:] + force[:-1])


def consistent(q, energy, force, *, unit=1.0):
    """Whether column three is minus the derivative of column two: by differences, where both are smooth."""
    middle = 0.5 * (force[1:] + force[:-1])
    slope = -np.diff(energy) / np.diff(q)
    return np.median(np.abs(slope - middle)) < 1e-3 * np.median(np.abs(middle)) + 1e-12


def test_pair_tables_are_the_pair_potential(folder):
    place, _, terms = folder
    names = {"table_A_A.xvg": 0, "table_A_B.xvg": 1, "table_B_B.xvg": 2}
    for name, row in names.items():
        r, f, df, g, dg, h, dh = np.loadtxt(place / name).T
        assert not np.concatenate([f, df, h, dh]).any()
        np.testing.assert_allclose(r, SPACING * np.arange(len(r)), atol=1e-12)
        assert r[-1] == pytest.approx(0.9 + 1.0)
        exact = pair_curves(terms.pairs, 2, np.maximum(r, 1e-6))
        np.testing.assert_allclose(g[1:], exact.energy[row, 1:], rtol=PRINTED, atol=1e-12)
        np.testing.assert_allclose(dg, exact.force[row], rtol=PRINTED, atol=1e-12)
        assert not g[r >= 0.9].any()
        assert consistent(r[:901], g[:901], dg[:901])
        assert not consistent(r[:901], dg[:901], g[:901])  # negative control: swapped columns
        # what GROMACS makes of the rows half-way between them, against the potential there
        between = pair_curves(terms.pairs, 2, 0.5 * (r[1:901] + r[:900])).force[row]
        wrong = np.abs(hermite_force(r[:901], g[:901], dg[:901]) - between)
        # where the spline is one cubic it is that cubic; at a knot, or the end of the core, the force bends
        bend = np.pad(np.abs(np.diff(dg[:901], 2)), 1)
        digits = 3 * PRINTED * np.abs(g).max() / SPACING
        assert np.median(wrong) < digits
        assert (wrong < 0.5 * np.maximum(bend[:-1], bend[1:]) + digits)[1:].all()
    assert "2019" in (place / "table.xvg").read_text().splitlines()[0]
    assert (place / "table.xvg").read_text() == (place / "table_A_A.xvg").read_text()


@pytest.mark.parametrize(("chain", "letter"), [("bond", "b"), ("angle", "a"), ("dihedral", "d")])
def test_bonded_tables_are_the_bonded_potential_in_degrees(folder, chain, letter):
    place, _, terms = folder
    kinds = sorted({kind for term in terms.chains if term.coordinate.chain == chain for kind in term.kinds})
    for number, kind in enumerate(kinds):
        q, energy, force = np.loadtxt(place / f"table_{letter}{number}.xvg").T
        unit = 1.0 if chain == "bond" else np.pi / 180
        exact = chain_curves(terms.chains, chain, (kind,), q * unit)
        np.testing.assert_allclose(energy, exact.energy[0], rtol=PRINTED, atol=1e-12)
        np.testing.assert_allclose(force, exact.force[0] * unit, rtol=PRINTED, atol=1e-12)
        assert consistent(q, energy, force)
        assert not consistent(q * unit, energy, force) or chain == "bond"  # negative control: radians
        ends = {"bond": (0.0, None), "angle": (0.0, 180.0), "dihedral": (-180.0, 180.0)}[chain]
        assert q[0] == pytest.approx(ends[0])
        assert ends[1] is None or q[-1] == pytest.approx(ends[1])
        assert chain == "bond" or np.diff(q) == pytest.approx(DEGREES)
    assert not (place / f"table_{letter}{len(kinds)}.xvg").exists()


def sections(text):
    found, name = {}, ""
    for line in text.splitlines():
        line = line.split(";")[0].strip()
        if line.startswith("["):
            name = line.strip("[] ")
            found.setdefault(name, [])
        elif line:
            found[name].append(line.split())
    return found


def test_topology_names_every_chain_its_table_and_every_exclusion(folder):
    place, _, terms = folder
    found, topology = sections((place / "topol.top").read_text()), chains.topology()
    assert found["molecules"] == [["M1", "12"]]
    assert [row[1] for row in found["atoms"]] == ["A", "B", "A", "A", "B"]
    assert [float(row[-1]) for row in found["atoms"]] == [12.0, 30.0, 12.0, 12.0, 30.0]
    assert {row[0]: row[-2:] for row in found["atomtypes"]} == {"A": ["1.0", "0.0"], "B": ["1.0", "0.0"]}
    types = np.asarray(topology.types)
    for directive, members, chain in (
        ("bonds", topology.bonds, "bond"),
        ("angles", topology.angles, "angle"),
        ("dihedrals", topology.dihedrals, "dihedral"),
    ):
        size = members.shape[1]
        own = {tuple(row) for row in np.asarray(members).tolist() if row[0] < 5}
        assert {tuple(int(i) - 1 for i in row[:size]) for row in found[directive]} == own
        kinds = sorted(
            {kind for term in terms.chains if term.coordinate.chain == chain for kind in term.kinds}
        )
        for row in found[directive]:
            kind = tuple(types[[int(i) - 1 for i in row[:size]]].tolist())
            assert kinds[int(row[size + 1])] == min(kind, kind[::-1])
            assert row[size] == "8"
    pairs = {tuple(int(i) - 1 for i in row) for row in found["exclusions"]}
    excluded = np.asarray(topology.excluded)
    assert pairs == {(i, j) for i in range(5) for j in excluded[i].tolist() if i < j < 60}


def test_structure_groups_and_settings_fit(folder):
    place, problem, _ = folder
    lines = (place / "start.gro").read_text().splitlines()
    x = np.array([[float(line[20 + 11 * k : 31 + 11 * k]) for k in range(3)] for line in lines[2:-1]])
    np.testing.assert_allclose(x, problem.beads["position"][2], atol=5.1e-7)  # six decimals
    np.testing.assert_allclose([float(edge) for edge in lines[-1].split()], chains.BOX, atol=1e-6)
    groups = sections((place / "index.ndx").read_text())
    beads = np.array([int(i) - 1 for row in groups["B"] for i in row])
    np.testing.assert_array_equal(beads, np.flatnonzero(np.asarray(chains.topology().types) == 1))
    settings = dict(
        line.split("=") for line in (place / "run.mdp").read_text().splitlines() if "=" in line[:30]
    )
    settings = {key.strip(): value.strip() for key, value in settings.items()}
    assert settings["energygrp-table"] == "A A A B B B"
    assert float(settings["rvdw"]) == 0.9
    for table in ("table_b0.xvg", "table_a0.xvg", "table_d0.xvg"):
        assert table in (place / "run.sh").read_text()


def test_a_memory_is_left_out_and_said_and_a_network_is_refused(tmp_path):
    spline = chains.total(potentials.PairSpline(cutoff=0.9, knots=12), potentials.HarmonicBond())
    memory = Prony(1, times=[0.1], frictions=[20.0])
    with pytest.warns(BayescgWarning, match="memory is left out"):
        export.gromacs(*chains.problem_and_posterior(spline, memory), tmp_path, draws=1)
    many = chains.total(potentials.HarmonicBond(), potentials.StillingerWeber())
    with pytest.raises(BayescgError, match="StillingerWeber"):
        export.gromacs(*chains.problem_and_posterior(many), tmp_path, draws=1)
