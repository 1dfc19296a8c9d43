"""Bonded terms and exclusions in force matching: known forces give back their coefficients."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import Configuration, Support
from bayescg.likelihoods.design import Frame, design
from bayescg.likelihoods.force_matching import ForceMatching, coefficients
from bayescg.likelihoods.frames import gather_frames
from bayescg.likelihoods.path_forces import basis_series
from bayescg.likelihoods.path_scales import support
from bayescg.likelihoods.path_series import stretches
from bayescg.likelihoods.reading import frames_of, internal_of
from bayescg.model import with_values
from bayescg.numerics.pairs import neighbor_matrix, pairs_within

FRAMES, MOLECULES, EDGE, CUTOFF = 8, 10, 2.2, 0.9
POTENTIAL = (
    bcg.potentials.HarmonicBond()
    + bcg.potentials.AngleSpline(knots=6)
    + bcg.potentials.PeriodicDihedral(multiplicity=2)
    + bcg.potentials.PairSpline(cutoff=CUTOFF, knots=6, start=0.0)
)


@pytest.fixture(scope="module")
def beads():
    """A-B-B-A chains at random places of a box: bonds are found by several ranges of the search."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, EDGE, size=(FRAMES, MOLECULES, 1, 3))
    for _ in range(3):
        way = rng.normal(size=(FRAMES, MOLECULES, 1, 3))
        step = rng.uniform(0.25, 0.35, size=(FRAMES, MOLECULES, 1, 1))
        x = np.concatenate(
            [x, x[:, :, -1:] + step * way / np.linalg.norm(way, axis=-1, keepdims=True)], axis=2
        )
    x = x.reshape(FRAMES, 4 * MOLECULES, 3) + EDGE * rng.integers(-1, 2, size=(FRAMES, 4 * MOLECULES, 3))
    place = 4 * np.arange(MOLECULES)[:, None]
    return bcg.data.validate(
        xr.Dataset(
            {
                "position": (("frame", "bead", "dim"), x, {"units": "nm"}),
                "force": (("frame", "bead", "dim"), np.ones(x.shape), {"units": "kJ/mol/nm"}),
                "velocity": (("frame", "bead", "dim"), 0.4 * rng.normal(size=x.shape), {"units": "nm/ps"}),
                "box": (("frame", "dim"), np.full((FRAMES, 3), EDGE), {"units": "nm"}),
                "mass": ("bead", np.full(4 * MOLECULES, 15.0), {"units": "amu"}),
                "type": ("bead", np.tile(["A", "B", "B", "A"], MOLECULES)),
                "molecule": ("bead", np.repeat(np.arange(MOLECULES), 4)),
                "bond": (("bond", "end"), np.concatenate([place + np.array([k, k + 1]) for k in range(3)])),
            },
            coords={"time": ("frame", 0.01 * np.arange(FRAMES), {"units": "ps"}), "dim": list("xyz")},
            attrs={"temperature": 300.0},
        )
    )


@pytest.fixture(scope="module")
def true(beads):
    """The potential with coefficients of its own, prepared for the beads."""
    names = bcg.data.topology(beads).type_names
    ready = POTENTIAL.prepare(Support(names, (0.1,) * 3, internal=internal_of([beads])))
    rng = np.random.default_rng(1)
    drawn = {
        path: rng.uniform(2, 20, size=value.shape) for path, value in bcg.model.parameters(ready).items()
    }
    return with_values(ready, drawn)


@eqx.filter_jit
def forces_of(potential, frame):
    return potential.forces(frame)


def all_pairs(beads, index, excluded):
    """Every bead with every other that is not excluded, not only those within the cutoff."""
    topology = bcg.data.topology(beads)
    count = topology.types.shape[0]
    lists = [
        [j for j in range(count) if j != i and not (excluded and j in topology.excluded[i])]
        for i in range(count)
    ]
    rows = np.full((count, count), count)
    for row, members in zip(rows, lists, strict=True):
        row[: len(members)] = members
    x, box = (jnp.asarray(beads[name].values[index]) for name in ("position", "box"))
    return Configuration(x, box, jnp.asarray(rows), topology)


@pytest.fixture(scope="module")
def matched(beads, true):
    """Data whose forces are the potential's, over all pairs but the excluded, and their statistics."""
    forces = [forces_of(true, all_pairs(beads, index, excluded=True)) for index in range(FRAMES)]
    data = beads.assign(force=beads["force"].copy(data=np.stack(forces)))
    model, matching = ForceMatching(blocks_kept=8).prepare(bcg.Model(POTENTIAL), data)
    return data, model, matching.observe(model, data)


def best(observations):
    gram, projection = (np.asarray(part.sum(axis=0)) for part in observations.total[:2])
    # in units of every feature's own size; what data do not determine is left at zero
    size = np.sqrt(np.diag(gram)) + 1e-9
    return np.linalg.lstsq(gram / np.outer(size, size), projection / size, rcond=1e-12)[0] / size


def test_bonds_angles_dihedrals_and_pairs_come_back_at_once(matched, true):
    """Without noise; normal equations lose half of the sixteen digits and the condition of the rest."""
    _, model, seen = matched
    square = float(seen.total.square.sum())
    assert float(seen.squared_error(seen.total, jnp.asarray(best(seen))).sum()) < 1e-10 * square
    starts = np.cumsum([0] + [np.asarray(t.coefficients).size for t in true.terms])
    for index, term in enumerate(true.terms[:3]):
        found = best(seen)[starts[index] : starts[index + 1]].reshape(term.coefficients.shape)
        np.testing.assert_allclose(found, term.coefficients, rtol=1e-4, atol=1e-4)
    assert [type(term).__name__ for term in model.potential.terms] == [type(t).__name__ for t in true.terms]


def test_without_exclusions_the_same_forces_do_not_fit(matched):
    """Negative control: bonded pairs then act through the pair spline too."""
    data, *_ = matched
    data = data.assign_attrs(excluded_bonds=0)
    model, matching = ForceMatching(blocks_kept=8).prepare(bcg.Model(POTENTIAL), data)
    seen = matching.observe(model, data)
    error = float(seen.squared_error(seen.total, jnp.asarray(best(seen))).sum())
    assert error > 1e-4 * float(seen.total.square.sum())


def test_rows_of_the_host_are_the_forces_of_the_basis(matched, true):
    """Compiled pair search with exclusions against all pairs of the potential's own definition."""
    data, *_ = matched
    frame, _ = next(iter(frames_of(data, CUTOFF)))
    expected = eqx.filter_jit(type(true).basis_forces)(true, all_pairs(data, 0, excluded=True))
    np.testing.assert_allclose(
        np.moveaxis(design(true, frame), 0, 1), expected, atol=1e-10 * float(np.abs(expected).max())
    )
    theta = np.asarray(coefficients(true))
    np.testing.assert_allclose(
        np.moveaxis(design(true, frame), 0, 1) @ theta,
        data["force"].values[0],
        atol=1e-8 * np.abs(theta).max(),
    )
    # control: without the exclusions the rows differ
    box, x = frame.box, frame.positions
    everyone = Frame(x, box, pairs_within(x, box, CUTOFF), frame.topology)
    assert np.abs(design(true, everyone) - design(true, frame)).max() > 1e-2


def test_a_series_along_a_path_has_the_same_rows(matched, true):
    """With a box and bonds: also of bonded terms alone, which have no cutoff, and cross the box."""
    data, *_ = matched
    part = stretches(data, "velocities")[0]
    frame, _ = next(iter(frames_of(data, CUTOFF)))
    for potential in (true, true.terms[0]):
        series = basis_series(potential, part)
        np.testing.assert_allclose(series[:, :, 0], design(potential, frame).transpose(1, 0, 2), atol=1e-9)
        # and a path tells a potential of the bonds what forces do
        assert support([part], data, potential).internal == internal_of([data]) != ()


@pytest.mark.parametrize("few", [2000, 0], ids=["all with all", "tree"])
def test_bonded_beads_have_no_pair_energy(beads, few, monkeypatch):
    """Two bonded beads 0.3 nm apart, alone: zero with the exclusion, not without."""
    monkeypatch.setattr("bayescg.numerics.pairs.FEW_BEADS", few)
    pair = bcg.potentials.LennardJones(epsilon=1.0, sigma=0.25, cutoff=0.9)
    pair = pair.prepare(Support(("A",), (0.2,)))
    two = xr.Dataset(
        {
            "position": (("frame", "bead", "dim"), [[[0.0, 0, 0], [0.3, 0, 0]]], {"units": "nm"}),
            "type": ("bead", ["A", "A"]),
            "bond": (("bond", "end"), [[0, 1]]),
        },
        attrs={"temperature": 300.0},
    )
    energies = []
    for separation in (2, 0):
        topology = bcg.data.topology(two.assign_attrs(excluded_bonds=separation))
        x = two["position"].values[0]
        found = pairs_within(x, None, 0.9, excluded=np.asarray(topology.excluded))
        frame = Configuration(jnp.asarray(x), None, jnp.asarray(neighbor_matrix(found, 2)), topology)
        energies.append(float(pair.energy(frame)))
    assert energies[0] == 0.0
    assert energies[1] == pytest.approx(float(pair.pair_energy(jnp.array(0.3), jnp.array(0), jnp.array(0))))
    # of many beads exactly the excluded pairs are missing
    topology = bcg.data.topology(beads)
    x, box = beads["position"].values[0], beads["box"].values[0]
    everyone = pairs_within(x, box, CUTOFF)
    kept = pairs_within(x, box, CUTOFF, excluded=np.asarray(topology.excluded))
    listed = {frozenset(pair) for pair in zip(everyone.first.tolist(), everyone.second.tolist(), strict=True)}
    left = {frozenset(pair) for pair in zip(kept.first.tolist(), kept.second.tolist(), strict=True)}
    excluded = {
        frozenset((i, int(j)))
        for i, row in enumerate(np.asarray(topology.excluded))
        for j in row
        if j < len(x)
    }
    assert left == listed - excluded
    assert len(listed & excluded) > 30


def test_bonded_terms_alone_need_no_cutoff(matched):
    data, *_ = matched
    alone = bcg.potentials.HarmonicBond()
    model, matching = ForceMatching(blocks_kept=8).prepare(bcg.Model(alone), data)
    seen = matching.observe(model, data)
    assert seen.total.gram.shape == (2, 4, 4)
    assert not np.asarray(seen.distances).any()
    log_density = matching.log_likelihood(model, seen)
    assert np.isfinite(jax.jit(lambda: log_density)())


def test_frames_of_molecules_bonded_otherwise_are_no_one_system(matched):
    """Frames that are kept share a topology: the same beads with fewer bonds, or exclusions, are others."""
    data, model, _ = matched
    one = list(frames_of(data.isel(frame=slice(2)), CUTOFF))
    assert gather_frames(model.potential, one, 2).positions.shape == (2, 4 * MOLECULES, 3)
    for other in (data.isel(bond=slice(1, None)), data.assign_attrs(excluded_bonds=1)):
        mixed = one[:1] + list(frames_of(other.isel(frame=slice(1)), CUTOFF))
        with pytest.raises(BayescgError, match="another system in frame 1"):
            gather_frames(model.potential, mixed, 2)


def test_forces_and_positions_of_propanol_agree_on_its_bonds():
    """Two independent halves of the data: stiffness from forces, and from the distribution of lengths.

    A bond of 2e5 kJ/mol/nm² feels little else, so both see it alone; kT/k of 4,800 lengths has 2% error.
    """
    propanol = bcg.data.propanol(frames=32)
    bonded = bcg.potentials.HarmonicBond() + bcg.potentials.HarmonicAngle()

    def spring_of(data):
        model, matching = ForceMatching(blocks_kept=8).prepare(bcg.Model(bonded), data)
        theta = jnp.asarray(best(matching.observe(model, data))[:4].reshape(2, 2))
        return with_values(model.potential.terms[0], {"coefficients": theta}).spring()

    inverted = bcg.data.boltzmann_inversion(propanol)
    found = spring_of(propanol)
    np.testing.assert_allclose(found.stiffness, inverted["bond_stiffness"], rtol=0.08)
    np.testing.assert_allclose(found.rest, inverted["bond_center"], atol=2e-3)
    # control: forces of other frames say nothing of these positions
    strangers = propanol.assign(force=propanol["force"].copy(data=propanol["force"].values[::-1]))
    assert (np.abs(spring_of(strangers).stiffness) < 0.2 * inverted["bond_stiffness"].values).all()
