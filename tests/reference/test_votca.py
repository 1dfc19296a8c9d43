"""Least-squares pair forces are those of VOTCA's csg_fmatch, on the same trajectory file.

csg_fmatch fits the force f = -u' as a natural cubic spline: 39 values at the grid points, f'' = 0 at
both ends, f free at the cutoff. In that very basis our sums give its curve up to rounding. `PairSpline`
is another space: u is a cubic spline, so f is quadratic between the grid points, and f = f' = 0 at the
cutoff. On forces of a known smooth potential that obeys these conditions both must find the potential
up to the error of interpolating it.
"""

import importlib.util
import os
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

import bayescg as bcg
from bayescg.interfaces import AbstractLinearPotential, minimum_image
from bayescg.numerics.pairs import pairs_within
from bayescg.potentials.spline import basis

MDAnalysis = pytest.importorskip("MDAnalysis")

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("votca", ROOT / "benchmarks" / "common" / "votca.py")
votca = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(votca)

FRAMES = 20
START, CUTOFF, KNOTS = 0.24, 1.0, 39
GRID = np.linspace(START, CUTOFF, KNOTS)
STEP = GRID[1] - GRID[0]
BEYOND = GRID > 0.27
INSTALL = (
    "csg_fmatch is missing: run scripts/install_engines.sh, or apt-get install votca on Debian and Ubuntu"
)


class Files(NamedTuple):
    topology: Path
    trajectory: Path


class NaturalForceSpline(AbstractLinearPotential):
    """The force as csg_fmatch writes it: values at the grid points, a natural cubic spline between."""

    cutoff: float = CUTOFF
    coefficients: jnp.ndarray | None = None

    def prepare(self, support):
        return NaturalForceSpline(self.cutoff, jnp.zeros(KNOTS))

    def coordinates(self):
        return {"coefficients": {"coefficient": np.arange(KNOTS)}}

    def coefficient_paths(self):
        return ("coefficients",)

    def basis_forces(self, configuration):
        x, neighbors = configuration.positions, configuration.neighbors
        other = jnp.minimum(neighbors, x.shape[0] - 1)
        step = minimum_image(x[other] - x[:, None], configuration.box)
        squared = jnp.sum(step**2, axis=-1)
        present = (neighbors < x.shape[0]) & (squared < self.cutoff**2)
        distance = jnp.sqrt(jnp.where(present, squared, 1.0))
        place = jnp.clip(((distance - START) / STEP).astype(int), 0, KNOTS - 2)
        table = jnp.asarray(
            CubicSpline(GRID, np.eye(KNOTS), bc_type="natural").c
        )  # (power, interval, feature)
        t = (distance - jnp.asarray(GRID)[place])[..., None]
        values = ((table[0][place] * t + table[1][place]) * t + table[2][place]) * t + table[3][place]
        unit = (
            jnp.where(present, 1 / distance, 0.0)[..., None] * step
        )  # from i to j: a positive f pushes back
        return -jnp.einsum("ijd,ijk->idk", unit, values)

    def energy(self, configuration):
        raise NotImplementedError("force matching asks for the forces of the basis only")


@pytest.fixture(scope="module", autouse=True)
def _csg_fmatch():
    if votca.installed():
        return
    if os.environ.get("CI"):
        pytest.fail(INSTALL)
    pytest.skip(INSTALL)


@pytest.fixture(scope="module")
def beads():
    return bcg.data.water(frames=FRAMES)


@pytest.fixture(scope="module")
def measured(beads, tmp_path_factory):
    """The shipped waters as single atoms, with their forces."""
    return write(tmp_path_factory.mktemp("measured"), beads, beads["force"].values)


@pytest.fixture(scope="module")
def smooth(beads, tmp_path_factory):
    """The same positions with forces of `smooth_force`, no noise."""
    forces = []
    for x, box in zip(beads["position"].values, beads["box"].values, strict=True):
        pairs = pairs_within(x, box, CUTOFF)
        along = -smooth_force(pairs.distance) / pairs.distance * pairs.displacement
        forces.append(
            [np.bincount(pairs.first, d, len(x)) - np.bincount(pairs.second, d, len(x)) for d in along]
        )
    return write(tmp_path_factory.mktemp("smooth"), beads, np.moveaxis(forces, 1, 2))


def smooth_force(r):
    """Repulsive, with a well, and zero with its slope at the cutoff; kJ/mol/nm."""
    y = CUTOFF - r
    return 1500 * y**4 - 120 * y**2  # f'' = 18000 y² - 240, |f'''| = 36000 y, f'''' = 36000


def write(folder, beads, forces):
    """A GRO and a TRR file of single-atom residues."""
    count = beads.sizes["bead"]
    universe = MDAnalysis.Universe.empty(
        count, n_residues=count, atom_resindex=np.arange(count), trajectory=True, forces=True
    )
    for attribute, value in {"name": "W", "resname": "SOL", "mass": 18.0154}.items():
        universe.add_TopologyAttr(attribute, [value] * count)
    files = Files(folder / "beads.gro", folder / "beads.trr")
    with MDAnalysis.Writer(str(files.trajectory), n_atoms=count) as writer:
        for number, (x, f, box) in enumerate(
            zip(beads["position"].values, forces, beads["box"].values, strict=True)
        ):
            step = universe.trajectory.ts
            step.positions, step.forces, step.dimensions = 10 * x, f / 10, [*(10 * box), 90, 90, 90]
            step.time = step.frame = number
            writer.write(universe.atoms)
    universe.add_TopologyAttr("resid", np.arange(1, count + 1))
    universe.atoms.write(str(files.topology))
    return files


@pytest.fixture(scope="module")
def measured_curve(measured, tmp_path_factory):
    return theirs(measured, tmp_path_factory.mktemp("curve"))


def theirs(files, folder):
    return votca.run(
        folder, *files, frames_per_block=FRAMES, bead="W", constrained=True, out_step=round(STEP, 6)
    )


class Fit(NamedTuple):
    theta: np.ndarray
    gram: np.ndarray
    noise: float

    def curve(self, rows):
        """-u' at the grid points from the basis there, with its standard error were the noise independent."""
        variance = np.einsum("rk,kl,rl->r", rows, np.linalg.inv(self.gram), rows)
        return rows @ self.theta, self.noise * np.sqrt(variance)


def ours(files, potential):
    """Least squares in the potential's basis from the same file."""
    with pytest.warns(bcg.BayescgWarning, match="guessed"):  # the center of one atom does not need its mass
        atoms = bcg.read_trajectory(files.topology, files.trajectory, temperature=300.0)
    data = bcg.mapping.CenterOfMass(by="residue")(atoms)
    model, matching = bcg.likelihoods.ForceMatching().prepare(bcg.Model(potential), data)
    seen = matching.observe(model, data)
    gram = np.asarray(seen.total.gram[0])
    theta = np.linalg.solve(gram, np.asarray(seen.total.projection[0]))
    error = float(seen.squared_error(seen.total, jnp.asarray(theta))[0])
    return Fit(theta, gram, np.sqrt(error / float(seen.total.count[0])))


def pair_spline():
    return bcg.potentials.PairSpline(cutoff=CUTOFF, knots=KNOTS, start=START)


def pair_spline_rows():
    """-B_k'(r) at the grid points."""
    place = np.append(np.arange(KNOTS - 1), KNOTS - 2)
    t = np.append(np.zeros(KNOTS - 1), 1.0)[:, None]
    c = basis(KNOTS).polynomials[place]
    return -(c[:, 1] + 2 * c[:, 2] * t + 3 * c[:, 3] * t**2) / STEP


def in_their_basis(fit, curve):
    """Greatest difference in units of what rounding allows."""
    # the program prints ten digits; solving the normal equations loses eps times their condition
    rounding = np.linalg.cond(fit.gram) * np.finfo(float).eps * np.abs(curve.force).max()
    return np.max(np.abs(fit.theta - curve.force) / (1e-9 * np.abs(curve.force) + rounding))


def in_their_errors(files, curve):
    """Difference between our `PairSpline` and their curve beyond 0.27 nm, root mean square, in errors."""
    ours_there, error = ours(files, pair_spline()).curve(pair_spline_rows())
    _, their_error = ours(files, NaturalForceSpline()).curve(np.eye(KNOTS))
    ratio = (ours_there - curve.force) / (error + their_error)
    return np.sqrt(np.mean(ratio[BEYOND] ** 2))


def test_sums_give_the_curve_of_csg_fmatch_in_its_own_basis(measured, measured_curve):
    np.testing.assert_allclose(measured_curve.distance, GRID, atol=1e-12)
    assert in_their_basis(ours(measured, NaturalForceSpline()), measured_curve) < 1.0


def test_forces_of_other_frames_give_another_curve(beads, measured_curve, tmp_path):
    """The control: the same positions with every frame's forces shifted to the next frame."""
    shifted = write(tmp_path, beads, np.roll(beads["force"].values, 1, axis=0))
    assert in_their_basis(ours(shifted, NaturalForceSpline()), measured_curve) > 1e6
    assert in_their_errors(shifted, measured_curve) > 1.5


def test_pair_spline_and_csg_fmatch_find_a_known_smooth_force(smooth, tmp_path):
    """Both are within the error of their spline spaces, from 0.26 nm on.

    The best quadratic spline is off by h³ max|f'''| / 24 (Favard's constant), least squares by at most
    (1 + 3) times that, 3 bounding the norm of the projection in the maximum norm. A natural cubic spline
    is off by h² |f''| / 8 at an end where f'' is not zero, less by 2 - sqrt(3) at every grid point from
    there; its interior error, 5/384 h⁴ max|f''''|, is taken four times too. Float32 forces of up to
    10³ kJ/mol/nm add 10⁻⁴ at most.
    """
    curve, _ = ours(smooth, pair_spline()).curve(pair_spline_rows())
    known, place = smooth_force(GRID), np.arange(KNOTS)
    slope_change, decay = [18000 * (CUTOFF - START) ** 2 - 240, 240], 2 - np.sqrt(3)
    ends = slope_change[0] * decay**place + slope_change[1] * decay ** place[::-1]
    quadratic = STEP**3 / 6 * 36000 * (CUTOFF - START) + 1e-4
    cubic = 4 * 5 / 384 * STEP**4 * 36000 + STEP**2 / 8 * ends + 1e-4
    their_curve = theirs(smooth, tmp_path).force
    inner = GRID > 0.25  # few pairs are nearer
    assert np.all((np.abs(curve - known) < quadratic)[inner])
    assert np.all((np.abs(their_curve - known) < cubic)[inner])
    assert np.all((np.abs(curve - their_curve) < quadratic + cubic)[inner])
    # control: the tolerances would see a force that is one part in a hundred too strong
    assert np.any((np.abs(1.01 * curve - their_curve) > quadratic + cubic)[inner])


def test_pair_spline_and_csg_fmatch_differ_by_less_than_their_errors(measured, measured_curve):
    """On noisy forces two spaces of 38 and 39 functions follow the noise differently, within its error.

    The errors are those of independent noise, smaller than the true ones. Beyond 0.27 nm; the curves
    part at the cutoff, where the pair spline's force is zero by construction and csg_fmatch's is free.
    """
    assert in_their_errors(measured, measured_curve) < 1.0
    assert pair_spline_rows()[-1].tolist() == pytest.approx([0.0] * (KNOTS - 1), abs=1e-9)
    assert abs(measured_curve.force[-1]) > 0.1
