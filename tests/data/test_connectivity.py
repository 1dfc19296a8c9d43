"""Bonds, angles, dihedrals and exclusions of beads: from atoms, from files, and what is refused."""

import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg._checks import BayescgError

UNITS = {"position": "nm", "force": "kJ/mol/nm"}


@pytest.fixture(scope="module")
def atoms():
    """Two five-atom chains, ATOMS of a residue bonded in a row, and a three-atom molecule between them."""
    sizes, names = (5, 3, 5), ("CHN", "TRI", "CHN")
    residue = np.repeat(np.arange(3), sizes)
    first = np.cumsum((0, *sizes[:-1]))
    bonds = np.concatenate(
        [[[b + i, b + i + 1] for i in range(n - 1)] for b, n in zip(first, sizes, strict=True)]
    )
    rng = np.random.default_rng(0)
    shape = (4, residue.size, 3)
    return xr.Dataset(
        {
            "position": (("frame", "atom", "dim"), 0.1 * rng.normal(size=shape), {"units": "nm"}),
            "force": (("frame", "atom", "dim"), rng.normal(size=shape), {"units": "kJ/mol/nm"}),
            "name": ("atom", np.concatenate([[f"X{i}" for i in range(n)] for n in sizes])),
            "residue_name": ("atom", np.array(names)[residue]),
            "residue": ("atom", residue),
            "molecule": ("atom", residue),
            "mass": ("atom", np.ones(residue.size), {"units": "amu"}),
            "bond": (("bond", "end"), bonds),
        },
        coords={"dim": list("xyz")},
        attrs={"temperature": 300.0},
    )


def mapped(atoms):
    by = {"E": ["X0"], "M": ["X1"], "I": ["X2"], "N": [3], "F": [4]}
    return bcg.mapping.CenterOfMass(by=by)(atoms)


def test_a_mapping_derives_the_chains_of_several_kinds_of_molecules(atoms):
    beads = mapped(atoms)
    topology = bcg.data.topology(bcg.data.validate(beads))
    assert topology.molecules.tolist() == [0] * 5 + [1] * 3 + [2] * 5
    assert topology.bonds.shape == (10, 2)
    assert topology.angles.tolist() == [
        [0, 1, 2], [1, 2, 3], [2, 3, 4], [5, 6, 7], [8, 9, 10], [9, 10, 11], [10, 11, 12],
    ]  # fmt: skip
    assert topology.dihedrals.tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [8, 9, 10, 11], [9, 10, 11, 12]]
    # 1-2 and 1-3 by default, of the first bead; never a bead of another molecule
    assert topology.excluded[0].tolist() == [1, 2, 13, 13]
    assert topology.excluded[5].tolist() == [6, 7, 13, 13]
    for separation, partners in ((0, []), (1, [1]), (3, [1, 2, 3])):
        row = bcg.data.topology(beads.assign_attrs(excluded_bonds=separation)).excluded[0]
        assert [one for one in row.tolist() if one < 13] == partners
    # control: atoms without bonds give beads without chains, all of which see each other
    bare = bcg.data.topology(mapped(atoms.drop_vars("bond")))
    assert (bare.bonds.size, bare.angles.size, bare.dihedrals.size, bare.excluded.size) == (0, 0, 0, 0)


@pytest.mark.parametrize("ending", ["nc", "npz"])
def test_chains_and_exclusions_survive_a_file(atoms, ending, tmp_path):
    """What was written by hand is kept; what was not is derived again."""
    beads = mapped(atoms).assign_attrs(excluded_bonds=3)
    fewer = beads.isel(angle=slice(2), dihedral=[0])
    for data, angles, dihedrals in ((beads, 7, 4), (fewer, 2, 1), (fewer.drop_vars("angle"), 7, 1)):
        path = bcg.data.to_file(data, tmp_path / f"beads_{angles}_{dihedrals}.{ending}")
        again = bcg.data.validate(bcg.data.read(path))
        topology = bcg.data.topology(again)
        assert (topology.angles.shape[0], topology.dihedrals.shape[0]) == (angles, dihedrals)
        assert topology.excluded.tolist() == bcg.data.topology(beads).excluded.tolist()
        assert again.attrs["excluded_bonds"] == 3
        # and files joined in time
        joined = bcg.data.topology(bcg.read_trajectory(None, [path, path]))
        assert joined.angles.tolist() == topology.angles.tolist()
        assert joined.excluded.tolist() == topology.excluded.tolist()


FAULTS = {
    "bond must name beads from 0 to 12": {"bond": (("bond", "end"), [[0, 13]])},
    "angle must name beads from 0 to 12": {"angle": (("angle", "corner"), [[0, 1, -1]])},
    "dihedral must join different beads": {"dihedral": (("dihedral", "place"), [[0, 1, 2, 0]])},
    "angle must hold 3 whole numbers": {"angle": (("angle", "corner"), [[0, 1]])},
    "bond must hold 2 whole numbers": {"bond": (("bond", "end"), [[0.0, 1.0]])},
    "dihedral must have the dimensions": {"dihedral": (("dihedral", "end"), [[0, 1, 2, 3]])},
}


@pytest.mark.parametrize("message", FAULTS)
def test_chains_that_cannot_be_are_refused(atoms, message):
    beads = mapped(atoms).drop_vars(["bond", "angle", "dihedral"])
    bcg.data.validate(beads)
    with pytest.raises(BayescgError, match=message):
        bcg.data.validate(beads.assign(FAULTS[message]))


def test_an_exclusion_is_a_whole_number_of_bonds(atoms):
    with pytest.raises(BayescgError, match="excluded_bonds must be a whole number"):
        bcg.data.validate(mapped(atoms).assign_attrs(excluded_bonds=1.5))


def test_the_propanol_that_ships_is_three_beads_in_a_row():
    beads = bcg.data.validate(bcg.data.propanol(frames=2), needs=("force", "temperature", "mass"))
    topology = bcg.data.topology(beads)
    assert topology.type_names == ("C2H5", "CH2", "OH")
    place = 3 * np.arange(150)[:, None]
    assert np.asarray(topology.angles).tolist() == (place + np.arange(3)).tolist()
    assert topology.dihedrals.size == 0
    assert np.asarray(topology.excluded)[:3].tolist() == [[1, 2], [0, 2], [0, 1]]
    # C3H8O, from the masses of its elements in the force field to its five digits
    assert float(np.asarray(topology.masses)[:3].sum()) == pytest.approx(60.096, abs=2e-3)
