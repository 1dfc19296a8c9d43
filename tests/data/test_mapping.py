"""Mapping: against dense weights, MDAnalysis' unwrapping, and exact mean forces."""

import jax
import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize
from scipy.sparse import csr_array

import bayescg as bcg
from bayescg import BayescgError
from bayescg.data.linear_map import LinearMap, apply
from bayescg.units import BOLTZMANN

WATERS = 12
MASSES = np.array([15.9994, 1.008, 1.008])


def water_atoms(frames=6):
    return bcg.data.synthetic.rigid_water(frames=frames, molecules=WATERS, seed=1)


def per_water(row):
    return np.kron(np.eye(WATERS), np.atleast_2d(row))


# map, position weights of one water, force weights of one water (rows: beads), written out by hand
DENSE = {
    "mass": (bcg.mapping.CenterOfMass(), [MASSES / MASSES.sum()], [[1, 1, 1]]),
    "molecule": (bcg.mapping.CenterOfMass(by="molecule"), [MASSES / MASSES.sum()], [[1, 1, 1]]),
    "geometry": (bcg.mapping.CenterOfGeometry(), [[1 / 3] * 3], [[1, 1, 1]]),
    "places": (bcg.mapping.CenterOfGeometry(by={"W": [0, "HW1", 2]}), [[1 / 3] * 3], [[1, 1, 1]]),
    "aggregated": (bcg.mapping.AggregatedForces(bcg.mapping.Slice("name OW")), [[1, 0, 0]], [[1, 1, 1]]),
    "optimized": (bcg.mapping.OptimizedForces(bcg.mapping.Slice("name OW")), [[1, 0, 0]], [[1, 1, 1]]),
    "linear": (bcg.mapping.Linear(per_water([0.6, 0.3, 0.1])), [[0.6, 0.3, 0.1]], [[1, 1, 1]]),
    "sparse": (
        bcg.mapping.Linear(csr_array(per_water([0.6, 0.4, 0.0])), per_water([1.0, 1, 1])),
        [[0.6, 0.4, 0]],
        [[1, 1, 1]],
    ),
}


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("lazy", [False, True])
def test_mapping_is_the_dense_product_of_whole_molecules(name, lazy):
    mapping, position, force = DENSE[name]
    atoms = water_atoms()
    beads = mapping(atoms.chunk(frame=4) if lazy else atoms)
    assert (beads["position"].chunks is not None) == lazy
    molecules = atoms["position"].to_numpy().reshape(6, WATERS, 3, 3)
    whole = molecules[:, :, :1] + (lambda d: d - 2.0 * np.round(d / 2.0))(molecules - molecules[:, :, :1])
    M, B = per_water(position), per_water(force)
    flat = whole.reshape(6, -1, 3)
    assert np.abs(beads["position"].to_numpy() - np.einsum("ba,fad->fbd", M, flat)).max() < 1e-12
    for kind, weights in (("velocity", M), ("force", B)):
        wanted = np.einsum("ba,fad->fbd", weights, atoms[kind].to_numpy())
        assert np.abs(beads[kind].to_numpy() - wanted).max() < 1e-9
    mass = 1 / (np.square(position) @ (1 / MASSES))
    assert np.abs(beads["mass"].to_numpy() - np.tile(mass, WATERS)).max() < 1e-9
    bcg.data.validate(beads, needs=("position", "force", "box", "mass", "time", "temperature"))
    assert beads["molecule"].to_numpy().tolist() == list(range(WATERS))
    assert beads.attrs["temperature"] == 300.0
    assert {"mapping", "force_mapping", "source"} <= set(beads.attrs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_precision_of_the_file_is_kept(dtype):
    atoms = water_atoms()
    for name in ("position", "velocity", "force"):
        atoms[name] = atoms[name].astype(dtype)
    beads = bcg.mapping.CenterOfMass()(atoms)
    assert {beads[name].dtype for name in ("position", "velocity", "force")} == {np.dtype(dtype)}


def test_beads_do_not_depend_on_the_image_the_atoms_are_in():
    atoms = water_atoms()
    beads = bcg.mapping.CenterOfMass()(atoms)
    moved = atoms.copy()
    images = np.random.default_rng(0).integers(-2, 3, atoms["position"].shape)
    moved["position"] = atoms["position"] + 2.0 * images
    difference = (bcg.mapping.CenterOfMass()(moved)["position"] - beads["position"]).to_numpy()
    assert np.abs(difference - 2.0 * np.round(difference / 2.0)).max() < 1e-12


def chain_atoms(length=40, frames=3):
    """A polymer that crosses the boundary many times, its bonds in random order."""
    generator = np.random.default_rng(5)
    steps = generator.normal(size=(frames, length, 3))
    steps *= 0.3 / np.linalg.norm(steps, axis=-1, keepdims=True)
    whole = np.cumsum(steps, axis=1) + 0.5
    bonds = np.stack([np.arange(length - 1), np.arange(1, length)], axis=1)
    one = np.zeros(length, dtype=int)
    atoms = xr.Dataset(
        {
            "position": (("frame", "atom", "dim"), np.mod(whole, 1.0), {"units": "nm"}),
            "box": (("frame", "dim"), np.ones((frames, 3)), {"units": "nm"}),
            "mass": ("atom", np.linspace(1, 2, length), {"units": "amu"}),
            "name": ("atom", np.full(length, "C")),
            "residue_name": ("atom", np.full(length, "POL")),
            "residue": ("atom", one),
            "molecule": ("atom", one),
            "bond": (("bond", "end"), generator.permutation(bonds)),
        },
        coords={"dim": list("xyz"), "time": ("frame", np.arange(3.0), {"units": "ps"})},
    )
    return atoms, whole


def test_making_whole_agrees_with_mdanalysis():
    import MDAnalysis

    atoms, whole = chain_atoms()
    beads = bcg.mapping.CenterOfMass()(atoms)
    mass = atoms["mass"].to_numpy()
    universe = MDAnalysis.Universe.empty(40, trajectory=True)
    universe.add_TopologyAttr("masses", mass)
    universe.add_TopologyAttr("bonds", atoms["bond"].to_numpy())
    for frame in range(3):
        universe.atoms.positions = 10 * atoms["position"][frame].to_numpy()
        universe.dimensions = [10, 10, 10, 90, 90, 90]
        unwrapped = universe.atoms.unwrap(reference=None) / 10
        theirs = mass @ unwrapped / mass.sum()
        truth = mass @ whole[frame] / mass.sum()
        for other in (theirs, truth):
            difference = beads["position"][frame, 0].to_numpy() - other
            assert np.abs(difference - np.round(difference)).max() < 1e-6  # float32 in MDAnalysis
    # negative control: the chain is broken as read
    broken = mass @ atoms["position"][0].to_numpy() / mass.sum() - mass @ whole[0] / mass.sum()
    assert np.abs(broken - np.round(broken)).max() > 0.01


def test_groups_wider_than_half_the_box_are_refused_without_bonds():
    atoms, _ = chain_atoms()
    with pytest.raises(BayescgError, match=r"within half the box.*topology with bonds"):
        bcg.mapping.CenterOfMass()(atoms.drop_dims("bond"))
    with pytest.raises(BayescgError, match="within half the box"):
        bcg.mapping.CenterOfMass()(atoms.drop_dims("bond").chunk(frame=1)).compute()


def test_bonds_between_beads_follow_the_atoms():
    atoms, _ = chain_atoms()
    beads = bcg.mapping.CenterOfMass(by={"A": list(range(10)), "B": list(range(10, 35))})(atoms)
    assert beads["type"].to_numpy().tolist() == ["A", "B"]
    assert beads["bond"].to_numpy().tolist() == [[0, 1]]
    every_fifth = bcg.mapping.Slice("index 0 5 10 15")(atoms)  # joined through atoms of no bead
    assert every_fifth["bond"].to_numpy().tolist() == [[0, 1], [1, 2], [2, 3]]
    assert every_fifth["molecule"].to_numpy().tolist() == [0] * 4


# Rigid groups ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mapping",
    [
        bcg.mapping.Slice("name OW"),
        bcg.mapping.CenterOfMass(by={"OH": ["OW", "HW1"]}),
        bcg.mapping.Linear(per_water([0.6, 0.4, 0.0])),
        bcg.mapping.Linear(per_water([1.0, 0, 0]), per_water([1.0, 0.5, 0.5])),
        bcg.mapping.Noised(bcg.mapping.Slice("name OW"), scale=0.02, key=jax.random.key(0)),
    ],
)
def test_a_force_map_uneven_over_a_rigid_group_is_refused(mapping):
    atoms = water_atoms()
    with pytest.raises(BayescgError, match=r"rigid bonds join, got OW .*AggregatedForces.*OptimizedForces"):
        mapping(atoms)
    if not isinstance(mapping, bcg.mapping.Noised):
        assert "force" not in mapping(atoms.drop_vars("force"))
    flexible = atoms.assign(constrained=atoms["constrained"] & False)
    if not (isinstance(mapping, bcg.mapping.Linear) and mapping.force_weights is not None):
        assert "force" in mapping(flexible)


def test_a_force_map_that_moves_other_beads_is_refused():
    atoms = water_atoms()
    twice = bcg.mapping.Linear(per_water([1.0, 0, 0]), per_water([2.0, 2.0, 2.0]))
    with pytest.raises(BayescgError, match=r"B M' = 1"):
        twice(atoms)
    overlapping = bcg.mapping.CenterOfMass(by={"A": ["OW", "HW1"], "B": ["OW", "HW2"]})
    with pytest.raises(BayescgError, match=r"B M' = 1"):
        overlapping(atoms.assign(constrained=atoms["constrained"] & False))


@pytest.mark.parametrize("wrap", [bcg.mapping.AggregatedForces, bcg.mapping.OptimizedForces])
def test_two_beads_on_one_rigid_group_are_refused(wrap):
    with pytest.raises(BayescgError, match="must not share a rigid group"):
        wrap(bcg.mapping.Slice("name OW HW1"))(water_atoms())


# Exact mean forces ----------------------------------------------------------------------------------------

SPRINGS = np.array([[400.0, -150.0, 0.0], [-150.0, 500.0, -200.0], [0.0, -200.0, 300.0]])
"""A molecule of three atoms tethered and joined by springs: u = q'Kq/2 in every direction, kJ/mol/nm²."""


def spring_atoms(*, frames=400, molecules=50, seed=0):
    generator = np.random.default_rng(seed)
    kT = BOLTZMANN * 300
    q = np.einsum(
        "ab,fmbd->fmad",
        np.linalg.cholesky(kT * np.linalg.inv(SPRINGS)),
        generator.normal(size=(frames, molecules, 3, 3)),
    )
    f = -np.einsum("ab,fmbd->fmad", SPRINGS, q)
    index = np.repeat(np.arange(molecules), 3)
    shape = (frames, 3 * molecules, 3)
    return xr.Dataset(
        {
            "position": (("frame", "atom", "dim"), q.reshape(shape), {"units": "nm"}),
            "force": (("frame", "atom", "dim"), f.reshape(shape), {"units": "kJ/mol/nm"}),
            "mass": ("atom", np.tile([1.0, 2.0, 3.0], molecules), {"units": "amu"}),
            "name": ("atom", np.tile(["A", "B", "C"], molecules)),
            "residue_name": ("atom", np.full(3 * molecules, "ABC")),
            "residue": ("atom", index),
            "molecule": ("atom", index),
        },
        coords={"dim": list("xyz")},
        attrs={"temperature": 300.0},
    )


def stiffness(beads, per_molecule):
    """Slope of force on position, shape (per_molecule, per_molecule), and its standard error."""
    x = beads["position"].to_numpy().reshape(-1, per_molecule, 3).transpose(0, 2, 1).reshape(-1, per_molecule)
    f = beads["force"].to_numpy().reshape(-1, per_molecule, 3).transpose(0, 2, 1).reshape(-1, per_molecule)
    slope, residual, _, _ = np.linalg.lstsq(x, f)
    noise = residual / len(x) if residual.size else np.zeros(per_molecule)
    error = np.sqrt(np.outer(np.diag(np.linalg.inv(x.T @ x)), noise))
    return -slope.T, error.T


def exact_stiffness(M):
    """The potential of mean force of x = M q is x' (M K^-1 M')^-1 x / 2."""
    return np.linalg.inv(M @ np.linalg.inv(SPRINGS) @ M.T)


MEAN_FORCE_MAPS = {
    "slice": (bcg.mapping.Slice("name B"), [[0, 1, 0]]),
    "mass": (bcg.mapping.CenterOfMass(), [[1 / 6, 2 / 6, 3 / 6]]),
    "geometry": (bcg.mapping.CenterOfGeometry(by={"AB": ["A", "B"], "C": ["C"]}), [[0.5, 0.5, 0], [0, 0, 1]]),
    "aggregated": (bcg.mapping.AggregatedForces(bcg.mapping.Slice("name A")), [[1, 0, 0]]),
    "optimized slice": (bcg.mapping.OptimizedForces(bcg.mapping.Slice("name A C")), [[1, 0, 0], [0, 0, 1]]),
    "optimized mass": (bcg.mapping.OptimizedForces(bcg.mapping.CenterOfMass()), [[1 / 6, 2 / 6, 3 / 6]]),
}


@pytest.mark.parametrize("name", MEAN_FORCE_MAPS)
def test_mapped_forces_average_to_the_mean_force(name):
    mapping, M = MEAN_FORCE_MAPS[name]
    slope, error = stiffness(mapping(spring_atoms()), len(M))
    exact = exact_stiffness(np.array(M, dtype=float))
    # 5 standard errors: one false alarm in a million numbers; 1e-9 where the mapped force is exact
    assert np.all(np.abs(slope - exact) < 5 * error + 1e-9 * np.abs(exact).max())


def test_a_biased_force_map_is_seen_by_the_slope():
    atoms = spring_atoms()
    M = csr_array(np.kron(np.eye(50), [[0.0, 1.0, 0.0]]))
    B = csr_array(np.kron(np.eye(50), [[0.0, 1.2, 0.0]]))
    slope, error = stiffness(apply(LinearMap(M, B, np.full(50, "B"), "", ""), atoms), 1)
    assert abs(slope - exact_stiffness(np.array([[0.0, 1.0, 0.0]]))).item() > 20 * error.item()


def rod_atoms(*, frames=4000, seed=0):
    """Rigid rods along x: u = k1 x1²/2 + k2 x2²/2 with x2 = x1 + d held; engines report f1 = -k1 x1 alone."""
    k1, k2, d, kT = 300.0, 500.0, 0.2, BOLTZMANN * 300
    x1 = np.random.default_rng(seed).normal(-k2 * d / (k1 + k2), np.sqrt(kT / (k1 + k2)), frames)
    x = np.zeros((frames, 2, 3))
    x[:, 0, 0], x[:, 1, 0] = x1, x1 + d
    f = -np.array([k1, k2])[:, None] * x
    zero = np.zeros(2, dtype=int)
    return (k1, k2, d), xr.Dataset(
        {
            "position": (("frame", "atom", "dim"), x, {"units": "nm"}),
            "force": (("frame", "atom", "dim"), f, {"units": "kJ/mol/nm"}),
            "mass": ("atom", [1.0, 1.0], {"units": "amu"}),
            "name": ("atom", ["A", "B"]),
            "residue_name": ("atom", ["R", "R"]),
            "residue": ("atom", zero),
            "molecule": ("atom", zero),
            "bond": (("bond", "end"), [[0, 1]]),
            "constrained": ("bond", [True]),
        },
        coords={"dim": list("xyz")},
        attrs={"temperature": 300.0},
    )


@pytest.mark.parametrize("wrap", [bcg.mapping.AggregatedForces, bcg.mapping.OptimizedForces])
def test_the_force_of_a_whole_rigid_group_is_the_mean_force(wrap):
    (k1, k2, d), atoms = rod_atoms()
    beads = wrap(bcg.mapping.Slice("name A"))(atoms)
    x = beads["position"].to_numpy()[:, 0, 0]
    exact = -(k1 * x + k2 * (x + d))  # of U = k1 x²/2 + k2 (x + d)²/2, the only coordinate there is
    assert np.abs(beads["force"].to_numpy()[:, 0, 0] - exact).max() < 1e-9
    # what is refused: the force on A alone is off by far more than any rounding
    alone = bcg.mapping.Slice("name A")(atoms.assign(constrained=("bond", [False])))
    assert np.abs(alone["force"].to_numpy()[:, 0, 0] - exact).mean() > 10.0


# Optimized maps -------------------------------------------------------------------------------------------


def test_optimized_weights_solve_the_constrained_least_squares_of_scipy():
    atoms = spring_atoms(frames=40)
    atoms["force"] = atoms["force"] + xr.DataArray(
        np.random.default_rng(2).normal(size=atoms["force"].shape) * np.tile([90.0, 30.0, 60.0], 50)[:, None],
        dims=atoms["force"].dims,
    )
    M = np.array([[1.0, 0, 0], [0, 0.5, 0.5]])
    mapping = bcg.mapping.OptimizedForces(bcg.mapping.CenterOfGeometry(by={"A": ["A"], "BC": ["B", "C"]}))
    mine = mapping.linear_map(atoms).forces.toarray()[:2, :3]
    forces = atoms["force"].to_numpy().reshape(40, 50, 3, 3).transpose(0, 1, 3, 2).reshape(-1, 3)
    S = forces.T @ forces / len(forces)
    scale = np.trace(S)
    found = minimize(
        lambda b: np.trace(b.reshape(2, 3) @ S @ b.reshape(2, 3).T) / scale,
        np.array([1.0, 0, 0, 0, 1, 1]),
        constraints={"type": "eq", "fun": lambda b: (b.reshape(2, 3) @ M.T - np.eye(2)).ravel()},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.success
    # SLSQP stops where the objective changes by 1e-14: the square root of that in the weights
    assert np.abs(mine - found.x.reshape(2, 3)).max() < 1e-5
    assert np.abs(mine @ M.T - np.eye(2)).max() < 1e-12
    uniform = np.array([[1.0, 0, 0], [0, 1, 1]])
    assert np.trace(mine @ S @ mine.T) < 0.98 * np.trace(uniform @ S @ uniform.T)


def test_optimized_weights_are_even_over_rigid_groups():
    atoms = spring_atoms(frames=60)
    pairs = 3 * np.arange(50)[:, None] + np.array([[1, 2]])
    atoms = atoms.assign(bond=(("bond", "end"), pairs), constrained=("bond", np.ones(50, dtype=bool)))
    B = bcg.mapping.OptimizedForces(bcg.mapping.Slice("name A")).linear_map(atoms).forces.toarray()
    first = B[0, :3]
    assert abs(first[1] - first[2]) < 1e-12
    assert abs(first[1]) > 0.01
    assert np.abs(B - np.kron(np.eye(50), first)).max() < 1e-12


def test_optimizing_from_too_few_forces_is_refused():
    few = spring_atoms(frames=1, molecules=2)
    with pytest.raises(BayescgError, match=r"sampled 10 times per free weight, got 6 samples for 2"):
        bcg.mapping.OptimizedForces(bcg.mapping.Slice("name A"))(few)


# Noise ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use_forces", [True, False])
@pytest.mark.parametrize("scale", [0.02, 0.1])
def test_noised_forces_average_to_the_score_of_the_smeared_density(use_forces, scale):
    atoms = spring_atoms()
    mapping = bcg.mapping.Noised(
        bcg.mapping.Slice("name B"), scale=scale, key=jax.random.key(7), use_forces=use_forces
    )
    slope, error = stiffness(mapping(atoms), 1)
    kT = BOLTZMANN * 300
    exact = kT / (kT * np.linalg.inv(SPRINGS)[1, 1] + scale**2)  # a Gaussian smeared by a Gaussian
    assert abs(slope.item() - exact) < 5 * error.item()
    if scale == 0.1:  # wide enough to tell the smeared density from the bare one
        bare = exact_stiffness(np.array([[0.0, 1.0, 0.0]])).item()
        assert abs(slope.item() - bare) > 20 * error.item()


def test_combining_noise_and_forces_gives_the_least_variance():
    atoms, key = spring_atoms(), jax.random.key(3)
    base = bcg.mapping.Slice("name B")
    y, kT, scale = base(atoms), BOLTZMANN * 300, 0.05
    combined = bcg.mapping.Noised(base, scale=scale, key=key)(atoms)["force"].to_numpy()
    noise = bcg.mapping.Noised(base, scale=scale, key=key, use_forces=False)(atoms)["force"].to_numpy()
    assert noise.std() == pytest.approx(kT / scale, rel=0.02)  # 60,000 numbers: 0.3% standard error
    shares = np.linspace(0, 1, 101)
    squares = [np.mean((a * noise + (1 - a) * y["force"].to_numpy()) ** 2) for a in shares]
    best = shares[np.argmin(squares)]
    assert 0.1 < best < 0.9
    # <n b> is zero only on average: its sampling error moves the minimum by less than the grid
    assert np.mean(combined**2) == pytest.approx(min(squares), rel=1e-3)


def test_noise_is_fixed_by_the_key_and_the_frame():
    atoms = water_atoms()
    mapping = bcg.mapping.Noised(bcg.mapping.CenterOfMass(), scale=0.02, key=jax.random.key(0))
    eager, lazy = mapping(atoms), mapping(atoms.chunk(frame=4)).compute()
    assert eager["position"].equals(lazy["position"])
    assert np.allclose(eager["force"], lazy["force"], rtol=1e-6)
    assert "velocity" not in eager
    other = bcg.mapping.Noised(bcg.mapping.CenterOfMass(), scale=0.02, key=jax.random.key(1))(atoms)
    assert not np.allclose(other["position"], eager["position"])


def test_the_mass_of_a_bead_is_the_one_its_velocity_shows():
    generator, masses = np.random.default_rng(0), np.array([1.0, 2.0, 3.0])
    atoms = spring_atoms(frames=2000)
    v = generator.normal(size=(2000, 150, 3)) * np.sqrt(BOLTZMANN * 300 / np.tile(masses, 50))[:, None]
    atoms = atoms.assign(velocity=(("frame", "atom", "dim"), v, {"units": "nm/ps"}))
    for mapping in (bcg.mapping.CenterOfGeometry(), bcg.mapping.CenterOfMass(), bcg.mapping.Slice("name A")):
        beads = mapping(atoms)
        measured = BOLTZMANN * 300 / np.mean(beads["velocity"].to_numpy() ** 2)
        # relative error of a variance from 300,000 numbers: sqrt(2/3e5) = 0.26%
        assert beads["mass"].to_numpy()[0] == pytest.approx(measured, rel=0.013)
